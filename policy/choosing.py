"""Answers a benchmark's question from the rolling context, without a language model.

What was perceived becomes :class:`Evidence`: what was said, how much each sense saw of what, and both as plain
sentences. :class:`Chooser` scores the choices by likeness to those sentences, and by measure where a choice names what
a sense measures. *Which emotion should you show* takes the face that :mod:`policy.strategy` would put on; *which reply
is best* takes its strategy, told by the curated lines. All is a pure function of the window and the weights.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from perception.context import CUE_AFFECT, CUE_END_OF_TURN, ContextWindow, Entry, Turn
from perception.media import Text
from perception.percept import (
    BLINK,
    EXPRESSION,
    FACE,
    GAZE,
    GESTURE,
    LOOKS,
    PRESENCE,
    PROSODY,
    TRANSCRIPT,
    UNCERTAIN,
    Percept,
)
from policy import replies
from policy.answer import consider
from policy.decision import GUESS, Speak
from policy.embedding import Embed
from policy.prompt import Question, question_of, render
from policy.reading import Reader
from policy.tasks import MULTI, NUMBER, YES_NO
from policy.words import Patterns, plain, tokens

__all__ = ["Answered", "Chooser", "Evidence", "Question", "evidence_of", "question_of", "settle", "softmax"]

FACES: Final = LOOKS
CHANCE: Final = 1 / len(FACES)
"""What a choice gets that names nothing measured, and the share of a face before anything is seen."""

_LIE: Final = r"\b(?:l(?:ie|ies|ied|ying|iar)|decei\w+|hid(?:e|es|ing)|pretend\w*|fak(?:e|ing)|mask\w*)\b"
_HONEST: Final = r"\b(?:honest\w*|truth\w*|sincer\w+|genuine\w*)\b"
_FIT: Final = r"\b(?:should|would|could|best|better|most|appropriate|suitable|empath\w+)\b"
_FACE: Final = r"\b(?:emotions?|expressions?|face|mood|feelings?)\b"
_REPLY: Final = r"\b(?:reply|replies|respon\w+|say|answer|comfort\w*|consol\w*|support\w*)\b"
_YOURS: Final = r"\b(?:should|your|respond|response|reply|react)\b|\b(?:would|could|do) you (?:show|display|express)\b"
_PULL, _RELATED, _DOUBT = 1.0, 0.35, 0.3
"""Weight of a measure beside a cosine; cosine from which texts belong together; doubt that one gesture leaves."""
_HEAT, _HEAT_LINES = 0.25, 0.1
"""Difference that makes a choice, and a strategy told by its curated lines, e times as likely."""

SEPARATOR: Final = ""
"""What stands between the letters of a ``multi`` answer."""

_NAMES: Final = Patterns.of(
    {
        "angry": ["angry", "anger", "mad", "furious", "fury", r"rag(?:e|ing)", r"annoy\w*", r"irritat\w*"],
        "disgust": [r"disgust\w*", r"contempt\w*", r"revuls\w*"],
        "fear": [r"fear\w*", "afraid", "scared", r"frighten\w*", r"terrif\w*", r"anxi\w*", r"nervous\w*", r"worr\w+"],
        "happy": [r"happ(?:y|ily|iness)", r"joy\w*", "glad", r"smil\w*", r"laugh\w*", r"cheerful\w*", r"delight\w*"],
        "neutral": [r"neutral\w*", r"calm\w*", "composed", "expressionless", r"indifferen\w*"],
        "sad": [r"sad\w*", r"unhapp\w*", r"cr(?:y|ies|ying)", "tearful", r"sorrow\w*", r"grie[fv]\w*", r"depress\w*"],
        "surprise": [r"surpris\w*", r"astonish\w*", r"shock\w*", r"amaz\w*", r"startl\w*"],
        "nod": [r"nod\w*"],
        "head_shake": [r"sha\w+ (?:\w+ )?head", r"head shak\w*"],
        "thumb_up": ["thumbs? up"],
        "thumb_down": ["thumbs? down"],
        "open_palm": [r"wav(?:e|es|ed|ing)", "(?:open|raised) (?:palm|hand)", "palms?"],
        "victory": ["victory", "(?:peace|v) sign"],
        "pointing_up": [r"point\w* up\w*", "index finger"],
        "closed_fist": ["fists?"],
        "i_love_you": ["love you (?:sign|gesture)"],
        "blink": [r"blink\w*"],
        "talking": [r"talk\w*", r"speak\w*"],
        "away": [r"look\w* (?:away|aside|down)", r"avert\w*"],
        "towards": ["eye contact", r"look\w* (?:at|into|towards?) the camera"],
        "flat": ["flat", r"monoton\w*"],
        "trembling": [r"trembl\w*", "shaky"],
        "loud": [r"loud\w*", r"shout\w*"],
        "quiet": [r"quiet\w*", r"whisper\w*"],
        "slow": [r"slow\w*"],
        "fast": ["fast", r"quick\w*"],
        "warm": [r"warm\w*", r"friendl\w*", r"kind\w*", r"encourag\w*"],
        "concern": [r"concern\w*", r"sympath\w*", r"compassion\w*", r"empath\w*", "pity"],
        "curious": [r"curio\w*", r"interest\w*"],
    }
)
"""Words by which a choice names an expression, a gesture, a way to talk or look, or a display emotion."""

_GESTURES: Final = (
    "nod", "head_shake", "thumb_up", "thumb_down", "open_palm", "victory", "pointing_up", "closed_fist", "i_love_you",
    BLINK,
)  # fmt: skip
_VOICES: Final = ("flat", "trembling", "loud", "quiet", "slow", "fast")
_WORN: Final = (*FACES, "warm", "concern", "curious")
_CITED: Final = (EXPRESSION, GAZE, PROSODY, GESTURE, PRESENCE, TRANSCRIPT)

_SHOWS: Final[Mapping[str, Mapping[str, float]]] = {
    "neutral": {"neutral": 1.0},
    "calm": {"neutral": 1.0, "concern": 0.4},
    "warm": {"warm": 1.0, "happy": 0.6, "neutral": 0.4},
    "happy": {"happy": 1.0, "warm": 0.6},
    "concern": {"concern": 1.0, "sad": 0.7, "fear": 0.2, "neutral": 0.2},
    "sad": {"sad": 1.0, "concern": 0.8},
    "tender": {"concern": 0.9, "warm": 0.6, "sad": 0.5, "neutral": 0.3},
    "surprise": {"surprise": 1.0},
    "curious": {"curious": 1.0, "surprise": 0.5, "neutral": 0.4},
}
"""How well it fits the agent to show what a choice names, by the display emotion that the policy chose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer with its reason: one sentence, without the person's words."""

    answer: str
    confidence: float
    reason: str
    evidence: tuple[Percept, ...] = ()

    def speak(self, question: Question) -> Speak:
        """Return the decision, in ``<think>`` and ``<answer>`` tags if the question asks for them."""
        tagged = "<think>" in question.text and "<answer>" in question.text
        text = f"<think>{self.reason}</think><answer>{self.answer}</answer>" if tagged else self.answer
        sure = round(min(1.0, max(0.0, self.confidence)), 2)
        return Speak(text=text, strategy="information", reason=self.reason, evidence=self.evidence, confidence=sure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was known when a question was asked.

    Attributes:
        window: the same without questions and what the agent said, ending as the question is asked.
        said: what was said and typed, oldest first.
        measured: 0..1 by name; 0 is *looked for and not seen*, what is missing could not be seen or heard.
        counts: how often each gesture, and a blink, was seen.
        heads: most people who were there for a while; ``None`` unknown.
        notes: how face and voice contradict words.
    """

    window: ContextWindow
    said: tuple[str, ...]
    measured: Mapping[str, float]
    counts: Counter[str]
    heads: int | None
    notes: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """All of it as plain sentences, the words of the person first."""
        often = {name: f"{share:.0%} of the time" for name, share in self.measured.items() if share >= 2 * CHANCE}
        told = [f"The person looks {name} {often[name]}." for name in (*FACES, "away", "towards") if name in often]
        told += [f"The person talks {often['talking']}."] if "talking" in often else []
        told += [f"The voice sounds {name} {often[name]}." for name in _VOICES if name in often]
        told += [
            f"The person shows the gesture {n.replace('_', ' ')}, {times} times." for n, times in self.counts.items()
        ]
        told += [f"The face or voice contradicts the words: {note}." for note in self.notes]
        people = "1 person is" if self.heads == 1 else f"{self.heads} people are"
        told += [f"{people} in the picture."] if self.heads is not None else []
        return (*self.said, *([self.window.summary] if self.window.summary else []), *told)

    @property
    def percepts(self) -> tuple[Percept, ...]:
        """The surest percept of each sense, to cite, oldest first."""
        best: dict[str, Percept] = {}
        for p in self.window.percepts:
            if p.kind in _CITED and p.label != UNCERTAIN and p.confidence >= getattr(best.get(p.kind), "confidence", 0):
                best[p.kind] = p
        return tuple(sorted(best.values(), key=lambda p: (p.start, p.end)))


def evidence_of(question: Question, window: ContextWindow) -> Evidence:
    """Gather what was known as ``question`` was asked; what happened later is left out."""
    late = [e for e in window.entries[question.place :] if isinstance(e, Percept) and e.end <= question.at]
    entries: list[Entry] = [
        e
        for e in (*window.entries[: question.place], *late)
        if not (isinstance(e, Text) and e.form) and not (isinstance(e, Turn) and e.speaker == "agent")
    ]
    past = replace(window, entries=tuple(entries), end=question.at)
    said = [e.text.strip() for e in entries if not isinstance(e, Percept) and e.text.strip()]
    heard = {p.number("utterance", -1 - i): p for i, p in enumerate(past.percepts) if p.kind == TRANSCRIPT}
    for text in (*(p.label for p in heard.values()), window.hearing):
        if text.strip() and plain(text) not in plain(" ".join(said)):
            said.append(text.strip())
    looks = [p for p in past.percepts if p.kind == FACE and p.label == "present"]
    counts = Counter(BLINK if p.kind == BLINK else p.label for p in past.percepts if p.kind in {BLINK, GESTURE})
    people = Counter(round(p.number("count")) for p in past.percepts if p.kind == FACE and "count" in p.data)
    held = [n for n, times in people.items() if times >= 3]
    held += [round(p.number("count")) for p in past.percepts if p.kind == PRESENCE]
    measured = _faces([p for p in past.percepts if p.kind == EXPRESSION and p.label != UNCERTAIN])
    measured |= {name: 1.0 - _DOUBT ** counts[name] for name in _GESTURES if looks or counts[name]}
    gazes = [p for p in past.percepts if p.kind == GAZE and p.label != UNCERTAIN]
    measured |= {side: sum(p.label == side for p in gazes) / len(gazes) for side in ("away", "towards") if gazes}
    if any("talking" in p.data for p in looks):
        measured["talking"] = sum(p.number("talking") for p in looks) / len(looks)
    voices = [p for p in past.percepts if p.kind == PROSODY and p.label in _VOICES]
    measured |= {p.label: sum(v.label == p.label for v in voices) / len(voices) for p in voices}
    notes = tuple(line.partition(" note: ")[2] for line in render(past) if " note: " in line.partition('"')[0])
    return Evidence(
        window=past,
        said=tuple(said),
        measured=measured,
        counts=counts,
        heads=max(held, default=None),
        notes=notes,
    )


class Chooser:
    """Answers questions from the context.

    Args:
        embed: the sentence encoder.
        reader: reads mood and strategy off the person's words.
    """

    def __init__(self, embed: Embed, reader: Reader) -> None:
        self._embed, self._reader = embed, reader

    def answer(self, question: Question, window: ContextWindow, fits: Sequence[float] | None = None) -> Answered:
        """Return the answer to ``question`` of ``window``; there always is one.

        Args:
            question: with its form.
            window: what is known.
            fits: how well a language model finds that each choice fits; taken where no sense measures what is asked.
        """
        known = evidence_of(question, window)
        if question.form == NUMBER:
            return _count(question, known)
        answers = [plain(choice) for choice in question.choices] if question.form != YES_NO else ["yes", "no"]
        if not answers or all(re.match(r"(?:yes|no)\b", answer) for answer in answers):
            yes, why = self._yes(question.asked, known)
            scores = [yes if answer.startswith("yes") else 1.0 - yes for answer in answers or ("yes", "no")]
            return settle(question, scores, known, why)
        if fits is not None and known.sentences and not _names_measured(question, known):
            return settle(question, fits, known, "It fits best what was said, seen and heard.", heat=1.0)
        scores = self._likeness(question, known)
        measures, why = self._measures(question, known)
        if measures:
            scores = [score + _PULL * measure for score, measure in zip(scores, measures, strict=True)]
        elif known.sentences:
            why = "It is nearest to what was said." if known.said else "It is nearest to what was seen and heard."
        else:
            why = f"Nothing was perceived that speaks to it, {GUESS}"
        return settle(question, scores, known, why)

    def _likeness(self, question: Question, known: Evidence) -> list[float]:
        """Return how near each choice, alone and with the question, comes to any of the sentences."""
        count, sentences = len(question.choices), known.sentences or (question.asked,)
        texts = [*question.choices, *(f"{question.asked} {choice}" for choice in question.choices), *sentences]
        vectors = self._embed(texts)
        near = (vectors[: 2 * count] @ vectors[2 * count :].T).max(axis=1)
        return [float(alone + asked) / 2 for alone, asked in zip(near[:count], near[count:], strict=True)]

    def _measures(self, question: Question, known: Evidence) -> tuple[list[float], str]:
        """Return a measure 0..1 per choice and what it is; an empty list where nothing was measured that is named."""
        asked, choices = question.asked.lower(), question.choices
        if re.search(_FIT, asked) and re.search(_REPLY, asked) and min(len(tokens(choice)) for choice in choices) > 3:
            return self._fits(choices, known)
        named = [list(_NAMES.hits(plain(choice))) for choice in choices]
        measured, why = known.measured, "It is what was seen and heard the most."
        if re.search(_FACE, asked) and re.search(_YOURS, asked) and (known.said or measured):
            emotion = self._considered(known)[0]
            measured = {name: _SHOWS[emotion].get(name, 0.0) for name in _WORN}
            why = f"The look that fits how the person seems to feel is {emotion}."
        found = [[measured[name] for name in names if name in measured] for names in named]
        if not any(found):
            return [], ""
        return [max(values, default=CHANCE) for values in found], why

    def _considered(self, known: Evidence) -> tuple[str, str]:
        """Return the display emotion and the strategy with which the policy would answer the person."""
        window = replace(known.window, cue=CUE_END_OF_TURN if known.said else CUE_AFFECT)
        choice = consider(window, self._reader).choice
        return choice.emotion, choice.strategy

    def _fits(self, choices: Sequence[str], known: Evidence) -> tuple[list[float], str]:
        """Return how far each reply follows the strategies that the words call for, as the curated lines tell them."""
        if not known.said:
            return [], ""
        chosen = self._considered(known)[1]
        called = self._reader.read(known.said[-1], known.said[:-1]).strategies
        shelves: dict[str, list[str]] = {}
        for line in replies.lines():
            if name := replies.strategy_by_line().get(plain(line)):
                shelves.setdefault(name, []).append(line)
        vectors = self._embed(choices)
        near = {name: (vectors @ self._embed(lines).T).max(axis=1) for name, lines in shelves.items()}
        wanted = {name: (called.get(name, 0.0) + (name == chosen)) / 2 for name in near}
        if chosen != "suggestion":  # feelings come before advice
            wanted["suggestion"] = 0.0
        fits = []
        for row in range(len(choices)):
            shares = softmax([float(near[name][row]) / _HEAT_LINES for name in wanted])
            fits.append(sum(share * want for share, want in zip(shares, wanted.values(), strict=True)))
        return fits, f"The words call for a {chosen}, and it comes closest to one."

    def _yes(self, asked: str, known: Evidence) -> tuple[float, str]:
        """Return how far ``asked`` holds, 0..1, and why."""
        text = plain(asked)
        lies = re.search(_LIE, text) is not None
        if lies or re.search(_HONEST, text):
            hides = 0.75 if known.notes else 0.35
            found = "Face or voice contradict" if known.notes else "Neither face nor voice contradicts"
            return (hides if lies else 1.0 - hides), f"{found} the words."
        named = {name: known.measured[name] for name in _NAMES.hits(text) if name in known.measured}
        if named:
            name, value = max(named.items(), key=lambda pair: pair[1])
            likely = value / (value + CHANCE) if name in FACES else value
            return likely, f"{value:.0%} of what was seen and heard speaks for {name.replace('_', ' ')}."
        if not known.sentences:
            return 0.5, f"Nothing was perceived that speaks to it, {GUESS}"
        vectors = self._embed([asked, *known.sentences])
        near = float((vectors[1:] @ vectors[0]).max())
        return 0.5 + near - _RELATED, "That is how near it comes to what was said, seen and heard."


def _names_measured(question: Question, known: Evidence) -> bool:
    """Tell whether a choice names what a sense has measured, and the question is not what one should show or say."""
    asked = question.asked.lower()
    fitting = re.search(_FIT, asked) or re.search(_YOURS, asked)
    named = any(name in known.measured for choice in question.choices for name in _NAMES.hits(plain(choice)))
    return named and not fitting


_EQUAL: Final = 0.005
"""Shares that differ by less are as good as equal."""


def settle(question: Question, scores: Sequence[float], known: Evidence, why: str, *, heat: float = _HEAT) -> Answered:
    """Turn a score per candidate into the answer; a ``multi`` question takes what lies above the mean.

    Args:
        question: what is answered.
        scores: one per candidate of the question.
        known: what it rests on.
        why: one sentence.
        heat: difference of scores that makes a choice e times as likely.
    """
    shares = softmax([score / heat for score in scores])
    # Of options that are as good as equal the first: the last bits of a score differ between processors.
    best = next(place for place, share in enumerate(shares) if share >= max(shares) - _EQUAL)
    taken = [best]
    if question.form == MULTI:
        mean = sum(scores) / len(scores)
        taken = [place for place, score in enumerate(scores) if score > mean] or taken
    sure = sum(shares[place] for place in taken) * (1.0 if known.sentences else 0.25)
    answer = SEPARATOR.join(question.candidates[place] for place in taken)
    return Answered(answer=answer, confidence=sure, reason=why, evidence=known.percepts)


def _count(question: Question, known: Evidence) -> Answered:
    """Count the gestures that the question names, or else the people."""
    named = [name for name in _NAMES.hits(plain(question.asked)) if name in _GESTURES]
    number, why = known.heads, f"At most {known.heads} people were there for a while."
    if named:
        number = sum(known.counts[name] for name in named) if known.measured.keys() & {*named} else None
        why = f"It was seen {number} times."
    if number is None:
        return Answered(answer="0", confidence=0.05, reason=f"Nobody was seen, {GUESS}")
    return Answered(answer=str(min(10, number)), confidence=0.6, reason=why, evidence=known.percepts)


def softmax(scores: Sequence[float]) -> list[float]:
    """Return shares that sum to 1."""
    raised = [math.exp(score - max(scores)) for score in scores]
    return [part / sum(raised) for part in raised]


def _faces(looks: Sequence[Percept]) -> dict[str, float]:
    """Return the mean share per expression, weighted by confidence, with one look's weight of chance; or nothing."""
    total, weight = dict.fromkeys(FACES, CHANCE), 1.0
    for look in looks:
        told = any(name in look.data for name in FACES)
        rest = (1.0 - look.confidence) / (len(FACES) - 1)
        for name in FACES:
            share = look.number(name) if told else look.confidence if name == look.label else rest
            total[name] += look.confidence * share
        weight += look.confidence
    return {name: part / weight for name, part in total.items()} if looks else {}
