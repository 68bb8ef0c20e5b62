"""One WebSocket of a call: frames in and out, messages as over a data channel, and no more in memory than a second."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from agent import wire
from agent.clock import Clock
from agent.frames import Frame, FrameError, Kind, unpack
from agent.offload import Thread
from agent.playout import Playout
from agent.sockets import Pipe
from agent.transports import _picture
from agent.transports._bucket import Bucket
from agent.transports._heard import Order, raised
from agent.transports._link import Link
from agent.transports._opus import FRAME
from agent.transports._reorder import Packet
from agent.transports._sounding import Mouthpiece, Sounding
from perception.media import VideoFrame
from perception.timebase import MS, Nanos

log = structlog.get_logger(__name__)

UNREAD_S: Final = 5.0
"""So long one message may wait for a client that does not read."""

CLOSED: Final = 1000
NOT_READING: Final = 4408
FAULTY: Final = 4400

_LATE: Final[Nanos] = 200 * MS
_MOST_SOUND: Final = 10
"""Frames of sound that wait for a client; what is beyond stays in the playout."""

_FULL: Final = 128 * 1024
_GOODBYE_S: Final = 1.0
_FAULTS_PER_S: Final = 1.0
_MOST_FAULTS: Final = 50
_TOLD_PER_S: Final = 2.0


class Socket:
    """One connection; fits :class:`agent.transports._link.Connection` and, for messages, its ``Channel``.

    Args:
        link: the call it belongs to.
        pipe: carries its messages.
        playout: what the agent says.
        clock: paces the sound that goes out.
        grants: what the caller may do.
        sounding: how the client wants to hear.
        answered: called once the client has sent a text message, and so has had the greeting.
    """

    def __init__(
        self,
        link: Link,
        pipe: Pipe,
        playout: Playout,
        clock: Clock,
        *,
        grants: frozenset[str],
        sounding: Sounding,
        answered: Callable[[], None] = lambda: None,
    ) -> None:
        now = clock.now()
        self.refused = 0
        self._link = link
        self._pipe = pipe
        self._playout = playout
        self._clock = clock
        self._grants = grants
        self._mouthpiece = Mouthpiece(sounding, playout.rate_hz)
        self._answered = answered
        self._order = Order(now)
        self._faults = Bucket(_FAULTS_PER_S, _MOST_FAULTS, now)
        self._told = Bucket(_TOLD_PER_S, 4 * _TOLD_PER_S, now)
        self._waiting: deque[str | bytes] = deque()
        self._texts = 0
        self._sounds = 0
        self._flush: Callable[[], None] = lambda: None
        self._news = asyncio.Event()
        self._sent = asyncio.Event()
        self._ended = asyncio.Event()
        self._closing: asyncio.Future[None] | None = None
        self._running = False
        self._deaf = False
        self._code, self._reason = CLOSED, ""
        self._last: str | None = None
        self._packets = 0
        self._picture: tuple[Frame, Nanos] | None = None
        self._shot = asyncio.Event()
        self._replaced = 0
        self._thread: Thread | None = None

    # What a call asks of a connection.

    @property
    def connected(self) -> bool:
        """Whether media can flow."""
        return self._running and not self.over

    @property
    def over(self) -> bool:
        """Whether it has failed or been closed; it never comes back."""
        return self._ended.is_set() or self._closing is not None

    def flush(self) -> None:
        """Nothing is ever kept back: TCP keeps the order."""

    def counts(self) -> dict[str, int]:
        """Return what was lost since the connection began."""
        return {"frames_refused_count": self.refused, "video_dropped_count": self._replaced}

    def say_goodbye(self, text: str) -> None:
        """Send a last message."""
        if not self.over:
            self.send(text)

    def close_channels(self) -> None:
        """Take no more messages; with them sound and pictures end, too."""
        self._deaf = True
        self._end(FAULTY, "too many messages that were not read")

    async def close(self) -> None:
        """Send what waits, say goodbye, and end; within some seconds."""
        if self._closing is not None:
            await asyncio.shield(self._closing)
            return
        self._closing = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(_GOODBYE_S):
                while self._waiting and not self._ended.is_set():
                    self._sent.clear()
                    await self._sent.wait()
        except TimeoutError:
            pass
        finally:
            self._ended.set()
            self._closing.set_result(None)

    # What messages ask of a channel.

    @property
    def ready(self) -> bool:
        """Whether it takes a message now."""
        return not self.over and self._texts <= _FULL

    def send(self, text: str) -> None:
        """Send a message; never blocks."""
        if self.over:
            raise ConnectionError("the connection is over")
        self._texts += len(text)
        self._put(text)

    def when_ready(self, flush: Callable[[], None]) -> None:
        """Have ``flush`` called when it takes messages again."""
        self._flush = flush

    # Its life.

    async def run(self) -> None:
        """Carry media and messages until the connection is over."""
        self._running = True
        self._link.changed(self)
        self._link.opened(self, self)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(work(), name=f"socket:{work.__name__.strip('_')}")
                    for work in (self._read, self._write, self._pace, self._look)
                ]
                await self._ended.wait()
                for task in tasks:
                    task.cancel()
        finally:
            self._ended.set()
            self._link.changed(self)
            if self._thread is not None:
                self._thread.close()
            try:
                async with asyncio.timeout(_GOODBYE_S):
                    if self._last is not None:
                        await self._pipe.send(self._last)
                    await self._pipe.close(self._code, self._reason)
            except (TimeoutError, ConnectionError):
                pass

    def _end(self, code: int, reason: str, last: str | None = None) -> None:
        """End the connection, once, with a WebSocket's code and reason, and with a ``last`` message before that."""
        if not self._ended.is_set():
            self._code, self._reason, self._last = code, reason, last
            self._ended.set()

    async def _read(self) -> None:
        try:
            while (message := await self._pipe.receive()) is not None and not self._ended.is_set():
                if isinstance(message, str):
                    self._answered()
                    if not self._deaf:
                        self._link.said(self, message)
                else:
                    self._take(message)
        except ConnectionError:
            pass
        self._end(CLOSED, "")

    async def _write(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                data = self._waiting[0]
                try:
                    async with asyncio.timeout(UNREAD_S):
                        await self._pipe.send(data)
                except TimeoutError:
                    log.warning("client_not_reading", after_s=UNREAD_S)
                    self._end(NOT_READING, "client_not_reading")
                    return
                except ConnectionError:
                    self._end(CLOSED, "")
                    return
                self._waiting.popleft()
                if isinstance(data, str):
                    self._texts -= len(data)
                    if self._texts <= _FULL // 2:
                        self._flush()
                else:
                    self._sounds -= 1
                self._sent.set()

    def _put(self, data: str | bytes) -> None:
        self._waiting.append(data)
        self._news.set()

    async def _pace(self) -> None:
        """Take 20 ms of sound from the playout every 20 ms, for as long as they go out."""
        clock, start, sent = self._clock, self._clock.now(), 0
        while True:
            now = clock.now()
            due = start + sent * FRAME
            if now - due > _LATE:
                start += now - due
            elif now < due:
                await clock.sleep_until(due)
            if self._sounds < _MOST_SOUND:
                samples = self._playout.take(self._mouthpiece.samples)
                frame = self._mouthpiece.frame(samples, sent * FRAME // 1000, self._link.reply)
                if frame is not None:
                    self._sounds += 1
                    self._put(frame)
            sent += 1

    # Frames of the client.

    def _take(self, message: bytes) -> None:
        try:
            frame = unpack(message)
            self._order.count(frame, self._clock.now())
            if ("audio" if frame.kind.sound else "video") not in self._grants:
                what = "sound is" if frame.kind.sound else "pictures are"
                raise FrameError("not_granted", f"{what} not granted by the token of this call")
            if frame.kind.sound:
                self._hear(frame)
            else:
                self._see(frame)
        except FrameError as error:
            self._refuse(error)

    def _hear(self, frame: Frame) -> None:
        ticks = self._order.ticks(frame)
        if frame.kind is Kind.PCM16:
            self._link.listened(self, raised(frame), ticks)
        else:
            self._packets += 1
            self._link.heard(self, Packet(bytes(frame.payload), ticks, self._packets & 0xFFFF))

    def _see(self, frame: Frame) -> None:
        if frame.kind is Kind.JPEG:
            _picture.size_of_jpeg(frame.payload)
        at = self._link.glimpsed(self, self._order.picture(frame), frame.source)
        if at is not None:
            self._replaced += self._picture is not None
            self._picture = frame, at
            self._shot.set()

    async def _look(self) -> None:
        """Decode the latest picture, off the loop."""
        while True:
            await self._shot.wait()
            self._shot.clear()
            found, self._picture = self._picture, None
            if found is None:
                continue
            frame, at = found
            if self._thread is None:
                self._thread = Thread("pictures", nice=5)
            try:
                pixels = await self._thread.run(_picture.decode, frame.kind, frame.payload)
            except FrameError as error:
                self._refuse(error)
            else:
                self._link.shown(self, VideoFrame(pixels, at=at, source=frame.source))

    def _refuse(self, error: FrameError) -> None:
        """Tell the client, a few times a second; and end the connection if that changes nothing."""
        self.refused += 1
        now = self._clock.now()
        if not self._faults.take(1, now):
            log.warning("frames_refused", error=error.name, frames=self.refused)
            self._end(FAULTY, error.name, wire.fatal(f"{error.name}: {error}").text())
            self._link.abused(self, error.name)
        elif not self.over and self._told.take(1, now):
            self.send(refusal(error).text())


def refusal(error: FrameError) -> wire.Outbound:
    """Return what a client is told of a frame that was not taken."""
    return wire.Outbound(type="error-response", id="", data={"error": str(error), "name": error.name})
