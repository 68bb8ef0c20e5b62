"""What the safety lane lets pass of a policy's answer to somebody who may be in danger."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from policy.decision import Express, Speak
from policy.words import plain

TENDER: Final = "tender"
"""The look of the lane where nothing is plain: soft, and without a smile."""

_BRIGHT: Final = frozenset({"warm", "happy", "surprise"})
_ASIDE: Final = frozenset({"question", "suggestion", "information", "safety"})
_VAGUE: Final = 5
"""Words of strategy ``other`` that say too little to stand in front of a question."""

_ADVICE: Final = re.compile(
    r"\b(?:you (?:should|could|might want|need to|have to|ought)|why don't you|why not|how about|have you tried"
    r"|maybe (?:you|try|start|take|just)|perhaps (?:you|try)|try (?:to|and|saying)|let's|make sure"
    r"|remember (?:to|that)|it helps to)\b"
)
_CHEER: Final = re.compile(
    r"\b(?:great(?! deal)|wonderful|fantastic|amazing|awesome|brilliant|lovely|congratulations|congrats|well done"
    r"|hooray|yay|haha|ha|exciting|happy for you|glad|joy|smile|fun|nice|celebrat\w*|good news|proud)\b"
)


def fits(step: Speak, *, strict: bool) -> bool:
    """Tell whether a sentence of the policy may be said.

    Args:
        step: the sentence.
        strict: in front of a question of the lane: no question, no advice, nothing empty; otherwise only cheer is held
            back.
    """
    text = plain(step.text)
    if step.emotion == "happy" or _CHEER.search(text) is not None:
        return False
    if not strict:
        return step.strategy != "safety"
    if step.strategy in _ASIDE or "?" in step.text or _ADVICE.search(text) is not None:
        return False
    return step.strategy != "other" or len(text.split()) > _VAGUE


def gently(step: Speak | Express) -> Speak | Express:
    """Return a step with a look that suits whoever may be in danger."""
    return replace(step, emotion=TENDER) if step.emotion in _BRIGHT else step
