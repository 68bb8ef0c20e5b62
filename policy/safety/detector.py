"""Looks for danger in what a person says: self-harm, a medical emergency, abuse, harm to others.

Where something is found, no model's words are spoken and a reviewed template is. It is no diagnosis and no substitute
for a person; it only decides that nothing light may be said now. :mod:`policy.safety.patterns` finds the plain ways of
saying it with patterns; a trained reader (:mod:`policy.safety.classifier`) finds the veiled ones, and may say
that a pattern was mistaken. That is for the safety lane; a policy looks with patterns alone, and only where no lane
has looked before it.

How somebody looks and sounds can only lower what their words need (:meth:`Lookout.weigh`), never raise it: a smile says
nothing against words.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from policy.safety.patterns import elsewhere, meant, search, sentences_of
from policy.words import plain

KINDS: Final = ("self_harm", "medical", "abuse", "harm_others")

FOLLOW: Final = "follow"
"""What is said while an earlier danger is still in the room."""

_FEWEST: Final = 3
"""Words below which only patterns are looked for."""

_LONGEST: Final = 40
"""Words that are read at once."""

_WHOLE, _SIGNS = 240, 24
"""Letters, and other signs among them, of a turn that the reader reads whole."""

_STRETCHES: Final = 2
_SENTENCE: Final = re.compile(r"[.!?]+(?:\s|$)")
_KEPT: Final = 64


@dataclass(frozen=True, slots=True)
class Finding:
    """A danger that was found.

    Attributes:
        kind: one of :data:`KINDS`.
        confidence: 0..1.
        reason: one sentence for a person to read.
        plain: whether the words say it plainly.
    """

    kind: str
    confidence: float
    reason: str
    plain: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """What counts as danger where words only hint at it, or where a pattern was found by mistake.

    Attributes:
        veiled: probability of danger from which words count.
        heavy: by how much the heaviest look or voice lowers that.
        shown: distress of face or voice, 0..1, from which it lowers anything.
        carry: share of the probability of an earlier turn that is added to a later one that hints at danger too.
        hint: probability from which a turn hints at it.
        elsewhere: share of the odds that is left where words are marked as over, made up, news or work, or where a way
            of speaking was taken out.
        refuted: a pattern is dropped where the reader gives the turn, and each of its sentences, less than this; never
            in a long turn, beside an earlier hint, or while face or voice show distress. 0: never.

    Raises:
        ValueError: a value is out of its range; the message names it.
    """

    veiled: float = 0.8
    heavy: float = 0.1
    shown: float = 0.4
    carry: float = 0.5
    hint: float = 0.25
    elsewhere: float = 0.15
    refuted: float = 0.05

    def __post_init__(self) -> None:
        for name in ("veiled", "heavy", "shown", "carry", "hint", "elsewhere", "refuted"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"safety.sensitivity.{name} is {getattr(self, name)}, expected 0 to 1")
        if self.heavy >= self.veiled:
            raise ValueError(
                f"safety.sensitivity.heavy is {self.heavy}, expected less than veiled, {self.veiled}: a sad face alone "
                "would be a danger"
            )
        if self.refuted > self.hint:
            raise ValueError(
                f"safety.sensitivity.refuted is {self.refuted}, expected at most hint, {self.hint}: what hints at "
                "danger would speak against it; set refuted, too"
            )

    def limit(self, distress: float) -> float:
        """Return the probability that words need while face and voice show ``distress``, 0..1."""
        share = (distress - self.shown) / max(1e-6, 1.0 - self.shown)
        return self.veiled - self.heavy * min(1.0, max(0.0, share))


class Veiled(Protocol):
    """A trained reader of veiled danger."""

    def __call__(self, texts: Sequence[str], /) -> NDArray[np.float32]:
        """Return the probabilities of each of :data:`KINDS`, shape ``(len(texts), 4)``; the rest to 1 is harmless."""
        ...


@dataclass(frozen=True, slots=True)
class _Read:
    """What the reader made of a text: the likeliest kind, the share of all kinds, and the risk that is left of it."""

    kind: str
    share: float
    risk: float


class Lookout:
    """Looks for danger.

    Args:
        veiled: the trained reader; patterns alone without it.
        sensitivity: of that reader.

    Safe to use from one thread at a time.
    """

    def __init__(self, *, veiled: Veiled | None = None, sensitivity: Sensitivity | None = None) -> None:
        self._reader = veiled
        self._sensitivity = sensitivity or Sensitivity()
        self._known: OrderedDict[str, _Read] = OrderedDict()

    def weigh(self, words: str, before: Sequence[str] = (), distress: float = 0.0) -> Finding | None:
        """Return the gravest danger in ``words``, in the light of what else is known.

        Args:
            words: what was said now.
            before: what was said in the turns before, oldest first; the last two count.
            distress: how far face or voice show it, 0..1. More of it never takes a finding away.
        """
        found = check_patterns(words)
        if self._reader is None or len(words.split()) < _FEWEST:
            return found
        if found is not None:
            return None if self._refuted(words, before, distress) else found
        return self._read(words, before, distress)

    def risk(self, words: str) -> float:
        """Return the probability of danger that the trained reader sees in ``words`` alone; 0 without a reader."""
        return 0.0 if self._reader is None else self._judge(words)[1]

    def read_ahead(self, words: str) -> None:
        """Read what will not change any more of words that are still being said, so that little is left to read."""
        if self._reader is not None:
            self._judge_all(stretches_of(words)[:-1])

    def _read(self, words: str, before: Sequence[str], distress: float) -> Finding | None:
        kind, now = self._judge(words)
        lately = [self._judge(text) for text in before[-2:]]
        sum_ = now
        if now >= self._sensitivity.hint and lately:
            other, then = max(lately, key=lambda pair: pair[1])
            sum_ = 1.0 - (1.0 - now) * (1.0 - self._sensitivity.carry * then)
            kind = kind if now >= then else other
        if sum_ < self._sensitivity.limit(distress):
            return None
        return Finding(kind, round(sum_, 3), f"The words come close to a veiled sign of {_NAME[kind]}.", plain=False)

    def _refuted(self, words: str, before: Sequence[str], distress: float) -> bool:
        """Tell whether the reader sees nothing at all where a pattern was found, in the turn and in each sentence."""
        if len(words) > _WHOLE or len(words.split()) > _LONGEST or len(words) - len(plain(words)) > _SIGNS:
            return False
        if distress > self._sensitivity.shown:
            return False
        if any(check_patterns(text) or self._judge(text)[1] >= self._sensitivity.hint for text in before[-2:]):
            return False
        texts = list(dict.fromkeys([words, *sentences_of(words)]))
        if any(len(text.split()) < _FEWEST and search(text) for text in texts):
            return False
        self._judge_all(texts)
        return max(self._known[text].share for text in texts) < self._sensitivity.refuted

    def _judge(self, words: str) -> tuple[str, float]:
        """Return the likeliest kind of danger in ``words`` and the probability that there is any."""
        stretches = stretches_of(words)
        self._judge_all(stretches)
        worst = max((self._known[text] for text in stretches), key=lambda read: read.risk)
        return worst.kind, worst.risk

    def _judge_all(self, stretches: Sequence[str]) -> None:
        """Read what is not known yet, all at once."""
        assert self._reader is not None
        fresh = [text for text in stretches if text not in self._known]
        texts = [meant(text) for text in fresh]
        for text, said, shares in zip(fresh, texts, self._reader(texts), strict=True):
            mild = said != text or elsewhere(said)
            share = float(shares.sum())
            self._known[text] = _Read(KINDS[int(shares.argmax())], share, self._risk(said, share, mild=mild))
        for text in stretches:
            self._known.move_to_end(text)
        while len(self._known) > max(_KEPT, len(stretches)):
            self._known.popitem(last=False)

    def _risk(self, text: str, share: float, *, mild: bool) -> float:
        """Return the probability of danger in ``text``; ``mild`` where marks say more than the reader can tell."""
        if len(text.split()) < _FEWEST:
            return 0.0
        odds = self._sensitivity.elsewhere if mild else 1.0
        return odds * share / (odds * share + 1.0 - share) if share < 1.0 else 1.0


_NAME: Final = {
    "self_harm": "self-harm",
    "medical": "a medical emergency",
    "abuse": "abuse",
    "harm_others": "harm to others",
}


def check_patterns(words: str) -> Finding | None:
    """Look for danger with patterns alone, gravest first."""
    kind = search(words)
    return None if kind is None else Finding(kind, 0.95, f"The words speak of {_NAME[kind]}.")


def recent(before: Sequence[str], turns: int = 2) -> Finding | None:
    """Return a danger that was said plainly in the last ``turns`` runs of user words before the present one."""
    return next((f for f in map(check_patterns, reversed(before[-turns:])) if f is not None), None)


def stretches_of(words: str) -> list[str]:
    """Return what the trained reader reads of ``words``: all of a short turn, the last stretches of a long one.

    A sentence torn from what it belongs to reads darker than it was meant, so a stretch is about as long as a turn.
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
    return [" ".join(stretch) for stretch in found[-_STRETCHES:]]


def _cut(words: list[str]) -> list[list[str]]:
    """Cut what was written without punctuation into pieces."""
    step = _LONGEST // 2
    return [words[at : at + step] for at in range(0, len(words), step)]
