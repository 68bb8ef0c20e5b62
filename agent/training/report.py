"""``agent train eval``: what a model can do on the frozen test part, with intervals, and what it writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from agent.bench.stats import paired
from agent.training.telling import say
from policy.answer import words
from policy.compact_session import MOST_SAID, lead_of
from policy.embedding import Embedder
from policy.lm import ADAPTER, LanguageModel
from policy.mind import Mind
from policy.parse import sentences
from policy.training import baselines
from policy.training import heard as hearing
from policy.training.compact import CompactStudent, Lora
from policy.training.compact_config import base_folder, part_of, trained
from policy.training.exam import Marks, by_scores, interval, marked, scored, share
from policy.training.lessons import Lessons, Plan
from policy.writer import Writer


def evaluate(options: Any, resolve: Callable[[str], Path]) -> dict[str, Any]:
    """Examine, print a table, and return figures and single marks.

    Args:
        options: of the command line.
        resolve: from a model's name to its folder.
    """
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
        out["rows"] = {options.baseline: _row(options.baseline, marked(found, by_scores))}
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
                    now, then = out["rows"][name][kind]["marks"], earlier[name][kind]["marks"]
                    ids = sorted(now.keys() & then.keys())
                    found = paired([then[i] for i in ids], [now[i] for i in ids], ids)
                    if found.mean is not None and found.low is not None and found.high is not None:
                        between = f"[{found.low:+.3f}, {found.high:+.3f}]"
                        say(f"{name:<9} {kind} {found.mean:+.3f} {between} against {options.against}")
    return out


def _baseline(options: Any, resolve: Callable[[str], Path], examples: Sequence[Any]) -> Any:
    return baselines.scored(_student(options, resolve), options.baseline, examples)


def _adapter(options: Any, resolve: Callable[[str], Path], examples: Sequence[Any]) -> Any:
    student = _student(options, resolve)
    student.load(_folder(options))
    return scored(student, examples)


def _student(options: Any, resolve: Callable[[str], Path]) -> CompactStudent:
    """Return the base with an adapter that does nothing yet."""
    return CompactStudent(base_folder(options.base, resolve), lora=Lora(), bf16=True)


def _folder(options: Any) -> Path:
    return trained(Path(options.adapter)) if options.adapter else ADAPTER


def _mind(resolve: Callable[[str], Path]) -> Mind:
    return Mind(Embedder(resolve("minilm")))


def _decided(mind: Any, *, blended: bool) -> Callable[[Any, Any], tuple[str, str]]:
    """Return what the policy decides, rules and head included, with or without the model's scores."""

    def choose(example: Any, rows: Any) -> tuple[str, str]:
        choice = mind.consider(example.window, [float(r) for r in rows] if blended else None).choice
        return "wait" if choice.wait else choice.strategy, choice.emotion

    return choose


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
    writer = Writer(LanguageModel(base_folder(options.base, resolve), _folder(options)))
    full = Mind(mind.embed, writer)
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
    choice = considered.choice
    free = choice.free and not choice.wait
    text, refused = "", ""
    curated = " ".join(speak.text for speak in words(considered, partial(mind.rank, example.words)))
    if free:
        text = "".join(chat.write(stop, MOST_SAID, lead=lead_of(considered))).strip()
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
