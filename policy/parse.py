"""From a model's stream of characters to clauses that can be spoken, one at a time."""

from __future__ import annotations

import re
from typing import Final

from policy.decision import STRATEGIES

_END: Final = re.compile(r"(?<!\bMr)(?<!\bMs)(?<!\bDr)(?<!\bMrs)([.!?…]+[\"'”’)]*)(\s+|$)")
_BREATH: Final = re.compile(r"[,;:—–]\s+")
_TAG: Final = re.compile(r"^\s*[\[(](\w+)[\])]\s*")
_STOP: Final = re.compile(r"<\||\n|^\s*(?:user|assistant|system)\s*:", re.IGNORECASE)


def split_tag(text: str) -> tuple[str | None, str]:
    """Split a leading ``[strategy]`` off; an unknown tag is dropped and gives ``None``."""
    match = _TAG.match(text)
    if match is None:
        return None, text
    name = match.group(1).lower()
    return (name if name in STRATEGIES else None), text[match.end() :]


class Clauses:
    """Cuts streamed text into clauses: a sentence, or a part that ends in a comma after enough words.

    Args:
        breath: fewest words before a comma, dash or semicolon may end a clause; 0 cuts at sentences only.

    The text ends at a line break, at a marker of the chat template, or at a role label; :attr:`ended` says so.
    """

    def __init__(self, breath: int = 0) -> None:
        self._breath = breath
        self._rest = ""
        self.ended = False

    def push(self, text: str) -> list[str]:
        """Take in the next characters; return the clauses that are complete."""
        if self.ended:
            return []
        self._rest += text
        stop = _STOP.search(self._rest.lstrip())
        if stop is not None:
            self._rest = self._rest.lstrip()[: stop.start()]
            self.ended = True
            return self._cut() + self._last()
        return self._cut()

    def flush(self) -> list[str]:
        """Return what is left, as the last clause."""
        self.ended = True
        return self._cut() + self._last()

    def _cut(self) -> list[str]:
        out: list[str] = []
        while (end := self._boundary()) is not None:
            clause, self._rest = self._rest[:end].strip(), self._rest[end:]
            if clause:
                out.append(clause)
        return out

    def _last(self) -> list[str]:
        rest, self._rest = self._rest.strip(), ""
        return [rest] if rest else []

    def _boundary(self) -> int | None:
        sentence = next((m for m in _END.finditer(self._rest) if m.group(2)), None)
        if self._breath:
            for match in _BREATH.finditer(self._rest, 0, sentence.start() if sentence else len(self._rest)):
                if len(self._rest[: match.start()].split()) >= self._breath:
                    return match.end()
        return sentence.end() if sentence else None


def sentences(text: str) -> tuple[str, ...]:
    """Split a finished text into its sentences."""
    return tuple(Clauses().push(text + "\n"))
