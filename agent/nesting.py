"""How deep JSON nests, told without parsing it: a parser that recurses is what deep nesting is meant to hurt."""

from __future__ import annotations


def deepest(text: str, *, enough: int) -> int:
    """Return how deep brackets nest outside of strings; an upper bound where that is at most ``enough``."""
    brackets = text.count("[") + text.count("{")
    if brackets <= enough:
        return brackets
    most = depth = 0
    quoted = escaped = False
    for char in text:
        if quoted:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                quoted = False
        elif char == '"':
            quoted = True
        elif char in "[{":
            depth += 1
            most = max(most, depth)
        elif char in "]}":
            depth -= 1
    return most
