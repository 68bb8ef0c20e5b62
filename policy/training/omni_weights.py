"""The trained part of Qwen2.5-Omni: an adapter of low rank or all parameters, on disk and as training began.

A LoRA folder is also one that ``peft`` and servers built on it read: ``adapter_model.safetensors`` and
``adapter_config.json``. ``student.json`` beside the weights says what they belong to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from policy.training.student import BaseMismatch

if TYPE_CHECKING:
    import torch

TARGETS: Final = r"model\.language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
"""Layers that an adapter goes to: all linear ones of the language model, none of the towers."""

CARD: Final = "student.json"
ADAPTER: Final = "adapter_model.safetensors"
ADAPTER_CONFIG: Final = "adapter_config.json"
FULL: Final = "model.safetensors"

_NAME: Final = "default"
_PEFT_PREFIX: Final = "base_model.model."
_SAMPLE: Final = 1 << 20
"""Bytes that are hashed at the begin, in the middle and at the end of a file of weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraRecipe:
    """An adapter (Hu et al., *LoRA*, 2021).

    Attributes:
        rank: of the two matrices.
        alpha: the product is scaled by ``alpha / rank``.
        dropout: share of inputs left out in supervised steps.
        targets: regular expression that the name of an adapted layer matches from begin to end.

    Raises:
        ValueError: a value is out of its range; the message names it.
    """

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    targets: str = TARGETS

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"lora rank is {self.rank}; it is at least 1")
        if not self.alpha > 0:
            raise ValueError(f"lora alpha is {self.alpha}; it is more than 0")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"lora dropout is {self.dropout}; it is from 0 to below 1")


def fingerprint(folder: Path) -> str:
    """Return twelve digits that tell one set of weights from another, whatever its folder is called.

    Of each file 3 MiB are read, so that tens of gigabytes take no time.

    Raises:
        FileNotFoundError: there are no weights in ``folder``.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise FileNotFoundError(f"{folder}: holds no *.safetensors; name the folder of the base model")
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        digest.update(str(size).encode())
        with path.open("rb") as file:
            for start in (0, max(0, size // 2), max(0, size - _SAMPLE)):
                file.seek(start)
                digest.update(file.read(_SAMPLE))
    return digest.hexdigest()[:12]


def inject(thinker: torch.nn.Module, recipe: LoraRecipe) -> None:
    """Put an adapter into the language model; only it has a gradient from now on. It begins as no change at all.

    Raises:
        ValueError: no layer has a name that the recipe wants.
    """
    import torch
    from peft import LoraConfig, inject_adapter_in_model

    thinker.requires_grad_(False)
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,  # type: ignore[arg-type]
        lora_dropout=recipe.dropout,
        target_modules=recipe.targets,
        bias="none",
    )
    inject_adapter_in_model(config, thinker)
    for name, parameter in thinker.named_parameters():
        if ".lora_" in name:
            # In bfloat16 a small step on a weight is rounded away.
            parameter.data = parameter.data.to(torch.float32)
            parameter.requires_grad_(True)


@contextmanager
def without_adapter(thinker: torch.nn.Module) -> Iterator[None]:
    """Let the model answer as its base does; no gradient may be computed meanwhile."""
    import torch
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers = [module for module in thinker.modules() if isinstance(module, BaseTunerLayer)]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        with torch.no_grad():
            yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)


@contextmanager
def instead(parameters: Mapping[str, torch.nn.Parameter], kept: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Let the model answer with other values of its trained parameters; no gradient may be computed meanwhile."""
    import torch

    own = {name: parameter.data for name, parameter in parameters.items()}
    with torch.no_grad():
        try:
            for name, parameter in parameters.items():
                parameter.data = kept[name].to(parameter.device)
            yield
        finally:
            for name, parameter in parameters.items():
                parameter.data = own[name]


def save(folder: Path, base: str, recipe: LoraRecipe | None, parameters: Mapping[str, torch.nn.Parameter]) -> None:
    """Write the trained parameters and what they belong to.

    Args:
        folder: made if there is none.
        base: name and fingerprint of the base model.
        recipe: of the adapter; ``None`` where all parameters are trained.
        parameters: by name, as the model has them.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {_stored(name, recipe): p.detach().cpu().contiguous() for name, p in parameters.items()}
    save_file(tensors, folder / (FULL if recipe is None else ADAPTER), metadata={"format": "pt", "base": base})
    card: dict[str, Any] = {"kind": "omni", "base": base, "lora": None if recipe is None else asdict(recipe)}
    _write(folder / CARD, card)
    if recipe is not None:
        _write(folder / ADAPTER_CONFIG, _peft_config(base, recipe))


def load(folder: Path, base: str, recipe: LoraRecipe | None, parameters: Mapping[str, torch.nn.Parameter]) -> None:
    """Read what :func:`save` wrote into ``parameters``.

    Raises:
        FileNotFoundError: ``folder`` holds no student.
        BaseMismatch: it belongs to another base.
        ValueError: it was trained in another way, or its tensors are others.
    """
    import torch
    from safetensors.torch import load_file

    path = folder / CARD
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; name a folder that training has written")
    card = json.loads(path.read_text(encoding="utf-8"))
    theirs = str(card.get("base"))
    if card.get("kind") != "omni" or theirs.rpartition("@")[2] != base.rpartition("@")[2]:
        kind = "" if card.get("kind") == "omni" else f" (a student of kind {card.get('kind')!r})"
        raise BaseMismatch(f"{folder}: was trained from {theirs}{kind}, but this student's base is {base}")
    ours = None if recipe is None else {**asdict(recipe), "dropout": None}
    stored = None if card.get("lora") is None else {**card["lora"], "dropout": None}
    if ours != stored:
        raise ValueError(f"{folder}: holds {_told(stored)}, but this student has {_told(ours)}; set them alike")
    weights = folder / (FULL if recipe is None else ADAPTER)
    tensors = load_file(weights)
    for name, parameter in parameters.items():
        found = tensors.pop(_stored(name, recipe), None)
        if found is None or found.shape != parameter.shape:
            shape = "missing" if found is None else f"of shape {tuple(found.shape)}"
            raise ValueError(f"{weights}: {name} is {shape}, expected {tuple(parameter.shape)}; train it anew")
        with torch.no_grad():
            parameter.copy_(found)
    if tensors:
        raise ValueError(f"{weights}: {min(tensors)} has no place in this model; train it anew")


def _stored(name: str, recipe: LoraRecipe | None) -> str:
    return name if recipe is None else _PEFT_PREFIX + name.replace(f".{_NAME}.", ".")


def _told(lora: Mapping[str, Any] | None) -> str:
    if lora is None:
        return "all parameters"
    return f"an adapter of rank {lora['rank']}, alpha {lora['alpha']:g}, for {lora['targets']}"


def _peft_config(base: str, recipe: LoraRecipe) -> dict[str, Any]:
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base.rpartition("@")[0],
        "r": recipe.rank,
        "lora_alpha": recipe.alpha,
        "lora_dropout": recipe.dropout,
        "target_modules": recipe.targets,
        "bias": "none",
        "inference_mode": True,
    }


def _write(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
