"""A run that was deaf or blind is told from one that heard and saw, whatever its accuracy."""

from __future__ import annotations

import json
import shutil
import wave
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from agent import build
from agent.bench import builtin, canary
from agent.bench.canary import Bounds, Ground, alarms, arrivals
from agent.bench.condition import Condition
from agent.bench.records import Answer, Record
from agent.bench.replaying import replay
from agent.bench.stats import wilson, word_errors
from agent.cli import main
from agent.config import BENCH_WORKERS, Config, Use, for_bench
from agent.media_file import open_media
from agent.models import ModelMissing, resolve
from agent.parts import Parts
from perception.media import AudioChunk, VideoFrame
from perception.timebase import seconds
from policy.tasks import Ask, Item, humansense

HEARD, SHOWN = "chat_widower", "show_oath"


# What is made of a run's records.


def item(name: str, *, said: str = "", faces: bool | None = None, sees: bool = True, hears: bool = True) -> Item:
    asked = Ask(id=f"{name}-q", question="?", pattern="single", answer="A", options=("A. x", "B. y"), asr=said)
    return Item(id=name, task_type="T", media=f"{name}.mp4", asks=(asked,), faces=faces, sees=sees, hears=hears)


def record(name: str, *, guessed: bool = False, **more: object) -> Record:
    answer = Answer(ask=f"{name}-q", raw="A", guessed=guessed)
    return replace(Record(id=name, task_type="T", media=f"{name}.mp4", answers=(answer,)), **more)  # type: ignore[arg-type]


def test_what_arrived_is_counted_against_what_the_media_hold() -> None:
    items = [item("a", said="My dog died last night."), item("b"), item("c"), item("d", hears=False, faces=True)]
    records = [
        record("a", voice_s=2.0, face_share=0.0, transcript="my dog died last light"),
        record("b", voice_s=4.0, face_share=1.0, face_percepts=3, senses_lost=("prosody",)),
        record("c", voice_s=0.3, face_share=0.1, guessed=True),
        record("d", voice_s=9.0),
    ]
    found = arrivals(items, records)
    assert found["voice"] == {"expected": 2, "arrived": 1, "missing": ["b"]}
    assert found["face"] == {"expected": 2, "arrived": 1, "missing": ["d"]}
    assert found["lost"] == {"prosody": 1}
    assert (found["asked"], found["guessed"], found["items"]) == (4, 1, 4)
    assert (found["words"], found["word_errors"]) == (5, 1)
    told = canary.told(found)
    assert told.startswith("heard 1 of 2 with a voice; saw a face in 1 of 2 with one; guessed 1 of 4")
    assert "word error rate 20.0 %" in told


def test_where_nobody_can_tell_it_is_told_so() -> None:
    found = arrivals([item("a"), item("b", said="Hello.", faces=True)], [record("a", heard_s=3.0), record("b")])
    assert found["unknown"] == 1
    assert "not checked: 1" in canary.told(found)


def test_an_item_that_failed_is_an_error_and_no_deafness() -> None:
    found = arrivals([item("a", said="Hello.")], [record("a", error="media: it is no film")])
    assert found["voice"]["expected"] == 0
    assert alarms(found) == []


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([record(n, voice_s=3.0) for n in "ab"], "2 items hold a voice, and words came from only 0"),
        ([record(n, face_share=1.0) for n in "ab"], "2 items show a face, and a face percept came from only 0"),
        ([record("a", guessed=True), record("b", guessed=True)], "2 of 2 answers are guesses"),
        ([record("a", senses_lost=("asr",)), record("b")], "the sense asr was given up in 1 of 2 items"),
    ],
)
def test_a_share_beyond_its_bound_is_an_alarm(records: list[Record], said: str) -> None:
    found = arrivals([item("a"), item("b")], records)
    assert any(said in alarm for alarm in alarms(found)), alarms(found)
    assert alarms(found, Bounds(arrived=0.0, guessed=1.0)) == []


def test_a_policy_that_gets_the_media_must_have_got_them() -> None:
    items, given = [item("a", said="Hello."), item("b", faces=True)], Answer(ask="q", raw="A", heard_s=2.0, frames=3)
    good = [replace(record(name), answers=(given,)) for name in "ab"]
    assert alarms(arrivals(items, good, native=True)) == []
    bad = [record("a", transcript="hello", face_percepts=5), record("b", face_percepts=5)]
    assert len(alarms(arrivals(items, bad, native=True))) == 2


@pytest.mark.parametrize(
    ("said", "heard", "wrong", "of"),
    [
        ("My dog died.", "my dog died", 0, 3),
        ("My dog died.", "", 3, 3),
        ("It's ten o'clock", "it's ten clock now", 2, 3),
        ("", "hello there", 2, 0),
    ],
)
def test_wrong_words_are_counted(said: str, heard: str, wrong: int, of: int) -> None:
    assert word_errors(said, heard) == (wrong, of)


def test_the_interval_of_few_is_not_empty() -> None:
    low, high = wilson(1.0, 6)
    assert low == pytest.approx(0.61, abs=0.005)
    assert high == pytest.approx(1.0)
    assert wilson(0.5, 100) == pytest.approx((0.404, 0.596), abs=0.001)


def test_bounds_are_shares() -> None:
    with pytest.raises(ValueError, match=r"arrived is 80, expected a share from 0 to 1"):
        Bounds(arrived=80)


# On real media: take the sense, the sound or the picture away.


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = builtin.recipes()
    media = {name: made.media[name] for name in (HEARD, SHOWN)}
    entries = tuple(entry for entry in made.entries if entry.medium.name in media)
    return builtin.build(tmp_path_factory.mktemp("set"), wanted=replace(made, media=media, entries=entries))


@pytest.fixture(scope="module")
def parts() -> Iterator[Parts]:
    wanted = tuple(use for use in BENCH_WORKERS if use.use in ("vad", "asr", "face"))
    with build.runtime(for_bench(replace(Config(), workers=wanted, policy=Use("scripted")))) as runtime:
        yield runtime.parts


@pytest.fixture(scope="module")
def ground() -> Ground:
    return Ground(resolve)


def untold(known: Item) -> Item:
    """The item in a data set that tells neither words nor faces."""
    return replace(known, faces=None, asks=tuple(replace(ask, asr="") for ask in known.asks))


def played(folder: Path, parts: Parts, ground: Ground, name: str) -> tuple[list[Item], Record]:
    task = humansense.load()
    [found] = [i for i in task.items(folder) if Path(i.media).stem == name][:1]
    costs = {k: seconds(v) for k, v in Config().replay.costs.items()}
    return [found], replay(found, folder, task=task, parts=parts, condition=Condition(), costs=costs, ground=ground)


def silenced(folder: Path, to: Path) -> Path:
    """The set with nothing in its sound."""
    shutil.copytree(folder, to)
    path = to / f"data/audios/{HEARD}.wav"
    with wave.open(str(path)) as sound:
        form, frames = sound.getparams(), sound.getnframes()
    with wave.open(str(path), "w") as sound:
        sound.setparams(form)
        sound.writeframes(b"\0\0" * frames)
    return to


def blanked(folder: Path, to: Path) -> Path:
    """The set with nothing in its pictures."""
    shutil.copytree(folder, to)
    path = to / f"data/videos/{SHOWN}.mp4"
    with open_media(path) as media:
        pictures = sum(isinstance(m, VideoFrame) for m in media)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=24, width=640, height=360, options={"preset": "ultrafast"})
        for n in range(pictures):
            frame = av.VideoFrame.from_ndarray(np.full((360, 640, 3), 90, np.uint8))
            frame.pts, frame.time_base = n, Fraction(1, 24)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path.parents[2]


@pytest.mark.slow
@pytest.mark.models
def test_a_run_with_all_its_senses_hears_and_sees(built: Path, parts: Parts, ground: Ground) -> None:
    for name in (HEARD, SHOWN):
        items, found = played(built, parts, ground, name)
        for known in (items, [untold(items[0])]):
            arrived = arrivals(known, [found])
            assert arrived["voice"] == {"expected": 1, "arrived": 1, "missing": []}, name
            assert arrived["face"]["expected"] == arrived["face"]["arrived"] == (name == SHOWN)
            assert arrived["unknown"] == 0
            assert alarms(arrived, Bounds(guessed=1.0)) == []
        arrived = arrivals(items, [found])
        assert arrived["word_errors"] <= 0.2 * arrived["words"], found.transcript


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.parametrize(("sense", "name", "key"), [("asr", HEARD, "voice"), ("face", SHOWN, "face")])
def test_without_the_sense_it_fails(built: Path, parts: Parts, ground: Ground, sense: str, name: str, key: str) -> None:
    less = replace(parts, workers=[worker for worker in parts.workers if worker.name != sense])
    items, found = played(built, less, ground, name)
    for known in (items, [untold(items[0])]):
        arrived = arrivals(known, [found])
        assert arrived[key]["missing"] == [found.id]
        assert alarms(arrived, Bounds(guessed=1.0))


@pytest.mark.slow
@pytest.mark.models
def test_a_silenced_clip_and_a_blanked_one_fail(built: Path, parts: Parts, ground: Ground, tmp_path: Path) -> None:
    items, found = played(silenced(built, tmp_path / "silent"), parts, ground, HEARD)
    assert found.voice_s == 0.0
    assert found.transcript == ""
    assert arrivals(items, [found])["voice"]["missing"] == [found.id]
    items, found = played(blanked(built, tmp_path / "blank"), parts, ground, SHOWN)
    assert found.face_share == 0.0
    assert arrivals(items, [found])["face"]["missing"] == [found.id]


@pytest.mark.slow
@pytest.mark.models
def test_a_deaf_run_ends_with_an_error_that_says_why(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "deaf.toml"
    config.write_text('workers = ["vad"]\npolicy = "scripted"\nvoice = "plain"\n', encoding="utf-8")
    command = ["bench", "--data", str(built), "--config", str(config), "--task", "PC", "--no-page", "--json"]
    out = tmp_path / "run"
    assert main([*command, "--out", str(out)]) == 4
    said = capsys.readouterr()
    assert "not to be trusted: 1 items hold a voice, and words came from only 0" in said.err
    report = json.loads(said.out.splitlines()[-1])
    assert report["alarms"]
    assert main([*command, "--out", str(out), "--least-arrived", "0", "--most-guessed", "1"]) == 0
    assert main([*command, "--out", str(out), "--least-arrived", "80"]) == 2


def test_without_the_detectors_nothing_is_claimed() -> None:
    def nowhere(name: str) -> Path:
        raise ModelMissing(f"{name} is not there")

    ground = Ground(nowhere)
    assert ground.voice_s([AudioChunk(np.zeros(16_000, np.float32), 0)]) is None
    assert ground.face_share([]) is None
