"""The same call for programs without asyncio: an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import TimeoutError as Late
from types import TracebackType
from typing import Any, TypeVar

from rapport_client.call import Call
from rapport_client.events import Event, Perceived, State
from rapport_client.sound import Pcm
from rapport_client.speaker import Speaker

T = TypeVar("T")


class SyncCall:
    """One call. A context manager; iterate over it for its events. See :class:`rapport_client.Call` for what each does.

    Its methods may be called from any thread.
    """

    def __init__(self, make: Callable[[], Call]) -> None:
        self._make = make
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rapport", daemon=True)
        self._call: Call | None = None

    def __enter__(self) -> SyncCall:
        self._thread.start()
        try:
            self._run(self._enter())
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.hang_up()
        finally:
            self._close()

    def __iter__(self) -> Iterator[Event]:
        return self.events()

    def events(self, timeout_s: float | None = None) -> Iterator[Event]:
        """Yield what happens, until the call is over, or until nothing has happened for ``timeout_s``."""
        source = self._there.events()

        async def following() -> Event | None:
            async with asyncio.timeout(timeout_s):
                return await anext(source, None)

        while True:
            try:
                event = self._run(following())
            except TimeoutError:
                return
            if event is None:
                return
            yield event

    @property
    def id(self) -> str:
        """Name of the call."""
        return self._there.id

    @property
    def over(self) -> bool:
        """Whether the call has ended."""
        return self._there.over

    @property
    def state(self) -> State | None:
        """The call as the server has it."""
        return self._there.state

    @property
    def speaker(self) -> Speaker:
        """The agent's voice for a loudspeaker."""
        return self._there.speaker

    def hang_up(self) -> None:
        """End the call; may be called twice."""
        if self._call is not None and not self._loop.is_closed():
            self._run(self._call.hang_up())

    def consent(
        self,
        senses: Iterable[str] | None = None,
        *,
        version: str = "rapport-client-1",
        locale: str = "",
        recording: bool = False,
    ) -> None:
        """Say what the person has agreed to be perceived."""
        self._run(self._there.consent(senses, version=version, locale=locale, recording=recording))

    def senses(self, senses: Iterable[str], *, recording: bool | None = None) -> None:
        """Change what may be perceived, in mid-call."""
        self._run(self._there.senses(senses, recording=recording))

    def say(self, text: str) -> None:
        """Send typed words."""
        self._run(self._there.say(text))

    def stop(self) -> None:
        """Tell the agent to be quiet now."""
        self._run(self._there.stop())

    def talk(self, held: bool) -> None:
        """Say that the button of push-to-talk is down, or up again."""
        self._run(self._there.talk(held))

    def mute(self, *, microphone: bool | None = None, camera: bool | None = None) -> None:
        """Say that the microphone or the camera is muted."""
        self._run(self._there.mute(microphone=microphone, camera=camera))

    def announce_affect(self, show: Callable[[Perceived], None]) -> None:
        """Have ``show`` called, in the call's thread, whenever it changes whether people are perceived."""
        self._run(_later(self._there.announce_affect, show))

    def send_audio(self, sound: Pcm, rate_hz: int = 16_000) -> None:
        """Send sound of the microphone; waits while it is ahead of time or cannot be sent."""
        self._run(self._there.send_audio(sound, rate_hz))

    def offer_audio(self, sound: Pcm, rate_hz: int = 16_000) -> None:
        """Send sound without waiting."""
        self._loop.call_soon_threadsafe(self._there.offer_audio, sound, rate_hz)

    def send_jpeg(self, data: bytes, source: str = "camera") -> bool:
        """Send a baseline JPEG file; return whether the one before has been sent."""
        return self._run(_later(self._there.send_jpeg, data, source))

    def send_rgb(self, picture: Any, source: str = "camera") -> bool:
        """Send an array of uint8 of shape ``(h, w, 3)``; return whether the one before has been sent."""
        return self._run(_later(self._there.send_rgb, picture, source))

    @property
    def _there(self) -> Call:
        if self._call is None:
            raise RuntimeError("the call has not begun; use it in a with statement")
        return self._call

    async def _enter(self) -> None:
        call = self._make()
        await call.__aenter__()
        self._call = call

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except (KeyboardInterrupt, Late):
            future.cancel()
            raise

    def _close(self) -> None:
        if not self._loop.is_closed():
            self._run(self._loop.shutdown_asyncgens())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5.0)
            self._loop.close()


async def _later(function: Callable[..., T], *args: Any) -> T:
    return function(*args)
