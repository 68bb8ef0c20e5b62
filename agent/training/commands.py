"""``agent train`` and its verbs, as the command line has them."""

from __future__ import annotations

import argparse
import importlib
import json
import signal
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent import config, models
from agent.clock import SystemClock
from agent.training.telling import say
from perception.timebase import as_seconds

FAILED: Final = 1
TABLES: Final = ("run", "student", "data", "sft", "grpo", "rewards")

EPILOG = """\
examples:
  agent train sft --config configs/train/compact-sft.toml           supervised stage of the embedded mind
  agent train grpo --config configs/train/compact-grpo-vision.toml  first stage of exploration
  agent train eval --adapter runs/compact-sft --out report.json     the frozen test part, with intervals
  accelerate launch --num_processes 8 -m agent train grpo --config configs/train/omni-grpo-vision.toml

A run that was stopped, however, goes on where it was when the same command is given again.
docs/training.md tells the whole way, with figures.
"""


EXTRA: Final = "peft"
"""The package of the extra ``train`` without which no adapter can be trained."""

INSTALL: Final = "pip install 'rapport-agent[train]' (in a clone of the repository: pip install -e '.[train]')"


class TrainingError(ValueError):
    """A configuration or a run cannot be used; the message says why."""


def add(commands: Any) -> None:
    """Add ``train`` to the command line."""
    parser = commands.add_parser(
        "train",
        help="train the policy's model: supervised, by exploration, and measure it",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, help_ in (("sft", "the supervised stage"), ("grpo", "exploration by group-relative policy optimisation")):
        verb = verbs.add_parser(name, help=help_)
        verb.add_argument("--config", type=Path, required=True, metavar="TOML", help="as those in configs/train/")
        verb.add_argument("--out", type=Path, metavar="DIR", help="folder of the run (default: as configured)")
        verb.add_argument("--threads", type=int, default=0, metavar="N", help="threads of one operation (default: all)")
        verb.set_defaults(run=_train, stage=name)
    measure = verbs.add_parser("eval", help="examine an adapter on a part of the corpus")
    measure.add_argument("--adapter", default="", metavar="DIR", help="a checkpoint or a run (default: what ships)")
    measure.add_argument("--base", default="smollm2", metavar="NAME", help="name or folder of the base model")
    measure.add_argument("--part", choices=("dev", "test"), default="test", help="of the corpus")
    measure.add_argument(
        "--heard", type=Path, metavar="DIR", help="the corpus as it was heard: words of the recogniser"
    )
    measure.add_argument("--without", action="append", default=[], metavar="SENSE", help="face, voice or sound")
    measure.add_argument("--baseline", choices=("base", "prompted", "free"), help="the base model, without training")
    measure.add_argument("--replies", type=int, default=0, metavar="N", help="also let it answer the first N items")
    measure.add_argument("--limit", type=int, default=0, metavar="N", help="items of a kind (default: all)")
    measure.add_argument("--against", type=Path, metavar="JSON", help="compare, item by item, with what --out wrote")
    measure.add_argument("--out", type=Path, metavar="JSON", help="also write figures and single marks here")
    measure.add_argument("--threads", type=int, default=0, metavar="N", help="threads of one operation (default: all)")
    measure.set_defaults(run=_eval)


def _train(options: argparse.Namespace) -> int:
    try:
        return _stage(options)
    except _errors() as error:
        raise TrainingError(str(error)) from error


def _check_extra() -> None:
    """See, before a model is loaded, that what trains it is installed."""
    try:
        importlib.import_module(EXTRA)
    except ModuleNotFoundError as error:
        missing = error.name or EXTRA
        raise TrainingError(f"`agent train` needs the package {missing}, which is not installed: {INSTALL}") from error


def _stage(options: argparse.Namespace) -> int:
    from policy.training import grpo, sft
    from policy.training.recipe import read as read_recipe
    from policy.training.run import METRICS, Run

    table = read(options.config)
    _check_extra()
    _use_threads(options.threads)
    _join()
    if options.stage not in table:
        raise TrainingError(
            f"{options.config}: has no table [{options.stage}]; `agent train {options.stage}` wants one"
        )
    settings = table.get("run", {})
    folder = options.out or (Path(settings["folder"]) if "folder" in settings else None)
    if folder is None:
        raise TrainingError(f"{options.config}: run.folder is missing; set it or give --out")
    seed = int(settings.get("seed", 7))
    recipe = {"seed": seed, **table[options.stage]}
    pupil, clock = _opened(table, seed), SystemClock()

    def now() -> float:
        return as_seconds(clock.now())

    with _stopping() as stop, Run(folder) as run:
        if options.stage == "sft":
            supervised = read_recipe(sft.Recipe, recipe)
            outcome = sft.sft(pupil.student, pupil.examples, supervised, run, pupil.evaluate, now, stop)
        else:
            exploring = read_recipe(grpo.Recipe, recipe)
            found = pupil.examples, pupil.rewards, exploring, run, pupil.evaluate, now, stop
            outcome = grpo.grpo(pupil.student, *found)
        _draw(folder / METRICS)
    figures = ", ".join(f"{name} {value:.3f}" for name, value in outcome.dev.items())
    state = "finished" if outcome.finished else "stopped; the same command goes on"
    say(f"{folder}: {state} at step {outcome.step} of {outcome.total}" + (f"; dev: {figures}" if figures else ""))
    return 0


@dataclass(frozen=True, slots=True)
class _Pupil:
    """What a configuration opens: a student, what it learns from, what measures it, and what answers are worth."""

    student: Any
    examples: Sequence[Any]
    evaluate: Callable[[], Mapping[str, float]] | None
    rewards: Sequence[Any]


def _opened(table: Mapping[str, Any], seed: int) -> _Pupil:
    kind = table.get("student", {}).get("kind")
    if kind == "compact":
        from policy.training import compact_config as compact
        from policy.training.exam import examine

        student = compact.open_student(table["student"], models.resolve, seed=seed)
        data = compact.load_data(table.get("data", {}))
        dev, rewards = list(data.dev), compact.rewards_of(table.get("rewards", {}))
        return _Pupil(student, data.train, (lambda: examine(student, dev).figures()) if dev else None, rewards)
    if kind == "omni":
        from agent.training.media import read_media
        from policy.training import humansense
        from policy.training import omni_config as omni
        from policy.training.rewards import Accuracy, Format, chosen

        examples = omni.load_examples(table.get("data", {}), read_media)
        weights = {"accuracy": 1.0, "format": 1.0, **table.get("rewards", {})}
        worth = [Accuracy(chosen(humansense.key), weights["accuracy"]), Format(weight=weights["format"])]
        return _Pupil(omni.open_student(table["student"], device=_device(), seed=seed), examples, None, worth)
    raise TrainingError(f"student.kind is {kind!r}; there are: compact, omni")


def read(path: Path) -> dict[str, Any]:
    """Read a training configuration.

    Raises:
        TrainingError: it cannot be read, or has an unknown table.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read ({error.strerror})") from None
    except tomllib.TOMLDecodeError as error:
        raise TrainingError(f"{path}: is no TOML ({error})") from None
    for name in table:
        if name not in TABLES:
            raise TrainingError(f"{path}: [{name}] is no table; there are: {', '.join(TABLES)}")
    return table


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _use_threads(count: int) -> None:
    import torch

    if count:
        torch.set_num_threads(count)


def _join() -> None:
    """Join the processes that a launcher started, if one did."""
    import torch

    place = config.launched()
    if place is not None and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        if torch.cuda.is_available():
            torch.cuda.set_device(place)


def _draw(metrics: Path) -> None:
    from policy.training import ranks
    from policy.training.curves import curves

    if ranks.rank() == 0 and metrics.is_file():
        metrics.with_suffix(".svg").write_text(curves(metrics), encoding="utf-8")


@contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Give what tells whether to stop: after SIGTERM or the first SIGINT, at the end of a step."""
    asked = threading.Event()

    def ask(number: int, frame: Any) -> None:
        if asked.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.set()
        sys.stderr.write("agent: stopping after this step; once more to stop at once\n")

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _errors() -> tuple[type[Exception], ...]:
    from policy.listener import AdapterError, BaseMismatch
    from policy.training.corpus import CorpusError
    from policy.training.heard import HeardError
    from policy.training.humansense import TrainingFileError
    from policy.training.recipe import RecipeError
    from policy.training.run import RunError
    from policy.training.tables import ConfigurationError

    return (
        AdapterError, BaseMismatch, ConfigurationError, CorpusError, FileNotFoundError, HeardError, RecipeError,
        RunError, TrainingFileError,
    )  # fmt: skip


def _eval(options: argparse.Namespace) -> int:
    from agent.training.report import evaluate

    if not options.baseline:
        _check_extra()  # what was trained is put on the base by the same package
    try:
        _use_threads(options.threads)
        found = evaluate(options, models.resolve)
    except _errors() as error:
        raise TrainingError(str(error)) from error
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0
