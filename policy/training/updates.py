"""Reads low-rank updates back into a model that has places for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from policy.listener import LORA, AdapterError, tensors


def load_updates(model: Any, folder: Path) -> None:
    """Put the updates that an adapter's folder holds into those of ``model``.

    Args:
        model: as ``peft`` makes it.
        folder: of the adapter.

    Raises:
        AdapterError: the file is missing or broken, or its updates are of other weights or another rank; nothing is
            loaded then.
    """
    from peft import get_peft_model_state_dict, set_peft_model_state_dict

    found = tensors(folder / LORA)
    own = get_peft_model_state_dict(model, save_embedding_layers=False)
    for name in sorted(own.keys() | found.keys()):
        if name not in own or name not in found or own[name].shape != found[name].shape:
            there, wanted = (str(tuple(s[name].shape)) if name in s else "not there" for s in (found, own))
            raise AdapterError(f"{folder / LORA}: {name} is {there}, and student.lora makes it {wanted}")
    set_peft_model_state_dict(model, found)
