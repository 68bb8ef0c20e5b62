"""Constrained decoding: which tokens may come next so that the text fits a JSON schema (llguidance)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policy.omni.layout import Layout


class Grammar:
    """A schema, compiled for one tokenizer; see :meth:`begin`.

    Args:
        layout: has the tokenizer.
        words: tokens that the model's output has; some have no text.
        schema: JSON schema; the fields come in its order.
    """

    def __init__(self, layout: Layout, words: int, schema: Mapping[str, Any]) -> None:
        import llguidance

        known = layout.tokenizer.get_vocab_size(with_added_tokens=True)
        tokenizer = llguidance.LLTokenizer(
            layout.tokenizer.to_str(), n_vocab=max(known, words), eos_token=layout.end, slices=None
        )
        # One way to write the spaces leaves nothing to choose there, so that they need no step of the model.
        text = llguidance.LLMatcher.grammar_from_json_schema(
            json.dumps(schema), overrides={"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
        )
        self._blank = llguidance.LLMatcher(tokenizer, text)
        if self._blank.is_error():
            raise ValueError(f"the schema cannot be held to: {self._blank.get_error()}")
        self._words = words

    def begin(self) -> Match:
        """Begin an answer."""
        return Match(self._blank.deep_copy(), self._words)


class Match:
    """How far one answer has come."""

    def __init__(self, matcher: Any, words: int) -> None:
        self._matcher, self._words = matcher, words

    @property
    def over(self) -> bool:
        """Whether the answer is complete and nothing may follow."""
        return bool(self._matcher.is_stopped())

    def forced(self) -> list[int]:
        """Return the tokens that must come next, whatever the model says; none where there is a choice."""
        return list(self._matcher.compute_ff_tokens())

    def allowed(self) -> NDArray[np.bool_]:
        """Return which tokens may come next, shape ``(words,)``."""
        packed = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        bits = np.unpackbits(packed, bitorder="little")[: self._words]
        return np.pad(bits, (0, self._words - len(bits))).astype(bool)

    def take(self, ids: Sequence[int]) -> None:
        """Go on with ``ids``.

        Raises:
            ValueError: they may not come here.
        """
        if not self._matcher.consume_tokens(list(ids)):
            raise ValueError(f"tokens {list(ids)} may not come here: {self._matcher.get_error()}")
