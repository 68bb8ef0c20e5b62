"""The weights of the embedded mind and what they make of a window: read, weighed, judged. Shared by all calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from perception.context import ContextWindow
from policy import replies
from policy.answer import Considered, consider
from policy.choosing import Chooser
from policy.cues import Cues, cues_of
from policy.decision import LEARNED_EMOTIONS
from policy.embedding import Embedder
from policy.gate import Gate
from policy.head import STRATEGY_NAMES, Head
from policy.head import texts_of as needed_by_head
from policy.leaning import Leaning, blend
from policy.reading import PrototypeReader
from policy.reading import texts_of as needed_by_reader
from policy.sound import Ears
from policy.writer import Writer

WEIGHT: Final = 1.0
"""Weight of the language model's shares beside the head's, found on the dev part of the corpus."""


class Mind:
    """The weights that all calls share.

    Args:
        embed: the sentence encoder.
        writer: the language model, if one writes or answers.
        ears: gives the language model sound, if it was trained to take it in.
    """

    def __init__(self, embed: Embedder, writer: Writer | None = None, ears: Ears | None = None) -> None:
        self.embed = embed
        self.reader = PrototypeReader(embed)
        self.gate = Gate(embed)
        self.chooser = Chooser(embed, self.reader)
        self.head: Head | None = Head(embed)
        self.writer = writer
        self.ears = ears
        embed.keep(replies.lines())

    @property
    def listens(self) -> bool:
        """Whether the language model has an adapter, and so reads faces and voices and scores strategies."""
        return self.writer is not None and self.writer.model.listens

    def consider(self, window: ContextWindow, rows: Sequence[float] | None = None) -> Considered:
        """Read the window and choose. All that must be embedded is embedded in one batch.

        Args:
            window: what is known.
            rows: scores of the language model, as :meth:`policy.writer.Chat.rows` gives them.
        """
        cues = cues_of(window)
        if cues.words:
            needed = needed_by_reader(cues.words, cues.before)
            self.embed([*needed, *(needed_by_head(cues) if self.head is not None else [])])
        return consider(window, self.reader, self._lean(rows) if self.head is not None else None)

    def rank(self, said: str, lines: Sequence[str]) -> Mapping[str, float]:
        """Return how near each line is to what the person said."""
        vectors = self.embed([said, *lines])
        return dict(zip(lines, map(float, vectors[1:] @ vectors[0]), strict=True))

    def _lean(self, rows: Sequence[float] | None) -> _Lean:
        assert self.head is not None
        return _Lean(self.head, rows)


class _Lean:
    """What head and language model make of a moment together."""

    def __init__(self, head: Head, rows: Sequence[float] | None) -> None:
        self._head, self._rows = head, rows

    def __call__(self, cues: Cues) -> Leaning:
        found = self._head.lean(cues)
        if self._rows is None:
            return found
        first, second = len(STRATEGY_NAMES), len(STRATEGY_NAMES) + len(LEARNED_EMOTIONS)
        strategies = dict(zip(STRATEGY_NAMES, self._rows[:first], strict=True))
        emotions = dict(zip(LEARNED_EMOTIONS, self._rows[first:second], strict=True))
        return blend(found, strategies, emotions, WEIGHT)
