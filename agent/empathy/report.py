"""The report of the measure of empathy: one table for each part, and the same as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agent.empathy import Figure, Part, Row

_BESIDE: Final = 3
"""Rows that fit beside each other."""


def as_json(part: Part) -> dict[str, Any]:
    """Return a part as JSON; what could not be measured is ``null``. Its items are left out."""

    def plain(figure: Figure) -> dict[str, Any]:
        found = asdict(figure)
        return found | {"value": None if math.isnan(figure.value) else round(figure.value, 5)}

    return {
        "name": part.name,
        "title": part.title,
        "about": dict(part.about),
        "rows": [{"label": row.label, "figures": [plain(figure) for figure in row.figures]} for row in part.rows],
        "misses": list(part.misses),
        "alarms": list(part.alarms),
    }


def shown(part: Part) -> RenderableType:
    """Return a part as tables: figures downwards, and beside each other up to three rows that have the same ones."""
    blocks: list[RenderableType] = []
    for rows in _alike(part.rows):
        title = part.title if not blocks else None
        table = Table(title=title, title_justify="left", show_lines=False, pad_edge=False)
        table.add_column("figure", overflow="fold")
        table.add_column("wanted", no_wrap=True)
        for row in rows:
            table.add_column(row.label, justify="right")
        for place, figure in enumerate(rows[0].figures):
            cells = [_cell(row.figures[place]) for row in rows]
            table.add_row(
                figure.name, next((r.figures[place].target for r in rows if r.figures[place].target), ""), *cells
            )
        blocks.append(table)
    blocks += [Text(f"Not to be trusted: {alarm}", style="bold red") for alarm in part.alarms]
    if part.about:
        blocks.append(Text("; ".join(f"{key} {value}" for key, value in part.about.items()), style="dim"))
    if part.misses:
        blocks.append(Text("weak spots:"))
        blocks += [Text(f"  - {miss}") for miss in part.misses]
    return Group(*blocks, Text(""))


def _alike(rows: Sequence[Row]) -> list[list[Row]]:
    found: list[list[Row]] = []
    for row in rows:
        names = [figure.name for figure in row.figures]
        if found and len(found[-1]) < _BESIDE and [figure.name for figure in found[-1][0].figures] == names:
            found[-1].append(row)
        else:
            found.append([row])
    return found


def _cell(figure: Figure) -> Text:
    if math.isnan(figure.value):
        return Text("-")
    scale = 100.0 if figure.unit == "%" else 1.0
    digits = {"%": 1, "ms": 0, "s": 2}.get(figure.unit, 0 if float(figure.value).is_integer() else 1)
    text = f"{scale * figure.value:.{digits}f}"
    if figure.low is not None and figure.high is not None:
        text += f" [{scale * figure.low:.{digits}f}-{scale * figure.high:.{digits}f}]"
    text += f" n={figure.n}"
    return Text(text, style={True: "green", False: "red", None: ""}[figure.met])


def summary(parts: Sequence[Part]) -> str:
    """Return in one line how many promised figures were reached."""
    figures = [figure for part in parts for row in part.rows for figure in row.figures if figure.met is not None]
    return f"{sum(bool(figure.met) for figure in figures)} of {len(figures)} promised figures were reached"
