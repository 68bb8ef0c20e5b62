"""The safety lane: it answers by itself where a person speaks of danger, whatever the policy would have said.

It stands around the session of whatever thinks for the call. Every turn, spoken or typed, is read by a classifier of
its own (:mod:`policy.safety.detector`). On a hit the policy is not asked at all, so that it may even be down, slow or
broken: help is shown, and what is said are reviewed lines (:mod:`policy.safety.responses`). For some turns after that
the lane stays on the line, until the person says that there is no danger or goes. It keeps no state: all of it is told
from the window, so that a reply that was never let out leaves no trace.

It is no therapy and no emergency service. Thresholds and the locale are in ``[safety]`` of the configuration.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from typing import Final

import structlog

from agent.safety_options import SafetyOptions
from agent.streams import ending
from agent.thinking import Alarm, Thinking, Told, kind_of
from perception.context import CUE_GREETING, CUE_QUESTION, CUE_SILENCE, ContextWindow
from perception.timebase import SECOND
from policy.cues import Cues, cues_of
from policy.decision import Express, Speak, Wait
from policy.honesty import asks_ai
from policy.prompt import question_of
from policy.reading import act_of
from policy.safety import helplines, responses
from policy.safety.detector import FOLLOW, KINDS, Finding, Lookout, check_patterns
from policy.safety.helplines import Country

log = structlog.get_logger(__name__)

_FIRM: Final = "medical"
"""The danger in which a calm voice helps more than a soft one."""


class SafetyLane:
    """What all calls share of the lane.

    Args:
        lookout: looks for danger; asked in a thread of its own.
        options: thresholds, locale, how long it stays.

    Raises:
        KeyError: there is no help for the locale.
    """

    def __init__(self, lookout: Lookout, options: SafetyOptions | None = None) -> None:
        self.options = options or SafetyOptions()
        self.country = helplines.country(self.options.locale)
        self.failures = 0
        self._lookout = lookout
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="safety")

    def around(self, inner: Thinking) -> LaneSession:
        """Stand around one call's session."""
        return LaneSession(self, inner)

    def patience(self) -> float:
        """Return until when, on the loop's clock, the looks for one reply may take."""
        return asyncio.get_running_loop().time() + self.options.patience / SECOND

    async def look(self, words: str, before: tuple[str, ...], distress: float, until: float) -> Finding | None:
        """Look for danger in ``words``; patterns alone decide where the classifier fails or takes beyond ``until``."""
        loop = asyncio.get_running_loop()
        if loop.time() >= until:
            return check_patterns(words)
        try:
            async with asyncio.timeout_at(until):
                return await loop.run_in_executor(self._thread, self._lookout.weigh, words, before, distress)
        except Exception as error:
            self.failures += 1
            log.error("safety_classifier_failed", error=kind_of(error), fix="patterns alone look for danger meanwhile")
            return check_patterns(words)

    async def read_ahead(self, words: str) -> None:
        """Read what a long turn has said so far, while it goes on."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._lookout.read_ahead, words)
        except Exception as error:
            log.error("safety_classifier_failed", error=kind_of(error), fix="patterns alone look for danger meanwhile")

    def close(self) -> None:
        """Free the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)


class LaneSession:
    """One call's share of the lane.

    Args:
        lane: what all calls share.
        inner: the session of what thinks for the call.
    """

    def __init__(self, lane: SafetyLane, inner: Thinking) -> None:
        self._lane = lane
        self._inner = inner

    async def prepare(self, window: ContextWindow, /) -> None:
        """Let the policy read along, and the look-out too."""
        words = cues_of(window).words
        if words:
            await self._lane.read_ahead(words)
        await self._inner.prepare(window)

    async def close(self) -> None:
        """Free what the policy held."""
        await self._inner.close()

    async def decide(self, window: ContextWindow, /) -> AsyncGenerator[Told, None]:
        """Answer a danger, or else let the policy decide."""
        answer: list[Told] | None = None
        shown = False
        if window.cue != CUE_GREETING and not (window.cue == CUE_QUESTION and question_of(window) is not None):
            cues, until = cues_of(window), self._lane.patience()
            found = await self._lane.look(cues.words, cues.before, cues.distress, until) if cues.words else None
            lately = await self._lately(cues, until) if found is None else None
            shown = lately is not None
            window = replace(window, cleared=True)
            if found is not None:
                answer = self._alarm(found, cues)
            elif lately is not None and not self._settled(cues):
                answer = self._follow(lately, cues, window.cue)
        if answer is not None:
            for told in answer:
                yield told
            return
        # Help is shown also where the policy came upon danger by itself, unless it was shown already.
        async with ending(self._inner.decide(window)) as steps:
            async for step in steps:
                if isinstance(step, Alarm):
                    shown = True
                elif isinstance(step, Speak) and step.strategy == "safety" and not shown:
                    shown = True
                    yield Alarm(kind="self_harm", plain=False, country=self._lane.country)
                yield step

    async def _lately(self, cues: Cues, until: float) -> Finding | None:
        """Return the danger that came up in one of the last turns."""
        for words in reversed(cues.before[-self._lane.options.follow :]):
            found = await self._lane.look(words, (), 0.0, until)
            if found is not None:
                return found
        return self._answered(cues)

    def _answered(self, cues: Cues) -> Finding | None:
        """Return the danger that was answered in one of the last turns.

        It stays one, though its words alone, without the look and the voice of that moment, may seem to be none.
        """
        for kind, manner in product(KINDS, ("plain", "veiled")):
            if self._said(f"{kind}/{manner}", cues):
                return Finding(kind, 1.0, "Danger was spoken of a moment ago.", manner == "plain")
        return None

    def _settled(self, cues: Cues) -> bool:
        """Tell whether it was said since that there is no danger."""
        return self._said(f"{responses.SETTLED}/lines", cues)

    def _said(self, topic: str, cues: Cues) -> bool:
        """Tell whether a line of ``topic`` was said in the last turns."""
        return responses.was_said(topic, self._lane.country, cues.agent[-self._lane.options.follow :])

    def _alarm(self, found: Finding, cues: Cues) -> list[Told]:
        manner = "plain" if found.plain else "veiled"
        alarm = Alarm(kind=found.kind, plain=found.plain, country=self._lane.country)
        said = self._say(f"{found.kind}/{manner}", found, cues, found.reason)
        return [alarm, *said]

    def _follow(self, lately: Finding, cues: Cues, cue: str) -> list[Told] | None:
        """Return what is said while a danger is in the room; ``None`` where the policy may speak."""
        why = "Something dangerous was said a moment ago, so it stays with that."
        if not cues.words and cue != CUE_SILENCE:
            return [_look(lately, cues, why)]
        if not cues.words:
            topic = f"{responses.STILL}/lines"
            if responses.was_said(topic, self._lane.country, cues.agent[-1:]):
                return [Wait(reason=why, evidence=cues.evidence, confidence=lately.confidence)]
            return self._say(topic, lately, cues, why)
        if responses.settles(cues.words):
            return self._say(f"{responses.SETTLED}/lines", lately, cues, "They say that there is no danger.")
        if act_of(cues.words) == "goodbye":
            alarm = Alarm(kind=lately.kind, plain=lately.plain, country=self._lane.country)
            return [
                alarm,
                *self._say(f"{responses.BYE}/lines", lately, cues, "They go, and the danger may not be over."),
            ]
        if asks_ai(cues.words):
            return None  # who asks whom they are talking to gets a straight answer
        return self._say(f"{FOLLOW}/{lately.kind}", lately, cues, why)

    def _say(self, topic: str, found: Finding, cues: Cues, why: str) -> list[Told]:
        country: Country = self._lane.country
        tone = "calm" if found.kind == _FIRM else "soft"
        sentences = responses.lines(topic, country, found.kind, cues.agent)
        return [
            _look(found, cues, why),
            *(
                Speak(
                    text=text,
                    tone=tone,
                    strategy="safety",
                    emotion="concern",
                    reason=why,
                    evidence=cues.evidence,
                    confidence=found.confidence,
                )
                for text in sentences
            ),
        ]


def _look(found: Finding, cues: Cues, why: str) -> Express:
    return Express(
        emotion="concern",
        gesture="lean_in",
        intensity=0.8,
        reason=why,
        evidence=cues.evidence,
        confidence=found.confidence,
    )
