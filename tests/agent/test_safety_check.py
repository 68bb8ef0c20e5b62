"""``agent safety check``: what is read of a file, and that the detector is that of a live call."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agent import build, cli, models, safety_check
from agent.config import Config, ConfigError
from agent.safety_check import Checker, Judged, Talk, Unreadable, batches, judge, read
from policy.safety import detector

ROOT = Path(__file__).parents[2]


class Weather:
    """A classifier that counts how often a conversation, up to the turn that is judged, is called dark."""

    def __init__(self, *, fails_after: int = 1_000_000) -> None:
        self.reads: list[int] = []
        self._left = fails_after

    def __call__(self, windows: Sequence[Sequence[str]], /) -> NDArray[np.float32]:
        self.reads.append(len(windows))
        self._left -= 1
        if self._left < 0:
            raise RuntimeError("no more")
        found = np.zeros((len(windows), 8), np.float32)
        for row, window in zip(found, windows, strict=True):
            row[0] = min(0.92, 0.46 * sum("dark" in turn for turn in window))
            row[6] = 0.97 if "black" in window[-1] else 0.0
        return found


@pytest.fixture
def weather(monkeypatch: pytest.MonkeyPatch) -> Weather:
    made = Weather()
    monkeypatch.setattr(build, "load_classifier", lambda _: made)
    return made


def here(_: str) -> Path:
    return Path()


def nowhere(name: str) -> Path:
    raise FileNotFoundError(f"{name} is not there")


# What is read.


@pytest.mark.parametrize(
    ("line", "turns"),
    [
        ("I lost my job.", ("I lost my job.",)),
        ('"She said \\"no\\"."', ('She said "no".',)),
        ('"Fine," he said.', ('"Fine," he said.',)),
        ("[sighs] I am tired.", ("[sighs] I am tired.",)),
        ("42", ("42",)),
        ('  {"turns": ["a", " b "]}  ', ("a", "b")),
        ("가을이 왔다", ("가을이 왔다",)),
    ],
)
def test_a_line_is_a_sentence_or_a_conversation(line: str, turns: tuple[str, ...]) -> None:
    assert list(read([b"\n", line.encode()])) == [Talk(2, turns)]


def test_an_id_is_kept_and_the_line_number_stands_in_for_it() -> None:
    lines = [b'\xef\xbb\xbf{"id": "one", "turns": ["a"]}\r\n', b"\n", b'{"id": 7, "turns": ["a"]}', b"plain"]
    assert [talk.id for talk in read(lines) if isinstance(talk, Talk)] == ["one", 7, 4]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"turns": ["a"', "is no JSON: Expecting ',' delimiter, column 15"),
        (b'{"id": 1}', "has no turns"),
        (b'{"turns": []}', "has no turns"),
        (b'{"turns": "a"}', "has no turns"),
        (b'["a", "b"]', "is a JSON list"),
        (b'{"turns": ["a", 5]}', "turn 2 is 5, expected a string"),
        (b'{"turns": ["a", null]}', "turn 2 is null, expected a string"),
        (b'{"turns": [" "]}', "turn 1 is empty"),
        (b'{"id": [1], "turns": ["a"]}', "has an id that is neither"),
        (b'{"id": true, "turns": ["a"]}', "has an id that is neither"),
        (b'{"turns": ["\\ud83d"]}', "turn 1 holds half a character"),
        (b"x" * 4001, "it has 4001 characters, expected 4000 or fewer"),
        (b"caf\xe9", "is no UTF-8 (byte 4)"),
        (b'{"turns": ' + b"[" * 100_000, "is no JSON: it is too deep"),
    ],
)
def test_what_cannot_be_read_is_named_and_the_rest_goes_on(line: bytes, why: str) -> None:
    bad, good = read([line, b"The rest goes on."])
    assert isinstance(bad, Unreadable)
    assert bad.line == 1
    assert why in bad.why
    assert good == Talk(2, ("The rest goes on.",))


# What is judged.


def test_a_turn_is_judged_in_the_light_of_those_before(weather: Weather) -> None:
    talk = Talk("x", ("It is dark.", "So dark.", "The sun is out.", "black"))
    found = Checker(Config(), here).check([talk, Talk(2, ("It is dark.",))])
    assert [(one.id, one.turn, one.level, one.kind, one.by) for one in found] == [
        ("x", 1, "none", "", ""),
        ("x", 2, "hint", "self_harm", "classifier"),
        ("x", 3, "hint", "self_harm", "classifier"),
        ("x", 4, "plain", "abuse", "classifier"),
        (2, 1, "none", "", ""),
    ]
    assert found[0].probability == 0.46
    assert weather.reads[0] == 4  # in one go, and what is the same is read once
    assert weather.reads[1:] == [1]  # a clause of what is no longer calm is read by itself


def test_it_finds_what_the_lane_of_a_call_finds(weather: Weather) -> None:
    talk = ("It is dark.", "So dark.", "I want to kill myself.", "Good.")
    lane = build.lane(Config(), here)
    assert lane is not None

    async def looked() -> list[detector.Finding | None]:
        return [await lane.look(words, talk[:n], 0.0, lane.patience()) for n, words in enumerate(talk)]

    findings = asyncio.run(looked())
    lane.close()
    found = Checker(Config(), here).check([Talk(1, talk)])
    levels = ["none" if f is None else "plain" if f.plain else "hint" for f in findings]
    assert [one.level for one in found] == levels == ["none", "hint", "plain", "hint"]
    assert [one.kind for one in found] == [f.kind if f else "" for f in findings]


def test_patterns_go_on_without_a_classifier_that_can_be_loaded() -> None:
    checker = Checker(Config(), nowhere)
    found = checker.check([Talk(1, ("I want to kill myself.",)), Talk(2, ("It is dark.",))])
    assert [one.level for one in found] == ["plain", "none"]
    assert checker.trouble == (
        "the classifier cannot be loaded (danger-reader is not there; mend it with: agent models fetch)"
    )


def test_patterns_go_on_where_the_classifier_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "load_classifier", lambda _: Weather(fails_after=1))
    talks = [Talk(n, (f"dark {n}", "dark")) for n in range(3)]
    found = list(judge(talks, Config(), here, windows=1))
    levels = [[one.level for one in judged] for judged, _ in found]
    assert levels == [["none", "hint"], ["none", "none"], ["none", "none"]]
    assert [trouble for _, trouble in found] == ["", *["the classifier failed (RuntimeError)"] * 2]


def test_a_conversation_stays_in_one_batch() -> None:
    talks = [Talk(n, ("words",) * n) for n in (3, 1, 5, 1)]
    assert [[talk.id for talk in batch] for batch in batches(talks, 4)] == [[3, 1], [5], [1]]


# The command.


def check(*arguments: object) -> int:
    options: argparse.Namespace = cli._parser().parse_args(["safety", "check", *map(str, arguments)])
    run: Callable[[argparse.Namespace], int] = options.run
    return run(options)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "lines.txt"
    made.write_bytes(
        b'I want to kill myself.\n{"id": "talk", "turns": ["It is dark.", "Dark, so dark."]}\n{"id": \nHi.\n'
    )
    return made


def test_json_is_one_object_for_each_turn(
    file: Path, weather: Weather, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(models, "resolve", here)
    assert check(file, "--json", "--jobs", "1") == 1
    out, err = capsys.readouterr()
    assert [json.loads(line) for line in out.splitlines()] == [
        {"id": 1, "turn": 1, "level": "plain", "kind": "self_harm", "probability": 0.95, "by": "pattern"},
        {"id": "talk", "turn": 1, "level": "none", "kind": "", "probability": 0.46, "by": ""},
        {"id": "talk", "turn": 2, "level": "hint", "kind": "self_harm", "probability": 0.92, "by": "classifier"},
        {"id": 4, "turn": 1, "level": "none", "kind": "", "probability": 0.0, "by": ""},
    ]
    assert err.splitlines() == [
        "agent: line 3 is no JSON: Expecting value, column 7",
        "agent: 4 turns: 2 none, 1 hint, 1 plain; 1 line could not be read",
    ]


def test_a_table_has_the_words_and_trouble_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(models, "resolve", nowhere)
    monkeypatch.setattr(safety_check, "_BATCH", 1)
    file = tmp_path / "good.txt"
    file.write_text("I want to kill myself.\nHi.\nHello.\n", encoding="utf-8")
    assert check(file, "--jobs", "1") == 0
    out, err = capsys.readouterr()
    head, danger, *rest = out.splitlines()
    assert head.split() == ["id", "turn", "level", "kind", "probability", "by", "words"]
    assert danger.split(None, 6) == ["1", "1", "plain", "self_harm", "0.950", "pattern", "I want to kill myself."]
    assert len(rest) == 2
    assert "\x1b" not in out
    assert err.count("patterns alone look for danger") == 1


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.txt: cannot be read"):
        check(tmp_path / "none.txt")
    with pytest.raises(ConfigError, match="--jobs is -1"):
        check("-", "--jobs", "-1")


def test_a_lane_that_is_switched_off_is_told(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(models, "resolve", nowhere)
    off = tmp_path / "off.toml"
    off.write_text('[safety]\nenabled = false\nacknowledge = "I run without the safety lane"\n', encoding="utf-8")
    check(file, "--config", off, "--jobs", "1")
    assert "safety.enabled is false" in capsys.readouterr().err


@pytest.mark.slow
def test_several_processes_find_the_same_in_the_same_order() -> None:
    talks = [Talk(n, (f"I have thought of {n} things.", "I want to kill myself.")) for n in range(260)]

    def every(jobs: int) -> list[Judged]:
        return [one for judged, _ in judge(talks, Config(), nowhere, jobs=jobs) for one in judged]

    assert every(2) == every(1)


@pytest.mark.slow
@pytest.mark.models
def test_as_a_person_types_it(file: Path) -> None:
    environment: dict[str, Any] = os.environ | {"NO_COLOR": "1"}
    command = [sys.executable, "-m", "agent.cli", "safety", "check"]
    done = subprocess.run(
        [*command, "-", "--json"],
        cwd=ROOT,
        env=environment,
        input=file.read_bytes(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["id"], one["turn"]) for one in found] == [(1, 1), ("talk", 1), ("talk", 2), (4, 1)]
    assert (found[0]["level"], found[0]["by"], found[3]["level"]) == ("plain", "pattern", "none")
    assert b"line 3 is no JSON" in done.stderr
