"""Plain danger in other languages than English."""

from __future__ import annotations

from policy.safety.patterns import Match


def search(words: str) -> Match | None:
    """Return the danger that ``words`` speak of plainly, or ``None``."""
    return None
