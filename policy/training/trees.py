"""A conversation and its branches as one row of a batch.

The conversation comes first, then one branch behind the other; a mask lets each branch see the conversation and
itself, and its positions go on from the conversation's end. So the conversation is computed once, whatever follows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from policy.listener import Felt, Unit, row, token_ids, units
from policy.lm import END_OF_MESSAGE
from policy.training.examples import OPTION, Branch, Example

Encode = Callable[[str], Sequence[int]]


@dataclass(frozen=True, slots=True)
class Tree:
    """One example as units.

    Attributes:
        trunk: the conversation.
        branches: what may follow; a reply begins with the rows of its strategy and emotion. All end as a
            message does.
    """

    trunk: tuple[Unit, ...]
    branches: tuple[tuple[Unit, ...], ...]

    @property
    def length(self) -> int:
        """Units in all."""
        return len(self.trunk) + sum(map(len, self.branches))


@dataclass(frozen=True, slots=True)
class Batch:
    """Trees side by side, padded.

    Attributes:
        units: of each row.
        ids: token ids, shape ``(batch, length)``, 0 where something is felt or padded.
        mask: additive attention mask, shape ``(batch, 1, length, length)``: 0 or a large negative number.
        positions: shape ``(batch, length)``.
        trunk_ends: place of the last unit of each trunk.
        starts: per row, place of the first unit of each branch.
        stops: per row, place behind the last unit of each branch.
    """

    units: tuple[tuple[Unit, ...], ...]
    ids: Any
    mask: Any
    positions: Any
    trunk_ends: tuple[int, ...]
    starts: tuple[tuple[int, ...], ...]
    stops: tuple[tuple[int, ...], ...]


def tree_of(example: Example, encode: Encode) -> Tree:
    """Return ``example`` as units."""
    trunk = tuple(units(example.pieces, encode))
    return Tree(trunk, tuple(branch_units(branch, encode) for branch in example.branches))


def branch_units(branch: Branch, encode: Encode) -> tuple[Unit, ...]:
    """Return a branch as units."""
    lead: list[Felt] = [] if branch.role == OPTION else [row(branch.strategy), row(branch.emotion)]
    return (*lead, *encode(branch.text + END_OF_MESSAGE))


def pack(trees: Sequence[Tree]) -> Batch:
    """Put trees side by side."""
    length = max(tree.length for tree in trees)
    found: list[tuple[Unit, ...]] = []
    starts: list[tuple[int, ...]] = []
    stops: list[tuple[int, ...]] = []
    seen = torch.zeros(len(trees), length, length, dtype=torch.bool)
    positions = torch.zeros(len(trees), length, dtype=torch.long)
    for b, tree in enumerate(trees):
        size = len(tree.trunk)
        seen[b, :size, :size] = _causal(size)
        positions[b, :size] = torch.arange(size)
        at, begins, ends = size, [], []
        for branch in tree.branches:
            stop = at + len(branch)
            seen[b, at:stop, :size] = True
            seen[b, at:stop, at:stop] = _causal(len(branch))
            positions[b, at:stop] = torch.arange(size, size + len(branch))
            begins.append(at)
            ends.append(stop)
            at = stop
        rest = torch.arange(at, length)
        seen[b, rest, rest] = True
        found.append((*tree.trunk, *(unit for branch in tree.branches for unit in branch)))
        starts.append(tuple(begins))
        stops.append(tuple(ends))
    ids = torch.zeros(len(trees), length, dtype=torch.long)
    for b, row_ in enumerate(found):
        ids[b, : len(row_)] = torch.tensor(token_ids(row_))
    mask = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)[:, None]
    ends_ = tuple(len(tree.trunk) - 1 for tree in trees)
    return Batch(tuple(found), ids, mask, positions, ends_, tuple(starts), tuple(stops))


def _causal(size: int) -> Any:
    return torch.ones(size, size, dtype=torch.bool).tril()
