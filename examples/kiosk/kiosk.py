"""The program around the rules: a screen, a voice, ears for yes and no, calls, and forgetting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import structlog

from agent import build
from agent.clock import Clock, SystemClock
from agent.config import Use
from agent.journal import Event, Note
from agent.onboard import answer as answering
from agent.onboard.devices import Pixels
from agent.onboard.station import Station
from agent.onboard.talk import Screen, hearing, notice, within_reach
from agent.privacy import kept
from examples.kiosk.arrival import Arrival
from examples.kiosk.machine import Begin, End, Erase, Kiosk, Listen, Order, Say, Show, State, Words
from perception.percept import PARTIAL, TRANSCRIPT, Percept
from perception.timebase import SECOND

log = structlog.get_logger(__name__)

VERSION = "kiosk-1"
"""Of the words by which a person is asked."""

_Said = Callable[[float], list[Order]]


def words_of(runtime: build.Runtime, station: Station) -> Words:
    """Return the words of a kiosk whose notice says what is so here: what is perceived, and where words are sent."""
    return Words(notice=" ".join(notice(runtime, station)))


class KioskProgram:
    """One kiosk, for one person after another.

    Args:
        runtime: what is loaded.
        station: the devices; they run already.
        screen: the face and the buttons.
        rules: what happens when.
        clock: of the devices and of the rules.
        echo: how the agent is kept from hearing itself.
        call_clock: makes the clock of a call.

    Attributes:
        talked: how many calls have ended.
    """

    def __init__(
        self,
        runtime: build.Runtime,
        station: Station,
        screen: Screen,
        rules: Kiosk,
        clock: Clock,
        *,
        echo: str = "auto",
        call_clock: Callable[[], Clock] = SystemClock,
    ) -> None:
        self.talked = 0
        self._runtime, self._station, self._screen, self._rules = runtime, station, screen, rules
        self._clock, self._echo, self._call_clock = clock, echo, call_clock
        self._arrival = Arrival()
        self._happened: asyncio.Queue[_Said] = asyncio.Queue()
        self._busy: asyncio.Task[None] | None = None
        self._caller: Any = None
        self._call = ""

    async def run(self, people: int | None = None) -> None:
        """Be a kiosk, until cancelled, or until so many people have talked and been forgotten."""
        self._station.watch = self._see
        try:
            async with asyncio.TaskGroup() as group:
                touches = group.create_task(self._touches(), name="touches")
                self._group = group
                await self._obey(self._rules.start())
                while people is None or self.talked < people or self._rules.state is not State.IDLE:
                    await self._obey((await self._next())(self._now()))
                touches.cancel()
                await self._stop()
        finally:
            self._station.watch = None

    # In.

    def _now(self) -> float:
        return self._clock.now() / SECOND

    async def _next(self) -> _Said:
        """Wait for the next event, or until the rules want to be asked."""
        left = self._rules.due - self._now()
        try:
            async with asyncio.timeout(None if left == float("inf") else max(0.0, left)):
                return await self._happened.get()
        except TimeoutError:
            return self._rules.tick

    def _see(self, pixels: Pixels) -> None:
        match self._arrival.see(pixels, self._now()):
            case "arrived":
                self._happened.put_nowait(self._rules.arrived)
            case "left":
                self._happened.put_nowait(self._rules.left)

    async def _touches(self) -> None:
        while True:
            name = await self._screen.touched.get()
            self._happened.put_nowait(partial(self._rules.touched, name))

    # Out.

    async def _obey(self, orders: list[Order]) -> None:
        for order in orders:
            match order:
                case Show(title, text, buttons, perceives):
                    self._screen.screen(title, text, buttons, perceives=perceives)
                case Say(words):
                    await self._start(self._say(words))
                case Listen(True):
                    await self._start(self._listen())
                case Listen():
                    await self._stop()
                case Begin(voice_only):
                    await self._start(self._talk(voice_only=voice_only))
                case End():
                    if self._caller is not None:
                        self._caller.hang_up("goodbye")
                    await self._finish()
                case Erase():
                    await self._finish()
                    async with self._clock.working("erase"):
                        whole = await asyncio.to_thread(self._erase)
                    self._screen.clear()
                    self._happened.put_nowait(partial(self._rules.erased, whole=whole))

    async def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Only one thing at a time has the microphone and the speaker."""
        await self._stop()
        self._busy = self._group.create_task(self._guarded(work), name="kiosk")

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """One thing that fails must not close the kiosk; the rules wait for nothing for ever."""
        try:
            await work
        except Exception as error:
            log.error("kiosk_failed", exc_info=error)

    async def _stop(self) -> None:
        task, self._busy = self._busy, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _finish(self) -> None:
        """Wait for the call to come to its end."""
        if self._busy is not None:
            await asyncio.wait([self._busy])

    @asynccontextmanager
    async def _open(self, *, hears: bool) -> AsyncIterator[tuple[Any, asyncio.Queue[str]]]:
        """Take the devices without a call: to say something, and, if wanted, to hear yes or no."""
        door: Any = build.door(Use("local", {"station": self._station, "echo": self._echo}))
        opened: asyncio.Queue[tuple[Any, asyncio.Queue[str]]] = asyncio.Queue()
        done = asyncio.Event()

        async def answer(caller: Any) -> None:
            workers = self._runtime.parts.workers if hears else ()
            async with answering.answers(caller, workers, self._clock) as found:
                opened.put_nowait((caller, found))
                await done.wait()

        async with asyncio.TaskGroup() as group:
            group.create_task(door.open(answer), name="devices")
            try:
                yield await opened.get()
            finally:
                done.set()

    async def _say(self, words: str) -> None:
        try:
            async with self._open(hears=False) as (caller, _):
                voice = self._runtime.parts.voice
                caller.on_sound = self._screen.sound
                await answering.speak(caller, voice, self._clock, words)
        except Exception as error:  # the words are on the screen, too
            log.warning("not_said", error=type(error).__name__)
        self._happened.put_nowait(self._rules.said)

    async def _listen(self) -> None:
        async with self._open(hears=True) as (_, found):
            answer = await found.get()
        self._happened.put_nowait(partial(self._rules.heard, answer))

    async def _talk(self, *, voice_only: bool) -> None:
        allowed = within_reach(self._runtime, self._station)
        if voice_only:
            ears = hearing(self._runtime)
            allowed = ears if allowed is None else ears & allowed
        options = {"station": self._station, "echo": self._echo, "consent": "required"}
        door: Any = build.door(Use("local", {**options, "sink": self._tell, "shown": self._screen.show}))

        async def answer(caller: Any) -> None:
            self._caller, self._call = caller, caller.call_id
            caller.on_sound = self._screen.sound
            caller.agree(allowed, version=VERSION, locale="en")
            await self._runtime.answer(caller, self._call_clock())

        try:
            await door.open(answer)
        finally:
            self._caller = None
            self.talked += 1
            self._happened.put_nowait(self._rules.over)

    def _tell(self, event: Event) -> None:
        self._screen.tell(event)
        body = event.body
        if isinstance(body, Percept) and body.kind in (PARTIAL, TRANSCRIPT) and body.label:
            self._happened.put_nowait(self._rules.spoke)
        elif isinstance(body, Note) and body.event == "safety":
            self._happened.put_nowait(self._rules.alarmed)

    def _erase(self) -> bool:
        """Erase what is kept of the call, but for the line that somebody agreed to it; return whether all is gone."""
        config, call = self._runtime.config, self._call
        try:
            if any(one.call == call and (one.journals or one.pages) for one in kept.calls(config)):
                kept.erase(config, call)
        except kept.DataError as error:
            log.error("not_erased", call=call, error=str(error), fix=f"agent data erase {call}")
            return False
        return True
