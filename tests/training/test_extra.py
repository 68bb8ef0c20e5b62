"""Without the packages of the extra, ``agent train`` says what to install, before anything heavy is loaded."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agent import cli

CONFIGS = Path(__file__).parents[2] / "configs" / "train"


@pytest.mark.parametrize(
    "arguments",
    [
        ("sft", "--config", str(CONFIGS / "compact-sft.toml")),
        ("grpo", "--config", str(CONFIGS / "compact-grpo-vision.toml")),
        ("sft", "--config", str(CONFIGS / "omni-sft.toml")),
        ("eval",),
    ],
)
def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    out = ["--out", str(tmp_path / "run")]
    assert cli.main(["train", *arguments, *out]) == cli.USAGE
    told = capsys.readouterr().err
    assert "needs the package peft" in told
    assert "pip install 'rapport-agent[train]'" in told
    assert "pip install -e '.[train]'" in told
    assert "Traceback" not in told
    assert not (tmp_path / "run").exists()
