"""How a long fetch tells a person where it is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from rich.progress import TaskID


class Progress(Protocol):
    """What a fetch reports to. One step at a time."""

    def step(self, label: str, total: int, done: int = 0) -> None:
        """Begin a step of ``total`` bytes, ``done`` of which are there from an earlier run."""
        ...

    def advance(self, count: int) -> None:
        """Add bytes to the current step."""
        ...

    def say(self, text: str) -> None:
        """Tell something that is no step."""
        ...


class Silent:
    """Reports nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        pass

    def step(self, label: str, total: int, done: int = 0) -> None:
        """Report nothing."""

    def advance(self, count: int) -> None:
        """Report nothing."""

    def say(self, text: str) -> None:
        """Report nothing."""


class Bar:
    """A bar with bytes, speed and time left on stderr; plain lines where stderr is no terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
        from rich.progress import Progress as RichProgress

        self._console = Console(file=sys.stderr)
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._current: TaskID | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._bar.stop()

    def step(self, label: str, total: int, done: int = 0) -> None:
        """Begin a bar of its own for the step."""
        self._current = self._bar.add_task(label, total=total, completed=done)
        if not self._console.is_terminal:
            self.say(f"{label} ({total / 1e6:.1f} MB)")

    def advance(self, count: int) -> None:
        """Move the current bar."""
        if self._current is not None:
            self._bar.update(self._current, advance=count)

    def say(self, text: str) -> None:
        """Write a line above the bars."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)
