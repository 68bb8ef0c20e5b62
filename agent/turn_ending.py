"""How likely a pause is the end of the turn: the signs of it, weighed.

No single sign tells a pause from an end. A turn detector is as sure after "My mother died in March." as after the last
sentence of the story. What helps is what kind of floor the person was given: after a question a few words are an
answer, after "take all the time you need" they are a beginning (Sacks, *Lectures on Conversation*, 1992, on story
prefaces). So the signs are put into one logistic regression, whose weights lie in ``policy/data/turn_end.toml``; they
are fitted by :mod:`agent.empathy.timing_fit`.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from agent.turn_words import ends_sentence, plain, sentences, trails_off
from perception.context import Turn
from perception.timebase import Nanos

FILE: Final = "turn_end.toml"

ASKED, REMARKED, INVITED = 0.0, 0.25, 1.0
"""What floor the agent's last words give: an answer is asked for, nothing in particular, or all of a story."""

_INVITES: Final = re.compile(
    r"\b(?:tell me|take (?:all the|your) time|go on|i(?:'m| am) (?:all ears|listening|here to listen)|i(?:'d| would) "
    r"(?:like|love|be (?:happy|glad)) to hear|i(?:'ll| will) (?:listen|follow)|from the beginning|start (?:where|with)"
    r"|what (?:would you like|do you want) to talk about|what(?:'s| is| has) (?:been )?(?:on your mind|going on)"
    r"|what(?:'s| is) happening|what (?:happened|brings you)|how (?:has|have) .{1,30} been|i (?:have been )?wonder)"
)
MOST_CARES: Final = 2
_LONG: Final = 25
"""Words of the agent from which a remark invites a story."""

_JOINS: Final = frozenset({"and", "but", "so", "because", "then", "or", "that", "which", "who", "when"})
_CLOSES: Final = re.compile(
    r"\b(?:thank you|thanks|bye|goodbye|good night|see you|that's (?:all|it|about it|the whole (?:story|thing))|"
    r"(?:i )?(?:don't|do not) know(?: what to (?:do|say))?|what (?:do|would|should) (?:you|i)\b.*)$"
)
_ANSWERS: Final = frozenset({"yes", "yeah", "yep", "no", "nope", "not", "maybe", "exactly", "sure", "okay", "right"})


@dataclass(frozen=True, slots=True)
class Signs:
    """What is known in a pause.

    Attributes:
        probability: the lowest that the turn detector said in it, 0..1.
        text: words of the turn so far, with the marks of the recogniser.
        rise_st: rise of the voice before it, semitones.
        floor: what the agent's last words ask for; see :func:`floor_of`.
        pauses: pauses in this turn before it.
    """

    probability: float
    text: str
    rise_st: float = 0.0
    floor: float = REMARKED
    pauses: int = 0


def floor_of(words: str) -> float:
    """Return the floor that words of the agent give: :data:`ASKED`, :data:`REMARKED` or :data:`INVITED`.

    Whoever is asked something answers; whoever is invited, or hears a long remark, tells.
    """
    said = words.strip().lower().replace("\u2019", "'")
    if not said:
        return REMARKED
    if _INVITES.search(said[-160:]):
        return INVITED
    if said.endswith("?"):
        return ASKED
    return INVITED if len(said.split()) >= _LONG else REMARKED


def features(signs: Signs) -> Mapping[str, float]:
    """Return the signs as numbers of about -1 to 1, by name."""
    text = signs.text.strip()
    words = plain(text).split()
    parts = sentences(text)
    last = plain(parts[-1]) if parts else ""
    last_words = last.split()
    p = min(0.98, max(0.02, signs.probability))
    length = math.log1p(len(words)) / math.log(31.0)
    asks = text.endswith("?")
    return {
        "always": 1.0,
        "sounds": math.log(p / (1.0 - p)) / math.log(49.0),
        "marked": float(ends_sentence(text)),
        "asks": float(asks),
        "trails": float(trails_off(text, finished=signs.probability >= 0.5)),
        "rises": 0.0 if asks else min(1.0, max(0.0, signs.rise_st / 6.0)),
        "floor": signs.floor,
        "length": length,
        "floor and length": signs.floor * length,
        "last sentence": min(1.0, len(last_words) / 12.0),
        "joins": float(len(parts) > 1 and bool(last_words) and last_words[0] in _JOINS),
        "closes": float(bool(_CLOSES.search(last))),
        "answers": float(bool(words) and words[0] in _ANSWERS and len(words) <= 8) * (1.0 - signs.floor),
        "floor and pauses": signs.floor * min(1.0, signs.pauses / 4.0),
    }


@dataclass(slots=True)
class Course:
    """How a call's turns have gone: what floor the agent gave, the pauses so far, and turns that went on once taken.

    Attributes:
        floor: what the agent's last words ask for. Until it has said something, whoever speaks wants an answer.
        pauses: in the running turn.
        cares: how often somebody went on right after their turn had been taken, at most :data:`MOST_CARES`.
        before: words of the running turn that were taken, wrongly.
    """

    floor: float = ASKED
    pauses: int = 0
    cares: int = 0
    before: str = ""
    _taken: tuple[Nanos, str, int] | None = None

    def told(self, turn: Turn) -> None:
        """Take in what either side said."""
        if turn.speaker == "agent":
            self.floor = floor_of(turn.text)

    def took(self, text: str, now: Nanos) -> None:
        """Say that the turn was taken as over."""
        self._taken = (now, f"{self.before} {text}".strip(), self.pauses)
        self.before, self.pauses = "", 0

    def gave_way(self, since: Nanos, within: Nanos) -> None:
        """Say that the person took the turn again by a voice that began at ``since``.

        So soon after it was taken it was not over: what was said before belongs to it.
        """
        taken, self._taken = self._taken, None
        if taken is not None and since <= taken[0] + within:
            self.cares = min(MOST_CARES, self.cares + 1)
            self.before, self.pauses = taken[1], taken[2] + 1

    def signs(self, probability: float, text: str, rise_st: float, *, cut_in: bool) -> Signs:
        """Return what is known; whoever has cut the agent off has something to tell."""
        said = f"{self.before} {text}".strip() if text else ""
        return Signs(probability, said, rise_st, INVITED if cut_in else self.floor, self.pauses)


@dataclass(frozen=True, slots=True)
class Ending:
    """The weighed signs.

    Attributes:
        weights: by the name of the sign.
    """

    weights: Mapping[str, float]

    def probability(self, signs: Signs) -> float:
        """Return the probability, 0..1, that the turn is over."""
        found = features(signs)
        score = sum(self.weights.get(name, 0.0) * value for name, value in found.items())
        return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, score))))


@cache
def shipped() -> Ending:
    """Return the weights that ship.

    Raises:
        ValueError: the file has a sign that is not known, or a weight that is no number.
    """
    table = tomllib.loads(resources.files("policy").joinpath("data", FILE).read_text(encoding="utf-8"))
    return read(table)


def read(table: Mapping[str, object]) -> Ending:
    """Check a table of weights and return it.

    Raises:
        ValueError: it has a sign that is not known, or a weight that is no number.
    """
    given = table.get("weights")
    if not isinstance(given, Mapping) or not given:
        raise ValueError(f"{FILE}: there is no table [weights]; write it with `python -m agent.empathy.timing_fit`")
    known = features(Signs(0.5, ""))
    weights: dict[str, float] = {}
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"{FILE}: there is no sign {name!r}; there are {', '.join(known)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{FILE}: the weight of {name!r} is {value!r}, expected a number")
        weights[name] = float(value)
    return Ending(weights)
