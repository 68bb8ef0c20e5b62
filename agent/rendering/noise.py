"""What else is in the room: white and pink noise, and the babble of eight people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from perception.media import RATE_HZ

Array = NDArray[np.float32]

ROOM_DBFS: Final = -75.0
"""Level of the white noise that is always there: no microphone gives zeros."""

_LOOP_S = 60
_VOICES = 8


def white(count: int, rng: np.random.Generator) -> Array:
    """Return white noise of shape ``(count,)``, standard deviation 1."""
    return rng.standard_normal(count, dtype=np.float32)


def pink(count: int, rng: np.random.Generator) -> Array:
    """Return noise of shape ``(count,)`` whose power falls by 3 dB per octave, standard deviation 1."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    return _unit(np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), count))


def babble(count: int, lines: Sequence[Array], rng: np.random.Generator) -> Array:
    """Return :data:`_VOICES` people at once, each saying ``lines`` in another order; shape ``(count,)``, deviation 1.

    Raises:
        ValueError: there are no lines.
    """
    if not any(len(line) for line in lines):
        raise ValueError("a babble needs lines to be spoken")
    mixed = np.zeros(count, np.float32)
    for _ in range(_VOICES):
        order = [lines[n] for n in rng.permutation(len(lines))]
        voice = np.roll(np.concatenate(order), int(rng.integers(count)))
        mixed += np.resize(voice, count)
    return _unit(mixed)


class Noises:
    """A minute of each kind, of which any stretch can be taken.

    Args:
        lines: what the babble is made of.
        seed: of the noise.
    """

    def __init__(self, lines: Sequence[Array], seed: int) -> None:
        rng = np.random.default_rng(seed)
        count = _LOOP_S * RATE_HZ
        self._loops = {"white": white(count, rng), "pink": pink(count, rng), "babble": babble(count, lines, rng)}

    def take(self, kind: str, count: int, rng: np.random.Generator) -> Array:
        """Return noise of shape ``(count,)`` and standard deviation 1; zeros for ``clean``.

        Raises:
            KeyError: there is no such kind.
        """
        if kind == "clean":
            return np.zeros(count, np.float32)
        loop = self._loops[kind]
        return np.resize(np.roll(loop, int(rng.integers(len(loop)))), count)


def _unit(sound: NDArray[np.floating]) -> Array:
    return np.asarray(sound / sound.std(), dtype=np.float32)
