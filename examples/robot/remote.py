"""A body at a server: the same motions where the agent runs on another machine, with the package rapport-client.

The robot's own program sends its microphone and its camera (``call.offer_audio``, ``call.send_jpeg``) and plays
``call.speaker``; here is what moves the body.
"""

from __future__ import annotations

from typing import Any, Final

from examples.robot.body import RobotBody
from examples.robot.driver import Driver

HEARING: Final = frozenset({"vad", "asr", "prosody", "turn"})
"""Senses that hear; the others see."""


async def follow(call: Any, body: RobotBody, driver: Driver) -> None:
    """Move a body with the events of a call, until it is over.

    Args:
        call: an open call, ``async with Rapport.connect(url) as call``.
        body: whose lamps say what is perceived.
        driver: moves it; whoever runs the program steps it thirty times a second.
    """
    from rapport_client import Display, Note, Voice

    call.announce_affect(lambda seen: body.perceives(bool(seen.senses & HEARING), bool(seen.senses - HEARING)))
    async for event in call:
        match event:
            case Display():
                driver.show(event.emotion, event.gesture, event.intensity)
            case Voice():
                driver.state("speaking" if event.state in ("started", "resumed") else "listening")
            case Note(event="state"):
                driver.state(str(getattr(event, "state", "")))
