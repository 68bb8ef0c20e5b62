"""``agent safety check``: what the detector of the safety lane makes of sentences and conversations, without a call.

It is the very detector that a live call has (:func:`agent.build.lookout`), and it is asked as the lane asks it: turn by
turn, with the turns before, oldest first. There is no voice and no clock, and nothing is kept.

A line of input is a sentence, a JSON string, or a conversation, ``{"id": ..., "turns": ["...", "..."]}``. A line that
cannot be read is named on stderr with its number and the reason, and the rest goes on.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent import build, config, logs, models
from agent.config import Config, ConfigError
from agent.doctor import usable_cores
from perception.offline import stay_local
from perception.workers import Resolve
from policy.safety.detector import HINT, LEVELS, NONE, PLAIN, Look, Lookout, windows_of

STDIN: Final = "-"
LONGEST: Final = 4000
"""Characters of a turn that are read."""

_BATCH: Final = 100
"""Windows that the classifier reads at once; the detector remembers a little more than twice as many."""

_WORTH: Final = 400
"""Windows from which one more process saves more time than its start takes."""

_STYLES: Final = {NONE: "dim", HINT: "yellow", PLAIN: "bold red"}

EPILOG: Final = """\
examples:
  agent safety check sentences.txt            one sentence or one JSON conversation a line
  agent safety check talks.jsonl --json       one JSON object for each turn
  echo "I can't go on." | agent safety check  what is typed or piped in

exit codes: 0 every line was read; 1 a line could not be read, and stderr names it; 2 wrong usage, or no such file.
"""


@dataclass(frozen=True, slots=True)
class Talk:
    """What stands in one line: the turns of one person, oldest first; a sentence is one turn."""

    id: str | int
    turns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that cannot be read: its number, from 1, and why."""

    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What the detector made of one turn; ``turn`` counts from 1, the rest is that of the detector's ``Look``."""

    id: str | int
    turn: int
    level: str
    kind: str
    probability: float
    by: str
    words: str

    def as_json(self) -> dict[str, Any]:
        """Return what ``--json`` prints; the words are left out."""
        return {
            "id": self.id,
            "turn": self.turn,
            "level": self.level,
            "kind": self.kind,
            "probability": self.probability,
            "by": self.by,
        }


def read(lines: Iterable[bytes]) -> Iterator[Talk | Unreadable]:
    """Read lines of UTF-8; blank ones are passed over."""
    for number, raw in enumerate(lines, 1):
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            if text:
                yield _talk(text, number)
        except UnicodeDecodeError as error:
            yield Unreadable(number, f"is no UTF-8 (byte {error.start + 1}); save it as UTF-8")
        except ValueError as error:
            yield Unreadable(number, str(error))


def _talk(text: str, number: int) -> Talk:
    if text[0] not in '{["':
        return Talk(number, (_turn(text, "it"),))
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        if text[0] != "{":  # a sentence may begin with a quotation, or with what somebody does in brackets
            return Talk(number, (_turn(text, "it"),))
        why = f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "it is too deep"
        raise ValueError(f"is no JSON: {why}") from None
    if isinstance(found, str):
        return Talk(number, (_turn(found, "it"),))
    if not isinstance(found, dict):
        raise ValueError('is a JSON list, expected a sentence or {"id": ..., "turns": [...]}')
    turns, name = found.get("turns"), found.get("id", number)
    if not isinstance(turns, list) or not turns:
        raise ValueError('has no turns, expected {"id": ..., "turns": ["...", "..."]}')
    if isinstance(name, bool) or not isinstance(name, (str, int)):
        raise ValueError(f"has an id that is neither a string nor a whole number: {json.dumps(name)[:40]}")
    if isinstance(name, str):
        _whole(name, "its id")
    return Talk(name, tuple(_turn(turn, f"turn {place}") for place, turn in enumerate(turns, 1)))


def _turn(turn: object, name: str) -> str:
    """Return a turn as a call would have it.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(turn, str):
        raise ValueError(f"{name} is {json.dumps(turn)[:40]}, expected a string")
    words = turn.strip()
    if not words:
        raise ValueError(f"{name} is empty")
    if len(words) > LONGEST:
        raise ValueError(f"{name} has {len(words)} characters, expected {LONGEST} or fewer")
    return _whole(words, name)


def _whole(text: str, name: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} holds half a character (a lone surrogate)") from None
    return text


class Checker:
    """The detector of a configuration. Where its classifier cannot be loaded or fails, patterns alone go on.

    Args:
        config: names the sensitivity.
        resolve: gives the folder of the classifier.

    Attributes:
        trouble: why patterns are alone; ``""`` while they are not.
    """

    def __init__(self, config: Config, resolve: Resolve) -> None:
        self.trouble = ""
        self._sensitivity = config.safety.sensitivity
        self._lookout = build.lookout(config, resolve, self._missing)

    def check(self, talks: Sequence[Talk]) -> list[Judged]:
        """Judge every turn of ``talks``, in order."""
        turns = [(words, talk.turns[:place]) for talk in talks for place, words in enumerate(talk.turns)]
        try:
            looks = self._look(turns)
        except Exception as error:
            if self.trouble:
                raise  # patterns are alone already
            self.trouble = f"the classifier failed ({type(error).__name__})"
            self._lookout = Lookout(sensitivity=self._sensitivity)
            looks = self._look(turns)
        places = [(talk, place) for talk in talks for place in range(len(talk.turns))]
        return [
            Judged(talk.id, n + 1, look.level, look.kind, round(look.probability, 3), look.by, talk.turns[n])
            for (talk, n), look in zip(places, looks, strict=True)
        ]

    def _look(self, turns: Sequence[tuple[str, Sequence[str]]]) -> list[Look]:
        self._lookout.read_all(turns)
        return [self._lookout.look(words, before) for words, before in turns]

    def _missing(self, error: Exception) -> None:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        mend = "" if "agent models fetch" in why else "; mend it with: agent models fetch"
        self.trouble = f"the classifier cannot be loaded ({why}{mend})"


def batches(talks: Iterable[Talk], windows: int = _BATCH) -> Iterator[list[Talk]]:
    """Yield whole conversations, as many at once as have ``windows`` windows for the classifier, and no fewer."""
    batch: list[Talk] = []
    count = 0
    for talk in talks:
        batch.append(talk)
        count += _windows(talk)
        if count >= windows:
            yield batch
            batch, count = [], 0
    if batch:
        yield batch


def _windows(talk: Talk) -> int:
    return sum(len(windows_of(words, talk.turns[:place])) for place, words in enumerate(talk.turns))


Found = tuple[list[Judged], str]
"""What became of a batch, and the trouble of its checker."""


def judge(
    talks: Iterable[Talk], config: Config, resolve: Resolve, *, jobs: int = 1, windows: int = _BATCH
) -> Iterator[Found]:
    """Judge conversations, in order, batch by batch.

    Args:
        talks: read as they are needed with one process, and beforehand with several.
        config: of the detector.
        resolve: gives models.
        jobs: processes; fewer are used where there is too little to do.
        windows: of a batch.

    Raises:
        ConfigError: a process was ended from outside.
    """
    if jobs > 1:
        talks = list(talks)
        jobs = min(jobs, 1 + sum(map(_windows, talks)) // _WORTH)
    if jobs == 1:
        checker = Checker(config, resolve)
        for batch in batches(talks, windows):
            yield checker.check(batch), checker.trouble
        return
    # Spawned, not forked: a fork copies the locks of threads that it does not have.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, spawn, _begin, (config, resolve)) as pool:
        asked: deque[Future[Found]] = deque()
        try:
            for batch in batches(talks, windows):
                asked.append(pool.submit(_check, batch))
                if len(asked) > 4 * jobs:
                    yield asked.popleft().result()
            while asked:
                yield asked.popleft().result()
        except BrokenProcessPool:
            raise ConfigError("a process of the check was ended, perhaps for its memory; try --jobs 1") from None


_OWN: Final[dict[str, Checker]] = {}
"""That of a child."""


def _begin(config: Config, resolve: Resolve) -> None:
    """Begin a child."""
    logs.configure()
    stay_local()
    _OWN["checker"] = Checker(config, resolve)


def _check(batch: list[Talk]) -> Found:
    checker = _OWN["checker"]
    return checker.check(batch), checker.trouble


# The command.


def add(commands: Any, config_option: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add ``safety`` to the command line."""
    safety = commands.add_parser("safety", help="try the detector of the safety lane on sentences of your own")
    verbs = safety.add_subparsers(dest="verb", required=True, metavar="VERB")
    check = verbs.add_parser(
        "check",
        help="what the lane would make of each sentence, or of each turn of a conversation",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    config_option(check)
    check.add_argument("file", nargs="?", default=STDIN, metavar="FILE", help="lines to check; - for standard input")
    check.add_argument("--json", action="store_true", help="one JSON object for each turn instead of a table")
    check.add_argument("--jobs", type=int, default=0, metavar="N", help="processes (default: one for each core)")
    check.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.jobs < 0:
        raise ConfigError(f"--jobs is {options.jobs}, expected 1 or more")
    loaded = config.load(options.config)
    if not loaded.safety.enabled:
        sys.stderr.write("agent: safety.enabled is false: a live call with this configuration looks for no danger\n")
    lines = _opened(options.file)
    typed = options.file == STDIN and sys.stdin.isatty()  # then each line is answered at once
    jobs = 1 if typed else options.jobs or usable_cores()
    show: Callable[[Judged], None] = _as_line if options.json else _Table()
    return _report(lines, loaded, show, jobs=jobs, windows=1 if typed else _BATCH)


def _report(lines: Iterable[bytes], loaded: Config, show: Callable[[Judged], None], *, jobs: int, windows: int) -> int:
    """Judge ``lines``, show each turn, tell stderr what could not be read; return the exit code."""
    bad: list[Unreadable] = []
    counts: Counter[str] = Counter()
    told = False

    def talks() -> Iterator[Talk]:
        for found in read(lines):
            if isinstance(found, Unreadable):
                bad.append(found)
                sys.stderr.write(f"agent: line {found.line} {found.why}\n")
            else:
                yield found

    for judged, trouble in judge(talks(), loaded, models.resolve, jobs=jobs, windows=windows):
        if trouble and not told:
            told = True
            sys.stderr.write(f"agent: {trouble}; patterns alone look for danger\n")
        for one in judged:
            counts[one.level] += 1
            show(one)
        sys.stdout.flush()
    levels = ", ".join(f"{counts[level]} {level}" for level in LEVELS)
    unread = f"; {len(bad)} {'line' if len(bad) == 1 else 'lines'} could not be read" if bad else ""
    sys.stderr.write(f"agent: {counts.total()} turns: {levels}{unread}\n")
    return 1 if bad else 0


def _opened(name: str) -> Iterable[bytes]:
    if name == STDIN:
        return sys.stdin.buffer
    try:
        return Path(name).read_bytes().splitlines()
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read ({error.strerror}); name a file, or - for standard input") from None


def _as_line(one: Judged) -> None:
    sys.stdout.write(json.dumps(one.as_json(), ensure_ascii=False) + "\n")


class _Table:
    """Writes one row after the other; coloured on a terminal, unless NO_COLOR is set."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(highlight=False, soft_wrap=True)
        self._headed = False

    def __call__(self, one: Judged) -> None:
        from rich.text import Text

        if not self._headed:
            self._headed = True
            head = f"{'id':>8} {'turn':>4}  {'level':<6} {'kind':<12} {'probability':>11}  {'by':<11} words"
            self._console.print(Text(head, "bold"))
        found = f"{one.level:<6} {one.kind:<12} {one.probability:>11.3f}  {one.by:<11} "
        words = " ".join(one.words.split())
        self._console.print(Text.assemble(f"{one.id!s:>8} {one.turn:>4}  ", (found, _STYLES[one.level]), words))
