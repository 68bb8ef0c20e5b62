from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.bench.records import Answer, Ledger, Record, RunError
from agent.bench.rescore import rescore
from policy.tasks import TaskError
from policy.tasks.humansense import load
from tests.policy.quirks import CRASHES, ENTRIES, FOUR, MODEL, NUMBER, OUT, QUIRKS, SINGLE, TOTALS, Quirk


def results(folder: Path, entries: Any) -> Path:
    path = folder / "results.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    return path


def totals(figures: Mapping[str, Any]) -> dict[str, tuple[int, float]]:
    return {kind: (figure["total"], figure["correct"]) for kind, figure in figures["per_task"].items()}


@pytest.mark.parametrize("mode", ["direct", "think"])
def test_a_results_file_by_the_published_rules(tmp_path: Path, mode: str) -> None:
    found = rescore(results(tmp_path, ENTRIES), rules="reference", mode=mode, model=MODEL)
    assert (found["rules"], found["mode"]) == ("reference", mode)
    assert totals(found) == TOTALS[mode]
    assert found["crashes"] == CRASHES[mode]
    total, correct = (sum(figure[index] for figure in TOTALS[mode].values()) for index in (0, 1))
    assert found["all"] == {"total": total, "correct": correct, "accuracy": correct / total}
    assert found["per_task"]["Action_Recognition"]["accuracy"] == {"direct": 5.5 / 16, "think": 12 / 17}[mode]


@pytest.mark.parametrize("mode", ["direct", "think"])
@pytest.mark.parametrize("quirk", QUIRKS, ids=lambda quirk: repr(quirk.question.get(MODEL)))
def test_each_entry_alone(tmp_path: Path, quirk: Quirk, mode: str) -> None:
    beside = {"questions": {"task_type": "Beside", "question_pattern": "none", MODEL: "x", "answer": "A"}}
    found = rescore(results(tmp_path, [beside, quirk.entry]), rules="reference", mode=mode, model=MODEL)
    expected = getattr(quirk, mode)
    if isinstance(expected, str):
        assert (found["per_task"], found["all"]["total"]) == ({}, 0)
        assert found["crashes"] == (expected != OUT)
    else:
        assert totals(found) == {quirk.question["task_type"]: (1, expected)}
        assert found["crashes"] == 0


def test_a_results_file_by_the_strict_rules(tmp_path: Path) -> None:
    found = rescore(results(tmp_path, [*ENTRIES, None]), rules="strict", model=MODEL)
    assert found["all"]["total"] == len(ENTRIES) + 1
    assert found["crashes"] == 0
    assert sum(figure["total"] for figure in found["per_task"].values()) == found["all"]["total"]


def test_what_the_rules_make_of_the_same_answers(tmp_path: Path) -> None:
    def asked(pattern: str, answer: str, said: Any, options: Any = FOUR) -> dict[str, Any]:
        fixed = {"question": "?", "task_type": "T", "question_pattern": pattern, "answer": answer, "options": options}
        return {"video_path": "data/x.mp4", "questions": {**fixed, MODEL: said}}

    entries = [
        asked(SINGLE, "D", "(D)"),
        asked(SINGLE, "D", "The answer is D"),
        asked(SINGLE, "T", "The answer is D"),  # the key names no option
        asked(SINGLE, "D", ""),
        asked(SINGLE, "D", None),
        asked(NUMBER, "10", "10"),
        asked(NUMBER, "1", "12"),
        asked(NUMBER, "3", "three"),
    ]
    path = results(tmp_path, entries)
    strict = rescore(path, rules="strict", model=MODEL)
    assert totals(strict) == {"T": (8, 4)}
    reference = rescore(path, rules="reference", model=MODEL)
    assert totals(reference) == {"T": (6, 2)}


def test_a_model_must_be_named(tmp_path: Path) -> None:
    entries = [{"questions": {**QUIRKS[0].question, "Other-7B": None, "asr_en": "hello", "fps": 25}}]
    path = results(tmp_path, entries)
    for model in (None, "Third-7B"):
        with pytest.raises(RunError, match=r"Some-Model, Other-7B$"):
            rescore(path, rules="reference", model=model)
    assert rescore(path, rules="reference", model="Other-7B")["all"] == {"total": 0, "correct": 0, "accuracy": 0}
    with pytest.raises(RunError, match="no answers"):
        rescore(results(tmp_path, [{"questions": {"question": "?"}}]), rules="reference", model=MODEL)


def test_an_empty_file_is_nothing(tmp_path: Path) -> None:
    path = results(tmp_path, [])
    with pytest.raises(RunError, match="no answers"):
        rescore(path, rules="strict")


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1}', b"\xff\xfe", b"5"])
def test_a_file_that_is_none_of_both_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"results\.json"):
        rescore(path, rules="strict", model=MODEL)


def test_what_is_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nowhere"):
        rescore(tmp_path / "nowhere", rules="strict")
    with pytest.raises(RunError, match="strict, reference"):
        rescore(tmp_path, rules="kind")
    with pytest.raises(RunError, match="direct, think"):
        rescore(tmp_path, rules="strict", mode="aloud")
    with pytest.raises(RunError, match=r"run\.json"):
        rescore(tmp_path, rules="strict")


def data_set(folder: Path) -> Path:
    folder.mkdir()
    entries: list[Any] = [
        {
            "video_path": f"data/videos/{number}.mp4",
            "questions": {
                "question": "Which mood?",
                "task_type": "Emo_Strategy" if number < 3 else "Lie_Detection",
                "question_pattern": SINGLE,
                "options": FOUR,
                "answer": "D",
            },
        }
        for number in range(5)
    ]
    (folder / "HumanSense_VQA.json").write_text(json.dumps([*entries, {"video_path": "x"}]), encoding="utf-8")
    return folder


def run(tmp_path: Path, said: Mapping[int, str | None], *, repeat: int = 1, **more: Any) -> Path:
    """A run over six items, one of them broken, with answers to some of them in every repetition but the last."""
    folder = data_set(tmp_path / "data")
    items = load().items(folder)
    identity = {"task": "humansense", "options": {}, "data": str(folder), "repeat": repeat, **more}
    identity.setdefault("selected", [item.id for item in items])
    with Ledger(tmp_path / "run", identity) as ledger:
        for number, raw in said.items():
            item = items[number]
            answers = (Answer(ask=item.asks[0].id, raw=raw, error="" if raw else "late"),)
            ledger.append(Record(id=item.id, task_type=item.task_type, media=item.media, answers=answers))
    return tmp_path / "run"


SAID: Mapping[int, str | None] = {0: "D", 1: "(D)", 3: "D", 4: None}


@pytest.mark.parametrize("file", ["", "records.jsonl", "run.json"])
def test_a_run_by_both_rules(tmp_path: Path, file: str) -> None:
    path = run(tmp_path, SAID) / file
    strict = rescore(path, rules="strict")
    assert totals(strict) == {"Emo_Strategy": (3, 2), "Lie_Detection": (2, 1), "unknown": (1, 0)}
    assert strict["all"] == {"total": 6, "correct": 3, "accuracy": 0.5}
    reference = rescore(path, rules="reference")
    assert totals(reference) == {"Emo_Strategy": (2, 1), "Lie_Detection": (1, 1)}


def test_only_what_was_selected_counts(tmp_path: Path) -> None:
    items = load().items(data_set(tmp_path / "other"))
    path = run(tmp_path, SAID, selected=[items[0].id, items[2].id])
    assert totals(rescore(path, rules="strict")) == {"Emo_Strategy": (2, 1)}


def test_a_run_that_does_not_say_what_was_selected_is_about_what_it_recorded(tmp_path: Path) -> None:
    path = run(tmp_path, SAID, selected=None)
    assert totals(rescore(path, rules="strict")) == {"Emo_Strategy": (2, 2), "Lie_Detection": (2, 1)}


def test_every_repetition_counts(tmp_path: Path) -> None:
    path = run(tmp_path, SAID, repeat=2)
    assert rescore(path, rules="strict")["all"] == {"total": 12, "correct": 3, "accuracy": 0.25}


def test_a_run_of_another_data_set_is_told(tmp_path: Path) -> None:
    path = run(tmp_path, SAID, selected=["0123456789ab"])
    with pytest.raises(RunError, match="0123456789ab"):
        rescore(path, rules="strict")


def test_a_data_set_that_has_moved_can_be_named(tmp_path: Path) -> None:
    path = run(tmp_path, SAID)
    before = rescore(path, rules="strict")
    (tmp_path / "data").rename(tmp_path / "moved")
    with pytest.raises(TaskError, match="HumanSense_VQA"):
        rescore(path, rules="strict")
    assert rescore(path, rules="strict", data=tmp_path / "moved") == before


def test_a_broken_run_is_told(tmp_path: Path) -> None:
    path = run(tmp_path, SAID)
    lines = (path / "records.jsonl").read_bytes()
    (path / "records.jsonl").write_bytes(b"broken\n" + lines)
    with pytest.raises(RunError, match="line 1"):
        rescore(path, rules="strict")
    (path / "run.json").write_text("[]", encoding="utf-8")
    with pytest.raises(RunError, match=r"run\.json"):
        rescore(path, rules="strict")
