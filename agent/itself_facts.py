"""What is true of the agent: in every call (:class:`Facts`), and of one call at a moment (:class:`Now`).

:mod:`agent.itself_answers` tells from that which lines of ``policy/data/itself.toml`` are true in answer to a question.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from agent.sense_map import SenseMap
from perception.context import ContextWindow, Turn
from perception.media import Text
from perception.percept import FACE, TRANSCRIPT
from perception.timebase import SECOND, Nanos
from perception.workers import WorkerFactory
from policy.cues import Cues
from policy.mood import SHOWN

_SEEN: Final = 3 * SECOND
"""How long a face counts as seen after it was."""

_BLIND: Final = frozenset({"camera", "face", "video"})
_DEAF: Final = frozenset({"microphone", "asr", "audio"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the running configuration makes true in every call.

    Attributes:
        operator: name of whoever runs it, as configured; ``""`` where that is not known.
        writes_words: whether the journal, where there is one, may hold words.
        words_days: days after which words leave a journal.
        journal_days: days after which a journal is deleted.
        media_span: for how long sound and pictures stay in memory; 0 where they do not.
        near: whether only this machine can come in.
        tells_danger: whether an operator is told of a danger.
        traces: whether timings leave the machine.
        affect: whether feelings are inferred from faces and voices.
        mind: ``small``, ``tiny``, ``rules``, ``here``, ``far`` or ``other``: what words its answers.
        model: name of the model of a mind that is ``here`` or ``far``.
        hosts: names of other machines that are sent what is said.
        media: what they are sent beside it, as it is spoken; ``""`` for nothing.
        native: whether a mind sees the pictures itself.
        free: whether a mind writes its words itself, and may know and do what this module does not know of.
    """

    operator: str = ""
    writes_words: bool = False
    words_days: int = 1
    journal_days: int = 30
    media_span: Nanos = 30 * SECOND
    near: bool = True
    tells_danger: bool = False
    traces: bool = False
    affect: bool = True
    mind: str = "small"
    model: str = ""
    hosts: tuple[str, ...] = ()
    media: str = ""
    native: bool = False
    free: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """What is true of a call just now.

    Attributes:
        journal: whether a journal of it is written.
        words: whether words are written into that.
        sight: ``none`` (nothing could see), ``refused``, ``lost``, ``absent`` (nobody is in the picture), ``unsure`` or
            ``yes``.
        hearing: ``none``, ``refused``, ``lost``, ``unsure`` or ``yes``.
        look: ``distress``, ``joy``, ``neutral`` or ``plain``: what a face that is seen shows.
        hints: what its guesses of a mood rest on, as it is spoken.
        moment: date and time of day where it runs.
    """

    journal: bool = False
    words: bool = False
    sight: str = "refused"
    hearing: str = "refused"
    look: str = "neutral"
    hints: str = "your words"
    moment: datetime


def now_of(
    facts: Facts,
    window: ContextWindow,
    cues: Cues,
    workers: Sequence[WorkerFactory],
    allowed: frozenset[str] | None,
    moment: datetime,
    *,
    journal: bool = False,
    recording: bool = False,
) -> Now:
    """Read off ``window`` what the senses know just now.

    Args:
        facts: of the configuration.
        window: what is known.
        cues: the same as numbers.
        workers: all senses of the call.
        allowed: names of those that the caller allows, ``None`` for all.
        moment: date and time of day.
        journal: whether a journal of the call is written.
        recording: whether the caller allows words in it.
    """
    known = SenseMap.of(workers)
    sight, hearing = _state(known.eyes, allowed, cues.lost & _BLIND), _state(known.ears, allowed, cues.lost & _DEAF)
    if sight == "yes":
        face = window.latest(FACE, _SEEN)
        sight = "unsure" if face is None else "absent" if face.label == "absent" or cues.absent else "yes"
    if hearing == "yes" and not _heard(window):
        hearing = "unsure"
    look = "distress" if (cues.face_distress or 0.0) >= SHOWN else "joy" if cues.smiling >= SHOWN else "neutral"
    names = known.names if allowed is None else known.names & allowed
    hints = ["your words"]
    if facts.affect and hearing in {"yes", "unsure"} and "prosody" in names:
        hints.append("the sound of your voice")
    if facts.affect and sight == "yes" and "expression" not in window.refused and "face" in names:
        hints.append("your face")
    shown = facts.affect and cues.face is not None
    return Now(
        journal=journal,
        words=journal and recording and facts.writes_words,
        sight=sight,
        hearing=hearing,
        look=look if shown else "plain" if not facts.affect or "expression" in window.refused else "neutral",
        hints=" and ".join(hints) if len(hints) < 3 else ", ".join(hints[:2]) + " and " + hints[2],
        moment=moment,
    )


def _state(takes: frozenset[str], allowed: frozenset[str] | None, lost: frozenset[str]) -> str:
    if not takes:
        return "none"
    if allowed is not None and not takes & allowed:
        return "refused"
    # A sense that is merely refused stands among the lost ones too; what counts is whether any is left.
    left = takes if allowed is None else takes & allowed
    core = {"camera", "microphone", "video", "audio"} | left
    return "lost" if lost & core else "yes"


def _heard(window: ContextWindow) -> bool:
    """Tell whether words of the person came by ear lately."""
    last = next((e for e in reversed(window.entries) if isinstance(e, (Turn, Text)) and _theirs(e)), None)
    return (isinstance(last, Turn)) or bool(window.hearing) or window.latest(TRANSCRIPT) is not None


def _theirs(entry: Turn | Text) -> bool:
    return isinstance(entry, Text) or entry.speaker == "user"


def slots(facts: Facts, now: Now) -> dict[str, str]:
    """Return what the slots of the lines stand for."""
    runner = facts.operator or "whoever runs me"
    moment = now.moment
    return {
        "runner": runner,
        "Runner": f"{runner[0].upper()}{runner[1:]}",
        "operator": facts.operator,
        "host": _spoken_host(facts.hosts),
        "media": facts.media,
        "media_for": _seconds(facts.media_span),
        "words_for": _days(facts.words_days),
        "log_for": _days(facts.journal_days),
        "hints": now.hints,
        "model": facts.model,
        "time": _time(moment),
        "weekday": f"{moment:%A}",
        "month": f"{moment:%B}",
        "day": _ordinal(moment.day),
        "year": str(moment.year),
    }


def _spoken_host(hosts: Sequence[str]) -> str:
    """Return where served models stand; an address of numbers tells nobody anything."""
    names = [host for host in hosts if not _is_address(host)]
    if not names:
        return "an address I only have in numbers"
    return " and ".join(names)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _seconds(span: Nanos) -> str:
    whole = round(span / SECOND)
    return "a moment" if whole < 1 else "1 second" if whole == 1 else f"{whole} seconds"


def _days(days: int) -> str:
    return "an hour or so" if days == 0 else f"{days} day{'s' if days != 1 else ''}"


def _time(moment: datetime) -> str:
    if moment.minute == 0 and moment.hour % 12 == 0:
        return "noon" if moment.hour else "midnight"
    part = "in the morning" if moment.hour < 12 else "in the afternoon" if moment.hour < 18 else "in the evening"
    return f"{moment.hour % 12 or 12}:{moment.minute:02d} {part if 5 <= moment.hour < 22 else 'at night'}"


def _ordinal(day: int) -> str:
    return f"{day}{'th' if 11 <= day <= 13 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"
