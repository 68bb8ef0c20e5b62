"""What a caller allows, from their messages: names that are known, and only so many changes.

A name that no sense has is refused before anything else sees it, so that nothing a client makes up reaches the log, the
ledger or a journal. Taking back is done at once, always. Allowing more is done at once for the first changes, and then
as often as :data:`PER_MINUTE`; the last of several wishes waits for its turn.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from agent import wire
from agent.privacy.agreement import Agreement
from agent.sense_map import SenseMap
from agent.transports._bucket import Bucket
from perception.timebase import Nanos

PER_MINUTE: Final = 10
AT_ONCE: Final = 20
MOST: Final = 500
"""Changes in one call; beyond them one can only take back."""

_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Allowed:
    """What is allowed at one moment.

    Attributes:
        senses: names of the senses, ``None`` for all.
        agreement: what was agreed to beside them; ``None`` before the caller has said anything.
    """

    senses: frozenset[str] | None = frozenset()
    agreement: Agreement | None = None

    def shown(self) -> dict[str, Any]:
        """Return it as a client is told: ``senses``, ``null`` for all, and whether words are kept, ``recording``."""
        kept = self.agreement is not None and self.agreement.recording
        return {"senses": None if self.senses is None else sorted(self.senses), "recording": kept}

    def less(self, wish: Allowed) -> Allowed:
        """Return what is left of this where ``wish`` takes something back, and nothing more than this."""
        if self.agreement is None:
            return self
        senses = self.senses if wish.senses is None else wish.senses
        if senses is not None and self.senses is not None:
            senses &= self.senses
        recording = self.agreement.recording and wish.agreement is not None and wish.agreement.recording
        return Allowed(senses, dataclasses.replace(self.agreement, recording=recording))


class Consenting:
    """One caller's.

    Args:
        known: the senses that there are.
        first: what is allowed before the caller says anything.
        now: the time.
        changed: takes what was allowed before, and what is now.

    Attributes:
        now: what is allowed now.
    """

    def __init__(
        self, known: SenseMap, first: Allowed, now: Nanos, changed: Callable[[Allowed, Allowed], None]
    ) -> None:
        self.now = first
        self._known = known
        self._changed = changed
        self._waiting: Allowed | None = None
        self._changes = 0
        self._bucket = Bucket(PER_MINUTE / 60, AT_ONCE, now)

    def ask(self, message: wire.Consent | wire.Senses, at: Nanos) -> dict[str, Any]:
        """Carry out what a message allows and takes back.

        Returns:
            What is allowed then, see :meth:`Allowed.shown`; with ``later_s`` where the rest of it waits so long.

        Raises:
            agent.wire.WireError: a name is of no sense, ``consent`` has not come before ``senses``, or there were too
                many changes for one call. What the message takes back counts all the same, and all else that is known.
        """
        agreement, known = self._agreement(message), self._known.known
        senses = self.now.senses if message.senses is None else message.senses & known
        later_s = self._wish(Allowed(senses, agreement), message.id, at)
        if strange := sorted((message.senses or frozenset()) - known):
            named = ", ".join(repr(name) for name in strange[:_NAMED]) + (", ..." if len(strange) > _NAMED else "")
            told = f"there is no sense {named} here; known are {', '.join(sorted(known))}"
            raise wire.WireError(f"{told}. What else the message says is done", message.id)
        return self.now.shown() | ({"later_s": later_s} if later_s else {})

    def tick(self, at: Nanos) -> None:
        """Carry out what waits, if it may be by now."""
        wish = self._waiting
        if wish is not None and self._bucket.take(1, at):
            self._waiting = None
            self._change(wish)

    def _wish(self, wish: Allowed, id: str, at: Nanos) -> int:
        self._waiting = None
        if wish == self.now:
            return 0
        left = self.now.less(wish)
        if left == wish:
            self._bucket.charge(1, at)
        elif self._changes >= MOST:
            self._change(left)
            told = f"more than {MOST} changes of consent in one call: more can be taken back, and allowed in a new call"
            raise wire.WireError(told, id)
        elif not self._bucket.take(1, at):
            self._change(left)
            self._waiting = wish
            return max(1, math.ceil(self._bucket.wait_s(1)))
        self._change(wish)
        return 0

    def _agreement(self, message: wire.Consent | wire.Senses) -> Agreement:
        if isinstance(message, wire.Consent):
            return Agreement(str(message.version), message.locale, message.recording)
        if self.now.agreement is None:
            raise wire.WireError("consent comes first", message.id)
        if message.recording is None:
            return self.now.agreement
        return dataclasses.replace(self.now.agreement, recording=message.recording)

    def _change(self, found: Allowed) -> None:
        if found != self.now:
            before, self.now = self.now, found
            self._changes += 1
            self._changed(before, found)
