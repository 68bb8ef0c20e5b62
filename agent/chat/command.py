"""``agent chat`` on the command line: a person at the keyboard, or a script under the virtual clock."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from agent import config, models
from agent.chat import running, script, shown
from agent.chat.live import Seat
from agent.chat.running import Loaded
from agent.chat.script import Conversation, ScriptError
from agent.clock import SystemClock
from agent.config import Config, ConfigError
from agent.onboard.terminal import Terminal, keyboard

STDIN: Final = "-"

EPILOG: Final = """\
examples:
  agent chat                                         type to the agent; /why, /help and /quit
  agent chat --policy scripted                       another policy than that of the configuration
  agent chat --script talks.json                     hold the conversations of a file, and print them
  agent chat --script talks.json --json --jobs 2     the same as one JSON object for each turn, in two processes

A script is a JSON list, or JSON lines, of {"id": "...", "lines": [...]}. A line is a string, which is typed;
{"say": "...", "face": "sad", "voice": "trembling"}, which is spoken so; or {"wait": 9}, seconds of silence.
No microphone and no camera is opened, no voice is made, nothing is written down, and no webhook is called.
"""


def add(commands: Any, config_option: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add ``agent chat`` to the command line."""
    chat = commands.add_parser(
        "chat",
        help="type to the agent in this terminal, or hold the conversations of a script",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    config_option(chat)
    chat.add_argument("--policy", metavar="NAME", help="the policy (default: that of the configuration)")
    chat.add_argument("--script", metavar="FILE", help="hold the conversations of FILE, or of - for standard input")
    chat.add_argument("--json", action="store_true", help="with --script: one JSON object for each turn")
    chat.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="with --script: processes; each loads the policy (default: 1)"
    )
    chat.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.jobs < 1:
        raise ConfigError(f"--jobs is {options.jobs}, expected 1 or more")
    if options.script is None and (options.json or options.jobs > 1):
        raise ConfigError("--json and --jobs are for a script; name one with --script FILE")
    if options.script is not None:
        conversations = _read(options.script)
        loaded = running.fitting(config.load(options.config), options.policy)
        return _follow(conversations, loaded, jobs=options.jobs, as_json=options.json)
    return _converse(running.fitting(config.load(options.config), options.policy))


def _read(name: str) -> list[Conversation]:
    where = "standard input" if name == STDIN else name
    try:
        data = sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()
    except OSError as error:
        raise ScriptError(f"{name}: cannot be read ({error.strerror}); name a file, or - for standard input") from None
    try:
        return script.parse(data.decode("utf-8-sig"), where)
    except UnicodeDecodeError as error:
        raise ScriptError(f"{where}: is no UTF-8 (byte {error.start + 1}); save it as UTF-8") from None


def _follow(conversations: Sequence[Conversation], loaded: Config, *, jobs: int, as_json: bool) -> int:
    console = Console(highlight=False, soft_wrap=True)
    broken = 0
    with closing(running.hold_all(conversations, loaded, models.resolve, jobs=jobs)) as found:
        for conversation, held in zip(conversations, found, strict=True):
            if as_json:
                sys.stdout.write("".join(json.dumps(t.as_json(), ensure_ascii=False) + "\n" for t in held.turns))
            else:
                shown.dialogue(console, held.turns)
            sys.stdout.flush()
            if held.failed:
                broken += 1
                sys.stderr.write(f"agent: conversation {conversation.id!r} broke off: {held.failed}\n")
    return 1 if broken else 0


# A person.


def _converse(loaded: Config) -> int:
    console = Console(highlight=False, soft_wrap=True)
    minds = ", ".join(name for name, _ in loaded.minds())
    lane = "the safety lane" if loaded.safety.enabled else "no safety lane (it is switched off)"
    console.print(f"Loading the policy {minds} and {lane} ...", style="dim", markup=False)
    ready = running.load(loaded, models.resolve)
    try:
        asyncio.run(_hold(ready, console))
    finally:
        ready.close()
    return 0


async def _hold(loaded: Loaded, console: Console) -> None:
    mind, teller = loaded.teller("chat")
    typed = keyboard()
    screen = shown.Screen(console, prompts=typed is not None)
    if typed is None:
        # Nobody waits for what stands in a pipe, so that it can be read at once.
        lines = sys.stdin.read().splitlines() if sys.stdin is not None else []
        talk = _piped(lines, screen, greets=loaded.config.call.greeting)
    else:
        screen.line("", "Type and press Enter. /why tells why, /help what else there is, /quit ends the chat.", "dim")
        talk = _typing(Terminal(_silent, typed), screen)
    seat = Seat(talk, teller, saw=screen.saw, heard=screen.heard)
    await loaded.call(seat, mind, SystemClock()).run()


def _silent(_: str) -> None:
    """Write nothing: the screen does."""


def _typing(terminal: Terminal, screen: shown.Screen) -> Callable[[Seat], Awaitable[None]]:
    """Return what somebody at a keyboard does."""

    async def talk(seat: Seat) -> None:
        with terminal.open():
            number = 0
            screen.prompt()
            while (line := await terminal.lines.get()) is not None:
                screen.typed()
                if _wish(line, seat, screen):
                    number += 1
                    seat.teller.begin(number, line, seat.clock.now())
                    seat.type(line)
                elif line == "/quit":
                    return
                else:
                    screen.prompt()

    return talk


def _piped(lines: Sequence[str], screen: shown.Screen, *, greets: bool) -> Callable[[Seat], Awaitable[None]]:
    """Return what a caller does whose lines are all there already: each waits for the answer to the one before."""

    async def talk(seat: Seat) -> None:
        if greets:
            await seat.answered()
        number = 0
        for raw in lines:
            line = raw.strip()
            if line == "/quit":
                return
            if line:
                screen.line("you", line, "green")
            if _wish(line, seat, screen):
                number += 1
                seat.teller.begin(number, line, seat.clock.now())
                seat.type(line)
                await seat.answered()

    return talk


def _wish(line: str, seat: Seat, screen: shown.Screen) -> bool:
    """Carry out a wish that is none of the agent's business; return whether the line is to be said to it instead."""
    match line:
        case "" | "/quit":
            return False
        case "/why":
            screen.line("", shown.why(seat.teller.told(last=True)))
        case "/help":
            screen.line("", shown.HELP)
        case _ if line.startswith("/") and " " not in line:
            screen.line("", f"There is no {line}; /help tells what there is.", "dim")
        case _:
            return True
    return False
