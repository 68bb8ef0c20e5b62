"""A small language model that goes on writing a chat it keeps reading: SmolLM2-135M on the CPU.

The key/value cache of each call is kept between turns. New text is read as it comes (:meth:`Chat.read`), in
pieces between which it can be stopped; where the text changed, the cache is cropped to what is still true.
At the end of a turn only the last few tokens are left to read before the first word can be written.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import Any, Final

from perception.context import ContextWindow
from policy.prompt import PERSON, Line, quoted, render_lines, stamp

_PIECE: Final = 16
_USER: Final = "<|im_start|>user\n"
_ASSISTANT: Final = "<|im_start|>assistant\n"
_END: Final = "<|im_end|>\n"


class Stopped(Exception):
    """The work was stopped from outside; what was read so far stays read."""


class Writer:
    """The weights and what every call begins with.

    Args:
        path: folder with the weights (safetensors) and ``tokenizer.json``.
        opening: text of the chat template in front of every conversation: system message and examples.
        penalty: divides the logits of tokens that were just written (Keskar et al. 2019); 1 is off.
    """

    def __init__(self, path: Path, opening: str, penalty: float = 1.1) -> None:
        import torch
        from tokenizers import Tokenizer
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

        logging.disable_progress_bar()
        self._tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        self._model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, local_files_only=True).eval()
        self._end = self._tokenizer.token_to_id("<|im_end|>")
        self._penalty = penalty
        self._opening = tuple(self.encode(opening))
        self._opening_cache = self._new_cache()
        self._forward(self._opening, self._opening_cache)

    def encode(self, text: str) -> list[int]:
        """Return the token ids of ``text``; markers of the chat template count as such."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids``."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))

    def chat(self) -> Chat:
        """Begin a call: a copy of the opening's cache."""
        return Chat(self, self._opening, copy.deepcopy(self._opening_cache))

    def blank(self) -> Chat:
        """Begin a conversation that has nothing in front."""
        return Chat(self, (), self._new_cache())

    def _new_cache(self) -> Any:
        from transformers import DynamicCache

        return DynamicCache(config=self._model.config)

    def _forward(self, ids: Sequence[int], cache: Any) -> Any:
        """Read ``ids`` after ``cache``; return the logits behind the last one, shape ``(vocabulary,)``."""
        import torch

        with torch.no_grad():
            out = self._model(input_ids=torch.tensor([list(ids)]), cache=cache, use_cache=True, logits_to_keep=1)
        return out.logits[0, -1]


class Chat:
    """One call's conversation. Not thread-safe: belongs to one thread."""

    def __init__(self, writer: Writer, opening: Sequence[int], cache: Any) -> None:
        self._writer = writer
        self._opening = tuple(opening)
        self._cache = cache
        self._ids = list(opening)
        self._logits: Any = None

    @property
    def length(self) -> int:
        """Tokens in the cache."""
        return len(self._ids)

    def read(self, text: Sequence[str], stop: Event) -> int:
        """Make the cache hold the opening and ``text``; return how many tokens had to be read.

        Args:
            text: the conversation in pieces that are only ever appended to; each is encoded by itself.
            stop: ends the reading between two pieces of 16 tokens.

        Raises:
            Stopped: ``stop`` was set.
        """
        wanted = [*self._opening, *(token for piece in text for token in self._writer.encode(piece))]
        same = _common(self._ids, wanted)
        if same == len(wanted) and (same < len(self._ids) or self._logits is None):
            same -= 1
        self._crop(same)
        for begin in range(same, len(wanted), _PIECE):
            if stop.is_set():
                raise Stopped
            self._append(wanted[begin : begin + _PIECE])
        return len(wanted) - same

    def write(self, stop: Event, most: int = 40) -> Iterator[str]:
        """Yield the likeliest continuation of what was just read, token by token, until its end or ``most`` tokens.

        What was written is cropped from the cache again when the iterator ends, however it ends.

        Raises:
            Stopped: ``stop`` was set.
        """
        import torch

        before, written, shown = len(self._ids), list[int](), ""
        try:
            while len(written) < most:
                if stop.is_set():
                    raise Stopped
                logits = self._logits.clone()
                if written:
                    seen = torch.tensor(sorted(set(written)))
                    found = logits[seen]
                    logits[seen] = torch.where(found > 0, found / self._writer._penalty, found * self._writer._penalty)
                token = int(logits.argmax())
                if token == self._writer._end:
                    return
                written.append(token)
                text = self._writer.decode(written)
                if not text.endswith("\N{REPLACEMENT CHARACTER}"):
                    yield text[len(shown) :]
                    shown = text
                self._append([token])
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
        before = len(self._ids)
        known: dict[tuple[int, ...], Any] = {(): self._logits.log_softmax(-1)}
        out: dict[str, float] = {}
        try:
            for ending in endings:
                ids, out[ending] = tuple(self._writer.encode(ending)), 0.0
                for place, token in enumerate(ids):
                    if ids[:place] not in known:
                        if stop.is_set():
                            raise Stopped
                        self._crop(before)
                        self._append(ids[:place])
                        known[ids[:place]] = self._logits.log_softmax(-1)
                    out[ending] += float(known[ids[:place]][token])
            return out
        finally:
            self._crop(before)

    def _append(self, ids: Sequence[int]) -> None:
        self._logits = self._writer._forward(ids, self._cache)
        self._ids.extend(ids)

    def _crop(self, length: int) -> None:
        surplus = len(self._ids) - length
        if surplus > 0:
            self._cache.crop(-surplus)
            del self._ids[length:]
            self._logits = None


def conversation(window: ContextWindow) -> tuple[str, ...]:
    """Return ``window`` in pieces of the chat template, the last message of the person left open.

    For two windows with the same ``first``, and without ``hearing``, the earlier one's are a prefix of the later one's.
    """
    lines: list[Line] = []
    if window.summary:
        lines.append(Line(PERSON, f"(earlier) {window.summary}"))
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


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count
