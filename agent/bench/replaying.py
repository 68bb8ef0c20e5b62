"""One item through the loop of a live call: the file is the caller, the question is what it types."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent import build
from agent.around import Around
from agent.bench.canary import Ground, Kept, Transcript, picture_gap
from agent.bench.condition import Condition
from agent.bench.records import Answer, Record
from agent.bench.witness import Sight, Witness
from agent.clock import Clock, SystemClock, VirtualClock
from agent.config import Use
from agent.journal import Decided, Event, Metric, Note, as_json
from agent.loop import Call
from agent.media_file import MediaError, open_media
from agent.parts import Parts
from agent.sense_map import SenseMap
from agent.staged import Mute
from agent.transports import AT_END, Feed, Signal, Transport
from perception.context import Turn
from perception.media import AudioChunk, Media, Text, VideoFrame
from perception.percept import BLINK, EXPRESSION, FACE, PARTIAL, SENSE_LOST, Percept
from perception.timebase import Nanos, as_seconds
from policy.tasks import Ask, Item, Task, TaskError

VIDEO_HZ = 10.0
"""Pictures per second that are converted: no sense looks at more."""

_UNTOLD = frozenset({FACE, PARTIAL, BLINK})
_MOST_EVENTS = 4000
_COUNTED = ("count", "probability")


def replay(
    item: Item,
    folder: Path,
    *,
    task: Task,
    parts: Parts,
    condition: Condition,
    costs: Mapping[str, Nanos],
    repeat: int = 0,
    ground: Ground | None = None,
) -> Record:
    """Replay ``item`` and return what came of it. What is wrong with the item is its record's error.

    Args:
        item: of the data set.
        folder: of the data set.
        task: whose item it is.
        parts: loaded workers and policy; the voice is not used.
        condition: how it is shown and asked.
        costs: fixed time per label of work; unused where the condition is ``measured``.
        repeat: which repetition.
        ground: tells what should have arrived; without it that is left open.
    """
    wall = SystemClock()
    base = Record(id=item.id, task_type=item.task_type, media=item.media, repeat=repeat)
    if item.problem:
        return dataclasses.replace(base, error=f"malformed: {item.problem}")
    try:
        path = task.media_path(folder, item)
        with open_media(path, sound=item.hears, pictures=item.sees) as media:
            duration, fps = media.info.duration or 0, media.info.fps
    except (TaskError, MediaError) as error:
        return dataclasses.replace(base, error=f"media: {error}", took_s=_s(wall.now()))
    telling = _Telling(frozenset(worker.name for worker in parts.workers))
    kept = Kept(picture_gap(duration)) if ground is not None else None
    witness = Witness(parts.policy, condition)
    texts = [
        Text(
            task.ask(item, ask, variant=condition.variant, asr=condition.asr),
            AT_END if ask.at is None else ask.at,
            form=ask.pattern,
            options=ask.options,
        )
        for ask in item.asks
    ]
    native = condition.feed == "native"
    options = dataclasses.replace(parts.options, context=condition.bounds(duration, fps), keep_media=native)
    ours = Parts([] if native else parts.workers, witness, Mute(), options)
    known = SenseMap.of(parts.workers)
    allowed = (known.ears if item.hears else frozenset()) | (known.eyes if item.sees else frozenset())
    door = build.door(
        Use(
            "replay",
            {
                "path": path,
                "tail_s": condition.settle_s,
                "texts": texts,
                "sound": item.hears,
                "pictures": item.sees,
                "most_video_hz": VIDEO_HZ,
                "senses": None if native else allowed,
            },
        )
    )
    clock = VirtualClock(None if condition.measured else costs)
    meter: list[_Meter] = []
    failures: list[Exception] = []

    async def answer(transport: Transport) -> None:
        meter.append(_Meter(transport, telling.take, kept))
        try:
            await Call(meter[0], ours, clock).run()
        except Exception as error:
            failures.append(error)

    try:
        clock.run(door.open(answer))
    except MediaError as error:
        failures.append(error)
    notes: tuple[str, ...] = tuple(getattr(door, "notes", ()))
    seen = meter[0] if meter else None
    voice_s = ground.voice_s(kept.sound) if ground is not None and kept is not None else None
    face_share = ground.face_share(kept.pictures) if ground is not None and kept is not None else None
    return dataclasses.replace(
        base,
        answers=tuple(_answers(item.asks, texts, witness.sights, telling.decided)),
        error="; ".join(_told(error) for error in failures),
        frames_seen=seen.frames if seen else 0,
        heard_s=_s(seen.heard if seen else 0),
        voice_s=voice_s,
        face_share=face_share,
        transcript=str(telling.transcript),
        face_percepts=telling.faces,
        senses_lost=tuple(sorted(telling.lost)),
        media_s=_s(max(duration, seen.end if seen else 0)),
        took_s=_s(wall.now()),
        stages=telling.stages,
        timeline=tuple(telling.lines),
        notes=notes,
    )


def _s(time: Nanos) -> float:
    return round(as_seconds(time), 4)


def _told(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_told(e) for e in error.exceptions)
    return f"media: {error}" if isinstance(error, MediaError) else f"{type(error).__name__}: {error}"


def _answers(
    asks: Sequence[Ask], texts: Sequence[Text], sights: Sequence[Sight], decided: Mapping[Nanos, Nanos]
) -> list[Answer]:
    """Find the sight of every question; the same question asked twice is met in the order of asking."""
    left = list(sights)
    found: list[Answer] = []
    for ask, text in zip(asks, texts, strict=True):
        sight = next((s for s in left if s.text == text.text), None)
        if sight is None:
            found.append(Answer(ask=ask.id, raw=None, error="it was never put to the policy"))
            continue
        left.remove(sight)
        raw = sight.raw if not sight.error else None
        error = sight.error or ("" if raw is not None else "the policy said nothing")
        answered = decided.get(sight.at, sight.at)
        found.append(
            Answer(
                ask=ask.id,
                raw=raw,
                reason=sight.reason,
                thought=sight.thought,
                at_s=_s(sight.at),
                prompt=sight.prompt,
                frames=sight.frames,
                heard_s=sight.heard_s,
                tokens=sight.tokens,
                answer_s=_s(answered - sight.at),
                guessed=sight.guessed,
                error=error,
            )
        )
    return found


class _Telling:
    """Keeps of a call's events what a reader of the report wants to see."""

    def __init__(self, senses: frozenset[str]) -> None:
        self.lines: list[dict[str, Any]] = []
        self.faces = 0
        self.lost: set[str] = set()
        self._senses = senses
        self.transcript = Transcript()
        self.stages: dict[str, float] = {}
        self.decided: dict[Nanos, Nanos] = {}
        self._asked: Nanos = 0

    def _count(self, percept: Percept) -> None:
        self.transcript.take(percept)
        if percept.kind == EXPRESSION or (percept.kind == FACE and percept.label != "absent"):
            self.faces += 1
        elif percept.kind == SENSE_LOST and percept.label in self._senses:
            self.lost.add(percept.label)

    def take(self, event: Event) -> None:
        body = event.body
        if isinstance(body, Percept):
            self._count(body)
        if isinstance(body, Metric):
            before = self.stages.get(body.name, 0.0) if body.name.endswith("_count") else 0.0  # counts are deltas
            self.stages[body.name] = round(before + body.value, 4)
        elif isinstance(body, Decided):
            self.decided[self._asked] = event.at
        elif isinstance(body, (Percept, Turn)):
            if isinstance(body, Percept) and body.kind in _UNTOLD:
                return
            line = as_json(event)
            line["data"] = {k: v for k, v in line.get("data", {}).items() if k in _COUNTED}
            if len(self.lines) < _MOST_EVENTS:
                self.lines.append(line)
        elif isinstance(body, Note) and body.event == "state" and body.data.get("state") == "thinking":
            self._asked = event.at


class _Meter(Around):
    """A transport that counts what comes in, and tells what happens."""

    def __init__(self, inner: Transport, tell: Callable[[Event], None], kept: Kept | None = None) -> None:
        super().__init__(inner)
        self._kept = kept
        self.frames = 0
        self.heard: Nanos = 0
        self.end: Nanos = 0
        self._tell = tell

    async def receive(self, feed: Feed, clock: Clock) -> None:
        def counted(media: Media | Signal) -> None:
            if self._kept is not None:
                self._kept.take(media)
            if isinstance(media, VideoFrame):
                self.frames += 1
                self.end = max(self.end, media.at)
            elif isinstance(media, AudioChunk):
                self.heard += media.duration
            feed(media)

        await super().receive(counted, clock)

    def tell(self, event: Event) -> None:
        self._tell(event)
        super().tell(event)
