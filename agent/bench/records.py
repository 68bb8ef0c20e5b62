"""What a run leaves behind: its identity, and one record per item, appended and synced, never rewritten.

A run is a folder::

    run.json        what was run: data set, configuration, condition, code version, and their hash
    records.jsonl   one :class:`Record` per line, in the order in which they were finished

A line that was cut off by a kill is dropped when the run goes on, so every item is there exactly once.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, TextIO

RUN: Final = "run.json"
RECORDS: Final = "records.jsonl"


class RunError(Exception):
    """A run cannot begin or go on; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one question.

    Attributes:
        ask: id of the question.
        raw: what the policy said, verbatim; ``None`` if nothing.
        reason: its own short reason.
        thought: what a reasoning model wrote before it decided; no part of the answer.
        at_s: second of the call at which it was asked.
        prompt: the chat messages that the policy could read, ``[{role, content}]``, question included.
        frames: pictures that the policy was given.
        heard_s: seconds of sound that the policy was given.
        tokens: estimated tokens of the prompt.
        answer_s: from the question to the answer, on the clock of the call.
        guessed: whether nothing was perceived that speaks to it, as the policy says.
        error: why there is no answer; ``""`` if there is one.
    """

    ask: str
    raw: str | None
    reason: str = ""
    thought: str = ""
    at_s: float = 0.0
    prompt: tuple[Mapping[str, str], ...] = ()
    frames: int = 0
    heard_s: float = 0.0
    tokens: int = 0
    answer_s: float = 0.0
    guessed: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What came of one item.

    Attributes:
        id: of the item.
        task_type: of the item.
        media: its path as the data set spells it; the unit by which errors are clustered.
        repeat: which repetition, from 0.
        answers: one per question.
        error: why the item as a whole failed; ``""`` if it did not.
        frames_seen: pictures that went into the senses.
        heard_s: seconds of sound that went into the senses.
        voice_s: seconds of voice in that sound, by the voice detector alone; ``None`` where it was not looked for.
        face_share: share of a few pictures with a face, by the face detector alone; ``None`` likewise.
        transcript: words that the senses brought.
        face_percepts: percepts of a face that is there.
        senses_lost: senses that were given up.
        media_s: length of the medium in seconds.
        took_s: wall-clock seconds.
        stages: seconds per stage, such as ``policy``, from the call's metrics.
        timeline: percepts and turns, as the journal writes them (``t``, ``type``, ``kind``, ``label``, ...).
        notes: what a person should know of the medium.
    """

    id: str
    task_type: str
    media: str
    repeat: int = 0
    answers: tuple[Answer, ...] = ()
    error: str = ""
    frames_seen: int = 0
    heard_s: float = 0.0
    voice_s: float | None = None
    face_share: float | None = None
    transcript: str = ""
    face_percepts: int = 0
    senses_lost: tuple[str, ...] = ()
    media_s: float = 0.0
    took_s: float = 0.0
    stages: Mapping[str, float] = field(default_factory=dict)
    timeline: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()


def to_json(record: Record) -> dict[str, Any]:
    """Return the record as plain JSON values."""
    return dataclasses.asdict(record)


def from_json(value: Mapping[str, Any]) -> Record:
    """Turn JSON values back into a record; keys that are not known are ignored.

    Raises:
        KeyError: a required key is missing.
        TypeError: the value is no object.
    """
    known = {f.name for f in dataclasses.fields(Record)} - {"answers"}
    asked = {f.name for f in dataclasses.fields(Answer)}
    answers = tuple(Answer(**_fields(answer, asked)) for answer in value.get("answers", ()))
    return Record(answers=answers, **_fields(value, known))


def _fields(value: Mapping[str, Any], known: set[str]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in value.items() if k in known}


def read_records(folder: Path) -> Iterator[Record]:
    """Yield the whole records of a run, in order; a last line that was cut off is not one.

    Raises:
        RunError: a line in the middle is no record.
    """
    path = folder / RECORDS
    if not path.exists():
        return
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield from_json(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise RunError(f"{path}, line {number}: is no record ({error}); move the folder away") from error


class Ledger:
    """The records of a run, open for appending. A context manager; one process at a time.

    Args:
        folder: of the run; made if it is not there.
        identity: what is run. A folder that holds another run is refused.

    Raises:
        RunError: the folder holds another run, or is in use.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        from filelock import FileLock, Timeout

        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds what people said, and how they looked
        self._lock = FileLock(folder / ".lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RunError(f"{folder} is in use by another run; wait for it, or choose another --out") from None
        try:
            self._claim(folder, identity)
            self.done = {(record.id, record.repeat) for record in read_records(folder)}
            self._out = self._open(folder / RECORDS)
        except BaseException:
            self._lock.release()
            raise

    def append(self, record: Record) -> None:
        """Write one record so that it survives a crash of the machine, unless it is there already."""
        key = (record.id, record.repeat)
        if key in self.done:
            return
        line = json.dumps(to_json(record), ensure_ascii=False, separators=(",", ":"))
        self._out.write(line.encode("utf-8", "replace") + b"\n")
        self._out.flush()
        os.fsync(self._out.fileno())
        self.done.add(key)

    def close(self) -> None:
        """Close the file and let others in."""
        self._out.close()
        self._lock.release()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _claim(self, folder: Path, identity: Mapping[str, Any]) -> None:
        path = folder / RUN
        if path.exists():
            try:
                known = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise RunError(f"{path} is no run ({error}); choose another --out") from error
            differing = sorted(k for k in {*known, *identity} if known.get(k) != identity.get(k))
            if differing:
                raise RunError(
                    f"{folder} holds another run: {_list(differing)} differ; choose another --out, "
                    "or move the folder away"
                )
            return
        with replacing(path) as out:
            json.dump(identity, out, ensure_ascii=False, indent=2)
            out.flush()
            os.fsync(out.fileno())
        _sync(folder)

    @staticmethod
    def _open(path: Path) -> IO[bytes]:
        """Open for appending, without the line that a kill cut off."""
        if path.exists():
            data = path.read_bytes()
            whole = data.rfind(b"\n") + 1
            if whole < len(data):
                with path.open("r+b") as file:
                    file.truncate(whole)
        out = os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _OWNER), "ab")
        _sync(path.parent)
        return out


_OWNER = 0o600


@contextmanager
def replacing(path: Path, errors: str = "strict", mode: int = _OWNER) -> Iterator[TextIO]:
    """Write a file beside ``path`` that takes its place when it is whole, and not if writing it fails.

    Args:
        path: of the file.
        errors: what becomes of characters that UTF-8 lacks, as :func:`open` has it.
        mode: who may read and write it, less what the umask forbids, from its first byte on.
    """
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)  # one that was left behind keeps the mode that it was made with
    new.touch(mode=mode)
    with new.open("w", encoding="utf-8", errors=errors, newline="\n") as out:
        yield out
    new.replace(path)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
