"""The omni policy in the live loop: ``agent replay`` and ``agent bench --feed native`` as a person types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile

from perception.media import RATE_HZ
from policy.omni.tiny import build
from tests import scenes, speech_samples

pytestmark = [pytest.mark.slow, pytest.mark.models]

ROOT = Path(__file__).parent.parent.parent
CONFIG = ROOT / "configs" / "omni-tiny.toml"


def agent(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent.cli", *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands run: with the tiny checkpoint in the place that the configuration names."""
    found = tmp_path_factory.mktemp("omni-loop")
    build(found / "build" / "omni-tiny")
    return found


def replayed(folder: Path, clip: Path) -> list[dict[str, Any]]:
    done = agent(folder, "replay", clip, "--config", CONFIG, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_film_is_answered_by_the_omni_mind(folder: Path, tmp_path: Path) -> None:
    film = scenes.cut(scenes.crying_to_joyful(tmp_path).path, tmp_path / "crying.mp4", 6)
    events = replayed(folder, film)
    replies = [e for e in events if e["type"] == "decision" and e["reply"] and e["action"] == "speak"]
    assert {e["mind"] for e in replies} == {"omni"}
    thoughts = [e for e in events if e["type"] == "thought"]
    assert thoughts
    spoken = " ".join(e["text"] for e in events if e["type"] == "turn" and e["speaker"] == "agent")
    assert spoken
    assert all(len(e["text"]) < 8 or e["text"] not in spoken for e in thoughts)
    assert not [e for e in events if e["type"] == "note" and e["event"] == "mind_failed"]


def test_without_its_checkpoint_the_mind_behind_it_answers(tmp_path: Path) -> None:
    wave = np.concatenate([speech_samples.say(speech_samples.SENTENCES[4]), np.zeros(RATE_HZ, np.float32)])
    wavfile.write(tmp_path / "said.wav", RATE_HZ, wave)
    done = agent(tmp_path, "replay", tmp_path / "said.wav", "--config", CONFIG, "--json")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    replies = [e for e in events if e["type"] == "decision" and e["reply"] and e["action"] == "speak"]
    assert {e["mind"] for e in replies} == {"compact"}
    assert "no such folder; name one with a checkpoint" in done.stderr


def test_items_are_answered_from_the_media_themselves(folder: Path) -> None:
    out = folder / "run"
    done = agent(
        folder, "bench", "--data", "builtin", "--config", CONFIG, "--feed", "native", "--task", "ER", "--limit", "2",
        "--jobs", "1", "--no-page", "--out", out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    assert len(records) == 2
    for record in records:
        (answer,) = record["answers"]
        assert answer["raw"]
        assert answer["frames"] > 0
        assert not [line for line in record["timeline"] if line["type"] == "percept"]
