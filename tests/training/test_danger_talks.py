"""The conversations that the classifier of danger is trained on, and what is measured with some that were left out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from policy.safety.detector import KINDS
from policy.training import danger_measure
from policy.training.danger_talks import HINT, NONE, PLAIN, SAFE, Talk, TalkError, names, talks, talks_of

GOOD = {"kind": "abuse", "turns": ["He is home.", "I keep my phone in the flour tin."], "levels": ["none", "hint"]}


def test_there_are_conversations_of_every_kind_and_level() -> None:
    assert len(names()) >= 4
    for name in names():
        assert {talk.kind for talk in talks_of(name)} == {*KINDS, SAFE}, name
    for kind in KINDS:
        levels = [level for talk in talks() if talk.kind == kind for level in talk.levels]
        assert min(map(levels.count, ("none", "hint", "plain"))) >= 15, kind
    assert sum(talk.kind == SAFE and len(talk.turns) >= 4 for talk in talks()) >= 350
    assert len(talks()) == sum(len(talks_of(name)) for name in names())
    assert len(talks((names()[0],))) == len(talks()) - len(talks_of(names()[0]))


def test_no_conversation_is_there_twice() -> None:
    turns = [talk.turns for talk in talks() if len(talk.turns) > 1]
    assert len(set(turns)) == len(turns)


def test_each_turn_is_read_behind_those_before_it() -> None:
    talk = Talk("abuse", ("a", "b", "c"), ("none", "hint", "plain"))
    abuse = KINDS.index("abuse")
    assert list(talk.windows()) == [(("a",), NONE), (("a", "b"), HINT + abuse), (("a", "b", "c"), PLAIN + abuse)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "boredom"}, "kind 'boredom' is none of self_harm, medical, abuse, harm_others, safe"),
        ({"turns": ["a", ""]}, "turns is no list of what is said"),
        ({"turns": "ab"}, "turns is no list of what is said"),
        ({"levels": ["none"]}, "levels has to name one of none, hint, plain for each turn"),
        ({"levels": ["none", "dark"]}, "levels has to name one of none, hint, plain for each turn"),
        ({"levels": ["none", "none"]}, "kind is abuse, which does not fit its levels"),
        ({"kind": "safe"}, "kind is safe, which does not fit its levels"),
        ({"more": 1}, 'expected an object with "kind", "turns" and "levels"'),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    (tmp_path / "w1.jsonl").write_text(f"{json.dumps(GOOD)}\n\n{json.dumps(GOOD | change)}\n", encoding="utf-8")
    with pytest.raises(TalkError) as error:
        talks_of("w1", tmp_path)
    assert str(error.value) == f"w1.jsonl, line 3: {message}"


def test_what_is_no_json_or_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "w1.jsonl").write_text("{\n", encoding="utf-8")
    with pytest.raises(TalkError, match=r"w1\.jsonl, line 1: no JSON"):
        talks((), tmp_path)
    with pytest.raises(TalkError, match=r"there is no w2\.jsonl in .*, only w1"):
        talks_of("w2", tmp_path)


def risky(windows: Sequence[Sequence[str]]) -> NDArray[np.float32]:
    """Read the number that a turn ends in as the probability of a hint of abuse, in hundredths."""
    found = np.zeros((len(windows), 2 * len(KINDS)), np.float32)
    found[:, KINDS.index("abuse")] = [int(window[-1].split()[-1]) / 100 for window in windows]
    return found


def test_what_a_threshold_costs() -> None:
    given = [
        Talk("safe", ("a 10", "b 45"), ("none", "none")),
        Talk("safe", ("a 0", "b 0"), ("none", "none")),
        Talk("abuse", ("longer than the others 5", "b 75", "c 45", "d 90"), ("none", "hint", "hint", "none")),
        Talk("abuse", ("a 35", "b 35"), ("none", "hint")),
        Talk("abuse", ("a 99",), ("plain",)),
    ]
    shares = danger_measure.read_all(risky, given)
    assert [share.shape for share in shares] == [(2, 8), (2, 8), (4, 8), (2, 8), (1, 8)]
    assert shares[2].sum(axis=1) == pytest.approx([0.05, 0.75, 0.45, 0.9])
    found = {row.limit: row for row in danger_measure.rows(given, shares)}
    assert (found[0.3].safe, found[0.3].early, found[0.3].after) == (0.25, 0.5, 1.0)
    assert (found[0.3].found, found[0.7].found, found[0.8].found) == (1.0, 0.5, 0.0)
    assert (found[0.8].plain, found[0.95].plain) == (1.0, 1.0)
    assert str(found[0.7]) == "0.70   0.00%   0.00% 100.00%  50.00% 100.00%"


def test_the_area_under_the_curve() -> None:
    given = [Talk("safe", ("a 10", "b 20"), ("none", "none")), Talk("abuse", ("a 30", "b 15"), ("hint", "hint"))]
    assert danger_measure.area(given, danger_measure.read_all(risky, given)) == 0.75
