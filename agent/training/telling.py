"""What training says on the terminal."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Print a line at once, also where the output is a file."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
