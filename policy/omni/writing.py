"""From states of the model to the text of an answer: a thought that is bounded, then words that fit a grammar."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from typing import Final

import numpy as np

from policy.omni.grammar import Grammar, Match
from policy.omni.layout import Layout
from policy.omni.memory import Stopped, Writing

OPENED: Final = "<think>"
CLOSED: Final = "</think>\n"


class Decoder:
    """Turns ids into text as they come; holds back bytes that are no whole character yet."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._ids: list[int] = []
        self._told = ""

    def push(self, ids: list[int]) -> str:
        """Take in ids and return the new text."""
        self._ids += ids
        text = self._layout.decode(self._ids)
        if text.endswith("�") or len(text) <= len(self._told):
            return ""
        fresh, self._told = text[len(self._told) :], text
        if self._told.endswith((" ", "\n")):
            self._ids, self._told = [], ""
        return fresh


def think(writing: Writing, layout: Layout, stop: Event, hurry: Event, most: int) -> Iterator[str]:
    """Write a thought between its marks: greedily, up to ``most`` tokens or until ``hurry`` is set.

    Yields:
        Its text as it comes, marks included; it is always closed.

    Raises:
        Stopped: ``stop`` was set.
    """
    writing.append(layout.encode(OPENED))
    yield OPENED
    decoder, text = Decoder(layout), ""
    for _ in range(most):
        if stop.is_set():
            raise Stopped
        token = int(writing.logits().argmax())
        if hurry.is_set() or token == layout.end:
            break
        writing.append([token])
        fresh = decoder.push([token])
        text += fresh
        if (cut := text.find(CLOSED.strip())) >= 0:
            # What it wrote behind the mark within the same token is not taken up.
            yield fresh[: max(0, len(fresh) - (len(text) - cut))] + CLOSED
            return
        if fresh:
            yield fresh
    writing.append(layout.encode(CLOSED))
    yield CLOSED


def decide(writing: Writing, layout: Layout, grammar: Grammar, stop: Event) -> Iterator[tuple[str, float]]:
    """Write an answer that fits ``grammar``, greedily.

    Yields:
        Text as it comes, and the probability of its choice among what was allowed.

    Raises:
        Stopped: ``stop`` was set.
    """
    match, decoder = grammar.begin(), Decoder(layout)
    while not match.over:
        if stop.is_set():
            raise Stopped
        ids, sure = match.forced(), 1.0
        if not ids:
            token, sure = _likeliest(writing, match)
            ids = [token]
        match.take(ids)
        spoken = [token for token in ids if token != layout.end]
        if spoken:
            if not match.over:
                writing.append(spoken)
            yield decoder.push(spoken), sure


def answer(writing: Writing, layout: Layout, stop: Event, most: int) -> Iterator[str]:
    """Write freely and greedily, up to ``most`` tokens.

    Raises:
        Stopped: ``stop`` was set.
    """
    decoder = Decoder(layout)
    for _ in range(most):
        if stop.is_set():
            raise Stopped
        token = int(writing.logits().argmax())
        if token == layout.end:
            return
        writing.append([token])
        yield decoder.push([token])


def _likeliest(writing: Writing, match: Match) -> tuple[int, float]:
    logits = writing.logits().cpu().numpy().astype(np.float64)
    logits[~match.allowed()] = -np.inf
    token = int(logits.argmax())
    with np.errstate(under="ignore"):
        shares = np.exp(logits - logits[token])
    return token, float(1.0 / shares.sum())
