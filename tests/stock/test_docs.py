"""The program on the page about stock clients does what the page says."""

from __future__ import annotations

import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from tests.docs.blocks import ROOT, blocks
from tests.e2e.live import Server
from tests.stock.test_realtime import RATE_HZ, pcm_of

pytestmark = [pytest.mark.models, pytest.mark.slow]

PAGE = "docs/stock-clients.md"
HERE = "tests/stock/test_docs.py"


def test_the_example_for_openai(stock: Server, speech: Path, tmp_path: Path) -> None:
    found = blocks((ROOT / PAGE).read_text(encoding="utf-8"), PAGE)
    (program,) = [block.text for block in found if block.language == "python" and block.test == f"in {HERE}"]
    assert ":8080/" in program
    with wave.open(str(tmp_path / "speech.wav"), "wb") as out:
        out.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        out.writeframes(pcm_of(speech))
    command = [sys.executable, "-c", program.replace(":8080/", f":{stock.port}/")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    you, agent = done.stdout.splitlines()
    assert "help me" in you
    assert agent.startswith("agent: ")
    with wave.open(str(tmp_path / "answer.wav")) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert len(sound) > RATE_HZ // 2
    assert np.abs(sound).max() > 600
