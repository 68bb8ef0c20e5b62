"""Two runs side by side, question by question: is one better, and could that be chance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agent.bench.judging import Judged, judge, repeats_of
from agent.bench.records import Record, RunError
from agent.bench.stats import paired
from policy.tasks import Item, Task

if TYPE_CHECKING:
    from rich.console import RenderableType

Pair = tuple[Judged, float, float]


def compare(
    task: Task,
    items: Sequence[Item],
    a: Sequence[Record],
    b: Sequence[Record],
    *,
    rules: str = "strict",
    mode: str = "direct",
    mode_b: str | None = None,
    names: tuple[str, str] = ("A", "B"),
) -> dict[str, Any]:
    """Compare two runs on the questions of the items of which both have a record, as plain JSON values.

    Differences are ``b - a``: positive where the second run does better. Of several repetitions the mean counts.

    Args:
        task: the benchmark.
        items: of the data set.
        a: one run, such as the baseline.
        b: the other.
        rules: ``strict`` or ``reference``; by the latter a question counts if it counts in both.
        mode: which form of answer was asked for, ``direct`` or ``think``.
        mode_b: the same for ``b`` where it differs.
        names: what to call the two.

    Raises:
        RunError: no question is in both.
        ValueError: there are no such rules.
    """
    credit = _credit(rules)
    here, there = ({record.id for record in run} for run in (a, b))
    both = [item for item in items if item.id in here & there]
    one = judge(task, both, a, repeats=repeats_of(_of(both, a), {}), mode=mode)
    other = judge(task, both, b, repeats=repeats_of(_of(both, b), {}), mode=mode_b or mode)
    pairs: list[Pair] = []
    for x, y in zip(one, other, strict=True):
        p, q = credit(x), credit(y)
        if p is not None and q is not None:
            pairs.append((x, p, q))
    if not pairs:
        raise RunError(
            f"{names[0]} and {names[1]} have no question in common ({len(here):,} and {len(there):,} items with a "
            "record); compare runs of the same items"
        )
    known = {item.id for item in items}
    order = dict.fromkeys([*(group.code for group in task.groups), *(x.code for x, _, _ in pairs)])
    titles = {group.code: group.name for group in task.groups}
    groups = {code: [pair for pair in pairs if pair[0].code == code] for code in order}
    return {
        "task": task.name,
        "names": list(names),
        "rules": rules,
        "all": _cell(pairs),
        "per_group": {
            code: {"name": titles.get(code, code), **_cell(found)} for code, found in groups.items() if found
        },
        "only_in_a": len((here - there) & known),
        "only_in_b": len((there - here) & known),
    }


def compared_table(compared: Mapping[str, Any]) -> RenderableType:
    """Return a comparison for a terminal of 80 columns or more.

    Args:
        compared: as :func:`compare` returns it.
    """
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    first, second = compared["names"]
    out = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    out.add_column("Task", min_width=16, overflow="fold")
    for name, width in (("n", 5), ("A", 5), ("B", 5), ("B - A", 6), ("95 % CI", 15), ("p", 6), ("only A/B", 8)):
        out.add_column(name, justify="right", width=width, no_wrap=True)
    rows = list(compared["per_group"].items())
    for index, (code, cell) in enumerate(rows):
        name = code if cell["name"] == code else f"{code:<3} {cell['name']}"
        out.add_row(Text(name), *_told(cell), end_section=index == len(rows) - 1)
    out.add_row("All questions", *_told(compared["all"]), style="bold")
    small = [f"A: {first}. B: {second}. Rules: {compared['rules']}. Points of accuracy, on the same questions."]
    small += ["p is of each task alone: among many tasks, one below 0.05 is to be expected by chance."]
    if compared["only_in_a"] or compared["only_in_b"]:
        small.append(f"Left out: {compared['only_in_a']:,} items only in A, {compared['only_in_b']:,} only in B.")
    return Group(out, *(Text(line, style="dim") for line in small))


def _credit(rules: str) -> Callable[[Judged], float | None]:
    if rules == "strict":
        return lambda judged: judged.strict
    if rules == "reference":
        return lambda judged: judged.reference
    raise ValueError(f"there are no rules {rules!r}; choose strict or reference")


def _of(items: Iterable[Item], records: Iterable[Record]) -> list[Record]:
    ids = {item.id for item in items}
    return [record for record in records if record.id in ids]


def _cell(pairs: Sequence[Pair]) -> dict[str, Any]:
    a, b = [p for _, p, _ in pairs], [q for _, _, q in pairs]
    found = paired(a, b, [judged.cluster for judged, _, _ in pairs])
    return {
        "n": found.n,
        "clusters": found.clusters,
        "a": math.fsum(a) / len(a),
        "b": math.fsum(b) / len(b),
        "difference": found.mean,
        "se": found.se,
        "low": found.low,
        "high": found.high,
        "p": found.p,
        "only_a": sum(p == 1.0 > q for _, p, q in pairs),
        "only_b": sum(q == 1.0 > p for _, p, q in pairs),
    }


def _told(cell: Mapping[str, Any]) -> list[str]:
    reach = "-" if cell["low"] is None else f"{100 * cell['low']:+.1f} to {100 * cell['high']:+.1f}"
    chance = "-" if cell["p"] is None else "<0.001" if cell["p"] < 0.001 else f"{cell['p']:.3f}"
    head = [f"{cell['n']:,}", f"{100 * cell['a']:.1f}", f"{100 * cell['b']:.1f}", f"{100 * cell['difference']:+.1f}"]
    return [*head, reach, chance, f"{cell['only_a']}/{cell['only_b']}"]
