"""From the corpus to what the compact student learns: a conversation, and branches that may follow it.

One conversation is read once and all that may come after it hangs on it as branches: the good replies, the bad one,
or the options of a question. Which branch is worth what is part of the example.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from perception.context import CUE_QUESTION, ContextWindow
from perception.media import Text
from policy.leaning import WAIT
from policy.prompt import Question
from policy.script import Heard, Piece, answering, asking, script
from policy.tasks import SINGLE
from policy.training.corpus import Choice, Situation
from policy.words import tokens

GOOD: Final = "good"
BAD: Final = "bad"
OPTION: Final = "option"


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """What may follow a conversation.

    Attributes:
        text: the words.
        role: :data:`GOOD`, :data:`BAD` or :data:`OPTION`.
        strategy: with which it is given; ``""`` for an option.
        emotion: display emotion with which it is given; ``""`` for an option.
    """

    text: str
    role: str
    strategy: str = ""
    emotion: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One conversation with what may follow it.

    Attributes:
        id: of the item in the corpus.
        pieces: the conversation, up to where the answer begins.
        branches: what may follow.
        strategies: acceptable ones, best first; empty for a question.
        emotions: acceptable display emotions, best first; empty for a question.
        answer: index of the right branch of a question; -1 for a situation.
        words: the person's last words, as a judge of replies wants them.
        said: what the agent said before.
        before: what the person said earlier.
        mood: of the person.
        window: the conversation was read from it.
    """

    id: str
    pieces: tuple[Piece, ...]
    branches: tuple[Branch, ...]
    strategies: tuple[str, ...] = ()
    emotions: tuple[str, ...] = ()
    answer: int = -1
    words: str = ""
    said: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    mood: str = ""
    window: ContextWindow = field(repr=False, default_factory=lambda: ContextWindow(start=0, end=0))


def example_of(situation: Situation, window: ContextWindow, heard: Heard | None = None) -> Example:
    """Return what is learned from a situation, as it is perceived in ``window``."""
    person = [turn.text for turn in situation.turns if turn.who != "agent"]
    emotion = situation.emotions[0]
    good = [
        Branch(text=reply, role=GOOD, strategy=_strategy(reply, situation.strategies, n), emotion=emotion)
        for n, reply in enumerate(situation.replies)
    ]
    strategy = good[0].strategy if good else situation.strategies[0]
    bad = Branch(text=situation.bad, role=BAD, strategy=strategy, emotion=emotion)
    return Example(
        id=situation.id,
        pieces=(*script(window, heard), answering()),
        branches=(*good, *([bad] if good else [])),
        strategies=situation.strategies,
        emotions=situation.emotions,
        words=person[-1],
        said=tuple(turn.text for turn in situation.turns if turn.who == "agent"),
        before=tuple(person[:-1]),
        mood=situation.mood,
        window=window,
    )


def question_example(
    choice: Choice, window: ContextWindow, heard: Heard | None = None, *, order: Sequence[int] | None = None
) -> Example:
    """Return what is learned from a multiple-choice item; ``order`` permutes its options."""
    order = list(order) if order is not None else list(range(len(choice.options)))
    options = tuple(choice.options[place] for place in order)
    question = question_for(choice, options, window)
    return Example(
        id=choice.id,
        pieces=(*script(window, heard), asking(question)),
        branches=tuple(Branch(text=option, role=OPTION) for option in options),
        answer=order.index(choice.answer),
        words=" ".join(turn.text for turn in choice.turns),
        window=asked(window, question),
    )


def question_for(choice: Choice, options: Sequence[str], window: ContextWindow) -> Question:
    """Return the item's question as a bench asks it."""
    text = "\n".join([choice.question, *options])
    return Question(text=text, form=SINGLE, options=tuple(options), at=window.end, place=len(window.entries))


def asked(window: ContextWindow, question: Question) -> ContextWindow:
    """Return ``window`` with ``question`` put at its end."""
    text = Text(text=question.text, at=question.at, form=question.form, options=question.options)
    return replace(window, entries=(*window.entries, text), cue=CUE_QUESTION)


def _strategy(reply: str, acceptable: Sequence[str], place: int) -> str:
    """Tell which of the acceptable strategies a reply of the corpus follows: its surface, then its place."""
    spoken = [name for name in acceptable if name != WAIT] or ["other"]
    if "?" in reply and "question" in spoken:
        return "question"
    rest = [name for name in spoken if name != "question"] or spoken
    if "suggestion" in rest and tokens(reply)[:1] in (["maybe"], ["perhaps"]):
        return "suggestion"
    return rest[min(place, len(rest) - 1)] if "?" not in reply else rest[0]
