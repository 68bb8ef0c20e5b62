"""An omni model in a call: what reading along saves, how fast it answers and writes, and that its memory stays flat.

    python benchmarks/omni.py                                 # the tiny model and a small one, on the CPU
    python benchmarks/omni.py --shape 7b --device cuda        # random weights of the 7B's shape: speed, not quality
    python benchmarks/omni.py --checkpoint FOLDER --device cuda

The baseline is the same model that reads the whole context again at the end of a turn, as servers without a kept cache
do. The floor of a step is the time to copy weights and kept keys and values once, at the bandwidth measured here.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from perception.context import ContextWindow
from perception.media import AudioChunk, VideoFrame
from perception.timebase import SECOND
from policy.form import SYSTEM
from policy.omni import tiny
from policy.omni.layout import Layout, Pixels
from policy.omni.memory import Memory
from policy.omni.store import Fixed, Growing, Store
from policy.omni.thinker import Piece, Thinker, load, script
from policy.prompt import Line
from policy.reel import Reel, Sampling, Sight, Sound

TAIL = 48
"""Tokens that are read at the end of a turn."""

SHAPES: dict[str, dict[str, dict[str, Any]]] = {
    "small": {
        "text": {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 12, "num_attention_heads": 9,
                 "num_key_value_heads": 3, "vocab_size": 49_152, "mrope_section": [8, 12, 12]},
        "audio": {"d_model": 384, "encoder_layers": 4, "encoder_attention_heads": 6, "encoder_ffn_dim": 1536},
        "vision": {"hidden_size": 320, "depth": 8, "num_heads": 4, "intermediate_size": 856,
                   "fullatt_block_indexes": [1, 3, 5, 7]},
    },
    "3b": {
        "text": {"hidden_size": 2048, "intermediate_size": 11_008, "num_hidden_layers": 36, "num_attention_heads": 16,
                 "num_key_value_heads": 2, "vocab_size": 151_936, "mrope_section": [16, 24, 24]},
        "audio": {}, "vision": {},
    },
    "7b": {
        "text": {"hidden_size": 3584, "intermediate_size": 18_944, "num_hidden_layers": 28, "num_attention_heads": 28,
                 "num_key_value_heads": 4, "vocab_size": 152_064, "mrope_section": [16, 24, 24]},
        "audio": {}, "vision": {},
    },
}  # fmt: skip
"""Of the published models, and one for a laptop."""

_TOWERS: dict[str, dict[str, Any]] = {
    "audio": {"num_mel_bins": 128, "d_model": 1280, "encoder_layers": 32, "encoder_attention_heads": 20,
              "encoder_ffn_dim": 5120, "n_window": 100, "max_source_positions": 1500},
    "vision": {"depth": 32, "hidden_size": 1280, "num_heads": 16, "intermediate_size": 3420, "patch_size": 14,
               "spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 112,
               "fullatt_block_indexes": [7, 15, 23, 31]},
}  # fmt: skip


def made(shape: str, device: str, dtype: torch.dtype, pixels: Pixels) -> Thinker:
    """A thinker of random weights."""
    from transformers import Qwen2_5OmniThinkerConfig, Qwen2_5OmniThinkerForConditionalGeneration

    folder = Path(tempfile.mkdtemp())
    if shape == "tiny":
        return load(tiny.build(folder), dtype="float32", device=device, pixels=pixels)
    tokenizer = tiny.byte_tokenizer(tiny.CONTROL)
    tokenizer.save(str(folder / "tokenizer.json"))
    ids = [tokenizer.token_to_id(token) for token in tiny.CONTROL]
    text = dict(SHAPES[shape]["text"])
    section, hidden = text.pop("mrope_section"), text["hidden_size"]
    config = Qwen2_5OmniThinkerConfig(
        audio_config=_TOWERS["audio"] | SHAPES[shape]["audio"] | {"output_dim": hidden},
        vision_config=_TOWERS["vision"] | SHAPES[shape]["vision"] | {"out_hidden_size": hidden},
        text_config=text | {
            "max_position_embeddings": 32_768,
            "rope_parameters": {"rope_type": "default", "mrope_section": section, "rope_theta": 1e6},
        },
        audio_token_index=ids[3], audio_start_token_id=ids[4], audio_end_token_id=ids[5],
        vision_start_token_id=ids[6], vision_end_token_id=ids[7], image_token_index=ids[8], video_token_index=ids[9],
        pad_token_id=ids[0],
    )  # fmt: skip
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    with torch.device(device):
        model = Qwen2_5OmniThinkerForConditionalGeneration(config)
    torch.set_default_dtype(torch.float32)
    return Thinker(model.eval().requires_grad_(False), Layout(folder, config), pixels)


def timed(work: Callable[[], object], device: str, times: int) -> float:
    """Median seconds."""
    found = []
    for _ in range(times):
        sync(device)
        began = time.perf_counter()
        work()
        sync(device)
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def sync(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def bandwidth(device: str) -> float:
    """Bytes a second that are read while a large tensor is copied."""
    size = 1 << (30 if device.startswith("cuda") else 27)
    source, target = (
        torch.empty(size, dtype=torch.uint8, device=device),
        torch.empty(size, dtype=torch.uint8, device=device),
    )
    return size / timed(lambda: target.copy_(source), device, 7)


def words(thinker: Thinker, count: int, seed: int) -> Piece:
    return tuple(int(n) for n in np.random.default_rng(seed).integers(0, 256, count))


def speed(name: str, thinker: Thinker, store: Store, length: int, device: str, times: int, rate: float) -> list[str]:
    """One row: a tail behind a kept context, the whole context again, and a step of writing."""
    context = [words(thinker, 256, n) for n in range(length // 256)]
    memory = Memory(thinker, store)
    memory.sync(context)

    def first_token(seed: int) -> None:
        memory.sync([*context, words(thinker, TAIL, seed)])
        int(memory.write().logits().argmax())

    def again() -> None:
        memory.clear()
        memory.sync(context)
        int(memory.write().logits().argmax())

    first_token(999)  # captures its steps
    seeds = iter(range(1000, 10_000))
    tail = timed(lambda: first_token(next(seeds)), device, times)
    whole = timed(again, device, max(1, times // 5))
    writing, steps = memory.write(), 32
    writing.append([65])

    def write() -> None:
        for _ in range(steps):
            writing.append([int(writing.logits().argmax())])

    step = timed(write, device, max(1, times // 5)) / steps
    config = thinker.model.config.get_text_config()
    layers = sum(p.numel() * p.element_size() for p in thinker.language.layers.parameters())
    head = thinker.model.lm_head.weight
    width = config.hidden_size // config.num_attention_heads
    kept = 2 * config.num_hidden_layers * config.num_key_value_heads * width * length * head.element_size()
    floor = (layers + head.numel() * head.element_size() + kept) / rate
    memory.clear()
    return [
        name, f"{length:,}", f"{tail * 1e3:.1f}", f"{whole * 1e3:.0f}", f"{whole / tail:.1f}x", f"{step * 1e3:.2f}",
        f"{1 / step:.0f}", f"{floor * 1e3:.2f}", f"{step / floor:.1f}x",
    ]  # fmt: skip


def media(seconds: int, begin: int = 0) -> ContextWindow:
    """A window of the last 30 s of a call of noise."""
    audio = tuple(
        AudioChunk((np.random.default_rng(n).standard_normal(16_000) * 0.1).astype(np.float32), n * SECOND)
        for n in range(max(begin, seconds - 30), seconds)
    )
    frames = tuple(
        VideoFrame(np.random.default_rng(n).integers(0, 255, (360, 640, 3), dtype=np.uint8), n * SECOND)
        for n in range(max(begin, seconds - 30), seconds, 2)
    )
    return ContextWindow(start=0, end=seconds * SECOND, audio=audio, frames=frames)


def towers(thinker: Thinker, device: str, times: int) -> list[str]:
    """How much of real time two seconds of sound and one picture take."""
    picture = Sight(media(2).frames[0])
    sound = Sound(0, 2 * SECOND, np.concatenate([chunk.samples for chunk in media(2).audio]))
    with torch.no_grad():
        thinker.block(picture)
        thinker.block(sound)
        seen = timed(lambda: thinker.block(picture), device, times)
        heard = timed(lambda: thinker.block(sound), device, times)
    tokens = thinker.tokens(picture) + thinker.tokens(sound)
    return [
        f"{heard * 1e3:.1f} ms for 2 s of sound ({thinker.tokens(sound)} tokens)",
        f"{seen * 1e3:.1f} ms for a picture of 640x360 ({thinker.tokens(picture)} tokens)",
        f"{(seen + heard) / 2:.1%} of real time at a picture every 2 s, {tokens / 2:.0f} tokens a second",
    ]


def half_an_hour(thinker: Thinker, store: Store, device: str, minutes: int) -> list[str]:
    """Stream a call and report what is kept, and the memory of process and device, as it goes on."""
    memory = Memory(thinker, store)
    reel = Reel(Sampling(), lambda part: len(part.text) if isinstance(part, Line) else thinker.tokens(part))
    rows, backlog, worst = list[str](), 0.0, 0.0
    for seconds in range(2, minutes * 60 + 1, 2):
        window = media(seconds)
        began = time.perf_counter()
        pieces = script(reel.take(window, ends=False), thinker.layout, SYSTEM)
        memory.sync(pieces)
        for piece in pieces:
            if isinstance(piece, Sight | Sound):
                piece.release()
        sync(device)
        backlog = max(0.0, backlog + time.perf_counter() - began - 2.0)
        worst = max(worst, backlog)
        if seconds % (minutes * 60 // 6) == 0:
            used = torch.cuda.memory_allocated() if device.startswith("cuda") else psutil.Process().memory_info().rss
            rows.append(f"{seconds // 60:>3} min: {memory.length:>6,} tokens kept, {used / 2**20:,.0f} MiB")
    return [*rows, f"longest backlog of reading: {worst:.2f} s"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=["tiny", *SHAPES], nargs="+", default=["tiny", "small"])
    parser.add_argument("--checkpoint", type=Path, help="a real one instead of random weights")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"])
    parser.add_argument("--lengths", type=int, nargs="+", default=[2048, 8192, 16384])
    parser.add_argument("--times", type=int, default=15)
    parser.add_argument("--minutes", type=int, default=30, help="of streamed context; 0: none")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cuda = given.device.startswith("cuda")
    dtype = given.dtype or ("bfloat16" if cuda else "float32")
    rate = bandwidth(given.device)
    where = torch.cuda.get_device_name() if cuda else f"CPU, {given.threads} thread(s)"
    print(f"{where}, {dtype}; copies at {rate / 1e9:.1f} GB/s\n")
    heads = [
        "model, cache",
        "context",
        "first token ms",
        "read again ms",
        "saved",
        "step ms",
        "tokens/s",
        "floor ms",
        "step/floor",
    ]
    rows, told = [heads], list[str]()
    names = [given.checkpoint.name] if given.checkpoint else given.shape
    for name in names:
        pixels = Pixels(least=56 * 56, most=84 * 112) if name == "tiny" else Pixels()
        if given.checkpoint:
            thinker = load(given.checkpoint, dtype=dtype, device=given.device, pixels=pixels)
        else:
            thinker = made(name, given.device, getattr(torch, dtype), pixels)
        lengths = given.lengths if cuda or name == "tiny" else given.lengths[:1]
        fixed = Fixed(thinker, max(lengths) + 512, capture=cuda)
        for length in lengths:
            times = given.times if cuda or name == "tiny" else 5
            for kind, store in (("grows", Growing(thinker)), ("fixed, captured" if cuda else "fixed", fixed)):
                rows.append(speed(f"{name}, {kind}", thinker, store, length, given.device, times, rate))
        told += [f"{name}: {line}" for line in towers(thinker, given.device, 7 if cuda or name == "tiny" else 3)]
        if given.minutes and (cuda or name == "tiny"):
            fixed.crop(0)
            store = Fixed(thinker, Sampling().budget + 2048, capture=cuda)
            told += [f"{name}: {line}" for line in half_an_hour(thinker, store, given.device, given.minutes)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(heads))]
    for row in rows:
        print(
            "  ".join(
                cell.ljust(width) if n == 0 else cell.rjust(width)
                for n, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
        )
    print()
    print("\n".join(told))


if __name__ == "__main__":
    main()
