"""HumanSense: fifteen tasks from perceiving people to answering them, each item one medium and one question at its end.

The folder holds ``HumanSense_VQA.json`` (items that are seen) or ``HumanSense_AQA.json`` (items that are only heard),
or both, with the media where the files say. What is known of the tasks and of others' results stands in
``policy/data/humansense.toml``; another table can be named instead.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final

from policy.tasks import MULTI, NUMBER, SINGLE, Ask, Group, Item, Published, Scored, TaskError, _reference
from policy.tasks import _strict as strict
from policy.tasks._files import UNKNOWN, inside, numbered, read_list, short_id, stray
from policy.tasks._wording import lettered, put

SEEN: Final = "HumanSense_VQA.json"
HEARD: Final = "HumanSense_AQA.json"
_MODALITIES: Final = ("video", "video+audio", "audio")


def load(table: str | Path | None = None, hear_all: bool = False) -> HumanSense:
    """Return the benchmark.

    Args:
        table: a TOML file like ``policy/data/humansense.toml``, to be used instead of it.
        hear_all: whether the sound of the silent tasks counts too. The published runs are silent there, so the
            result is another condition.

    Raises:
        TaskError: the table cannot be read; the message names the entry and the fix.
    """
    where = "policy/data/humansense.toml" if table is None else str(table)
    try:
        if table is None:
            text = resources.files("policy").joinpath("data", "humansense.toml").read_text(encoding="utf-8")
        else:
            text = Path(table).read_text(encoding="utf-8")
        values = tomllib.loads(text)
        entries = values["task"]
        groups = tuple(_group(entry) for entry in entries)
        modality = {kind: e["modality"] for e, group in zip(entries, groups, strict=True) for kind in group.task_types}
        published = tuple(_published(row) for row in values.get("published", ()))
    except OSError as error:
        raise TaskError(f"table {where} cannot be read ({error.strerror or error}); check the path") from error
    except KeyError as error:
        raise TaskError(f"table {where}: an entry lacks {error}; see policy/data/humansense.toml") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise TaskError(f"table {where}: {error}; see policy/data/humansense.toml") from error
    return HumanSense(groups=groups, published=published, modality=modality, hear_all=hear_all)


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanSense:
    """The benchmark, as :class:`policy.tasks.Task` has it.

    Attributes:
        name: as it is named in results.
        groups: its fifteen tasks.
        published: what others have reached.
        modality: what the published run gives to the model, by task type: ``video``, ``video+audio`` or ``audio``.
        hear_all: whether the sound of the silent tasks counts too.
    """

    name: str = "humansense"
    groups: Sequence[Group]
    published: Sequence[Published]
    modality: Mapping[str, str] = field(default_factory=dict)
    hear_all: bool = False

    def items(self, folder: Path) -> list[Item]:
        """Read the data set: the items that are seen, then those that are only heard, each in the file's order.

        Args:
            folder: holds the files, or its ``bench_data`` or ``src`` does.

        Raises:
            TaskError: there is no such file, or it is no list of entries.
        """
        seen, heard = _find(folder, SEEN), _find(folder, HEARD)
        if seen is None and heard is None:
            raise TaskError(f"{folder} holds neither {SEEN} nor {HEARD}, nor do bench_data and src in it; name another")
        items = [self._item(entry, sees=True) for entry in (read_list(seen) if seen else ())]
        items += [self._item(entry, sees=False) for entry in (read_list(heard) if heard else ())]
        return numbered(items)

    def media_path(self, folder: Path, item: Item) -> Path:
        """Return where the medium of ``item`` is.

        Raises:
            TaskError: it is not in the folder.
        """
        media = item.media
        return inside(folder, media, (media, media.removeprefix("data/"), f"src/{media}"))

    def ask(self, item: Item, ask: Ask, *, variant: str = "direct", asr: bool = False) -> str:
        """Return the words in which the question is put.

        Raises:
            ValueError: no such variant.
        """
        return put(ask.question, ask.pattern, ask.options, variant=variant, transcript=ask.asr if asr else "")

    def score(self, item: Item, ask: Ask, raw: str | None, *, rules: str = "strict", mode: str = "direct") -> Scored:
        """Judge an answer; see :class:`policy.tasks.Task`.

        Raises:
            ValueError: no such rules or mode.
        """
        _known(rules, mode)
        if rules == "reference":
            return _reference.score(ask.pattern, raw, ask.answer, ask.options, item.task_type, mode=mode)
        return strict.score(ask.pattern, raw, ask.answer, ask.options)

    def reward(self, item: Item, ask: Ask, raw: str) -> float:
        """Return 0 to 1 for being right, judged strictly, and 1 more for thinking and answering in tags.

        The tags must open the text; what follows them does not matter.
        """
        return self.score(item, ask, raw).credit + float(strict.in_tags(raw))

    def results(
        self, entries: Iterable[Any], model: str, *, rules: str = "strict", mode: str = "direct"
    ) -> list[tuple[str, Scored]]:
        """Judge a results file of the published runner, whose answers stand among the fields of each question.

        By the reference rules an entry is judged as it stands, as the published scorer does; by the strict ones every
        entry counts, and an unusable one is wrong.

        Args:
            entries: what the file holds.
            model: the key of the answers.
            rules: ``strict`` or ``reference``.
            mode: ``direct`` or ``think``.

        Returns:
            Task type and verdict of each entry, in order.

        Raises:
            ValueError: no such rules or mode.
        """
        _known(rules, mode)
        scorer, out = _reference.Scorer(mode), list[tuple[str, Scored]]()
        for entry in entries:
            if rules == "reference":
                verdict = scorer.judge(entry, model)
                out.append((str(entry["questions"]["task_type"]) if verdict.counts else UNKNOWN, verdict))
                continue
            item = self._item(entry, sees=True)
            raw = _question(entry).get(model) if item.asks else None
            verdict = self.score(item, item.asks[0], raw) if item.asks else Scored(credit=0.0)
            out.append((item.task_type, verdict))
        return out

    def _item(self, entry: Any, *, sees: bool) -> Item:
        """Turn an entry into an item; whatever is wrong with it becomes its problem."""
        media = entry.get("video_path") if isinstance(entry, dict) else None
        question, asks, kind, problem = dict[str, Any](), tuple[Ask, ...](), UNKNOWN, ""
        try:
            question = _question(entry)
        except ValueError as error:
            problem = str(error)
        if _is_text(question.get("task_type")):
            kind = question["task_type"]
        content = [media, *(question.get(key) for key in ("task_type", "question", "options"))]
        ident = short_id(*content) if question else short_id(entry)
        if not problem:
            ask = _ask(question, ident)
            asks = (ask,) if ask else ()
            problem = _media_fault(media) or _fault(question, ask)
        modality = self.modality.get(kind, "video")
        return Item(
            id=ident,
            task_type=kind,
            media=media if isinstance(media, str) else "",
            asks=asks,
            sees=sees and modality != "audio",
            hears=not sees or self.hear_all or "audio" in modality,
            problem=problem,
            faces=shown if isinstance(shown := question.get("shows_face"), bool) else None,
        )


def _find(folder: Path, name: str) -> Path | None:
    places = (folder / name, folder / "bench_data" / name, folder / "src" / name)
    return next((path for path in places if path.is_file()), None)


def _question(entry: Any) -> dict[str, Any]:
    """Return the question of an entry; a list with one question in it will do.

    Raises:
        ValueError: there is not exactly one; the message says why.
    """
    if not isinstance(entry, dict):
        raise ValueError("the entry is not an object")
    if "questions" not in entry:
        raise ValueError("questions is missing")
    question = entry["questions"]
    if isinstance(question, list):
        if len(question) != 1:
            raise ValueError(f"questions holds {len(question)} questions where one is expected")
        question = question[0]
    if not isinstance(question, dict):
        raise ValueError("questions is not an object")
    return question


def _ask(question: Mapping[str, Any], ident: str) -> Ask | None:
    """Return the question as far as it can be read at all; whether it can be used is another matter."""
    pattern, options = question.get("question_pattern"), question.get("options")
    if not isinstance(pattern, str) or not _is_text(question.get("question")):
        return None
    pattern = _reference.PATTERNS.get(pattern, pattern)
    answer = question.get("answer")
    if pattern == NUMBER and isinstance(answer, int | float) and not isinstance(answer, bool) and answer % 1 == 0:
        answer = str(int(answer))
    if not isinstance(answer, str):
        return None
    usable = isinstance(options, list) and all(isinstance(option, str) for option in options)
    asr = question.get("asr_en")
    return Ask(
        id=ident,
        question=question["question"],
        pattern=pattern,
        answer=answer,
        options=tuple(options) if usable and options else (),
        asr=asr if isinstance(asr, str) else "",
    )


def _media_fault(media: Any) -> str:
    if media is None:
        return "video_path is missing"
    if not isinstance(media, str):
        return "video_path is not text"
    return f"video_path {media!r} {fault}" if (fault := stray(media)) else ""


def _fault(question: Mapping[str, Any], ask: Ask | None) -> str:
    """Say what is wrong with a question, in one sentence; ``""`` if it can be used."""
    for key in ("question", "task_type", "question_pattern"):
        if not _is_text(question.get(key)):
            return f"questions.{key} is " + ("not text" if question.get(key) is not None else "missing")
    pattern = _reference.PATTERNS.get(question["question_pattern"])
    if pattern is None:
        return f"questions.question_pattern {question['question_pattern']!r} is not known"
    answer, options = question.get("answer"), question.get("options")
    if answer is None or answer == "":
        return "questions.answer is missing"
    if pattern == NUMBER:
        whole = ask is not None and re.fullmatch(r"\s*[+-]?\d{1,18}\s*", ask.answer)
        return "" if whole else f"questions.answer {answer!r} is not a whole number"
    if ask is None:
        return f"questions.answer {answer!r} is not text"
    right = strict.parse(pattern, ask.answer, ask.options)
    if pattern not in (SINGLE, MULTI):
        return "" if right else f"questions.answer {answer!r} is neither Yes nor No"
    if options is None:
        return "questions.options is missing"
    if not isinstance(options, list) or not all(_is_text(option) for option in options):
        return "questions.options is not a list of texts"
    if not 2 <= len(options) <= 26:
        return f"questions.options holds {len(options)} where 2 to 26 are expected"
    letters = {letter for letter, _ in lettered(options)}
    if not right or not set(right) <= letters:
        which = "one" if pattern == SINGLE else "some"
        return f"questions.answer {answer!r} does not name {which} of the options"
    return ""


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _known(rules: str, mode: str) -> None:
    if rules not in ("strict", "reference"):
        raise ValueError(f"there are no rules {rules!r}; there are: strict, reference")
    if mode not in _reference.MODES:
        raise ValueError(f"there is no mode {mode!r}; there are: {', '.join(_reference.MODES)}")


def _group(entry: Mapping[str, Any]) -> Group:
    if entry["modality"] not in _MODALITIES:
        raise ValueError(f"modality of {entry['code']} is {entry['modality']!r}; it is one of {', '.join(_MODALITIES)}")
    spelled = [*_texts(entry, "task_types"), *_texts(entry, "guesses")]
    return Group(
        code=entry["code"],
        name=entry["name"],
        level=entry.get("level", 0),
        task_types=tuple(spelled),
        n=entry.get("n", 0),
        in_average=entry.get("in_average", True),
    )


def _texts(entry: Mapping[str, Any], key: str) -> list[str]:
    texts = entry.get(key, [])
    if not isinstance(texts, list) or not all(map(_is_text, texts)):
        raise ValueError(f"{key} of {entry['code']} is not a list of texts")
    return texts


def _published(row: Mapping[str, Any]) -> Published:
    return Published(model=row["model"], subset=row["subset"], average=row.get("average"), cells=dict(row["cells"]))
