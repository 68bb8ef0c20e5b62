"""``agent train eval``: what a model can do on the frozen test part, with intervals, and what it writes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, Final

from policy.training.exam import Marks, by_scores, interval, marked, share

_MOST_SAID: Final = 48


def evaluate(options: Any, resolve: Callable[[str], Path]) -> dict[str, Any]:
    """Examine, print a table, and return figures and single marks.

    Args:
        options: of the command line.
        resolve: from a model's name to its folder.
    """
    from policy.training import heard as hearing
    from policy.training.compact_config import part_of
    from policy.training.lessons import Lessons, Plan

    items = part_of(options.part, ["situations", "choices"], limit=options.limit)
    known = hearing.load(options.heard) if options.heard else {}
    plan = Plan(without=tuple(options.without), spoken=1.0 if known else 0.0)
    examples = list(Lessons(items, plan, known))
    missing = sum(item.id not in known for item in items) if known else 0
    say(f"{len(items)} items of the {options.part} part" + (f", {missing} of them not rendered" if missing else ""))
    out: dict[str, Any] = {
        "part": options.part, "without": list(options.without), "heard": bool(known), "not_rendered": missing,
    }  # fmt: skip
    if options.baseline:
        found = _baseline(options, resolve, examples)
        out["rows"] = {options.baseline: _row(options.baseline, marked(found, _by_lists))}
        return _compared(options, out)
    found = _adapter(options, resolve, examples)
    out["rows"] = {"model": _row("model", marked(found, by_scores))}
    mind = _mind(resolve)
    out["rows"]["head"] = _row("head", _without_choices(marked(found, _decided(mind, blended=False))))
    out["rows"]["policy"] = _row("policy", marked(found, _decided(mind, blended=True)))
    if options.replies:
        out["replies"] = _replies(options, resolve, mind, examples[: options.replies])
    return _compared(options, out)


def _compared(options: Any, out: dict[str, Any]) -> dict[str, Any]:
    """Print, item by item, how far this evaluation is above an earlier one."""
    if options.against:
        earlier = json.loads(options.against.read_text(encoding="utf-8"))["rows"]
        for name in sorted(set(earlier) & set(out["rows"])):
            for kind in ("strategy", "emotion", "choice"):
                if kind in earlier[name] and kind in out["rows"][name]:
                    mean, error = compared(out["rows"][name][kind]["marks"], earlier[name][kind]["marks"])
                    say(f"{name:<9} {kind} {mean:+.3f} ± {1.96 * error:.3f} against {options.against}")
    return out


def _baseline(options: Any, resolve: Callable[[str], Path], examples: Sequence[Any]) -> Any:
    from policy.training import baselines
    from policy.training.compact import CompactStudent, Lora

    return baselines.scored(CompactStudent(_base(options, resolve), lora=Lora(), bf16=True), options.baseline, examples)


def _adapter(options: Any, resolve: Callable[[str], Path], examples: Sequence[Any]) -> Any:
    from policy.training.compact import CompactStudent, Lora
    from policy.training.exam import scored

    student = CompactStudent(_base(options, resolve), lora=Lora(), bf16=True)
    student.load(_folder(options))
    return scored(student, examples)


def _base(options: Any, resolve: Callable[[str], Path]) -> Path:
    folder = Path(options.base)
    return folder if folder.is_dir() else resolve(options.base)


def _folder(options: Any) -> Path:
    from policy.lm import ADAPTER
    from policy.training.compact_config import checkpoint

    return checkpoint(Path(options.adapter)) if options.adapter else ADAPTER


def _mind(resolve: Callable[[str], Path]) -> Any:
    from policy.embedding import Embedder
    from policy.mind import Mind

    return Mind(Embedder(resolve("minilm")))


def _decided(mind: Any, *, blended: bool) -> Callable[[Any, Any], tuple[str, str]]:
    """Return what the policy decides, rules and head included, with or without the model's scores."""

    def choose(example: Any, rows: Any) -> tuple[str, str]:
        choice = mind.consider(example.window, [float(r) for r in rows] if blended else None).choice
        return "wait" if choice.wait else choice.strategy, choice.emotion

    return choose


def _by_lists(example: Any, rows: Sequence[float]) -> tuple[str, str]:
    import torch

    return by_scores(example, torch.tensor(rows))


def _without_choices(marks: Marks) -> Marks:
    return Marks(strategy=marks.strategy, emotion=marks.emotion, happy=marks.happy, choice={})


def _row(name: str, marks: Marks) -> dict[str, Any]:
    told = [f"{name:<9}"]
    row: dict[str, Any] = {}
    for kind, found in (("strategy", marks.strategy), ("emotion", marks.emotion), ("choice", marks.choice)):
        if not found:
            continue
        low, high = interval(sum(found.values()), len(found))
        told.append(f"{kind} {share(found):.3f} [{low:.3f}, {high:.3f}]")
        row[kind] = {"share": share(found), "low": low, "high": high, "n": len(found), "marks": dict(found)}
    if marks.emotion:
        told.append(f"happy in distress {len(marks.happy)}")
        row["happy_in_distress"] = list(marks.happy)
    say("  ".join(told))
    return row


def _replies(options: Any, resolve: Callable[[str], Path], mind: Any, examples: Sequence[Any]) -> list[dict[str, Any]]:
    """Let the shipped form of the model answer, and the gate judge every sentence."""
    from policy.lm import LanguageModel
    from policy.mind import Mind
    from policy.writer import Writer

    writer = Writer(LanguageModel(_base(options, resolve), _folder(options)))
    full: Any = Mind(mind.embed, writer)
    chat, stop, out = writer.blank(), Event(), []
    for example in examples:
        if example.answer >= 0:
            continue
        chat.read(example.pieces, stop)
        considered = full.consider(example.window, chat.rows())
        out.append(_reply(full, chat, considered, example, stop))
    free = [entry for entry in out if entry["free"]]
    passed = sum(not entry["refused"] for entry in free)
    low, high = interval(passed, len(free))
    say(f"replies   {passed} of {len(free)} pass the gate without a fallback, {passed / max(1, len(free)):.3f}"
        f" [{low:.3f}, {high:.3f}]; {len(out) - len(free)} situations are answered by rule")  # fmt: skip
    return out


def _reply(mind: Any, chat: Any, considered: Any, example: Any, stop: Event) -> dict[str, Any]:
    from policy.answer import words
    from policy.compact_session import lead_of
    from policy.parse import sentences

    choice = considered.choice
    free = choice.free and not choice.wait
    text, refused = "", ""
    curated = " ".join(speak.text for speak in words(considered, partial(mind.rank, example.words)))
    if free:
        text = "".join(chat.write(stop, _MOST_SAID, lead=lead_of(considered))).strip()
        said = list(example.said)
        for sentence in sentences(text) or ("",):
            verdict = mind.gate.judge(
                sentence, words=example.words, before=example.before, mood=choice.mood,
                strategy=choice.strategy, said=said, advice=choice.strategy == "suggestion",
            )  # fmt: skip
            refused = refused or ("" if verdict.ok else f"{sentence!r}: {verdict.reason}")
            said.append(sentence)
    return {
        "id": example.id, "words": example.words, "strategy": choice.strategy, "emotion": choice.emotion,
        "text": text, "free": free, "refused": refused, "mood": example.mood, "curated": curated,
    }  # fmt: skip


def compared(one: Mapping[str, bool], other: Mapping[str, bool]) -> tuple[float, float]:
    """Return the difference of two shares over the same items, and its standard error (paired)."""
    ids = sorted(set(one) & set(other))
    differences = [one[name] - other[name] for name in ids]
    mean = sum(differences) / max(1, len(ids))
    spread = sum((d - mean) ** 2 for d in differences) / max(1, len(ids) - 1)
    return mean, (spread / max(1, len(ids))) ** 0.5


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
