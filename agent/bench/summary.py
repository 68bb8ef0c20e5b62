"""What a run amounts to: two accuracies with their errors, coverage, errors, times; beside what others have reached.

``strict`` counts every selected question, and what has no answer is wrong. ``reference`` is the published scorer, bit
for bit: it leaves out what was not answered. The published rows were made with the latter.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from agent.bench import canary
from agent.bench.judging import KINDS, Judged, judge, repeats_of, selected
from agent.bench.records import Record
from agent.bench.stats import FEW, Estimate, accuracy, interval, macro, median, percentile, wilson
from policy.tasks import Group, Item, Published, Task

BUILT_IN: Final = "Built-in set"
NOT_COMPARABLE: Final = "A smoke test of the loop; not comparable with published results."

_CONDITION: Final = ("variant", "feed", "asr", "hear_all", "settle_s", "measured", "policy", "model", "senses", "seed")
_HUMAN: Final = "human"
_NO_TIME: Final = ("_count", "_bytes", "_depth")

FIXED_COSTS: Final = "Times are on the clock of the call, with fixed costs for work: they compare runs, not machines."

Credit = Callable[[Judged], float | None]
"""What a question earns by some rule; ``None`` where the rule leaves it out."""


def summarise(
    task: Task,
    items: Sequence[Item],
    records: Sequence[Record],
    run: Mapping[str, Any],
    *,
    mode: str = "direct",
) -> dict[str, Any]:
    """Sum up a run as plain JSON values, in an order that is always the same.

    Args:
        task: the benchmark.
        items: all items of the data set; ``run["selected"]`` names those that count, else all do.
        records: what came of them.
        run: what was run; ``comparable: false`` leaves the published rows out.
        mode: ``direct`` or ``think``: which form of answer was asked for.

    Raises:
        RunError: the run is not of this data set.
    """
    chosen = selected(items, run)
    ids = {item.id for item in chosen}
    ours = [record for record in records if record.id in ids]
    count = repeats_of(ours, run)
    judged = judge(task, chosen, ours, repeats=count, mode=mode)
    groups = [*task.groups]
    groups += [
        Group(code=c, name=c, in_average=False) for c in dict.fromkeys(j.code for j in judged) if not _in(groups, c)
    ]
    strict = _block(judged, groups, task, lambda j: j.strict)
    strict["exact"] = _cell(judged, lambda j: j.exact)
    reference = _block(judged, groups, task, lambda j: j.reference)
    crashes = Counter(t.reference.crash.partition(":")[0] for j in judged for t in j.tries if t.reference.crash)
    reference |= {"crashes": sum(crashes.values()), "crash_reasons": dict(sorted(crashes.items()))}
    strict |= {"crashes": 0}
    comparable = run.get("comparable", True) is not False
    usable = [j for j in judged if j.ask is not None and not j.item.problem]
    steady = sum(j.steady for j in usable) / len(usable) if usable and count > 1 else None
    return {
        "task": task.name,
        "mode": mode,
        "selected": None if run.get("selected") is None else [item.id for item in chosen],
        "asks": len(judged),
        "items": len(chosen),
        "media": len({j.cluster for j in judged}),
        "records": len(ours),
        "repeats": {"count": count, "asks": len(usable), "consistency": steady},
        "comparable": comparable,
        "note": _note(judged, task, comparable),
        "title": _title(task, run),
        "arrivals": (arrived := canary.arrivals(chosen, ours, native=_condition(run).get("feed") == "native")),
        "alarms": canary.alarms(arrived),
        "condition": _condition(run),
        "versions": {key: str(run[key]) for key in ("code", "data_hash") if run.get(key)},
        "groups": [_group(group, judged, task) for group in groups],
        "strict": strict,
        "reference": reference,
        "coverage": _coverage(judged),
        "errors": _errors(judged),
        "latency": _latency(ours, judged),
        "budget": _budget(ours, judged),
        "media_s": math.fsum(record.media_s for record in ours),
        "took_s": math.fsum(record.took_s for record in ours),
        "published": [_published(row, task, judged) for row in task.published] if comparable else [],
    }


def best_known(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the published rows to stand beside a run: the best of those that cover the most tasks, and people's."""
    rows: Sequence[Mapping[str, Any]] = summary["published"]
    people = [row for row in rows if _HUMAN in str(row["model"]).lower()]
    models = [row for row in rows if row not in people]
    best = sorted(models, key=lambda r: (len(r["cells"]), r["subset"] == "full", r["average"] or 0.0))[-1:]
    return best + people[:1]


def fixed_costs(summary: Mapping[str, Any]) -> bool:
    """Tell whether the times of a run are what the condition charges, and not what work took."""
    return summary["condition"].get("measured") is False


def _in(groups: Iterable[Group], code: str) -> bool:
    return any(group.code == code for group in groups)


def _series(judged: Iterable[Judged], credit: Credit) -> tuple[list[float], list[str]]:
    pairs = [(found, j.cluster) for j in judged if (found := credit(j)) is not None]
    return [found for found, _ in pairs], [cluster for _, cluster in pairs]


def _cell(judged: Iterable[Judged], credit: Credit) -> dict[str, Any]:
    credits, clusters = _series(judged, credit)
    return {"total": len(credits), "correct": math.fsum(credits), **_estimate(accuracy(credits, clusters))}


def _estimate(found: Estimate, *, share: bool = True) -> dict[str, Any]:
    """Return a figure with its interval; a ``share`` of few clusters has Wilson's, a mean of shares has not."""
    low, high = interval(found)
    if share and found.mean is not None and 0 < found.clusters < FEW:
        low, high = wilson(found.mean, found.clusters)
    return {"accuracy": found.mean, "se": found.se, "low": low, "high": high, "clusters": found.clusters}


def _macro(judged: Sequence[Judged], codes: Sequence[str], credit: Credit) -> dict[str, Any]:
    series = {code: _series((j for j in judged if j.code == code), credit) for code in codes}
    lacking = [code for code, (credits, _) in series.items() if not credits]
    found = macro(list(series.values()))
    return {**_estimate(found, share=False), "groups": found.n, "of": len(codes), "missing": lacking}


def _block(judged: Sequence[Judged], groups: Sequence[Group], task: Task, credit: Credit) -> dict[str, Any]:
    kinds = dict.fromkeys(kind for group in groups for kind in group.task_types)
    kinds = dict.fromkeys([*kinds, *(j.item.task_type for j in judged)])
    present = {j.item.task_type for j in judged}
    levels = sorted({group.level for group in task.groups} - {0})
    in_level = {level: [g.code for g in task.groups if g.level == level] for level in levels}
    return {
        "per_task": {k: _cell((j for j in judged if j.item.task_type == k), credit) for k in kinds if k in present},
        "per_group": {g.code: _cell((j for j in judged if j.code == g.code), credit) for g in groups},
        "per_level": {
            str(level): _cell((j for j in judged if j.code in codes), credit) | {"macro": _macro(judged, codes, credit)}
            for level, codes in in_level.items()
        },
        "all": _cell(judged, credit),
        "macro13": _macro(judged, [g.code for g in task.groups if g.in_average], credit),
        "macro15": _macro(judged, [g.code for g in task.groups], credit),
    }


def _group(group: Group, judged: Iterable[Judged], task: Task) -> dict[str, Any]:
    return {
        "code": group.code,
        "name": group.name,
        "level": group.level,
        "n": group.n,
        "in_average": group.in_average,
        "known": _in(task.groups, group.code),
        "selected": sum(j.code == group.code for j in judged),
    }


def _published(row: Published, task: Task, judged: Sequence[Judged]) -> dict[str, Any]:
    """Return the row, with its means over the tasks that the run has; ``None`` where it lacks one of them."""
    present = {j.code for j in judged}

    def mean(codes: Iterable[str]) -> float | None:
        cells = [row.cells.get(code) for code in codes if code in present]
        known = [cell for cell in cells if cell is not None]
        return math.fsum(known) / len(known) if known and len(known) == len(cells) else None

    levels = sorted({group.level for group in task.groups} - {0})
    return {
        "model": row.model,
        "subset": row.subset,
        "average": row.average,
        "cells": {g.code: row.cells[g.code] for g in task.groups if g.code in row.cells},
        "macro13": mean(g.code for g in task.groups if g.in_average),
        "macro15": mean(g.code for g in task.groups),
        "levels": {str(level): mean(g.code for g in task.groups if g.level == level) for level in levels},
    }


def _coverage(judged: Sequence[Judged]) -> dict[str, Any]:
    def cell(some: Iterable[Judged]) -> dict[str, Any]:
        tries = [t for j in some for t in j.tries]
        answered = sum(t.answered for t in tries)
        return {
            "selected": len(tries),
            "answered": answered,
            "coverage": answered / len(tries) if tries else None,
        }

    kinds = dict.fromkeys(j.item.task_type for j in judged)
    codes = dict.fromkeys(j.code for j in judged)
    return {
        "per_task": {kind: cell(j for j in judged if j.item.task_type == kind) for kind in kinds},
        "per_group": {code: cell(j for j in judged if j.code == code) for code in codes},
        "all": cell(judged),
    }


def _errors(judged: Sequence[Judged]) -> dict[str, Any]:
    tries = [(j, t) for j in judged for t in j.tries]
    counts = Counter(t.kind for _, t in tries if t.kind)
    messages = Counter((t.kind, t.message) for _, t in tries if t.message and t.kind != "malformed")
    first = {(t.kind, t.message): j.item.id for j, t in reversed(tries)}
    broken = {j.item.id: j.item for j in judged if j.item.problem}
    return {
        "counts": {kind: counts[kind] for kind in KINDS if counts[kind]},
        "messages": [
            {"kind": kind, "message": message, "count": n, "first": first[kind, message]}
            for (kind, message), n in sorted(messages.items(), key=lambda found: (-found[1], found[0]))[:20]
        ],
        "malformed": [{"id": i.id, "task_type": i.task_type, "problem": i.problem} for i in broken.values()],
    }


def _latency(records: Sequence[Record], judged: Sequence[Judged]) -> dict[str, Any]:
    """Of those that answered: the coverage says how many did not."""
    found = {"answer_s": [t.answer.answer_s for j in judged for t in j.tries if t.answered and t.answer]}
    for stage in sorted({name for record in records for name in record.stages if not name.endswith(_NO_TIME)}):
        found[stage] = [record.stages[stage] for record in records if stage in record.stages]
    return {k: {"median": median(v), "p95": percentile(v, 95), "n": len(v)} for k, v in found.items()}


def _budget(records: Sequence[Record], judged: Sequence[Judged]) -> dict[str, Any]:
    answers = [t.answer for j in judged for t in j.tries if t.answered and t.answer]
    dropped: Counter[str] = Counter()
    for record in records:
        dropped.update({k: int(v) for k, v in record.stages.items() if k.endswith("_dropped_count") and v})
    return {
        "frames": median([a.frames for a in answers]),
        "heard_s": median([a.heard_s for a in answers]),
        "tokens": median([a.tokens for a in answers]),
        "frames_seen": median([r.frames_seen for r in records if not r.error]),
        "sensed_s": median([r.heard_s for r in records if not r.error]),
        "dropped": dict(sorted(dropped.items())),
    }


def _title(task: Task, run: Mapping[str, Any]) -> str:
    """Return what was run, as a reader of a picture of the report must not misread it."""
    return BUILT_IN if run.get("comparable", True) is False else str(run.get("name") or task.name)


def _condition(run: Mapping[str, Any]) -> dict[str, Any]:
    told = {**run.get("condition", {}), **{key: run[key] for key in _CONDITION if key in run}}
    return {str(k): v if isinstance(v, (str, int, float, bool, type(None))) else str(v) for k, v in told.items()}


def _note(judged: Sequence[Judged], task: Task, comparable: bool) -> str:
    if not comparable:
        return NOT_COMPARABLE
    known, total = sum(_in(task.groups, j.code) for j in judged), sum(group.n for group in task.groups)
    if 0 < known < total:
        return f"A part of the benchmark: {known:,} of {total:,} questions. The errors say how far the numbers go."
    return ""
