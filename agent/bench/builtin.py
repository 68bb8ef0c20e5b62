"""The small set that ships with ``agent bench --data builtin``: a smoke test of the loop, no measure of a model.

Its items stand in ``policy/data/builtin*.toml``. The media are made on first use, from the embedded voice
and the test clips, and lie in a folder with the layout of the official data set::

    HumanSense_VQA.json    items with pictures
    HumanSense_AQA.json    items with sound alone
    data/videos/*.mp4      H.264, 640x360 at 24 Hz, with 16 kHz mono AAC where somebody speaks
    data/audios/*.wav      16 kHz mono, 16 bit
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, cast

from agent import models, paths
from agent.bench._builtin_media import (
    FPS,
    HEIGHT,
    PAUSE_S,
    RATE_HZ,
    WIDTH,
    Line,
    Medium,
    Shot,
    Speaker,
    View,
    frames,
    make,
)
from agent.config import Use
from agent.progress import Progress
from agent.tone import Tone
from policy.tasks import MULTI, NUMBER, SINGLE, TaskError
from policy.words import load_table

ABOUT: Final = (
    "The built-in set is a smoke test of the loop: synthetic voices over a handful of clips. "
    "Its figures say whether everything works, not how good a model is."
)
TABLES: Final = ("builtin", "builtin_talk", "builtin_reply")
"""The files of ``policy/data`` that hold the items."""

VQA, AQA = "HumanSense_VQA.json", "HumanSense_AQA.json"
PATTERNS: Final[Mapping[str, str]] = {
    SINGLE: "Multiple-choice question (select one answer choice)",
    MULTI: "Multiple-choice question (select one or more answer choices)",
    NUMBER: "Question and answer (Arabic numerals)",
}
LETTERS: Final = "ABCDE"

_VERSION = 2
"""Raise it when the same recipe makes other media."""
_STAMP = ".builtin"
_SEED = 7
_FACTORS = frozenset({"speed", "pitch", "range"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One item. ``options`` are without letters; ``answer`` is a letter, letters, or a number."""

    task_type: str
    medium: Medium
    pattern: str
    question: str
    answer: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipes:
    """The whole set as it is written.

    Attributes:
        entries: the items, in order.
        media: by name.
        digest: hex sha256 of all of it.
    """

    entries: tuple[Entry, ...]
    media: Mapping[str, Medium]
    digest: str

    @property
    def clips(self) -> tuple[str, ...]:
        """Names of the test clips that are needed."""
        used = (view.clip for m in self.media.values() for shot in m.shots for view in shot.views)
        return tuple(sorted(set(used)))


@cache
def recipes() -> Recipes:
    """Return the set as it is written in ``policy/data``.

    Raises:
        KeyError: a name is used that is not defined.
    """
    tables = [load_table(name) for name in TABLES]
    text = json.dumps([_VERSION, RATE_HZ, FPS, WIDTH, HEIGHT, *tables], sort_keys=True)
    head = tables[0]
    views = {name: _view(value) for name, value in head["views"].items()}
    media = {
        name: Medium(
            name,
            tuple(_shot(shot, views) for shot in value.get("shots", ())),
            tuple(_line(line, head) for line in value.get("lines", ())),
        )
        for table in tables
        for name, value in table["media"].items()
    }
    return Recipes(
        entries=tuple(_entry(value, media) for table in tables for value in table["items"]),
        media=media,
        digest=hashlib.sha256(text.encode("utf-8")).hexdigest(),
    )


def default_folder() -> Path:
    """Return where the set is kept; another one for other recipes."""
    return paths.cache_dir() / "bench" / f"builtin-{recipes().digest[:8]}"


def build(folder: Path, progress: Progress | None = None, wanted: Recipes | None = None) -> Path:
    """Make what is missing of the set, and return ``folder``.

    Every file appears at once and whole, so it may be killed and called again; a second process waits.

    Args:
        folder: where it goes; see :func:`default_folder`.
        progress: is told of each medium that is made.
        wanted: what to make; by default the set that ships.

    Raises:
        TaskError: the folder holds another data set.
        agent.models.ModelError: a test clip is missing or altered; the message says how to get it.
    """
    from filelock import FileLock

    made = recipes() if wanted is None else wanted
    if _whole(folder, made):
        return folder
    if not (folder / _STAMP).exists() and any((folder / name).exists() for name in (VQA, AQA)):
        raise TaskError(f"{folder} holds another data set; choose another folder for the built-in one")
    _require(made.clips)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if _whole(folder, made):
            return folder  # another process has made it in the meantime
        _claim(folder, made)
        _make_media(folder, made, progress)
        for name, shown in ((VQA, True), (AQA, False)):
            entries = [_official(e, folder) for e in made.entries if bool(e.medium.shots) == shown]
            _write_text(folder / name, json.dumps(entries, ensure_ascii=False, indent=1) + "\n")
    return folder


def _view(value: Mapping[str, Any]) -> View:
    box = tuple(value["box"]) if "box" in value else None
    return View(value["clip"], value["from"], value["to"], box, value.get("face", True))


def _shot(value: Mapping[str, Any], views: Mapping[str, View]) -> Shot:
    names = [value["view"]] if "view" in value else [value["left"], value["right"]]
    return Shot(tuple(views[name] for name in names), value.get("s"))


def _line(value: Mapping[str, Any], head: Mapping[str, Any]) -> Line:
    voice, tone = head["voices"][value["who"]], head["tones"][value.get("tone", "plain")]
    return Line(
        value["who"],
        value["text"],
        _together(_tone(voice), _tone(tone)),
        voice.get("throat", 1.0),
        value.get("pause", PAUSE_S),
    )


def _together(voice: Tone, tone: Tone) -> Tone:
    """Put a tone on top of a voice: factors are multiplied, decibels are added, pauses are the tone's."""
    values: dict[str, Any] = {}
    for field in fields(Tone):
        a, b = getattr(voice, field.name), getattr(tone, field.name)
        values[field.name] = a * b if field.name in _FACTORS else a + b if field.name.endswith("_db") else b
    return Tone(**values)


def _entry(value: Mapping[str, Any], media: Mapping[str, Medium]) -> Entry:
    return Entry(
        value["task"],
        media[value["media"]],
        value["pattern"],
        value["question"],
        value["answer"],
        tuple(value.get("options", ())),
    )


def _tone(value: Mapping[str, Any]) -> Tone:
    return Tone(**{key: number for key, number in value.items() if key != "throat"})


def _whole(folder: Path, made: Recipes) -> bool:
    try:
        known = (folder / _STAMP).read_text(encoding="utf-8")
    except OSError:
        return False
    files = (VQA, AQA, *(medium.path for medium in made.media.values()))
    return known == made.digest and all((folder / name).exists() for name in files)


def _claim(folder: Path, made: Recipes) -> None:
    """Mark the folder as holding these recipes; what other ones have made goes first."""
    stamp = folder / _STAMP
    if stamp.exists() and stamp.read_text(encoding="utf-8") == made.digest:
        return
    for name in (VQA, AQA, *(medium.path for medium in made.media.values())):
        (folder / name).unlink(missing_ok=True)
    _write_text(stamp, made.digest)


def _require(clips: tuple[str, ...]) -> None:
    bad = [check for check in models.verify(clips, test_clips=True) if check.state != "ok"]
    if bad:
        error = models.ModelMissing if bad[0].state == "missing" else models.ModelAltered
        raise error(
            f"the built-in set is made from test clips, and {len(bad)} of {len(clips)} are not usable "
            f"({bad[0].problem}); mend it with: agent models fetch --test-clips"
        )


def _make_media(folder: Path, made: Recipes, progress: Progress | None) -> None:
    missing = [medium for medium in made.media.values() if not (folder / medium.path).exists()]
    if not missing:
        return
    from agent.build import voice

    speaker = cast(Speaker, voice(Use("hibari", {"seed": _SEED}), models.resolve))
    try:
        if progress is not None:
            progress.step("making the built-in set", len(made.media), len(made.media) - len(missing))
        for medium in missing:
            path = folder / medium.path
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, partial(make, medium, speaker=speaker))
            if progress is not None:
                progress.advance(1)
    finally:
        speaker.close()


def _official(entry: Entry, folder: Path) -> dict[str, Any]:
    """Return an item as the official data set writes it."""
    asked: dict[str, Any] = {
        "task_type": entry.task_type,
        "question_pattern": PATTERNS[entry.pattern],
        "question": entry.question,
    }
    if entry.options:
        asked["options"] = [f"{letter}. {text}" for letter, text in zip(LETTERS, entry.options, strict=False)]
    asked["answer"] = entry.answer
    if entry.medium.shots:
        asked |= {"full_frame_number": frames(folder / entry.medium.path), "fps": FPS}
        asked["shows_face"] = entry.medium.faces
    if entry.medium.lines:
        asked["asr_en"] = entry.medium.words
    return {"video_path": entry.medium.path, "questions": asked}


def _write_text(path: Path, text: str) -> None:
    _write(path, lambda new: new.write_text(text, encoding="utf-8"))


def _write(path: Path, make: Callable[[Path], object]) -> None:
    """Let ``make`` write beside ``path``, and put it there when it is whole and on the disk."""
    new = path.with_name(f".{path.name}.new")
    make(new)
    with new.open("rb") as file:
        os.fsync(file.fileno())
    new.replace(path)
