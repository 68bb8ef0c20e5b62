"""What a policy decides: speak, a backchannel, an expression, or to wait. Listening is a decision too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from perception.percept import Percept

STRATEGIES: Final = (
    "question",
    "restatement",
    "reflection",
    "affirmation",
    "suggestion",
    "information",
    "other",
    "safety",
)
"""Emotional-support strategies after ESConv (Liu et al., ACL 2021); self-disclosure is left out on purpose."""

LEARNED_EMOTIONS: Final = ("neutral", "warm", "happy", "concern", "sad", "surprise", "curious", "calm")
"""Display emotions that the shipped head and adapter know, in the order of their outputs."""

EMOTIONS: Final = (*LEARNED_EMOTIONS, "tender")
"""Display emotions of the agent's face. *Tender* is soft eyes and brows without a smile, over something that hurts."""

TONES: Final = ("neutral", "soft", "warm", "lively", "calm")
"""How a voice says its words."""

GESTURES: Final = ("none", "nod", "tilt", "lean_in", "look_away", "blink")


GUESS: Final = "so it is a guess."
"""How the reason of an answer ends for which nothing was perceived that speaks to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Because:
    """Why: the part that all decisions share.

    Attributes:
        reason: one short sentence for a person to read.
        evidence: the percepts it rests on, oldest first.
        confidence: 0..1.
        mind: name of the policy that decided, where several stand behind each other; ``""`` where there is one.
    """

    reason: str
    evidence: tuple[Percept, ...] = ()
    confidence: float = 1.0
    mind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speak(_Because):
    """Say a clause. A reply is a run of these; the voice starts with the first."""

    text: str
    tone: str = "neutral"
    strategy: str = "other"
    emotion: str = "neutral"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backchannel(_Because):
    """A short sound of listening, such as ``mm-hm``, that does not take the turn."""

    token: str = "mm-hm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Express(_Because):
    """Show something without a word. ``intensity`` is 0..1."""

    emotion: str = "neutral"
    gesture: str = "none"
    intensity: float = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait(_Because):
    """Say nothing, on purpose."""


Decision = Speak | Backchannel | Express | Wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Thought:
    """What a reasoning model writes before it decides: for the journal, never spoken. ``text`` is a piece of it."""

    text: str
    mind: str = ""


Step = Decision | Thought
"""What a policy yields."""


def action_name(decision: Decision) -> str:
    """Return ``speak``, ``backchannel``, ``express`` or ``wait``."""
    return type(decision).__name__.lower()
