"""The ear, the voice detector and its hysteresis."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.models import resolve
from perception.ear import MAX_FILL, Ear, Hop, hops
from perception.media import RATE_HZ, AudioChunk, VideoFrame
from perception.onnx import open_session
from perception.silero import HOP, Edge, Segmenter, Silero, load_silero
from perception.timebase import MS, SECOND
from tests.speech_samples import SENTENCES, chunked, clicks, pink, random_cuts, say, silence, tones, voiced_span


@cache
def session() -> Any:
    return load_silero(resolve("silero-vad"))


def ear(keep_s: float = 4.0) -> Ear:
    return Ear(Silero(session()), keep_s)


def listen(one: Ear, chunks: list[AudioChunk]) -> list[Hop]:
    return list(one.hear(chunks))


def test_onnx_telemetry_is_off_and_a_missing_model_is_named(tmp_path: Path) -> None:
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    with pytest.raises(FileNotFoundError, match=r"nothing\.onnx"):
        open_session(tmp_path / "nothing.onnx")


@pytest.mark.models
@pytest.mark.parametrize("seed", range(4))
def test_hops_do_not_depend_on_the_cuts(seed: int) -> None:
    sound = np.concatenate([silence(0.3), say(SENTENCES[3]), silence(0.3)])
    whole = listen(ear(), [AudioChunk(sound.copy(), start=0)])
    assert len(whole) == len(sound) // HOP
    assert listen(ear(), chunked(sound, random_cuts(seed))) == whole


@pytest.mark.models
def test_silero_tells_speech_from_other_sounds() -> None:
    sound = np.concatenate([silence(0.5), say(SENTENCES[0])])
    first, last = voiced_span(sound)
    inside = [h.probability for h in listen(ear(), chunked(sound)) if first + 2 * HOP < h.end < last - 2 * HOP]
    assert np.mean([p > 0.5 for p in inside]) > 0.9
    for other in (silence(3), pink(3), clicks(3), tones(3), np.zeros(3 * RATE_HZ, np.float32)):
        assert max(h.probability for h in listen(ear(), chunked(other))) < 0.5


@pytest.mark.models
def test_ear_keeps_the_latest_sound() -> None:
    one = ear(keep_s=1.0)
    sound = silence(5.0, noise=0.1)
    listen(one, chunked(sound, 700))
    end = len(sound) // HOP * HOP
    np.testing.assert_array_equal(one.between(end - RATE_HZ, end), sound[end - RATE_HZ : end])
    assert one.first <= end - RATE_HZ
    assert len(one.between(0, 10)) == 0


@pytest.mark.models
def test_a_short_gap_is_silence_and_time_goes_on() -> None:
    sound = silence(1.0, noise=0.1)
    one = ear()
    got = listen(one, [AudioChunk(sound.copy(), start=0), AudioChunk(sound.copy(), start=1500 * MS)])
    assert got[-1].end == int(2.5 * RATE_HZ) // HOP * HOP
    assert not any(h.fresh for h in got)
    assert not one.between(RATE_HZ, RATE_HZ + RATE_HZ // 2).any()
    np.testing.assert_array_equal(one.between(24000, 30000), sound[:6000])


@pytest.mark.models
def test_a_long_gap_starts_afresh() -> None:
    sound = silence(1.0, noise=0.1)
    one = ear()
    got = listen(one, [AudioChunk(sound.copy(), start=0), AudioChunk(sound.copy(), start=60 * SECOND)])
    assert [h.fresh for h in got].count(True) == 1
    fresh = next(h for h in got if h.fresh)
    assert one.instant(fresh.end - HOP) == 60 * SECOND
    assert len(got) <= (2 * len(sound) + MAX_FILL) // HOP
    assert len(one.between(0, 59 * RATE_HZ)) == 0


@pytest.mark.models
def test_sound_heard_before_is_dropped() -> None:
    sound = silence(2.0, noise=0.1)
    plain = listen(ear(), [AudioChunk(sound.copy(), start=7)])
    twice = listen(
        ear(),
        [
            AudioChunk(sound[:20000].copy(), start=7),
            AudioChunk(sound[:5000].copy(), start=7),
            AudioChunk(sound[16000:].copy(), start=7 + SECOND),
        ],
    )
    assert twice == plain


@pytest.mark.models
def test_jitter_below_a_millisecond_leaves_no_click_and_no_instant_in_the_future() -> None:
    sound = silence(2.0, noise=0.1)
    rng = np.random.default_rng(5)
    chunks = [AudioChunk(c.samples.copy(), start=c.start + int(rng.integers(0, 900_000))) for c in chunked(sound)]
    one = ear()
    for chunk in chunks:
        for hop in one.hear([chunk]):
            assert one.instant(hop.end) <= chunk.end
    kept = one.between(0, 40_000)
    assert len(sound) - 2 * HOP < len(kept) <= len(sound)
    assert np.count_nonzero(kept == 0) == 0


@pytest.mark.models
def test_an_ear_guards_its_input() -> None:
    with pytest.raises(ValueError, match="48000"):
        listen(ear(), [AudioChunk(np.zeros(960, np.float32), start=0, rate_hz=48_000)])
    with pytest.raises(TypeError, match="VideoFrame"):
        list(ear().hear([VideoFrame(np.zeros((2, 2, 3), np.uint8), at=0)]))
    assert listen(ear(), [AudioChunk(np.zeros(0, np.float32), start=0)]) == []


@pytest.mark.models
def test_broken_samples_do_not_poison_the_stream() -> None:
    bad = np.full(2048, np.nan, np.float32)
    bad[::3] = np.inf
    bad[1::3] = 1e30
    speech = say(SENTENCES[0])
    one = ear()
    listen(one, [AudioChunk(bad, start=0)])
    got = listen(one, [AudioChunk(speech.copy(), start=128 * MS)])
    assert max(h.probability for h in got) > 0.9


def run(segments: Segmenter, probabilities: list[float]) -> list[tuple[int, Edge]]:
    edges = [(n, segments.step(p, (n + 1) * HOP)) for n, p in enumerate(probabilities)]
    return [(n, edge) for n, edge in edges if edge is not None]


def test_onset_is_dated_back_and_offset_to_where_the_voice_stopped() -> None:
    found = run(Segmenter(min_speech=2, min_silence=3), [0.1] * 4 + [0.9] * 5 + [0.1] * 4)
    assert found == [(5, Edge(True, 4 * HOP)), (11, Edge(False, 9 * HOP))]


def test_one_loud_hop_is_no_speech_and_a_short_dip_no_end() -> None:
    assert run(Segmenter(), [0.1, 0.9, 0.1, 0.9, 0.1]) == []
    dips = [0.9, 0.9, 0.1, 0.1, 0.9, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4]
    assert run(Segmenter(min_silence=3), dips) == [(1, Edge(True, 0))]


def test_between_the_thresholds_a_silence_that_has_begun_goes_on() -> None:
    found = run(Segmenter(min_silence=3), [0.9, 0.9, 0.1, 0.4, 0.4])
    assert found[-1] == (4, Edge(False, 2 * HOP))


@pytest.mark.parametrize("wrong", [{"on": 0.3, "off": 0.5}, {"off": 0.0}, {"min_speech": 0}, {"min_silence": 0}])
def test_impossible_thresholds_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"want|at least"):
        Segmenter(**wrong)


def test_hops_are_nearest_and_at_least_one() -> None:
    assert [hops(ms) for ms in (1, 32, 64, 200, 600)] == [1, 1, 2, 6, 19]
