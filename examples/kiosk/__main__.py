"""A kiosk that runs everything on board: ``python -m examples.kiosk --config configs/kiosk.toml``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from agent import build, config, logs, offload
from agent.clock import SystemClock
from agent.config import Config, ConfigError
from agent.media_file import MediaError
from agent.models import ModelError
from agent.onboard.command import open_station
from agent.onboard.devices import DeviceError
from agent.onboard.face import Face, browser
from agent.privacy import retention
from agent.privacy.kept import check_ledger
from examples.kiosk.kiosk import KioskProgram, words_of
from examples.kiosk.machine import Kiosk
from perception.offline import stay_local


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the kiosk; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.kiosk", description="A kiosk with everything on board.")
    parser.add_argument("--config", type=Path, metavar="TOML", help="configuration file, as configs/kiosk.toml")
    parser.add_argument("--address", action="store_true", help="print the screen's address, and open no browser")
    parser.add_argument("--touch", action="store_true", help="wait to be touched, and speak to nobody first")
    parser.add_argument("--people", type=int, metavar="N", help="end after so many people")
    options = parser.parse_args(arguments)
    logs.configure()
    try:
        asyncio.run(_run(config.load(options.config), options))
    except KeyboardInterrupt:
        return 130
    except (ConfigError, DeviceError, MediaError, ModelError, OSError) as error:
        print(f"kiosk: {error}", file=sys.stderr)
        return 2
    return 0


async def _run(loaded: Config, options: argparse.Namespace) -> None:
    check_ledger(loaded)
    clock, face = SystemClock(), Face()
    station = open_station(loaded)
    async with AsyncExitStack() as stack:
        stack.callback(station.close)
        stack.enter_context(retention.keeping(loaded))
        runtime = stack.enter_context(await asyncio.to_thread(build.runtime, loaded))
        address = await stack.enter_async_context(face.open())
        if options.address or not stack.enter_context(browser(address)):
            print(f"The screen is at {address}", flush=True)
        await stack.enter_async_context(station.running(clock))
        rules = Kiosk(words_of(runtime, station), greets=not options.touch)
        await KioskProgram(runtime, station, face, rules, clock, echo=loaded.local.echo).run(options.people)


if __name__ == "__main__":
    stay_local()
    code = main()
    offload.finish()
    sys.exit(code)
