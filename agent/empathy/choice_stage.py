"""One situation as a live call: a scripted set of senses reports it, and the call answers as it would live.

The senses bear the names of the real ones and report as late as those do. Earlier turns of the agent are those of the
situation; the answer that is measured is the policy's own, with the reflexes and the initiative beside it. No sound is
made and none is heard: what is tried is the choice, not the ear.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from agent.action import Display
from agent.clock import VirtualClock
from agent.empathy.choice_items import Said, Situation
from agent.journal import Decided, Event
from agent.loop import Call
from agent.loopback import Loopback
from agent.parts import CallOptions, Parts
from agent.staged import Line, Mute, Script
from agent.thinking import Thinker, Thinking, Told
from perception.context import CUE_END_OF_TURN, CUE_GREETING, ContextWindow, Turn
from perception.media import AudioChunk, Media, VideoFrame
from perception.percept import (
    END_OF_TURN,
    EXPRESSION,
    FACE,
    GAZE,
    LOOKS,
    NEGATIVE,
    PARTIAL,
    PRESENCE,
    PROSODY,
    SPEECH_ENDED,
    SPEECH_STARTED,
    TRANSCRIPT,
    UNCERTAIN,
    Percept,
)
from perception.timebase import MS, SECOND, Nanos, seconds
from policy.decision import Decision, Express, Speak

WORDS_ONLY: Final = frozenset({"vad", "asr", "turn"})
"""The senses that are left where face and voice give no line."""

HELLO: Final = "I'm Rapport, an AI."
"""What stands in front of an agent's turn that opens a conversation, as in a call."""

_SEES: Final = frozenset({"face", "gesture"})
_SENSES: Final = ("vad", "asr", "turn", "prosody", "face", "gesture")
_CHUNK: Final[Nanos] = 100 * MS
_FRAME: Final[Nanos] = 200 * MS
_LOOK: Final[Nanos] = 400 * MS
_WORD: Final[Nanos] = 340 * MS
_BEGIN: Final[Nanos] = 1200 * MS
_SURE: Final = 0.7
"""How sure the senses are, the median of the real ones where they are sure at all."""

_TAIL: Final[Nanos] = 4 * SECOND


@dataclass(frozen=True, slots=True)
class Answer:
    """What the agent did about a situation.

    Attributes:
        decisions: of the policy, in order; empty where it was not asked.
        shown: every emotion that the agent's face showed from the last turn (or the silence) on, in order.
        spoken: the words of the answer.
        heard: whether all that the person said has arrived.
    """

    decisions: tuple[Decision, ...]
    shown: tuple[str, ...]
    spoken: str
    heard: bool = True


def play(
    item: Situation,
    mind: Thinker,
    options: CallOptions,
    costs: Mapping[str, Nanos],
    *,
    senses: frozenset[str] | None = None,
) -> Answer:
    """Hold the call of one situation under the virtual clock.

    Args:
        item: the situation.
        mind: what answers it.
        options: as for a live call.
        costs: fixed time per label of work.
        senses: those that the caller allows; ``None`` for all.

    Raises:
        ExceptionGroup: what a part of the call raised.
    """
    lines, counts_from, end = _script(item)
    opens = bool(item.turns) and item.turns[0].who == "agent"
    # The scripted opening stands for the greeting: what that would have said is not made up for in a pause.
    later = dataclasses.replace(options.disclosure, pause=3600 * SECOND)
    options = dataclasses.replace(
        options, greeting=opens, disclosure=later, prepare_every=24 * 3600 * SECOND, finish=_TAIL
    )
    caller = Loopback(_media(end), senses=senses, until=end)
    events: list[Event] = []
    scripted = Prompted(mind, [turn.text for turn in item.turns if turn.who == "agent"], opens=opens)
    workers = [Script(name, lines[name], sees=name in _SEES) for name in _SENSES]
    clock = VirtualClock(costs)
    clock.run(Call(caller, Parts(workers, scripted, Mute(), options), clock, [events.append]).run())
    decided = [(e.at, e.body) for e in events if isinstance(e.body, Decided) and e.at >= counts_from]
    own = [body for _, body in decided if body.cue == item.cue and body.reply]
    first = own[0].reply if own else 0
    answer = tuple(body.decision for body in own if body.reply == first)
    shown = tuple(a.emotion for at, a in caller.actions if at >= counts_from and isinstance(a, Display))
    arrived = [e.body.text for e in events if isinstance(e.body, Turn) and e.body.speaker == "user"]
    heard = all(any(turn.text in text for text in arrived) for turn in item.turns if turn.who == "person")
    return Answer(answer, shown, " ".join(d.text for d in answer if isinstance(d, Speak)), heard)


class Prompted:
    """A mind whose first replies are given, so that a situation has the past that it was written with.

    Args:
        mind: decides what is left.
        lines: the agent's earlier turns, in order.
        opens: whether the first of them opens the call.
    """

    def __init__(self, mind: Thinker, lines: Sequence[str], *, opens: bool) -> None:
        self._mind = mind
        self._lines = list(lines)
        self._opens = opens

    @property
    def name(self) -> str:
        """That of the mind."""
        return self._mind.name

    def session(self) -> Thinking:
        """Begin a call."""
        return _Session(self._mind.session(), self._lines, opens=self._opens)

    def close(self) -> None:
        """Leave the mind to whoever made it."""


class _Session:
    def __init__(self, inner: Thinking, lines: Sequence[str], *, opens: bool) -> None:
        self._inner = inner
        self._lines = list(lines)
        self._opens = opens

    async def prepare(self, window: ContextWindow, /) -> None:
        await self._inner.prepare(window)

    async def decide(self, window: ContextWindow, /) -> AsyncIterator[Told]:
        opening = window.cue == CUE_GREETING and self._opens
        said = sum(turn.speaker == "agent" for turn in window.turns)
        if said < len(self._lines) and (opening or window.cue == CUE_END_OF_TURN):
            line = self._lines[said]
            yield Express(emotion="neutral", reason="The situation says so.")
            text = f"{HELLO} {line}" if opening else line
            yield Speak(text=text, emotion="neutral", reason="The situation says so.")
            return
        async for step in self._inner.decide(window):
            yield step

    async def close(self) -> None:
        await self._inner.close()


def _media(end: Nanos) -> Iterator[Media]:
    """Yield silence and grey pictures up to ``end``, in order of time."""
    still = np.zeros((4, 4, 3), np.uint8)
    for n in range(1, end // _CHUNK + 1):
        if n * _CHUNK % _FRAME == 0:
            yield VideoFrame(still, at=n * _CHUNK)
        yield AudioChunk(np.zeros(_CHUNK * 16_000 // SECOND, np.float32), start=(n - 1) * _CHUNK)


def _script(item: Situation) -> tuple[dict[str, list[Line]], Nanos, Nanos]:
    """Return what each sense reports and when, from which instant on it counts, and when the call is over."""
    lines: dict[str, list[Line]] = {name: [] for name in _SENSES}
    counts_from: Nanos = 0
    at = _BEGIN
    lines["face"].append((200 * MS, _percept("face", FACE, "present", 0, 200 * MS, 0.95)))
    if item.turns:
        lines["face"].append((500 * MS, _percept("face", PRESENCE, "arrived", 0, 500 * MS, 0.9, count=1.0)))
    for number, turn in enumerate(item.turns):
        end = at + max(2, len(turn.text.split())) * _WORD
        if turn.who == "person":
            counts_from = at
            for name, found in spoken(turn, number + 1, at, end).items():
                lines[name] += found
        at = end + (1200 * MS if turn.who == "agent" else 900 * MS)
    if item.after is None:
        return lines, counts_from, at + _TAIL
    counts_from = at
    over = at + seconds(item.after.seconds)
    for label, after in item.after.presence:
        when = at + seconds(after)
        count = 1.0 if label == "arrived" else 0.0
        lines["face"].append((when, _percept("face", PRESENCE, label, when, when, 0.9, count=count)))
    gone = min((at + seconds(t) for label, t in item.after.presence if label == "left"), default=over)
    if item.after.face:
        lines["face"] += _looks((item.after.face,), at + 2 * SECOND if gone == over else at, gone)
    return lines, counts_from, over


def spoken(turn: Said, utterance: int, start: Nanos, end: Nanos) -> dict[str, list[Line]]:
    """Return what the senses report of one turn of the person, and when: lines under the name of each sense.

    Args:
        turn: the words, and how face, voice and gaze go with them.
        utterance: its number, from 1.
        start: when the person begins to speak.
        end: when the last word is over.
    """
    words = turn.text.split()
    step = (end - start) / len(words)
    starts = tuple((start + n * step) / SECOND for n in range(len(words)))
    asr: list[Line] = []
    for many in range(2, len(words), 3):
        until = start + round(many * step)
        label = " ".join(words[:many])
        asr.append((until + 250 * MS, _percept("asr", PARTIAL, label, start, until, 0.8, utterance=float(utterance))))
    final = Percept(
        TRANSCRIPT, turn.text, start, end, 0.9, "asr", {"utterance": float(utterance), "word_starts": starts}
    )
    asr.append((end + 300 * MS, final))
    eyes = _looks(turn.face, start, end) if turn.face else []
    if turn.gaze:
        middle = (start + end) // 2
        eyes.append((middle + 50 * MS, _percept("face", GAZE, turn.gaze, start, middle, _SURE)))
        eyes.append((end + 50 * MS, _percept("face", GAZE, turn.gaze, middle, end, _SURE)))
    return {
        "vad": [
            (start + 100 * MS, _percept("vad", SPEECH_STARTED, "", start, start, 0.9)),
            (end + 200 * MS, _percept("vad", SPEECH_ENDED, "", start, end, 0.9)),
        ],
        "asr": asr,
        "turn": [(end + 260 * MS, _percept("turn", END_OF_TURN, "complete", start, end, 0.9, probability=0.9))],
        "prosody": [(end + 150 * MS, _percept("prosody", PROSODY, turn.voice, start, end, _SURE))]
        if turn.voice
        else [],
        "face": eyes,
    }


def _looks(faces: Sequence[str], start: Nanos, end: Nanos) -> list[Line]:
    count = max(len(faces), (end - start) // _LOOK)
    found: list[Line] = []
    for n in range(count):
        label = faces[n * len(faces) // count]
        until = start + (n + 1) * (end - start) // count
        sure = 0.3 if label == UNCERTAIN else _SURE
        numbers = {} if label == UNCERTAIN else dict.fromkeys(LOOKS, (1.0 - _SURE) / (len(LOOKS) - 1)) | {label: _SURE}
        numbers["valence"] = 0.6 if label == "happy" else -0.5 if label in NEGATIVE else 0.0
        found.append((until + 50 * MS, _percept("face", EXPRESSION, label, until - _LOOK, until, sure, **numbers)))
    return found


def _percept(worker: str, kind: str, label: str, start: Nanos, end: Nanos, sure: float, **data: float) -> Percept:
    return Percept(kind, label, max(0, start), end, sure, worker, data)
