"""Pieces of calls that never were, and what the library makes of them in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import torch

from perception.media import VideoFrame
from perception.timebase import SECOND
from policy.omni.thinker import Piece, Thinker
from policy.prompt import AGENT, PERSON, Line
from policy.reel import Part, Sight, Sound


def part(chance: Random) -> Part:
    """A line of either side, a picture of some size, or up to two seconds of sound."""
    noise = np.random.default_rng(chance.randrange(1 << 30))
    match chance.randrange(4):
        case 0:
            shape = (chance.choice((48, 60, 120)), chance.choice((64, 80, 160)), 3)
            return Sight(VideoFrame(noise.integers(0, 255, shape, dtype=np.uint8), 0))
        case 1:
            samples = noise.standard_normal(chance.randrange(3_200, 32_001)).astype(np.float32) * np.float32(0.1)
            return Sound(0, 2 * SECOND, samples)
        case 2:
            return Line(PERSON, "".join(chance.choices("abc .?!<|im_end|>", k=chance.randrange(1, 30))))
        case _:
            return Line(AGENT, "".join(chance.choices("mnö ", k=chance.randrange(1, 20))))


def in_one_pass(thinker: Thinker, pieces: Sequence[Piece]) -> torch.Tensor:
    """Log-probabilities of the next token by the library's own forward pass over everything, without a cache."""
    layout = thinker.layout
    ids, patches, grids, mels = list[int](), list[Any](), list[Any](), list[Any]()
    for piece in pieces:
        count = thinker.tokens(piece)
        if isinstance(piece, Sight):
            cut, grid = layout.patches(
                np.ascontiguousarray(piece.frame.pixels.transpose(2, 0, 1)[None]), *thinker._size(piece)
            )
            patches.append(cut)
            grids.append(grid)
            ids += [layout.vision_start, *[layout.image] * (count - 2), layout.vision_end]
        elif isinstance(piece, Sound):
            mels.append(torch.from_numpy(layout.spectrogram(piece.samples)[0]))
            ids += [layout.audio_start, *[layout.audio] * (count - 2), layout.audio_end]
        else:
            ids += piece
    given: dict[str, Any] = {
        "input_ids": torch.tensor([ids]),
        "attention_mask": torch.ones(1, len(ids), dtype=torch.long),
    }
    if patches:
        given |= {"pixel_values": torch.cat(patches), "image_grid_thw": torch.tensor(grids)}
    if mels:
        longest = max(mel.shape[1] for mel in mels)
        given["input_features"] = torch.stack(
            [torch.nn.functional.pad(mel, (0, longest - mel.shape[1])) for mel in mels]
        )
        given["feature_attention_mask"] = torch.stack([(torch.arange(longest) < mel.shape[1]).long() for mel in mels])
    with torch.no_grad():
        return torch.log_softmax(thinker.model(**given).logits[0, -1].float(), 0)
