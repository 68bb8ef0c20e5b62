"""Whether what should have arrived has arrived: a run that was deaf must not look like one that heard.

What a medium holds is found beside the senses of the run, from the very media that went into them: how long there is a
voice, by the voice detector alone, and in how many of a few pictures there is a face, by the face detector alone. Where
a data set tells what is said, or that a face is to be seen, it is believed. Against that stands what the senses
brought.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from agent.bench.records import Record
from agent.bench.stats import word_errors
from agent.models import ModelError
from perception.media import AudioChunk, VideoFrame
from perception.percept import TRANSCRIPT, Percept
from perception.timebase import Nanos
from perception.workers import Resolve
from policy.tasks import Item

if TYPE_CHECKING:
    from perception.ssd import Detector

LOOKS: Final = 8
"""Pictures of a medium in which a face is looked for."""

ARRIVED: Final = 0.8
"""Least share that has to arrive for figures to be worth anything, and largest share of guesses."""
GUESSED: Final = 0.5

_VOICE: Final = 0.5
"""Probability from which a hop is voice."""
_VOICE_S: Final = 1.0
"""Seconds of voice from which words are expected."""
_FACES: Final = 0.25
"""Share of pictures with a face from which a face percept is expected."""
_NAMED: Final = 5
_PERCEIVED: Final = {
    "voice": ("hold a voice, and words came from", "is a recogniser among the workers, and does it hear?"),
    "face": ("show a face, and a face percept came from", "is face among the workers, and does it see?"),
}
_GIVEN: Final = {
    "voice": ("hold a voice, and the policy got sound from", "does the policy say that it hears?"),
    "face": ("show a face, and the policy got pictures from", "does the policy say that it sees?"),
}


class Ground:
    """Finds voices and faces with the bare detectors; one process needs one. Not thread-safe.

    Args:
        resolve: finds ``silero-vad`` and ``face-detector-full``; what it cannot find is not looked for.
    """

    def __init__(self, resolve: Resolve) -> None:
        self._silero: Any = None
        self._faces: Detector | None = None
        # The command line reads what was found, and waits for no model library.
        from perception.silero import load_silero
        from perception.ssd import FULL_RANGE_FACE, Detector

        try:
            self._silero = load_silero(resolve("silero-vad"))
            self._faces = Detector(resolve("face-detector-full").read_bytes(), FULL_RANGE_FACE)
        except (ModelError, OSError):
            return  # what is not known is told as such

    def voice_s(self, chunks: Sequence[AudioChunk]) -> float | None:
        """Return the seconds of voice in ``chunks``; ``None`` where it cannot be told."""
        if self._silero is None:
            return None
        from perception.ear import Ear
        from perception.silero import HOP, Silero

        ear = Ear(Silero(self._silero))
        voiced = sum(hop.probability >= _VOICE for hop in ear.hear(chunks))
        return round(voiced * HOP / 16_000, 2)

    def face_share(self, pictures: Sequence[VideoFrame]) -> float | None:
        """Return the share of ``pictures`` with a face; ``None`` where it cannot be told."""
        if self._faces is None or not pictures:
            return None
        found = sum(bool(self._faces(np.ascontiguousarray(picture.pixels))) for picture in pictures)
        return round(found / len(pictures), 3)


class Transcript:
    """The words that were recognised in a call, each utterance as it was understood last."""

    def __init__(self) -> None:
        self._words: dict[float, str] = {}

    def take(self, percept: Percept) -> None:
        """Take in a percept, if it is a transcript."""
        if percept.kind == TRANSCRIPT:
            self._words[percept.number("utterance", len(self._words) + 1)] = percept.label

    def __str__(self) -> str:
        return " ".join(self._words.values())


@dataclass(slots=True)
class Kept:
    """What is kept of the media of one item, for :class:`Ground` to look at afterwards.

    Attributes:
        gap: least time between two pictures that are kept.
        sound: all of it, 16 kHz.
        pictures: at most :data:`LOOKS`.
    """

    gap: Nanos
    sound: list[AudioChunk] = field(default_factory=list)
    pictures: list[VideoFrame] = field(default_factory=list)

    def take(self, media: object) -> None:
        """Keep a piece of media, if it is one."""
        if isinstance(media, AudioChunk):
            self.sound.append(media)
        elif isinstance(media, VideoFrame) and len(self.pictures) < LOOKS and self._due(media.at):
            self.pictures.append(media)

    def _due(self, at: Nanos) -> bool:
        return not self.pictures or at - self.pictures[-1].at >= self.gap


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a run must reach for its figures to be worth anything.

    Attributes:
        arrived: least share of the items with a voice (a face) that brought words (a face percept).
        guessed: largest share of the answers that were guesses.

    Raises:
        ValueError: a share is not within 0..1.
    """

    arrived: float = ARRIVED
    guessed: float = GUESSED

    def __post_init__(self) -> None:
        for name in ("arrived", "guessed"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a share from 0 to 1")


def told_words(item: Item) -> str:
    """Return what is said in the medium of ``item``, as the data set tells; ``""`` where it does not."""
    return next((ask.asr for ask in item.asks if ask.asr.strip()), "") if item.hears else ""


def arrivals(items: Iterable[Item], records: Sequence[Record], *, native: bool = False) -> dict[str, Any]:
    """Return what should have arrived and what did, as plain JSON values.

    Args:
        items: those that were selected.
        records: what came of them; one that failed as a whole is told among the errors, not here.
        native: whether the policy got the media themselves, and no percepts; then what was given to it counts.

    Returns:
        ``voice`` and ``face``: ``{expected, arrived, missing}``, the last with ids. ``lost``: items per sense that was
        given up, of ``items``. ``asked`` and ``guessed``: questions that were answered, and those without anything to
        go by. ``words`` and ``word_errors``: of the transcripts, against what the data set tells; ``None`` where it
        tells nothing. ``unknown``: items of which nobody could tell what is in them.
    """
    by_id = {item.id: item for item in items}
    usable = [(by_id[record.id], record) for record in records if record.id in by_id and not record.error]
    voiced = [(item, record) for item, record in usable if _speaks(item, record)]
    faced = [(item, record) for item, record in usable if _shows(item, record)]
    lost = Counter(sense for _, record in usable for sense in record.senses_lost)
    answers = [answer for _, record in usable for answer in record.answers if answer.raw is not None]
    scripts = [(told_words(item), record.transcript) for item, record in voiced if told_words(item)]
    counted = [word_errors(script, heard) for script, heard in scripts] if not native else []
    return {
        "native": native,
        "items": len(usable),
        "voice": _share(voiced, lambda r: any(a.heard_s > 0 for a in r.answers) if native else bool(r.transcript)),
        "face": _share(faced, lambda r: any(a.frames > 0 for a in r.answers) if native else r.face_percepts > 0),
        "lost": dict(sorted(lost.items())),
        "asked": len(answers),
        "guessed": sum(answer.guessed for answer in answers),
        "words": sum(total for _, total in counted) or None,
        "word_errors": sum(wrong for wrong, _ in counted) if counted else None,
        "unknown": sum(_unknown(item, record) for item, record in usable),
    }


def told(found: Mapping[str, Any]) -> str:
    """Return what arrived as one sentence: ``heard 41 of 44, saw a face in 52 of 52, guessed 3 of 69``."""
    voice, face = found["voice"], found["face"]
    native = found["native"]
    parts = [
        f"{'given sound in' if native else 'heard'} {voice['arrived']} of {voice['expected']} with a voice",
        f"{'given pictures in' if native else 'saw a face in'} {face['arrived']} of {face['expected']} with one",
        f"guessed {found['guessed']} of {found['asked']}",
    ]
    if found["words"]:
        parts.append(f"word error rate {100 * found['word_errors'] / found['words']:.1f} %")
    parts += [f"{sense} was lost in {count}" for sense, count in found["lost"].items()]
    if found["unknown"]:
        parts.append(f"not checked: {found['unknown']}, for want of a detector (agent models fetch)")
    return "; ".join(parts)


def alarms(found: Mapping[str, Any], bounds: Bounds | None = None) -> list[str]:
    """Return why the figures of a run are worth nothing, a sentence each; an empty list where they are."""
    bounds = bounds or Bounds()
    out = []
    for key, (bad, fix) in (_GIVEN if found["native"] else _PERCEIVED).items():
        part = found[key]
        if part["arrived"] < bounds.arrived * part["expected"]:
            named = ", ".join(part["missing"][:_NAMED])
            out.append(f"{part['expected']} items {bad} only {part['arrived']}, not from {named} ({fix})")
    asked, guessed = found["asked"], found["guessed"]
    if guessed > bounds.guessed * asked:
        out.append(f"{guessed} of {asked} answers are guesses: nothing was perceived that speaks to the question")
    for sense, count in found["lost"].items():
        if count > (1.0 - bounds.arrived) * found["items"]:
            out.append(f"the sense {sense} was given up in {count} of {found['items']} items (its log says why)")
    return out


def _speaks(item: Item, record: Record) -> bool:
    return item.hears and (bool(told_words(item)) or (record.voice_s or 0.0) >= _VOICE_S)


def _shows(item: Item, record: Record) -> bool:
    if not item.sees:
        return False
    return (record.face_share or 0.0) >= _FACES if item.faces is None else item.faces


def _unknown(item: Item, record: Record) -> bool:
    deaf = item.hears and record.voice_s is None and record.heard_s > 0 and not told_words(item)
    blind = item.sees and item.faces is None and record.face_share is None and record.frames_seen > 0
    return deaf or blind


def _share(some: Sequence[tuple[Item, Record]], arrived: Callable[[Record], bool]) -> dict[str, Any]:
    missing = [record.id for _, record in some if not arrived(record)]
    return {"expected": len(some), "arrived": len(some) - len(missing), "missing": list(dict.fromkeys(missing))}


def picture_gap(duration: Nanos) -> Nanos:
    """Return the time between the pictures in which a face is looked for, in a medium of ``duration``."""
    return math.ceil(duration / LOOKS)
