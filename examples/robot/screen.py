"""What ``agent talk`` shows, on a body: the place where a call and a robot meet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from agent.action import Action, Display
from agent.journal import Event, Note
from agent.onboard.beside import beside
from examples.robot.body import RobotBody
from examples.robot.driver import HZ, Driver


class RobotScreen:
    """A body in place of the face on a screen; fits :class:`agent.onboard.talk.Screen`.

    Args:
        body: the robot.
        moved: called after every step with the time in seconds, to draw or to send it.
    """

    def __init__(self, body: RobotBody, moved: Callable[[float], None] = lambda now: None) -> None:
        self.touched: asyncio.Queue[str] = asyncio.Queue(16)
        self.driver = Driver(body)
        self._body = body
        self._moved = moved

    def show(self, action: Action) -> None:
        """Move as the agent shows."""
        if isinstance(action, Display):
            self.driver.show(action.emotion, action.gesture, action.intensity)

    def tell(self, event: Event) -> None:
        """Follow whether the agent listens, thinks or speaks."""
        if isinstance(event.body, Note) and event.body.event == "state":
            self.driver.state(str(event.body.data.get("state", "")))

    def sound(self, level: float) -> None:
        """Move the mouth."""
        self.driver.sound(level)

    def screen(
        self, title: str = "", text: str = "", buttons: Mapping[str, str] | None = None, *, perceives: str = ""
    ) -> None:
        """Light the lamps that say what is perceived; a robot has no place for words."""
        self._body.perceives("hear" in perceives, "see" in perceives)

    def clear(self) -> None:
        """Come to rest."""
        self.driver.show("neutral")
        self.driver.state("")

    @asynccontextmanager
    async def moving(self) -> AsyncIterator[RobotScreen]:
        """Move the body thirty times a second, as long as the context is open."""
        try:
            async with beside(self._move()):
                yield self
        finally:
            self._body.perceives(False, False)

    async def _move(self) -> None:
        began = time.monotonic()
        while True:
            now = time.monotonic() - began
            self.driver.step(now)
            self._moved(now)
            await asyncio.sleep(1 / HZ)
