"""A loudspeaker on the call's clock: plays 20 ms every 20 ms, for transports without a device behind them.

There is no task: whenever the player is asked something, it first plays what was due since it was asked
last. So it costs nothing while nobody looks, and under a virtual clock it is exact.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from agent.action import Action, HoldAudio, PlayAudio, StopAudio
from agent.clock import Clock
from agent.playout import RATE_HZ, Playout
from perception.media import AudioChunk
from perception.timebase import MS, Nanos, to_ticks

FRAME: Nanos = 20 * MS
AHEAD: Nanos = 200 * MS
"""Most sound that may be unplayed before :meth:`Player.carry_out` waits."""

_FRAME_SAMPLES = to_ticks(FRAME, RATE_HZ)
_SLACK: Nanos = 1000 * MS
"""Room for what a resampler gives out in bursts; the waiting is done here, frame by frame, not in the queue."""

Heard = Callable[[NDArray[np.float32]], None]


class Player:
    """Plays what is sent, at the pace of a clock. Belongs to one event loop.

    Args:
        heard: takes every 20 ms that were played, silence too: float32 of shape ``(480,)`` at 24 kHz.
    """

    def __init__(self, heard: Heard | None = None) -> None:
        self._playout = Playout(RATE_HZ, AHEAD + _SLACK)
        self._playout.on_first = self._began
        self._heard = heard
        self._clock: Clock | None = None
        self._started = asyncio.Event()
        self._origin: Nanos = 0
        self._frames = 0
        self._first: dict[int, Nanos] = {}

    def start(self, clock: Clock) -> None:
        """Begin to play, now."""
        self._clock = clock
        self._origin = clock.now()
        self._started.set()

    async def carry_out(self, action: Action) -> None:
        """Play, stop, hold or go on; other actions are none of a loudspeaker's.

        ``PlayAudio`` returns when all of it is played or within the next 200 ms, or its reply is stopped.
        """
        await self._started.wait()
        match action:
            case PlayAudio(chunk, reply):
                await self._play(chunk, reply)
            case StopAudio(reply):
                self._catch_up()
                self._playout.stop(reply)
            case HoldAudio(held, reply):
                self._catch_up()
                self._playout.hold(held, reply)
            case _:
                pass

    def played(self, reply: int) -> Nanos:
        """How much of ``reply`` has been played."""
        self._catch_up()
        return self._playout.played(reply)

    def first_out(self, reply: int) -> Nanos | None:
        """When the first sound of ``reply`` was played; ``None`` before."""
        self._catch_up()
        return self._first.get(reply)

    def finish(self) -> None:
        """Play what is due; for the last time."""
        self._catch_up()

    @property
    def ahead(self) -> Nanos:
        """How much sound is unplayed."""
        self._catch_up()
        return self._playout.ahead

    async def _play(self, chunk: AudioChunk, reply: int) -> None:
        assert self._clock is not None
        step = max(1, to_ticks(FRAME, chunk.rate_hz))
        for begin in range(0, len(chunk.samples), step):
            while self.ahead + FRAME > AHEAD:
                await self._clock.sleep_until(self._due())
            piece = AudioChunk(chunk.samples[begin : begin + step], chunk.start, chunk.rate_hz)
            await self._playout.put(piece, reply)

    def _due(self) -> Nanos:
        return self._origin + (self._frames + 1) * FRAME

    def _catch_up(self) -> None:
        """Play every frame whose time has come: frame ``n`` leaves at ``n`` times 20 ms after the start."""
        if self._clock is None:
            return
        now = self._clock.now()
        while self._due() <= now:
            self._frames += 1
            frame = self._playout.take(_FRAME_SAMPLES)
            if self._heard is not None:
                self._heard(np.zeros(_FRAME_SAMPLES, np.float32) if frame is None else frame)

    def _began(self, reply: int) -> None:
        self._first[reply] = self._origin + self._frames * FRAME
