"""From a window to decisions with curated words: what every policy here shares, and falls back on.

:func:`consider` reads the window and chooses; :func:`perform` turns the choice into decisions. Both are pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from perception.context import CUE_AFFECT, CUE_GREETING, CUE_SILENCE, ContextWindow
from perception.timebase import SECOND
from policy import replies
from policy.acts import Choice
from policy.cues import Cues, cues_of
from policy.decision import Decision, Express, Speak, Wait
from policy.leaning import Leaning
from policy.mood import HEAVY, SHOWN
from policy.parse import sentences
from policy.reading import Reader, act_of
from policy.replies import Rank
from policy.safety import Lookout, recent
from policy.strategy import choose
from policy.words import mood_words

_STILL: Final = 3 * SECOND
"""Silence after which a look may be spoken about."""


@dataclass(frozen=True, slots=True)
class Considered:
    """A choice with the cues it was made from."""

    choice: Choice
    cues: Cues


def consider(
    window: ContextWindow,
    reader: Reader,
    lookout: Lookout,
    lean: Callable[[Cues], Leaning] | None = None,
) -> Considered:
    """Read ``window`` and choose what to do about its cue.

    Args:
        window: what is known.
        reader: of mood and act.
        lookout: for danger.
        lean: what the trained models make of it, if there are any.
    """
    cues = cues_of(window)
    if window.cue == CUE_GREETING:
        topic = "act/hello_again" if cues.agent else "act/greeting"
        return Considered(_plain(topic, "The call begins.", cues, emotion="warm", tone="warm"), cues)
    if window.cue == CUE_AFFECT and not cues.words:
        return Considered(_affect(cues), cues)
    if window.cue == CUE_SILENCE and not cues.words:
        return Considered(_silence(cues), cues)
    if not cues.words:
        return Considered(_wait("Nothing new was said.", cues), cues)
    lately = recent(lookout, cues.before)
    leaning = lean(cues) if lean is not None else None
    reading, danger = reader.read(cues.words, cues.before), lookout.check(cues.words)
    choice = choose(reading, cues, danger, lately=lately, leaning=leaning)
    return Considered(choice, cues)


def perform(considered: Considered, rank: Rank | None = None) -> Iterator[Decision]:
    """Yield the decisions of a choice: a look first, then the words, clause by clause; or waiting."""
    yield from opening(considered)
    yield from words(considered, rank)


def opening(considered: Considered) -> Iterator[Decision]:
    """Yield the look that goes with the choice, or the waiting."""
    choice = considered.choice
    if choice.wait and not choice.topic:
        yield Wait(reason=choice.reason, evidence=choice.evidence, confidence=choice.confidence)
        return
    heavy = choice.emotion in {"concern", "sad"}
    yield Express(
        emotion=choice.emotion,
        gesture="lean_in" if heavy else "tilt" if choice.strategy == "question" else "nod",
        intensity=round(min(0.9, 0.5 + 0.4 * max(choice.distress, choice.confidence - 0.5)), 3),
        reason=choice.reason,
        evidence=choice.evidence,
        confidence=choice.confidence,
    )
    if choice.wait:
        yield Wait(reason=choice.reason, evidence=choice.evidence, confidence=choice.confidence)


def words(considered: Considered, rank: Rank | None = None) -> Iterator[Speak]:
    """Yield the curated line of the choice, one sentence each."""
    if considered.choice.wait or not considered.choice.topic:
        return
    line, strategy = curated(considered, rank)
    for sentence in sentences(line):
        yield spoken(considered.choice, sentence, strategy=strategy)


def curated(considered: Considered, rank: Rank | None = None) -> tuple[str, str]:
    """Return the curated line for the choice, and its strategy."""
    choice, cues = considered.choice, considered.cues
    if choice.topic == "act/repeat" and cues.agent:
        line, _ = replies.pick(choice.topic, turn=cues.turns, said=cues.agent)
        return f"{line} {_without_repeat(cues.agent[-1])}", choice.strategy
    topic = "act/unclear" if choice.topic == "act/repeat" else choice.topic
    asked = sum("?" in text for text in cues.agent[-2:]) >= 2 and choice.strategy not in {"safety", "information"}
    line, found = replies.pick(
        topic,
        turn=cues.turns,
        words=cues.words,
        said=cues.agent,
        nouns=cues.topics,
        rank=rank,
        allow=(lambda text: "?" not in text) if asked else None,
    )
    section, _, name = found.partition("/")
    if section == "act" and choice.strategy in {"question", "reflection"}:
        return line, "question" if "?" in line else "reflection"
    return line, choice.strategy if section in {"act", "crisis"} else name


def spoken(choice: Choice, text: str, *, strategy: str | None = None) -> Speak:
    """Return one clause of the reply to ``choice``."""
    return Speak(
        text=text,
        tone=choice.tone,
        strategy=strategy or choice.strategy,
        emotion=choice.emotion,
        reason=choice.reason,
        evidence=choice.evidence,
        confidence=choice.confidence,
    )


def _affect(cues: Cues) -> Choice:
    """Answer a strong look without words: show that it was seen; speak of it at most once, and not at once."""
    noticed = any(replies.was_said(f"act/noticed_{mood}", cues.agent[-3:]) for mood in ("distress", "joy"))
    talk = cues.silence >= _STILL and not noticed and not cues.talking
    if cues.distress >= SHOWN:
        choice = _plain(
            "act/noticed_distress", "The face or the voice shows distress.", cues, emotion="concern", tone="soft"
        )
    elif cues.smiling >= SHOWN:
        heavy = any(mood in HEAVY for text in cues.before[-2:] for mood in mood_words(text))
        reason = "The person smiles, after heavy words." if heavy else "The person smiles."
        choice = _plain("act/noticed_joy", reason, cues, emotion="warm" if heavy else "happy", tone="warm")
        talk = talk and not heavy
    else:
        return _wait("A look passed before it could be read.", cues)
    return choice if talk else replace(choice, topic="", wait=False)


def _silence(cues: Cues) -> Choice:
    """Answer a long silence: leave it, unless one quiet word may help."""
    if cues.talking:
        return _wait("The person is talking.", cues)
    if cues.before and act_of(cues.before[-1]) == "quiet":
        return _wait("The person asked for quiet.", cues)
    if replies.was_said("runtime/silence", cues.agent[-1:]):
        return _wait("It has been said that there is no hurry; silence is fine.", cues)
    distressed = cues.distress >= SHOWN
    emotion = "concern" if distressed else "warm"
    return _plain(
        "runtime/silence", "A long silence; one quiet word, without pressing.", cues, emotion=emotion, tone="soft"
    )


def _plain(topic: str, reason: str, cues: Cues, *, emotion: str, tone: str) -> Choice:
    return Choice(
        strategy="other",
        mood="joy" if emotion == "happy" else "neutral",
        topic=topic,
        emotion=emotion,
        tone=tone,
        confidence=round(max(cues.distress, cues.smiling, 0.6), 3),
        reason=reason,
        evidence=cues.evidence,
        distress=cues.distress,
    )


def _wait(reason: str, cues: Cues) -> Choice:
    return Choice(strategy="other", topic="", reason=reason, evidence=cues.evidence, wait=True, confidence=0.9)


def _without_repeat(text: str) -> str:
    for line in replies.table()["act/repeat"]:
        text = text.replace(line, "").strip()
    return text
