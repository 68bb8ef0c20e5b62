"""A conversation with its branches in one row is computed as if each branch stood alone behind it."""

from __future__ import annotations

import pytest
import torch

from policy.listener import Felt
from policy.training.examples import OPTION, Branch
from policy.training.trees import Tree, branch_units, pack, tree_of
from tests.training_compact.conftest import Open
from tests.training_compact.lines import pair, situation

SMALL = Tree((1, 2, 3), ((4, 5), (6,)))


def test_mask_and_positions_of_a_small_tree() -> None:
    batch = pack([SMALL, Tree((7,), ())])
    assert batch.ids.tolist() == [[1, 2, 3, 4, 5, 6], [7, 0, 0, 0, 0, 0]]
    assert batch.positions[0].tolist() == [0, 1, 2, 3, 4, 3]
    assert (batch.trunk_ends, batch.starts, batch.stops) == ((2, 0), ((3, 5), ()), ((5, 6), ()))
    seen = (batch.mask[:, 0] == 0).int()
    assert seen[0].tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 1, 0],
        [1, 1, 1, 0, 0, 1],
    ]
    assert seen[1].tolist() == torch.eye(6, dtype=torch.int).tolist()
    assert batch.mask.shape == (2, 1, 6, 6)
    assert batch.mask.min() < -1e30


def test_a_reply_has_its_rows_in_front_and_an_option_has_none(student: Open) -> None:
    encode = student().encode
    reply, option = situation().branches[0], Branch(text="joy", role=OPTION)
    units = branch_units(reply, encode)
    assert [unit.kind for unit in units[:2] if isinstance(unit, Felt)] == ["row", "row"]
    assert list(units[2:]) == encode("I am so sorry.<|im_end|>")
    assert list(branch_units(option, encode)) == encode("joy<|im_end|>")


def test_packed_branches_equal_those_alone(student: Open) -> None:
    """Hidden states and logits of every unit, in a batch of unlike trees, felt units and padding included."""
    found = student()
    trees = [tree_of(example, found.encode) for example in pair()]
    batch = pack(trees)
    with torch.no_grad():
        hidden = found._hidden(batch)
        for b, tree in enumerate(trees):
            size = len(tree.trunk)
            assert batch.trunk_ends[b] == size - 1
            for n, branch in enumerate(tree.branches):
                alone = found._hidden(pack([Tree((*tree.trunk, *branch), ())]))[0]
                torch.testing.assert_close(hidden[b, :size], alone[:size], atol=1e-4, rtol=1e-4)
                packed = hidden[b, batch.starts[b][n] : batch.stops[b][n]]
                torch.testing.assert_close(packed, alone[size:], atol=1e-4, rtol=1e-4)
                torch.testing.assert_close(found._logits(packed), found._logits(alone[size:]), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("changed", [0, 1])
def test_a_branch_does_not_see_another(changed: int, student: Open) -> None:
    found = student()
    trunk = (1, 2, 3)
    branches = [(4, 5, 6), (7, 8, 9)]
    other = list(branches)
    other[changed] = (10, 11, 12)
    with torch.no_grad():
        one, two = (found._hidden(pack([Tree(trunk, tuple(b))]))[0] for b in (branches, other))
    same = [n for n in range(9) if torch.allclose(one[n], two[n], atol=1e-5)]
    start = 3 + 3 * changed
    assert same == [n for n in range(9) if n not in range(start, start + 3)]
