"""Looks for danger in what a person says: self-harm, a medical emergency, abuse, harm to others.

Where something is found, no model's words are spoken and a reviewed template is. It is no diagnosis and no substitute
for a person; it only decides that nothing light may be said now. :mod:`policy.plain_danger` finds the plain ways of
saying it with patterns; a trained reader (:mod:`policy.veiled`) finds the veiled ones. Without that reader, likeness to
example utterances does, which is weaker: it is what a mind of its own uses behind the lane.

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

from policy.embedding import Embed
from policy.plain_danger import elsewhere, meant, search
from policy.words import load_table

KINDS: Final = ("self_harm", "medical", "abuse", "harm_others")

FOLLOW: Final = "follow"
"""What is said while an earlier danger is still in the room."""

_FEWEST: Final = 3
"""Words below which only patterns are looked for."""

_LONGEST: Final = 40
"""Words that are read at once."""

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
    """What counts as danger where words only hint at it.

    Attributes:
        veiled: probability of danger from which words count.
        heavy: by how much the heaviest look or voice lowers that.
        shown: distress of face or voice, 0..1, from which it lowers anything.
        carry: share of the probability of an earlier turn that is added to a later one that hints at danger too.
        hint: probability from which a turn hints at it.
        elsewhere: share of the odds that is left where words are marked as over, made up, news or work, or where a way
            of speaking was taken out.

    Raises:
        ValueError: a value is out of its range; the message names it.
    """

    veiled: float = 0.85
    heavy: float = 0.1
    shown: float = 0.4
    carry: float = 0.5
    hint: float = 0.25
    elsewhere: float = 0.15

    def __post_init__(self) -> None:
        for name in ("veiled", "heavy", "shown", "carry", "hint", "elsewhere"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"safety.sensitivity.{name} is {getattr(self, name)}, expected 0 to 1")
        if self.heavy >= self.veiled:
            raise ValueError(
                f"safety.sensitivity.heavy is {self.heavy}, expected less than veiled, {self.veiled}: a sad face alone "
                "would be a danger"
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


class Lookout:
    """Looks for danger.

    Args:
        embed: the sentence encoder for likeness, or ``None``.
        near: cosine to a veiled utterance from which it counts.
        margin: by how much a harmless utterance may be nearer all the same.
        veiled: the trained reader; likeness is not asked where it is there.
        sensitivity: of that reader.

    Safe to use from one thread at a time.
    """

    def __init__(
        self,
        embed: Embed | None = None,
        near: float = 0.6,
        margin: float = 0.0,
        *,
        veiled: Veiled | None = None,
        sensitivity: Sensitivity | None = None,
    ) -> None:
        self._embed = embed
        self._near = near
        self._margin = margin
        self._reader = veiled
        self._sensitivity = sensitivity or Sensitivity()
        self._known: OrderedDict[str, tuple[str, float]] = OrderedDict()
        if embed is not None:
            table, known = load_table("danger"), load_table("prototypes")
            self._veiled = [(kind, text) for kind, texts in table["veiled"].items() for text in texts]
            harmless = [text for section in known.values() for texts in section.values() for text in texts]
            self._vectors = embed([text for _, text in self._veiled])
            self._harmless = embed([*table["harmless"]["utterances"], *harmless])

    def check(self, words: str) -> Finding | None:
        """Return the gravest danger in ``words``, or ``None``."""
        return self.weigh(words)

    def weigh(self, words: str, before: Sequence[str] = (), distress: float = 0.0) -> Finding | None:
        """Return the gravest danger in ``words``, in the light of what else is known.

        Args:
            words: what was said now.
            before: what was said in the turns before, oldest first; the last two count.
            distress: how far face or voice show it, 0..1. More of it never takes a finding away.
        """
        found = check_patterns(words)
        if found is not None or len(words.split()) < _FEWEST:
            return found
        if self._reader is not None:
            return self._read(words, before, distress)
        return self._like(words) if self._embed is not None else None

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

    def _judge(self, words: str) -> tuple[str, float]:
        """Return the likeliest kind of danger in ``words`` and the probability that there is any."""
        stretches = stretches_of(words)
        self._judge_all(stretches)
        return max((self._known[text] for text in stretches), key=lambda pair: pair[1])

    def _judge_all(self, stretches: Sequence[str]) -> None:
        """Read what is not known yet, all at once."""
        assert self._reader is not None
        fresh = [text for text in stretches if text not in self._known]
        texts = [meant(text) for text in fresh]
        for text, said, shares in zip(fresh, texts, self._reader(texts), strict=True):
            mild = said != text or elsewhere(said)
            self._known[text] = (KINDS[int(shares.argmax())], self._risk(said, float(shares.sum()), mild=mild))
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

    def _like(self, words: str) -> Finding | None:
        assert self._embed is not None
        vectors = self._embed(texts_of(words))
        near, safe = vectors @ self._vectors.T, (vectors @ self._harmless.T).max(axis=1)
        for row, safest in zip(near, safe, strict=True):
            best = int(row.argmax())
            score = float(row[best])
            if score >= self._near and score + self._margin >= float(safest):
                kind = self._veiled[best][0]
                reason = f"The words come close to a veiled sign of {_NAME[kind]}."
                return Finding(kind, min(1.0, score), reason, plain=False)
        return None


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


def recent(check: Lookout, before: Sequence[str], turns: int = 2) -> Finding | None:
    """Return a danger that came up in the last ``turns`` runs of user words before the present one."""
    return next((f for f in map(check.check, reversed(before[-turns:])) if f is not None), None)


def texts_of(words: str) -> list[str]:
    """Return what must be embedded to look for danger in ``words`` by likeness: they, and their last few sentences."""
    parts = [part for part in map(str.strip, _SENTENCE.split(words)) if len(part.split()) >= _FEWEST]
    return [words] if len(parts) < 2 else [words, *parts[-4:]]


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
