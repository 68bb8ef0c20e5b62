"""Whether JSON nests too deep, told without parsing it: deep nesting is meant to hurt parsers that recurse."""

from __future__ import annotations

import re
from typing import Final

_QUOTED: Final = re.compile(r'"(?:[^"\\]++|\\.?)*+(?:"|\Z)', re.DOTALL)
_SQUARE: Final = bytes.maketrans(b"{}", b"[]")
_OTHERS: Final = bytes(set(range(256)) - set(b"[]{}"))


def deeper(text: str, most: int) -> bool:
    """Tell whether brackets outside of strings nest deeper than ``most``.

    Half a megabyte takes a few tens of milliseconds at most. Of text that is no JSON, brackets that are never closed
    count by themselves.
    """
    if text.count("[") + text.count("{") <= most:
        return False
    brackets = _QUOTED.sub("", text).encode("utf-8", "replace").translate(_SQUARE, _OTHERS)
    for _ in range(most):
        if b"[]" not in brackets:
            break
        # Each pass takes the innermost pairs away, and so one level.
        brackets = brackets.replace(b"[]", b"")
    return b"[]" in brackets or brackets.count(b"[") > most
