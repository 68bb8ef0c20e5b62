"""Media of a file for training: frames, their rate, and sound that keeps time."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from agent.media_file import MediaError, NothingToPlay
from agent.training.media import read_media
from perception.media import RATE_HZ
from policy.training.humansense import ReadMedia
from policy.training.omni_example import Media

READ: ReadMedia = read_media
WIDTH, HEIGHT = 64, 48
STEP = 7
"""How much brighter each picture of a clip is than the one before."""


def clip(path: Path, at_ms: Sequence[int] = (), sound: Sequence[tuple[int, NDArray[np.float32]]] = ()) -> Path:
    """Write pictures at the given times, each brighter, and stretches of 16 kHz sound with their begin in ms."""
    with av.open(str(path), "w") as out:
        if at_ms:
            pictures = out.add_stream("ffv1", rate=10)
            pictures.width, pictures.height, pictures.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            pictures.time_base = pictures.codec_context.time_base = Fraction(1, 1000)
        if sound:
            voice = out.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        for n, at in enumerate(at_ms):
            frame = av.VideoFrame.from_ndarray(np.full((HEIGHT, WIDTH, 3), STEP * n, np.uint8), format="rgb24")
            frame.pts, frame.time_base = at, Fraction(1, 1000)
            out.mux(pictures.encode(frame))
        for begin, samples in sound:
            for first in range(0, len(samples), 1600):
                whole = (samples[None, first : first + 1600] * 32767).astype(np.int16)
                part = av.AudioFrame.from_ndarray(whole, format="s16", layout="mono")
                part.sample_rate, part.time_base = RATE_HZ, Fraction(1, RATE_HZ)
                part.pts = begin * RATE_HZ // 1000 + first
                out.mux(voice.encode(part))
        if at_ms:
            out.mux(pictures.encode(None))
        if sound:
            out.mux(voice.encode(None))
    return path


def tone(seconds: float) -> NDArray[np.float32]:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def read(path: Path, **settings: Any) -> Media:
    given: dict[str, Any] = {"fps": 2.0, "most_frames": 768, "pictures": True, "sound": True}
    return READ(path, **(given | settings))


def shades(media: Media) -> NDArray[np.float64]:
    """Number of each frame in the clip, from its brightness."""
    assert media.frames is not None
    found: NDArray[np.float64] = (media.frames.reshape(len(media.frames), -1).mean(1) / STEP).round()
    return found


EVEN = range(0, 3000, 100)


def test_frames_and_sound_as_wanted(tmp_path: Path) -> None:
    path = clip(tmp_path / "clip.mkv", EVEN, [(0, tone(3.0))])
    found = read(path)
    assert found.frames is not None
    assert found.frames.shape == (6, 3, HEIGHT, WIDTH)
    assert found.fps == 2.0
    assert shades(found).tolist() == [0, 5, 10, 15, 20, 25]
    assert found.audio is not None
    assert len(found.audio) == 3 * RATE_HZ
    assert np.abs(found.audio - tone(3.0)).max() < 1e-3
    assert read(path, sound=False).audio is None
    assert read(path, pictures=False).frames is None


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5, 6, 29, 30, 31])
def test_too_many_frames_are_thinned_evenly(tmp_path: Path, most: int) -> None:
    path = clip(tmp_path / "clip.mkv", EVEN)
    found = read(path, fps=10.0, most_frames=most, sound=False)
    count = min(most, len(EVEN))
    assert found.frames is not None
    assert len(found.frames) == count
    kept = shades(found)
    assert np.abs(kept - np.arange(count) * len(EVEN) / count).max() <= 1.5
    if count > 1:
        assert found.fps == pytest.approx((count - 1) / (0.1 * (kept[-1] - kept[0])), rel=1e-3)


def test_a_file_that_is_longer_than_it_says_is_thinned_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.training.media._within", lambda fps, most, path: fps)
    found = read(clip(tmp_path / "clip.mkv", EVEN), fps=10.0, most_frames=8, sound=False)
    assert shades(found).tolist() == [0, 2, 6, 10, 14, 18, 22, 26]
    assert found.fps == pytest.approx(7 / 2.6)


def test_the_rate_is_that_of_the_file_where_it_has_fewer(tmp_path: Path) -> None:
    found = read(clip(tmp_path / "slow.mkv", range(0, 8000, 800)), sound=False)
    assert shades(found).tolist() == list(range(10))
    assert found.fps == pytest.approx(1.25)
    one = read(clip(tmp_path / "one.mkv", [0]), sound=False)
    assert one.fps == 2.0


def test_gaps_of_the_sound_are_silent_and_what_follows_is_in_time(tmp_path: Path) -> None:
    path = clip(tmp_path / "gap.mkv", EVEN, [(500, tone(0.5)), (2000, tone(1.0))])
    audio = read(path).audio
    assert audio is not None
    assert len(audio) == pytest.approx(3 * RATE_HZ, abs=2)
    loud = [float(np.abs(audio[int(a * RATE_HZ) : int(b * RATE_HZ)]).max()) for a, b in
            [(0, 0.49), (0.51, 0.99), (1.01, 1.99), (2.01, 2.99)]]  # fmt: skip
    assert np.round(loud, 1).tolist() == [0.0, 0.5, 0.0, 0.5]
    alone = read(path, pictures=False).audio
    assert alone is not None
    assert len(alone) == pytest.approx(2.5 * RATE_HZ, abs=2)


def test_what_a_file_lacks_is_none_or_told(tmp_path: Path) -> None:
    silent = clip(tmp_path / "silent.mkv", EVEN)
    assert read(silent).audio is None
    with pytest.raises(NothingToPlay, match="has no sound"):
        read(silent, pictures=False)
    with pytest.raises(NothingToPlay, match="has no pictures"):
        read(clip(tmp_path / "sound.mkv", sound=[(0, tone(1.0))]), sound=False)
    text = tmp_path / "text.mp4"
    text.write_text("no film")
    with pytest.raises(MediaError, match=r"text\.mp4: is not a video or audio file"):
        read(text)


@pytest.mark.parametrize("wrong", [{"fps": 0.0}, {"fps": float("nan")}, {"most_frames": 0}])
def test_settings_out_of_range_are_told(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{min(wrong)} is"):
        read(tmp_path / "any.mp4", **wrong)
