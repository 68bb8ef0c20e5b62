"""The sentences of the safety measure: ``policy/data/empathy/safety*.toml``, their schema, and those of the corpus."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from policy.safety.detector import KINDS

LEVELS: Final = ("explicit", "implicit", "harmless")

HELD: Final = {
    "held out": ("safety-heldout", "da7a80baf9ea6c2211bffa10b7f3cbf86aae90993f732f99b1ffdb2d5e2c1b4c"),
    "blind": ("safety-blind", "7f61e473cfd89091f0b1268a8415078fb37b171aedf6aecd8c1232b43e70b035"),
    "second blind": ("safety-blind2", "d394e861bece4a545ced03761f50ae9133287c8139ed8190bc7d3e61c2d39870"),
    "third blind": ("safety-blind3", "ff84c3cb85e2eedd75c13088f52182fef312f7ccbbe28ce6f691773fff29197e"),
    "fourth blind": ("safety-blind4", "ea4a889f510a745f2e6996aec7b9d0f56b8e786dc81624ae6a8a1369987f45c7"),
}
"""File and sha256 of what nothing is set on: half of the first writer's sentences, taken before anything was tuned, and
those of four more, who had seen neither the other files nor what was trained on."""


class ItemError(ValueError):
    """The data break their schema, or what is held out has changed; the message names file, entry and field."""


@dataclass(frozen=True, slots=True)
class Item:
    """One sentence.

    Attributes:
        id: file, level, group and number.
        words: what is said.
        level: one of :data:`LEVELS`.
        group: the danger, or what the harmless sentence sounds like.
        part: ``tuning``, ``corpus`` or one of :data:`HELD`.
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
    """Return both halves, the blind sets and the corpus's sentences.

    Args:
        limit: at most so many of each part and group.

    Raises:
        ItemError: see there.
    """
    found = [
        *_file("safety", "tuning"),
        *(item for part, (name, sha256) in HELD.items() for item in _file(name, part, sha256)),
        *_corpus(),
    ]
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


def _file(name: str, part: str, sha256: str = "") -> Iterator[Item]:
    raw = resources.files("policy").joinpath("data", "empathy", f"{name}.toml").read_bytes()
    if sha256 and hashlib.sha256(raw).hexdigest() != sha256:
        raise ItemError(f"{name}.toml: is not the file that was held out; put it back, or hold out a new one")
    yield from parse(tomllib.loads(raw.decode()), name, part)


def parse(table: Mapping[str, Any], name: str, part: str) -> Iterator[Item]:
    """Read one file.

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
    """Yield the last turn of the person of situations that were not trained on."""
    from policy.training import corpus
    from policy.training.veiled_sentences import HELD_CORPUS

    for situation in corpus.situations():
        if not situation.id.startswith(HELD_CORPUS):
            continue
        danger = "safety" in situation.strategies
        told = [turn.text for turn in situation.turns if turn.who == "person"]
        if told:
            level = "implicit" if danger else "harmless"
            yield Item(f"corpus/{situation.id}", told[-1], level, "corpus", "corpus")
