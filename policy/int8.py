"""Matrices as eight-bit integers with one scale for each output; activations stay bfloat16."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Int8Linear(nn.Module):
    """A linear layer without bias whose weights are int8, shape ``(out, in)``, times a scale per output."""

    weight: torch.Tensor
    scale: torch.Tensor

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        weight = weight.detach().float()
        scale = (weight.abs().amax(dim=1) / 127).clamp_min(1e-12)
        self.register_buffer("weight", (weight / scale[:, None]).round().clamp(-127, 127).to(torch.int8))
        self.register_buffer("scale", scale.to(torch.bfloat16))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Multiply bfloat16 ``values`` of shape ``(..., in)``."""
        flat = values.reshape(-1, values.shape[-1])
        out = torch._weight_int8pack_mm(flat, self.weight, self.scale)
        return out.view(*values.shape[:-1], -1)


def quantise(model: Any) -> None:
    """Replace all linear layers of ``model`` in place, and make the rest bfloat16."""
    model.to(torch.bfloat16)
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear):
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, Int8Linear(module.weight))
