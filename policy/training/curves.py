"""Draws how a run went: loss, rewards and dev figures over the steps, as one SVG that needs nothing else.

Measured values are faint, a moving average over them is bold. Colours follow the reader's light or dark setting.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

from policy.training.run import read_metrics

Points = list[tuple[float, float]]

WIDTH: Final = 720
_PANEL: Final = 200  # pixels, of all lengths here
_LEFT, _RIGHT, _TOP, _GAP = 64, 200, 44, 56
_MOST_POINTS: Final = 400
_SMOOTH: Final = 0.05  # share of the points that the average looks back on
_MOST_NAME: Final = 24  # characters
_COLOURS: Final = (("#1f6fb2", "#6cb6ff"), ("#b5560a", "#f0a35e"), ("#2a7f3f", "#6fce87"), ("#8a3fa0", "#d19be3"),
                   ("#a02c45", "#ff8fa3"), ("#4d6b73", "#9fc3cc"))  # fmt: skip
_STYLE: Final = (
    "text{font:12px system-ui,sans-serif;fill:#1c2024}.title{font-size:15px;font-weight:600}"
    ".axis{stroke:#8b939b;fill:none}.grid{stroke:#8b939b;stroke-opacity:.25;fill:none}"
    ".back{fill:#fff}.raw{fill:none;stroke-opacity:.3}.line{fill:none;stroke-width:2}"
)


def curves(metrics: Path) -> str:
    """Return the SVG for a ``metrics.jsonl``: a panel each for loss, rewards and dev figures, as far as there are any.

    Raises:
        RunError: a line cannot be read.
        ValueError: there is no step in it yet.
    """
    lines = read_metrics(metrics)
    panels = [
        ("loss", _series(lines, lambda line: {"loss": line.get("loss")})),
        ("reward", _series(lines, _rewards)),
        ("dev", _series(lines, lambda line: line.get("dev") or {})),
    ]
    panels = [(name, series) for name, series in panels if series]
    if not panels:
        raise ValueError(f"{metrics} holds no step yet; draw it when the run has begun")
    stage = next((str(line["stage"]) for line in lines if line.get("stage")), "training")
    last = max(line["step"] for line in lines)
    height = _TOP + len(panels) * (_PANEL + _GAP)
    title = f"{stage}, {last} steps"
    body = "".join(_panel(name, series, last, _TOP + i * (_PANEL + _GAP)) for i, (name, series) in enumerate(panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(title, _QUOTES)}"><title>{escape(title)}</title><style>{_style()}</style>'
        f'<rect class="back" width="{WIDTH}" height="{height}"/>'
        f'<text class="title" x="{_LEFT}" y="22">{escape(title)}</text>{body}</svg>\n'
    )


_QUOTES: Final = {'"': "&quot;"}


def smoothed(points: Points) -> Points:
    """Return the exponential moving average, without the pull of its beginning."""
    keep = 1 - 1 / max(1.0, _SMOOTH * len(points))
    found: Points = []
    total = weight = 0.0
    for step, value in points:
        total, weight = keep * total + value, keep * weight + 1
        found.append((step, total / weight))
    return found


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers from ``low`` to ``high``, at most ``most`` + 1 of them."""
    rough = (high - low) / most
    unit = 10 ** math.floor(math.log10(rough))
    step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= rough * (1 - 1e-9))
    return [step * n for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _series(
    lines: Sequence[Mapping[str, Any]], pick: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> dict[str, Points]:
    found: dict[str, Points] = {}
    for line in lines:
        for name, value in pick(line).items():
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                found.setdefault(name, []).append((float(line["step"]), float(value)))
    return found


def _rewards(line: Mapping[str, Any]) -> dict[str, Any]:
    figures = line.get("figures") or {}
    return {name: value for name, value in figures.items() if name == "reward" or name.startswith("reward/")}


def _style() -> str:
    light = "".join(f".c{i}{{stroke:{pair[0]}}}" for i, pair in enumerate(_COLOURS))
    dark = "".join(f".c{i}{{stroke:{pair[1]}}}" for i, pair in enumerate(_COLOURS))
    return f"{_STYLE}{light}@media(prefers-color-scheme:dark){{text{{fill:#e4e7ea}}.back{{fill:#14171a}}{dark}}}"


def _panel(name: str, series: Mapping[str, Points], last: int, top: int) -> str:
    values = [value for points in series.values() for _, value in points]
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    low, high = low - margin, high + margin
    right, bottom = WIDTH - _RIGHT, top + _PANEL

    def x(step: float) -> float:
        return _LEFT + (right - _LEFT) * step / max(1, last)

    def y(value: float) -> float:
        return bottom - _PANEL * (value - low) / (high - low)

    out = [f'<text x="{_LEFT}" y="{top - 6}">{escape(name)}</text>']
    for value in ticks(low, high):
        at = f"{y(value):.1f}"
        out.append(f'<path class="grid" d="M{_LEFT} {at}H{right}"/>')
        out.append(f'<text x="{_LEFT - 6}" y="{at}" dy=".35em" text-anchor="end">{value:.4g}</text>')
    for value in ticks(0, max(1, last)):
        at = f"{x(value):.1f}"
        out.append(f'<path class="axis" d="M{at} {bottom}v4"/>')
        out.append(f'<text x="{at}" y="{bottom + 17}" text-anchor="middle">{value:.7g}</text>')
    out.append(f'<path class="axis" d="M{_LEFT} {top}V{bottom}H{right}"/>')
    out.append(f'<text x="{right}" y="{bottom + 34}" text-anchor="end">step</text>')
    for i, (label, points) in enumerate(series.items()):
        colour = f"c{i % len(_COLOURS)}"
        dash = ' stroke-dasharray="5 3"' if i >= len(_COLOURS) else ""
        out.append(_line(f"raw {colour}", points, x, y))
        out.append(_line(f"line {colour}", smoothed(points), x, y, dash))
        row = top + 10 + i * min(18.0, (_PANEL - 10) / len(series))
        short = label if len(label) <= _MOST_NAME else label[: _MOST_NAME - 1] + "…"
        out.append(f'<path class="line {colour}"{dash} d="M{right + 14} {row:.1f}h18"/>')
        out.append(f'<text x="{right + 38}" y="{row:.1f}" dy=".35em">{escape(short)}</text>')
    return f"<g>{''.join(out)}</g>"


def _line(kind: str, points: Points, x: Callable[[float], float], y: Callable[[float], float], extra: str = "") -> str:
    every = math.ceil(len(points) / _MOST_POINTS)
    kept = points[::every] if points[-1] in points[::every] else [*points[::every], points[-1]]
    if len(kept) == 1:
        kept = kept * 2  # a path of one point with round ends is a dot
        extra += ' stroke-linecap="round"'
    path = "L".join(f"{x(step):.1f} {y(value):.1f}" for step, value in kept)
    return f'<path class="{kind}"{extra} d="M{path}"/>'
