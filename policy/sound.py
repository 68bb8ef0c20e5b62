"""Sound as a language model can take it in: states of Whisper's encoder, 6.25 a second.

Whisper's encoder pads every call to 30 s, although the states of the padding are of no use here. CTranslate2 takes
the features as long as they are, and two seconds then cost a twentieth. Eight states of 20 ms each are stacked into
one token (as LLaMA-Omni, Fang et al., 2024, stacks five), so that a second of sound costs a language model about as
much as two words.

The encoder looks both ways: the states of a stretch depend on all of the stretch. Who wants the same states twice
has to cut the sound at the same places.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from perception.media import RATE_HZ
from perception.mel import FRAME, log_mel

MODEL: Final = "whisper-tiny-en"
"""Name, in the manifest of models, of the encoder that these states are of."""

STACK: Final = 8
"""Encoder states in a token."""

STATE: Final = 384
"""Numbers in an encoder state of whisper-tiny."""

WIDTH: Final = STACK * STATE
"""Numbers in a token: 3072."""

TOKEN: Final = STACK * 2 * FRAME
"""Samples in a token at 16 kHz: 2560, or 160 ms."""

TOKENS_PER_S: Final = RATE_HZ / TOKEN
"""6.25."""

LONGEST: Final = 187 * TOKEN
"""Samples that are encoded at once, 29.92 s; the encoder knows positions up to 30 s."""

SPAN: Final = 12 * TOKEN
"""Samples that a call encodes at once: 1.92 s, in whole tokens."""

_LEAST: Final = TOKEN // 2

States = NDArray[np.float32]


class Ears:
    """The encoder. Holds no state; may be used from several threads at once.

    Args:
        folder: a CTranslate2 conversion of a Whisper model with states of 384 numbers, as :data:`MODEL` is.
        threads: that one call computes with.

    Raises:
        FileNotFoundError: there is no model in the folder.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        import ctranslate2

        if not (folder / "model.bin").is_file():
            raise FileNotFoundError(
                f"no model.bin in {folder}; fetch the model {MODEL!r} with: agent models fetch {MODEL}"
            )
        self._model: Any = ctranslate2.models.Whisper(
            str(folder), device="cpu", compute_type="int8", inter_threads=1, intra_threads=threads
        )
        self._view: Any = ctranslate2.StorageView

    def states(self, samples: NDArray[np.float32]) -> States:
        """Encode a stretch of sound. Releases the GIL for nearly all of its time.

        A last token with less than half of its sound is dropped; one with more is filled up with zeros. What is
        longer than :data:`LONGEST` is encoded piece by piece.

        Args:
            samples: float32, shape ``(n,)``, 16 kHz.

        Returns:
            float32, shape ``(tokens, 3072)``, token ``k`` of samples ``2560 * k`` to ``2560 * (k + 1)``; shape
            ``(0, 3072)`` for less than half a token.

        Raises:
            ValueError: the samples are not of that shape, or the model is another one.
        """
        if samples.ndim != 1:
            raise ValueError(f"sound of shape (n,) is wanted, not {samples.shape}")
        pieces = [self._piece(samples[at : at + LONGEST]) for at in range(0, len(samples), LONGEST)]
        return np.concatenate(pieces) if pieces else np.zeros((0, WIDTH), np.float32)

    def spans(self, samples: NDArray[np.float32]) -> States:
        """Encode sound in stretches of :data:`SPAN` samples, each by itself, as a call does while it goes on."""
        pieces = [self._piece(samples[at : at + SPAN]) for at in range(0, len(samples), SPAN)]
        return np.concatenate(pieces) if pieces else np.zeros((0, WIDTH), np.float32)

    def _piece(self, samples: NDArray[np.float32]) -> States:
        count = tokens(len(samples))
        if not count:
            return np.zeros((0, WIDTH), np.float32)
        features = log_mel(samples.astype(np.float32, copy=False))
        # One state is of two frames; an odd last frame would add a state of its own.
        features = np.ascontiguousarray(features[None, :, : features.shape[1] // 2 * 2])
        encoded = np.array(self._model.encode(self._view.from_array(features), to_cpu=True), dtype=np.float32)[0]
        if encoded.shape[1] != STATE:
            raise ValueError(
                f"the encoder has states of {encoded.shape[1]} numbers, not {STATE}; it has to be {MODEL!r}"
            )
        filled = np.zeros((count * STACK, STATE), np.float32)
        kept = min(len(encoded), len(filled))
        filled[:kept] = encoded[:kept]
        return filled.reshape(count, WIDTH)


def tokens(samples: int) -> int:
    """Return how many tokens a stretch of at most :data:`LONGEST` samples gives."""
    return (samples + TOKEN - _LEAST) // TOKEN
