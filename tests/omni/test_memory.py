"""Streamed, cropped and evicted, a call's cache gives what one pass over the same kept context gives."""

from __future__ import annotations

from random import Random
from threading import Event

import pytest
import torch

from policy.omni.memory import CHUNK, Memory, Stopped
from policy.omni.store import Fixed, Full, Growing, Store
from policy.omni.thinker import Piece, Thinker, asking, script
from policy.prompt import PERSON, Line
from policy.reel import Part, Sight, Sound
from tests.omni.calls import in_one_pass, part

STORES = ["growing", "fixed"]


def store_of(thinker: Thinker, kind: str) -> Store:
    return Growing(thinker) if kind == "growing" else Fixed(thinker, 4_000, capture=False)


def next_token(memory: Memory) -> torch.Tensor:
    with torch.no_grad():
        return torch.log_softmax(memory._thinker.logits(memory.write()._last)[0], 0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("tens", range(10))
def test_any_schedule_equals_one_pass(thinker: Thinker, kind: str, tens: int) -> None:
    """Ten schedules each, two hundred in all: reading, answering, barge-in, eviction and stops, in any order."""
    kinds = set[type]()
    for seed in range(10):
        chance = Random(1000 * (kind == "fixed") + 10 * tens + seed)
        memory = Memory(thinker, store_of(thinker, kind))
        parts: list[Part] = []
        for _ in range(chance.randrange(2, 6)):
            parts += [part(chance) for _ in range(chance.randrange(1, 4))]
            if chance.random() < 0.25:  # the oldest leave
                del parts[: chance.randrange(len(parts))]
            if chance.random() < 0.2:  # a sense is refused
                parts = [one for one in parts if not isinstance(one, Sight)]
            stop = Event()
            if chance.random() < 0.3:
                stop.set()
            pieces = script(parts, thinker.layout, "You listen.")
            try:
                memory.sync(pieces, stop)
            except Stopped:
                continue
            asked = [*pieces, asking(thinker.layout, "Decide.")]
            memory.sync(asked)
            kinds |= {type(piece) for piece in asked}
            wanted = in_one_pass(thinker, asked)
            assert float((next_token(memory) - wanted).abs().max()) < 1e-4
            if chance.random() < 0.7:  # it answers, and is cut off somewhere
                writing = memory.write()
                for _ in range(chance.randrange(1, 12)):
                    writing.append([int(writing.logits().argmax())])
                memory.forget_answer()
    assert kinds == {tuple, Sight, Sound}


@pytest.mark.parametrize("kind", STORES)
def test_only_what_is_new_is_read(thinker: Thinker, kind: str) -> None:
    chance = Random(5)
    parts = [part(chance) for _ in range(12)]
    memory = Memory(thinker, store_of(thinker, kind))
    pieces = script(parts, thinker.layout, "You listen.")
    assert memory.sync(pieces) == memory.length == sum(map(thinker.tokens, pieces))
    assert memory.sync(pieces) == 0
    longer = script([*parts, Line(PERSON, "and")], thinker.layout, "You listen.")
    assert memory.sync(longer) == sum(map(thinker.tokens, longer)) - sum(map(thinker.tokens, pieces))


def test_the_towers_see_each_medium_once(thinker: Thinker, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = Random(9)
    parts = [p for p in (part(chance) for _ in range(40)) if not isinstance(p, Line)][:8]
    seen: list[Piece] = []
    towers = thinker.block

    def counted(piece: Piece) -> object:
        if not isinstance(piece, tuple):
            seen.append(piece)
        return towers(piece)

    monkeypatch.setattr(thinker, "block", counted)
    memory = Memory(thinker, Growing(thinker))
    for end in (2, 5, 8):
        memory.sync(script(parts[:end], thinker.layout, "s"))
    memory.sync(script(parts[4:], thinker.layout, "s"))  # the older half leaves: read again, not encoded again
    assert len(seen) == 8
    memory.sync(script([*parts[:1], *parts[4:]], thinker.layout, "s"))
    assert len(seen) == 9  # what had left and comes back is new


@pytest.mark.parametrize("kind", STORES)
def test_a_stop_keeps_what_was_read(thinker: Thinker, kind: str) -> None:
    pieces = script([Line(PERSON, "x" * 200) for _ in range(6)], thinker.layout, "s")

    class After(Event):
        def __init__(self, checks: int) -> None:
            super().__init__()
            self.left = checks

        def is_set(self) -> bool:
            self.left -= 1
            return self.left < 0

    memory = Memory(thinker, store_of(thinker, kind))
    with pytest.raises(Stopped):
        memory.sync(pieces, After(2))
    assert 0 < memory.length < sum(map(thinker.tokens, pieces))
    rest = memory.sync(pieces)
    assert 0 < rest < sum(map(thinker.tokens, pieces))
    assert float((next_token(memory) - in_one_pass(thinker, pieces)).abs().max()) < 1e-4


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("kind", STORES)
def test_a_failed_read_leaves_the_cache_right(
    thinker: Thinker, kind: str, layer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory(thinker, store_of(thinker, kind))
    pieces = script([Line(PERSON, "hello there")], thinker.layout, "s")
    memory.sync(pieces)
    more = [*pieces, asking(thinker.layout, "Decide.")]
    deep = thinker.language.layers[layer].mlp

    def short_of_memory(*_: object) -> None:
        raise torch.OutOfMemoryError("none left")

    with monkeypatch.context() as broken:
        broken.setattr(deep, "forward", short_of_memory)
        with pytest.raises(torch.OutOfMemoryError):
            memory.sync(more)
    memory.sync(more)
    assert float((next_token(memory) - in_one_pass(thinker, more)).abs().max()) < 1e-4


def test_an_answer_needs_something_to_answer(thinker: Thinker) -> None:
    with pytest.raises(RuntimeError, match="nothing was read"):
        Memory(thinker, Growing(thinker)).write()


def test_a_cache_of_fixed_size_tells_when_it_is_full(thinker: Thinker) -> None:
    store = Fixed(thinker, 100, capture=False)
    memory = Memory(thinker, store)
    line = Line(PERSON, "y" * (CHUNK - 10))
    with pytest.raises(Full, match=r"do not fit a cache of 1792; enlarge capacity"):
        memory.sync(script([line] * 9, thinker.layout, "s"))
    assert memory.length <= store.capacity
    memory.clear()
    assert memory.length == 0
    pieces = script([line], thinker.layout, "s")
    memory.sync(pieces)
    assert float((next_token(memory) - in_one_pass(thinker, pieces)).abs().max()) < 1e-4


def test_a_fixed_cache_does_not_grow(thinker: Thinker) -> None:
    store = Fixed(thinker, 2_000, capture=False)
    memory, chance = Memory(thinker, store), Random(2)
    before = [keys.data_ptr() for keys, _ in store._layers]
    parts: list[Part] = []
    for _ in range(30):
        parts.append(part(chance))
        if len(parts) > 8:
            del parts[:4]
        memory.sync(script(parts, thinker.layout, "s"))
    assert [keys.data_ptr() for keys, _ in store._layers] == before
    assert len(memory._blocks) <= 8
