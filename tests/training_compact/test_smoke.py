"""The whole way of training on the real base model at the smallest size: supervised, then the three stages."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from agent import cli
from agent.rendering.__main__ import main as render

CONFIGS = Path(__file__).parents[2] / "configs" / "train"
STAGES = ("vision", "audio", "both")

pytestmark = [pytest.mark.models, pytest.mark.slow]


def placed(name: str, folder: Path) -> Path:
    """Copy a configuration into ``folder``, its paths within it."""
    text = (CONFIGS / f"{name}.toml").read_text(encoding="utf-8")
    for what in ("runs/", "build/"):
        text = text.replace(f'"{what}', f'"{folder.as_posix()}/{what}')
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_supervised_and_the_three_exploring_stages_run_end_to_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["train", "sft", "--config", str(placed("compact-smoke", tmp_path))]) == 0
    lines = [json.loads(line) for line in (tmp_path / "runs/compact-smoke/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 1, 2]
    assert {"choose", "reply", "fit"} <= lines[1]["figures"].keys()
    assert "finished at step 2 of 2; dev: strategy" in capsys.readouterr().out
    heard = tmp_path / "build" / "heard"
    assert render(["--out", str(heard), "--part", "train", "--limit", "4"]) == 0
    for stage in STAGES:
        assert cli.main(["train", "grpo", "--config", str(placed(f"compact-smoke-{stage}", tmp_path))]) == 0
        folder = tmp_path / "runs" / f"compact-smoke-{stage}"
        last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
        assert {"reward", "reward/accuracy", "reward/safety", "kl"} <= last["figures"].keys()
        assert (folder / "metrics.svg").read_text().startswith("<svg")
    run = json.loads((tmp_path / "runs/compact-smoke-both/run.json").read_text())
    assert run["stage"] == "grpo"


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGS.glob("*.toml")))
def test_every_configuration_is_toml_with_known_tables(name: str) -> None:
    from agent.training.commands import TABLES

    table = tomllib.loads((CONFIGS / f"{name}.toml").read_text(encoding="utf-8"))
    assert set(table) <= set(TABLES)
    assert {"run", "student", "data"} <= set(table)


def test_an_earlier_stage_that_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "grpo", "--config", str(placed("compact-smoke-vision", tmp_path))]) == 2
    assert "run the stage before first" in capsys.readouterr().err


def test_a_table_that_is_wrong_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text('[run]\nfolder = "x"\n[student]\nkind = "compact"\n[models]\n', encoding="utf-8")
    assert cli.main(["train", "sft", "--config", str(path)]) == 2
    assert "[models] is no table" in capsys.readouterr().err
