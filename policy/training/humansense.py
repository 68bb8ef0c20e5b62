"""Reads HumanSense's own training files: a question about a clip each, in the three stages of the published recipe.

A file is a JSON list; an entry names its medium in ``video_path`` and has one object ``questions`` with ``question``,
``task_type``, ``question_pattern``, ``options`` (none where a number or yes and no is wanted) and ``answer``. The
published recipe has one file and one stage each for pictures alone, sound alone, and both.

Two things differ from the published loader. What cannot be used is an error with the number of the entry and the
field, not a reward that can never be earned. And the words around a question are our own; their layout is the
published one: a role, the question, the options line by line, and thoughts and answer in tags.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from policy.tasks import MULTI, NUMBER, SINGLE, YES_NO
from policy.training.omni_example import AUDIO, BOTH, VISION, Media, OmniExample

STAGES: Final = (VISION, AUDIO, BOTH)
"""In the order of the published recipe; what of the medium is given to the model."""

FILES: Final[Mapping[str, tuple[str, ...]]] = {
    VISION: ("merged_video_wo_audio.json",),
    AUDIO: ("merged_audio.json", "merged_video_audio.json"),
    BOTH: ("merged_video_w_audio.json",),
}
"""How the published files of each stage are named; the second has two names."""

PATTERNS: Final[Mapping[str, str]] = {
    "Multiple-choice question (select one answer choice)": SINGLE,
    "Multiple-choice question (select one or more answer choices)": MULTI,
    "Question and answer (Arabic numerals)": NUMBER,
    "Judgment question (Yes or No)": YES_NO,
}

FPS: Final = 2.0
"""Frames per second that are read; fewer where a medium is longer than the model's limits."""

MOST_FRAMES: Final = 768


class ReadMedia(Protocol):
    """Decodes a file."""

    def __call__(self, path: Path, /, *, fps: float, most_frames: int, pictures: bool, sound: bool) -> Media:
        """Return its media.

        Args:
            path: of the file.
            fps: frames per second that are wanted.
            most_frames: where there would be more, they are to be spread evenly over the medium, with another ``fps``.
            pictures: whether frames are wanted.
            sound: whether sound is wanted.
        """
        ...


_ROLE: Final = (
    "You are an advanced assistant that analyses people in video and sound. Consider {medium} and answer the question."
)
_MEDIUM: Final = {VISION: "the video", AUDIO: "the recording", BOTH: "the video and its sound"}
_ASKS: Final = {
    SINGLE: ", which one of the following is correct?",
    MULTI: ", which of the following are correct? (Select all)",
    NUMBER: "",
    YES_NO: "",
}
_WANTED: Final = {
    SINGLE: "the letter of the one correct option alone",
    MULTI: "the letters of all correct options alone, written together",
    NUMBER: "one Arabic numeral alone",
    YES_NO: "Yes or No alone",
}
_ENDING: Final = (
    "Think first, between <think> and </think>. Then give {wanted}, between <answer> and </answer>, without a reason."
)
_OPTION: Final = re.compile(r"\s*([A-Z])\s*[.):]\s*(\S.*)", re.DOTALL)
_SEPARATORS: Final = re.compile(r"[\s,，、;/&.]+")


class TrainingFileError(ValueError):
    """A training file cannot be used; the message names file, entry and field, and the fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingItem:
    """One entry.

    Attributes:
        id: file and number of the entry.
        stage: one of :data:`STAGES`.
        task_type: as the file spells it.
        media: of the clip; inside the root.
        question: the words.
        pattern: one of :data:`policy.tasks.PATTERNS`.
        options: the choices, each with its letter; none where the pattern has none.
        answer: a letter, letters in order, a whole number, ``Yes`` or ``No``.
    """

    id: str
    stage: str
    task_type: str
    media: Path
    question: str
    pattern: str
    options: tuple[str, ...]
    answer: str


def read(path: Path, root: Path, *, stage: str = "") -> list[TrainingItem]:
    """Read a training file.

    Args:
        path: of the file.
        root: folder that ``video_path`` starts from.
        stage: one of :data:`STAGES`; where it is not given, the published name of the file tells it.

    Raises:
        TrainingFileError: the file or an entry cannot be used.
    """
    stage = stage or _stage_of(path)
    if stage not in STAGES:
        raise TrainingFileError(f"stage is {stage!r}; there are: {', '.join(STAGES)}")
    try:
        entries = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise TrainingFileError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error
    except (ValueError, RecursionError) as error:
        raise TrainingFileError(f"{path}: is no JSON ({error}); fetch it anew") from error
    if not isinstance(entries, list) or not entries:
        raise TrainingFileError(f"{path}: is to hold a list of entries, at least one")
    base = root.resolve()
    return [_Entry(path, number, value).item(base, stage) for number, value in enumerate(entries, 1)]


def examples(items: Iterable[TrainingItem], read_media: ReadMedia) -> list[OmniExample]:
    """Return items as what a student learns from; media are read when a step needs them.

    The target of the supervised stage holds the right answer in its tags after an empty thought: the files have no
    thoughts to learn from.

    Args:
        items: of any stages.
        read_media: decodes a file.
    """
    return [
        OmniExample(
            id=item.id,
            text=put(item),
            modality=item.stage,
            media=partial(_read_media, item, read_media),
            target=f"<think></think><answer>{item.answer}</answer>",
            answer=item.answer,
            pattern=item.pattern,
            options=item.options,
        )
        for item in items
    ]


def put(item: TrainingItem) -> str:
    """Return the words in which an item is put."""
    ask = _ASKS[item.pattern]
    question = item.question.rstrip("?？. ") + ask if ask else item.question
    parts = [_ROLE.format(medium=_MEDIUM[item.stage]), f"Question: {question}"]
    if item.options:
        parts.append("Options:\n" + "\n".join(item.options))
    parts.append(_ENDING.format(wanted=_WANTED[item.pattern]))
    return "\n".join(parts)


def key(example: OmniExample) -> tuple[str, str]:
    """Return pattern and right answer, as the accuracy reward compares them."""
    return example.pattern, example.answer


def _read_media(item: TrainingItem, read_media: ReadMedia) -> Media:
    try:
        return read_media(
            item.media, fps=FPS, most_frames=MOST_FRAMES, pictures=item.stage != AUDIO, sound=item.stage != VISION
        )
    except Exception as error:
        raise TrainingFileError(f"{item.id}: video_path {item.media} cannot be decoded ({error})") from error


def _stage_of(path: Path) -> str:
    for stage, names in FILES.items():
        if path.name in names:
            return stage
    raise TrainingFileError(f"{path}: its name tells no stage; name one of {', '.join(STAGES)}")


class _Entry:
    """One entry of a file, and where it stands."""

    def __init__(self, path: Path, number: int, value: Any) -> None:
        self._path, self._number = path, number
        if not isinstance(value, dict):
            raise self._error("the entry", "is no object")
        question = value.get("questions")
        if isinstance(question, list) and len(question) == 1:
            question = question[0]
        if not isinstance(question, dict):
            raise self._error("questions", "is missing, or is not one object")
        self._value: Mapping[str, Any] = value
        self._question: Mapping[str, Any] = question

    def item(self, root: Path, stage: str) -> TrainingItem:
        spelled = self._text(self._question, "question_pattern")
        pattern = PATTERNS.get(spelled)
        if pattern is None:
            raise self._error("questions.question_pattern", f"is {spelled!r}; there are: {'; '.join(PATTERNS)}")
        options = self._options(pattern)
        return TrainingItem(
            id=f"{self._path.name}#{self._number}",
            stage=stage,
            task_type=self._text(self._question, "task_type"),
            media=self._media(root),
            question=self._text(self._question, "question"),
            pattern=pattern,
            options=tuple(f"{letter}. {text}" for letter, text in options),
            answer=self._answer(pattern, [letter for letter, _ in options]),
        )

    def _media(self, root: Path) -> Path:
        named = self._text(self._value, "video_path")
        path = (root / named).resolve()
        if not path.is_relative_to(root):
            raise self._error("video_path", f"{named!r} leads out of {root}; name media inside it")
        if not path.is_file():
            raise self._error("video_path", f"{named!r} is no file in {root}; fetch the media or name their root")
        return path

    def _options(self, pattern: str) -> list[tuple[str, str]]:
        if pattern not in (SINGLE, MULTI):
            return []
        found = self._question.get("options")
        if not isinstance(found, list) or not 2 <= len(found) <= 26:
            raise self._error("questions.options", "is to be a list of 2 to 26 texts")
        options = list[tuple[str, str]]()
        for option in found:
            match = _OPTION.fullmatch(option) if isinstance(option, str) else None
            if match is None:
                raise self._error("questions.options", f"holds {option!r}; each begins with its letter, as in 'A. sad'")
            options.append((match[1], match[2].strip()))
        if len({letter for letter, _ in options}) < len(options):
            raise self._error("questions.options", "has one letter twice")
        return options

    def _answer(self, pattern: str, letters: Sequence[str]) -> str:
        found = self._question.get("answer")
        if isinstance(found, int) and not isinstance(found, bool) and pattern == NUMBER:
            found = str(found)
        if isinstance(found, list) and found and all(isinstance(part, str) for part in found):
            # The published audio loader takes the first of a list; of several letters all are right.
            found = "".join(found) if pattern == MULTI else found[0]
        if not isinstance(found, str) or not found.strip():
            raise self._error("questions.answer", f"is {found!r}, expected a text")
        found = found.strip()
        if pattern == SINGLE:
            match = re.fullmatch(r"([A-Za-z])(?:\s*[.):].*)?", found, re.DOTALL)
            named = [match[1].upper()] if match else []
        elif pattern == MULTI:
            named = sorted(set(_SEPARATORS.sub("", found).upper()))
        elif pattern == NUMBER:
            if not re.fullmatch(r"\d{1,9}", found):
                raise self._error("questions.answer", f"is {found!r}, expected a whole number")
            return str(int(found))
        else:
            answer = found.rstrip(". ").capitalize()
            if answer not in ("Yes", "No"):
                raise self._error("questions.answer", f"is {found!r}, expected Yes or No")
            return answer
        if not named or not set(named) <= set(letters):
            raise self._error("questions.answer", f"is {found!r}, expected letters of the options: {' '.join(letters)}")
        return "".join(named)

    def _text(self, values: Mapping[str, Any], field: str) -> str:
        found = values.get(field)
        if not isinstance(found, str) or not found.strip():
            where = field if values is self._value else f"questions.{field}"
            raise self._error(where, f"is {found!r}, expected a text")
        return found.strip()

    def _error(self, field: str, what: str) -> TrainingFileError:
        return TrainingFileError(f"{self._path}, entry {self._number}: {field} {what}")
