"""What the safety lane says: reviewed lines from ``policy/data/crisis.toml``, with the help of a country in them.

Which lines were said already is told from the agent's turns, so that nobody has to keep it: :func:`topics_of` knows the
lines in a turn, also in one that was cut off in the middle of a line.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

from policy.parse import sentences
from policy.safety import languages
from policy.safety.detector import KINDS
from policy.safety.helplines import Contact, Country, said
from policy.words import Patterns, load_table, plain

ANY: Final = "any"
SHORT: Final = "short"
"""Name of the lines that are said in front of an answer of the policy."""

WHO: Final = "who"
"""Name of the lines for where the person named somebody."""

TOPIC: Final = "topic"
"""Name of the lines for where the person spoke of something of theirs."""

HINT: Final = "hint"
"""Name of the lines for after a gentle question."""

PLAIN: Final = "plain"
PLAIN_OTHER: Final = "plain_other"
WORSE: Final = "worse"
TOOK: Final = "took"
GENTLE: Final = "gentle"
TAKES: Final = "takes"
BELIEVED: Final = "believed"
CHECK: Final = "check"
URGE: Final = "urge"
STILL: Final = "still"
BYE: Final = "bye"

CARD: Final = "card"
"""Topic of the line beside a card for whoever is not understood."""

OPEN: Final = "open"
"""What a question asks for that may be answered with anything."""

_FILE: Final = "policy/data/crisis.toml"
_SLOT: Final = re.compile(r"\{(\w+)\}")
_SLOTS: Final = ("help", "emergency", "who", "Who", "them", "topic")
_LEAST: Final = 3
"""Words of a line that a turn which was cut off in it must have."""

_COMMON: Final = frozenset({"Centre", "Helpline", "Hotline", "Lifeline"})
"""Last words of names that take an article."""

_EVERY: Final = frozenset({PLAIN, WORSE, GENTLE, TAKES, "say", "do", "nobody"})
"""Topics that need lines of their own for every kind of danger."""

_SOME: Final[Mapping[str, tuple[str, ...]]] = {
    "threat": ("abuse", "harm_others"),
    TOOK: ("self_harm", "medical"),
    PLAIN_OTHER: ("harm_others",),
}
"""Topics that exist for some kinds only."""

TOPICS: Final = (
    PLAIN, PLAIN_OTHER, WORSE, TOOK, GENTLE, TAKES, "explain", BELIEVED, "seen", "unseen", "denied", "unharmed",
    "unreal", "not_me", "here", "kept", "near", "reachable", "have", "coming", "threat", "called", "told", "phoning",
    "arrived", "sent", "saved", "appointment", "thanks", "angry", "wont_call", "say", "do", "facts", "ringing", "tell",
    "do_other", "say_other", "posture", "door", "swallowed", "trouble", "photo", "locks", "whom", "informed", "trace",
    "pets", "tongue", "papers", "confront", "stay", "leave", "fear", "change", "put_away", "over", URGE, "nobody",
    "will", "will_later", "safe", "unsure", "okay", CHECK, STILL, BYE,
)  # fmt: skip

WHY: Final[Mapping[str, str]] = {
    "took": "Something was done already that needs help at once.",
    "worse": "They say that the danger is there.",
    "denied": "They say that there is no danger.",
    "unreal": "They say that it was not meant.",
    "not_me": "They say that it is about somebody else.",
    "here": "Somebody is with them.",
    "near": "Somebody is near them.",
    "have": "There is somebody they trust.",
    "explain": "They want to know why it asks.",
    "reachable": "There is somebody they could turn to.",
    "coming": "Somebody is on the way to them.",
    "kept": "Somebody stays with them.",
    "unharmed": "They have done nothing.",
    "saved": "They have kept the number.",
    "appointment": "They have a date with somebody who helps.",
    "will_later": "They are going to, later.",
    "threat": "Whoever it is about is near.",
    "called": "They have called for help.",
    "told": "They have told somebody.",
    "phoning": "The call for help is being made.",
    "arrived": "Help is there.",
    "put_away": "What could hurt was put away.",
    "urge": "Nothing says yet that help was called.",
    "tell": "They ask how to tell somebody.",
    "say_other": "They ask what to say to somebody who is in danger.",
    "do_other": "They ask what to do for somebody who is in danger.",
    "sent": "Help is on the way.",
    "thanks": "They say thank you.",
    "angry": "They do not want to be asked any more.",
    "wont_call": "They do not want to call anybody.",
    "say": "They ask what to say.",
    "do": "They ask what to do.",
    "leave": "They ask where to go.",
    "ringing": "They ask what to say when they call.",
    "facts": "They ask about law, money, papers or places.",
    "fear": "They ask what happens if they call.",
    "posture": "They ask what to do until help is there.",
    "door": "They ask what to do until help is there.",
    "swallowed": "They ask what to tell those who help.",
    "trouble": "They ask what comes of calling for help.",
    "photo": "They ask what to keep as proof.",
    "locks": "They ask about the locks.",
    "whom": "They ask whom to tell.",
    "informed": "They ask who would be told.",
    "trace": "They ask whether a call can be seen.",
    "pets": "They ask where an animal can go.",
    "tongue": "They ask about their language.",
    "papers": "They ask what to take along.",
    "confront": "They ask whether to show that they know.",
    "stay": "They ask whether they have to stay.",
    "change": "They want to talk about something else.",
    "over": "They say that it has eased.",
    "nobody": "Nobody is there for them.",
    "will": "They are going to.",
    "safe": "They say that they are safe.",
    "unsure": "They do not know.",
    "okay": "They are still with it.",
    "seen": "A doctor has seen it.",
    "unseen": "No doctor has seen it.",
}
"""Why a topic is spoken of, one sentence for a person to read."""


class CrisisError(ValueError):
    """The file breaks its schema; the message names file, entry and field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """What the person said that a line takes up.

    Attributes:
        who: whom they named, such as ``your sister Anna``; ``""`` where nobody was.
        them: ``her``, ``him`` or ``them``.
        topic: what they spoke of, such as ``your exam``; ``""`` for nothing.
    """

    who: str = ""
    them: str = "them"
    topic: str = ""


_NOBODY: Final = Slots()


@cache
def table() -> Mapping[str, tuple[str, ...]]:
    """Return all lines by topic and name: ``plain/self_harm``, ``denied/any``, ``denied/short`` and so on.

    Raises:
        CrisisError: something is missing, or a line has a slot that is not known.
    """
    return parse(load_table("crisis"))


def parse(found: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    """Check the file and return its lines by topic and name.

    Raises:
        CrisisError: something is missing, or a line has a slot that is not known.
    """
    lines: dict[str, tuple[str, ...]] = {}
    for topic in TOPICS:
        section = found.get(topic)
        needed = KINDS if topic in _EVERY else _SOME.get(topic, (ANY,))
        names = tuple(section) if isinstance(section, Mapping) else ()
        for name in dict.fromkeys((*needed, *names)):
            where = f"{_FILE}: [{topic}] {name}"
            given = section.get(name) if isinstance(section, Mapping) else None
            if name not in (ANY, SHORT, WHO, TOPIC, HINT, *KINDS):
                raise CrisisError(f"{where}: expected {ANY}, {SHORT}, {WHO}, {TOPIC}, {HINT} or a kind of danger")
            if not isinstance(given, list) or not given or not all(isinstance(line, str) for line in given):
                raise CrisisError(f"{where} is {given!r}, expected a list of lines")
            for line in given:
                strange = set(_SLOT.findall(line)) - set(_SLOTS)
                if strange:
                    known = ", ".join(f"{{{slot}}}" for slot in _SLOTS)
                    raise CrisisError(f"{where}: no slot {{{strange.pop()}}}; there are {known}")
            lines[f"{topic}/{name}"] = tuple(given)
    return lines


def choose(
    topic: str,
    kind: str,
    country: Country,
    heard: Sequence[str],
    *,
    slots: Slots = _NOBODY,
    name: str = "",
    known: Collection[str] = (),
    again: bool = False,
) -> list[str]:
    """Return the sentences to say: the first line of a topic that was not said yet.

    Args:
        topic: one of :data:`TOPICS`.
        kind: of the danger; lines for it come before those for any.
        country: whose help is named.
        heard: what the agent said so far, oldest first.
        slots: what the person said that the line takes up.
        name: lines of this name alone, such as :data:`SHORT`, if the topic has any.
        known: what was answered already; a line that asks for it is left aside.
        again: whether to say a line once more rather than none, the one said longest ago.

    Returns:
        One line, sentence by sentence; nothing where all of them were said.
    """
    names = (name,) if f"{topic}/{name}" in table() else (kind, *((WHO,) if slots.who else ()), ANY)
    lines = [line for each in names for line in table().get(f"{topic}/{each}", ())]
    lines = [line for line in lines if not (asked(line) and asked(line) in known)] or (lines if again else [])
    fresh = [line for line in lines if _last_said(line, heard) < 0]
    if not fresh and again:
        fresh = sorted(lines, key=lambda line: _last_said(line, heard))
    return list(sentences(_filled(fresh[0], country, kind, slots))) if fresh else []


def topics_of(turn: str, *, cut: bool = False) -> frozenset[str]:
    """Return whose lines a turn of the agent has, as in :func:`table`.

    Args:
        turn: what was heard of it.
        cut: whether it was cut off; then the beginning of a line counts.
    """
    return _topics(plain(turn), cut)


@lru_cache(4096)
def _topics(turn: str, cut: bool) -> frozenset[str]:
    every = (*table().items(), *_foreign().items())
    return frozenset(topic for topic, lines in every if any(_says(turn, line, cut) for line in lines))


@cache
def _foreign() -> Mapping[str, tuple[str, ...]]:
    """Return what is said in other languages, as lines of the same topics."""
    return {
        **{
            f"{PLAIN}/{kind}": tuple(s for code in languages.codes() for s in languages.lines(code, kind))
            for kind in KINDS
        },
        CARD: (languages.ENGLISH_CARD, *map(languages.card_line, languages.codes())),
    }


def foreign(language: str, kind: str, country: Country) -> list[str]:
    """Return what is said to plain danger in another language than English, sentence by sentence.

    Raises:
        KeyError: there is no such language.
    """
    return _in_figures(languages.lines(language, kind)[0], country)


def card_line(language: str, country: Country) -> list[str]:
    """Return what stands beside a card for whoever is not understood; in English for an unknown language."""
    return _in_figures(languages.card_line(language), country)


def _in_figures(line: str, country: Country) -> list[str]:
    return list(sentences(line.replace("{emergency}", country.emergency)))


def was_said(topic: str, turn: str, *, cut: bool = False) -> bool:
    """Tell whether a turn of the agent has a line of ``topic``, whatever its name."""
    return any(found.partition("/")[0] == topic for found in topics_of(turn, cut=cut))


def asked(text: str) -> str:
    """Return what the last question in ``text`` asks for, one of ``[asks]`` of ``followup.toml``; ``""`` for none."""
    question = next((plain(s) for s in reversed(sentences(text)) if s.rstrip().endswith("?")), "")
    if not question:
        return ""
    return next((what for what in _asks().by_label if _asks().search(what, question) is not None), OPEN)


@cache
def _asks() -> Patterns:
    return Patterns.of(load_table("followup")["asks"])


def _filled(line: str, country: Country, kind: str, slots: Slots) -> str:
    who = slots.who or "somebody"
    values = {
        "emergency": country.emergency_spoken,
        "help": _help(country, kind),
        "who": who,
        "Who": who[:1].upper() + who[1:],
        "them": slots.them,
        "topic": slots.topic,
    }
    text = " ".join(_SLOT.sub(lambda match: values[match.group(1)], line).split())
    return text[:1].upper() + text[1:]


def _help(country: Country, kind: str) -> str:
    """Return one sentence that names who can help."""
    found = next((c for c in country.contacts if kind in c.kinds and c.number and c.number != country.emergency), None)
    if found is not None:
        return f"You can {_reach(found)}{f', {found.hours}' if found.hours else ', at any time'}."
    return country.help_spoken or f"You can call {country.emergency_spoken} at any time."


def _reach(contact: Contact) -> str:
    name = contact.name.replace("&", "and").rstrip("?").removeprefix(f"{contact.number} ")
    name = re.sub(r"\d+", lambda match: f"{' '.join(match.group())} ", name).strip()
    name = f"the {name}" if name.rsplit(" ", 1)[-1] in _COMMON else name
    if contact.text == contact.number:
        return f"call or text {said(contact.number)}, {name}"
    return f"call {name} on {said(contact.number)}"


def _last_said(line: str, heard: Sequence[str]) -> int:
    """Return the index of the agent turn with ``line`` or its heard beginning; -1 if none has it."""
    return next((n for n in range(len(heard) - 1, -1, -1) if _says(plain(heard[n]), line, cut=True)), -1)


def _says(turn: str, line: str, cut: bool) -> bool:
    """Tell whether a turn has a line, or where it was ``cut`` ends in one; both without punctuation."""
    first, key = _pieces(line)
    if f" {key} " in f" {turn} " or (not key.isascii() and key in turn):
        return True
    if not cut or not first:
        return False
    told, words = turn.split(), first.split()
    if f" {first} " in f" {turn} ":
        return len(words) >= _LEAST
    return any(told[-n:] == words[:n] for n in range(min(len(words), len(told)), _LEAST - 1, -1))


@cache
def _pieces(line: str) -> tuple[str, str]:
    """Return what a line begins with in front of its first slot, and the longest piece of it without a slot."""
    parts = [plain(part) for part in _SLOT.split(line)[::2]]
    return parts[0], max(parts, key=lambda part: len(part.split()))
