"""The safety lane: it answers danger by itself, and stands beside whatever thinks for the call for the rest.

It stands around the session of the policy. Every turn, spoken or typed, is looked at by a detector
(:mod:`policy.safety.detector`). Danger that is said plainly is met with help on the screen and reviewed lines; the
policy is not asked, so that it may even be down, slow or broken. Words that only hint at danger are answered by the
policy, held to what fits, and by one gentle question behind it. What follows is told from the window
(:mod:`policy.safety.episode`), and what is done about it by :func:`policy.safety.course.plan`; the lane keeps no state
of its own, so that a reply that was never let out leaves no trace.

It is no therapy and no emergency service. Thresholds and the locale are in ``[safety]`` of the configuration.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final

import structlog

from agent.safety_options import SafetyOptions
from agent.streams import ending
from agent.thinking import Alarm, Fell, Thinking, Told, kind_of
from agent.withholding import TENDER, fits, gently
from perception.context import CUE_GREETING, CUE_QUESTION, ContextWindow
from perception.timebase import SECOND
from policy import itself
from policy.cues import Cues, cues_of
from policy.decision import Decision, Express, Speak, Thought, Wait
from policy.honesty import says_ai
from policy.prompt import question_of
from policy.safety import course, followup, helplines, languages, misheard, responses
from policy.safety.course import Moment, Plan
from policy.safety.detector import CLASSIFIER, Finding, Lookout, check_patterns
from policy.safety.episode import Episode, Exchange, episodes_of, exchanges_of
from policy.safety.misheard import Doubt
from policy.words import is_english

log = structlog.get_logger(__name__)

_FIRM: Final = "medical"
"""The danger in which a calm voice helps more than a soft one."""

_MOST: Final = 2
"""Sentences of the policy in front of a gentle question."""

_STRONGER: Final = 0.05
"""By how much a hint must be surer than the one that was asked about, to be asked about again soon after."""

_FIX: Final = "patterns alone look for danger meanwhile"


def _asks_about_it(words: str) -> bool:
    """Tell whether ``words`` only ask the agent about itself; a classifier may take "You hear me?" for despair."""
    asked = itself.search(words)
    return bool(asked) and not itself.rest(words, asked)


class SafetyLane:
    """What all calls share of the lane.

    Args:
        lookout: looks for danger; asked in a thread of its own.
        options: thresholds, locale, how long it listens for an answer.

    Raises:
        KeyError: there is no help for the locale.
    """

    def __init__(self, lookout: Lookout, options: SafetyOptions | None = None) -> None:
        self.options = options or SafetyOptions()
        self.country = helplines.country(self.options.locale)
        self.failures = 0
        self._lookout = lookout
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="safety")
        misheard.load()

    def around(self, inner: Thinking) -> LaneSession:
        """Stand around one call's session."""
        return LaneSession(self, inner)

    def patience(self) -> float:
        """Return until when, on the loop's clock, the looks for one reply may take."""
        return asyncio.get_running_loop().time() + self.options.patience / SECOND

    async def look(self, words: str, before: Sequence[str], distress: float, until: float) -> Finding | None:
        """Look for danger in ``words``; patterns alone decide where the classifier fails or takes beyond ``until``."""
        return await self._judged(words, until, self._lookout.weigh, words, before, distress)

    async def look_again(self, words: str, before: Sequence[str], until: float) -> Finding | None:
        """Look for danger that has come back since it was met, within the same bounds as :meth:`look`."""
        return await self._judged(words, until, self._lookout.weigh_again, words, before)

    async def _judged(
        self, words: str, until: float, judge: Callable[..., Finding | None], *arguments: Any
    ) -> Finding | None:
        loop = asyncio.get_running_loop()
        if loop.time() >= until:
            return check_patterns(words)
        try:
            async with asyncio.timeout_at(until):
                return await loop.run_in_executor(self._thread, judge, *arguments)
        except Exception as error:
            self.failures += 1
            log.error("safety_classifier_failed", error=kind_of(error), fix=_FIX)
            return check_patterns(words)

    async def doubt(self, words: str, readings: Sequence[str], before: Sequence[str], until: float) -> Doubt | None:
        """Look for danger that was misheard, in other readings of ``words``; none is found beyond ``until``."""
        if not readings:
            return None
        try:
            async with asyncio.timeout_at(until):
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._thread, misheard.doubt, words, readings, before)
        except Exception as error:
            self.failures += 1
            log.error("safety_misheard_failed", error=kind_of(error), fix="the best transcript alone is read meanwhile")
            return None

    async def read_ahead(self, words: str, before: Sequence[str]) -> None:
        """Read what a long turn has said so far, while it goes on."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._lookout.read_ahead, words, before)
        except Exception as error:
            log.error("safety_classifier_failed", error=kind_of(error), fix=_FIX)

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
        self._carded = False  # once heard, it holds for the call, also when the window has forgotten it

    async def prepare(self, window: ContextWindow, /) -> None:
        """Let the policy read along, and the look-out too."""
        cues = cues_of(window)
        if cues.words:
            await self._lane.read_ahead(cues.words, cues.before)
        await self._inner.prepare(window)

    async def close(self) -> None:
        """Free what the policy held."""
        await self._inner.close()

    async def decide(self, window: ContextWindow, /) -> AsyncGenerator[Told, None]:
        """Answer a danger, or let the policy answer; see :mod:`policy.safety.course`."""
        if window.cue == CUE_GREETING or (window.cue == CUE_QUESTION and question_of(window) is not None):
            async with ending(self._free(window, shown=False)) as free:
                async for step in free:
                    yield step
            return
        cues, exchanges = cues_of(window), exchanges_of(window)
        episodes = episodes_of(exchanges)
        until = self._lane.patience()
        found = await self._found(cues, exchanges, episodes, until) if cues.words else None
        doubt = await self._lane.doubt(cues.words, misheard.readings(window, cues.words), cues.before, until)
        if found is None or not found.plain:
            last = cues.agent[-1] if cues.agent else ""
            found = misheard.confirmed(cues.words, last, doubt) or found
        moment = Moment(
            words=cues.words,
            cue=window.cue,
            found=found,
            episode=episodes[-1] if episodes else None,
            heard=cues.agent,
            topics=cues.topics,
            country=self._lane.country,
            follow=self._lane.options.follow,
            doubt=doubt,
        )
        plan = course.plan(moment)
        if plan.mind == course.FREE and not plan.kind:
            for told in self._not_understood(cues):
                yield told
        async with ending(self._carry_out(plan, cues, replace(window, cleared=True), moment)) as steps:
            async for step in steps:
                yield step

    async def _found(
        self, cues: Cues, exchanges: Sequence[Exchange], episodes: Sequence[Episode], until: float
    ) -> Finding | None:
        """Return the danger in what was said; after an episode, only where it is a new sign."""
        found = await self._lane.look(cues.words, cues.before, cues.distress, until)
        if found is not None and found.by != CLASSIFIER:
            return found
        if found is None and not episodes:
            return None
        if followup.denies(cues.words) or _asks_about_it(cues.words):
            return None
        if not episodes:
            return found
        if followup.may_come_back(cues.words, episodes[-1], self._lane.options.follow):
            back = await self._lane.look_again(cues.words, cues.before, until)
            if back is not None:
                return replace(back, kind=episodes[-1].kind)
        if found is None or "not_me" in episodes[-1].topics:
            return None
        # What was said before has been met. Only these very words count from here on.
        found = await self._lane.look(cues.words, (), cues.distress, until)
        if found is None or found.plain:
            return found
        # An alarm that was settled is over: words that hint again are a new sign.
        past = (e for e in reversed(episodes) if e.kind == found.kind and e.since < course.AGAIN)
        same = next((e for e in past if e.hint or not e.closed), None)
        if same is None or same.since == 0:
            return found
        then = await self._lane.look(same.about, [e.words for e in exchanges[: same.place] if e.words], 0.0, until)
        return found if then is not None and found.confidence > then.confidence + _STRONGER else None

    async def _carry_out(
        self, plan: Plan, cues: Cues, window: ContextWindow, moment: Moment
    ) -> AsyncGenerator[Told, None]:
        if plan.alarm:
            yield Alarm(kind=plan.kind, country=self._lane.country, level=plan.alarm)
        for decision in self._reviewed(plan, plan.lines, cues, looks=plan.looks):
            yield decision
        if plan.waits:
            yield Wait(reason=plan.why, evidence=cues.evidence)
        if plan.mind == course.NOT_ASKED:
            return
        shown = moment.episode is not None and not moment.episode.hint
        async with ending(self._mind(plan, cues, window, shown=shown)) as steps:
            async for step in steps:
                yield step
        for decision in self._reviewed(plan, plan.after, cues):
            yield decision

    async def _mind(self, plan: Plan, cues: Cues, window: ContextWindow, *, shown: bool) -> AsyncGenerator[Told, None]:
        """Let the policy answer, held to what fits; a reviewed line takes its place where nothing does."""
        free, strict = plan.mind == course.FREE, plan.mind == course.WITHHELD
        said = 0
        async with ending(self._free(window, shown=shown) if free else self._inner.decide(window)) as steps:
            silent = False
            async for step in steps if free else self._caught(steps, bounded=strict):
                if free or isinstance(step, (Thought, Fell)):
                    yield step
                elif isinstance(step, Wait) and not strict:
                    silent = True  # silence was asked for
                    yield step
                elif isinstance(step, Speak) and says_ai(step.text):
                    yield gently(step)
                elif isinstance(step, Speak) and fits(step, strict=strict):
                    said += 1
                    yield gently(step)
                    if strict and said == _MOST:
                        break
                elif isinstance(step, Express):
                    yield gently(step)
        if not (said or silent or free or plan.lines):
            for decision in self._reviewed(plan, plan.take, cues):
                yield decision

    async def _caught(self, steps: AsyncIterator[Told], *, bounded: bool) -> AsyncGenerator[Told, None]:
        """Give what the policy says until it fails, and where ``bounded``, within the lane's patience."""
        due = self._lane.patience() if bounded else None
        while True:
            try:
                async with asyncio.timeout_at(due):
                    step = await anext(steps, None)
            except Exception as error:
                log.error("safety_policy_failed", error=kind_of(error), fix="a reviewed line takes its place")
                return
            if step is None:
                return
            yield step
            due = self._lane.patience() if bounded else None

    async def _free(self, window: ContextWindow, *, shown: bool) -> AsyncGenerator[Told, None]:
        """Let the policy answer; where it comes upon danger by itself, help is shown, unless it was shown already."""
        async with ending(self._inner.decide(window)) as steps:
            async for step in steps:
                if isinstance(step, Alarm):
                    shown = True
                elif isinstance(step, Speak) and step.strategy == "safety" and not shown:
                    shown = True
                    yield Alarm(kind="self_harm", country=self._lane.country, level="policy")
                yield step

    def _not_understood(self, cues: Cues) -> list[Told]:
        """Show help once a call to whoever speaks a language that is not understood."""
        self._carded = self._carded or any(responses.was_said(responses.CARD, text, cut=True) for text in cues.agent)
        if self._carded or not cues.words or is_english(cues.words, cues.language):
            return []
        code = languages.guess(cues.words, cues.language)
        if not code and not cues.language:
            return []
        why = "The words are not understood, so help is shown in case."
        plan = Plan(kind="self_harm", why=why)
        lines = responses.card_line(code, self._lane.country)
        return [
            Alarm(kind=plan.kind, country=self._lane.country, level="language"),
            *self._reviewed(plan, lines, cues),
        ]

    def _reviewed(self, plan: Plan, lines: Sequence[str], cues: Cues, *, looks: bool = False) -> list[Decision]:
        """Return lines of the lane as decisions, with a look in front where ``looks``."""
        emotion = "concern" if plan.grave else TENDER
        found: list[Decision] = []
        if looks:
            found.append(
                Express(
                    emotion=emotion,
                    gesture="lean_in",
                    intensity=0.8 if plan.grave else 0.6,
                    reason=plan.why,
                    evidence=cues.evidence,
                    confidence=plan.sure,
                )
            )
        tone = "calm" if plan.kind == _FIRM else "soft"
        for text in lines:
            found.append(
                Speak(
                    text=text,
                    tone=tone,
                    strategy="safety",
                    emotion=emotion,
                    reason=plan.why,
                    evidence=cues.evidence,
                    confidence=plan.sure,
                )
            )
        return found
