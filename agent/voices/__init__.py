"""The contract of a voice, and how to add one.

One module here (or any importable module, named with its dots) is one voice; it needs::

    def load(*, resolve: Resolve, **options: Any) -> Voice

Blocking synthesis runs in an executor that the voice owns. Held by ``tests/test_voice_contract.py``: the
first sound of a long text comes before all of it is synthesised; closing the iterator stops the work; the
same text and tone give the same samples.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from perception.media import AudioChunk
from perception.workers import Resolve

__all__ = ["Resolve", "Voice"]


class Voice(Protocol):
    """Text to sound."""

    @property
    def name(self) -> str:
        """As shown on the page and in metrics."""
        ...

    @property
    def rate_hz(self) -> int:
        """Sample rate of every chunk."""
        ...

    def say(self, text: str, tone: str, /) -> AsyncIterator[AudioChunk]:
        """Yield the sound of ``text`` in pieces, the first at ``start`` 0, without gaps.

        ``tone`` is one of :data:`policy.decision.TONES`; an unknown one sounds neutral.
        """
        ...

    def close(self) -> None:
        """Free weights and threads."""
        ...
