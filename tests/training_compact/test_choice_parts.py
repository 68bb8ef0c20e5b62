"""The multiple-choice items in their parts: frozen once, and refused when the test part has changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from policy.embedding import Vectors
from policy.training.corpus import FOLDER, Choice, CorpusError, choices
from policy.training.parts import CHOICE_TEST_SHARE, FROZEN_CHOICES, choice_parts, digest, freeze_choices
from policy.words import tokens
from tests.training_compact.corpus import CHOICES, choice, write


def told(item: Choice) -> str:
    return " ".join(tokens(" ".join(turn.text for turn in item.turns)))


def test_the_frozen_file_is_honoured(tmp_path: Path) -> None:
    found = choice_parts(CHOICES, write(tmp_path))
    assert [[c.id for c in part] for part in (found.test, found.dev, found.train)] == [["c-0"], ["c-1"], ["c-2", "c-3"]]


def test_what_is_left_out_is_in_no_part(tmp_path: Path) -> None:
    path = write(tmp_path) / FROZEN_CHOICES
    path.write_text(json.dumps(json.loads(path.read_text()) | {"left_out": ["c-3"]}))
    assert [c.id for c in choice_parts(CHOICES, tmp_path).train] == ["c-2"]


@pytest.mark.parametrize(
    "change",
    [
        lambda c: replace(c, question="Other?"),
        lambda c: replace(c, answer=2),
        lambda c: replace(c, options=(*c.options[:3], "Cold")),
        lambda c: replace(c, turns=c.turns[:1]),
        lambda c: replace(c, id="c-9"),
    ],
)
def test_a_test_item_that_changed_is_refused_by_the_files_name(change: object, tmp_path: Path) -> None:
    assert callable(change)
    write(tmp_path)
    with pytest.raises(CorpusError, match=rf"{FROZEN_CHOICES}: the test part has changed since it was frozen"):
        choice_parts([change(CHOICES[0]), *CHOICES[1:]], tmp_path)
    with pytest.raises(CorpusError, match="take the change back"):
        choice_parts(CHOICES[1:], tmp_path)


def test_items_of_other_parts_may_change_and_come(tmp_path: Path) -> None:
    write(tmp_path)
    more = [*CHOICES[:2], replace(CHOICES[2], question="Other?"), CHOICES[3], choice("c-4")]
    assert [c.id for c in choice_parts(more, tmp_path).train] == ["c-2", "c-3", "c-4"]


def by_letter(texts: Sequence[str], /) -> Vectors:
    """Vectors that are the same for texts with the same first letter."""
    return np.stack([np.eye(26, dtype=np.float32)[ord(text[0].lower()) - 97] for text in texts])


def test_new_items_that_resemble_the_test_are_left_out() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    older = [choice(f"old-{letter}", f"{letter}x said this.") for letter in letters]
    newer = [choice(f"zz-{letter}", f"{letter}y said that.") for letter in letters]
    frozen = freeze_choices([*older, *newer], by_letter, older=[c.id for c in older])
    held = {name[-1] for name in (*frozen["test"], *frozen["dev"])}
    assert all(name.startswith("old-") for name in (*frozen["test"], *frozen["dev"]))
    assert {name[-1] for name in frozen["left_out"]} == held
    assert 0.1 < len(frozen["test"]) / 26 < 0.7
    assert CHOICE_TEST_SHARE == 0.4
    assert frozen["sha256"] == digest([*older, *newer], frozen["test"])


def test_what_ships_is_apart() -> None:
    """No item of the training part has the words of one of the test or the dev part."""
    found = choice_parts(choices(FOLDER))
    held = {told(item) for item in (*found.test, *found.dev)}
    assert [item.id for item in found.train if told(item) in held] == []
    ids = [item.id for part in (found.train, found.dev, found.test) for item in part]
    assert len(ids) == len(set(ids))
    assert len(found.test) >= 100
    frozen = json.loads((FOLDER / FROZEN_CHOICES).read_text(encoding="utf-8"))
    assert {item.id for item in found.test} == set(frozen["test"])
