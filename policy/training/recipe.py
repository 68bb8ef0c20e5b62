"""Recipes: the settings of a stage of training. A value out of range is told with the field and the range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, TypeVar

R = TypeVar("R", bound="Recipe")

_WHOLE: Final[Mapping[str, tuple[int, int]]] = {
    "epochs": (1, 10_000),
    "steps": (0, 100_000_000),
    "batch": (1, 1_000_000),
    "parts": (1, 1_000_000),
    "evaluate_every": (0, 100_000_000),
    "save_every": (1, 100_000_000),
    "seed": (0, 2**63 - 1),
    "generations": (2, 1024),
    "most": (1, 1_000_000),
    "inner": (1, 64),
}
_REAL: Final[Mapping[str, tuple[float, float]]] = {
    "rate": (1e-12, 1.0),
    "warmup": (0.0, 1.0),
    "floor": (0.0, 1.0),
    "decay": (0.0, 1.0),
    "clip": (1e-6, 1e6),
    "temperature": (0.01, 10.0),
    "beta": (0.0, 10.0),
    "ratio_clip": (0.01, 1.0),
}
_FACTORS: Final = (0.0, 1e6)


class RecipeError(ValueError):
    """A recipe cannot be used; the message names the field and what it may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What all stages share.

    Attributes:
        rate: highest learning rate of AdamW.
        rates: factors of it for parameters whose name begins with a prefix; the longest prefix counts.
        warmup: share of all steps in which the rate grows from nothing.
        floor: share of the rate that is left at the end of the cosine.
        decay: of weights with two dimensions or more; biases and norms have none.
        clip: highest norm of the gradient.
        epochs: how often the data is gone through.
        steps: at most, over all epochs; 0 for no limit.
        batch: examples per step, over all processes.
        parts: that the share of one process is cut into, one after the other, where memory is short.
        evaluate_every: steps between two measurements on the dev part; 0 for the beginning and the end only.
        save_every: steps between two checkpoints.
        best: the dev figure by which the best checkpoint is chosen, ``-loss`` for one that is better when lower;
            ``""`` for none.
        seed: of the order of examples and everything else that is random.
    """

    rate: float = 1e-4
    rates: Mapping[str, float] = field(default_factory=dict)
    warmup: float = 0.03
    floor: float = 0.1
    decay: float = 0.01
    clip: float = 1.0
    epochs: int = 1
    steps: int = 0
    batch: int = 16
    parts: int = 1
    evaluate_every: int = 0
    save_every: int = 100
    best: str = ""
    seed: int = 7

    def __post_init__(self) -> None:
        for name in (f.name for f in fields(self)):
            _check(name, getattr(self, name))


def read(kind: type[R], table: Mapping[str, Any]) -> R:
    """Make a recipe of ``kind`` from a table, such as one of TOML.

    Raises:
        RecipeError: a field is unknown or out of range.
    """
    known = [f.name for f in fields(kind)]
    for name in table:
        if name not in known:
            raise RecipeError(f"{name} is not a field; there are: {', '.join(known)}")
    return kind(**table)


def as_json(recipe: Recipe) -> dict[str, Any]:
    """Return all settings, as a run records them."""
    return {**asdict(recipe), "rates": dict(recipe.rates)}


def _check(name: str, value: Any) -> None:
    if name in _WHOLE:
        low, high = _WHOLE[name]
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise RecipeError(f"{name} is {value!r}, expected a whole number from {low} to {high}")
    elif name in _REAL:
        _check_real(name, value, *_REAL[name])
    elif name == "rates":
        if not isinstance(value, Mapping):
            raise RecipeError(f"{name} is {value!r}, expected a table from prefixes of names to factors")
        for prefix, factor in value.items():
            _check_real(f"{name}.{prefix}", factor, *_FACTORS)
    elif not isinstance(value, str):
        raise RecipeError(f"{name} is {value!r}, expected a text")


def _check_real(name: str, value: Any, low: float, high: float) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise RecipeError(f"{name} is {value!r}, expected a number from {low:g} to {high:g}")
