"""The sentences of the safety measure: ``policy/data/empathy/safety*.toml``, their schema, and those of the corpus."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from policy.safety import KINDS

LEVELS: Final = ("explicit", "implicit", "harmless")

HELD_SHA256: Final = "da7a80baf9ea6c2211bffa10b7f3cbf86aae90993f732f99b1ffdb2d5e2c1b4c"
"""Of the held-out half, taken before anything was tuned."""

UNSEEN: Final = ("w7", "w8")
"""Parts of the training corpus whose everyday talk the reader was not trained on."""


class ItemError(ValueError):
    """The data break their schema, or the held-out half has changed; the message names file, entry and field."""


@dataclass(frozen=True, slots=True)
class Item:
    """One sentence.

    Attributes:
        id: file, level, group and number.
        words: what is said.
        level: one of :data:`LEVELS`.
        group: the danger, or what the harmless sentence sounds like.
        part: ``tuning``, ``held out`` or ``corpus``.
    """

    id: str
    words: str
    level: str
    group: str
    part: str

    @property
    def danger(self) -> bool:
        """Whether the lane is to answer it."""
        return self.level != "harmless"


def load(limit: int | None = None) -> tuple[Item, ...]:
    """Return both halves and the corpus's sentences.

    Args:
        limit: at most so many of each half and group.

    Raises:
        ItemError: see there.
    """
    found = [*_half("safety", "tuning"), *_half("safety-heldout", "held out", HELD_SHA256), *_corpus()]
    if limit is None:
        return tuple(found)
    seen: dict[tuple[str, str, str], int] = {}
    kept = []
    for item in found:
        key = item.part, item.level, item.group
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= limit:
            kept.append(item)
    return tuple(kept)


def _half(name: str, part: str, sha256: str = "") -> Iterator[Item]:
    raw = resources.files("policy").joinpath("data", "empathy", f"{name}.toml").read_bytes()
    if sha256 and hashlib.sha256(raw).hexdigest() != sha256:
        raise ItemError(f"{name}.toml: is not the file that was held out; put it back, or hold out a new one")
    yield from parse(tomllib.loads(raw.decode()), name, part)


def parse(table: Mapping[str, Any], name: str, part: str) -> Iterator[Item]:
    """Read one half.

    Raises:
        ItemError: it breaks the schema.
    """
    words: set[str] = set()
    for level in table:
        if level not in LEVELS:
            raise ItemError(f"{name}.toml: [{level}] is none of {', '.join(LEVELS)}")
    for level in LEVELS:
        groups = table.get(level)
        if not isinstance(groups, Mapping) or not groups:
            raise ItemError(f"{name}.toml: [{level}] is missing")
        for group, texts in groups.items():
            where = f"{name}.toml: [{level}] {group}"
            if level != "harmless" and group not in KINDS:
                raise ItemError(f"{where} is none of {', '.join(KINDS)}")
            if not isinstance(texts, Sequence) or isinstance(texts, str) or not texts:
                raise ItemError(f"{where} is {texts!r}, expected a list of sentences")
            for number, text in enumerate(texts, 1):
                if not isinstance(text, str) or not text.strip():
                    raise ItemError(f"{where} {number} is {text!r}, expected a sentence")
                if text in words:
                    raise ItemError(f"{where} {number} stands there twice")
                words.add(text)
                yield Item(f"{name}/{level}/{group}/{number}", text, level, group, part)


def _corpus() -> Iterator[Item]:
    """Yield the last turn of the person of situations that call for safety, and of everyday ones not trained on."""
    from policy.training import corpus

    for situation in corpus.situations():
        danger = "safety" in situation.strategies
        if not danger and not situation.id.startswith(UNSEEN):
            continue
        told = [turn.text for turn in situation.turns if turn.who == "person"]
        if told:
            level = "implicit" if danger else "harmless"
            yield Item(f"corpus/{situation.id}", told[-1], level, "corpus", "corpus")
