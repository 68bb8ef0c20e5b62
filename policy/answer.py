"""From a window to decisions with curated words: what every policy here shares, and falls back on.

:func:`consider` reads the window and chooses; :func:`perform` turns the choice into decisions. Both are pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from perception.context import CUE_AFFECT, CUE_ARRIVAL, CUE_GREETING, CUE_LEAVING, CUE_SILENCE, ContextWindow
from perception.timebase import SECOND
from policy import affect, replies
from policy.acts import Choice
from policy.cues import Cues, cues_of
from policy.decision import STRATEGIES, Decision, Express, Speak, Wait
from policy.leaning import Leaning
from policy.mood import HEAVY, SHOWN
from policy.parse import sentences
from policy.reading import Reader, act_of
from policy.replies import Rank
from policy.safety.detector import check_patterns, recent
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
    lean: Callable[[Cues], Leaning] | None = None,
) -> Considered:
    """Read ``window`` and choose what to do about its cue.

    Args:
        window: what is known.
        reader: of mood and act.
        lean: what the trained models make of it, if there are any.
    """
    cues = cues_of(window)
    if window.cue == CUE_GREETING:
        topic = "act/hello_again" if cues.agent else "act/greeting"
        return Considered(settled(_plain(topic, "The call begins.", cues, emotion="warm", tone="warm"), cues), cues)
    unasked = _UNASKED.get(window.cue)
    if unasked is not None:
        return Considered(settled(unasked(cues), cues), cues)
    if not cues.words:
        return Considered(_wait("Nothing new was said.", cues), cues)
    # What a safety lane let pass is not met again behind it.
    lately, danger = (None, None) if window.cleared else (recent(cues.before), check_patterns(cues.words))
    leaning = lean(cues) if lean is not None else None
    reading = reader.read(cues.words, cues.before)
    choice = choose(reading, cues, danger, lately=lately, leaning=leaning)
    return Considered(settled(choice, cues), cues)


def settled(choice: Choice, cues: Cues) -> Choice:
    """Return ``choice`` with a look that may be shown over what was said (:func:`policy.affect.settle_look`)."""
    if choice.strategy == "safety":
        return choice
    words = affect.read(cues.words, cues.before)
    emotion, why = affect.settle_look(
        choice.emotion, words, distress=cues.distress, smiling=cues.smiling, voice=cues.voice
    )
    if not why:
        return choice
    tone = "soft" if emotion == affect.TENDER and choice.tone in {"neutral", "warm", "lively"} else choice.tone
    return replace(choice, emotion=emotion, tone=tone, reason=f"{choice.reason} {why}")


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
    heavy = choice.emotion in {"concern", "sad", "tender"}
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
    return line, name if name in STRATEGIES else choice.strategy


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
        heavy = any(mood in HEAVY for text in (*cues.before[-2:], cues.words) for mood in mood_words(text))
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
    if cues.absent:
        return _wait("Nobody is there to be spoken to.", cues)
    if act_of(_last_words(cues)) == "quiet":
        return _wait("The person asked for quiet.", cues)
    if replies.was_said("runtime/silence", cues.agent[-1:]):
        return _wait("It has been said that there is no hurry; silence is fine.", cues)
    distressed = cues.distress >= SHOWN
    emotion = "concern" if distressed else "warm"
    return _plain(
        "runtime/silence", "A long silence; one quiet word, without pressing.", cues, emotion=emotion, tone="soft"
    )


def _arrival(cues: Cues) -> Choice:
    """Greet whoever comes: somebody who was gone for a moment with a word, a stranger with who it is that speaks."""
    if cues.talking:
        return _wait("Whoever arrives is talking already.", cues)
    back = cues.turns > 0 and cues.away is not None and cues.away < _STRANGER
    topic, reason = ("act/welcome_back", "Somebody is back.") if back else ("act/greeting", "Somebody arrives.")
    return _plain(topic, reason, cues, emotion="warm", tone="warm")


def _leaving(cues: Cues) -> Choice:
    """Let go of whoever leaves, with a word at most, and never with one that holds them."""
    if cues.talking or not cues.turns:
        return _wait("Somebody passes by.", cues)
    parted = act_of(_last_words(cues)) == "goodbye" or replies.was_said("act/goodbye", cues.agent[-1:])
    heavy = any(mood in HEAVY for text in (*cues.before[-2:], cues.words) for mood in mood_words(text))
    heavy = heavy or cues.distress >= SHOWN
    if parted or act_of(_last_words(cues)) == "quiet":
        choice = _plain("", "They have taken leave already.", cues, emotion="warm", tone="warm")
    elif heavy:
        choice = _plain(
            "act/left_heavy", "They leave after something heavy, and are let go.", cues, emotion="concern", tone="soft"
        )
    else:
        choice = _plain("act/left", "They leave, and are let go.", cues, emotion="warm", tone="warm")
    return choice


_STRANGER: Final = 60 * SECOND
"""Time for which a room was empty from which whoever comes in may be somebody else."""

_UNASKED: Final[Mapping[str, Callable[[Cues], Choice]]] = {
    CUE_AFFECT: _affect,
    CUE_SILENCE: _silence,
    CUE_ARRIVAL: _arrival,
    CUE_LEAVING: _leaving,
}
"""What is done where nobody said anything, by cue."""


def _last_words(cues: Cues) -> str:
    return cues.words or (cues.before[-1] if cues.before else "")


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
