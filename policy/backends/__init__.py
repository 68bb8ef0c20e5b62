"""The contract of a policy, and how to add one.

One module here (or any importable module, named with its dots in the configuration) is one policy. It
needs a single function::

    def load(*, resolve: Resolve, **options: Any) -> Policy

One that takes the sound and the pictures of a window itself, and not only what the senses wrote of them, says so with
``NATIVE = True`` in its module. One that sends words or media to another machine names it in a property ``sends_to`` of
its policy, so that the page can say so before anybody consents.

A policy reads no clock and starts no tasks; blocking work runs in an executor that it owns, never in
the event loop and never in the default executor. The laws, held by ``tests/test_policy_contract.py``:

* ``decide`` streams: the first clause comes before the last is written;
* closing the iterator (``aclose`` or cancellation) stops the work within 100 ms;
* the same window gives the same decisions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from perception.context import ContextWindow
from perception.workers import Resolve
from policy.decision import Step

__all__ = ["Policy", "Resolve", "Session"]


class Session(Protocol):
    """One call's share of a policy: its cache, and nothing that another call can see."""

    async def prepare(self, window: ContextWindow, /) -> None:
        """Take in what is known so far, while the person still speaks; say nothing. May be cancelled."""
        ...

    def decide(self, window: ContextWindow, /) -> AsyncIterator[Step]:
        """Answer ``window.cue``: what is thought, if anything, then at least one decision.

        A reply is a run of ``Speak``, one clause each.
        """
        ...

    async def close(self) -> None:
        """Free what the call held. Called once, also after an error."""
        ...


class Policy(Protocol):
    """Loaded weights, shared by all calls."""

    @property
    def name(self) -> str:
        """As shown on the page and in metrics."""
        ...

    def session(self) -> Session:
        """Begin a call."""
        ...

    def close(self) -> None:
        """Free weights and threads."""
        ...
