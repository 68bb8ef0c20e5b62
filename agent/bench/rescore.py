"""Score again what was answered before, without replaying anything: a run of ours, or a published results file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from agent import build
from agent.bench.judging import judge, repeats_of, selected
from agent.bench.records import RECORDS, RUN, RunError, read_records
from agent.config import Use
from policy.tasks import Scored

RULES: Final = ("strict", "reference")
MODES: Final = ("direct", "think")
_FIELDS: Final = frozenset(
    {
        *("question", "task_type", "question_pattern", "options", "answer", "full_frame_number", "fps", "asr_en"),
        *("asr", "time", "time_stamp", "video_or_clip", "video_path", "required_ability", "id"),
    }
)
"""Fields of a question in the published format that hold no answer of a model."""

Verdict = tuple[str, Scored]
"""Task type, as the data set spells it, and what came of one question."""


def rescore(
    path: Path, *, rules: str, mode: str = "direct", model: str | None = None, data: Path | None = None
) -> dict[str, Any]:
    """Return the figures of a run or of a results file.

    By the reference rules, what the published scorer leaves out is left out, and what would stop it with an error is
    left out too and counted in ``crashes``. By the strict ones every question counts, answered or not.

    Args:
        path: the folder of a run or its ``records.jsonl``; or a results file of the published runner, a JSON list
            with the answers among the fields of each question.
        rules: ``strict`` or ``reference``.
        mode: ``direct`` or ``think``: which form of answer was asked for.
        model: the key of the answers in a results file.
        data: folder of the data set of a run, if it is no longer where it was.

    Returns:
        ``rules``, ``mode``, ``per_task`` and ``all`` with ``total``, ``correct`` and ``accuracy``, and ``crashes``.
        A task type of which nothing counts is not in ``per_task``.

    Raises:
        RunError: there is nothing that can be scored; the message names the file and the fix.
        TaskError: the data set of a run cannot be read.
        ConfigError: the benchmark of a run is not known.
    """
    if rules not in RULES:
        raise RunError(f"there are no rules {rules!r}; there are: {', '.join(RULES)}")
    if mode not in MODES:
        raise RunError(f"there is no mode {mode!r}; there are: {', '.join(MODES)}")
    if not path.exists():
        raise RunError(f"{path} is not there; name the folder of a run, or a results file")
    if path.is_dir() or path.name in (RECORDS, RUN):
        folder = path if path.is_dir() else path.parent
        return _figures(_of_run(folder, rules=rules, mode=mode, data=data), rules=rules, mode=mode)
    return _figures(_of_results(path, model, rules=rules, mode=mode), rules=rules, mode=mode)


def _of_run(folder: Path, *, rules: str, mode: str, data: Path | None) -> Iterable[Verdict]:
    run = _read(folder / RUN, "score the folder of a run, with its run.json")
    if not isinstance(run, dict) or not isinstance(run.get("task"), str):
        raise RunError(f"{folder / RUN} does not say which benchmark it is of; score the folder of a run")
    where = data if data is not None else run.get("data")
    if not isinstance(where, str | Path):
        raise RunError(f"{folder / RUN} does not say where the data set is; name its folder")
    options = run.get("options")
    task = build.task(Use(run["task"], options if isinstance(options, dict) else {}))
    records = list(read_records(folder))
    items = selected(task.items(Path(where)), run)
    if run.get("selected") is None:
        recorded = {record.id for record in records}
        items = [item for item in items if item.id in recorded]
    for judged in judge(task, items, records, repeats=repeats_of(records, run), mode=mode):
        for one in judged.tries:
            yield judged.item.task_type, one.reference if rules == "reference" else one.strict


def _of_results(path: Path, model: str | None, *, rules: str, mode: str) -> Iterable[Verdict]:
    entries = _read(path, "name the folder of a run, or a results file")
    if not isinstance(entries, list):
        raise RunError(f"{path} holds no list of entries; name the folder of a run, or a results file")
    known = _models(entries)
    if model is None or (entries and model not in known):
        lacks = "is of one model or several" if model is None else f"holds no answers of {model!r}"
        if not known:
            raise RunError(f"{path} holds no answers; name a file that the published runner has written")
        raise RunError(f"{path} {lacks}; name one with --model, out of: {', '.join(known)}")
    found: Iterable[Verdict] = _judge_of_results()(entries, model, rules=rules, mode=mode)
    return found


def _judge_of_results() -> Any:
    task: Any = build.task(Use("humansense"))
    return task.results


def _models(entries: Iterable[Any]) -> list[str]:
    """Return the keys under which answers may stand, in order of appearance."""
    found: dict[str, None] = {}
    for entry in entries:
        questions = entry.get("questions") if isinstance(entry, dict) else None
        for question in questions if isinstance(questions, list) else [questions]:
            if isinstance(question, dict):
                found.update((key, None) for key in question if key not in _FIELDS)
    return list(found)


def _read(path: Path, fix: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror or error}); {fix}") from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is no JSON ({error}); {fix}") from error


def _figures(verdicts: Iterable[Verdict], *, rules: str, mode: str) -> dict[str, Any]:
    totals, credits, crashes = Counter[str](), dict[str, float](), 0
    for kind, verdict in verdicts:
        crashes += bool(verdict.crash)
        if verdict.counts and not verdict.crash:
            totals[kind] += 1
            credits[kind] = credits.get(kind, 0.0) + verdict.credit
    per_task = {kind: _figure(total, credits[kind]) for kind, total in totals.items()}
    everything = _figure(sum(totals.values()), sum(credits.values()))
    return {"rules": rules, "mode": mode, "per_task": per_task, "all": everything, "crashes": crashes}


def _figure(total: int, correct: float) -> Mapping[str, float]:
    return {"total": total, "correct": correct, "accuracy": correct / total if total else 0.0}
