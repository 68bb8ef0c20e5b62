"""Danger detection: decides what a person's turn says of danger: nothing, a hint, or plain danger.

Two questions are kept apart. *Plain danger* (first person, present or intent; somebody who is being hurt; an emergency)
is found by patterns (:mod:`policy.safety.patterns`, :mod:`policy.safety.languages`), and nothing overrules what the
first person says of the present or of an intent. What is told of others, or of the past, is dropped only where the
classifier sees next to nothing in the conversation. *Hints* are found by that trained classifier
(:mod:`policy.safety.classifier`), which reads a turn in the light of the turns before it, so that what it finds rises
and falls with the conversation. Where it is very sure that danger is said outright, its finding counts as plain, too.

A face or a voice in distress lowers what a hint needs, never raises it: a smile says nothing against words. Detection
is no diagnosis; it only decides what may be said now.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from policy.safety import languages
from policy.safety.clauses import clauses
from policy.safety.patterns import Match, patterns, search

KINDS: Final = ("self_harm", "medical", "abuse", "harm_others")

NONE: Final = "none"
HINT: Final = "hint"
PLAIN: Final = "plain"
LEVELS: Final = (NONE, HINT, PLAIN)

PATTERN: Final = "pattern"
CLASSIFIER: Final = "classifier"

FOLLOW: Final = "follow"
"""Topic of what is said while an earlier danger is still in the room."""

_SURE: Final = 0.95
"""Confidence in a pattern."""

_LONGEST: Final = 40
"""Words of a turn that are read at once."""

_STRETCHES: Final = 40
"""Stretches of a long turn that are read, the last ones."""

_BEFORE: Final = 6
"""Turns before that are handed to the classifier; it takes as many as fit."""

_FIRST: Final = re.compile(
    r"\bi (?:am|want|wanna|will|shall|need|just|do not|can not|keep|plan|intend|mean|wish|have|got|might|could|think|"
    r"feel|hope|cut|burn|took|take|swallowed|drank|loaded|hear|see)\b"
)
_TOLD: Final = re.compile(r"\b(?:said|asked|asks|told|used to|if i|have i|do i|ago|i was|i would|i tried|years)\b")
_PAST: Final = re.compile(
    r"\b(?:was|were|had|did|said|asked|told|ago|used|tried|thought|would|beat|hit|threw|\w{3,}ed)\b"
)

_MAYBE: Final = 0.3
"""Probability of danger from which the clauses of a turn are read one by one."""

_CALM: Final = 0.35
"""Probability of danger below which a turn is calm."""

_LEAST: Final = 4
"""Words of a clause that is read by itself."""

_JOINED: Final = re.compile(r"\s+(?=(?:now that|ever since)\b)")
_SENTENCE: Final = re.compile(r"[.!?]+(?:\s|$)")
_KEPT: Final = 256


@dataclass(frozen=True, slots=True)
class Finding:
    """A danger that was found.

    Attributes:
        kind: one of :data:`KINDS`.
        confidence: 0..1.
        reason: one sentence for a person to read.
        plain: whether the words say it plainly; otherwise they hint at it.
        by: :data:`PATTERN` or :data:`CLASSIFIER`.
        language: two letters, of the pattern that found it.
    """

    kind: str
    confidence: float
    reason: str
    plain: bool = True
    by: str = PATTERN
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Look:
    """What was made of a turn.

    Attributes:
        level: one of :data:`LEVELS`.
        kind: one of :data:`KINDS`; ``""`` at level ``none``.
        probability: of any danger, 0..1, as the classifier sees it; 0.95 or more where a pattern decided.
        by: :data:`PATTERN` or :data:`CLASSIFIER`; ``""`` at level ``none``.
        finding: the same for the safety lane; ``None`` at level ``none``.
    """

    level: str
    kind: str
    probability: float
    by: str
    finding: Finding | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """What counts as danger where a classifier has to decide.

    Attributes:
        hint: probability of danger from which a turn hints at it.
        plain: probability that danger is said outright from which it counts as plain without a pattern.
        others: probability of danger that a pattern needs which speaks of others; what the first person says of the
            present or of an intent needs none.
        past: the same for what is told, asked or over.
        again: probability from which a turn hints at danger after an alarm, where the turn before was calm.
        heavy: by how much the heaviest look or voice lowers ``hint``.
        shown: distress of face or voice, 0..1, from which it lowers anything.

    Raises:
        ValueError: a value is out of its range; the message names it.
    """

    hint: float = 0.9
    plain: float = 0.95
    others: float = 0.05
    past: float = 0.15
    again: float = 0.6
    heavy: float = 0.1
    shown: float = 0.4

    def __post_init__(self) -> None:
        for name in ("hint", "plain", "others", "past", "again", "heavy", "shown"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"safety.sensitivity.{name} is {getattr(self, name)}, expected 0 to 1")
        if self.heavy >= self.hint:
            raise ValueError(
                f"safety.sensitivity.heavy is {self.heavy}, expected less than hint, {self.hint}: a sad face alone "
                "would be a danger"
            )

    def needed(self, match: Match) -> float:
        """Return the probability of danger below which a pattern is taken for a story: 0 for the first person."""
        if match.language != "en" or (_FIRST.search(match.clause) and not _TOLD.search(match.clause)):
            return 0.0
        return self.past if _PAST.search(match.clause) else self.others

    def limit(self, distress: float) -> float:
        """Return the probability that a hint needs while face and voice show ``distress``, 0..1."""
        share = (distress - self.shown) / max(1e-6, 1.0 - self.shown)
        return self.hint - self.heavy * min(1.0, max(0.0, share))


class Classifier(Protocol):
    """A trained classifier of turns in their conversation."""

    def __call__(self, windows: Sequence[Sequence[str]], /) -> NDArray[np.float32]:
        """Return probabilities, float32 of shape ``(len(windows), 8)``; the rest to 1 is harmless.

        Args:
            windows: each the person's turns, oldest first; the last one is what is judged.

        The columns are a hint at each of :data:`KINDS`, then each of them said plainly.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Read:
    """What the classifier made of a window: likeliest kind, probability of any danger, and of plain danger."""

    kind: str
    danger: float
    plain: float


class Lookout:
    """Detects danger.

    Args:
        classifier: reads hints; patterns alone without it.
        sensitivity: of the classifier.

    Safe to use from one thread at a time.
    """

    def __init__(self, *, classifier: Classifier | None = None, sensitivity: Sensitivity | None = None) -> None:
        self._classifier = classifier
        self._sensitivity = sensitivity or Sensitivity()
        self._known: OrderedDict[tuple[str, ...], _Read] = OrderedDict()
        patterns()  # compiled now, so that the first turn does not wait for it

    def weigh(self, words: str, before: Sequence[str] = (), distress: float = 0.0) -> Finding | None:
        """Return the danger in ``words``, or ``None``; the arguments are those of :meth:`look`."""
        return self.look(words, before, distress).finding

    def weigh_again(self, words: str, before: Sequence[str]) -> Finding | None:
        """Return danger that comes back after it was met, or ``None``; the arguments are those of :meth:`look`.

        The classifier reads the earlier danger along, so only a rise counts: from a turn that was calm.
        """
        if self._classifier is None or not before or self.risk(before[-1], before[:-1]) >= _CALM:
            return None
        return self._look(words, before, self._sensitivity.again).finding

    def look(self, words: str, before: Sequence[str] = (), distress: float = 0.0) -> Look:
        """Return what ``words`` say of danger.

        Args:
            words: the person's turn.
            before: the person's turns before it, oldest first.
            distress: how far face or voice show it, 0..1. More of it never takes a finding away.
        """
        return self._look(words, before, self._sensitivity.limit(distress))

    def _look(self, words: str, before: Sequence[str], needed: float) -> Look:
        """Return what ``words`` say of danger; ``needed`` is the probability from which they hint at it."""
        match = _match(words)
        stretch, read = self._gravest(words, before) if words.strip() else (words, None)
        risk = 0.0 if read is None else read.danger
        if match is not None and (read is None or risk >= self._sensitivity.needed(match)):
            found = _of_pattern(match)
            return Look(PLAIN, match.kind, max(risk, _SURE), PATTERN, found)
        if read is None or read.danger < min(_MAYBE, needed):
            return Look(NONE, "", round(risk, 3), "")
        stated = self._stated(stretch, read)
        plain = stated.plain >= self._sensitivity.plain
        if not plain and read.danger < needed:
            return Look(NONE, "", round(risk, 3), "")
        kind = stated.kind if plain else read.kind
        reason = f"The words {'speak of' if plain else 'hint at'} {_NAME[kind]}."
        found = Finding(kind, round(max(risk, stated.danger if plain else 0.0), 3), reason, plain=plain, by=CLASSIFIER)
        return Look(PLAIN if plain else HINT, kind, found.confidence, CLASSIFIER, found)

    def risk(self, words: str, before: Sequence[str] = ()) -> float:
        """Return the probability of danger that the classifier sees in ``words``; 0 without one."""
        read = self._gravest(words, before)[1]
        return 0.0 if read is None else read.danger

    def read_ahead(self, words: str, before: Sequence[str] = ()) -> None:
        """Read what will not change any more of words that are still being said, so that little is left to read."""
        self._judge(windows_of(words, before)[:-1])

    def read_all(self, turns: Sequence[tuple[str, Sequence[str]]]) -> None:
        """Read many turns at once, each with the turns before it; :meth:`look` is quick for them afterwards."""
        self._judge([window for words, before in turns for window in windows_of(words, before)])

    def _gravest(self, words: str, before: Sequence[str]) -> tuple[str, _Read | None]:
        """Return the gravest of all stretches of a turn, and what the classifier made of it."""
        if self._classifier is None:
            return words, None
        windows = windows_of(words, before)
        self._judge(windows)
        worst = max(windows, key=lambda window: (self._known[window].danger, self._known[window].plain))
        return worst[-1], self._known[worst]

    def _stated(self, words: str, read: _Read) -> _Read:
        """Return what is said most outright: by the turn, or by a clause of it, which its reasons may outweigh."""
        parts = [part for clause in clauses(words) for part in _JOINED.split(clause.text)]
        windows = [(part,) for part in dict.fromkeys(parts) if len(part.split()) >= _LEAST][-_STRETCHES:]
        self._judge(windows)
        return max((read, *(self._known[window] for window in windows)), key=lambda each: each.plain)

    def _judge(self, windows: Sequence[tuple[str, ...]]) -> None:
        """Let the classifier read what it has not read yet, all at once."""
        if self._classifier is None:
            return
        fresh = list(dict.fromkeys(window for window in windows if window not in self._known))
        if fresh:
            for window, shares in zip(fresh, self._classifier(fresh), strict=True):
                self._known[window] = _read_of(shares)
        for window in windows:
            self._known.move_to_end(window)
        while len(self._known) > max(_KEPT, len(windows)):
            self._known.popitem(last=False)


_NAME: Final = {
    "self_harm": "self-harm",
    "medical": "a medical emergency",
    "abuse": "abuse",
    "harm_others": "harm to others",
}


def check_patterns(words: str) -> Finding | None:
    """Look for plain danger with patterns alone."""
    match = _match(words)
    return None if match is None else _of_pattern(match)


def recent(before: Sequence[str], turns: int = 2) -> Finding | None:
    """Return a danger that was said plainly in the last ``turns`` turns of the person before the present one."""
    return next((f for f in map(check_patterns, reversed(before[-turns:])) if f is not None), None)


def windows_of(words: str, before: Sequence[str] = ()) -> list[tuple[str, ...]]:
    """Return what the classifier reads of a turn: one window, or one for each stretch of a long turn."""
    stretches = stretches_of(words)
    earlier = tuple(text for text in before if text.strip())[-_BEFORE:]
    told = (*earlier, *stretches)
    ends = range(len(earlier) + 1, len(told) + 1)
    return [told[max(0, end - 1 - _BEFORE) : end] for end in ends][-_STRETCHES:]


def stretches_of(words: str) -> list[str]:
    """Return a short turn whole, and a long one in stretches that overlap.

    A sentence torn from what it belongs to reads darker than it was meant, so a stretch is about as long as a turn. The
    stretches of a turn that goes on begin with those that it had before.
    """
    if len(words.split()) <= _LONGEST:
        return [words]
    pieces = [piece for part in _SENTENCE.split(words) if part.strip() for piece in _cut(part.split())]
    found: list[list[str]] = [[]]
    for piece in pieces:
        if len(found[-1]) + len(piece) > _LONGEST:
            # The end of one stretch begins the next, so that nothing is torn apart in both.
            found.append(found[-1][-(_LONGEST // 3) :])
        found[-1] = found[-1] + piece
    return [" ".join(stretch) for stretch in found]


def _cut(words: list[str]) -> list[list[str]]:
    """Cut what was written without punctuation into pieces."""
    step = _LONGEST // 2
    return [words[at : at + step] for at in range(0, len(words), step)]


def _match(words: str) -> Match | None:
    return search(words) or languages.search(words)


def _of_pattern(match: Match) -> Finding:
    return Finding(match.kind, _SURE, f"The words speak of {_NAME[match.kind]}.", language=match.language)


def _read_of(shares: NDArray[np.float32]) -> _Read:
    hints, plains = shares[: len(KINDS)], shares[len(KINDS) :]
    return _Read(KINDS[int((hints + plains).argmax())], float(shares.sum()), float(plains.sum()))
