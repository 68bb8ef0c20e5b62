"""The words of the running turn, and whether they are all."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from perception.percept import Percept
from perception.timebase import Nanos, seconds
from policy.reading import HEAVY
from policy.words import mood_words


@dataclass(slots=True)
class _Utterance:
    words: tuple[str, ...]
    starts: tuple[float, ...]
    start: Nanos
    end: Nanos
    final: bool


@dataclass(slots=True)
class Heard:
    """What the person has said since their last turn was taken."""

    utterances: dict[int, _Utterance] = field(default_factory=dict)
    taken_until: Nanos = 0

    def put(self, percept: Percept, final: bool) -> None:
        """Take in a transcript (``final``) or a partial."""
        key = int(percept.number("utterance"))
        known = self.utterances.get(key)
        if known is not None and known.final and not final and percept.end <= known.end:
            return
        words = tuple(percept.label.split())
        fresh = _Utterance(words, percept.series("word_starts"), percept.start, percept.end, final)
        if not final and fresh.start < self.taken_until:
            # A partial of an utterance whose beginning was already taken: its word times are not known, so
            # the words that were taken are counted off instead.
            taken = known.words if known is not None and known.final else ()
            fresh.words = words[len(taken) :] if len(words) >= len(taken) else ()
        self.utterances[key] = fresh

    def text(self) -> str:
        """Return the words that were not taken yet."""
        return " ".join(word for u in self._by_time() for word in self._left(u))

    def _by_time(self) -> list[_Utterance]:
        return sorted(self.utterances.values(), key=lambda u: u.start)

    def _left(self, utterance: _Utterance) -> tuple[str, ...]:
        if len(utterance.starts) == len(utterance.words):
            return tuple(
                w for w, s in zip(utterance.words, utterance.starts, strict=True) if seconds(s) >= self.taken_until
            )
        return utterance.words if utterance.end > self.taken_until else ()

    def latest(self) -> str:
        """Return those of the last utterance."""
        left = [words for u in self._by_time() if (words := self._left(u))]
        return " ".join(left[-1]) if left else ""

    def span(self) -> tuple[Nanos, Nanos] | None:
        """Return from when to when they were said, ``None`` without words."""
        left = [u for u in self._by_time() if self._left(u)]
        return (max(left[0].start, self.taken_until), left[-1].end) if left else None

    def known_until(self) -> Nanos:
        """Return up to when all words are known."""
        return max((u.end for u in self.utterances.values() if u.final), default=0)

    def take(self, until: Nanos) -> None:
        """Count the words up to an instant as taken."""
        self.taken_until = until
        newest = max(self.utterances, default=None)
        self.utterances = {k: u for k, u in self.utterances.items() if k == newest}


_OPEN_WORDS: Final = """
a an the and or but because if when while which who whom whose than as of to at by for from with without into between
until my your our their its every i we they he she it's i'm he's she's they're we're there's very um uh er erm
"""
_OPEN: Final = frozenset(_OPEN_WORDS.split())
"""Words after which hardly anybody has finished."""
_LEANING_WORDS: Final = """
so that then in on about over under before after since like this these those some any no his her is are was were am
be been being has have had do does did will would can could should must may might not just even only still well
"""
_LEANING: Final = frozenset(_LEANING_WORDS.split())
"""Words after which one has mostly not finished: a voice that sounds finished outweighs them."""


def trails_off(text: str, *, finished: bool) -> bool:
    """Return whether the words are likely not all: they end in a comma, in dots, or in a word that wants another.

    Args:
        text: the words, with the punctuation of the recogniser.
        finished: whether the voice sounds finished.
    """
    text = text.rstrip()
    if text.endswith((",", "...", "-", "–", "—", ":")):
        return True
    if text.endswith(("?", "!")):
        return False
    words = plain(text).split()
    return bool(words) and (words[-1] in _OPEN or (words[-1] in _LEANING and not finished))


_ANNOUNCES: Final = re.compile(
    r"\b(?:(?:tell|ask|show) you(?: about| something)?|tell you (?:first|about .{1,30})|say something|guess what.{0,20}"
    r"|(?:hold|hang) on(?: a (?:second|minute|moment))?|wait(?: a (?:second|minute|moment))?|listen(?: to this)?"
    r"|(?:let me|i want to|i need to|i have to) (?:finish|say|tell|ask|explain)\b.{0,30}"
    r"|(?:one|another) (?:more )?thing|there's something.{0,30}|the thing is|here's the thing|you know what"
    r"|be honest(?: with you)?|where do i start"
    r"|haven't heard .{1,20})$"
)
"""Ways to say that something is about to be said (Schegloff, *Preliminaries to preliminaries*, 1980)."""


def sentences(text: str) -> list[str]:
    """Return the sentences of ``text``, without the marks that end them."""
    return [part for part in re.split(r"[.!?]+\s*", text) if part.strip()]


def announces(text: str) -> bool:
    """Return whether the last sentence only says that something is about to be said."""
    parts = sentences(text)
    return bool(parts) and bool(_ANNOUNCES.search(plain(parts[-1])))


def wants_turn(text: str, backchannels: frozenset[str]) -> bool:
    """Return whether words over the agent's voice want the turn, rather than being a listener's murmur.

    Args:
        text: what was heard.
        backchannels: what a listener says, in one or two words.
    """
    said = plain(text)
    if len(said) < 2:  # nothing, or the single letter as which a murmur is recognised
        return False
    if said in backchannels:
        return False
    words = said.split()
    pairs = {" ".join(pair) for pair in pairwise(words)}
    known = {word for pair in pairs & backchannels for word in pair.split()}
    return any(word not in backchannels and word not in known for word in words)


def weighs(text: str) -> bool:
    """Return whether the words are heavy, so that a silence after them is to be left alone."""
    return any(mood in HEAVY for mood in mood_words(text))


def plain(text: str) -> str:
    """Return ``text`` in small letters, without punctuation but for apostrophes and hyphens."""
    return re.sub(r"[^a-z' -]", "", text.lower()).strip()


def ends_sentence(text: str) -> bool:
    """Return whether the words end like a sentence."""
    return bool(re.search(r"[.!?]['\")]*$", text.strip())) and not text.strip().endswith("...")
