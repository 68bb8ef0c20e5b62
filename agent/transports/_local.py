"""Whoever stands before this machine, as a caller."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Final

import numpy as np
import soxr
import structlog

from agent.action import Action, HoldAudio, PlayAudio, StopAudio
from agent.clock import Clock
from agent.journal import Event, Sink
from agent.onboard import echo as echoes
from agent.onboard.devices import Pixels, Samples
from agent.onboard.station import Station
from agent.playout import Playout
from agent.privacy.agreement import APPLICATION, PERSON, Agreement
from agent.transports import Feed, Hangup, Signal
from agent.transports._inbound import WIRE_HZ, Anchor, Decimator
from perception.media import RATE_HZ, AudioChunk, Text, VideoFrame
from perception.timebase import SECOND, Nanos

log = structlog.get_logger(__name__)

_REMEMBERED: Final = 256
_LONGEST_TEXT: Final = 4000
_LAST: Final = 1 << 31
"""The number of the reply that takes leave; later than any other."""


class LocalCaller:
    """Whoever stands before this machine; implements :class:`agent.transports.Transport`.

    Args:
        station: the devices.
        echo: how the agent is kept from hearing itself.
        given: whether consent was given before.
        sink: is told every event.
        shown: is told every action.

    Attributes:
        on_sound: is told the root mean square of every block that is played, 0..1; moves a mouth.
    """

    def __init__(
        self,
        station: Station,
        echo: str = echoes.AUTO,
        *,
        given: bool = False,
        sink: Sink | None = None,
        shown: Callable[[Action], None] | None = None,
    ) -> None:
        self.on_sound: Callable[[float], None] | None = None
        self._call_id = secrets.token_hex(8)
        self._station = station
        self._senses: frozenset[str] | None = None if given else frozenset()
        self._agreement = Agreement(by=APPLICATION) if given else None
        self._sink = sink
        self._shown = shown
        self._clock: Clock | None = None
        self._feed: Feed | None = None
        self._firsts: dict[int, Nanos] = {}
        self._leaving = False
        self._begun = asyncio.Event()
        self._over = asyncio.Event()
        self._why = ""
        self._quiet = True
        device = station.sound
        self._playout = Playout(device.rate_hz)
        self._playout.on_first = self._first
        self._echo = echoes.make(echo, device.delay_s)
        self._near, self._far = _down(device.rate_hz), _down(device.rate_hz)
        self._anchor = Anchor(RATE_HZ)
        self._ticks = 0

    # What the person, or who speaks for them, does.

    def agree(
        self, senses: frozenset[str] | None, *, version: str = "", locale: str = "", recording: bool = False
    ) -> None:
        """The person has been asked, and allows ``senses`` (``None``: all); again whenever they change their mind."""
        self._agreement = Agreement(version, locale, recording, PERSON)
        self._senses = senses
        self._hand(Signal("senses"))

    def type(self, words: str) -> None:
        """The person types something."""
        if words.strip() and self._clock is not None:
            self._hand(Text(words.strip()[:_LONGEST_TEXT], at=self._clock.now()))

    def hush(self) -> None:
        """The person wants the agent to be quiet now."""
        self._hand(Signal("stop"))

    def hang_up(self, why: str) -> None:
        """End the call, once."""
        if not self._over.is_set():
            self._why = why
            self._over.set()

    async def part(self, words: list[AudioChunk]) -> None:
        """Say ``words`` in place of whatever the agent is saying, and hang up.

        Args:
            words: sound, as a voice makes it.
        """
        self._leaving = True
        self._hand(Signal("stop"))
        for reply in list(self._firsts):
            await self.send(StopAudio(reply))
        for chunk in words:
            await self._playout.put(chunk, _LAST)
        await self._playout.wait_idle()
        self.hang_up("goodbye")

    async def begun(self) -> Clock:
        """Wait until the call has begun, and return its clock."""
        await self._begun.wait()
        assert self._clock is not None
        return self._clock

    # The contract of a transport.

    @property
    def call_id(self) -> str:
        """A random name for the call, in logs and in the journal."""
        return self._call_id

    @property
    def senses(self) -> frozenset[str] | None:
        """Names of the workers that the person allows; none before they have said so."""
        return self._senses

    @property
    def agreement(self) -> Agreement | None:
        """What the person agreed to beside the senses; ``None`` before that."""
        return self._agreement

    async def receive(self, feed: Feed, clock: Clock) -> None:
        """Feed what the devices give, until a file is over or somebody hangs up.

        Raises:
            Hangup: somebody hung up.
        """
        self._feed, self._clock = feed, clock
        self._begun.set()
        self._station.attach(self)
        try:
            await self._over.wait()
        finally:
            self._feed = None
        if self._why:
            raise Hangup(self._why)

    async def send(self, action: Action) -> None:
        """Carry out an action; ``PlayAudio`` waits while more than 200 ms is unplayed."""
        match action:
            case PlayAudio(chunk, reply) if not self._leaving:
                await self._playout.put(chunk, reply)
            case StopAudio(reply):
                self._playout.stop(reply)
            case HoldAudio(held, reply):
                self._playout.hold(held, reply)
            case _:
                pass
        if self._shown is not None:
            self._shown(action)

    def played(self, reply: int) -> Nanos:
        """How much sound of ``reply`` was handed to the speaker."""
        return self._playout.played(reply)

    def first_out(self, reply: int) -> Nanos | None:
        """When the first sound of ``reply`` was handed to the speaker."""
        return self._firsts.get(reply)

    def tell(self, event: Event) -> None:
        """Pass the event on."""
        if self._sink is not None:
            self._sink(event)

    async def close(self) -> None:
        """Leave the devices; may be called twice."""
        self.hang_up("closed")
        self._playout.close()
        self._station.attach(None)

    # What the station asks.

    def hear(self, near: Samples, far: Samples) -> None:
        """Clean a block of its echo, stamp it, and feed it."""
        heard = self._echo.clean(self._near(near), self._far(far))
        if self._clock is None or not len(heard):
            return
        start = self._anchor.place(self._ticks, len(heard), self._clock.now())
        self._ticks += len(heard)
        if self._anchor.moved:
            log.info("sound_moved", call=self._call_id, moved_s=round(self._anchor.moved / SECOND, 3))
        if self._feed is not None and self._senses != frozenset():
            self._feed(AudioChunk(heard, start))

    def next(self, count: int) -> Samples:
        """Return what is to be played next."""
        found = self._playout.take(count)
        if self.on_sound is not None and (found is not None or not self._quiet):
            self.on_sound(float(np.sqrt(np.mean(np.square(found)))) if found is not None else 0.0)
        self._quiet = found is None
        return found if found is not None else np.zeros(count, np.float32)

    def see(self, pixels: Pixels) -> None:
        """Stamp a picture and feed it."""
        if self._clock is not None and self._senses != frozenset():
            self._hand(VideoFrame(pixels, self._clock.now()))

    def over(self) -> None:
        """The file that stood for the microphone is over."""
        self._over.set()

    # Inside.

    def _hand(self, found: VideoFrame | Text | Signal) -> None:
        if self._feed is not None:
            self._feed(found)

    def _first(self, reply: int) -> None:
        if self._clock is not None:
            self._firsts[reply] = self._clock.now()
            while len(self._firsts) > _REMEMBERED:
                del self._firsts[next(iter(self._firsts))]


def _down(rate_hz: int) -> Callable[[Samples], Samples]:
    """Return what takes a stream down to 16 kHz."""
    if rate_hz == WIRE_HZ:
        return Decimator().feed
    stream = soxr.ResampleStream(rate_hz, RATE_HZ, 1, dtype="float32", quality="MQ")
    return lambda samples: np.asarray(stream.resample_chunk(samples), np.float32)
