"""The report of a run for a terminal.

The figures are of :mod:`agent.bench.summary`, the same as a page is of :mod:`agent.bench.page`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from agent.bench import canary
from agent.bench.judging import KINDS
from agent.bench.summary import FIXED_COSTS, NOT_COMPARABLE, best_known, fixed_costs, summarise

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["NOT_COMPARABLE", "best_known", "percent", "plain_table", "summarise", "table"]


def table(summary: Mapping[str, Any]) -> RenderableType:
    """Return a summary for a terminal of 80 columns or more.

    Args:
        summary: as :func:`summarise` returns it.
    """
    from rich.console import Group as Stack
    from rich.text import Text

    head = Text.assemble((f"{summary['title']}", "bold"), f": {_counted(summary)}")
    arrived = Text(canary.told(summary["arrivals"]))
    alarms = [Text(f"Not to be trusted: {alarm}.", style="bold red") for alarm in summary["alarms"]]
    parts: list[RenderableType] = [head, arrived, *alarms, _tasks(summary)]
    beside = [f"{row['model']}: published, {row['subset']} set" for row in best_known(summary)]
    small = [
        "Strict counts every selected question and gives the 95 % interval, clustered by medium, Wilson's where there "
        "are few; reference is the published scorer, which leaves out what was not answered."
    ]
    small += ["; ".join(beside) + "."] * bool(beside) + [summary["note"]] * bool(summary["note"])
    parts += [Text(line, style="dim") for line in small]
    last = [_budget_told(summary), FIXED_COSTS] if fixed_costs(summary) else [_budget_told(summary)]
    told = (Text(line, style="dim") for line in last)
    return Stack(*parts, *_errors_told(summary), _latency_table(summary), *told)


def plain_table(title: str, rows: Iterable[tuple[str, Mapping[str, Any]]], crashes: int = 0) -> RenderableType:
    """Return figures by name for a terminal: number, credit and accuracy.

    Args:
        title: what they are figures of.
        rows: a name and its ``total``, ``correct`` and ``accuracy``; the last row is the sum.
        crashes: on how many answers the published scorer would have crashed.
    """
    from rich.table import Table
    from rich.text import Text

    told = f"The published scorer would have crashed on {crashes:,} answers; they are left out." if crashes else None
    out = Table(title=Text(title), caption=told, box=None, pad_edge=False, title_justify="left", caption_justify="left")
    for name in ("Task", "n", "Correct", "Accuracy"):
        out.add_column(name, justify="left" if name == "Task" else "right")
    listed = list(rows)
    for index, (name, cell) in enumerate(listed):
        style = "bold" if index == len(listed) - 1 else ""
        out.add_row(Text(name), f"{cell['total']:,}", f"{cell['correct']:g}", percent(cell["accuracy"]), style=style)
    return out


def percent(value: float | None) -> str:
    """Return a share as a percentage with one decimal, ``-`` if there is none."""
    return "-" if value is None else f"{100 * value:.1f}"


def between(cell: Mapping[str, Any]) -> str:
    """Return the interval of a figure in percent, such as `` [61-100]``; ``""`` where there is none."""
    if cell["low"] is None or cell["high"] is None:
        return ""
    low, high = (100 * min(1.0, max(0.0, cell[end])) for end in ("low", "high"))
    return f" [{low:.0f}-{high:.0f}]"


def _counted(summary: Mapping[str, Any]) -> str:
    again = summary["repeats"]
    asks, media = summary["asks"], summary["media"]
    told = f"{asks:,} question{'s' * (asks != 1)} about {media:,} {'media' if media != 1 else 'medium'}"
    if again["count"] > 1:
        told += f", {again['count']} times; {percent(again['consistency'])} % answered the same each time"
    return told


def _tasks(summary: Mapping[str, Any]) -> RenderableType:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    beside = best_known(summary)
    out = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    out.add_column("Task", min_width=20, overflow="fold")
    for name, width in (("L", 1), ("n", 5), ("Strict [95 %]", 13), ("Ref.", 5), ("Cov.", 5)):
        out.add_column(name, justify="right", width=width, no_wrap=True)
    for row in beside:
        out.add_column(Text(str(row["model"])), justify="right", width=8, overflow="fold")
    strict, reference, coverage = summary["strict"], summary["reference"], summary["coverage"]

    def add(
        name: str, level: Any, ours: Mapping[str, Any], ref: Mapping[str, Any], cov: Any, cells: Any, **o: Any
    ) -> None:
        sure = percent(ours["accuracy"]).replace("100.0", "100") + between(ours)
        total = ours.get("total", "")
        seen = "" if cov is None else percent(cov.get("coverage"))
        told = [str(level or ""), f"{total:,}" if total != "" else "", sure, percent(ref["accuracy"]), seen]
        out.add_row(Text(name), *told, *(percent(cell) for cell in cells), **o)

    shown = [group for group in summary["groups"] if group["selected"]]
    for index, group in enumerate(shown):
        code = group["code"]
        name = f"{code:<3} {group['name']}" if group["known"] else code
        cells = [row["cells"].get(code) for row in beside]
        last = index == len(shown) - 1
        per = coverage["per_group"][code]
        add(name, group["level"], strict["per_group"][code], reference["per_group"][code], per, cells, end_section=last)
    levels = [level for level, cell in strict["per_level"].items() if cell["total"]]
    for level in levels:
        ours, ref = strict["per_level"][level]["macro"], reference["per_level"][level]["macro"]
        name = f"Level {level}, mean of {_tasks_of(ours)}"
        add(name, level, ours, ref, None, [r["levels"][level] for r in beside], end_section=level == levels[-1])
    for key in ("macro13", "macro15") if strict["macro15"]["of"] != strict["macro13"]["of"] else ("macro15",):
        if strict[key]["groups"]:
            name = f"Mean of {_tasks_of(strict[key])}"
            add(name, "", strict[key], reference[key], None, [row[key] for row in beside], style="bold")
    add("All questions", "", strict["all"], reference["all"], coverage["all"], [None] * len(beside), style="bold")
    return out


def _tasks_of(cell: Mapping[str, Any]) -> str:
    there = "" if cell["groups"] == cell["of"] else f"{cell['groups']} of "
    return f"{there}{cell['of']} tasks" if cell["of"] != 1 else "1 task"


def _errors_told(summary: Mapping[str, Any]) -> list[RenderableType]:
    from rich.text import Text

    errors, crashes = summary["errors"], summary["reference"]["crashes"]
    told = [f"{count:>5}  {KINDS[kind]}" for kind, count in errors["counts"].items()]
    told += [f"         {m['count']} × {m['message']} (first: {m['first']})" for m in errors["messages"][:5]]
    told += [f"         {item['id']}: {item['problem']}" for item in errors["malformed"][:5]]
    if crashes:
        reasons = ", ".join(summary["reference"]["crash_reasons"])
        told.append(f"{crashes:>5}  answers on which the published scorer would have crashed ({reasons})")
    return (
        [Text("\nErrors", style="bold"), *(Text(line) for line in told), Text()] if told else [Text("\nNo errors.\n")]
    )


def _latency_table(summary: Mapping[str, Any]) -> RenderableType:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    out = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
    for name in ("Seconds", "Median", "95 %", "n"):
        out.add_column(name, justify="left" if name == "Seconds" else "right")
    for stage, found in summary["latency"].items():
        name = "question to answer" if stage == "answer_s" else stage.replace("_", " ")
        cells = ("-" if found[key] is None else f"{found[key]:.2f}" for key in ("median", "p95"))
        out.add_row(Text(name), *cells, f"{found['n']:,}")
    return out


def _budget_told(summary: Mapping[str, Any]) -> str:
    budget = summary["budget"]
    if budget["frames"] is None:
        return "Nothing was answered."
    return (
        f"Given to the policy, median: {budget['frames']:.0f} pictures, {budget['heard_s']:.1f} s of sound, "
        f"{budget['tokens']:,.0f} tokens. Media {summary['media_s'] / 3600:.2f} h, "
        f"work {summary['took_s'] / 3600:.2f} h."
    )
