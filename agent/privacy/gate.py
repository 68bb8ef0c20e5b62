"""The gate of a call: no frame reaches perception before it is stored that the person agreed.

:class:`Gate` is a transport around the caller's transport. What the caller allows passes only once the ledger has it;
what the caller takes back is withheld at once, and then stored as well. Where it cannot be stored, nothing is seen or
heard, the caller is told, and storing is tried again. Typed words always pass: they are not perceived but sent.

What rests on what was taken back is erased from the call's journal. Where that cannot be done it is owed: written down
(:mod:`agent.privacy.owed`), told to the person, and tried again in the call, at its end, and after it.

Notes that it tells: ``consent_stored``, ``consent_withdrawn`` (each with ``scopes``), ``consent_not_stored``,
``not_erased`` and then ``erased``.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Final

import structlog

from agent.action import Caption
from agent.around import Around
from agent.clock import Clock
from agent.journal import Body, Event, Note
from agent.privacy.agreement import APPLICATION, PERSON, RECORDING, Agreement
from agent.privacy.journal_file import JournalFile
from agent.privacy.ledger import CHANGED, GIVEN, WITHDRAWN, Ledger, LedgerError
from agent.privacy.owed import Debt, Owed
from agent.privacy.withdrawal import erase_withdrawn
from agent.sense_map import SenseMap
from agent.transports import Feed, Hangup, Signal, Transport
from perception.media import AudioChunk, Media, VideoFrame
from perception.timebase import MS, SECOND, Nanos
from perception.workers import WorkerFactory

log = structlog.get_logger(__name__)

NOT_STORED: Final = (
    "I could not store that you agreed, so I do not see or hear anything. You can type to me; I will go on trying."
)
STORED: Final = "It is stored now, so I see and hear what you allow."
NOT_ERASED: Final = (
    "You took something back. I no longer use it, but I could not erase it from my notes yet; I will go on trying."
)
ERASED: Final = "It is erased from my notes now."
_LOOK: Final[Nanos] = 100 * MS
_SETTLE: Final[Nanos] = 200 * MS
_AGAIN: Final[Nanos] = 5 * SECOND


@dataclass(frozen=True, slots=True)
class Terms:
    """What is allowed at one moment.

    Attributes:
        senses: names of the senses, ``None`` for all.
        agreement: what was agreed to beside them.
    """

    senses: frozenset[str] | None = frozenset()
    agreement: Agreement | None = None

    def least(self, other: Terms) -> Terms:
        """Return what both allow."""
        return Terms(_both(self.senses, other.senses), other.agreement if self.recording else self.agreement)

    @property
    def nothing(self) -> bool:
        """Whether nothing at all is allowed."""
        return self.senses == frozenset() and not self.recording

    @property
    def recording(self) -> bool:
        """Whether the words may be written down."""
        return self.agreement is not None and self.agreement.recording


class Gate(Around):
    """A transport whose senses are those that the caller allows *and* that are stored.

    Args:
        inner: the caller. Where it has an ``agreement``, that is stored too.
        ledger: where it is stored.
        workers: of the call; they say what a sense takes in.
        records: whether words can be written down at all; without, nobody is noted as having allowed it.

    Attributes:
        journal: of the call, if it has one; gets the gate's own notes, and loses what rests on what was taken back.
        debt: where it is written down what is owed of that, if there is such a place.
    """

    def __init__(
        self, inner: Transport, ledger: Ledger, workers: Sequence[WorkerFactory], *, records: bool = True
    ) -> None:
        super().__init__(inner)
        self.journal: JournalFile | None = None
        self.debt: Debt | None = None
        self._ledger = ledger
        self._workers = tuple(workers)
        self._map = SenseMap.of(workers)
        self._records = records
        self._stored = Terms()
        self._cap: frozenset[str] | None = frozenset()
        self._asked: frozenset[str] | None = frozenset()
        self._agreed = self._failed = self._told = False
        self._erased: Terms | None = None
        self._owed: Terms | None = None
        self._told_owed = False
        self._erase_at: Nanos = 0
        self._clock: Clock | None = None
        self._feed: Feed | None = None

    # What the loop asks.

    @property
    def senses(self) -> frozenset[str] | None:
        """Names of the senses that are allowed now and whose consent is stored."""
        return _both(self._known, self._cap)

    @property
    def recording(self) -> bool:
        """Whether the words may be written down: it is allowed now, and that is stored."""
        return self._stored.recording and self._wish().recording

    async def begin(self, clock: Clock | None = None) -> None:
        """Store what is allowed from the start, before the call begins."""
        if not self._wish().nothing:
            await self._store(clock)

    async def receive(self, feed: Feed, clock: Clock) -> None:
        """Let the caller's media through, as far as the ledger has it."""
        self._clock, self._feed = clock, feed
        gone: Hangup | None = None
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch(clock), name="consent")
            try:
                await self._inner.receive(self._pass, clock)
            except Hangup as error:
                gone = error
            finally:
                watching.cancel()
        self._narrow()
        taken_back = self._takes_back()  # a moment before the end of the call
        await self._erase(None)
        if taken_back:
            await self._store(None)
        await self._settle(None)
        if gone is not None:
            raise gone

    # Inside.

    def _pass(self, media: Media | Signal) -> None:
        self._narrow()
        if isinstance(media, AudioChunk) and not self._map.hears(self.senses):
            return
        if isinstance(media, VideoFrame) and not self._map.sees(self.senses):
            return
        if self._feed is not None:
            self._feed(media)

    def _narrow(self) -> None:
        """What is taken back stays back, until it is allowed again and that is stored."""
        self._cap = _both(self._cap, self._known)
        self._asked = _both(self._asked, self._known)

    @property
    def _known(self) -> frozenset[str] | None:
        """What the caller allows now, without names that no sense has: those could be anything."""
        senses = self._inner.senses
        return None if senses is None else senses & self._map.known

    def _wish(self) -> Terms:
        """Return what the caller allows now."""
        senses = self._known
        agreement: Agreement | None = getattr(self._inner, "agreement", None)
        if agreement is None and senses != frozenset():
            # A transport that asks nobody, such as a file, speaks for whoever started it.
            agreement = Agreement(by=APPLICATION if senses is None else PERSON, recording=senses is None)
        if agreement is not None and agreement.recording and not self._records:
            agreement = dataclasses.replace(agreement, recording=False)
        return Terms(senses, agreement)

    def _behind(self) -> bool:
        """Whether the ledger does not have what the caller allows now."""
        wish = self._wish()
        if wish.nothing and not self._agreed:
            return False
        return wish != self._stored or wish.senses != self._cap

    def _takes_back(self) -> bool:
        """Whether something that is stored as allowed is not any more."""
        before = self._stored
        return self._agreed and ((before.recording and not self._wish().recording) or _less(before.senses, self._cap))

    async def _watch(self, clock: Clock) -> None:
        """Store every change, soon after it was made; before that, erase what it takes back."""
        again: Nanos = 0
        if self._failed:
            await self._tell_not_stored()
            again = clock.now() + _AGAIN
        while True:
            self._narrow()
            await self._erase(clock)
            await self._settle(clock)
            if self._behind() and clock.now() >= again:
                again = 0
                if not await self._store(clock):
                    await self._tell_not_stored()
                    again = clock.now() + _AGAIN
            await clock.sleep_until(clock.now() + _LOOK)

    async def _store(self, clock: Clock | None) -> bool:
        """Bring the ledger up to date; return whether it is."""
        wish = self._wish()
        self._asked = wish.senses
        scopes = self._scopes(wish)
        less = self._takes_back()
        event = GIVEN if not self._agreed else WITHDRAWN if wish.nothing else CHANGED
        try:
            async with _working(clock):
                await asyncio.to_thread(self._ledger.store, self.call_id, event, wish.agreement, scopes, wish.senses)
        except LedgerError as error:
            self._failed = True
            log.error("consent_not_stored", call=self.call_id, error=str(error), fix="nothing is perceived until it is")
            return False
        self._stored, self._cap, self._agreed, self._failed = wish, self._asked, True, False
        self._erased = None
        log.info("consent_stored", call=self.call_id, what=event, scopes=sorted(scopes))
        self._report(Note("consent_withdrawn" if less else "consent_stored", data={"scopes": sorted(scopes)}))
        self._hint()
        if self._owed is not None:
            await self._write_down(clock)
        if self._told:
            self._told = False
            await self._inner.send(Caption("agent", STORED, final=True))
        return True

    async def _erase(self, clock: Clock | None) -> None:
        """Erase what rests on what was taken back. What cannot be erased is owed, and tried again."""
        left = Terms(self._cap, self._wish().agreement)
        fresh = self._takes_back() and left != self._erased
        if fresh:
            self._hint()
            self._erased = left
            if self.journal is not None:
                self._owed = left if self._owed is None else self._owed.least(left)
                await self._write_down(clock)
        owed, journal = self._owed, self.journal
        if owed is None or journal is None:
            return
        if clock is not None:
            if not fresh and clock.now() < self._erase_at:
                return
            if fresh:  # what the call says about what it drops is to go as well
                await clock.sleep_until(clock.now() + _SETTLE)
        try:
            async with _working(clock):
                await asyncio.to_thread(erase_withdrawn, journal, owed.senses, self._workers, recording=owed.recording)
        except OSError as error:
            log.error("not_erased", call=self.call_id, error=str(error), fix="it is tried again until it is done")
            self._erase_at = clock.now() + _AGAIN if clock is not None else 0
            if not self._told_owed:
                self._told_owed = True
                self._report(Note("not_erased", "error"))
                await self._inner.send(Caption("agent", NOT_ERASED, final=True))
            return
        self._owed = None
        if self._told_owed:
            self._told_owed = False
            self._report(Note("erased"))
            await self._inner.send(Caption("agent", ERASED, final=True))

    async def _write_down(self, clock: Clock | None) -> None:
        """Write down what is owed where it outlives this process, before anything is erased."""
        if self.debt is None or self._owed is None or self.journal is None:
            return
        wish = self._wish()
        owed = Owed(
            self.journal.path,
            self._owed.senses,
            self._owed.recording,
            self._workers,
            WITHDRAWN if wish.nothing else CHANGED,
            wish.agreement,
            self._scopes(wish),
            wish.senses,
        )
        await self._change_debt(clock, self.debt.note, owed)

    async def _settle(self, clock: Clock | None) -> None:
        """Take it out again, once it is erased and the ledger has it."""
        if self.debt is not None and self.debt.owes and self._owed is None and not self._takes_back():
            await self._change_debt(clock, self.debt.clear)

    async def _change_debt(self, clock: Clock | None, change: Callable[..., None], *given: Owed) -> None:
        try:
            async with _working(clock):
                await asyncio.to_thread(change, *given)
        except OSError as error:
            log.error("debt_not_stored", call=self.call_id, error=str(error), fix="it is owed only until a restart")

    def _hint(self) -> None:
        """Let the call see at once that its senses have changed."""
        if self._feed is not None:
            self._feed(Signal("senses"))

    async def _tell_not_stored(self) -> None:
        if not _less(self._wish().senses, self._cap):
            return  # something was taken back, and it is withheld whether that is stored or not
        if not self._told:
            self._told = True
            await self._inner.send(Caption("agent", NOT_STORED, final=True))
        self._report(Note("consent_not_stored", "error"))

    def _scopes(self, terms: Terms) -> frozenset[str]:
        media = self._map.scopes(terms.senses)
        return media | {RECORDING} if terms.recording else media

    def _report(self, body: Body) -> None:
        event = Event(self._clock.now() if self._clock is not None else 0, body)
        if self.journal is not None:
            self.journal(event)
        self._inner.tell(event)


def _working(clock: Clock | None) -> AbstractAsyncContextManager[None]:
    return clock.working("consent") if clock is not None else nullcontext()


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _less(before: frozenset[str] | None, after: frozenset[str] | None) -> bool:
    """Whether something that was allowed is not any more."""
    if after is None:
        return False
    return before is None or bool(before - after)
