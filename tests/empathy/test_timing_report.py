"""Figures, their intervals, and the report."""

from __future__ import annotations

import argparse
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from agent.bench import commands
from agent.cli import main
from agent.empathy import Figure, Part, Row, command, deaf, report
from agent.empathy.timing_stats import number, quantile, share


def test_a_share_has_its_wilson_interval() -> None:
    found = share("x", [True] * 1 + [False] * 19, "<= 5 %", most=0.05)
    assert (found.value, found.n, found.met, found.unit) == (0.05, 20, True, "%")
    assert found.low == pytest.approx(0.0089, abs=2e-4)
    assert found.high == pytest.approx(0.2361, abs=2e-4)
    assert share("x", [True] * 19 + [False], ">= 96 %", least=0.96).met is False


def test_nothing_measured_is_no_figure_and_no_success() -> None:
    for found in (share("x", [], "<= 5 %", most=0.05), quantile("x", [], 0.5, "<= 1 ms", most=1), number("x", 0, 0)):
        assert math.isnan(found.value)
        assert (found.n, found.met) == (0, None)


def test_a_quantile_is_in_milliseconds_and_lies_in_its_interval() -> None:
    found = quantile("x", [0.1, 0.2, 0.3, 0.4, 1.0], 0.5, "<= 300 ms", most=300.0)
    assert found.met
    assert found.value == pytest.approx(300.0)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high
    assert found == quantile("x", [0.1, 0.2, 0.3, 0.4, 1.0], 0.5, "<= 300 ms", most=300.0), "and is the same again"


PART = Part(
    "timing",
    "Timing",
    (
        Row(
            "one", (Figure("cut off", 0.125, 8, "<= 5 %", False, 0.02, 0.47, "%"), Figure("delay", 640.4, 8, unit="ms"))
        ),
        Row("two", (Figure("cut off", math.nan, 0, "<= 5 %", None, unit="%"), Figure("delay", 700.0, 3, unit="ms"))),
        Row("pace", (Figure("face", 41.6, 5, "<= 150 ms", True, unit="ms"),)),
    ),
    misses=("one: cut off: 12.5 %",),
    about={"held_sha256": "abc"},
)


def test_the_report_shows_rows_side_by_side_and_names_the_weak_spots() -> None:
    out = io.StringIO()
    Console(file=out, width=160).print(report.shown(PART))
    text = out.getvalue()
    assert "12.5 [2.0-47.0] n=8" in text
    assert "640 n=8" in text
    assert "42 n=5" in text
    assert "held_sha256 abc" in text
    assert "- one: cut off: 12.5 %" in text
    assert report.summary([PART]) == "1 of 2 promised figures were reached"


def test_the_report_as_json_has_no_number_that_is_none() -> None:
    told = json.loads(json.dumps(report.as_json(PART), allow_nan=False))
    assert told["rows"][0]["figures"][0]["value"] == 0.125
    assert told["rows"][1]["figures"][0]["value"] is None
    assert told["misses"] == ["one: cut off: 12.5 %"]


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    commands.add(parser.add_subparsers())
    return parser.parse_args(["bench", *words])


def test_the_measure_is_asked_for_by_the_task_alone() -> None:
    assert command.wanted(options("--task", "empathy"))
    assert options("--task", "empathy", "--part", "timing").part == ["timing"]
    assert not command.wanted(options("--task", "empathy", "--data", "builtin"))
    assert not command.wanted(options("--task", "ES"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--part", "timing"], "--part goes with --task empathy"),
        (["--task", "empathy", "--limit", "-1"], "--limit and --jobs are not negative"),
    ],
)
def test_what_does_not_fit_is_told(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *words]) == 2
    assert told in capsys.readouterr().err


def test_a_part_that_was_deaf_ends_with_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert deaf("conversations", [True] * 8 + [False] * 2) == ()
    alarms = deaf("conversations", [True] * 7 + [False] * 3)
    assert alarms[0].startswith("the words of only 7 of 10 conversations arrived")
    assert command._code([PART]) == 0
    assert command._code([PART, replace(PART, alarms=alarms)]) == 4
    assert "not to be trusted: timing: the words of only 7 of 10" in capsys.readouterr().err
    out = io.StringIO()
    Console(file=out, width=120).print(report.shown(replace(PART, alarms=alarms)))
    assert "Not to be trusted: the words of only 7" in out.getvalue()
    assert report.as_json(replace(PART, alarms=alarms))["alarms"] == list(alarms)


def test_a_run_is_written_down(tmp_path: Path) -> None:
    command._write(tmp_path / "run", {"parts": []}, [PART])
    assert json.loads((tmp_path / "run" / "report.json").read_text()) == {"parts": []}
    assert (tmp_path / "run" / "timing.jsonl").read_text() == ""
