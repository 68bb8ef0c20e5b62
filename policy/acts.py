"""The small social acts, and words that hide something: answered before any strategy is weighed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from perception.percept import Percept
from policy import affect
from policy.cues import SIGHT, Cues
from policy.mood import GLAD, HEAVY, SHOWN, careful
from policy.reading import CONTINUE, TELL, Reading
from policy.words import covers_up, mood_words, tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What to do.

    Attributes:
        strategy: one of :data:`policy.decision.STRATEGIES`.
        mood: one of :data:`policy.reading.MOODS`, or ``heavy`` or ``glad`` where that is all that is sure.
        topic: the table of curated lines to speak from, ``section/name``; ``""`` for no words.
        emotion: what the agent's face shows, one of :data:`policy.decision.EMOTIONS`.
        tone: how the voice says it, one of :data:`policy.decision.TONES`.
        confidence: 0..1.
        reason: one plain sentence.
        evidence: the percepts it rests on, oldest first.
        wait: whether to say nothing.
        free: whether a model may put it into its own words.
        distress: how far words, face or voice are in distress, 0..1.
    """

    strategy: str
    mood: str = "neutral"
    topic: str
    emotion: str = "neutral"
    tone: str = "neutral"
    confidence: float = 1.0
    reason: str
    evidence: tuple[Percept, ...] = ()
    wait: bool = False
    free: bool = False
    distress: float = 0.0


_REASONS: Final[Mapping[str, str]] = {
    "greeting": "The person says hello.",
    "thanks": "The person says thank you.",
    "goodbye": "The person is taking leave.",
    "quiet": "The person asks for quiet.",
    "change": "The person wants to leave the subject.",
    "presence": "The person wants to know whether anyone is there.",
    "identity": "The person asks who they are talking to, and deserves a straight answer.",
    "repeat": "The person did not catch the last words.",
    "how_are_you": "A polite question, handed back.",
    "smalltalk": "Small talk; nothing in face or voice speaks of more.",
    "joke": "The person asks for entertainment.",
    "complaint": "The person is unhappy with the answers.",
    "off_topic": "The words try to steer the agent rather than talk to it.",
    CONTINUE: "A short answer that leaves room for more.",
}


def answer_act(reading: Reading, cues: Cues, mood: str, distress: float) -> Choice | None:
    """Answer a greeting, thanks, a wish for quiet and the like; ``None`` if the words are none of these."""
    act = reading.act
    if act in {TELL, "advice", "fact"}:
        return None
    lately = mood_words(" ".join((*cues.before[-1:], cues.words)))
    heavy = cues.distress >= SHOWN or any(name in HEAVY for name in lately) or (act == CONTINUE and mood in HEAVY)
    topic, reason = f"act/{act}", _REASONS.get(act, "A small everyday answer.")
    emotion, tone, wait = "warm", "warm", False
    if act == "greeting":
        topic = "act/hello_again" if cues.agent else "act/greeting"
    elif act == "quiet":
        emotion, tone = "calm", "soft"
        kept = any(part in text for text in cues.agent[-2:] for part in ("be quiet", "won't say a word", "just sit"))
        wait = kept and reading.act_sure == 1.0  # said, and not merely like it
    elif act == "perceive":
        topic, reason = _perceived(cues)
    elif act == CONTINUE:
        if covers_up(cues.words) and (cues.contradiction or cues.distress >= SHOWN):
            return None
        topic = "act/continue_heavy" if heavy else "act/continue"
    elif act == "smalltalk" and (heavy or mood in HEAVY):
        return None
    if heavy:
        emotion, tone = "concern" if cues.distress >= SHOWN else "tender", "soft"
    elif reading.act_sure < 1.0 and emotion == "warm":
        # Known by likeness only: it may be something told, and what is told may hurt.
        emotion = careful(emotion, affect.read(cues.words, cues.before), cues, reading.moods)
    return Choice(
        strategy="other",
        mood=mood,
        topic=topic,
        emotion=emotion,
        tone=tone,
        confidence=round(0.5 + 0.5 * reading.act_sure, 3),
        reason=reason,
        evidence=cues.evidence,
        wait=wait,
        distress=distress,
    )


def answer_fond(cues: Cues, mood: str, distress: float) -> Choice | None:
    """Answer something glad that is told not long after a loss: with warmth, and without congratulations."""
    if mood not in GLAD or "grief" not in mood_words(" ".join(cues.before[-2:])):
        return None
    sure = affect.read(cues.words).sure >= affect.SURE or cues.smiling >= SHOWN
    return Choice(
        strategy="reflection",
        mood=mood,
        topic="act/fond_memory",
        emotion="warm" if sure else "tender",
        tone="warm",
        confidence=round(max(0.5, cues.smiling), 3),
        reason="Something glad, not long after a loss.",
        evidence=cues.evidence,
        distress=distress,
    )


def answer_mask(cues: Cues, mood: str, distress: float, glad: float = 0.0) -> Choice | None:
    """Answer words that say one thing while face or voice say another; ``None`` if they agree.

    Args:
        cues: what face and voice show.
        mood: the fused mood.
        distress: how far words, face or voice are in distress, 0..1.
        glad: share of glad moods in the words alone.
    """
    covered = covers_up(cues.words) and not mood_words(cues.words) and len(tokens(cues.words)) <= 30
    if covered and (cues.contradiction or cues.distress >= SHOWN):
        signs = cues.contradiction.partition("; ")[2] or "face or voice in distress"
        topic, reason = "act/masked", f"The words say all is well, but {_spell(signs)}; the door is left open."
        strategy = "reflection" if sum("?" in text for text in cues.agent[-2:]) >= 2 else "question"
    elif mood in GLAD and cues.distress >= SHOWN:
        topic, reason, strategy = "act/happy_tears", "Glad words, and a face or voice that is moved.", "reflection"
    elif mood == "heavy" and glad >= _MAY_BE_GLAD and cues.smiling >= _HALF_SMILE and cues.distress >= SHOWN:
        topic, reason, strategy = "act/mixed", "Tears and a smile, and words that may be of joy.", "reflection"
    elif mood in HEAVY and cues.smiling >= 0.6 and cues.contradiction.startswith("heavy words"):
        topic, reason, strategy = (
            "act/brave_face",
            "Heavy words behind a smile, which alone is not joy.",
            "reflection",
        )
    else:
        return None
    return Choice(
        strategy=strategy,
        mood=mood,
        topic=topic,
        emotion="tender" if mood in GLAD or topic == "act/mixed" else "concern",
        tone="soft",
        confidence=round(max(0.5, cues.distress), 3),
        reason=reason,
        evidence=cues.evidence,
        distress=max(distress, 0.5),
    )


_MAY_BE_GLAD: Final = 0.4
"""Share of glad moods from which words over tears may be of joy."""

_HALF_SMILE: Final = 0.25
"""Probability of a happy face that tells tears with a smile from tears alone."""


def _perceived(cues: Cues) -> tuple[str, str]:
    if cues.face is None:
        why = "is off" if cues.lost & SIGHT else "shows nothing certain"
        return "act/see_unknown", f"The person asks what can be seen, and the picture {why}."
    if cues.distress >= SHOWN:
        return "act/see_distress", "The person asks what can be seen, and the face looks weighed down."
    if cues.smiling >= SHOWN:
        return "act/see_joy", "The person asks what can be seen, and the face is smiling."
    return "act/see_neutral", "The person asks what can be seen, and the face gives little away."


def _spell(signs: str) -> str:
    words = [
        sign.replace("voice ", "the voice is ").replace("face ", "the face looks ").replace("gaze ", "the gaze is ")
        for sign in signs.split(", ")
    ]
    return " and ".join(words)
