"""Iterators that others give us, ended in time: a policy's steps, a voice's sound."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


async def end(stream: AsyncIterator[Any]) -> None:
    """Close ``stream`` if it is one that can be closed, as generators can; plain iterators have nothing to end."""
    close = getattr(stream, "aclose", None)
    if close is not None:
        await close()


@asynccontextmanager
async def ending(stream: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Give ``stream``, and end it on the way out."""
    try:
        yield stream
    finally:
        await end(stream)
