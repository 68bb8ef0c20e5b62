"""The states of all global random generators as JSON, so that a run goes on as if it had never stopped."""

from __future__ import annotations

import random
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


def random_state() -> dict[str, Any]:
    """Return the states of Python, NumPy and PyTorch, its GPUs included; bytes are base64."""
    version, words, gauss = random.getstate()
    name, key, position, has_gauss, cached = np.random.get_state()
    return {
        "python": [version, _packed(np.array(words, np.uint32)), gauss],
        "numpy": [name, _packed(np.asarray(key, np.uint32)), int(position), int(has_gauss), float(cached)],
        "torch": _packed(torch.get_rng_state().numpy()),
        "cuda": [_packed(state.numpy()) for state in torch.cuda.get_rng_state_all()] if _has_cuda() else [],
    }


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Put back what :func:`random_state` gave."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(_unpacked(words, np.uint32).tolist()), gauss))
    name, key, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, _unpacked(key, np.uint32), position, has_gauss, cached))
    torch.set_rng_state(torch.from_numpy(_unpacked(state["torch"], np.uint8)))
    if _has_cuda() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([torch.from_numpy(_unpacked(s, np.uint8)) for s in state["cuda"]])


def _has_cuda() -> bool:
    return torch.cuda.is_available() and bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def _packed(values: Any) -> str:
    return b64encode(values.tobytes()).decode("ascii")


def _unpacked(text: str, kind: Any) -> Any:
    return np.frombuffer(b64decode(text), kind).copy()
