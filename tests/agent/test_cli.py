"""The command line, as a person types it: real processes, real files, real models."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jiwer
import pytest

from agent.clock import SystemClock
from perception.percept import NEGATIVE
from perception.timebase import SECOND, as_seconds
from tests import scenes

pytestmark = [pytest.mark.slow, pytest.mark.models]

ROOT = Path(__file__).parent.parent.parent


def agent(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent.cli", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> scenes.Scene:
    return scenes.crying_to_joyful(tmp_path_factory.mktemp("cli"))


@pytest.fixture(scope="module")
def journal(scene: scenes.Scene) -> str:
    done = agent("replay", scene.path, "--json")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def events(journal: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal.splitlines()]


def test_the_command_line_is_there_before_any_model_library() -> None:
    heavy = "torch", "transformers", "peft", "onnxruntime", "cv2"
    code = f"import sys, agent.cli; sys.exit(' '.join(n for n in {heavy} if n in sys.modules) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_replay_happens_the_same_way_twice(scene: scenes.Scene, journal: str) -> None:
    assert agent("replay", scene.path, "--json").stdout == journal


def test_every_line_says_when_and_what(events: list[dict[str, Any]]) -> None:
    needed = {
        "percept": {"kind", "label", "confidence", "worker"},
        "turn": {"speaker", "text"},
        "decision": {"action", "strategy", "emotion", "reason", "evidence"},
        "metric": {"name", "value"},
    }
    assert {e["type"] for e in events} == set(needed)
    for event in events:
        assert needed[event["type"]] <= event.keys()
    times = [e["t"] for e in events]
    assert times == sorted(times)


def test_her_words_her_face_and_the_answer(scene: scenes.Scene, events: list[dict[str, Any]]) -> None:
    said = " ".join(e["text"] for e in events if e["type"] == "turn" and e["speaker"] == "user")
    tidy = jiwer.Compose([jiwer.ToLowerCase(), jiwer.RemovePunctuation(), jiwer.Strip()])
    assert jiwer.wer(tidy(scene.transcript), tidy(said)) <= 0.15, said

    def labels(begin: float, end: float) -> list[str]:
        faces = [e for e in events if e["type"] == "percept" and e["kind"] == "expression"]
        return [e["label"] for e in faces if begin <= e["t"] <= end]

    crying = labels(1.0, as_seconds(scene.distress_until))
    laughing = labels(as_seconds(scene.joy_from) + 1, 18.0)
    assert sum(label in NEGATIVE for label in crying) >= len(crying) / 2
    assert "happy" not in crying
    assert sum(label == "happy" for label in laughing) >= 0.8 * len(laughing)

    decided = [e for e in events if e["type"] == "decision"]
    distress = [e for e in decided if e["t"] <= 9.0]
    assert {e["emotion"] for e in distress if e["action"] == "speak"} <= {"concern", "sad", "calm", "warm", "tender"}
    assert "happy" not in {e["emotion"] for e in distress}
    assert all(e["reason"] and e["evidence"] for e in decided if e["action"] == "speak")
    assert any(e["type"] == "turn" and e["speaker"] == "agent" for e in events)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration that answers without writing: for what depends on no mind and no voice."""
    path = tmp_path_factory.mktemp("quick") / "quick.toml"
    path.write_text('policy = "scripted"\nvoice = "plain"\n', encoding="utf-8")
    return path


def test_the_story_is_for_people(scene: scenes.Scene, quick: Path) -> None:
    done = agent("replay", scene.path, "--config", quick)
    assert "“My dog died last night" in done.stdout
    assert "decides   speak" in done.stdout
    assert "face      sad" in done.stdout
    assert "face      happy" in done.stdout


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder / "nothing.mp4", "nothing.mp4"),
        (lambda folder: folder, "directory"),
        (scenes.no_media, "no_media.mp4"),
    ],
    ids=["missing", "folder", "text"],
)
def test_a_file_that_cannot_be_played_is_named(make: Any, words: str, tmp_path: Path) -> None:
    done = agent("replay", make(tmp_path))
    assert done.returncode == 4
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: scenes.cut(scenes.audio_only(folder), folder / "a.m4a", 5), "there are no pictures in it"),
        (lambda folder: scenes.cut(scenes.video_only(folder), folder / "v.mp4", 5), "there is no sound in it"),
        (lambda folder: scenes.truncated(folder, 0.25), "truncated"),
    ],
    ids=["audio only", "video only", "truncated"],
)
def test_what_a_file_lacks_is_said_and_the_rest_is_played(make: Any, words: str, tmp_path: Path, quick: Path) -> None:
    done = agent("replay", make(tmp_path), "--json", "--config", quick)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert words in done.stderr.lower(), done.stderr


def test_an_unknown_key_stops_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[call.turns]\npatiance = 1")
    done = agent("replay", "x.mp4", "--config", path)
    assert done.returncode == 2
    assert "mine.toml: unknown key call.turns.patiance; did you mean call.turns.patience?" in done.stderr


def test_an_unknown_part_stops_with_the_known_ones(tmp_path: Path, scene: scenes.Scene) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('voice = "hibary"')
    done = agent("replay", scene.path, "--config", path)
    assert done.returncode == 2
    assert "there is no voice 'hibary'; there are: hibari, plain" in done.stderr


def test_missing_models_stop_the_start_soon_and_say_what_to_do(tmp_path: Path, scene: scenes.Scene) -> None:
    clock = SystemClock()
    done = agent("replay", scene.path, RAPPORT_MODELS=str(tmp_path))
    assert done.returncode == 3
    assert str(tmp_path) in done.stderr
    assert "agent models fetch" in done.stderr
    assert clock.now() < 30 * SECOND


def test_what_there_is_to_choose_from() -> None:
    done = agent("list")
    for name in ("vad", "asr", "face", "compact", "scripted", "hibari", "webrtc", "replay"):
        assert name in done.stdout


def test_the_models_are_listed_with_their_licences() -> None:
    done = agent("models", "list")
    assert "whisper-base" in done.stdout
    assert "Apache-2.0" in done.stdout
    assert agent("models", "verify").returncode == 0


def test_help_shows_examples_and_exit_codes() -> None:
    done = agent("--help")
    assert "agent replay clip.mp4" in done.stdout
    assert "exit codes" in done.stdout
