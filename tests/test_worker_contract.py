"""The three laws of every worker, on a real clip: cut-invariant, causal, in order.

Every module in ``perception/workers`` is held to them; a new one is found by itself.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent import build
from agent.config import ConfigError, Use
from agent.media_file import open_media
from agent.models import resolve
from perception.media import AudioChunk, Media, VideoFrame
from perception.percept import PARTIAL, Percept
from perception.timebase import MS, SECOND, Nanos
from perception.workers import WorkerFactory
from tests.scenes import crying_to_joyful

pytestmark = [pytest.mark.models, pytest.mark.slow]

LASTS: Nanos = 7 * SECOND
SHED: Nanos = 380 * MS
"""Sound that speech recognition takes in one batch before it begins to skip what is stale."""


@cache
def factory(name: str) -> WorkerFactory:
    (made,) = build.workers([Use(name)], resolve)
    return made


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> list[Media]:
    path: Path = crying_to_joyful(tmp_path_factory.mktemp("contract")).path
    with open_media(path) as media:
        return [m for m in media if end_of(m) <= LASTS]


def end_of(media: Media) -> Nanos:
    return media.end if isinstance(media, AudioChunk) else media.at


def wanted(name: str, clip: Sequence[Media]) -> list[Media]:
    return [m for m in clip if isinstance(m, factory(name).accepts)]


def cut(media: Sequence[Media], seed: int) -> Iterator[list[Media]]:
    """Batches of one to many, short enough that nothing is shed."""
    dice = random.Random(seed)
    batch: list[Media] = []
    for item in media:
        batch.append(item)
        if dice.random() < 0.3 or end_of(item) - end_of(batch[0]) >= SHED - 40 * MS:
            yield batch
            batch = []
    if batch:
        yield batch


def heard(name: str, batches: Iterator[list[Media]]) -> list[Percept]:
    worker = factory(name)()
    return [p for batch in batches for p in worker.feed(batch)]


def same(one: Sequence[Percept], other: Sequence[Percept]) -> bool:
    return [plain(p) for p in one] == [plain(p) for p in other]


def plain(p: Percept) -> tuple[Any, ...]:
    """A percept without the last bits of its floating-point numbers."""
    data = {k: round(v, 4) if isinstance(v, float) else v for k, v in p.data.items()}
    return p.kind, p.label, p.start, p.end, round(p.confidence, 4), p.worker, str(data)


@pytest.mark.parametrize("name", build.available("worker"))
def test_the_cut_of_the_batches_changes_nothing(name: str, clip: list[Media]) -> None:
    media = wanted(name, clip)
    single = heard(name, ([m] for m in media))
    # Her hand is at her face and makes none of the signs that the gesture worker knows.
    assert single or name == "gesture", f"{name} perceives nothing in seven seconds of a crying woman who talks"
    assert same(single, heard(name, cut(media, 1)))


@pytest.mark.parametrize("name", build.available("worker"))
def test_another_future_leaves_the_past_as_it_was(name: str, clip: list[Media]) -> None:
    media = wanted(name, clip)
    turning = 3 * SECOND
    noise = np.random.default_rng(0)

    def otherwise(item: Media) -> Media:
        if end_of(item) <= turning:
            return item
        if isinstance(item, AudioChunk):
            return AudioChunk(noise.normal(0, 0.1, len(item.samples)).astype(np.float32), item.start)
        assert isinstance(item, VideoFrame)
        return VideoFrame(noise.integers(0, 255, item.pixels.shape, np.uint8), item.at)

    def until_turning(batches: Iterator[Media]) -> list[Percept]:
        worker = factory(name)()
        found: list[Percept] = []
        for item in batches:
            new = worker.feed([item])
            if end_of(item) <= turning:
                found += new
        return found

    assert same(until_turning(iter(media)), until_turning(otherwise(m) for m in media))


@pytest.mark.parametrize("name", build.available("worker"))
def test_nothing_lies_in_the_future_and_times_hold_their_order(name: str, clip: list[Media]) -> None:
    worker = factory(name)()
    latest: dict[str, Nanos] = {}
    for item in wanted(name, clip):
        for p in worker.feed([item]):
            assert p.start <= p.end <= end_of(item)
            assert p.worker == name
            assert 0 <= p.confidence <= 1
            if p.kind != PARTIAL:
                assert p.end >= latest.get(p.kind, 0) - 500 * MS
            latest[p.kind] = max(latest.get(p.kind, 0), p.end)


@pytest.mark.parametrize("name", build.available("worker"))
def test_two_calls_do_not_hear_each_other(name: str, clip: list[Media]) -> None:
    media = [m for m in wanted(name, clip) if end_of(m) <= 3 * SECOND]
    alone = heard(name, ([m] for m in media))
    one, other = factory(name)(), factory(name)()
    found: list[Percept] = []
    for item in media:
        found += one.feed([item])
        if isinstance(item, AudioChunk):
            other.feed([AudioChunk(np.zeros(len(item.samples), np.float32), item.start)])
        else:
            assert isinstance(item, VideoFrame)
            other.feed([VideoFrame(np.zeros_like(item.pixels), item.at)])
    assert same(alone, found)


@pytest.mark.parametrize("name", build.available("worker"))
def test_an_unknown_option_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match="no_such_option"):
        build.workers([Use(name, {"no_such_option": 1})], resolve)
