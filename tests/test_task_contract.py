"""Every benchmark in ``policy/tasks``: the same items each time, nothing left out, and no answer that breaks it."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import build
from policy.tasks import PATTERNS, VARIANTS, Item, Task, TaskError

NAMES = build.available("task")


def humansense(folder: Path) -> int:
    patterns = {
        "Multiple-choice question (select one answer choice)": "B",
        "Multiple-choice question (select one or more answer choices)": "AC",
        "Question and answer (Arabic numerals)": "12",
        "Judgment question (Yes or No)": "No",
    }
    fixed = {"question": "What do you see?", "options": ["A. joy", "B. grief", "C. calm"], "asr_en": "Well."}
    seen: list[dict[str, Any]] = [
        {
            "video_path": f"data/videos/{number}.mp4",
            "questions": {**fixed, "task_type": "Some_Task", "question_pattern": pattern, "answer": answer},
        }
        for number, (pattern, answer) in enumerate(patterns.items())
    ]
    heard = [
        {"video_path": "data/audios/0.wav", "questions": {**seen[0]["questions"], "task_type": "Fraud_Recognition"}}
    ]
    broken: list[Any] = [None, {}, seen[0], {"video_path": "../x.mp4", "questions": seen[1]["questions"]}]
    (folder / "HumanSense_VQA.json").write_text(json.dumps([*seen, *broken]), encoding="utf-8")
    (folder / "HumanSense_AQA.json").write_text(json.dumps(heard), encoding="utf-8")
    return len(broken)


def streaming(folder: Path) -> int:
    asked = {"question": "What now?", "options": ["A. joy", "B. grief", "C. calm"], "answer": "B"}
    entries: list[Any] = [
        {
            "video_path": "videos/0.mp4",
            "task_type": "Now",
            "questions": [{**asked, "time_stamp": t} for t in (9, "0:05")],
        },
        {
            "video": "videos/1.mp4",
            "task": "OCR",
            "question": "What now?",
            "options": ["x", "y"],
            "gt": 1,
            "realtime": 3,
        },
        {"video_path": "videos/2.mp4", "questions": [{**asked, "time_stamp": "late"}]},
        None,
    ]
    (folder / "streaming.json").write_text(json.dumps(entries), encoding="utf-8")
    return 2


SAMPLES: Mapping[str, Callable[[Path], int]] = {"humansense": humansense, "streaming": streaming}
"""By benchmark: writes a small data set into a folder and returns how many of its entries cannot be used."""


def made(name: str) -> Task:
    task: Task = importlib.import_module(f"policy.tasks.{name}").load()
    return task


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    assert request.param in SAMPLES, f"write a small data set for {request.param} here"
    return str(request.param)


@pytest.fixture
def folder(name: str, tmp_path: Path) -> Path:
    SAMPLES[name](tmp_path)
    return tmp_path


def usable(task: Task, folder: Path) -> list[Item]:
    return [item for item in task.items(folder) if not item.problem]


def test_there_are_benchmarks() -> None:
    assert {"humansense", "streaming"} <= set(NAMES)


def test_it_names_itself_and_its_groups(name: str) -> None:
    task = made(name)
    assert task.name
    codes = [group.code for group in task.groups]
    assert len(codes) == len(set(codes))
    kinds = [kind for group in task.groups for kind in group.task_types]
    assert len(kinds) == len(set(kinds))
    assert all(row.cells.keys() <= set(codes) for row in task.published)


def test_the_same_folder_gives_the_same_items(
    name: str, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    once = made(name).items(folder)
    assert list(made(name).items(folder)) == list(once)
    copy = tmp_path_factory.mktemp("copy") / "elsewhere"
    shutil.copytree(folder, copy)
    assert list(made(name).items(copy)) == list(once)


def test_ids_are_unique(name: str, folder: Path) -> None:
    items = made(name).items(folder)
    ids, asks = [item.id for item in items], [ask.id for item in items for ask in item.asks]
    assert all(ids)
    assert all(asks)
    assert len(ids) == len(set(ids))
    assert len(asks) == len(set(asks))


def test_what_cannot_be_used_is_there_with_its_problem(name: str, tmp_path: Path) -> None:
    broken = SAMPLES[name](tmp_path)
    items = made(name).items(tmp_path)
    assert sum(bool(item.problem) for item in items) == broken > 0
    for item in items:
        assert item.asks or item.problem
        assert item.task_type


def test_a_question_is_put_with_all_its_options(name: str, folder: Path) -> None:
    task = made(name)
    for item in usable(task, folder):
        for ask in item.asks:
            for variant in VARIANTS:
                words = task.ask(item, ask, variant=variant, asr=True)
                assert ask.question in words
                assert all(option in words for option in ask.options)
                assert ask.asr in words


def test_questions_are_in_order_of_time(name: str, folder: Path) -> None:
    for item in usable(made(name), folder):
        instants = [ask.at for ask in item.asks]
        stamped = [at for at in instants if at is not None]
        assert stamped == sorted(stamped)
        assert instants[len(stamped) :] == [None] * (len(instants) - len(stamped))
        assert all(at >= 0 for at in stamped)


def test_the_right_answer_is_right_and_none_is_wrong(name: str, folder: Path) -> None:
    task = made(name)
    for item in usable(task, folder):
        for ask in item.asks:
            assert ask.pattern in PATTERNS
            for raw in (ask.answer, f"<think>Hm.</think><answer>{ask.answer}</answer>"):
                assert task.score(item, ask, raw, mode="think").exact
            assert task.reward(item, ask, f"<think>Hm.</think><answer>{ask.answer}</answer>") > task.reward(
                item, ask, "?"
            )
            nothing = task.score(item, ask, None)
            assert (nothing.credit, nothing.counts) == (0, True)


@pytest.mark.parametrize("benchmark_name", NAMES)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    raw=st.none() | st.text() | st.text(alphabet="ABC123 ,.<>/thinkaswer\n"), mode=st.sampled_from(["direct", "think"])
)
def test_no_answer_breaks_the_scorer(
    benchmark_name: str, tmp_path_factory: pytest.TempPathFactory, raw: str | None, mode: str
) -> None:
    task = made(benchmark_name)
    for item in sample(benchmark_name, tmp_path_factory):
        for ask in item.asks:
            strict = task.score(item, ask, raw, mode=mode)
            assert strict.counts
            assert not strict.crash
            reference = task.score(item, ask, raw, rules="reference", mode=mode)
            assert not (reference.crash and reference.counts)
            assert {strict.credit, reference.credit} <= {0, 0.5, 1}
            if raw is not None:
                assert 0 <= task.reward(item, ask, raw) <= 2


_KEPT: dict[str, list[Item]] = {}


def sample(name: str, tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    """All items of the sample, broken ones too, read once."""
    if name not in _KEPT:
        folder = tmp_path_factory.mktemp(name)
        SAMPLES[name](folder)
        _KEPT[name] = list(made(name).items(folder))
    return _KEPT[name]


def test_media_are_found_inside_the_folder_alone(name: str, folder: Path) -> None:
    task = made(name)
    for item in task.items(folder):
        with pytest.raises(TaskError):
            task.media_path(folder, item)
    for item in usable(task, folder):
        path = folder / item.media
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        assert task.media_path(folder, item).samefile(path)


def test_a_folder_without_the_data_set_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=tmp_path.name):
        made(name).items(tmp_path / "nothing")
