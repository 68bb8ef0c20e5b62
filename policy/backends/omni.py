"""An omni model in the process: it sees the pictures and hears the voice itself, and reads along while they come.

Any Qwen2.5-Omni checkpoint serves (7B, 3B, ``antgroup/HumanSense_Omni_Reasoning``), from a folder or from the model
store, as safetensors. While the person speaks, ``prepare`` sends new sound and pictures through the towers and into one
key/value cache per call; at the end of a turn only the tail is read (:mod:`policy.omni.memory`). The model then may
reason, for the journal, and decides by constrained decoding against a schema, words last, so that the first sentence is
spoken while the next is written. Around it stand curated lines and rules (:mod:`policy.guard`).

One model serves all calls, one step at a time. On CUDA a call has a cache of fixed size with captured steps as long as
``slots`` last; further calls, and the CPU, use one that grows.

A question that names the form of its answer, as a benchmark's does, is answered freely, in up to ``answer_tokens``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from perception.timebase import seconds
from policy.backends import Resolve
from policy.embedding import Embed, Embedder
from policy.form import SCHEMA
from policy.guard import Guard
from policy.omni.grammar import Grammar
from policy.omni.layout import Pixels
from policy.omni.session import Manner, OmniSession
from policy.omni.store import Fixed, Growing, Store
from policy.omni.thinker import CheckpointError, Thinker
from policy.omni.thinker import load as load_thinker
from policy.reel import Sampling

NATIVE = True

T = TypeVar("T")

_RESERVE: Final = 2048
"""Places behind the budget, for what is asked, thought and answered, and for what comes in before old parts leave."""


class Omni:
    """The policy; see the module. Made by :func:`load`."""

    def __init__(
        self, thinker: Thinker, guard: Guard, manner: Manner, sampling: Sampling, *, slots: int, threads: int = 0
    ) -> None:
        self.thinker = thinker
        self.guard = guard
        self.manner = manner
        self.sampling = sampling
        self.grammar = Grammar(thinker.layout, thinker.words, SCHEMA)
        self._thread = ThreadPoolExecutor(1, "omni", initializer=_use_threads, initargs=(threads,))
        self._judging = ThreadPoolExecutor(1, "omni-guard", initializer=_use_threads, initargs=(1,))
        self._free: list[Store] = [
            Fixed(thinker, sampling.budget + _RESERVE, capture=thinker.device.type == "cuda") for _ in range(slots)
        ]

    @property
    def name(self) -> str:
        """``omni``."""
        return "omni"

    @property
    def embed(self) -> Embed | None:
        """The sentence encoder, for whatever else in the process compares sentences; ``None`` where none is loaded."""
        return self.guard.embed

    def session(self) -> OmniSession:
        """Begin a call."""
        return OmniSession(self)

    def close(self) -> None:
        """End the threads and let the weights go."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._judging.shutdown(wait=True, cancel_futures=True)
        self._free.clear()

    async def work(self, work: Callable[[], T]) -> T:
        """Run work of the model off the loop, in order."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def judge(self, work: Callable[[], T]) -> T:
        """Run work of the guard off the loop, in order, and not behind the model."""
        return await asyncio.get_running_loop().run_in_executor(self._judging, work)

    def later(self, work: Callable[[], object]) -> None:
        """Run ``work`` after what was asked for before, without waiting for it."""
        self._thread.submit(work)

    def borrow(self) -> Store:
        """Return a store of fixed size as long as there are some, else one that grows."""
        return self._free.pop() if self._free else Growing(self.thinker)

    def give_back(self, store: Store) -> None:
        """Keep a store of fixed size, whose steps are captured already, for the next call."""
        if isinstance(store, Fixed):
            self._free.append(store)


class OptionError(ValueError):
    """An option of the policy that cannot be."""


def load(
    *,
    resolve: Resolve,
    checkpoint: str,
    device: str = "",
    dtype: str = "",
    slots: int = -1,
    think: bool = False,
    enhanced: bool = False,
    think_tokens: int = 160,
    think_s: float = 2.0,
    answer_tokens: int = 64,
    budget: int = 12_000,
    keep: float = 0.5,
    frame_every_s: float = 2.0,
    frame_gap_s: float = 0.5,
    sound_s: float = 2.0,
    quiet_dbfs: float = -60.0,
    least_pixels: int = 128 * 28 * 28,
    most_pixels: int = 360 * 420,
    attention: str = "sdpa",
    gate: bool = True,
    likeness: bool = True,
    threads: int = 2,
) -> Omni:
    """Load a checkpoint and return the policy.

    Args:
        resolve: gives a model of the store by name, ``minilm`` among them.
        checkpoint: a folder, or the name of a model in the store.
        device: as torch names it; by default CUDA where there is one, else the CPU.
        dtype: ``bfloat16``, ``float16``, ``float32`` or ``int4``; by default bfloat16 on CUDA, float32 elsewhere.
        slots: calls that have a cache of fixed size; by default 1 on CUDA and 0 elsewhere.
        think: whether it reasons before it decides.
        enhanced: whether it is told what to look for, after the paper's training-free enhancement.
        think_tokens: most tokens of a thought.
        think_s: most seconds of a thought.
        answer_tokens: most tokens of an answer to a question.
        budget: most tokens of context.
        keep: share of the budget that stays when it is used up.
        frame_every_s: a picture is read at least this often.
        frame_gap_s: and never sooner after another.
        sound_s: length of a stretch of sound.
        quiet_dbfs: a stretch that stays below is left out.
        least_pixels: of a picture; smaller ones are scaled up.
        most_pixels: of a picture; larger ones are scaled down.
        attention: implementation, as transformers names it.
        gate: whether what it writes is judged before it is spoken.
        likeness: whether words are read by likeness to examples as well as by patterns; needs ``minilm``.
        threads: threads of one operation on the CPU; 0: as many as torch likes.

    Raises:
        OptionError: an option is out of range, or the checkpoint cannot be used; the message says which and why.
    """
    import torch

    folder = Path(checkpoint)
    try:
        if not folder.is_dir() and len(folder.parts) == 1 and checkpoint:
            folder = resolve(checkpoint)
        sampling = Sampling(
            block=seconds(sound_s),
            quiet_dbfs=quiet_dbfs,
            frame_every=seconds(frame_every_s),
            frame_gap=seconds(frame_gap_s),
            budget=budget,
            keep=keep,
        )
        pixels = Pixels(least=least_pixels, most=most_pixels)
        if think_tokens < 1 or answer_tokens < 1 or think_s <= 0:
            raise ValueError("think_tokens and answer_tokens are at least 1, think_s is more than 0")
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        dtype = dtype or ("bfloat16" if device.startswith("cuda") else "float32")
        slots = slots if slots >= 0 else int(device.startswith("cuda"))
        with ThreadPoolExecutor(1, initializer=_use_threads, initargs=(threads,)) as loading:
            thinker = loading.submit(
                load_thinker, folder, dtype=dtype, device=device, attention=attention, pixels=pixels
            ).result()
    except CheckpointError as error:
        raise OptionError(f"checkpoint = {checkpoint!r}: {error}") from error
    except ValueError as error:
        raise OptionError(str(error)) from error
    guard = Guard(Embedder(resolve("minilm")) if likeness else None, judges=gate)
    manner = Manner(
        thinks=think,
        enhanced=enhanced,
        think_tokens=think_tokens,
        think_time=seconds(think_s),
        answer_tokens=answer_tokens,
    )
    return Omni(thinker, guard, manner, sampling, slots=slots, threads=threads)


def _use_threads(count: int) -> None:
    import torch

    if count > 0:
        torch.set_num_threads(count)
