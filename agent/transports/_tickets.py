"""Resume tokens: what a client shows to go on with its call over another connection, when it has lost all else.

A token is random (256 bits), bound to one call, and works once: as soon as the connection that it opened stands, it and
all before it are spent, and the answer to its offer has brought the next. Until then it stays good, for an answer may
be lost on the same bad network that made the client come back. Only digests are kept, so that no memory dump, log or
journal holds a token.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from typing import Final, Generic, TypeVar

from agent.refusal import Refused

Call = TypeVar("Call")

_MOST_OPEN: Final = 8
"""Tokens of one call that are good at once: one, and one more per offer whose connection has never stood."""

_REMEMBERED: Final = 1024
"""Spent tokens that are told from unknown ones."""


class Tickets(Generic[Call]):
    """The tokens of all calls of a door."""

    def __init__(self) -> None:
        self._open: dict[bytes, Call] = {}
        self._of: dict[Call, list[bytes]] = {}
        self._spent: OrderedDict[bytes, Call] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def issue(self, call: Call) -> str:
        """Return a new token for ``call``."""
        text = secrets.token_urlsafe(32)
        digest = _digest(text)
        self._open[digest] = call
        known = self._of.setdefault(call, [])
        known.append(digest)
        if len(known) > _MOST_OPEN:
            self._spend(known.pop(0))
        return text

    def find(self, text: str) -> Call:
        """Return the call that a token goes on with; the token stays good until :meth:`settle`.

        Raises:
            Refused: it was used before (409), or there is no such call any more (410).
        """
        digest = _digest(text)
        call = self._open.get(digest)
        if call is not None:
            return call
        if digest in self._spent:
            raise Refused(409, "this resume token was used before: the call goes on over another connection")
        raise Refused(410, "the call of this resume token is over; begin a new one")

    def settle(self, call: Call, text: str) -> None:
        """The connection stands whose answer brought the token ``text``: all before it are spent."""
        known, digest = self._of.get(call, []), _digest(text)
        while digest in known and known[0] != digest:
            self._spend(known.pop(0))

    def forget(self, call: Call) -> None:
        """``call`` is over."""
        for digest in self._of.pop(call, ()):
            del self._open[digest]
        for digest in [spent for spent, of in self._spent.items() if of == call]:
            del self._spent[digest]

    def clear(self) -> None:
        """Forget all calls."""
        self._open.clear()
        self._of.clear()
        self._spent.clear()

    def _spend(self, digest: bytes) -> None:
        self._spent[digest] = self._open.pop(digest)
        while len(self._spent) > _REMEMBERED:
            self._spent.popitem(last=False)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
