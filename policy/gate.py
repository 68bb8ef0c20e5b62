"""Judges each clause that a model wrote before it is spoken; what does not pass is replaced by a curated line.

The rules are strict on purpose: a clause that is withheld costs little, a tone-deaf one costs the person's
trust. Every refusal names its reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from policy.embedding import Embed
from policy.mood import GLAD, HEAVY
from policy.words import is_common, load_table, mood_words, plain, tokens

_LEAST, _MOST = 3, 24
_ON_TOPIC: Final = 0.28
_SAME: Final = 0.92
_MOST_NEW: Final = 1

_SHAPE: Final = re.compile(r"[\[\]{}<>*_#|\\^~=`]|https?:|www\.|\.com\b|@|^\s*(?:[-•]|\d+[.)])|\d{3,}")
_ROLE: Final = re.compile(r"\b(?:user|assistant|system)\s*:|\brapport\b|\b(?:face|voice|gaze|note|says)\s*:", re.I)
_SELF: Final = re.compile(r"\b(?:i|me|my|mine|myself|we|us|our|ours|i'm|i've|i'll|i'd|we're|we've)\b", re.I)
_ALLOWED_SELF: Final = re.compile(
    r"\b(?:i'm (?:so |really |very )?(?:sorry to hear|glad you|listening|here|with you)|i'm sorry,? that|i wonder)\b",
    re.I,
)
_NEVER: Final = re.compile(
    r"\bas an ai\b|\blanguage model\b|\b\d+ ?(?:mg|ml|tablets|pills)\b|"
    r"\b(?:medication|dosage|dose|antidepressants?|diagnos\w+|"
    r"disorder|therap\w+|psych\w+|treatment|cbt|meditat\w+)\b|\bhow it is\b|\bcalm down\b|\bcheer up\b|\bat least\b|"
    r"\bcould be worse\b|\bhappens for a reason\b|\bget over it\b|\bmove on\b|\bstop (?:crying|worrying|being)\b|"
    r"\bsorry for your loss\b|\bthat's a shame\b|\bsad story\b|\bnot sure what to say\b|\bhow to respond\b|"
    r"\b(?:kill|suicide|die|dead|stupid|idiot|lazy|fat|ugly|crazy)\b|\bworst thing\b|\bugh\b",
    re.I,
)
_ADVICE: Final = re.compile(
    r"\b(?:you (?:should|need to|must|have to|ought|could|can|might want)|try to|try \w+ing|why don't you|"
    r"have you (?:tried|considered|thought)|"
    r"how about|what about|let's|make sure|remember to|don't (?:worry|be|let|give))\b",
    re.I,
)
_BRIGHT: Final = re.compile(
    r"\b(?:great(?! deal)|wonderful|amazing|awesome|lovely|fantastic|good for you|congratulations|nice|fun|funny|happy|"
    r"glad|exciting|interesting|laugh\w*|smil\w+|beautiful\w*|perfect|brilliant|genius)\b",
    re.I,
)
_GLOOMY: Final = re.compile(
    r"\b(?:sorry|sad|shame|terrible|awful|unfortunate\w*|loss|hurts?|maddening|difficult)\b", re.I
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a clause may be spoken, and if not, why."""

    ok: bool
    reason: str = ""


class Gate:
    """Judges clauses.

    Args:
        embed: the sentence encoder, for whether a clause keeps to the topic.
    """

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        shown = [str(text) for entry in load_table("examples")["example"] for text in entry["lines"]]
        self._examples = frozenset(word for text in shown for word in _content(text))

    def judge(
        self, clause: str, *, words: str, mood: str, strategy: str, said: Sequence[str] = (), advice: bool = False
    ) -> Verdict:
        """Judge one clause of a reply.

        Args:
            clause: what the model wrote.
            words: what the person said.
            mood: the mood that was read, and with which strategy the clause was asked for.
            strategy: the strategy it was asked for.
            said: what the agent said before, this reply included.
            advice: whether advice is wanted and something has been understood.
        """
        reason = self._refusal(clause.strip(), words, mood, strategy, said, advice)
        return Verdict(reason is None, reason or "")

    def _refusal(
        self, clause: str, words: str, mood: str, strategy: str, said: Sequence[str], advice: bool
    ) -> str | None:
        found = tokens(clause)
        if not _LEAST <= len(found) <= _MOST:
            return f"has {len(found)} words"
        if _SHAPE.search(clause) or not clause.isascii() or not clause[0].isupper():
            return "is no plain spoken sentence"
        if _ROLE.search(clause):
            return "echoes the prompt"
        if clause[-1] not in ".?!":
            return "is not finished"
        if _NEVER.search(clause):
            return "says what is never said here"
        if _SELF.search(_ALLOWED_SELF.sub("", clause)):
            return "speaks of itself as of a person"
        if not advice and _ADVICE.search(clause):
            return "gives advice that was not asked for"
        if (strategy == "question") != clause.endswith("?"):
            return f"is no {strategy}"
        if mood in HEAVY and (_BRIGHT.search(clause) or any(m in GLAD for m in mood_words(clause))):
            return "is bright where the mood is heavy"
        if mood in GLAD and (_GLOOMY.search(clause) or any(m in HEAVY for m in mood_words(clause))):
            return "is gloomy where the mood is glad"
        return self._off_topic(clause, found, words, said)

    def _off_topic(self, clause: str, found: Sequence[str], words: str, said: Sequence[str]) -> str | None:
        own = set(_content(words))
        mine = list(_content(clause))
        if any(word in self._examples and word not in own and not is_common(word) for word in mine):
            return "repeats an example"
        if sum(word not in own and not is_common(word) for word in mine) > _MOST_NEW:
            return "goes beyond what was said"
        same = sum(word in tokens(words) for word in found)
        turned = any(word.startswith(("you", "your")) for word in found)
        if plain(clause) in plain(words) or (same >= 0.8 * len(found) and not turned):
            return "only repeats the person's words"
        if any(plain(clause) in plain(text) for text in said):
            return "was said before"
        vectors = self._embed([clause, words, *said[-6:]])
        near = vectors[1:] @ vectors[0]
        if float(near[0]) < _ON_TOPIC:
            return "does not keep to what the person said"
        if any(float(n) > _SAME for n in near[1:]):
            return "was said before in other words"
        return None


def _content(text: str) -> Iterable[str]:
    return (word.removesuffix("'s") for word in tokens(text) if len(word) >= 4)
