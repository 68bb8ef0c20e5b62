"""Several processes that train one model: each takes its share of every batch, and all hold the same weights.

Whoever starts the processes initialises ``torch.distributed``; without that there is one process, and all of this
costs nothing. What is sent are tensors and JSON.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import distributed


def count() -> int:
    """Return how many processes there are."""
    return distributed.get_world_size() if _many() else 1


def rank() -> int:
    """Return the number of this process, from 0."""
    return distributed.get_rank() if _many() else 0


def gather(data: bytes) -> list[bytes]:
    """Return what every process gave, in the order of ranks. All of them have to call it."""
    if not _many():
        return [data]
    device = _device()
    size = torch.tensor([len(data)], device=device)
    sizes = [torch.zeros_like(size) for _ in range(count())]
    distributed.all_gather(sizes, size)
    most = max(int(s) for s in sizes)
    row = torch.zeros(most, dtype=torch.uint8, device=device)
    row[: len(data)] = torch.frombuffer(bytearray(data), dtype=torch.uint8).to(device) if data else row[:0]
    rows = [torch.zeros_like(row) for _ in range(count())]
    distributed.all_gather(rows, row)
    return [found.cpu().numpy().tobytes()[: int(s)] for found, s in zip(rows, sizes, strict=True)]


def first_of(text: str) -> str:
    """Return the first text that is not empty, in the order of ranks. All of them have to call it."""
    return next((found.decode() for found in gather(text.encode()) if found), "")


def share_weights(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Give every process the weights of the first."""
    if _many():
        for parameter in parameters:
            distributed.broadcast(parameter.data, 0)


def sum_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Add up the gradients of all processes; a parameter that none of them used keeps none."""
    if not _many():
        return
    found = list(parameters)
    used = torch.tensor([p.grad is not None for p in found], dtype=torch.int32, device=_device())
    distributed.all_reduce(used, distributed.ReduceOp.MAX)
    for parameter, wanted in zip(found, used.tolist(), strict=True):
        if wanted:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            distributed.all_reduce(parameter.grad)


def _many() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _device() -> torch.device:
    """Where tensors have to lie to be sent."""
    nccl = distributed.get_backend() == "nccl"
    return torch.device("cuda", torch.cuda.current_device()) if nccl else torch.device("cpu")
