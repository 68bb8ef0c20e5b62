"""A robot that runs everything on board: ``python -m examples.robot``.

The devices are those of ``agent talk`` and may be files: ``--mic talk.wav --camera clip.mp4 --speaker said.wav``.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import cv2

from agent import config, logs, offload
from agent.config import ConfigError
from agent.media_file import MediaError
from agent.models import ModelError
from agent.onboard import command
from agent.onboard.terminal import Terminal, keyboard
from examples.robot.ros import NoRos, RosBody
from examples.robot.screen import RobotScreen
from examples.robot.simulated import Painter, Picture, SimulatedRobot, Window
from perception.offline import stay_local

PICTURES_HZ = 10.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the robot; return the exit code."""
    options = _parser().parse_args(arguments)
    logs.configure()
    terminal = Terminal(partial(print, flush=True), keyboard())
    try:
        loaded = command.with_devices(config.load(options.config), options)
        return command.run(loaded, terminal, consent=options.consent, screen=body(options, terminal))
    except (ConfigError, MediaError, ModelError, NoRos, RuntimeError, OSError) as error:
        print(f"robot: {error}", file=sys.stderr)
        return 2


@asynccontextmanager
async def body(options: argparse.Namespace, terminal: Terminal) -> AsyncIterator[RobotScreen]:
    """Open the body that the options name."""
    if options.ros:
        ros = RosBody(stop=lambda: terminal.type("/stop"))
        screen, close = RobotScreen(ros), ros.close
    elif options.window:
        robot = SimulatedRobot()
        window = Window(robot)
        screen, close = RobotScreen(robot, window.show), window.close
    else:
        robot = SimulatedRobot()
        painter = Painter(robot, film(options.png), PICTURES_HZ)
        screen, close = RobotScreen(robot, painter), painter.close
    try:
        async with screen.moving():
            yield screen
    finally:
        close()


def film(folder: Path) -> Callable[[Picture], None]:
    """Return what writes pictures as PNG files that are counted from 00000."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = itertools.count()

    def write(picture: Picture) -> None:
        cv2.imwrite(str(folder / f"{next(numbers):05d}.png"), picture[:, :, ::-1])

    return write


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.robot", description="A robot with everything on board.")
    parser.add_argument("--config", type=Path, metavar="TOML", help="configuration file (default: built in)")
    for name in ("mic", "camera", "speaker"):
        parser.add_argument(f"--{name}", metavar="DEVICE", help="a device of this machine, a file, or none")
    parser.add_argument("--consent", nargs="?", const="given", choices=("given", "aloud"), help="as of agent talk")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--window", action="store_true", help="the simulated robot in a window")
    shown.add_argument("--png", type=Path, default=Path("robot"), metavar="FOLDER", help="the same as pictures")
    shown.add_argument("--ros", action="store_true", help="a robot that speaks ROS 2")
    return parser


if __name__ == "__main__":
    stay_local()
    code = main()
    offload.finish()
    sys.exit(code)
