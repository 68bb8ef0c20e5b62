"""A small language model that goes on writing a chat it keeps reading: SmolLM2-135M on the CPU.

The key/value cache of each call is kept between turns. New text is read as it comes (:meth:`Chat.read`), in
pieces between which it can be stopped; where the text changed, the cache is cropped to what is still true.
At the end of a turn only the last few tokens are left to read before the first word can be written.
"""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterator, Sequence
from threading import Event
from typing import TYPE_CHECKING, Any, Final

from perception.context import ContextWindow
from policy.lm import LanguageModel
from policy.prompt import PERSON, Line, render_lines, stamp
from policy.quoting import quoted, unmarked
from policy.script import Piece, Words

if TYPE_CHECKING:
    from policy.listener import Unit

_PIECE: Final = 16
_USER: Final = "<|im_start|>user\n"
_ASSISTANT: Final = "<|im_start|>assistant\n"
_END: Final = "<|im_end|>\n"


class Stopped(Exception):
    """The work was stopped from outside; what was read so far stays read."""


class Writer:
    """A language model and what every call begins with.

    Args:
        model: the weights.
        opening: what stands in front of every conversation: text of the chat template, or pieces.
        penalty: divides the logits of tokens that were just written (Keskar et al. 2019); 1 is off.
    """

    def __init__(self, model: LanguageModel, opening: str = "", penalty: float = 1.1) -> None:
        self.model = model
        self.penalty = penalty
        self._opening = tuple(model.encode(opening))
        self._opening_cache = model.new_cache()
        if self._opening:
            model.read(self._opening, self._opening_cache)

    def chat(self) -> Chat:
        """Begin a call: a copy of the opening's cache."""
        return Chat(self, self._opening, copy.deepcopy(self._opening_cache))

    def blank(self) -> Chat:
        """Begin a conversation that has nothing in front."""
        return Chat(self, (), self.model.new_cache())


class Chat:
    """One call's conversation. Not thread-safe: belongs to one thread."""

    def __init__(self, writer: Writer, opening: Sequence[int], cache: Any) -> None:
        self._model, self._penalty = writer.model, writer.penalty
        self._opening = tuple(opening)
        self._cache = cache
        self._units: list[Unit] = list(opening)
        self._hidden: Any = None
        self.written: list[int] = []

    @property
    def length(self) -> int:
        """Units in the cache."""
        return len(self._units)

    def read(self, pieces: Sequence[str | Piece], stop: Event) -> int:
        """Make the cache hold the opening and ``pieces``; return how many units had to be read.

        Args:
            pieces: the conversation in pieces that are only ever appended to; each text is encoded by itself. What
                is no text needs an adapter.
            stop: ends the reading between two runs of 16 units.

        Raises:
            Stopped: ``stop`` was set.
        """
        wanted = [*self._opening, *(unit for piece in pieces for unit in self._of(piece))]
        same = _common(self._units, wanted)
        if same == len(wanted) and (same < len(self._units) or self._hidden is None):
            same -= 1
        self._crop(same)
        for begin in range(same, len(wanted), _PIECE):
            if stop.is_set():
                raise Stopped
            self._append(wanted[begin : begin + _PIECE])
        return len(wanted) - same

    def rows(self) -> list[float]:
        """Return the scores of the adapter's rows behind what was just read, as :data:`policy.listener.ROWS`."""
        return [float(score) for score in self._model.rows(self._hidden)]

    def write(
        self, stop: Event, most: int = 40, *, lead: Sequence[Unit] = (), draft: Sequence[int] = ()
    ) -> Generator[str]:
        """Yield the likeliest continuation of what was just read, token by token, until its end or ``most`` tokens.

        What was written is cropped from the cache again when the iterator ends, however it ends; :attr:`written`
        keeps its tokens.

        Args:
            stop: ends the writing between two tokens.
            most: tokens.
            lead: read in front of the first token.
            draft: tokens that were written before in nearly the same place. They are read in one go, and as many of
                them kept as would be written again (Leviathan et al. 2023): the text is the same, only sooner.

        Raises:
            Stopped: ``stop`` was set.
        """
        before, shown = len(self._units), ""
        self.written = []
        try:
            for token in self._tokens(stop, most, lead, draft):
                self.written.append(token)
                text = self._model.decode(self.written)
                if not text.endswith("\N{REPLACEMENT CHARACTER}"):
                    yield text[len(shown) :]
                    shown = text
        finally:
            self._crop(before)

    def _tokens(self, stop: Event, most: int, lead: Sequence[Unit], draft: Sequence[int]) -> Iterator[int]:
        written: list[int] = []
        if stop.is_set():
            raise Stopped
        draft = list(draft[:most])
        if lead or draft:
            scores = [self._model.logits(self._hidden)[None]] if not lead else []
            hidden = self._grow([*lead, *draft])
            scores.append(self._model.logits(hidden[max(0, len(lead) - 1) :]))
            found = [row for block in scores for row in block]
            for place, token in enumerate(draft):
                if self._best(found[place], written) != token:
                    self._shrink(len(draft) - place)
                    break
                written.append(token)
                yield token
            logits = found[len(written)]
        else:
            logits = self._model.logits(self._hidden)
        while len(written) < most:
            if stop.is_set():
                raise Stopped
            token = self._best(logits, written)
            if token == self._model.end:
                return
            written.append(token)
            yield token
            logits = self._model.logits(self._grow([token])[-1])

    def _best(self, logits: Any, written: Sequence[int]) -> int:
        """Return the likeliest token, with the penalty on those that were just written."""
        import torch

        if written and self._penalty != 1.0:
            logits = logits.clone()
            seen = torch.tensor(sorted(set(written)))
            found = logits[seen]
            logits[seen] = torch.where(found > 0, found / self._penalty, found * self._penalty)
        return int(logits.argmax())

    def fits(self, endings: Sequence[str], stop: Event) -> list[float]:
        """Return how well each of ``endings`` fits behind what was just read: the adapter's own score, no probability.

        Raises:
            Stopped: ``stop`` was set.
        """
        from policy.listener import FIT

        before, out = len(self._units), list[float]()
        try:
            for ending in endings:
                if stop.is_set():
                    raise Stopped
                self._append([*self._model.encode(ending), self._model.end])
                out.append(float(self._model.rows(self._hidden)[FIT]))
                self._crop(before)
            return out
        finally:
            self._crop(before)

    def likelihoods(self, endings: Sequence[str], stop: Event) -> dict[str, float]:
        """Return the natural logarithm of how likely each of ``endings`` comes next, behind what was just read.

        A prefix that several endings share is read once; all is cropped from the cache again, however it ends.

        Args:
            endings: what may come next, none of them empty.
            stop: ends the work between two tokens.

        Raises:
            Stopped: ``stop`` was set.
        """
        before = len(self._units)
        known: dict[tuple[int, ...], Any] = {(): self._model.logits(self._hidden).log_softmax(-1)}
        out: dict[str, float] = {}
        try:
            for ending in endings:
                ids, out[ending] = tuple(self._model.encode(ending)), 0.0
                for place, token in enumerate(ids):
                    if ids[:place] not in known:
                        if stop.is_set():
                            raise Stopped
                        self._crop(before)
                        self._append(ids[:place])
                        known[ids[:place]] = self._model.logits(self._hidden).log_softmax(-1)
                    out[ending] += float(known[ids[:place]][token])
            return out
        finally:
            self._crop(before)

    def _of(self, piece: str | Piece) -> Sequence[Unit]:
        if isinstance(piece, str):
            return self._model.encode(piece)
        if isinstance(piece, Words):
            return self._model.encode(piece.text)
        from policy.listener import felt

        return felt(piece)

    def _append(self, units: Sequence[Unit]) -> None:
        self._hidden = self._model.read(units, self._cache)[-1]
        self._units.extend(units)

    def _grow(self, units: Sequence[Unit]) -> Any:
        """Read without keeping the last hidden state: what is read will be cropped again."""
        hidden = self._model.read(units, self._cache)
        self._units.extend(units)
        return hidden

    def _shrink(self, count: int) -> None:
        self._cache.crop(-count)
        del self._units[-count:]

    def _crop(self, length: int) -> None:
        surplus = len(self._units) - length
        if surplus > 0:
            self._shrink(surplus)
            self._hidden = None


def conversation(window: ContextWindow) -> tuple[str, ...]:
    """Return ``window`` in pieces of the chat template, the last message of the person left open.

    For two windows with the same ``first``, and without ``hearing``, the earlier one's are a prefix of the later one's.
    """
    lines: list[Line] = []
    if window.summary:
        lines.append(Line(PERSON, f"(earlier) {unmarked(window.summary)}"))
    lines.extend(render_lines(window))
    if window.hearing:
        lines.append(Line(PERSON, f"[{stamp(window.end)}] says: {quoted(window.hearing)}"))
    out: list[str] = []
    role = ""
    for line in lines:
        if line.role != role:
            if role == PERSON:
                out.append(_END)
            if line.role == PERSON:
                out.append(_USER)
        out.append(f"{line.text}\n" if line.role == PERSON else f"{_ASSISTANT}{line.text}{_END}")
        role = line.role
    if role != PERSON:
        out.append(_USER)
    return tuple(out)


def asking(window: ContextWindow, system: str) -> tuple[str, ...]:
    """Return ``window`` as :func:`conversation` does, behind ``system``, for a :meth:`Writer.blank` conversation."""
    return (f"<|im_start|>system\n{system}{_END}", *conversation(window))


def reply_to(start: str = "") -> str:
    """Return what closes the person's message and opens the answer, which begins with ``start``."""
    return f"{_END}{_ASSISTANT}{start}"


def cue(strategy: str) -> str:
    """Return what closes the person's message and asks for an answer with ``strategy``."""
    return reply_to(f"[{strategy}] ")


def opening(system: str, examples: Sequence[tuple[Sequence[str], str, str]]) -> str:
    """Return the chat in front of every call.

    Args:
        system: the system message.
        examples: lines of the person, strategy, and answer of each example.
    """
    parts = [f"<|im_start|>system\n{system}{_END}"]
    for lines, strategy, answer in examples:
        parts.append(_USER + "".join(f"{line}\n" for line in lines) + cue(strategy) + answer + _END)
    return "".join(parts)


def _common(one: Sequence[Unit], other: Sequence[Unit]) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count
