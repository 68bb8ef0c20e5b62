"""One call of several minds behind one another (:mod:`agent.minds`): who is asked, how long, and who is left out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from agent.streams import end
from agent.thinking import Alarm, Fell, Thinker, Thinking, Told, kind_of, told_of
from perception.context import ContextWindow
from perception.timebase import MS, SECOND, Nanos
from policy.decision import Express, Thought

log = structlog.get_logger(__name__)

_BACKOFF: Final = SECOND
_BACKOFF_MOST: Final = 30 * SECOND
_CLOSE_S: Final = 0.1
"""How soon a policy's iterator has to end, after its contract."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a mind is waited for while another stands behind it.

    Attributes:
        first: longest wait for its first decision.
        think: the same where it is seen thinking, counted from the same moment.
        stall: longest wait between two steps.
    """

    first: Nanos = 2500 * MS
    think: Nanos = 3500 * MS
    stall: Nanos = 3 * SECOND


class Candidate:
    """A mind of the chain, loaded or not.

    Args:
        name: by which it is known on the page, in the journal and in metrics.
        load: loads its weights; what it raises is why this mind cannot speak.

    Attributes:
        loaded: the policy, ``None`` where it could not be loaded.
        why: the reason for that.
    """

    def __init__(self, name: str, load: Callable[[], Thinker]) -> None:
        self.name = name
        self.loaded: Thinker | None = None
        self.why = ""
        self.tried: Nanos = 0
        self.busy = False
        self._load = load

    def load(self) -> Thinker:
        """Load it and return it; :attr:`loaded` is for the owner to set."""
        return self._load()


class _Seat:
    """A mind in one call: its session, and whether it is to be left out for now."""

    def __init__(self, mind: Candidate) -> None:
        self.name = mind.name
        self.warned = False
        self._mind = mind
        self._session: Thinking | None = None
        self._falls = 0
        self._rests_until: Nanos | None = None

    @property
    def there(self) -> bool:
        return self._session is not None or self._mind.loaded is not None

    def rests(self, now: Nanos) -> bool:
        return self._rests_until is not None and now < self._rests_until

    def session(self) -> Thinking:
        if self._session is None:
            if self._mind.loaded is None:
                raise RuntimeError(f"{self.name} is closed")
            self._session = self._mind.loaded.session()
        return self._session

    def held(self) -> None:
        self._falls, self._rests_until = 0, None

    def fell(self, now: Nanos) -> None:
        self._rests_until = now + min(_BACKOFF << min(self._falls, 8), _BACKOFF_MOST)
        self._falls += 1

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


class _Late(Exception):
    """A mind took too long; the message is ``late`` or ``stalled``."""


class _Answer:
    """One mind's answer, awaited with patience; ``None`` waits for ever."""

    def __init__(self, stream: AsyncIterator[Told], patience: Patience | None) -> None:
        self.decided = self.spoken = False
        self._thinks = False
        self._stream = stream
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._asked = self._loop.time()

    async def next(self) -> Told | None:
        """Return the next step, ``None`` at the end.

        Raises:
            _Late: it did not come in time.
        """
        due = self._due()
        if due is not None and self._loop.time() >= due:
            raise _Late("late")  # thoughts that are all there at once never wait, and so never time out
        limit = asyncio.timeout_at(due)
        try:
            async with limit:
                step = await anext(self._stream, None)
        except Exception:
            if limit.expired():
                raise _Late("stalled" if self.decided else "late") from None
            raise
        if isinstance(step, Thought):
            self._thinks = True
        elif step is not None and not isinstance(step, Fell):
            self.decided = True
            self.spoken = self.spoken or not isinstance(step, Express)
        return step

    def _due(self) -> float | None:
        """Return until when the next step is waited for; what was done with the last one does not count."""
        if self._patience is None:
            return None
        stall = self._loop.time() + self._patience.stall / SECOND
        if self.decided:
            return stall
        if self._thinks:
            return min(stall, self._asked + self._patience.think / SECOND)
        return self._asked + self._patience.first / SECOND

    async def close(self, name: str) -> None:
        try:
            async with asyncio.timeout(_CLOSE_S):
                await end(self._stream)
        except Exception as error:
            log.warning("mind_not_stopped", mind=name, error=kind_of(error))


class MindsSession:
    """One call of the chain."""

    def __init__(self, chain: Sequence[Candidate], patience: Patience) -> None:
        self._seats = [_Seat(mind) for mind in chain]
        self._patience = patience

    async def prepare(self, window: ContextWindow, /) -> None:
        """Let every mind that may be asked read along, side by side."""
        async with asyncio.TaskGroup() as group:
            for seat in self._order(window.end):
                group.create_task(self._prepare(seat, window), name=f"prepare:{seat.name}")

    async def decide(self, window: ContextWindow, /) -> AsyncIterator[Told]:
        """Yield what the first mind that is well decides, and what befell those before it.

        Raises:
            Exception: what the last mind raised, when nobody has said anything.
        """
        time = asyncio.get_running_loop().time
        began = time()
        fault: Exception | None = None
        seats = self._order(window.end)
        for place, seat in enumerate(seats, 1):
            after = seats[place].name if place < len(seats) else ""
            answer: _Answer | None = None
            fault = None
            try:
                answer = _Answer(seat.session().decide(window), self._patience if after else None)
                while (step := await answer.next()) is not None:
                    yield step if isinstance(step, (Alarm, Fell)) else replace(step, mind=seat.name)
            except Exception as error:
                fault = error
            except (GeneratorExit, asyncio.CancelledError):
                if answer is not None and answer.spoken:
                    seat.held()  # somebody cut it off, who had heard it in time
                raise
            finally:
                if answer is not None:
                    await answer.close(seat.name)
            if fault is None and answer is not None and answer.decided:
                seat.held()
                return
            seat.fell(window.end + round((time() - began) * SECOND))
            spoken = answer is not None and answer.spoken
            yield _fall(seat.name, fault, "" if spoken else after)
            if spoken:
                return
        raise fault or RuntimeError("no mind decided anything")

    async def close(self) -> None:
        """Free what the call held, of each mind, whatever another raises."""
        for seat in self._seats:
            try:
                await seat.close()
            except Exception as error:
                log.error("mind_not_closed", mind=seat.name, exc_info=error)

    def _order(self, now: Nanos) -> list[_Seat]:
        """Return who is asked, in order. The last of the chain is never left out: behind it is only the fixed line."""
        seats = [seat for seat in self._seats if seat.there]
        return [seat for seat in seats if seat is seats[-1] or not seat.rests(now)]

    async def _prepare(self, seat: _Seat, window: ContextWindow) -> None:
        try:
            # A preparation that hangs would keep the others from the next.
            async with asyncio.timeout(self._patience.think / SECOND):
                await seat.session().prepare(window)
        except Exception as error:
            if not seat.warned:
                log.warning("mind_not_prepared", mind=seat.name, **told_of(error))
            seat.warned = True
        else:
            seat.warned = False


def _fall(name: str, fault: Exception | None, after: str) -> Fell:
    if fault is None:
        found = Fell(mind=name, why="silent", next=after)
    elif isinstance(fault, _Late):
        found = Fell(mind=name, why=str(fault), next=after)
    else:
        found = Fell(mind=name, why="failed", error=kind_of(fault), next=after)
    told = told_of(fault) if found.error and fault is not None else {}
    log.warning("mind_failed", mind=name, why=found.why, next=after, **told)
    return found
