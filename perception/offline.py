"""No library reports that it is used: the switches for that, set before any library that has one is imported.

``onnxruntime`` reads its switch at its first import, ``huggingface_hub`` likewise; ``DO_NOT_TRACK`` is the general one.
The package imports this module first, so that it comes before everything else here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

SWITCHES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ORT_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
    }
)
"""Variables of the environment that switch reporting off, and their values."""

LOCAL: Final[Mapping[str, str]] = MappingProxyType({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"})
"""Variables that keep the libraries of a hub from asking it for anything."""

# Library switches that have to be set before an import, no settings that are read.
os.environ.update(SWITCHES)  # noqa: TID251


def stay_local() -> None:
    """Keep the libraries of a hub from asking it for anything, in this process and its children."""
    os.environ.update(LOCAL)  # noqa: TID251
