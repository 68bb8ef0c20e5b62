"""One call's streaming prefill: what was read stays in the cache, and only what is new goes through the model.

The wanted pieces of a call only grow (:mod:`policy.reel`), so the cache is cut back to the longest prefix that it
shares with them and the rest is appended, in chunks that can be stopped between. An answer is written behind them and
cut off again when it is over: what of it was heard comes back as a line of the next list. Where old pieces have left,
everything behind them is read anew, because keys and values know of what stood before; the towers are not run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from typing import TYPE_CHECKING, Final

from policy.omni.store import Store
from policy.omni.thinker import Block, Piece, Thinker
from policy.reel import Sight, Sound

if TYPE_CHECKING:
    import torch

CHUNK: Final = 256
"""Tokens that are read in one go; a chunk is what a barge-in has to wait for."""


class Stopped(Exception):
    """The work was asked to stop."""


class Memory:
    """What the model has read of one call. Belongs to one thread at a time.

    Args:
        thinker: shared weights.
        store: of keys and values, empty.
    """

    def __init__(self, thinker: Thinker, store: Store) -> None:
        self._thinker = thinker
        self._store = store
        self._pieces: list[Piece] = []
        self._ends: list[tuple[int, int]] = []
        self._blocks: dict[int, tuple[Piece, Block]] = {}
        self._last: torch.Tensor | None = None
        self._next = 0

    @property
    def length(self) -> int:
        """Tokens in the cache."""
        return self._store.length

    def encode(self, pieces: Sequence[Piece], stop: Event | None = None) -> None:
        """Send the media among ``pieces`` through the towers, each once as long as it stays among them.

        Raises:
            Stopped: ``stop`` was set.
        """
        import torch

        media = [piece for piece in pieces if isinstance(piece, Sight | Sound)]
        wanted = {id(piece) for piece in media}
        self._blocks = {key: found for key, found in self._blocks.items() if key in wanted}
        for piece in media:
            if id(piece) not in self._blocks:
                _heed(stop)
                with torch.no_grad():
                    self._blocks[id(piece)] = (piece, self._thinker.block(piece))

    def sync(self, pieces: Sequence[Piece], stop: Event | None = None) -> int:
        """Make the cache hold exactly ``pieces``, and return how many tokens had to be read for it.

        Raises:
            Stopped: ``stop`` was set; what was read until then is kept.
            policy.omni.store.Full: the cache has no room for them.
        """
        self.encode(pieces, stop)
        shared = 0
        for known, wanted in zip(self._pieces, pieces, strict=False):
            if known is not wanted and known != wanted:
                break
            shared += 1
        if shared == len(pieces) and len(self._pieces) > shared:
            shared -= 1  # the state behind the last piece is needed, and only the newest one is kept
        self._cut(shared)
        before = self.length
        group: list[Piece] = []
        blocks: list[Block] = []
        for piece in pieces[shared:]:
            block = self._block(piece)
            if blocks and sum(map(len, blocks)) + len(block) > CHUNK:
                self._read(group, blocks, stop)
                group, blocks = [], []
            group.append(piece)
            blocks.append(block)
        if blocks:
            self._read(group, blocks, stop)
        return self.length - before

    def write(self) -> Writing:
        """Begin an answer behind what was read; see :class:`Writing`.

        Raises:
            RuntimeError: nothing was read.
        """
        if self._last is None:
            raise RuntimeError("nothing was read that could be answered")
        return Writing(self._thinker, self._store, self._last, self._next)

    def forget_answer(self) -> None:
        """Cut off what was written behind the pieces."""
        self._store.crop(self._ends[-1][0] if self._ends else 0)

    def clear(self) -> None:
        """Forget what was read; what the towers made of media stays, for they may be gone."""
        self._cut(0)

    def _block(self, piece: Piece) -> Block:
        if isinstance(piece, Sight | Sound):
            return self._blocks[id(piece)][1]
        return self._thinker.block(piece)

    def _cut(self, count: int) -> None:
        """Keep the first ``count`` pieces."""
        if count < len(self._pieces):
            self._last = None
        del self._pieces[count:], self._ends[count:]
        length, self._next = self._ends[-1] if self._ends else (0, 0)
        self._store.crop(length)

    def _read(self, group: Sequence[Piece], blocks: Sequence[Block], stop: Event | None) -> None:
        import torch

        _heed(stop)
        places = list[torch.Tensor]()
        ends = list[tuple[int, int]]()
        at, length = self._next, self._store.length
        for block in blocks:
            places.append(block.positions + at)
            at, length = at + block.reach, length + len(block)
            ends.append((length, at))
        try:
            last = self._store.read(torch.cat([block.embeds for block in blocks]), torch.cat(places, 1))
        except BaseException:
            self._store.crop(self._ends[-1][0] if self._ends else 0)
            raise
        self._pieces += group
        self._ends += ends
        self._last, self._next = last, at


class Writing:
    """An answer that is being written: the likeliest next words, and what was chosen of them.

    Args:
        thinker: shared weights.
        store: holds what is answered.
        last: state behind it, ``(1, hidden)``.
        position: of the first token.
    """

    def __init__(self, thinker: Thinker, store: Store, last: torch.Tensor, position: int) -> None:
        self._thinker, self._store, self._last, self._position = thinker, store, last, position

    def logits(self) -> torch.Tensor:
        """Return the logits of the next token, float32, shape ``(words,)``; control tokens have no chance."""
        found = self._thinker.logits(self._last)[0]
        found[self._thinker.unwritable] = -float("inf")
        return found

    def append(self, ids: Sequence[int]) -> None:
        """Go on with ``ids``."""
        import torch

        block = self._thinker.block(tuple(ids))
        with torch.no_grad():
            self._last = self._store.read(block.embeds, block.positions + self._position)
        self._position += len(ids)


def _heed(stop: Event | None) -> None:
    if stop is not None and stop.is_set():
        raise Stopped
