"""A call with this machine's camera, microphone and speaker: how it begins, what is shown, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from agent import build
from agent.action import Action
from agent.clock import Clock, SystemClock
from agent.config import ConfigError, Use
from agent.journal import Event
from agent.onboard import answer as answering
from agent.onboard.beside import beside
from agent.onboard.station import Station
from agent.onboard.terminal import Terminal
from agent.privacy import deployment
from perception.timebase import SECOND, Nanos

VERSION: Final = "talk-1"
"""Of the words by which the person is asked."""

GOODBYE: Final = "Goodbye. Take good care of yourself."

NOBODY: Final = (
    "nobody can be asked here, as there is no terminal: --consent says that whoever is there has been asked and "
    "agrees, --consent aloud asks by voice"
)

_PATIENCE: Final[Nanos] = 30 * SECOND
_FAREWELL: Final[Nanos] = 8 * SECOND


@dataclass(frozen=True, slots=True)
class Agreed:
    """What the person allows.

    Attributes:
        senses: names of the senses, ``None`` for all.
        recording: whether the words may be written down.
    """

    senses: frozenset[str] | None
    recording: bool = False


def hearing(runtime: build.Runtime) -> frozenset[str]:
    """Return the names of the senses that listen."""
    return runtime.senses.ears


def seeing(runtime: build.Runtime) -> frozenset[str]:
    """Return the names of the senses that look."""
    return runtime.senses.eyes


def within_reach(runtime: build.Runtime, station: Station) -> frozenset[str] | None:
    """Return the names of the senses for which there is a device, ``None`` for all."""
    if station.sound.hears and station.sees:
        return None
    return (hearing(runtime) if station.sound.hears else frozenset()) | (
        seeing(runtime) if station.sees else frozenset()
    )


def notice(runtime: build.Runtime, station: Station) -> list[str]:
    """Return what a person has to know before they agree, in lines."""
    does = []
    if station.sound.hears:
        does.append("listen to you")
    if station.sees:
        does.append("look at you")
    what = " and ".join(does) or "read what you type"
    affect = runtime.config.deployment.affect
    lines = [f"This is an AI. If you allow it, it will {what}" + (", to notice how you are." if affect else ".")]
    if affect:
        lines.append("It can be wrong about that, and it tells nobody.")
    elsewhere = runtime.sends_to()
    lines.append(
        f"What is said in the call is sent to {', '.join(elsewhere)}." if elsewhere else "Everything stays here."
    )
    lines.append("Sound and pictures are forgotten after seconds; you can end it whenever you like.")
    if runtime.config.privacy.notice:
        lines.append(f"More about it: {runtime.config.privacy.notice}")
    return lines


class Screen(Protocol):
    """Something that shows the agent; see :class:`agent.onboard.face.Face`.

    Attributes:
        touched: names of the buttons that were touched.
    """

    touched: asyncio.Queue[str]

    def show(self, action: Action) -> None:
        """Show an action of the call."""
        ...

    def tell(self, event: Event) -> None:
        """Follow the events of the call."""
        ...

    def sound(self, level: float) -> None:
        """Move the mouth with the sound that is played, root mean square 0..1."""
        ...

    def screen(
        self, title: str = "", text: str = "", buttons: Mapping[str, str] | None = None, *, perceives: str = ""
    ) -> None:
        """Show words and buttons, and say what is perceived."""
        ...

    def clear(self) -> None:
        """Forget what was shown of the call."""
        ...


class Talk:
    """One call on board.

    Args:
        runtime: what is loaded.
        station: the devices; they run already.
        terminal: where it is shown and typed.
        clock: of the devices.
        echo: how the agent is kept from hearing itself.
        screen: something that shows the agent: its face on a screen, or a robot's body.
        call_clock: makes the clock of the call.
    """

    def __init__(
        self,
        runtime: build.Runtime,
        station: Station,
        terminal: Terminal,
        clock: Clock,
        *,
        echo: str = "auto",
        screen: Screen | None = None,
        call_clock: Callable[[], Clock] = SystemClock,
    ) -> None:
        self._runtime = runtime
        self._station = station
        self._terminal = terminal
        self._clock = clock
        self._echo = echo
        self._screen = screen
        self._call_clock = call_clock
        self.failed: Exception | None = None
        """What the call was ended by, if not by a person."""

    def door(self, *, given: bool = False) -> Any:
        """Return a new door to the station."""
        options = {"station": self._station, "echo": self._echo, "consent": "given" if given else "required"}
        return build.door(Use("local", {**options, "sink": self._tell, "shown": self._show}))

    async def ask(self) -> Agreed | None:
        """Ask at the terminal; ``None`` if the person does not agree.

        Raises:
            ConfigError: nobody is there to be asked.
        """
        if not self._terminal.asks:
            raise ConfigError(NOBODY)
        for line in notice(self._runtime, self._station):
            self._terminal.say(line)
        both = self._station.sound.hears and self._station.sees
        self._terminal.say("Do you agree? yes / no" + (" / voice (listen, do not look)" if both else ""))
        while True:
            typed = await self._terminal.lines.get()
            said = (typed or "no").lower()
            if said in ("voice", "v") and both:
                return Agreed(hearing(self._runtime), await self._may_record())
            match answering.judge("yes" if said == "y" else "no" if said == "n" else said):
                case answering.YES:
                    return Agreed(within_reach(self._runtime, self._station), await self._may_record())
                case answering.NO:
                    return None
            self._terminal.say("Please type yes or no.")

    async def ask_aloud(self) -> Agreed | None:
        """Ask by voice; ``None`` if the person says no, or nothing that is clear, twice."""
        lines = notice(self._runtime, self._station)
        door = self.door(given=True)
        said = answering.UNCLEAR
        parts = self._runtime.parts

        async def listen(caller: Any) -> None:
            nonlocal said
            for number, words in enumerate(
                (
                    " ".join(lines[:3]) + " Do you agree? Please say yes, or no.",
                    "I did not get that. Please say yes, or no.",
                ),
                1,
            ):
                self._terminal.say(f"{'agent':>6} | {words}")
                async with answering.answers(caller, parts.workers, self._clock) as found:
                    await answering.speak(caller, parts.voice, self._clock, words, reply=number)
                    said = await answering.next_answer(found, _PATIENCE)
                if said:
                    return

        await door.open(listen)
        return Agreed(within_reach(self._runtime, self._station)) if said == answering.YES else None

    async def hold(self, agreed: Agreed) -> None:
        """Hold the call, until the person goes or a file is over."""
        door = self.door()
        self._terminal.say("You can speak now. You may type, too: words, /stop to hush it, /quit to end the call.")

        async def answer(caller: Any) -> None:
            caller.agree(agreed.senses, version=VERSION, locale="en", recording=agreed.recording)
            if self._screen is not None:
                caller.on_sound = self._screen.sound
                self._screen.screen(buttons={"goodbye": "Goodbye"}, perceives=self._perceives(agreed))
            self._terminal.impatient = lambda: caller.hang_up("Ctrl-C")
            works = [self._follow(caller), self._leave(caller)]
            if self._screen is not None:
                works.append(self._touches(self._screen))
            try:
                async with beside(*works):
                    await self._runtime.answer(caller, self._call_clock(), guard=False)
            except Exception as error:
                self.failed = error

        await door.open(answer)
        if self._screen is not None:
            self._screen.clear()
            self._screen.screen("Goodbye.", "")
        self._terminal.say("The call is over.")

    # Inside.

    def _perceives(self, agreed: Agreed) -> str:
        hears = agreed.senses is None or not agreed.senses.isdisjoint(hearing(self._runtime))
        sees = agreed.senses is None or not agreed.senses.isdisjoint(seeing(self._runtime))
        if hears and sees:
            return "I hear and see you"
        return "I hear you" if hears else "I see you" if sees else ""

    async def _may_record(self) -> bool:
        if not deployment.records(self._runtime.config):
            return False
        self._terminal.say("May what is said be written down? yes / no")
        return answering.judge(await self._terminal.lines.get() or "no") == answering.YES

    async def _follow(self, caller: Any) -> None:
        while True:
            match await self._terminal.lines.get():
                case None | "/quit" | "/q":
                    self._terminal.leave.set()
                    return
                case "/stop":
                    caller.hush()
                case str() as words:
                    caller.type(words)

    async def _leave(self, caller: Any) -> None:
        await self._terminal.leave.wait()
        self._terminal.say(f"{'agent':>6} | {GOODBYE}")
        try:
            async with asyncio.timeout(_FAREWELL / SECOND):
                words = [chunk async for chunk in self._runtime.parts.voice.say(GOODBYE, "warm")]
                await caller.part(words)
        except Exception:
            pass  # a voice that fails must not keep anybody who wants to go
        caller.hang_up("left")

    async def _touches(self, screen: Screen) -> None:
        while await screen.touched.get() != "goodbye":
            pass
        self._terminal.leave.set()

    def _show(self, action: Action) -> None:
        self._terminal.show(action)
        if self._screen is not None:
            self._screen.show(action)

    def _tell(self, event: Event) -> None:
        if self._screen is not None:
            self._screen.tell(event)
