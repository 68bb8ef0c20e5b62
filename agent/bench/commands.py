"""``agent bench`` and its verbs, as the command line has them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from agent import build
from agent.bench import builtin, canary, compare, page, plan, report, rescore, running
from agent.bench.child import Job
from agent.bench.condition import FEEDS, Condition, ConditionError
from agent.bench.judging import selected
from agent.bench.plan import Selection
from agent.bench.progress import Meter
from agent.bench.records import RUN, Record, RunError, read_records, replacing
from agent.config import Use
from agent.doctor import usable_cores
from agent.empathy import command as empathy
from agent.media_file import MediaError, open_media
from perception.timebase import SECOND, as_seconds
from policy.tasks import VARIANTS, Item, Task, TaskError

FAILED: Final = 1
DEAF: Final = empathy.DEAF
"""Too little of what the media hold has arrived, or too much was guessed."""
BUILTIN: Final = "builtin"
RUNS: Final = Path("bench-runs")
SPEED: Final = 4.0
"""Seconds of media that one core replays in a second, about; for estimates."""

EPILOG = """\
examples:
  agent bench --data builtin                          the small set that ships: a smoke test of the loop
  agent bench --data HumanSense_bench --dry-run       what there is, and how long it will take
  agent bench --data HumanSense_bench --task ES --task PC --limit 50
  agent bench --data HumanSense_bench --variant think --out runs/think
  agent bench --data HumanSense_bench --compare runs/think
  agent bench --task empathy --out runs/empathy       timing, choice and safety of the agent itself (docs/empathy.md)
  agent bench score results.json --model qwen --rules reference     score somebody's result file again
  agent bench report runs/think                       print the report of a run and write its page anew
  agent bench compare runs/think runs/direct          paired difference of two runs

A run that was stopped, however, goes on where it was when the same command is given again.
docs/bench.md says what each condition means.
"""


def add(commands: Any) -> None:
    """Add ``bench`` to the command line."""
    parser = commands.add_parser(
        "bench",
        help="replay a benchmark through the live loop, score it, report it",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", metavar="DIR", help=f"folder of the data set, or {BUILTIN!r}")
    parser.add_argument("--benchmark", default="humansense", metavar="NAME", help="humansense, streaming, or a module")
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"folder of the run (default: one in {RUNS}/)")
    parser.add_argument("--json", action="store_true", help="end with one JSON object on stdout")
    parser.add_argument("--config", type=Path, metavar="TOML", help="configuration (default: as configs/bench.toml)")
    parser.add_argument("--policy", default="", metavar="NAME", help="policy to ask instead of the configured one")
    parser.add_argument("--variant", choices=VARIANTS, default="direct", help="how questions are put")
    parser.add_argument("--feed", choices=FEEDS, default="percepts", help="what the policy gets of the media")
    parser.add_argument("--asr", action="store_true", help="show the data set's own transcript")
    parser.add_argument("--hear-all", action="store_true", help="hear also the tasks that are silent as published")
    parser.add_argument(
        "--task", action="append", default=[], metavar="TASK", help="only this task (code or type), or empathy"
    )
    parser.add_argument("--id", action="append", default=[], metavar="ID", help="only this item (or a beginning of it)")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="at most N items, round the tasks in turn")
    parser.add_argument("--shuffle", type=int, metavar="SEED", help="in a random order")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="each item N times")
    parser.add_argument("--jobs", type=int, default=0, metavar="N", help="items at once (default: one per core)")
    parser.add_argument("--patience", type=float, default=1800.0, metavar="S", help="real time for one item, seconds")
    parser.add_argument(
        "--least-arrived",
        type=float,
        default=canary.ARRIVED,
        metavar="SHARE",
        help="end with an error where fewer items with a voice (a face) brought words (a face percept); 0: never",
    )
    parser.add_argument(
        "--most-guessed",
        type=float,
        default=canary.GUESSED,
        metavar="SHARE",
        help="end with an error where more of the answers are guesses; 1: never",
    )
    parser.add_argument("--measured", action="store_true", help="charge work what it takes, not fixed costs")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be run")
    parser.add_argument("--no-page", action="store_true", help="write no HTML page")
    parser.add_argument("--compare", type=Path, metavar="RUN", help="compare with an earlier run")
    empathy.add(parser)
    parser.set_defaults(run=_bench)
    verbs = parser.add_subparsers(dest="verb", required=False, metavar="VERB")

    score = verbs.add_parser("score", help="score a result file or a run again")
    score.add_argument("file", type=Path, metavar="FILE", help="result file in the official format, or a run")
    score.add_argument("--rules", choices=("reference", "strict"), default="strict")
    score.add_argument("--mode", choices=("direct", "think"), default="direct", help="which published scorer to follow")
    score.add_argument("--model", metavar="NAME", help="key under which the answers are stored")
    score.add_argument("--data", type=Path, metavar="DIR", help="where the data set of a run is now, if it moved")
    score.add_argument("--json", action="store_true", help="one JSON object")
    score.set_defaults(run=_score)

    again = verbs.add_parser("report", help="report a run again")
    again.add_argument("folder", type=Path, metavar="RUN")
    again.add_argument("--json", action="store_true", help="one JSON object")
    again.add_argument("--no-page", action="store_true", help="write no HTML page")
    again.add_argument("--compare", type=Path, metavar="RUN", help="compare with an earlier run")
    again.set_defaults(run=_report)

    two = verbs.add_parser("compare", help="paired difference of two runs")
    two.add_argument("first", type=Path, metavar="RUN")
    two.add_argument("second", type=Path, metavar="RUN")
    two.add_argument("--rules", choices=("reference", "strict"), default="strict")
    two.add_argument("--json", action="store_true", help="one JSON object")
    two.set_defaults(run=_compare)


def _bench(options: argparse.Namespace) -> int:
    if empathy.wanted(options):
        return empathy.run(options)
    if options.part:
        raise RunError(f"--part goes with --task {empathy.TASK} and no --data")
    if not options.data:
        raise RunError(f"which data set? give --data DIR or --data {BUILTIN}; agent bench --help shows examples")
    if options.repeat < 1 or options.limit < 0 or options.jobs < 0 or not options.patience > 0:
        raise RunError("--repeat is at least 1, --limit and --jobs are not negative, --patience is above 0")
    try:
        bounds = canary.Bounds(arrived=options.least_arrived, guessed=options.most_guessed)
    except ValueError as error:
        raise RunError(f"--least-arrived and --most-guessed: {error}") from error
    shipped = options.data == BUILTIN
    with Meter() as meter:
        folder = builtin.build(builtin.default_folder(), meter) if shipped else Path(options.data).resolve()
    condition = Condition(
        variant=options.variant,
        feed=options.feed,
        asr=options.asr,
        hear_all=options.hear_all,
        measured=options.measured,
    )
    job = Job(
        task=options.benchmark,
        options={"hear_all": True} if options.hear_all else {},
        data=str(folder),
        config=str(options.config.resolve()) if options.config else "",
        policy=options.policy,
        condition=condition.as_json(),
    )
    loaded = job.loaded()
    if not _is_native(loaded.policy.use) and condition.feed == "native":
        raise RunError(
            f"policy {loaded.policy.use!r} reads percepts and takes no media; leave --feed native out, or name a "
            "policy that hears and sees by itself, whose module says NATIVE = True"
        )
    task = build.task(Use(job.task, job.options))
    items = task.items(folder)
    selection = Selection(
        tasks=tuple(options.task),
        ids=tuple(options.id),
        limit=options.limit,
        shuffle=options.shuffle,
        repeat=options.repeat,
    )
    chosen = plan.select(task, items, selection)
    jobs = options.jobs or usable_cores()
    if options.dry_run:
        return _preview(task, folder, chosen, selection, jobs)
    identity = plan.identity(task, folder, chosen, job, selection, comparable=not shipped)
    out = options.out or RUNS / f"{_name(options.data)}-{_short(identity)}"
    with Meter() as meter:
        records = running.run(
            out,
            chosen,
            identity,
            job,
            selection,
            jobs=jobs,
            patience=round(options.patience * SECOND),
            told=meter.told,
        )
    arrived = _tell(task, folder, chosen, records, identity, out, options)["arrivals"]
    broken = running.broken(records)
    if broken:
        _say(f"{len(broken)} items failed because a process died or hung; see errors above. Their records stay.")
    return FAILED if broken else DEAF if canary.alarms(arrived, bounds) else 0


def _report(options: argparse.Namespace) -> int:
    task, folder, items, identity = _opened(options.folder)
    records = list(read_records(options.folder))
    _tell(task, folder, items, records, identity, options.folder, options)
    return 0


def _tell(
    task: Task,
    folder: Path,
    items: Sequence[Item],
    records: Sequence[Record],
    identity: dict[str, Any],
    out: Path,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Write the report of a run, print it, and return it."""
    mode = Condition.from_json(identity["condition"]).mode
    summary = report.summarise(task, items, records, identity, mode=mode)
    comparison = None
    if options.compare is not None:
        earlier = _identity(options.compare)
        comparison = compare.compare(
            task,
            items,
            list(read_records(options.compare)),
            records,
            mode=Condition.from_json(earlier["condition"]).mode,
            mode_b=mode,
            names=(options.compare.name, out.name),
        )
        summary["comparison"] = comparison
    with replacing(out / "report.json") as file:
        file.write(json.dumps(summary, ensure_ascii=False, indent=2) + "\n")
    if not options.no_page:
        page.write_page(
            out / "report.html",
            summary,
            task,
            items,
            records,
            media_of=lambda item: _media(task, folder, item),
            comparison=comparison,
        )
        _say(f"page: {out / 'report.html'}")
    _say(f"run: {out}")
    for alarm in summary["alarms"]:
        _say(f"not to be trusted: {alarm}")
    if options.json:
        _json(summary)
        return summary
    _print(report.table(summary))
    if comparison is not None:
        _print(compare.compared_table(comparison))
    return summary


def _score(options: argparse.Namespace) -> int:
    found = rescore.rescore(
        options.file, rules=options.rules, mode=options.mode, model=options.model, data=options.data
    )
    if options.json:
        _json(found)
        return 0
    rows = [*found["per_task"].items(), ("all", found["all"])]
    _print(report.plain_table(f"{found['rules']} rules, {found['mode']} answers", rows, found["crashes"]))
    return 0


def _compare(options: argparse.Namespace) -> int:
    task, _, items, _ = _opened(options.first)
    folders = (options.first, options.second)
    first, second = (list(read_records(folder)) for folder in folders)
    mode, other = (Condition.from_json(_identity(folder)["condition"]).mode for folder in folders)
    names = (options.first.name, options.second.name)
    found = compare.compare(task, items, first, second, rules=options.rules, mode=mode, mode_b=other, names=names)
    if options.json:
        _json(found)
    else:
        _print(compare.compared_table(found))
    return 0


def _opened(run: Path) -> tuple[Task, Path, list[Item], dict[str, Any]]:
    """Return the task, the data folder, the selected items and the identity of a run."""
    identity = _identity(run)
    task = build.task(Use(identity["task"], identity["options"]))
    folder = Path(identity["data"])
    return task, folder, selected(task.items(folder), identity), identity


def _identity(run: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((run / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{run} is not the folder of a run ({error})") from error
    return found


def _preview(task: Task, folder: Path, chosen: Sequence[Item], selection: Selection, jobs: int) -> int:
    """Say what would be run."""
    seconds = 0.0
    missing = 0
    counts: dict[str, int] = {}
    for item in chosen:
        counts[item.task_type or "(no task type)"] = counts.get(item.task_type or "(no task type)", 0) + 1
        path = None if item.problem else _media(task, folder, item)
        try:
            if path is None:
                missing += 1
                continue
            with open_media(path) as media:
                seconds += as_seconds(media.info.duration or 0)
        except MediaError:
            missing += 1
    for name, count in sorted(counts.items()):
        _out(f"{name:<32} {count:>6}")
    _out(f"{'all':<32} {len(chosen):>6}   x {selection.repeat} = {len(chosen) * selection.repeat} replays")
    _out(f"media {seconds / 3600:.2f} h; unusable items or files: {missing}")
    hours = seconds * selection.repeat / SPEED / jobs / 3600
    _out(f"estimate: about {hours:.2f} h for the senses with {jobs} at once, and what the policy takes on top")
    for item in chosen[:20]:
        _out(f"  {item.id}  {item.task_type}  {item.media}  {item.problem}".rstrip())
    if len(chosen) > 20:
        _out(f"  ... and {len(chosen) - 20} more")
    return 0


def _media(task: Task, folder: Path, item: Item) -> Path | None:
    try:
        return task.media_path(folder, item)
    except TaskError:
        return None


def _is_native(policy: str) -> bool:
    """Whether a policy takes sound and pictures; also finds out whether there is such a policy."""
    module = sys.modules[build.loader("policy", policy).__module__]
    return bool(getattr(module, "NATIVE", False))


def _name(data: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in Path(data).name).strip("-") or "data"


def _short(identity: dict[str, Any]) -> str:
    import hashlib

    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _out(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _json(value: Any) -> None:
    _out(json.dumps(value, ensure_ascii=False))


def _print(what: Any) -> None:
    from rich.console import Console

    Console().print(what)


ERRORS: Final = (RunError, TaskError, ConditionError, empathy.EmpathyError)
"""What a person can mend; the message says how."""
