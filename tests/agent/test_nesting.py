from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.nesting import deeper

VALUES = st.recursive(
    st.none() | st.integers() | st.text('[]{}"\\ax\n', max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('[{"\\', max_size=3), inner, max_size=3),
    max_leaves=12,
)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(value=VALUES, most=st.integers(0, 6), ascii_only=st.booleans())
def test_it_tells_how_deep_json_is(value: Any, most: int, ascii_only: bool) -> None:
    assert deeper(json.dumps(value, ensure_ascii=ascii_only), most) == (depth(value) > most)


@given(text=st.text('[]{}"\\a\ud800', max_size=60))
def test_any_text_is_borne(text: str) -> None:
    assert deeper(text, 3) in {True, False}


@pytest.mark.parametrize("text", ["[" * 9, "[" * 10 + "]", '{"a":' * 9, '["\\"[",' + "[" * 9])
def test_what_is_never_closed_counts(text: str) -> None:
    assert deeper(text, 8)


def test_what_lies_in_a_string_that_never_ends_does_not_count() -> None:
    assert not deeper('["' + "[" * 9 + "\\", 8)
