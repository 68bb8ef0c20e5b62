"""``agent bench --task empathy``: run the parts, print one report, write it as JSON."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from agent import config, models
from agent.config import Use
from agent.doctor import usable_cores
from agent.empathy import PARTS, Given, Part, report

TASK: Final = "empathy"
DEAF: Final = 4
"""Exit code of a run in which too little of what was said has arrived."""


class EmpathyError(Exception):
    """The measure cannot be run; the message says what to change."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add to ``agent bench`` what only this measure takes."""
    parser.add_argument(
        "--part",
        action="append",
        choices=PARTS,
        default=[],
        help=f"with --task {TASK}: only this part (default: all)",
    )


def wanted(options: argparse.Namespace) -> bool:
    """Return whether the measure is asked for, rather than a benchmark on a data set."""
    return [task.lower() for task in options.task] == [TASK] and not options.data


def run(options: argparse.Namespace) -> int:
    """Run the parts that are asked for; return the exit code.

    Raises:
        EmpathyError: an option does not fit.
    """
    if options.limit < 0 or options.jobs < 0:
        raise EmpathyError("--limit and --jobs are not negative")
    loaded = config.load(options.config)
    if options.policy:
        loaded = dataclasses.replace(loaded, policy=Use(options.policy))
    given = Given(
        config=loaded,
        resolve=models.resolve,
        jobs=options.jobs or usable_cores(),
        limit=options.limit or None,
        seed=options.shuffle or 0,
    )
    found = [measure(name, given) for name in options.part or PARTS]
    told = {"task": TASK, "policy": loaded.policy.use, "parts": [report.as_json(part) for part in found]}
    if options.out is not None:
        _write(options.out, told, found)
    if options.json:
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
        return _code(found)
    from rich.console import Console

    console = Console()
    for part in found:
        console.print(report.shown(part))
    console.print(report.summary(found))
    return _code(found)


def _code(parts: Sequence[Part]) -> int:
    """Return the exit code; tell on standard error what makes the figures worthless."""
    alarms = [f"{part.name}: {alarm}" for part in parts for alarm in part.alarms]
    for alarm in alarms:
        sys.stderr.write(f"not to be trusted: {alarm}\n")
    return DEAF if alarms else 0


def measure(name: str, given: Given) -> Part:
    """Run one part, by its name."""
    module = importlib.import_module(f"agent.empathy.{name}")
    part: Callable[[Given], Part] = module.run
    return part(given)


def _write(folder: Path, told: dict[str, Any], parts: Sequence[Part]) -> None:
    """Write ``report.json``, and the items of each part as JSON lines."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(told, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    for part in parts:
        lines = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in part.items)
        (folder / f"{part.name}.jsonl").write_text(lines, encoding="utf-8")
    sys.stderr.write(f"run: {folder}\n")
