"""What the base model makes of the corpus without any training: the rows that training is compared with.

``base``
    the conversation in the chat template, and the mean log-likelihood per token of each name or option after a plain
    question;
``prompted``
    the same behind a system message that explains the task and examples of good answers;
``free``
    the training-free enhancement: the prompted model, its likelihoods set against those without the conversation, so
    that only what was perceived counts (contextual calibration, Zhao et al. 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from perception.context import ContextWindow
from perception.media import Text
from policy.decision import LEARNED_EMOTIONS
from policy.head import STRATEGY_NAMES
from policy.leaning import WAIT
from policy.prompt import SYSTEM
from policy.script import Words
from policy.training.compact import CompactStudent
from policy.training.examples import Example
from policy.words import load_table
from policy.writer import asking, conversation, opening, reply_to

KINDS: Final = ("base", "prompted", "free")

_STRATEGY: Final = "What should a good listener answer with now? With"
_EMOTION: Final = "What should a good listener's face look like now? It should look"
_NAMES: Final = {"other": "small talk", "safety": "help in an emergency", WAIT: "silence"}
_BATCH: Final = 8


def scored(student: CompactStudent, kind: str, examples: Sequence[Example]) -> list[tuple[Example, Any, Any]]:
    """Return scores of strategies and emotions, or of the options, as :func:`policy.training.exam.scored` does.

    Args:
        student: with an adapter that was not trained, which is the base model.
        kind: one of :data:`KINDS`.
        examples: situations and questions.
    """
    strategies = [f" {_NAMES.get(name, name)}" for name in STRATEGY_NAMES]
    asked: list[_Asked] = []
    for example in examples:
        if example.answer >= 0:
            question = example.window.entries[-1]
            told = question.text.splitlines()[0] if isinstance(question, Text) else ""
            asked.append(
                (_front(kind, example.window), f"{told} Answer:", [f" {b.text}" for b in example.branches], example)
            )
        else:
            front = _front(kind, example.window)
            asked.append((front, _STRATEGY, strategies, example))
            asked.append((front, _EMOTION, [f" {name}" for name in LEARNED_EMOTIONS], example))
    asked.sort(key=lambda one: len(one[0]))
    found: dict[str, dict[str, list[float]]] = {}
    known: _Known = {}
    for begin in range(0, len(asked), _BATCH):
        piece = asked[begin : begin + _BATCH]
        values = _values(student, kind, piece, known)
        for (_, lead, _, example), scores in zip(piece, values, strict=True):
            found.setdefault(example.id, {})[lead] = scores
    out: list[tuple[Example, Any, Any]] = []
    for example in examples:
        scores_of = found[example.id]
        if example.answer >= 0:
            out.append((example, [], next(iter(scores_of.values()))))
        else:
            out.append((example, scores_of[_STRATEGY] + scores_of[_EMOTION], []))
    return out


_Asked = tuple[str, str, list[str], Example]
_Known = dict[tuple[str, tuple[str, ...]], list[float]]


def _values(student: CompactStudent, kind: str, asked: Sequence[_Asked], known: _Known) -> list[list[float]]:
    values = student.likelihoods([((Words(front + reply_to(lead)),), texts) for front, lead, texts, _ in asked])
    if kind != "free":
        return values
    bare = f"{_teaching()}<|im_start|>user\n"
    questions = {(lead, tuple(texts)) for _, lead, texts, _ in asked} - known.keys()
    for question in sorted(questions):
        known[question] = student.likelihoods([((Words(bare + reply_to(question[0])),), question[1])])[0]
    without = [known[lead, tuple(texts)] for _, lead, texts, _ in asked]
    return [[a - b for a, b in zip(one, other, strict=True)] for one, other in zip(values, without, strict=True)]


def _front(kind: str, window: ContextWindow) -> str:
    """Return what is read in front of a question: the window as text, behind the teaching where it is prompted."""
    seen = replace(window, entries=tuple(e for e in window.entries if not (isinstance(e, Text) and e.form)))
    return "".join(asking(seen, SYSTEM)) if kind == "base" else _teaching() + "".join(conversation(seen))


def _teaching() -> str:
    shots = [(e["lines"], e["strategy"], e["answer"]) for e in load_table("examples")["example"]]
    names = ", ".join(_NAMES.get(name, name) for name in STRATEGY_NAMES)
    system = f"{SYSTEM} A good listener answers with one of: {names}. The face looks {', '.join(LEARNED_EMOTIONS)}."
    return opening(system, shots)
