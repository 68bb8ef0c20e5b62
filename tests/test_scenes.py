"""The shared clip is what it says it is; other tests lean on that."""

from __future__ import annotations

import re
import wave
from pathlib import Path

import jiwer
import numpy as np
import pytest

from agent.media_file import open_media
from agent.models import resolve
from perception.media import AudioChunk, VideoFrame
from perception.timebase import SECOND, as_seconds, to_ticks
from tests import scenes

pytestmark = [pytest.mark.models, pytest.mark.slow]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> scenes.Scene:
    return scenes.crying_to_joyful(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def sound(scene: scenes.Scene) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    with open_media(scene.path) as media:
        return np.concatenate([m.samples for m in media if isinstance(m, AudioChunk)])


def test_she_is_understood(scene: scenes.Scene, sound: np.ndarray[tuple[int], np.dtype[np.float32]]) -> None:
    from faster_whisper import WhisperModel

    ear = WhisperModel(str(resolve("whisper-base")), device="cpu", compute_type="int8", cpu_threads=1)
    segments, _ = ear.transcribe(sound, language="en", beam_size=1, without_timestamps=True)
    heard = " ".join(segment.text for segment in segments)

    def words(text: str) -> str:
        return " ".join(re.sub(r"[^a-z' ]+", " ", text.lower()).split())

    assert jiwer.wer(words(scene.transcript), words(heard)) <= 0.10


def test_she_speaks_when_the_script_says(
    scene: scenes.Scene, sound: np.ndarray[tuple[int], np.dtype[np.float32]]
) -> None:
    loud = np.abs(sound) > 0.01
    for line in scene.lines:
        inside = loud[to_ticks(line.start, 16_000) : to_ticks(line.end, 16_000)]
        assert inside.mean() > 0.3, line
    outside = np.ones(len(loud), bool)
    for line in scene.lines:
        outside[to_ticks(line.start, 16_000) - 320 : to_ticks(line.end, 16_000) + 320] = False
    assert not loud[outside].any()
    assert scene.lines[1].end < scene.distress_until
    assert scene.lines[2].start > scene.joy_from


def test_it_is_the_same_every_time(scene: scenes.Scene, tmp_path: Path) -> None:
    assert scenes.crying_to_joyful(tmp_path).path.read_bytes() == scene.path.read_bytes()


def test_files_for_a_browsers_fake_devices(scene: scenes.Scene) -> None:
    with wave.open(str(scenes.as_wav48k(scene.path))) as heard:
        assert (heard.getnchannels(), heard.getframerate(), heard.getsampwidth()) == (1, 48_000, 2)
        seconds = heard.getnframes() / 48_000
    with open_media(scenes.as_mjpeg(scene.path)) as media:
        pictures = [m for m in media if isinstance(m, VideoFrame)]
    assert {p.pixels.shape for p in pictures} == {(480, 640, 3)}
    assert len(pictures) / 30 == pytest.approx(seconds, abs=0.05)
    assert seconds == pytest.approx(as_seconds(scenes.DURATION), abs=0.01)


def test_variants_have_what_they_say(tmp_path: Path) -> None:
    with open_media(scenes.audio_only(tmp_path)) as media:
        assert media.info.audio
        assert not media.info.video
    with open_media(scenes.video_only(tmp_path)) as media:
        assert media.info.video
        assert not media.info.audio
    assert scenes.truncated(tmp_path).stat().st_size > 100_000
    assert SECOND < scenes.DISTRESS_UNTIL < scenes.JOY_FROM < scenes.DURATION
