"""What stands around every mind that writes its own words: curated lines in front of it, rules behind it.

At the greeting, which says that this is an AI, and where words speak of danger that no safety lane has looked at, the
reply is a curated one and no model is asked. What a model wrote is spoken only if it breaks none of the rules in
:mod:`policy.gate`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from perception.context import CUE_END_OF_TURN, CUE_GREETING, CUE_QUESTION, ContextWindow
from policy.answer import Considered, consider, perform
from policy.cues import cues_of
from policy.decision import Decision, Speak, Step, Wait
from policy.embedding import Embed
from policy.gate import broken_rule
from policy.reading import KeywordReader, PrototypeReader, act_of
from policy.safety.detector import check_patterns


class Withheld(RuntimeError):
    """What the model wrote may not be spoken; the message says why, without the words."""


class Guard:
    """Holds curated lines and rules ready; one serves all calls, one thread at a time.

    Args:
        embed: the sentence encoder, for finer reading; patterns alone without it.
        judges: whether what is written is judged at all.
    """

    def __init__(self, embed: Embed | None = None, *, judges: bool = True) -> None:
        self.embed = embed
        self._reader = KeywordReader() if embed is None else PrototypeReader(embed)
        self._judges = judges

    def curated(self, window: ContextWindow) -> list[Decision] | None:
        """Return what is decided without a model; ``None`` where the model is to be asked."""
        cues = cues_of(window)
        silent = window.cue == CUE_END_OF_TURN and not cues.words
        if window.cue != CUE_GREETING and not silent and (window.cleared or check_patterns(cues.words) is None):
            return None
        return list(perform(self._considered(window)))

    def instead(self, window: ContextWindow, step: Step) -> list[Decision] | None:
        """Return what is decided in place of a silence that nobody asked for; ``None`` where ``step`` may stand."""
        if not isinstance(step, Wait) or window.cue not in {CUE_END_OF_TURN, CUE_QUESTION}:
            return None
        words = cues_of(window).words
        return list(perform(self._considered(window))) if words and act_of(words) != "quiet" else None

    def watch(self, window: ContextWindow) -> Watch:
        """Return who judges the reply to ``window``; what it answers is read when the first words are judged."""
        if not self._judges:
            return Watch(None)
        return Watch(cache(lambda: self._considered(window)))

    def _considered(self, window: ContextWindow) -> Considered:
        return consider(window, self._reader)


class Watch:
    """Judges one reply, step by step.

    Args:
        considered: gives what it answers, and the mood of the person; ``None`` where nothing is to be judged.
    """

    def __init__(self, considered: Callable[[], Considered] | None) -> None:
        self._considered = considered
        self._said: list[str] = []

    def allows(self, step: Step) -> bool:
        """Tell whether ``step`` may go out; one that may not ends the reply.

        Raises:
            Withheld: it may not, and nothing has been said before it.
        """
        if not isinstance(step, Speak) or self._considered is None:
            return True
        known = self._considered()
        broken = broken_rule(
            step.text,
            words=known.cues.words,
            before=known.cues.before,
            said=[*known.cues.agent, *self._said],
            strategy=step.strategy,
            mood=known.choice.mood,
            advice=step.strategy == "suggestion",
        )
        if broken and not self._said:
            raise Withheld(f"its words were withheld: one of them {broken}")
        self._said.append(step.text)
        return not broken
