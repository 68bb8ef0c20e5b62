"""Danger that was misheard: what the recogniser took for something else, and how it is asked back about.

Spoken danger can be lost in recognition: "I took a whole bottle of pills" was recognised as "a whole bottle and built".
Two things are looked at beside the best transcript, where the recogniser was unsure of a word. *Alternatives*: is one
of them plain danger? *Sound*: does a stretch of the words, or of an alternative, sound nearly like a phrase of danger
(``policy/data/misheard.toml``), and would the turn be plain danger with that phrase in its place? Or are they half of
such a phrase? Each is a :class:`Doubt`. No help is shown for it. The agent asks back, once, and what follows is for the
person to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from perception.context import ContextWindow, Turn
from perception.percept import TRANSCRIPT, Percept
from policy.parse import sentences
from policy.safety.detector import KINDS, Finding, check_patterns, recent
from policy.safety.sounds import Phrasebook
from policy.words import Patterns, load_table, plain

_FILE: Final = "policy/data/misheard.toml"
_LINES: Final = "policy/data/crisis.toml"
_SECTION: Final = "misheard"
_SLOT: Final = "{you}"

NEAR: Final = 0.11
"""Distance per sound up to which words sound nearly like a phrase."""

_ALTERNATIVE: Final = 0.6
_SOUND: Final = 0.4
_CONFIRMED: Final = 0.95
_AGAIN: Final = 6
"""The agent's turns after a question within which the same is not asked back about."""

_LONGEST: Final = 60
"""Words of a turn that are compared by sound, the last ones."""


class MisheardError(ValueError):
    """The file breaks its schema; the message names file, entry and field."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Words that may have been plain danger.

    Attributes:
        kind: of the danger, one of :data:`policy.safety.detector.KINDS`.
        heard: the words as they were recognised.
        meant: the words as they may have been said.
        confidence: 0..1, in that they were.
        you: the same about the person, for the end of a question: ``you took pills``.
    """

    kind: str
    heard: str
    meant: str
    confidence: float
    you: str


@dataclass(frozen=True, slots=True)
class _Phrase:
    kind: str
    you: str
    say: tuple[str, ...]


def load() -> None:
    """Read and check the files now rather than at the first doubt.

    Raises:
        MisheardError: a file breaks its schema.
    """
    lines()
    _book()
    _meanings()
    _halves()
    _answers()
    _harmless()


def doubt(words: str, alternatives: Sequence[str] = (), before: Sequence[str] = ()) -> Doubt | None:
    """Return what of the words may have been plain danger, ``None`` for nothing.

    Args:
        words: the person's turn, best transcript.
        alternatives: other readings of the whole turn, likeliest first.
        before: the person's turns before it, oldest first; what was said plainly in them is not asked about.
    """
    if not words.strip() or check_patterns(words) is not None:
        return None
    known = recent(before)
    for meant in alternatives:
        found = check_patterns(meant)
        if found is not None and (known is None or known.kind != found.kind):
            return Doubt(found.kind, words, meant, _ALTERNATIVE, _you(meant, found.kind))
    harmless = _harmless().search("never", plain(words)) is not None
    for heard in (words,) if harmless else (words, *alternatives):
        near = _sounds_like(heard)
        if near is not None and (known is None or known.kind != near[0]):
            kind, meant, you = near
            return Doubt(kind, words, meant, _SOUND, you)
    half = next((p for p in phrases() if p.you in _halves().by_label and _halves().search(p.you, plain(words))), None)
    if half is not None and alternatives and (known is None or known.kind != half.kind):
        return Doubt(half.kind, words, half.say[0], _SOUND, half.you)
    return None


def readings(window: ContextWindow, words: str) -> tuple[str, ...]:
    """Return other readings of the person's running turn: one utterance at a time replaced by an alternative of it.

    Args:
        window: at the moment of a decision.
        words: the turn, as :func:`policy.cues.cues_of` tells; nothing is returned for what was typed, or sure.
    """
    found: dict[float, Percept] = {}
    for entry in window.entries:
        if isinstance(entry, Turn) and entry.speaker == "agent":
            found.clear()
        elif isinstance(entry, Percept) and entry.kind == TRANSCRIPT:
            found[entry.number("utterance", -1.0 - len(found))] = entry
    others: list[str] = []
    for percept in found.values():
        known = percept.data.get("alternatives", ())
        for other in known if isinstance(known, tuple) else ():
            # Of an utterance whose beginning belonged to an earlier turn, the words alone are looked at.
            others.append(words.replace(percept.label, str(other), 1) if percept.label in words else str(other))
    return tuple(dict.fromkeys(others)) if words else ()


def question(found: Doubt, heard: Sequence[str]) -> list[str]:
    """Return the sentences that ask back, of a line that was not said yet.

    Nothing is asked where all of them were said, or the same kind of danger was asked back about lately.

    Args:
        found: the doubt.
        heard: what the agent said so far, oldest first.
    """
    if any(asked(turn) == found.kind for turn in heard[-_AGAIN:]):
        return []
    said = [plain(text) for text in heard]
    for line in lines():
        start = plain(line.partition(_SLOT)[0])
        if not any(start in text for text in said):
            return list(sentences(line.replace(_SLOT, found.you)))
    return []


def asked(turn: str) -> str:
    """Return the kind of danger that a turn of the agent asks back about, ``""`` for none."""
    text = plain(turn)
    for line in lines():
        start, _, end = (plain(part) for part in line.partition(_SLOT))
        for phrase in phrases():
            if f"{start} {plain(phrase.you)} {end}".strip() in text:
                return phrase.kind
    return ""


def answer(words: str) -> bool | None:
    """Return whether ``words`` answer such a question with yes or no; ``None`` where they do neither."""
    text, said = plain(words), _answers()
    if said.search("no", text) is not None:
        return False
    return True if said.search("yes", text) is not None else None


def confirmed(words: str, last: str, again: Doubt | None = None) -> Finding | None:
    """Return the danger that the person confirms, ``None`` where they do not.

    Args:
        words: what they said to the agent's last turn.
        last: that turn.
        again: the doubt about ``words`` themselves: who is asked back and sounds like it once more has confirmed it.
    """
    kind = asked(last)
    if not kind:
        return None
    said = answer(words)
    if said is None and again is not None and again.kind == kind:
        said = True
    return Finding(kind, _CONFIRMED, "They were asked back about what was heard, and say yes.") if said else None


def _sounds_like(words: str) -> tuple[str, str, str] | None:
    """Return kind, turn as it may have been said, and the same about the person."""
    heard = plain(words).split()[-_LONGEST:]
    says, book = _book()
    for near in book.search(heard, NEAR):
        stretch, say = heard[near.begin : near.end + 1], says[near.phrase]
        if " ".join(heard[near.begin : near.end]) == say or _harmless().search("never", " ".join(stretch)) is not None:
            continue
        meant = " ".join((*heard[: near.begin], say, *heard[near.end :]))
        found = check_patterns(meant)
        if found is not None:
            return found.kind, meant, _you(say, found.kind)
    return None


def _you(meant: str, kind: str) -> str:
    text = plain(meant)
    here = [phrase for phrase in phrases() if phrase.kind == kind]
    named = (p.you for p in here if p.you in _meanings().by_label and _meanings().search(p.you, text) is not None)
    return next(named, here[-1].you)


@cache
def phrases() -> tuple[_Phrase, ...]:
    """Return the phrases of danger.

    Raises:
        MisheardError: the file breaks its schema.
    """
    return parse(load_table("misheard"))


def parse(table: Mapping[str, Any]) -> tuple[_Phrase, ...]:
    """Check the file and return its phrases.

    Raises:
        MisheardError: a phrase lacks something, or a kind lacks a phrase without words of its own.
    """
    found: list[_Phrase] = []
    for n, given in enumerate(table.get("phrase", ()), 1):
        where = f"{_FILE}: phrase {n}"
        if given.get("kind") not in KINDS:
            raise MisheardError(f"{where}: kind is {given.get('kind')!r}, expected one of {', '.join(KINDS)}")
        if not isinstance(given.get("you"), str) or not given["you"]:
            raise MisheardError(f"{where}: you is {given.get('you')!r}, expected the end of a question")
        say = given.get("say", [])
        for text in say:
            if text != plain(text):
                raise MisheardError(f"{where}: {text!r} has capitals or signs")
        found.append(_Phrase(given["kind"], given["you"], tuple(say)))
    for kind in KINDS:
        last = next((phrase for phrase in reversed(found) if phrase.kind == kind), None)
        if last is None or last.say:
            raise MisheardError(f"{_FILE}: the last phrase of {kind} has to be one without say")
    return tuple(found)


@cache
def _book() -> tuple[tuple[str, ...], Phrasebook]:
    """Return what may have been said, and the same by its sound."""
    says = tuple(say for phrase in phrases() for say in phrase.say)
    return says, Phrasebook(says)


@cache
def _meanings() -> Patterns:
    table = load_table("misheard")["phrase"]
    return Patterns.of({given["you"]: given["meant"] for given in table if given["meant"]})


@cache
def _halves() -> Patterns:
    return Patterns.of({given["you"]: given["half"] for given in load_table("misheard")["phrase"] if "half" in given})


@cache
def lines() -> tuple[str, ...]:
    """Return the lines that ask back.

    Raises:
        MisheardError: there are none, or one lacks its slot.
    """
    found = load_table("crisis").get(_SECTION, {}).get("any", ())
    if not found or any(line.count(_SLOT) != 1 for line in found):
        raise MisheardError(f"{_LINES}: [{_SECTION}] any is {found!r}, expected lines with {_SLOT} once in each")
    return tuple(found)


@cache
def _answers() -> Patterns:
    return Patterns.of(load_table("misheard")["answer"])


@cache
def _harmless() -> Patterns:
    return Patterns.of(load_table("misheard")["harmless"])
