from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from policy.training.curves import WIDTH, curves, smoothed, ticks
from policy.training.run import RunError

SVG = "{http://www.w3.org/2000/svg}"


def drawn(path: Path, lines: Iterable[Mapping[str, Any]]) -> ElementTree.Element:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return ElementTree.fromstring(curves(path))


def texts(svg: ElementTree.Element) -> list[str]:
    return [node.text or "" for node in svg.iter(f"{SVG}text")]


def paths(svg: ElementTree.Element, kind: str) -> list[str]:
    return [node.get("d", "") for node in svg.iter(f"{SVG}path") if node.get("class", "").split()[0] == kind]


def a_run(steps: int) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = [{"stage": "sft & <more>", "step": 0, "dev": {"fit <b>": 0.2}}]
    for step in range(1, steps + 1):
        figures = {"reward": 1 - 1 / step, "reward/format": 0.5, "kl": 0.1}
        lines.append({"stage": "sft", "step": step, "loss": 3 / step, "figures": figures})
    lines[-1]["dev"] = {"fit <b>": 0.7}
    return lines


def test_a_run_is_drawn_in_panels_with_axes_and_legend(tmp_path: Path) -> None:
    svg = drawn(tmp_path / "m", a_run(40))
    found = texts(svg)
    assert found[0] == "sft & <more>, 40 steps"
    for name in ("loss", "reward", "reward/format", "dev", "fit <b>", "step", "0", "40"):
        assert name in found
    assert len(paths(svg, "raw")) == 4
    assert len(paths(svg, "line")) == 2 * 4  # one in the picture and one in the legend
    assert len(paths(svg, "axis")) > 3
    assert "prefers-color-scheme:dark" in ElementTree.tostring(svg, encoding="unicode")


def test_everything_lies_inside(tmp_path: Path) -> None:
    svg = drawn(tmp_path / "m", a_run(40))
    height = float(svg.get("height", "0"))
    for line in paths(svg, "raw"):
        for pair in line.removeprefix("M").split("L"):
            x, y = map(float, pair.split())
            assert 0 < x < WIDTH
            assert 0 < y < height
    first = paths(svg, "raw")[0].removeprefix("M").split("L")
    assert float(first[0].split()[1]) < float(first[-1].split()[1])  # the loss falls: y grows downwards


def test_a_long_run_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "m"
    drawn(path, a_run(5_000))
    assert len(curves(path)) < 60_000


def test_what_is_no_number_leaves_a_gap_and_events_are_no_steps(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"step": 1, "loss": 1.0},
        {"step": 2, "skipped": "loss is nan"},
        {"step": 2, "loss": None},
        {"step": 1, "restored": "back from step 2"},
        {"step": 3, "loss": 0.5},
    ]
    svg = drawn(tmp_path / "m", lines)
    assert [line.count("L") for line in paths(svg, "raw")] == [1]


@pytest.mark.parametrize("loss", [0.0, 2.0, -1.0])
def test_one_step_or_equal_values_can_be_drawn(tmp_path: Path, loss: float) -> None:
    drawn(tmp_path / "m", [{"step": 1, "loss": loss}])
    drawn(tmp_path / "m", [{"step": n, "loss": loss} for n in range(1, 5)])
    drawn(tmp_path / "m", [{"step": 0, "dev": {"fit": loss}}])


def test_nothing_to_draw_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no step yet"):
        drawn(tmp_path / "m", [])
    (tmp_path / "m").write_text("[]\n", encoding="utf-8")
    with pytest.raises(RunError, match="line 1"):
        curves(tmp_path / "m")


def test_ticks_are_round() -> None:
    assert ticks(0, 1) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert ticks(0, 1000) == [0, 200, 400, 600, 800, 1000]
    assert ticks(-0.13, 0.11) == pytest.approx([-0.1, -0.05, 0, 0.05, 0.1])


def test_the_average_follows_and_keeps_a_constant() -> None:
    assert smoothed([(n, 2.0) for n in range(100)])[-1] == pytest.approx((99, 2.0))
    noisy = smoothed([(n, float(n % 2)) for n in range(200)])
    assert all(0.4 < value < 0.6 for _, value in noisy[50:])
