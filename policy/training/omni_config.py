"""Reads the ``[student]`` and ``[data]`` tables of a training configuration for Qwen2.5-Omni.

Both are told with table and field where something is wrong. ``configs/train/omni-*.toml`` name everything there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from policy.training.humansense import ReadMedia, examples, read
from policy.training.omni import OmniStudent
from policy.training.omni_example import OmniExample
from policy.training.omni_inputs import Limits
from policy.training.omni_weights import CARD, LoraRecipe
from policy.training.tables import ConfigurationError, check, checkpoint, made, one_of

KIND: Final = "omni"
ADAPTER, ALL = "adapter", "all"
TRAINS: Final = (ADAPTER, ALL)
DTYPES: Final = ("float32", "bfloat16")

_STUDENT: Final[Mapping[str, type]] = {
    "kind": str, "base": str, "adapter": str, "trains": str, "dtype": str, "attention": str,
    "checkpointing": bool, "towers": bool, "rows": int, "lora": dict, "limits": dict,
}  # fmt: skip
_DATA: Final[Mapping[str, type]] = {"humansense": str, "root": str, "stage": str}


def open_student(table: Mapping[str, Any], *, device: str, seed: int = 0) -> OmniStudent:
    """Open the student that ``[student]`` describes.

    Fields: ``kind`` (``omni``), ``base`` (folder of the model), ``adapter`` (what an earlier stage has trained: a
    checkpoint, or the folder of a run, whose last one is taken), ``trains`` (``adapter`` or ``all``), ``dtype``,
    ``attention``, ``checkpointing``, ``towers``, ``rows``, and the tables ``lora`` and ``limits``; see
    :meth:`policy.training.omni.OmniStudent.open`.

    Args:
        table: as read from TOML.
        device: where it computes.
        seed: of a new adapter.

    Raises:
        ConfigurationError: a field is missing, unknown or of no use.
        FileNotFoundError: a folder lacks what it should hold.
        BaseMismatch: ``adapter`` belongs to another base.
    """
    import torch

    check("student", table, _STUDENT, required=("kind", "base"))
    one_of("student", table, "kind", (KIND,))
    trains = one_of("student", {"trains": ADAPTER, **table}, "trains", TRAINS)
    dtype = one_of("student", {"dtype": "bfloat16" if trains == ADAPTER else "float32", **table}, "dtype", DTYPES)
    if trains == ALL and "lora" in table:
        raise ConfigurationError("student.lora is for trains = 'adapter'; remove one of them")
    given = {name: table[name] for name in ("attention", "checkpointing", "towers", "rows") if name in table}
    earlier = str(table.get("adapter", ""))
    try:
        return OmniStudent.open(
            Path(table["base"]),
            lora=made(LoraRecipe, "student.lora", table.get("lora", {})) if trains == ADAPTER else None,
            dtype=getattr(torch, dtype),
            device=device,
            adapter=checkpoint(Path(earlier), CARD, best=False) if earlier else None,
            limits=made(Limits, "student.limits", table.get("limits", {})),
            seed=seed,
            **given,
        )
    except ConfigurationError:
        raise
    except ValueError as error:
        if type(error) is not ValueError:
            raise
        raise ConfigurationError(f"student: {error}") from error


def load_examples(table: Mapping[str, Any], read_media: ReadMedia) -> list[OmniExample]:
    """Read the examples that ``[data]`` names.

    Fields: ``humansense`` (a training file), ``root`` (of the media), ``stage`` (``vision``, ``audio`` or ``both``,
    where the name of the file does not tell it).

    Raises:
        ConfigurationError: a field is missing, unknown or of no use.
        TrainingFileError: the file cannot be used.
    """
    check("data", table, _DATA, required=("humansense", "root"))
    items = read(Path(table["humansense"]), Path(table["root"]), stage=table.get("stage", ""))
    return examples(items, read_media)
