"""One item through the loop: gating, timing, causality, and what a broken file comes to."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from agent.bench.condition import Condition, ConditionError, frame_gap
from agent.bench.records import Record
from agent.bench.replaying import replay
from agent.bench.witness import CausalityError, check_causal
from agent.build import workers
from agent.config import BENCH_WORKERS, Config, Use, for_bench
from agent.models import resolve
from agent.parts import Parts
from agent.voices.plain import PlainVoice
from perception.context import ContextWindow
from perception.media import AudioChunk, Text, VideoFrame
from perception.percept import Percept
from perception.timebase import MS, SECOND, Nanos, seconds
from perception.workers import WorkerFactory
from policy.decision import Decision, Speak, Step, Thought
from policy.tasks import Ask, Item, TaskError
from policy.tasks.humansense import load
from tests.agent.stage import Mindful
from tests.media_samples import write_sound

COSTS = {"brightness": 5 * MS, "level": 5 * MS, "policy": 50 * MS}
OPTIONS = ("A. dark", "B. bright")


class Brightness:
    """Tells how bright every picture is."""

    name, accepts = "brightness", (VideoFrame,)

    def __call__(self) -> Brightness:
        return self

    def feed(self, media: Sequence[Any], /) -> list[Percept]:
        return [
            Percept("scene", f"light {int(f.pixels.mean()) // 32}", f.at, f.at, 0.9, self.name)
            for f in media
            if isinstance(f, VideoFrame)
        ]


class Level:
    """Tells that there was sound."""

    name, accepts = "level", (AudioChunk,)

    def __call__(self) -> Level:
        return self

    def feed(self, media: Sequence[Any], /) -> list[Percept]:
        return [
            Percept("prosody", "loud", c.start, c.end, 0.9, self.name) for c in media if np.abs(c.samples).max() > 0.01
        ]


class Reader:
    """A policy that answers with what it was given; keeps nothing."""

    name = "reader"

    def session(self) -> Reader:
        return self

    async def prepare(self, window: ContextWindow, /) -> None: ...

    async def decide(self, window: ContextWindow, /) -> AsyncIterator[Decision]:
        yield Speak(text="B", reason=f"{len(window.percepts)} percepts, {len(window.frames)} frames")

    async def close(self) -> None: ...


def film(path: Path, levels: Sequence[int], *, fps: int = 20, sound: bool = True) -> Path:
    """Grey pictures, one level each, and a tone as long."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=fps, width=64, height=48, options={"preset": "ultrafast"})
        audio = out.add_stream("aac", rate=16_000, layout="mono") if sound else None
        for n, level in enumerate(levels):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8))
            frame.pts, frame.time_base = n, Fraction(1, fps)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if audio is not None:
            tone = 0.2 * np.sin(2 * np.pi * 300 * np.arange(16_000 * len(levels) // fps) / 16_000)
            wave = av.AudioFrame.from_ndarray(tone[None].astype(np.float32), format="fltp", layout="mono")
            wave.sample_rate, wave.pts, wave.time_base = 16_000, 0, Fraction(1, 16_000)
            out.mux(audio.encode(wave))
            out.mux(audio.encode(None))
    return path


class Folder:
    """A task whose items are files of one folder."""

    def __init__(self) -> None:
        self._task = load()

    def media_path(self, folder: Path, item: Item) -> Path:
        path = folder / item.media
        if not path.exists():
            raise TaskError(f"{path}: no such file")
        return path

    def ask(self, item: Item, ask: Ask, *, variant: str = "direct", asr: bool = False) -> str:
        return self._task.ask(item, ask, variant=variant, asr=asr)


def ask(at: Nanos | None = None, name: str = "q") -> Ask:
    return Ask(id=name, question="How is it?", pattern="single", answer="B", options=OPTIONS, at=at)


def play(
    folder: Path,
    media: str,
    *asks: Ask,
    condition: Condition | None = None,
    policy: Reader | None = None,
    **gates: Any,
) -> Record:
    item = Item(id="i", task_type="T", media=media, asks=asks or (ask(),), **gates)
    senses: list[WorkerFactory] = [Brightness(), Level()]
    parts = Parts(senses, Mindful(policy or Reader()), PlainVoice(), for_bench(Config()).call)  # type: ignore[arg-type]
    task: Any = Folder()
    return replay(item, folder, task=task, parts=parts, condition=condition or Condition(), costs=COSTS)


def test_the_question_comes_after_the_end_and_is_answered(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", [40] * 20 + [200] * 20)
    record = play(tmp_path, "a.mp4")
    (answer,) = record.answers
    assert (answer.raw, answer.error, record.error) == ("B", "", "")
    assert answer.at_s == pytest.approx(3.0, abs=0.1), "2 s of film and a second to settle"
    assert answer.answer_s == pytest.approx(0.05, abs=0.001)
    assert record.frames_seen == pytest.approx(20, abs=1), "ten a second"
    assert record.media_s == pytest.approx(2.0, abs=0.1)
    text = "\n".join(m["content"] for m in answer.prompt)
    assert "scene: light 1" in text
    assert "scene: light 6" in text
    assert "A. dark" in text
    assert (answer.frames, answer.heard_s) == (0, 0.0), "percepts only"
    assert {line["kind"] for line in record.timeline if line["type"] == "percept"} >= {"scene", "prosody"}


def test_a_thought_is_kept_and_is_no_part_of_the_answer(tmp_path: Path) -> None:
    class Reasoner(Reader):
        def session(self) -> Reasoner:
            return self

        async def decide(self, window: ContextWindow, /) -> AsyncIterator[Step]:  # type: ignore[override]
            yield Thought(text="It grew light.")
            yield Thought(text="So B.")
            yield Speak(text="B", reason="It grew light.")

    film(tmp_path / "a.mp4", [40] * 20 + [200] * 20)
    (answer,) = play(tmp_path, "a.mp4", policy=Reasoner()).answers
    assert (answer.raw, answer.thought, answer.reason) == ("B", "It grew light. So B.", "It grew light.")
    assert answer.answer_s == pytest.approx(0.15, abs=0.001), "each step is one piece of work"


def test_the_same_item_twice_is_the_same_record(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", list(range(0, 240, 6)))
    first, second = (dataclasses.replace(play(tmp_path, "a.mp4"), took_s=0.0) for _ in range(2))
    assert first == second


def test_gates_decide_what_is_seen_and_heard(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", [40] * 40)
    silent = play(tmp_path, "a.mp4", hears=False)
    assert silent.heard_s == 0.0
    assert {line["kind"] for line in silent.timeline if line["type"] == "percept"} == {"scene"}
    blind = play(tmp_path, "a.mp4", sees=False)
    assert blind.frames_seen == 0
    assert {line["kind"] for line in blind.timeline if line["type"] == "percept"} == {"prosody"}
    assert "lost" not in str(silent.answers[0].prompt) + str(blind.answers[0].prompt)


def test_a_poisoned_future_changes_no_prompt(tmp_path: Path) -> None:
    """Two films agree up to the question and differ in every picture and in length after it."""
    until = [40] * 10 + [90] * 10 + [150] * 11
    film(tmp_path / "a.mp4", until + [150] * 30)
    film(tmp_path / "b.mp4", until + [250, 0] * 30, sound=True)
    at = 1500 * MS
    first, second = (play(tmp_path, name, ask(at), hears=False) for name in ("a.mp4", "b.mp4"))
    assert json.dumps(first.answers[0].prompt) == json.dumps(second.answers[0].prompt)
    assert first.answers[0].at_s == second.answers[0].at_s == 1.5
    later = [play(tmp_path, name, ask(2500 * MS), hears=False).answers[0].prompt for name in ("a.mp4", "b.mp4")]
    assert later[0] != later[1], "the films do differ"


def test_several_questions_in_mid_stream(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", [40] * 30 + [200] * 30)
    record = play(tmp_path, "a.mp4", ask(SECOND, "1"), ask(2 * SECOND, "2"), ask(None, "3"))
    assert [a.ask for a in record.answers] == ["1", "2", "3"]
    assert [a.raw for a in record.answers] == ["B"] * 3
    assert [a.at_s for a in record.answers] == pytest.approx([1.0, 2.0, 4.0], abs=0.15)
    early, late = (json.dumps(record.answers[n].prompt) for n in (0, 1))
    assert "light 6" not in early
    assert "light 6" in late


def test_a_native_policy_gets_the_media_within_the_budget(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", [40] * 20 * 40)
    (answer,) = play(tmp_path, "a.mp4", condition=Condition(feed="native")).answers
    assert answer.frames == 8, "800 pictures: one in five seconds"
    assert answer.heard_s == pytest.approx(41, abs=1)
    assert answer.reason.startswith("0 percepts")


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("missing.mp4", None, "no such file"),
        ("empty.mp4", b"", "the file is empty"),
        ("text.mp4", b"no film at all " * 90, "not a video or audio file"),
    ],
)
def test_a_file_that_is_no_film_is_a_record_with_its_reason(
    tmp_path: Path, name: str, content: bytes | None, error: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    record = play(tmp_path, name)
    assert error in record.error
    assert record.answers == ()


@pytest.mark.slow
def test_a_small_file_of_absurd_pictures_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=1, width=8192, height=4096, options={"preset": "ultrafast"})
        frame = av.VideoFrame.from_ndarray(np.zeros((4096 * 3 // 2, 8192), np.uint8), format="yuv420p")
        frame.pts, frame.time_base = 0, Fraction(1, 1)
        out.mux(video.encode(frame))
        out.mux(video.encode(None))
    assert path.stat().st_size < 1_000_000
    record = play(tmp_path, "a.mp4")
    assert "pictures of 8192x4096 are too large" in record.error
    assert record.frames_seen == 0


def test_a_corrupt_film_still_comes_to_an_end(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [40] * 60)
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(3)
    for at in rng.integers(200, len(data) - 1500, 60):
        data[at] ^= 0xFF
    path.write_bytes(bytes(data))
    record = play(tmp_path, "a.mp4")
    assert record.error or record.answers[0].raw == "B"


def test_a_picture_is_no_sound(tmp_path: Path) -> None:
    write_sound(tmp_path / "a.wav")
    assert "no pictures" in play(tmp_path, "a.wav", hears=False).error
    assert play(tmp_path, "a.wav", sees=False).answers[0].raw == "B"


def test_a_malformed_item_is_told_without_a_replay(tmp_path: Path) -> None:
    item = Item(id="i", task_type="T", media="a.mp4", asks=(), problem="options: there are none")
    parts = Parts([], Mindful(Reader()), PlainVoice())  # type: ignore[arg-type]
    task: Any = Folder()
    record = replay(item, tmp_path, task=task, parts=parts, condition=Condition(), costs={})
    assert record.error == "malformed: options: there are none"


def test_what_is_later_than_the_question_is_refused() -> None:
    late = Percept("scene", "x", 0, 2 * SECOND, 1.0, "w")
    with pytest.raises(CausalityError, match=r"a scene of 2\.000 s was known at 1\.000 s"):
        check_causal(ContextWindow(start=0, end=SECOND, entries=(late,)))
    frame = VideoFrame(np.zeros((2, 2, 3), np.uint8), at=2 * SECOND)
    with pytest.raises(CausalityError, match="media"):
        check_causal(ContextWindow(start=0, end=SECOND, frames=(frame,)))
    check_causal(ContextWindow(start=0, end=2 * SECOND, entries=(late, Text("?", SECOND)), frames=(frame,)))


def test_the_budget_of_pictures_is_that_of_the_published_runs() -> None:
    assert frame_gap(10 * SECOND, 25.0) == SECOND
    assert frame_gap(20 * SECOND, 25.0) == 2 * SECOND
    assert frame_gap(40 * SECOND, 25.0) == 5 * SECOND
    assert frame_gap(240 * SECOND, 25.0) == 10 * SECOND


def test_a_condition_says_what_is_wrong() -> None:
    with pytest.raises(ConditionError, match="variant is 'loud'; it is one of direct"):
        Condition(variant="loud")
    assert Condition.from_json(Condition(variant="enhanced-think", feed="native").as_json()).mode == "think"


@pytest.mark.models
@pytest.mark.slow
def test_the_senses_of_a_run_take_their_options() -> None:
    assert [w.name for w in workers(BENCH_WORKERS, resolve)] == [w.use for w in BENCH_WORKERS]
    assert for_bench(Config(workers=(Use("vad"),))).workers == (Use("vad"),)
    assert seconds(1.0) == SECOND
