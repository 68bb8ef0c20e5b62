"""What can be told from a window at the moment of a decision, as numbers: words, face, voice, gaze, history.

A sense that is lost or refused, or that has only been uncertain, is *unknown* (``None``), never neutral.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from perception.context import ContextWindow, Turn
from perception.media import Text
from perception.percept import (
    EXPRESSION,
    FACE,
    GAZE,
    GESTURE,
    LOOKS,
    NEGATIVE,
    PRESENCE,
    PROSODY,
    SENSE_BACK,
    SENSE_LOST,
    SPEECH_ENDED,
    SPEECH_STARTED,
    TRANSCRIPT,
    UNCERTAIN,
    Percept,
)
from perception.timebase import SECOND, Nanos
from policy.prompt import contradiction
from policy.words import topics

RECENT: Final[Nanos] = 6 * SECOND
"""How far back a look or a tone still says something about now."""

SIGHT: Final = frozenset({"face", "camera", "video", "expression"})
"""Names under which the sense of the look on the face may be lost or refused."""

SOUND: Final = frozenset({"prosody", "voice", "microphone", "audio"})
"""Names under which the sense of the tone of voice may be lost or refused."""

_EYES: Final = SIGHT - {"expression"}

_HEAVY: Final[Mapping[str, float]] = MappingProxyType({"trembling": 1.0, "flat": 0.7, "quiet": 0.4, "slow": 0.35})
_TENSE: Final[Mapping[str, float]] = MappingProxyType({"loud": 0.6, "rising": 0.3, "fast": 0.3})
_NONE: Final[Mapping[str, float]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cues:
    """Features of one window.

    Attributes:
        words: what the person said since the agent last spoke; ``""`` if nothing.
        before: what they said earlier, one string per run of turns, oldest first.
        agent: what the agent said, oldest first.
        language: language of the last transcript, ``""`` unknown.
        face: probability per expression over the last :data:`RECENT`, weighted by confidence; ``None`` unknown.
        face_at_words: the same over the time of the words.
        valence: mean valence of the face, -1..1; ``None`` unknown.
        voice: confidence per label of the voice lately; ``None`` unknown.
        voice_z: z-scores of the last prosody percept, by name.
        gaze: ``towards``, ``away`` or ``None``.
        gestures: labels of the gestures lately.
        contradiction: how face or voice contradict the words, in a few words; ``""`` if they do not.
        silence: time since the last words of either side.
        talking: whether the person's voice is on just now.
        absent: whether nobody is to be seen.
        away: for how long nobody was there before somebody came last; ``None`` if nobody was seen to leave before.
        lost: names of the senses that are lost or refused.
        evidence: the percepts behind all this, oldest first.
    """

    words: str = ""
    before: tuple[str, ...] = ()
    agent: tuple[str, ...] = ()
    language: str = ""
    face: Mapping[str, float] | None = None
    face_at_words: Mapping[str, float] | None = None
    valence: float | None = None
    voice: Mapping[str, float] | None = None
    voice_z: Mapping[str, float] = field(default_factory=lambda: _NONE)
    gaze: str | None = None
    gestures: tuple[str, ...] = ()
    contradiction: str = ""
    silence: Nanos = 0
    talking: bool = False
    absent: bool = False
    away: Nanos | None = None
    lost: frozenset[str] = frozenset()
    evidence: tuple[Percept, ...] = ()

    @property
    def turns(self) -> int:
        """Number of runs of user turns, the last one included."""
        return len(self.before) + bool(self.words)

    @property
    def topics(self) -> tuple[str, ...]:
        """The person's own noun phrases, newest utterance first."""
        return tuple(dict.fromkeys(t for text in (self.words, *reversed(self.before)) for t in topics(text)))

    @property
    def face_distress(self) -> float | None:
        """Probability that the face shows distress, the stronger of lately and during the words."""
        found = [sum(f.get(label, 0.0) for label in NEGATIVE) for f in (self.face, self.face_at_words) if f]
        return max(found) if found else None

    @property
    def voice_distress(self) -> float | None:
        """How far the voice sounds heavy, 0..1."""
        if self.voice is None:
            return None
        return max((_HEAVY[label] * c for label, c in self.voice.items() if label in _HEAVY), default=0.0)

    @property
    def distress(self) -> float:
        """The stronger of face and voice, 0..1; what is unknown adds nothing."""
        return max(self.face_distress or 0.0, self.voice_distress or 0.0)

    @property
    def tension(self) -> float:
        """How far the voice sounds aroused, 0..1; anger and delight alike."""
        return max((_TENSE[k] * c for k, c in (self.voice or {}).items() if k in _TENSE), default=0.0)

    @property
    def smiling(self) -> float:
        """Probability of a happy face; a smile alone is not joy."""
        return max((f.get("happy", 0.0) for f in (self.face, self.face_at_words) if f), default=0.0)


def cues_of(window: ContextWindow) -> Cues:
    """Read the features off ``window``."""
    runs, agent, span = _dialogue(window)
    words = runs[-1] if runs and runs[-1] is not None else ""
    before = tuple(run for run in runs[:-1] if run)
    lost = lost_senses(window)
    recent = [p for p in window.percepts if p.end > window.end - RECENT]
    present = not _absent(window)
    sighted = present and not lost & SIGHT
    followed = present and not lost & (_EYES | {"gaze"})
    looks = [p for p in recent if p.kind == EXPRESSION] if sighted else []
    spoken = [p for p in window.percepts if p.kind == EXPRESSION and p.end > span[0] and p.start < span[1]]
    tones = [p for p in recent if p.kind == PROSODY] if not lost & SOUND else []
    gazes = [p for p in recent if p.kind == GAZE and p.label != UNCERTAIN] if followed else []
    moved = present and not lost & (_EYES | {"gesture"})
    gestures = tuple(p for p in recent if p.kind == GESTURE and p.label != UNCERTAIN) if moved else ()
    transcript = window.latest(TRANSCRIPT)
    face, voice = _strongest(looks), _strongest(tones)
    gaze = gazes[-1] if gazes else None
    # A smile that was over before the words began says nothing against them.
    facing = _strongest(spoken) if sighted and spoken else face
    shown = [p for p in (facing, voice, gaze, *gestures[-1:]) if p is not None]
    if transcript is not None and transcript.end > span[0] - RECENT:
        shown.append(transcript)
    return Cues(
        words=words,
        before=before,
        agent=agent,
        language=str(transcript.data.get("language", "")) if transcript is not None else "",
        face=_distribution(looks),
        face_at_words=_distribution(spoken) if sighted else None,
        valence=_mean((p.number("valence"), p.confidence) for p in looks if "valence" in p.data),
        voice=_voice(tones),
        voice_z=_z_scores(tones[-1]) if tones else _NONE,
        gaze=gaze.label if gaze is not None else None,
        gestures=tuple(p.label for p in gestures),
        contradiction=contradiction(words, facing, voice, gaze) if words else "",
        silence=max(0, window.end - _last_voice(window)),
        talking=_talking(window),
        absent=_absent(window),
        away=_away(window),
        lost=lost,
        evidence=tuple(sorted(shown, key=lambda p: (p.start, p.end))),
    )


def _dialogue(window: ContextWindow) -> tuple[list[str | None], tuple[str, ...], tuple[Nanos, Nanos]]:
    """Return runs of user words (the last is ``None`` if the agent spoke last), agent texts, time of the last words."""
    runs: list[list[str]] = [[]]
    agent: list[str] = []
    begin, end = window.end, window.end
    for entry in window.entries:
        if isinstance(entry, Percept) or (isinstance(entry, Text) and entry.form):
            continue
        if isinstance(entry, Turn) and entry.speaker == "agent":
            agent.append(entry.text)
            if runs[-1]:
                runs.append([])
            continue
        if not entry.text.strip():
            continue
        start, stop = (entry.at, entry.at) if isinstance(entry, Text) else (entry.start, entry.end)
        begin = start if not runs[-1] else begin
        end = stop
        runs[-1].append(entry.text.strip())
    if window.hearing.strip():
        begin = begin if runs[-1] else window.end - RECENT
        runs[-1].append(window.hearing.strip())
        end = window.end
    return [" ".join(run) or None for run in runs], tuple(agent), (begin, max(begin + 1, end))


def lost_senses(window: ContextWindow) -> frozenset[str]:
    """Return the names of the senses that are lost or refused at the end of ``window``."""
    lost: set[str] = set()
    for percept in window.percepts:
        if percept.kind == SENSE_LOST:
            lost.add(percept.label)
        elif percept.kind == SENSE_BACK:
            lost.discard(percept.label)
    return frozenset(lost) | window.refused


def _absent(window: ContextWindow) -> bool:
    """Tell whether the last word on it, of the face or of the head count, is that nobody is there."""
    for entry in reversed(window.entries):
        if isinstance(entry, Percept):
            if entry.kind == FACE:
                return entry.label == "absent"
            if entry.kind == PRESENCE:
                return entry.label == "left" and entry.number("count") == 0
    return False


def _away(window: ContextWindow) -> Nanos | None:
    """Return how long it was empty before somebody came last."""
    came: Percept | None = None
    for entry in reversed(window.entries):
        if isinstance(entry, Percept) and entry.kind == PRESENCE:
            if came is None:
                if entry.label != "arrived":
                    return None
                came = entry
            elif entry.label == "left":
                return came.end - entry.end if entry.number("count") == 0 else None
    return None


def _talking(window: ContextWindow) -> bool:
    for entry in reversed(window.entries):
        if isinstance(entry, Percept) and entry.kind in {SPEECH_STARTED, SPEECH_ENDED}:
            return entry.kind == SPEECH_STARTED
    return False


def _last_voice(window: ContextWindow) -> Nanos:
    if window.hearing.strip():
        return window.end
    for entry in reversed(window.entries):
        if isinstance(entry, Turn):
            return entry.end
        if isinstance(entry, Text):
            return entry.at
    return window.start


def _distribution(looks: Sequence[Percept]) -> Mapping[str, float] | None:
    """Average the expressions, each weighted by its confidence; ``None`` where nearly all were uncertain."""
    total: dict[str, float] = {}
    weight = 0.0
    for look in looks:
        if look.label == UNCERTAIN:
            continue
        numbers = {k: float(v) for k, v in look.data.items() if k in LOOKS and isinstance(v, (int, float))}
        for label, share in (numbers or {look.label: look.confidence}).items():
            total[label] = total.get(label, 0.0) + share * look.confidence
        weight += look.confidence
    if weight < 0.3 or sum(p.label != UNCERTAIN for p in looks) * 4 < len(looks):
        return None
    return MappingProxyType({label: share / weight for label, share in total.items()})


def _voice(tones: Sequence[Percept]) -> Mapping[str, float] | None:
    found: dict[str, float] = {}
    for tone in tones:
        if tone.label != UNCERTAIN:
            found[tone.label] = max(found.get(tone.label, 0.0), tone.confidence)
    return MappingProxyType(found) if found else None


def _z_scores(tone: Percept) -> Mapping[str, float]:
    return MappingProxyType(
        {k: float(v) for k, v in tone.data.items() if k.startswith("z_") and isinstance(v, (int, float))}
    )


def _strongest(percepts: Sequence[Percept]) -> Percept | None:
    """Return the percept to cite: a telling one before a neutral one, the surest, then the newest."""
    known = [p for p in percepts if p.label != UNCERTAIN]
    return max(known, key=lambda p: (p.label != "neutral", p.confidence, p.end), default=None)


def _mean(weighted: Iterable[tuple[float, float]]) -> float | None:
    pairs = [(value, weight) for value, weight in weighted if weight > 0]
    total = sum(weight for _, weight in pairs)
    return sum(value * weight for value, weight in pairs) / total if total else None
