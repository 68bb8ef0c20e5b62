"""Questions in mid-stream: one medium, several questions, each at its own instant.

The folder holds ``streaming.json``, a list of entries, spelled as StreamingBench does::

    {"video_path": ..., "task_type": ..., "questions": [{"question", "options", "answer", "time_stamp", "task_type"}]}

or as OVO-Bench does for what is asked about the past and the present::

    {"video": ..., "task": ..., "question": ..., "options": [...], "gt": 1, "realtime": 12.5}

Entries of the same medium, task type and spelling become one item, with its questions in order of time. What was
asked and answered earlier in a stream may be in the context later, as in a call.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from perception.timebase import SECOND, Nanos
from policy.tasks import SINGLE, Ask, Group, Item, Published, Scored, TaskError, _strict
from policy.tasks._files import UNKNOWN, again, inside, read_list, short_id, stray
from policy.tasks._wording import lettered, put, shown

FILE: Final = "streaming.json"
_STAMPED: Final = "sb"  # ids begin with the spelling that they come from, for its published rule of scoring
_INDEXED: Final = "ovo"
_CLOCK: Final = re.compile(r"(?:(?:(\d{1,4}):)?(\d{1,4}):)?(\d{1,9}(?:\.\d{1,9})?)")


def load() -> Streaming:
    """Return the benchmark."""
    return Streaming()


@dataclass(frozen=True, slots=True, kw_only=True)
class Streaming:
    """The benchmark, as :class:`policy.tasks.Task` has it.

    Attributes:
        name: as it is named in results.
        groups: none; every task type is a group of its own.
        published: nothing.
    """

    name: str = "streaming"
    groups: Sequence[Group] = ()
    published: Sequence[Published] = ()

    def items(self, folder: Path) -> list[Item]:
        """Read the data set, in order of the first question of each item in the file.

        Args:
            folder: holds ``streaming.json``.

        Raises:
            TaskError: it does not, or the file is no list of entries.
        """
        path = folder / FILE
        if not path.is_file():
            raise TaskError(f"{folder} does not hold {FILE}; put the questions there, or name another folder")
        whole: dict[tuple[str, str, str], Item] = {}
        apart: list[tuple[int, Item]] = []  # what cannot be used, and after how many others it stands
        seen: Counter[str] = Counter()
        for item in (one for entry in read_list(path) for one in _entry(entry)):
            seen[item.id] += 1
            if item.problem or seen[item.id] > 1:
                apart.append((len(whole), again(item, seen[item.id])))
                continue
            key = (item.id.partition("-")[0], item.media, item.task_type)
            known = whole.get(key)
            whole[key] = replace(known, asks=(*known.asks, *item.asks)) if known else item
        found = [replace(item, asks=tuple(sorted(item.asks, key=_instant))) for item in whole.values()]
        found = [item if len(item.asks) == 1 else replace(item, id=_joint_id(item)) for item in found]
        for place, item in reversed(apart):
            found.insert(place, item)
        return found

    def media_path(self, folder: Path, item: Item) -> Path:
        """Return where the medium of ``item`` is.

        Raises:
            TaskError: it is not in the folder.
        """
        media = item.media
        return inside(folder, media, (media, media.removeprefix("./").removeprefix("data/"), f"src/{media}"))

    def ask(self, item: Item, ask: Ask, *, variant: str = "direct", asr: bool = False) -> str:
        """Return the words in which the question is put.

        Raises:
            ValueError: no such variant.
        """
        return put(ask.question, ask.pattern, ask.options, variant=variant, transcript=ask.asr if asr else "")

    def score(self, item: Item, ask: Ask, raw: str | None, *, rules: str = "strict", mode: str = "direct") -> Scored:
        """Judge an answer; see :class:`policy.tasks.Task`.

        By the reference rules the first character is the answer to a question of StreamingBench, and a question of
        OVO-Bench is answered rightly if the letter occurs anywhere in the answer. Both read thoughts along.

        Raises:
            ValueError: no such rules.
        """
        if rules == "strict":
            return _strict.score(ask.pattern, raw, ask.answer, ask.options)
        if rules != "reference":
            raise ValueError(f"there are no rules {rules!r}; there are: strict, reference")
        if ask.id.startswith(_INDEXED):
            return Scored(credit=float(raw is not None and ask.answer in raw))
        if raw is None:
            return Scored(credit=0.0, counts=False)
        if not raw:
            return Scored(credit=0.0, counts=False, crash="IndexError: string index out of range")
        return Scored(credit=float(raw[0] == ask.answer), parsed=raw[0])

    def reward(self, item: Item, ask: Ask, raw: str) -> float:
        """Return 1 for being right, judged strictly, and 1 more for thinking and answering in tags."""
        return self.score(item, ask, raw).credit + float(_strict.in_tags(raw))


def _entry(entry: Any) -> Iterator[Item]:
    """Yield the questions of an entry, each as an item; whatever is wrong with one becomes its problem."""
    if not isinstance(entry, dict):
        yield _broken(_STAMPED, entry, "", UNKNOWN, "the entry is not an object")
    elif "video" in entry and "video_path" not in entry:
        yield _indexed(entry)
    else:
        media, kind, questions = entry.get("video_path"), entry.get("task_type"), entry.get("questions")
        if not isinstance(questions, list) or not questions:
            fault = "questions is missing" if questions is None else "questions is not a list of questions"
            yield _broken(_STAMPED, entry, media, kind, fault)
            return
        for question in questions:
            if isinstance(question, dict):
                yield _item(
                    _STAMPED,
                    media_key="video_path",
                    media=media,
                    kind=question.get("task_type", kind),
                    at_key="time_stamp",
                    question=question,
                    answer=question.get("answer"),
                )
            else:
                yield _broken(_STAMPED, [media, question], media, kind, "a question is not an object")


def _indexed(entry: dict[str, Any]) -> Item:
    index, options = entry.get("gt"), entry.get("options")
    if "test_info" in entry:
        fault = "test_info asks about what is yet to come, which is not replayed here"
        return _broken(_INDEXED, entry, entry["video"], entry.get("task"), fault)
    if not isinstance(index, int) or isinstance(index, bool) or not isinstance(options, list):
        fault = "gt is not the index of an option" if isinstance(options, list) else "options is not a list of texts"
        return _broken(_INDEXED, entry, entry["video"], entry.get("task"), fault)
    return _item(
        _INDEXED,
        media_key="video",
        media=entry["video"],
        kind=entry.get("task"),
        at_key="realtime",
        question=entry,
        answer=lettered(options)[index][0] if 0 <= index < min(len(options), 26) and _all_text(options) else None,
    )


def _item(
    form: str, *, media_key: str, media: Any, kind: Any, at_key: str, question: dict[str, Any], answer: Any
) -> Item:
    at, options = _nanos(question.get(at_key)), question.get("options")
    words = question.get("question")
    fault = f"{media_key} is not text" if not isinstance(media, str) else ""
    if not fault and (strays := stray(media)):
        fault = f"{media_key} {media!r} {strays}"
    elif not fault and not (isinstance(words, str) and words.strip()):
        fault = "question is missing"
    elif not fault and at is None:
        fault = f"{at_key} {question.get(at_key)!r} is no instant; write HH:MM:SS or seconds"
    elif not fault and not (isinstance(options, list) and _all_text(options)):
        fault = "options is not a list of texts"
    elif not fault and not 2 <= len(options or ()) <= 26:
        fault = f"options holds {len(options or ())} where 2 to 26 are expected"
    elif not fault and answer not in [letter for letter, _ in lettered(options or ())]:
        fault = f"the answer {question.get('gt', answer)!r} names none of the options"
    if fault:
        return _broken(form, [media, question], media, kind, fault)
    kind = kind if isinstance(kind, str) and kind.strip() else UNKNOWN
    ident = f"{form}-{short_id(media, kind, words, options, at)}"
    ask = Ask(id=ident, question=str(words), pattern=SINGLE, answer=str(answer), options=shown(options or ()), at=at)
    return Item(id=ident, task_type=kind, media=media, asks=(ask,))


def _all_text(options: list[Any]) -> bool:
    return all(isinstance(option, str) and option.strip() for option in options)


def _broken(form: str, content: Any, media: Any, kind: Any, problem: str) -> Item:
    return Item(
        id=f"{form}-{short_id(content)}",
        task_type=kind if isinstance(kind, str) and kind.strip() else UNKNOWN,
        media=media if isinstance(media, str) else "",
        asks=(),
        problem=problem,
    )


def _joint_id(item: Item) -> str:
    return f"{item.id.partition('-')[0]}-{short_id(*(ask.id for ask in item.asks))}"


def _instant(ask: Ask) -> Nanos:
    return ask.at or 0


def _nanos(stamp: Any) -> Nanos | None:
    """Turn ``HH:MM:SS``, ``MM:SS`` or seconds into an instant; ``None`` if it is none."""
    if isinstance(stamp, bool) or not isinstance(stamp, str | int | float):
        return None
    match = _CLOCK.fullmatch(str(stamp).strip())
    if match is None:
        return None
    hours, minutes, seconds = match.groups()
    if (minutes and Fraction(seconds) >= 60) or (hours and int(minutes) >= 60):
        return None
    return round((int(hours or 0) * 3600 + int(minutes or 0) * 60 + Fraction(seconds)) * SECOND)
