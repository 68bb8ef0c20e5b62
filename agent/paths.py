"""Where files live on this machine. Reads the environment for paths, and for nothing else."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """Return the folder of what can be fetched again: ``$XDG_CACHE_HOME/rapport``, or the one in the home."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG rule: a relative path is invalid and is ignored.
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "rapport"


def models_dir() -> Path:
    """Return the folder of the model store: ``$RAPPORT_MODELS``, or ``models`` in the cache."""
    chosen = os.environ.get("RAPPORT_MODELS", "")
    return Path(chosen).expanduser().absolute() if chosen else cache_dir() / "models"


def clips_dir() -> Path:
    """Return the folder of the footage for tests: ``clips`` beside the models."""
    return models_dir().with_name("clips")


def state_dir() -> Path:
    """Return the folder of what must not be lost: ``$RAPPORT_STATE``, or ``rapport`` in ``$XDG_STATE_HOME``."""
    chosen = os.environ.get("RAPPORT_STATE", "")
    if chosen:
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".local" / "state") / "rapport"
