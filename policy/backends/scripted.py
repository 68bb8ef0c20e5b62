"""A policy without a model: patterns and cues choose, curated lines speak. Deterministic, and ready at once.

It ships as a real, if plain, listener for machines that cannot carry more, and it is the test double of the
runtime. A script, a list or a TOML file of rules, overrides what it says::

    [[rule]]
    turn = 1                 # number of the person's turn, from 1; left out: any
    cue = "end_of_turn"      # why the policy is asked; left out: any
    words = "exam"           # regular expression on the words; left out: any
    say = ["Hello.", "Go on."]
    emotion = "warm"
    gesture = "nod"
    tone = "soft"
    strategy = "question"

    [[rule]]
    cue = "silence"
    wait = true

The first rule that matches answers; where none does, the built-in rules do. ``backchannel = "mm-hm"`` gives a
backchannel instead of words.

A benchmark's question, one that names the form of its answer, that no rule answers gets the first option (of a
``multi`` question, all options) with a word that was perceived or said, else the first; the last head count, else 0;
yes if something of the question was perceived or said, else no.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from perception.context import CUE_QUESTION, ContextWindow
from policy.answer import consider, perform
from policy.backends import Resolve
from policy.choosing import SEPARATOR, Answered, Evidence, evidence_of
from policy.cues import cues_of
from policy.decision import EMOTIONS, GESTURES, GUESS, STRATEGIES, TONES, Backchannel, Decision, Express, Speak, Wait
from policy.prompt import Question, question_of
from policy.reading import KeywordReader
from policy.tasks import MULTI, NUMBER, YES_NO
from policy.words import is_common, tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of a script; see the module's example."""

    turn: int | None = None
    cue: str | None = None
    words: str | None = None
    say: tuple[str, ...] = ()
    wait: bool = False
    backchannel: str = ""
    emotion: str = "warm"
    gesture: str = "none"
    tone: str = "neutral"
    strategy: str = "other"

    def matches(self, window: ContextWindow, words: str, turn: int) -> bool:
        """Tell whether the rule answers this window."""
        return (
            (self.turn is None or self.turn == turn)
            and (self.cue is None or self.cue == window.cue)
            and (self.words is None or re.search(self.words, words, re.IGNORECASE) is not None)
        )

    def decisions(self, window: ContextWindow) -> Iterator[Decision]:
        """Yield what the rule says to do."""
        evidence = cues_of(window).evidence
        why = "The script says so."
        if self.wait:
            yield Wait(reason=why, evidence=evidence)
            return
        if self.backchannel:
            yield Backchannel(token=self.backchannel, reason=why, evidence=evidence)
            return
        yield Express(emotion=self.emotion, gesture=self.gesture, reason=why, evidence=evidence)
        for text in self.say:
            yield Speak(
                text=text,
                tone=self.tone,
                strategy=self.strategy,
                emotion=self.emotion,
                reason=why,
                evidence=evidence,
            )


class ScriptError(ValueError):
    """A script that cannot be followed; names the rule and the key."""


class _Session:
    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._reader = KeywordReader()

    async def prepare(self, window: ContextWindow, /) -> None:
        """Do nothing: there is nothing to warm up."""

    async def decide(self, window: ContextWindow, /) -> AsyncIterator[Decision]:
        """Follow the first matching rule, else the built-in ones."""
        cues = cues_of(window)
        question = question_of(window) if window.cue == CUE_QUESTION else None
        words = cues.words if question is None else question.text
        rule = next((r for r in self._rules if r.matches(window, words, cues.turns)), None)
        decisions: Iterable[Decision]
        if rule is not None:
            decisions = rule.decisions(window)
        elif question is not None:
            decisions = (_answer(question, evidence_of(question, window)).speak(question),)
        else:
            decisions = perform(consider(window, self._reader))
        for decision in decisions:
            yield decision

    async def close(self) -> None:
        """Free nothing."""


def _answer(question: Question, known: Evidence) -> Answered:
    """Answer by words alone; see the module."""
    if question.form == NUMBER:
        counts = [round(p.number("count")) for p in known.window.percepts if "count" in p.data]
        found, why = [str(min(10, counts[-1]))] if counts else [], "That is the last head count."
    else:
        labels = [p.label.replace("_", " ") for p in known.window.percepts]
        met = {word for text in (*known.said, *labels) for word in tokens(text) if not is_common(word)}
        options = question.choices or (question.asked,)
        pairs = zip(question.candidates, [question.asked] if question.form == YES_NO else options, strict=False)
        found, why = [name for name, text in pairs if met & {*tokens(text)}], "Its words were perceived or said."
    if not found:
        guess = {NUMBER: "0", YES_NO: "No"}.get(question.form, question.candidates[0])
        return Answered(answer=guess, confidence=0.05, reason=f"Nothing perceived or said speaks to it, {GUESS}")
    answer = SEPARATOR.join(found if question.form == MULTI else found[:1])
    return Answered(answer=answer, confidence=0.5, reason=why, evidence=known.percepts)


class Scripted:
    """The policy; see the module."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self._rules = tuple(rules)

    @property
    def name(self) -> str:
        """``scripted``."""
        return "scripted"

    def session(self) -> _Session:
        """Begin a call."""
        return _Session(self._rules)

    def close(self) -> None:
        """Free nothing."""


def load(*, resolve: Resolve | None = None, script: str | Path | Sequence[Mapping[str, Any]] | None = None) -> Scripted:
    """Return the policy.

    Args:
        resolve: unused; it needs no model.
        script: a TOML file with ``[[rule]]`` tables, or the rules themselves.

    Raises:
        ScriptError: an unknown key or value, or an expression that does not compile.
        OSError: the file cannot be read.
    """
    if script is None:
        return Scripted()
    if isinstance(script, (str, Path)):
        rules: Sequence[Mapping[str, Any]] = tomllib.loads(Path(script).read_text(encoding="utf-8")).get("rule", [])
    else:
        rules = script
    return Scripted([_rule(number, entry) for number, entry in enumerate(rules, 1)])


_ALLOWED = {"emotion": EMOTIONS, "gesture": GESTURES, "tone": TONES, "strategy": STRATEGIES}


def _rule(number: int, entry: Mapping[str, Any]) -> Rule:
    names = {field.name for field in fields(Rule)}
    for key, value in entry.items():
        if key not in names:
            raise ScriptError(f"rule {number}: unknown key {key!r}; known are {', '.join(sorted(names))}")
        if key in _ALLOWED and value not in _ALLOWED[key]:
            raise ScriptError(f"rule {number}: {key} = {value!r} is none of {', '.join(_ALLOWED[key])}")
    values = dict(entry)
    say = values.pop("say", ())
    rule = Rule(say=(say,) if isinstance(say, str) else tuple(say), **values)
    try:
        re.compile(rule.words or "")
    except re.error as error:
        raise ScriptError(f"rule {number}: words = {rule.words!r} is no regular expression: {error}") from error
    return rule
