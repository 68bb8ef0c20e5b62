"""A first, conservative look-out for danger in the words: self-harm, a medical emergency, abuse, harm to others.

Where it finds something, the model's own words are withheld and a careful template is spoken. It is no
diagnosis and no substitute for a person; it only decides that nothing light may be said now. Patterns find
the plain ways of saying it; likeness to example utterances finds the veiled ones. It errs on the side of
concern: ways of speaking that merely sound like it ("this traffic is killing me") are taken out first.
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
        near: cosine from which a veiled utterance counts.
    """

    def __init__(self, embed: Embed | None = None, near: float = 0.62) -> None:
        self._embed = embed
        self._near = near
        self._veiled: list[tuple[str, str]] = []
        if embed is not None:
            table = load_table("danger")
            self._veiled = [(kind, text) for kind in table["veiled"] for text in table["veiled"][kind]]
            self._safe = list(table["harmless"]["utterances"])
            self._vectors = embed([text for _, text in self._veiled])
            self._safe_vectors = embed(self._safe)

    def check(self, words: str) -> Finding | None:
        """Return the gravest danger in ``words``, or ``None``."""
        found = check_patterns(words)
        if found is not None or self._embed is None or len(words.split()) < 3:
            return found
        parts = texts_of(words)
        vectors = self._embed(parts)
        near = vectors @ self._vectors.T
        safe = (vectors @ self._safe_vectors.T).max(axis=1)
        row, column = divmod(int(near.argmax()), near.shape[1])
        score = float(near[row, column])
        if score < self._near or score <= float(safe[row]):
            return None
        kind = self._veiled[column][0]
        return Finding(kind, min(1.0, score), f"The words come close to a veiled sign of danger ({_NAME[kind]}).")


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
