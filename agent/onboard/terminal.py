"""A call at a terminal: captions and looks as lines, and what is typed as words or wishes."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Final

from agent.action import Action, Caption, Display, Resource

_LOOKS: Final = {"lean_in": "leans in", "look_away": "looks away", "nod": "nods", "tilt": "tilts its head"}
_MOST: Final = 64


class Terminal:
    """Lines out, lines in.

    Args:
        write: takes a line.
        typed: where lines are typed; ``None``: nobody types.

    Attributes:
        leave: set when the person wants to go.
        lines: what was typed; ``None`` says that there will be no more.
    """

    def __init__(self, write: Callable[[str], None], typed: IO[str] | None = None) -> None:
        self.leave = asyncio.Event()
        self.lines: asyncio.Queue[str | None] = asyncio.Queue(_MOST)
        self.impatient: Callable[[], None] | None = None
        """Called when the person wants to go a second time."""
        self._write = write
        self._typed = typed
        self._look = ""

    @property
    def asks(self) -> bool:
        """Whether somebody is there to be asked."""
        return self._typed is not None

    def say(self, line: str) -> None:
        """Write a line."""
        self._write(line)

    def show(self, action: Action) -> None:
        """Write what the person should see of an action."""
        match action:
            case Caption(speaker=speaker, text=text, final=True, cut=cut) if text:
                self._write(f"{'you' if speaker == 'user' else 'agent':>6} | {text}{' —' if cut else ''}")
            case Display(emotion=emotion, gesture=gesture) if gesture != "blink":
                look = emotion + (f", {_LOOKS[gesture]}" if gesture in _LOOKS else "")
                if look != self._look:
                    self._look = look
                    self._write(f"{'':>6} | ({look})")
            case Resource(contacts=contacts):
                self._write(f"{'help':>6} | You do not have to be alone with this:")
                for one in contacts:
                    ways = [way for way in (one.number, one.text, one.url) if way]
                    self._write(f"{'':>6} | {one.name}: {', '.join(ways)}")
            case _:
                pass

    def type(self, line: str) -> None:
        """Take a line as if it had been typed; ``""`` says that there will be no more.

        The oldest line gives way where too many wait.
        """
        if self.lines.full():
            self.lines.get_nowait()
        self.lines.put_nowait(line.strip() if line else None)

    def interrupt(self) -> None:
        """Somebody pressed Ctrl-C."""
        if self.leave.is_set() and self.impatient is not None:
            self.impatient()
        self.leave.set()
        self.type("")

    @contextmanager
    def open(self) -> Iterator[None]:
        """Read what is typed, and take Ctrl-C as the wish to go, as long as the context is open."""
        loop = asyncio.get_running_loop()
        undo: list[Callable[[], object]] = []
        try:
            loop.add_signal_handler(signal.SIGINT, self.interrupt)
            undo.append(lambda: loop.remove_signal_handler(signal.SIGINT))
        except (NotImplementedError, RuntimeError, ValueError):
            pass  # no signals here: Ctrl-C ends the program at once
        if self._typed is not None:
            typed = self._typed
            try:
                loop.add_reader(typed, self._read)
                undo.append(lambda: loop.remove_reader(typed))
            except (NotImplementedError, OSError, ValueError):  # a file is always ready, and so is no terminal
                for line in typed:
                    self.type(line)
                self.type("")
        try:
            yield
        finally:
            for step in undo:
                step()

    def _read(self) -> None:
        assert self._typed is not None
        line = self._typed.readline()
        self.type(line)
        if not line:
            asyncio.get_running_loop().remove_reader(self._typed)


def keyboard() -> IO[str] | None:
    """Return where somebody types, or ``None`` where this program has no terminal."""
    return sys.stdin if sys.stdin is not None and sys.stdin.isatty() else None
