"""What a sound device and a camera are, how they are chosen, and what can be wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from agent.clock import Clock

Samples = NDArray[np.float32]
Pixels = NDArray[np.uint8]

NONE: Final = "none"
"""As the name of a device: there is none."""

DEFAULT: Final = ""
"""As the name of a device: the one that this machine uses by itself."""


class DeviceError(Exception):
    """A device cannot be used; the message names it and the fix."""


class Line(Protocol):
    """Takes what a sound device hears, and gives what it is to play; on the event loop."""

    def hear(self, near: Samples, far: Samples) -> None:
        """Take one block.

        Args:
            near: what the microphone heard, float32 of shape ``(n,)`` at the device's rate.
            far: what the speaker was given in the same block, alike.
        """
        ...

    def next(self, count: int) -> Samples:
        """Return the next ``count`` samples to play, at the device's rate."""
        ...

    def over(self) -> None:
        """What stood in for the microphone has come to its end; silence follows."""
        ...


class SoundDevice(Protocol):
    """A microphone and a speaker on one clock.

    Attributes:
        rate_hz: samples per second, of both.
        delay_s: time from a block of the speaker until the same sound can be in the microphone's.
        hears: whether there is a microphone.
    """

    rate_hz: int
    delay_s: float
    hears: bool

    async def run(self, line: Line, clock: Clock) -> None:
        """Exchange sound with ``line`` until cancelled. A device that goes away is waited for.

        Raises:
            DeviceError: it cannot be used at all.
        """
        ...

    def close(self) -> None:
        """Let go of it; may be called twice."""
        ...


See = Callable[[Pixels], None]


class Camera(Protocol):
    """Where pictures come from."""

    async def run(self, see: See, clock: Clock) -> None:
        """Hand over each picture, uint8 RGB of shape ``(h, w, 3)``, until cancelled. A camera that goes away is
        waited for.
        """
        ...

    def close(self) -> None:
        """Let go of it; may be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """One device of this machine.

    Attributes:
        kind: ``microphone``, ``speaker`` or ``camera``.
        index: its number, by which it can be chosen.
        name: its name, of which a part is enough to choose it.
        default: whether it is the one that is used by itself.
    """

    kind: str
    index: int
    name: str
    default: bool = False


def choose(kind: str, wanted: str, there: Sequence[Found]) -> Found:
    """Return the device that ``wanted`` names: by number, by name, or by a part of its name.

    Raises:
        DeviceError: there is none, or several fit.
    """
    of_kind = [found for found in there if found.kind == kind]
    if not of_kind:
        fix = f"plug one in, or do without: --{_OPTION[kind]} none"
        raise DeviceError(f"this machine has no {kind}; {fix}")
    if wanted == DEFAULT:
        return next((found for found in of_kind if found.default), of_kind[0])
    if wanted.isdecimal():
        fits = [found for found in of_kind if found.index == int(wanted)]
    else:
        fits = [found for found in of_kind if found.name.casefold() == wanted.casefold()]
        fits = fits or [found for found in of_kind if wanted.casefold() in found.name.casefold()]
    if len(fits) == 1:
        return fits[0]
    names = "; ".join(f"{found.index} {found.name}" for found in (fits or of_kind))
    what = f"{len(fits)} fit" if fits else "there is none"
    raise DeviceError(f"{kind} {wanted!r}: {what} (agent talk --list-devices); choose one of: {names}")


_OPTION: Final = {"microphone": "mic", "speaker": "speaker", "camera": "camera"}
