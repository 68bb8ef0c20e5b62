"""Reads the ``[student]``, ``[data]`` and ``[rewards]`` tables of a training configuration for the embedded mind.

What is wrong is told with table and field. ``configs/train/compact-*.toml`` name everything there is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from policy.gate import broken_rule
from policy.listener import CARD
from policy.training import heard as hearing
from policy.training.compact import CompactStudent, Lora, Weights
from policy.training.corpus import FOLDER, choices, situations
from policy.training.examples import Example
from policy.training.lessons import Item, Lessons, Plan
from policy.training.parts import ChoiceParts, Parts, choice_parts, parts
from policy.training.rewards import Accuracy, Format, Length, Reward, Safety, fitting, is_line, reply_of
from policy.training.tables import ConfigurationError, check, checkpoint, made, one_of

KIND: Final = "compact"
TRAINS: Final = ("adapter", "all")
KINDS: Final = ("situations", "choices")
PARTS: Final = ("train", "dev", "test")

_STUDENT: Final[Mapping[str, type]] = {
    "kind": str, "base": str, "adapter": str, "trains": str, "bf16": bool, "lora": dict, "weights": dict,
}  # fmt: skip
_DATA: Final[Mapping[str, type]] = {
    "corpus": str, "heard": str, "spoken_only": bool, "kinds": list, "limit": int, "dev_limit": int, "lessons": dict,
}  # fmt: skip
_REWARDS: Final = ("accuracy", "format", "length", "safety")


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """What is learned from and what is measured on.

    Attributes:
        train: lessons of the training part.
        dev: lessons of the dev part: blurred and spoken as in training, never varied, always the same.
    """

    train: Lessons
    dev: Lessons


def open_student(table: Mapping[str, Any], resolve: Callable[[str], Path], *, seed: int = 0) -> CompactStudent:
    """Open the student that ``[student]`` describes.

    Fields: ``kind`` (``compact``), ``base`` (an embedded model's name or a folder), ``adapter`` (what an earlier stage
    has trained: a checkpoint, or the folder of a run, whose best one is taken, or else its last), ``trains``
    (``adapter`` or ``all``), ``bf16``, and the tables ``lora`` and ``weights``.

    Args:
        table: as read from TOML.
        resolve: from a model's name to its folder.
        seed: of a new adapter.

    Raises:
        ConfigurationError: a field is missing, unknown or of no use.
        BaseMismatch: ``adapter`` belongs to another base.
    """
    check("student", table, _STUDENT, required=("kind", "base"))
    if table["kind"] != KIND:
        raise ConfigurationError(f"student.kind is {table['kind']!r}, expected {KIND!r}")
    trains = one_of("student", {"trains": "adapter", **table}, "trains", TRAINS)
    if trains == "all" and "lora" in table:
        raise ConfigurationError("student.lora is for trains = 'adapter'; remove one of them")
    lora = made(Lora, "student.lora", table.get("lora", {})) if trains == "adapter" else None
    weights = made(Weights, "student.weights", table.get("weights", {}))
    student = CompactStudent(
        base_folder(table["base"], resolve),
        lora=lora,
        weights=weights,
        bf16=table.get("bf16", False),
        seed=seed,
    )
    if table.get("adapter"):
        student.load(trained(Path(table["adapter"])))
    student.keep_reference()
    return student


def base_folder(name: str, resolve: Callable[[str], Path]) -> Path:
    """Return the folder of a base model: ``name`` itself where it is one, or else what it resolves to."""
    folder = Path(name)
    return folder if folder.is_dir() else resolve(name)


def trained(folder: Path) -> Path:
    """Return the checkpoint of an adapter that a folder is or holds: the best one, or else the last.

    Raises:
        ConfigurationError: there is none.
    """
    return checkpoint(folder, CARD, best=True)


def load_data(table: Mapping[str, Any]) -> Data:
    """Read what ``[data]`` describes.

    Fields: ``corpus`` (a folder, default the one that ships), ``heard`` (what ``python -m agent.rendering`` wrote, or
    nothing), ``spoken_only`` (whether only what was rendered is trained on), ``kinds`` (``situations``, ``choices``),
    ``limit`` and ``dev_limit`` (items of a kind, 0 for all), and the table ``lessons``, the fields of
    :class:`policy.training.lessons.Plan`.

    Raises:
        ConfigurationError: a field is unknown or of no use.
        CorpusError: a line of the corpus breaks the schema.
        HeardError: the rendered store is broken.
    """
    check("data", table, _DATA)
    for field in ("limit", "dev_limit"):
        if table.get(field, 0) < 0:
            raise ConfigurationError(f"data.{field} is {table[field]}, expected a number of items, 0 for all")
    for field in ("corpus", "heard"):
        if table.get(field) and not Path(table[field]).is_dir():
            raise ConfigurationError(f"data.{field} is {table[field]!r}, which is no folder")
    kinds = table.get("kinds", list(KINDS))
    if not kinds or any(kind not in KINDS for kind in kinds):
        raise ConfigurationError(f"data.kinds is {kinds!r}, expected some of {', '.join(KINDS)}")
    plan = made(Plan, "data.lessons", _tuples(table.get("lessons", {})))
    folder = Path(table["corpus"]) if table.get("corpus") else FOLDER
    known = hearing.load(Path(table["heard"])) if table.get("heard") else {}
    if plan.spoken and not known:
        raise ConfigurationError(
            "data.lessons.spoken needs data.heard: the folder that python -m agent.rendering wrote"
        )
    divided = [_divided(kind, folder) for kind in kinds]
    items = _of_part("train", divided, table.get("limit", 0))
    if table.get("spoken_only"):
        items = [item for item in items if item.id in known]
    still = replace(plan, rounds=1, varied=False, missing=0.0, spoken=1.0 if plan.spoken else 0.0)
    return Data(
        train=Lessons(items, plan, known),
        dev=Lessons(_of_part("dev", divided, table.get("dev_limit", 0)), still, known),
    )


def part_of(name: str, kinds: Sequence[str], folder: Path = FOLDER, limit: int = 0) -> list[Item]:
    """Return the items of a part of the corpus, at most ``limit`` of each kind if that is not 0."""
    return _of_part(name, [_divided(kind, folder) for kind in kinds], limit)


def _divided(kind: str, folder: Path) -> Parts | ChoiceParts:
    return parts(situations(folder), folder) if kind == "situations" else choice_parts(choices(folder), folder)


def _of_part(name: str, divided: Sequence[Parts | ChoiceParts], limit: int) -> list[Item]:
    return [item for found in divided for item in getattr(found, name)[: limit or None]]


def rewards_of(table: Mapping[str, Any]) -> list[Reward]:
    """Return the rewards of ``[rewards]``: a weight for each of accuracy, format, length and safety, 1 by default.

    Raises:
        ConfigurationError: a weight is unknown or of no use.
    """
    for name, value in table.items():
        if name not in _REWARDS:
            raise ConfigurationError(f"rewards.{name} is not a field; there are: {', '.join(_REWARDS)}")
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 100:
            raise ConfigurationError(f"rewards.{name} is {value!r}, expected a number from 0 to 100")
    weight = {name: float(table.get(name, 1.0)) for name in _REWARDS}
    found: list[Reward] = [
        Accuracy(fitting(lambda example: (example.strategies, example.emotions)), weight["accuracy"]),
        Format(is_line, weight["format"]),
        Length(reply_of, weight["length"]),
        Safety(_may_be_said, reply_of, weight["safety"]),
    ]
    return [reward for reward in found if reward.weight]


def _may_be_said(example: Example, reply: str) -> bool:
    advice = "suggestion" in example.strategies
    return not broken_rule(
        reply,
        words=example.words,
        before=example.before,
        said=example.said,
        strategy="",
        mood=example.mood,
        advice=advice,
    )


def _tuples(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}
