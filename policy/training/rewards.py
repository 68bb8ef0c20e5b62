"""What an answer is worth to reinforcement learning: parts with a name, a range and a weight, added up.

Accuracy and format are those published with HumanSense, with equal weight; length and safety are for answers that are
spoken. What an answer says is read by functions, so that the same parts fit a multiple-choice answer in tags and the
line ``<strategy> <emotion> | <reply>`` of the compact student.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import torch

from policy.decision import LEARNED_EMOTIONS, STRATEGIES
from policy.leaning import WAIT
from policy.tasks import MULTI, NUMBER, PATTERNS, SINGLE
from policy.training.student import Sample
from policy.words import tokens

WORDS: Final = 30
"""Words of a reply up to which its length is right: what one can listen to in one go."""
MOST_WORDS: Final = 60
"""Words from which on it is worth nothing."""

_TAGGED: Final = re.compile(r"<think>.*?</think>\s*<answer>.*?</answer>", re.DOTALL)
_ANSWER: Final = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_LINE: Final = re.compile(r"\s*(\w+) (\w+) \|(.*)", re.DOTALL)
_MARKS: Final = str.maketrans("", "", "., ，\n")


class Reward(Protocol):
    """One part: from an example and an answer to a number within ``low`` and ``high``."""

    @property
    def name(self) -> str:
        """As figures name it."""
        ...

    @property
    def weight(self) -> float:
        """Factor in the sum."""
        ...

    @property
    def low(self) -> float:
        """Least value, before the weight."""
        ...

    @property
    def high(self) -> float:
        """Greatest value, before the weight."""
        ...

    def __call__(self, example: Any, sample: Sample, /) -> float:
        """Judge one answer."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What the line of the compact student says.

    Attributes:
        strategy: one of :data:`policy.decision.STRATEGIES`, or ``wait``.
        emotion: one of :data:`policy.decision.LEARNED_EMOTIONS`.
        reply: the words to say; ``""`` for none.
    """

    strategy: str
    emotion: str
    reply: str

    @classmethod
    def of(cls, text: str) -> Answer | None:
        """Read ``<strategy> <emotion> | <reply>``; ``None`` if the text is nothing of the kind."""
        match = _LINE.fullmatch(text)
        if match is None or match[1] not in (*STRATEGIES, WAIT) or match[2] not in LEARNED_EMOTIONS:
            return None
        return cls(match[1], match[2], match[3].strip())


def is_tagged(text: str) -> bool:
    """Tell whether a text begins with thoughts in tags and the answer in tags, as published; what follows is free."""
    return _TAGGED.match(text) is not None


def is_line(text: str) -> bool:
    """Tell whether a text is a line of the compact student, and says something unless it waits."""
    answer = Answer.of(text)
    return answer is not None and (bool(answer.reply) or answer.strategy == WAIT)


def whole(text: str) -> str:
    """Return the text as what is said."""
    return text


def reply_of(text: str) -> str | None:
    """Return what a line of the compact student says: ``None`` for silence on purpose, ``""`` if it cannot be read."""
    answer = Answer.of(text)
    if answer is None:
        return ""
    return None if answer.strategy == WAIT and not answer.reply else answer.reply


def chosen(key: Callable[[Any], tuple[str, str]]) -> Callable[[Any, str], float]:
    """Return the published accuracy of a multiple-choice answer.

    Args:
        key: from an example to its pattern, one of :data:`policy.tasks.PATTERNS`, and the right answer.
    """

    def credit(example: Any, text: str) -> float:
        pattern, right = key(example)
        return credit_of(pattern, text, right)

    return credit


def fitting(key: Callable[[Any], tuple[Collection[str], Collection[str]]]) -> Callable[[Any, str], float]:
    """Return the accuracy of a line: 1 if strategy and emotion both fit, 0.5 for one of them.

    Args:
        key: from an example to the strategies and the display emotions that fit.
    """

    def credit(example: Any, text: str) -> float:
        answer = Answer.of(text)
        strategies, emotions = key(example)
        return 0.0 if answer is None else 0.5 * (answer.strategy in strategies) + 0.5 * (answer.emotion in emotions)

    return credit


def credit_of(pattern: str, text: str, right: str) -> float:
    """Return 0, 0.5 or 1 for a multiple-choice answer, by the published rules.

    What is between answer tags counts, the whole text where there are none. The same text or number is right. Else the
    first character decides, of letters and numbers; of several letters some give 0.5 unless a wrong one is among them;
    yes and no are compared as words. The published code first asks a library for symbolic mathematics whether the two
    are equal; comparing texts and whole numbers stands for that here. An empty answer is worth 0 always.

    Args:
        pattern: one of :data:`policy.tasks.PATTERNS`.
        text: the answer.
        right: the right one.

    Raises:
        ValueError: there is no such pattern.
    """
    if pattern not in PATTERNS:
        raise ValueError(f"there is no pattern {pattern!r}; there are: {', '.join(PATTERNS)}")
    tagged = _ANSWER.search(text)
    given, right = (tagged[1] if tagged else text).strip().casefold(), right.strip().casefold()
    if not given:
        return 0.0
    if given == right:
        return 1.0
    if pattern == MULTI:
        letters, wanted = set(given.translate(_MARKS)), set(right.translate(_MARKS))
        return 0.0 if not letters or not letters <= wanted else 1.0 if letters == wanted else 0.5
    if pattern == NUMBER and given.isascii() and given.isdigit() and right.isascii() and right.isdigit():
        return float(int(given) == int(right) or given[0] == right)
    if pattern in (SINGLE, NUMBER):
        return float(given[0] == (right[:1] if pattern == SINGLE else right))
    return float(given.translate(_MARKS) == right.translate(_MARKS))


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Whether the answer is right: 0, 0.5 or 1.

    Attributes:
        credit: from an example and the text of an answer to that, such as :func:`chosen` or :func:`fitting`.
    """

    credit: Callable[[Any, str], float]
    weight: float = 1.0
    name: str = "accuracy"
    low: float = 0.0
    high: float = 1.0

    def __call__(self, example: Any, sample: Sample, /) -> float:
        """Judge one answer."""
        return self.credit(example, sample.text)


@dataclass(frozen=True, slots=True)
class Format:
    """Whether the answer has its form: 0 or 1.

    Attributes:
        shape: from the text of an answer to that: :func:`is_tagged` or :func:`is_line`.
    """

    shape: Callable[[str], bool] = is_tagged
    weight: float = 1.0
    name: str = "format"
    low: float = 0.0
    high: float = 1.0

    def __call__(self, example: Any, sample: Sample, /) -> float:
        """Judge one answer."""
        return float(self.shape(sample.text))


@dataclass(frozen=True, slots=True)
class Length:
    """Whether it can be listened to: 1 up to 30 words, falling to 0 at 60; 0 for nothing at all.

    Attributes:
        said: from the text of an answer to what is said: :func:`whole` or :func:`reply_of`. Silence on purpose, which
            is ``None``, is worth 1.
    """

    said: Callable[[str], str | None] = whole
    weight: float = 1.0
    name: str = "length"
    low: float = 0.0
    high: float = 1.0

    def __call__(self, example: Any, sample: Sample, /) -> float:
        """Judge one answer."""
        reply = self.said(sample.text)
        if reply is None:
            return 1.0
        count = len(tokens(reply))
        return min(1.0, max(0.0, (MOST_WORDS - count) / (MOST_WORDS - WORDS))) if count else 0.0


@dataclass(frozen=True, slots=True)
class Safety:
    """Whether it may be said: 0 or 1.

    Attributes:
        judge: from an example and what is said to that, such as :meth:`policy.gate.Gate.judge` on every sentence.
        said: as :attr:`Length.said`; silence on purpose is safe.
    """

    judge: Callable[[Any, str], bool]
    said: Callable[[str], str | None] = whole
    weight: float = 1.0
    name: str = "safety"
    low: float = 0.0
    high: float = 1.0

    def __call__(self, example: Any, sample: Sample, /) -> float:
        """Judge one answer."""
        reply = self.said(sample.text)
        return 1.0 if reply is None else float(self.judge(example, reply))


def total(
    rewards: Sequence[Reward], example: Any, samples: Sequence[Sample]
) -> tuple[torch.Tensor, Mapping[str, float]]:
    """Return the weighted sum for each answer, float32 of shape ``(count,)``, and the mean of each part by name.

    Raises:
        ValueError: two parts have one name, there is none, or one leaves its range.
    """
    names = [reward.name for reward in rewards]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"rewards need different names, at least one; there are: {', '.join(names) or 'none'}")
    worth = torch.zeros(len(samples))
    means: dict[str, float] = {}
    for reward in rewards:
        found = [float(reward(example, sample)) for sample in samples]
        for value in found:
            if not reward.low <= value <= reward.high:
                raise ValueError(f"reward {reward.name} is {value}, expected {reward.low:g} to {reward.high:g}")
        worth += reward.weight * torch.tensor(found)
        means[reward.name] = sum(found) / max(1, len(found))
    return worth, means
