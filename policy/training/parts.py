"""Which part of the corpus is for what: situations that resemble each other stay together, and the test part is frozen.

Every situation belongs to a group of situations whose last words are near in meaning; a hash of the group decides
its part, so that nothing that was trained on comes back in other words. The test part stands in
``corpus/test.json`` with a hash of its content, and whatever changes it is told.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from policy.embedding import Embed
from policy.training.corpus import FOLDER, Choice, CorpusError, Situation

FROZEN: Final = "test.json"
FROZEN_CHOICES: Final = "test-choices.json"
TEST_SHARE, DEV_SHARE = 0.15, 0.10
CHOICE_TEST_SHARE: Final = 0.40
NEAR: Final = 0.82
"""Cosine of the last words from which two situations belong together."""

TOO_NEAR: Final = 0.97
"""Cosine of the whole dialogue from which two situations are the same, unless what is seen or heard differs."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The corpus in three parts."""

    train: tuple[Situation, ...]
    dev: tuple[Situation, ...]
    test: tuple[Situation, ...]


@dataclass(frozen=True, slots=True)
class ChoiceParts:
    """The multiple-choice items in three parts."""

    train: tuple[Choice, ...]
    dev: tuple[Choice, ...]
    test: tuple[Choice, ...]


def groups(found: Sequence[Situation | Choice], embed: Embed) -> dict[str, str]:
    """Return, by id, the smallest id of the items that belong together.

    Those of a situation's are told by its last words, those of a multiple-choice item's by all that is said.
    """
    vectors = embed([_told(item) for item in found])
    leader = list(range(len(found)))

    def root(n: int) -> int:
        while leader[n] != n:
            leader[n] = leader[leader[n]]
            n = leader[n]
        return n

    for a, b in np.argwhere(np.triu(vectors @ vectors.T, 1) >= NEAR):
        leader[root(int(b))] = root(int(a))
    first: dict[int, str] = {}
    for n, situation in enumerate(found):
        first[root(n)] = min(first.get(root(n), situation.id), situation.id)
    return {situation.id: first[root(n)] for n, situation in enumerate(found)}


def _told(item: Situation | Choice) -> str:
    return item.turns[-1].text if isinstance(item, Situation) else " ".join(turn.text for turn in item.turns)


def repeated(found: Sequence[Situation], embed: Embed) -> list[tuple[str, str]]:
    """Return pairs of situations that are the same in all but a word or two."""
    vectors = embed([" ".join(turn.text for turn in s.turns) for s in found])
    pairs = np.argwhere(np.triu(vectors @ vectors.T, 1) >= TOO_NEAR)
    return [(found[a].id, found[b].id) for a, b in pairs if _shown(found[a]) == _shown(found[b])]


def _shown(situation: Situation) -> list[tuple[Any, ...]]:
    return [(t.face, t.voice, t.gaze, t.gestures) for t in situation.turns]


def freeze(found: Sequence[Situation], embed: Embed) -> dict[str, Any]:
    """Return what ``test.json`` holds: ids of the test and of the dev part, and the hash of the former's content."""
    together = groups(found, embed)
    share = {name: int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 0x1_0000_0000 for name in together.values()}
    test = sorted(s.id for s in found if share[together[s.id]] < TEST_SHARE)
    dev = sorted(s.id for s in found if TEST_SHARE <= share[together[s.id]] < TEST_SHARE + DEV_SHARE)
    return {"test": test, "dev": dev, "sha256": digest(found, test)}


def freeze_choices(found: Sequence[Choice], embed: Embed, *, older: Sequence[str]) -> dict[str, Any]:
    """Return what ``test-choices.json`` holds, as :func:`freeze` does for situations.

    Args:
        found: all items.
        embed: the sentence encoder.
        older: ids that may be in the dev and test parts; what belongs to one of those parts otherwise is left out.
    """
    together = groups(found, embed)
    share = {name: int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 0x1_0000_0000 for name in together.values()}
    part = {c.id: share[together[c.id]] for c in found}
    old = set(older)
    test = sorted(n for n, at in part.items() if at < CHOICE_TEST_SHARE and n in old)
    dev = sorted(n for n, at in part.items() if CHOICE_TEST_SHARE <= at < CHOICE_TEST_SHARE + DEV_SHARE and n in old)
    held = {together[name] for name in (*test, *dev)}
    out = sorted(n for n, at in together.items() if at in held and n not in old)
    return {"test": test, "dev": dev, "left_out": out, "sha256": digest(found, test)}


def choice_parts(found: Sequence[Choice], folder: Path = FOLDER) -> ChoiceParts:
    """Return the multiple-choice items in their parts.

    Raises:
        CorpusError: the test part is not what was frozen.
    """
    frozen: Mapping[str, Any] = json.loads((folder / FROZEN_CHOICES).read_text(encoding="utf-8"))
    if digest(found, frozen["test"]) != frozen["sha256"]:
        raise CorpusError(
            f"{folder / FROZEN_CHOICES}: the test part has changed since it was frozen; take the change back"
        )
    test, dev, out = set(frozen["test"]), set(frozen["dev"]), set(frozen["left_out"])
    return ChoiceParts(
        train=tuple(c for c in found if c.id not in test | dev | out),
        dev=tuple(c for c in found if c.id in dev),
        test=tuple(c for c in found if c.id in test),
    )


def digest(found: Sequence[Situation | Choice], ids: Sequence[str]) -> str:
    """Return the hash of the named situations' content."""
    by_id = {s.id: s for s in found}
    content = [asdict(by_id[name]) for name in ids if name in by_id]
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def parts(found: Sequence[Situation], folder: Path = FOLDER) -> Parts:
    """Return the corpus in its parts.

    Raises:
        CorpusError: the test part is not what was frozen.
    """
    frozen: Mapping[str, Any] = json.loads((folder / FROZEN).read_text(encoding="utf-8"))
    if digest(found, frozen["test"]) != frozen["sha256"]:
        raise CorpusError(f"{folder / FROZEN}: the test part has changed since it was frozen; take the change back")
    test, dev = set(frozen["test"]), set(frozen["dev"])
    return Parts(
        train=tuple(s for s in found if s.id not in test | dev),
        dev=tuple(s for s in found if s.id in dev),
        test=tuple(s for s in found if s.id in test),
    )
