"""``agent talk`` on the command line: which devices, who is asked and how, and what is shown."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from typing import Any

from agent import build, config
from agent.clock import SystemClock
from agent.config import Config, ConfigError, Use
from agent.onboard.devices import DeviceError, Found
from agent.onboard.echo import HALF_DUPLEX
from agent.onboard.face import Face, browser
from agent.onboard.station import Station
from agent.onboard.talk import NOBODY, Agreed, Screen, Talk, within_reach
from agent.onboard.terminal import Terminal, keyboard
from agent.privacy import retention
from agent.privacy.kept import check_ledger

UNHEARD = "All right. Nothing was seen or heard. Goodbye."
GIVEN, ALOUD = "given", "aloud"


def add(commands: Any, config_option: Callable[[argparse.ArgumentParser], None], run: Callable[..., int]) -> None:
    """Add ``agent talk`` to the command line."""
    talk = commands.add_parser(
        "talk",
        help="a call with this machine's camera, microphone and speaker",
        description="A call with this machine's camera, microphone and speaker; no browser, no server.",
    )
    config_option(talk)
    device = "number, name or part of the name; a file; or none (default: the usual one)"
    talk.add_argument("--mic", metavar="DEVICE", help=f"the microphone: {device}")
    talk.add_argument("--camera", metavar="DEVICE", help="the camera, likewise")
    talk.add_argument("--speaker", metavar="DEVICE", help="the speaker, likewise; a WAV file is written")
    talk.add_argument(
        "--half-duplex",
        action="store_true",
        help="listen only while the agent does not speak, instead of cancelling echo",
    )
    talk.add_argument(
        "--face",
        nargs="?",
        const="browser",
        choices=("browser", "address"),
        help="the agent's face over the whole screen, in a browser; or print only its address",
    )
    talk.add_argument(
        "--consent",
        nargs="?",
        const=GIVEN,
        choices=(GIVEN, ALOUD),
        help="the person has been asked already and agrees; or ask aloud (default: ask at the terminal)",
    )
    talk.add_argument("--list-devices", action="store_true", help="list the devices of this machine, and nothing else")
    talk.set_defaults(run=run)


def command(options: argparse.Namespace, write: Callable[[str], None]) -> int:
    """Carry out ``agent talk``.

    Raises:
        ConfigError: the configuration or an option cannot be used, or a device cannot.
        agent.media_file.MediaError: a file in place of a device cannot be read.
    """
    if options.list_devices:
        for line in listed():
            write(line)
        return 0
    echo = HALF_DUPLEX if options.half_duplex else None
    loaded = with_devices(config.load(options.config), options, echo=echo)
    terminal = Terminal(write, keyboard())
    screen = _face(terminal, options.face == "browser") if options.face else None
    return run(loaded, terminal, consent=options.consent, screen=screen)


def with_devices(loaded: Config, options: argparse.Namespace, *, echo: str | None = None) -> Config:
    """Return the configuration with what the command line names in place of its own: devices, and ``echo``."""
    named = {"microphone": options.mic, "camera": options.camera, "speaker": options.speaker, "echo": echo}
    local = dataclasses.replace(loaded.local, **{k: v for k, v in named.items() if v is not None})
    return dataclasses.replace(loaded, local=local)


def run(
    loaded: Config,
    terminal: Terminal,
    *,
    consent: str | None = None,
    screen: AbstractAsyncContextManager[Screen] | None = None,
) -> int:
    """Hold one call with the devices that the configuration names; return the exit code.

    Args:
        loaded: the configuration.
        terminal: where it is shown and typed.
        consent: ``given`` if whoever is there has been asked and agrees; ``aloud`` to ask by voice; or at the terminal.
        screen: opens something that shows the agent.

    Raises:
        ConfigError: a device cannot be used, or nobody is there to be asked.
        agent.media_file.MediaError: a file in place of a device cannot be read.
    """
    try:
        return asyncio.run(_run(loaded, terminal, consent, screen))
    except DeviceError as error:
        raise ConfigError(str(error)) from error


async def _run(
    loaded: Config, terminal: Terminal, consent: str | None, screen: AbstractAsyncContextManager[Screen] | None
) -> int:
    check_ledger(loaded)
    if consent is None and not terminal.asks:
        raise ConfigError(NOBODY)
    clock = SystemClock()
    station = open_station(loaded)  # a device that is not there is told before anything heavy is loaded
    async with AsyncExitStack() as stack:
        stack.callback(station.close)
        stack.enter_context(retention.keeping(loaded))
        terminal.say("Loading ...")
        runtime = stack.enter_context(await asyncio.to_thread(build.runtime, loaded))
        shown = await stack.enter_async_context(screen) if screen is not None else None
        stack.enter_context(terminal.open())
        await stack.enter_async_context(station.running(clock))
        talk = Talk(runtime, station, terminal, clock, echo=loaded.local.echo, screen=shown)
        agreed = await _agreed(talk, runtime, station, consent)
        if agreed is None:
            terminal.say(UNHEARD)
            return 0
        await talk.hold(agreed)
        if station.broken:
            raise DeviceError(station.broken)
        if talk.failed is not None:
            raise talk.failed
    return 0


@asynccontextmanager
async def _face(terminal: Terminal, in_browser: bool) -> AsyncIterator[Screen]:
    face = Face()
    async with face.open() as address:
        with browser(address) if in_browser else nullcontext(False) as seen:
            if not seen:
                terminal.say(f"The face is at {address}")
            yield face


async def _agreed(talk: Talk, runtime: build.Runtime, station: Station, consent: str | None) -> Agreed | None:
    if consent == GIVEN:
        return Agreed(within_reach(runtime, station))
    return await (talk.ask_aloud() if consent == ALOUD else talk.ask())


def open_station(loaded: Config) -> Station:
    """Open the devices that the configuration names.

    Raises:
        DeviceError: one is not there, or cannot be opened.
        agent.media_file.MediaError: a file in place of one cannot be read.
    """
    local = loaded.local
    names = {"microphone": local.microphone, "camera": local.camera, "speaker": local.speaker}
    door = build.door(Use("local", {**names, "echo": local.echo, "most_video_hz": local.most_video_hz}))
    station: Station = door.station  # type: ignore[attr-defined]
    return station


def listed() -> list[str]:
    """Return the devices of this machine, one a line."""
    from agent.onboard.card import library, sound_devices
    from agent.onboard.lens import cameras

    found: list[Found] = list(cameras())
    lines: list[str] = []
    try:
        found = [*sound_devices(library()), *found]
    except DeviceError as error:
        lines.append(f"agent: {error}")
    width = max((len(one.kind) for one in found), default=0)
    lines += [f"{one.kind:<{width}}  {one.index:>3}  {one.name}{'  (the usual one)' * one.default}" for one in found]
    return lines or ["no devices"]
