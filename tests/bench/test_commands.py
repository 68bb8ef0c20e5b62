"""``agent bench`` as a person types it: real children, small films, one light sense and the scripted policy."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.bench.plan import Selection, select
from agent.bench.records import RECORDS
from agent.cli import USAGE, main
from policy.tasks import Item, humansense
from tests.bench.test_replaying import film
from tests.media_samples import write_sound

pytestmark = pytest.mark.slow

SINGLE = "Multiple-choice question (select one answer choice)"
MULTI = "Multiple-choice question (select one or more answer choices)"
NUMBER = "Question and answer (Arabic numerals)"
YES_NO = "Judgment question (Yes or No)"
OPTIONS = ["A. red", "B. blue", "C. green", "D. loud"]


def entry(path: str, task: str, pattern: str, answer: str, **more: Any) -> dict[str, Any]:
    question = {"question": "How is it?", "task_type": task, "question_pattern": pattern, "answer": answer}
    return {"video_path": path, "questions": question | {"full_frame_number": 40, "fps": 20} | more}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in the official layout with every pattern and every way to be wrong."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "data" / "videos").mkdir(parents=True)
    (folder / "data" / "audios").mkdir()
    for n in range(6):
        film(folder / f"data/videos/{n}.mp4", [30 * n] * 20 + [200] * 20)
    (folder / "data/videos/broken.mp4").write_bytes(b"no film " * 200)
    write_sound(folder / "data/audios/a.wav")
    (folder / "data/audios/empty.wav").write_bytes(b"")
    videos = [entry(f"data/videos/{n}.mp4", "Emotion_Recognition", SINGLE, "A", options=OPTIONS) for n in range(6)]
    videos += [
        entry("data/videos/0.mp4", "Action_Recognition", MULTI, "AB", options=OPTIONS),
        entry("data/videos/0.mp4", "Human_Counting", NUMBER, "0"),
        entry("data/videos/0.mp4", "Lie_Detection", YES_NO, "No"),
        entry("data/videos/broken.mp4", "Emotion_Recognition", SINGLE, "A", options=OPTIONS),
        entry("data/videos/missing.mp4", "Emotion_Recognition", SINGLE, "A", options=OPTIONS),
        entry("../../etc/passwd", "Emotion_Recognition", SINGLE, "A", options=OPTIONS),
        entry("data/videos/1.mp4", "Emotion_Recognition", SINGLE, "E", options=OPTIONS),
        entry("data/videos/1.mp4", "Emotion_Recognition", "Essay", "A", options=OPTIONS),
        entry("data/videos/0.mp4", "Emotion_Recognition", SINGLE, "A", options=OPTIONS),
    ]
    sounds = [
        entry("data/audios/a.wav", "Psychological_Chat", SINGLE, "A", options=OPTIONS),
        entry("data/audios/empty.wav", "Psychological_Chat", SINGLE, "A", options=OPTIONS),
    ]
    (folder / "HumanSense_VQA.json").write_text(json.dumps(videos), encoding="utf-8")
    (folder / "HumanSense_AQA.json").write_text(json.dumps(sounds), encoding="utf-8")
    (folder / "light.toml").write_text('workers = ["scene"]\npolicy = "scripted"\nvoice = "plain"\n', encoding="utf-8")
    return folder


def command(data: Path, out: Path, *more: str) -> list[str]:
    return [
        "bench",
        "--data",
        str(data),
        "--config",
        str(data / "light.toml"),
        "--out",
        str(out),
        "--jobs",
        "2",
        "--most-guessed",
        "1",
        *more,
    ]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(arguments)
    said = capsys.readouterr()
    return code, said.out, said.err


def ids(out: Path) -> list[str]:
    return [json.loads(line)["id"] for line in (out / RECORDS).read_text(encoding="utf-8").splitlines()]


def settled(report: dict[str, Any]) -> dict[str, Any]:
    """A report without the real time that it took."""
    return {k: v for k, v in report.items() if k != "took_s"}


def test_a_whole_run_counts_everything(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, *command(data, tmp_path / "run", "--json"))
    report = json.loads(out.splitlines()[-1])
    assert code == 0, err
    strict, reference = report["strict"], report["reference"]
    assert strict["all"]["total"] == 17
    # The scripted policy says A where nothing speaks to an option, 0 for a number and No.
    assert strict["per_task"]["Emotion_Recognition"]["correct"] == 6
    assert strict["per_task"]["Human_Counting"]["accuracy"] == 1.0
    assert strict["per_task"]["Lie_Detection"]["accuracy"] == 1.0
    assert strict["per_task"]["Action_Recognition"]["accuracy"] == 0.5
    assert reference["all"]["total"] < 17
    assert len(ids(tmp_path / "run")) == len(set(ids(tmp_path / "run"))) == 17
    for told in (
        "not a video or audio file",
        "does not hold data/videos/missing.mp4",
        "the file is empty",
        "malformed",
    ):
        assert told in err
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "Emotion Recognition" in page
    again = run(capsys, "bench", "report", str(tmp_path / "run"), "--json", "--no-page")
    assert json.loads(again[1]) == report
    code, out, _ = run(capsys, "bench", "report", str(tmp_path / "run"), "--no-page")
    assert "Emotion Recognition" in out
    for rules in ("strict", "reference"):
        code, out, _ = run(capsys, "bench", "score", str(tmp_path / "run"), "--rules", rules, "--json")
        scored = json.loads(out)
        assert (scored["all"]["total"], scored["all"]["correct"]) == (
            report[rules]["all"]["total"],
            report[rules]["all"]["correct"],
        )
    code, out, _ = run(capsys, "bench", "compare", str(tmp_path / "run"), str(tmp_path / "run"), "--json")
    assert code == 0
    assert json.loads(out)["all"]["difference"] == 0


def test_killed_at_random_it_ends_with_the_same_report(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, *command(data, tmp_path / "whole", "--json", "--no-page"))
    whole = json.loads(out)
    out_dir = tmp_path / "killed"
    rng = random.Random(3)
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-m", "agent.cli", *command(data, out_dir, "--no-page")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(rng.uniform(1.5, 4.0))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    code, out, _ = run(capsys, *command(data, out_dir, "--json", "--no-page"))
    assert code == 0
    assert settled(json.loads(out)) == settled(whole)
    assert sorted(ids(out_dir)) == sorted(ids(tmp_path / "whole"))
    assert len(set(ids(out_dir))) == 17
    code, _, err = run(capsys, *command(data, out_dir, "--variant", "think"))
    assert code == USAGE
    assert "holds another run: condition differ" in err


def test_a_plan_is_shown_without_running(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, *command(data, tmp_path / "run", "--dry-run", "--repeat", "2"))
    assert code == 0
    assert "Emotion_Recognition" in out
    assert "17   x 2 = 34 replays" in out
    assert not (tmp_path / "run").exists()


def test_a_part_in_another_order_twice(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--task", "er", "--limit", "3", "--shuffle", "4", "--repeat", "2", "--json", "--no-page")
    code, out, err = run(capsys, *command(data, tmp_path / "run", *arguments))
    assert code == 0, err
    report = json.loads(out)
    assert report["repeats"]["count"] == 2
    assert report["strict"]["all"]["total"] == 3
    assert len(ids(tmp_path / "run")) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--task", "XX"), "there is no task 'xx' in this data set; there are: "),
        (("--id", "zzz"), "there is no item 'zzz'"),
        (("--limit", "-1"), "--limit and --jobs are not negative"),
        (("--policy", "nobody"), "there is no policy 'nobody'"),
        (("--feed", "native"), "policy 'scripted' reads percepts and takes no media"),
        (("--benchmark", "nothing"), "there is no task 'nothing'"),
    ],
)
def test_what_cannot_be_is_told(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    code, _, err = run(capsys, *command(data, tmp_path / "run", *arguments))
    assert (code, message in err) == (USAGE, True), err
    assert "Traceback" not in err


def test_a_folder_that_is_no_data_set_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["bench", "--data", str(tmp_path)], ["bench"], ["bench", "report", str(tmp_path)]):
        code, _, err = run(capsys, *arguments)
        assert code == USAGE
        assert err.startswith("agent: ")


def test_children_that_cannot_start_fail_the_run(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAPPORT_MODELS", str(tmp_path / "none"))
    code, _, err = run(capsys, "bench", "--data", str(data), "--out", str(tmp_path / "run"), "--limit", "1")
    assert code != 0
    assert "agent models fetch" in err


def test_a_limit_is_taken_round_the_tasks() -> None:
    items = [
        Item(id=f"{kind}{n}", task_type=kind, media=f"{kind}{n}.mp4", asks=())
        for kind, count in (("a", 5), ("b", 2), ("c", 4))
        for n in range(count)
    ]
    task = humansense.load()
    assert [i.id for i in select(task, items, Selection(limit=6))] == ["a0", "b0", "c0", "a1", "b1", "c1"]
    assert [i.id for i in select(task, items, Selection(limit=8))][6:] == ["a2", "c2"]
    assert [i.id for i in select(task, items, Selection())] == [i.id for i in items]
    shuffled = select(task, items, Selection(limit=3, shuffle=1))
    assert {i.task_type for i in shuffled} == {"a", "b", "c"}
