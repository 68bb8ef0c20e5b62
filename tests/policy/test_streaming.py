from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from perception.timebase import MS, SECOND
from policy.tasks import SINGLE, Item, TaskError
from policy.tasks.streaming import load

LETTERED = ["A. red", "B. green", "C. blue", "D. grey"]
BARE = ["red", "green", "blue", "grey"]


def question(stamp: Any, words: str = "Which colour is the door now?", **more: Any) -> dict[str, Any]:
    return {"question": words, "options": LETTERED, "answer": "B", "time_stamp": stamp, **more}


def stream(*questions: Any, path: str = "./videos/a.mp4", **more: Any) -> dict[str, Any]:
    return {"video_path": path, "task_type": "Colours", "questions": list(questions), **more}


def probe(realtime: Any, **more: Any) -> dict[str, Any]:
    fixed = {"id": 7, "video": "AutoEvalMetaData/a.mp4", "task": "OCR", "question": "What does the sign say?"}
    return {**fixed, "options": BARE, "gt": 1, "realtime": realtime, **more}


def items(folder: Path, *entries: Any) -> list[Item]:
    folder.mkdir(exist_ok=True)
    (folder / "streaming.json").write_text(json.dumps(entries), encoding="utf-8")
    return load().items(folder)


def test_one_medium_is_one_item_with_its_questions_in_order_of_time(tmp_path: Path) -> None:
    found = items(
        tmp_path,
        stream(question("00:01:52", "b"), question("00:00:50", "a")),
        stream(question("00:00:10"), path="./videos/b.mp4"),
        stream(question(170.5, "c"), question("2:30", "d")),
    )
    first, second = found
    assert [ask.question for ask in first.asks] == ["a", "b", "d", "c"]
    assert [ask.at for ask in first.asks] == [50 * SECOND, 112 * SECOND, 150 * SECOND, 170_500 * MS]
    assert (first.media, first.task_type, first.sees, first.hears) == ("./videos/a.mp4", "Colours", True, True)
    assert [ask.at for ask in second.asks] == [10 * SECOND]
    assert not any(item.problem for item in found)
    assert {ask.pattern for item in found for ask in item.asks} == {SINGLE}
    ids = [item.id for item in found] + [ask.id for ask in first.asks]
    assert len(ids) == len(set(ids))


def test_a_question_may_have_a_type_of_its_own(tmp_path: Path) -> None:
    found = items(tmp_path, stream(question(1, "a"), question(2, "b", task_type="Shapes"), question(3, "c")))
    assert [(item.task_type, len(item.asks)) for item in found] == [("Colours", 2), ("Shapes", 1)]
    (untyped,) = items(tmp_path, {"video_path": "a.mp4", "questions": [question(1)]})
    assert (untyped.task_type, untyped.problem) == ("unknown", "")


def test_the_other_spelling(tmp_path: Path) -> None:
    first, second = items(tmp_path, probe(12.5), probe(8, gt=3), probe(1, task="STU"))
    assert (first.task_type, first.media) == ("OCR", "AutoEvalMetaData/a.mp4")
    assert [(ask.at, ask.answer) for ask in first.asks] == [(8 * SECOND, "D"), (12_500 * MS, "B")]
    assert first.asks[0].options == ("A. red", "B. green", "C. blue", "D. grey")
    assert second.task_type == "STU"


def test_options_without_letters_get_them(tmp_path: Path) -> None:
    (item,) = items(tmp_path, stream(question(1, options=BARE)))
    assert item.asks[0].options == tuple(LETTERED)
    assert "\n".join(LETTERED) in load().ask(item, item.asks[0])


@pytest.mark.parametrize(
    ("stamp", "at"),
    [
        *(("00:00:50", 50), ("01:00:00", 3600), ("0:01:02", 62), ("3:05", 185), ("90:00", 5400), ("7", 7)),
        *((7, 7), (0, 0), (12.25, 12.25), ("00:00:01.5", 1.5)),
    ],
)
def test_instants(tmp_path: Path, stamp: Any, at: float) -> None:
    (item,) = items(tmp_path, stream(question(stamp)))
    assert item.problem == ""
    assert item.asks[0].at == at * SECOND


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        ("text", "object"),
        ({"video_path": "a.mp4"}, "questions"),
        (stream(), "questions"),
        ({"video_path": "a.mp4", "questions": question(1)}, "questions"),
        (stream("what?"), "question"),
        *(
            (stream(question(stamp)), "time_stamp")
            for stamp in (None, "", "soon", "1:75", "1:75:00", -1, True, "1:2:3:4")
        ),
        (stream(question(1, words="")), "question"),
        (stream(question(1, options=None)), "options"),
        (stream(question(1, options=["A. red"])), "options"),
        (stream(question(1, options=["A. red", 5])), "options"),
        (stream(question(1, answer="E")), "answer"),
        (stream(question(1, answer=None)), "answer"),
        (stream(question(1), path="../a.mp4"), "video_path"),
        (stream(question(1), path="/a.mp4"), "video_path"),
        ({"questions": [question(1)]}, "video_path"),
        *((probe(1, gt=gt), "option") for gt in (4, -1, None, "B", True)),
        (probe(None), "realtime"),
        (probe(1, video=5), "video"),
        (probe(1, options="red"), "options"),
        ({**probe(1), "test_info": [{"realtime": 3, "type": 0}]}, "test_info"),
    ],
)
def test_a_broken_question_stays_and_names_its_field(tmp_path: Path, broken: Any, named: str) -> None:
    first, bad, last = items(tmp_path, stream(question(1)), broken, stream(question(2), path="b.mp4"))
    assert (first.problem, last.problem) == ("", "")
    assert named in bad.problem
    assert len({first.id, bad.id, last.id}) == 3


def test_a_broken_question_does_not_spoil_its_neighbours(tmp_path: Path) -> None:
    good, bad = items(tmp_path, stream(question(1, "a"), question("soon", "b"), question(3, "c")))
    assert ([ask.question for ask in good.asks], good.problem) == (["a", "c"], "")
    assert "time_stamp" in bad.problem


def test_the_same_question_twice_is_a_problem(tmp_path: Path) -> None:
    good, bad = items(tmp_path, stream(question(1, "a"), question(2, "b"), question(1, "a")))
    assert [ask.question for ask in good.asks] == ["a", "b"]
    assert bad.problem
    assert bad.asks[0].id not in [ask.id for ask in good.asks]


def test_what_others_would_have_scored(tmp_path: Path) -> None:
    first, second = items(tmp_path, stream(question(1)), probe(1))
    task = load()

    def told(item: Item, raw: str | None) -> float | str:
        verdict = task.score(item, item.asks[0], raw, rules="reference")
        return "crash" if verdict.crash else verdict.credit if verdict.counts else "out"

    said = ["B", "B. green", "b", " B", "The answer is B", "D or B", "", None]
    assert [told(first, raw) for raw in said] == [1, 1, 0, 0, 0, 0, "crash", "out"]
    assert [told(second, raw) for raw in said] == [1, 1, 0, 1, 1, 1, 0, 0]
    strict = [task.score(first, first.asks[0], raw) for raw in said]
    assert [verdict.credit for verdict in strict] == [1, 1, 1, 1, 1, 0, 0, 0]
    assert all(verdict.counts for verdict in strict)
    with pytest.raises(ValueError, match="strict, reference"):
        task.score(first, first.asks[0], "B", rules="kind")


def test_rewards(tmp_path: Path) -> None:
    (item,) = items(tmp_path, stream(question(1)))
    answers = ("<think>a</think><answer>B</answer>", "B", "<think>a</think><answer>C</answer>", "C")
    assert [load().reward(item, item.asks[0], raw) for raw in answers] == [2, 1, 1, 0]


def test_media(tmp_path: Path) -> None:
    (item,) = items(tmp_path, stream(question(1)))
    with pytest.raises(TaskError, match=r"videos/a\.mp4"):
        load().media_path(tmp_path, item)
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/a.mp4").touch()
    assert load().media_path(tmp_path, item).samefile(tmp_path / "videos/a.mp4")


def test_a_folder_without_questions_is_told(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"streaming\.json"):
        load().items(tmp_path)
