"""What counts in a scripted conversation: interruptions, pauses, ends of turns, sounds of listening, looks.

The terms are those of Full-Duplex-Bench (Lin et al., 2025, arXiv:2503.04721): a *takeover* is a reply of the agent that
is heard, other than a sound of listening; in a pause it cuts the person off, after the turn it is wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agent.action import HoldAudio, StopAudio
from agent.bench.canary import Transcript
from agent.bench.stats import word_errors
from agent.empathy.timing_call import Happened
from agent.empathy.timing_sound import Span
from agent.journal import Decided, Note
from perception.context import Turn
from perception.percept import END_OF_TURN, PARTIAL, PROSODY, SPEECH_ENDED, TRANSCRIPT, Percept
from perception.timebase import MS, SECOND, Nanos, as_seconds
from policy.decision import Backchannel, Express

_PROMPT: Final[Nanos] = 300 * MS
"""An interruption is honoured if the agent is silent so soon after its first sound."""
_REACTS: Final[Nanos] = 2 * SECOND
"""So long after a sound over the agent's voice, what happens to the voice is due to it."""


@dataclass
class Tally:
    """Everything that was counted, over any number of conversations. Times are in seconds."""

    over: dict[str, list[bool]] = field(default_factory=dict)
    """Of each sort of sound over the agent's voice, whether it cut the reply."""
    paused: list[bool] = field(default_factory=list)
    """Of the same, whether the voice was held meanwhile."""
    stops: list[float] = field(default_factory=list)
    """From the first sound of a real interruption until the agent is silent."""
    honoured: list[bool] = field(default_factory=list)
    pauses: dict[str, list[bool]] = field(default_factory=dict)
    """Of each kind of pause, whether the agent cut in."""
    delays: list[float] = field(default_factory=list)
    """From the end of the person's voice until the turn counts as over."""
    latencies: list[float] = field(default_factory=list)
    """From the end of the person's voice until the reply is heard."""
    taken: list[bool] = field(default_factory=list)
    """Of each turn, whether the agent answered."""
    placed: list[str] = field(default_factory=list)
    """Of each sound of listening, where it began: ``pause``, ``words`` or ``after``."""
    overlaps: list[float] = field(default_factory=list)
    """How long each lay over words."""
    per_turn: list[int] = field(default_factory=list)
    nods: int = 0
    nods_still: int = 0
    turns_s: float = 0.0
    reflexes: dict[str, list[float]] = field(default_factory=dict)
    """Of each sense (``voice``, ``words``, ``face``): from the sound that made it sure to the display message."""
    traces: list[float] = field(default_factory=list)
    """The same from the first trace, such as the end of the voice before a pause."""
    unheard: list[int] = field(default_factory=list)
    """Of each opening that was cut, words that stayed in the context though they were not heard; below 0: too few."""
    drafts: int = 0
    dropped: int = 0
    heard: list[bool] = field(default_factory=list)
    """Of each conversation, whether any word of the person arrived."""
    words: int = 0
    word_errors: int = 0

    def take(self, other: Tally) -> None:
        """Add another tally."""
        for name, value in vars(other).items():
            mine = getattr(self, name)
            if isinstance(value, dict):
                for key, found in value.items():
                    mine.setdefault(key, []).extend(found)
            elif isinstance(value, list):
                mine.extend(value)
            else:
                setattr(self, name, mine + value)


def score(happened: Happened) -> tuple[Tally, Mapping[str, Any]]:
    """Count one conversation; return the tally, and what a reader wants to see of it as JSON."""
    tally = Tally()
    channel, events = happened.channel, happened.events
    begin, end = channel.turn
    replies = {e.body.reply for e in events if isinstance(e.body, Decided) and e.body.reply}
    heard = {number: voice for number, voice in happened.voices.items() if number in replies}
    murmurs = {number: voice for number, voice in happened.voices.items() if number not in replies}
    opening = min(heard, default=0)
    cut = [(e.at, e.body.data) for e in events if isinstance(e.body, Note) and e.body.event == "reply_cut"]
    silent = _silences(happened)
    notes: list[str] = []

    cut_at = next((at for at, data in cut if data["reply"] == opening), None)
    for span in channel.of("over"):
        first, length = heard.get(opening, (0, 0))
        if not first <= span.start or (cut_at is not None and cut_at < span.start) or first + length < span.start:
            continue  # the agent was not talking any more
        lost = cut_at is not None and span.start <= cut_at < span.start + _REACTS
        tally.over.setdefault("word" if span.text else span.kind, []).append(lost)
        tally.paused.append(any(span.start <= a < span.start + _REACTS for a, _ in silent))
        if lost:
            notes.append(f"cut by {span.text or span.kind}")
    if channel.talk.cuts_in and (cut_at is None or cut_at >= begin):
        stop = next((a for a, b in silent if b > begin), None)
        late = None if stop is None else as_seconds(max(0, stop - begin))
        # Nothing of the opening may be heard again after the voice fell silent.
        kept = cut_at is not None and not any(begin <= a and b is not None and b < cut_at for a, b in _holds(happened))
        tally.honoured.append(late is not None and late <= as_seconds(_PROMPT) and kept)
        if late is not None:
            tally.stops.append(late)
        if not tally.honoured[-1]:
            notes.append(f"interruption: stop {late}, cut {cut_at}")

    kept_text = next((e.body.text for e in events if isinstance(e.body, Turn) and e.body.speaker == "agent"), "")
    if cut_at is not None and opening in heard:
        share = as_seconds(heard[opening][1]) / channel.opening_s
        tally.unheard.append(len(kept_text.split()) - len(_begun(channel.talk.opening, share)))
    answers = [voice for number, voice in sorted(heard.items()) if number != opening]
    pauses = channel.of("pause")
    for number, pause in enumerate(pauses):
        until = pauses[number + 1].start if number + 1 < len(pauses) else end
        hit = any(pause.start <= first < until for first, _ in answers)
        tally.pauses.setdefault(pause.kind, []).append(hit)
        if hit:
            notes.append(f"cut off in a {pause.kind} pause of {as_seconds(pause.end - pause.start):.1f} s")
    after = [first for first, _ in answers if first >= end]
    tally.taken.append(bool(after))
    if after:
        tally.latencies.append(as_seconds(min(after) - end))
    over = [e.at for e in events if isinstance(e.body, Turn) and e.body.speaker == "user" and e.at >= end]
    if over:
        tally.delays.append(as_seconds(min(over) - end))

    words = channel.of("words") + channel.of("sound")
    transcript = Transcript()
    for event in events:
        if isinstance(event.body, Percept):
            transcript.take(event.body)
    tally.heard.append(bool(str(transcript)))
    tally.word_errors, tally.words = word_errors(" ".join(span.text for span in channel.of("words")), str(transcript))
    in_turn = 0
    for first, length in murmurs.values():
        tally.placed.append(_where(first, pauses, begin, end))
        tally.overlaps.append(as_seconds(sum(_common(first, first + length, w) for w in words if w.what == "words")))
        in_turn += begin <= first <= end
        if tally.placed[-1] != "pause":
            notes.append(f"sound of listening {tally.placed[-1]} at {as_seconds(first):.2f}")
    tally.per_turn.append(in_turn)
    tally.turns_s = as_seconds(end - begin)
    told: set[int] = set()
    for event in events:
        body = event.body
        if isinstance(body, Decided) and body.cue == "reflex" and isinstance(body.decision, Express):
            nods = body.decision.gesture == "nod"
            tally.nods += nods
            tally.nods_still += nods and _where(event.at, pauses, begin, end) == "pause"
            _time(tally, event.at, body.decision, happened.known, told)
        if isinstance(body, Note):
            tally.drafts += body.event == "reply_drafted"
            tally.dropped += body.event == "draft_dropped"
    sounds = [
        e.body.decision.token
        for e in events
        if isinstance(e.body, Decided) and e.body.cue == "reflex" and isinstance(e.body.decision, Backchannel)
    ]
    item = {
        "id": channel.talk.id,
        "held": channel.talk.held,
        "turn_s": [round(as_seconds(begin), 3), round(as_seconds(end), 3)],
        "user": [e.body.text for e in events if isinstance(e.body, Turn) and e.body.speaker == "user"],
        "agent": [[e.body.text, e.body.cut] for e in events if isinstance(e.body, Turn) and e.body.speaker == "agent"],
        "sounds": sounds,
        "delay_s": tally.delays,
        "latency_s": tally.latencies,
        "stop_s": tally.stops,
        "notes": notes,
    }
    return tally, item


def _time(tally: Tally, at: Nanos, decision: Express, known: Mapping[int, Nanos], told: set[int]) -> None:
    """Count how long the first answer to a percept took."""
    if not decision.evidence or id(decision.evidence[0]) in told:
        return
    cause = decision.evidence[0]
    told.add(id(cause))
    sense = _SENSES.get(cause.kind, "face")
    tally.reflexes.setdefault(sense, []).append(as_seconds(at - known.get(id(cause), cause.end)))
    if sense == "voice":
        tally.traces.append(as_seconds(at - cause.end))


_SENSES: Final = {
    SPEECH_ENDED: "voice",
    END_OF_TURN: "voice",
    PROSODY: "voice",
    PARTIAL: "words",
    TRANSCRIPT: "words",
}


def _silences(happened: Happened) -> list[tuple[Nanos, Nanos]]:
    """From when to when the agent's voice was held or stopped, in order; a stop lasts to the end."""
    last = from_end = happened.events[-1].at if happened.events else 0
    found = [(a, last if b is None else b) for a, b in _holds(happened)]
    found += [(at, from_end) for at, action in happened.actions if isinstance(action, StopAudio)]
    return sorted(found)


def _holds(happened: Happened) -> list[tuple[Nanos, Nanos | None]]:
    found: list[tuple[Nanos, Nanos | None]] = []
    for at, action in happened.actions:
        if isinstance(action, HoldAudio) and action.held:
            found.append((at, None))
        elif isinstance(action, HoldAudio) and found and found[-1][1] is None:
            found[-1] = (found[-1][0], at)
    return found


def _begun(text: str, share: float) -> list[str]:
    """Return the words that have begun when a share of the sound is over, at an even pace of letters."""
    return text[: max(1, round(share * len(text)))].split()


def _where(at: Nanos, pauses: list[Span], begin: Nanos, end: Nanos) -> str:
    if any(pause.start <= at < pause.end for pause in pauses):
        return "pause"
    return "words" if begin <= at < end else "after"


def _common(begin: Nanos, end: Nanos, span: Span) -> Nanos:
    return max(0, min(end, span.end) - max(begin, span.start))
