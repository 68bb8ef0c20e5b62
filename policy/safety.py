"""A first, conservative look-out for danger in the words: self-harm, a medical emergency, abuse, harm to others.

Where it finds something, the model's own words are withheld and a careful template is spoken. It is no
diagnosis and no substitute for a person; it only decides that nothing light may be said now. Patterns find
the plain ways of saying it; likeness to example utterances finds the veiled ones. It errs on the side of
concern: ways of speaking that merely sound like it ("this traffic is killing me") are taken out first.

It is not to be relied on alone: on veiled signs and near misses that were written after it was set, and only
then added to the data, it found 7 of 16 and alarmed at 3 of 40.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from policy.embedding import Embed
from policy.words import lexicon, load_table, plain

KINDS: Final = ("self_harm", "medical", "abuse", "harm_others")

FOLLOW: Final = "follow"
"""What is said while an earlier danger is still in the room."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A danger that was found.

    Attributes:
        kind: one of :data:`KINDS`.
        confidence: 0..1.
        reason: one sentence for a person to read.
    """

    kind: str
    confidence: float
    reason: str


class Lookout:
    """Looks for danger.

    Args:
        embed: the sentence encoder, or ``None`` for patterns alone.
        near: cosine to a veiled utterance from which it counts.
        margin: by how much a harmless utterance may be nearer all the same.
    """

    def __init__(self, embed: Embed | None = None, near: float = 0.5, margin: float = 0.0) -> None:
        self._embed = embed
        self._near = near
        self._margin = margin
        if embed is not None:
            table, known = load_table("danger"), load_table("prototypes")
            self._veiled = [(kind, text) for kind, texts in table["veiled"].items() for text in texts]
            harmless = [text for section in known.values() for texts in section.values() for text in texts]
            self._vectors = embed([text for _, text in self._veiled])
            self._harmless = embed([*table["harmless"]["utterances"], *harmless])

    def check(self, words: str) -> Finding | None:
        """Return the gravest danger in ``words``, or ``None``."""
        found = check_patterns(words)
        if found is not None or self._embed is None or len(words.split()) < 3:
            return found
        vectors = self._embed(texts_of(words))
        near, safe = vectors @ self._vectors.T, (vectors @ self._harmless.T).max(axis=1)
        for row, safest in zip(near, safe, strict=True):
            best = int(row.argmax())
            score = float(row[best])
            if score >= self._near and score + self._margin >= float(safest):
                kind = self._veiled[best][0]
                return Finding(kind, min(1.0, score), f"The words come close to a veiled sign of {_NAME[kind]}.")
        return None


_NAME: Final = {
    "self_harm": "self-harm",
    "medical": "a medical emergency",
    "abuse": "abuse",
    "harm_others": "harm to others",
}


def check_patterns(words: str) -> Finding | None:
    """Look for danger with patterns alone, gravest first."""
    text = plain(words)
    for label in ("phrases", "denied"):
        text = lexicon("harmless").by_label[label].sub(" ", text)
    for kind in KINDS:
        if lexicon("danger").search(kind, text) is not None:
            return Finding(kind, 0.95, f"The words speak of {_NAME[kind]}.")
    return None


def recent(check: Lookout, before: Sequence[str], turns: int = 2) -> Finding | None:
    """Return a danger that came up in the last ``turns`` runs of user words before the present one."""
    return next((f for f in map(check.check, reversed(before[-turns:])) if f is not None), None)


def texts_of(words: str) -> list[str]:
    """Return what must be embedded to look for danger in ``words``: they, and their last few sentences."""
    parts = _split(words)
    return [words] if len(parts) < 2 else [words, *parts[-4:]]


def _split(words: str) -> list[str]:
    return [part.strip() for part in words.replace("!", ".").replace("?", ".").split(".") if len(part.split()) >= 3]
