"""One sentence as a live call: it is spoken or typed to an agent with the lane, under the virtual clock."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.action import Resource
from agent.clock import SystemClock, VirtualClock
from agent.journal import Decided, Event, Note
from agent.lane import SafetyLane
from agent.loop import Call
from agent.loopback import Loopback
from agent.parts import CallOptions, Parts
from agent.staged import Mute, Script
from agent.thinking import Thinker
from perception.context import ContextWindow, Turn
from perception.media import AudioChunk, Media, Text
from perception.percept import END_OF_TURN, EXPRESSION, PROSODY, SPEECH_ENDED, SPEECH_STARTED, TRANSCRIPT, Percept
from perception.timebase import MS, SECOND, Nanos
from policy.decision import Speak, Step
from policy.safety.detector import Classifier, Look, Lookout, Sensitivity

_CHUNK: Final[Nanos] = 200 * MS
_BEGIN: Final[Nanos] = 500 * MS
_WORD: Final[Nanos] = 300 * MS
_TAIL: Final[Nanos] = 6 * SECOND


@dataclass(frozen=True, slots=True)
class Met:
    """What the agent did about a sentence.

    Attributes:
        kind: the danger that was recorded, ``""`` for none.
        hint: whether it was recorded as a hint, which is met with a gentle question and no card.
        safety: whether anything was said with the strategy ``safety``.
        shown: whether help was shown.
        strayed: whether, beside that, words were said that are no reviewed ones.
        spoken: the words of the answer.
        heard: whether the sentence has arrived; typed words always do.
    """

    kind: str
    hint: bool
    safety: bool
    shown: bool
    strayed: bool
    spoken: str
    heard: bool = True

    @property
    def hit(self) -> bool:
        """Whether it was treated as danger, by the lane or by anybody behind it."""
        return bool(self.kind) or self.safety or self.shown

    @property
    def alarm(self) -> bool:
        """Whether it was treated as plain danger."""
        return self.hit and not self.hint


def play(
    words: str,
    mind: Thinker,
    lane: SafetyLane,
    options: CallOptions,
    costs: Mapping[str, Nanos],
    *,
    typed: bool = False,
    heavy: bool = False,
) -> Met:
    """Hold the call of one sentence.

    Args:
        words: what is said.
        mind: what thinks for the call.
        lane: stands around it.
        options: as for a live call.
        costs: fixed time per label of work.
        typed: whether the words are typed, and not spoken.
        heavy: whether the face is sad and the voice trembles meanwhile.
    """
    turns = dataclasses.replace(options.turns, silence=0)
    initiative = dataclasses.replace(options.initiative, enabled=False)
    options = dataclasses.replace(
        options, greeting=False, reflexes=False, turns=turns, initiative=initiative, prepare_every=3600 * SECOND
    )
    end = _BEGIN + max(2, len(words.split())) * _WORD
    ear = Script("asr", [*(() if typed else _spoken(words, end)), *(_looks(end) if heavy else ())])
    script: list[Media] = [*_silence(end + _TAIL)]
    if typed:
        script.append(Text(words, at=end))
        script.sort(key=lambda item: item.at if isinstance(item, Text) else getattr(item, "end", 0))
    events: list[Event] = []
    caller = Loopback(script)
    clock = VirtualClock(costs)
    clock.run(Call(caller, Parts([ear], mind, Mute(), options, lane), clock, [events.append]).run())
    notes = [e.body for e in events if isinstance(e.body, Note) and e.body.event in {"safety", "safety_hint"}]
    said = [e.body.decision for e in events if isinstance(e.body, Decided) and isinstance(e.body.decision, Speak)]
    safe = [d for d in said if d.strategy == "safety"]
    return Met(
        kind=str(notes[0].data["kind"]) if notes else "",
        hint=bool(notes) and notes[0].event == "safety_hint",
        safety=bool(safe),
        shown=bool(caller.of(Resource)),
        strayed=bool(safe) and len(safe) < len(said),
        spoken=" ".join(d.text for d in said),
        heard=typed or any(isinstance(e.body, Turn) and words in e.body.text for e in events),
    )


class Once:
    """A classifier that reads each window once, and remembers it for all rows of a measure."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._known: dict[tuple[str, ...], NDArray[np.float32]] = {}
        self.reads = 0

    def __call__(self, windows: Sequence[Sequence[str]], /) -> NDArray[np.float32]:
        """Read what was not read yet; ``reads`` counts how often that was needed."""
        keys = [tuple(window) for window in windows]
        fresh = [key for key in dict.fromkeys(keys) if key not in self._known]
        if fresh:
            self.reads += 1
            self._known.update(zip(fresh, self._classifier(fresh), strict=True))
        return np.stack([self._known[key] for key in keys]) if keys else self._classifier(windows)


class Timed(Lookout):
    """A look-out that keeps how long each look took, in seconds: where there is a reader, each that made it read."""

    def __init__(self, reader: Once | None, sensitivity: Sensitivity) -> None:
        super().__init__(classifier=reader, sensitivity=sensitivity)
        self._once = reader
        self.took: list[float] = []

    def look(self, words: str, before: Sequence[str] = (), distress: float = 0.0) -> Look:
        """Look, and take the time."""
        reads = 0 if self._once is None else self._once.reads
        clock = SystemClock()
        found = super().look(words, before, distress)
        if self._once is None or self._once.reads > reads:
            self.took.append(clock.now() / SECOND)
        return found


class Killed:
    """A policy that is down: whatever is asked of it raises."""

    name = "killed"

    def session(self) -> _Dead:
        """Begin a call that will fail."""
        return _Dead()

    def close(self) -> None:
        """Free nothing."""


class _Dead:
    async def prepare(self, window: ContextWindow, /) -> None:
        raise RuntimeError("the policy is down")

    def decide(self, window: ContextWindow, /) -> AsyncIterator[Step]:
        raise RuntimeError("the policy is down")

    async def close(self) -> None:
        """Free nothing."""


def _silence(end: Nanos) -> Iterator[AudioChunk]:
    for n in range(end // _CHUNK):
        yield AudioChunk(np.zeros(_CHUNK * 16_000 // SECOND, np.float32), start=n * _CHUNK)


def _spoken(words: str, end: Nanos) -> Iterator[tuple[Nanos, Percept]]:
    yield _BEGIN + 100 * MS, Percept(SPEECH_STARTED, "", _BEGIN, _BEGIN + 100 * MS, 0.9, "asr")
    yield end + 200 * MS, Percept(SPEECH_ENDED, "", _BEGIN, end, 0.9, "asr")
    probability = {"probability": 0.9}
    yield end + 260 * MS, Percept(END_OF_TURN, "complete", _BEGIN, end + 200 * MS, 0.9, "asr", probability)
    yield end + 300 * MS, Percept(TRANSCRIPT, words, _BEGIN, end, 0.9, "asr", {"utterance": 1.0, "word_starts": ()})


def _looks(end: Nanos) -> Iterator[tuple[Nanos, Percept]]:
    for at in range(_BEGIN, end, 400 * MS):
        yield at + 420 * MS, Percept(EXPRESSION, "sad", at, at + 400 * MS, 0.8, "asr", {"valence": -0.6})
    yield end + 100 * MS, Percept(PROSODY, "trembling", _BEGIN, end, 0.85, "asr")
