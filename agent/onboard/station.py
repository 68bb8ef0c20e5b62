"""The devices of one place, and whoever listens to them now: a call, something that waits for a word, or nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import numpy as np
import structlog

from agent.clock import Clock
from agent.onboard.beside import beside
from agent.onboard.devices import Camera, DeviceError, Line, Pixels, Samples, See, SoundDevice

log = structlog.get_logger(__name__)


class Listener(Line, Protocol):
    """Somebody who hears, sees and speaks here."""

    def see(self, pixels: Pixels) -> None:
        """Take a picture, uint8 RGB of shape ``(h, w, 3)``."""
        ...


class Station:
    """Runs the devices, and passes on what comes in. While nobody listens it is thrown away.

    Args:
        sound: microphone and speaker.
        camera: ``None`` for none.

    Attributes:
        sound: microphone and speaker.
        sees: whether there is a camera.
        watch: sees every picture, also while nobody listens.
        broken: why the sound device cannot be used any more; empty while it can.
    """

    def __init__(self, sound: SoundDevice, camera: Camera | None = None) -> None:
        self.sound = sound
        self.sees = camera is not None
        self.watch: See | None = None
        self.broken = ""
        self._camera = camera
        self._listener: Listener | None = None
        self._ended = False

    @asynccontextmanager
    async def running(self, clock: Clock) -> AsyncIterator[Station]:
        """Let the devices run as long as the context is open."""
        works = [self._hear(clock)]
        if self._camera is not None:
            works.append(self._camera.run(self._see, clock))
        async with beside(*works):
            yield self

    def attach(self, listener: Listener | None) -> None:
        """Hand everything to ``listener`` from now on; ``None``: to nobody."""
        self._listener = listener
        if listener is not None and (self._ended or self.broken):
            listener.over()

    def close(self) -> None:
        """Let go of the devices."""
        self.sound.close()
        if self._camera is not None:
            self._camera.close()

    # What the sound device asks.

    def hear(self, near: Samples, far: Samples) -> None:
        """Pass a block on."""
        if self._listener is not None:
            self._listener.hear(near, far)

    def next(self, count: int) -> Samples:
        """Ask for what is to be played."""
        return self._listener.next(count) if self._listener is not None else np.zeros(count, np.float32)

    def over(self) -> None:
        """Pass on that the microphone's file is over."""
        self._ended = True
        if self._listener is not None:
            self._listener.over()

    # Inside.

    async def _hear(self, clock: Clock) -> None:
        try:
            await self.sound.run(self, clock)
        except DeviceError as error:
            log.error("sound_device_failed", error=str(error))
            self.broken = str(error)
            self.over()

    def _see(self, pixels: Pixels) -> None:
        if self.watch is not None:
            self.watch(pixels)
        if self._listener is not None:
            self._listener.see(pixels)
