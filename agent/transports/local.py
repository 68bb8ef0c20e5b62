"""The machine itself as the way in: its microphone, camera and speaker, no browser, no network.

For kiosks and robots that run everything on board. Devices are those of this machine, or files in their place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from agent.action import Action
from agent.journal import Sink
from agent.onboard import echo as echoes
from agent.onboard.beside import beside
from agent.onboard.devices import NONE, Camera, SoundDevice
from agent.onboard.station import Station
from agent.transports import Answer
from agent.transports._local import LocalCaller
from perception.timebase import seconds

_SOUNDS: Final = frozenset([".wav", ".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac"])
_CLIPS: Final = frozenset([".mp4", ".mkv", ".webm", ".avi", ".mov", ".mjpeg", ".mjpg"])


def load(
    *,
    microphone: str = "",
    camera: str = "",
    speaker: str = "",
    echo: str = echoes.AUTO,
    consent: str = "given",
    most_video_hz: float = 15.0,
    tail_s: float = 3.0,
    station: Station | None = None,
    sink: Sink | None = None,
    shown: Callable[[Action], None] | None = None,
) -> LocalDoor:
    """Return the door through which whoever stands before this machine comes in.

    Args:
        microphone: number, name or part of the name of a microphone; empty for the usual one, ``none`` for none; or a
            file, which is heard once.
        camera: the same of a camera; a file is seen over and over.
        speaker: the same of a speaker; a WAV file is written.
        echo: ``auto``, ``cancel``, ``half-duplex`` or ``off``; see :mod:`agent.onboard.echo`.
        consent: ``given``: the embedding application has asked the person; ``required``: nothing is perceived before
            :meth:`agent.transports._local.LocalCaller.agree`.
        most_video_hz: pictures per second at most.
        tail_s: silence after the end of a file before the call ends.
        station: devices that run already, in place of all of the above.
        sink: is told every event of the call.
        shown: is told every action: captions, looks, help, and sound.

    Raises:
        DeviceError: a device is not there, cannot be opened, or needs a package that is not installed.
        ValueError: ``consent`` is neither of its two values.
    """
    if consent not in ("given", "required"):
        raise ValueError(f"consent is {consent!r}, expected 'given' or 'required'")
    own = station is None
    if station is None:
        station = devices(microphone, camera, speaker, most_video_hz=most_video_hz, tail_s=tail_s)
    try:
        echoes.make(echo)
    except Exception:
        if own:
            station.close()
        raise
    return LocalDoor(station, echo, given=consent == "given", own=own, sink=sink, shown=shown)


def devices(
    microphone: str = "", camera: str = "", speaker: str = "", *, most_video_hz: float = 15.0, tail_s: float = 3.0
) -> Station:
    """Open the devices; see :func:`load`.

    Raises:
        DeviceError: one is not there, or cannot be opened.
    """
    eye: Camera | None = None
    if camera != NONE:
        eye = _camera(camera, most_video_hz)
    try:
        return Station(_sound(microphone, speaker, tail_s), eye)
    except Exception:
        if eye is not None:
            eye.close()
        raise


def _camera(name: str, most_hz: float) -> Camera:
    if _is_file(name):
        from agent.onboard.files import FileCamera

        return FileCamera(Path(name), most_hz)
    from agent.onboard.devices import choose
    from agent.onboard.lens import Lens, cameras

    found = choose("camera", name, cameras())
    return Lens(found.index, found.name, most_hz=most_hz)


def _sound(microphone: str, speaker: str, tail_s: float) -> SoundDevice:
    files = [_is_file(microphone), _is_file(speaker)]
    if not any(files):
        from agent.onboard.card import Card

        return Card(microphone, speaker)
    from agent.onboard.devices import DeviceError
    from agent.onboard.files import FileSound

    for name, is_file, option in ((microphone, files[0], "--mic"), (speaker, files[1], "--speaker")):
        if not is_file and name != NONE:
            raise DeviceError(
                f"{option} {name or '(the usual one)'}: a file and a device do not go together, as they have no common "
                f"clock; name a file for both, or {option} none"
            )
    return FileSound(Path(microphone) if files[0] else None, Path(speaker) if files[1] else None, tail=seconds(tail_s))


def _is_file(name: str) -> bool:
    """Whether a name is that of a file: it is there, or ends as recordings do."""
    return Path(name).suffix.lower() in _SOUNDS | _CLIPS or (name != "" and Path(name).is_file())


class LocalDoor:
    """Lets in whoever is there; see :func:`load`.

    Attributes:
        caller: who is on the call, from :meth:`open` on.
    """

    def __init__(
        self,
        station: Station,
        echo: str,
        *,
        given: bool,
        own: bool,
        sink: Sink | None,
        shown: Callable[[Action], None] | None,
    ) -> None:
        self.station = station
        self.caller: LocalCaller | None = None
        self._make = partial(LocalCaller, station, echo, given=given, sink=sink, shown=shown)
        self._own = own

    async def open(self, answer: Answer) -> None:
        """Answer one call, and return when it is over."""
        caller = self.caller = self._make()
        try:
            async with beside(*([self._run(caller)] if self._own else [])):
                await self._answer(answer, caller)
        finally:
            if self._own:
                self.station.close()

    async def _run(self, caller: LocalCaller) -> None:
        clock = await caller.begun()
        async with self.station.running(clock):
            await asyncio.Event().wait()

    async def _answer(self, answer: Answer, caller: LocalCaller) -> None:
        try:
            await answer(caller)
        finally:
            await caller.close()
