"""What stands around every mind that writes its own words: curated lines in front of it, rules behind it.

Where words speak of danger, and at the greeting, which says that this is an AI, the reply is a curated one and no model
is asked. What a model wrote is spoken only if it breaks none of the rules in :mod:`policy.gate`.
"""

from __future__ import annotations

from collections.abc import Sequence

from perception.context import CUE_END_OF_TURN, CUE_GREETING, ContextWindow
from policy.answer import Considered, consider, perform
from policy.cues import cues_of
from policy.decision import Decision, Speak
from policy.embedding import Embed
from policy.gate import broken_rule
from policy.reading import KeywordReader, PrototypeReader
from policy.safety import Lookout


class Withheld(RuntimeError):
    """What the model wrote may not be spoken; the message says why, without the words."""


class Guard:
    """Holds curated lines and rules ready; one serves all calls.

    Args:
        embed: the sentence encoder, for veiled danger and finer reading; patterns alone without it.
        judges: whether what is written is judged at all.
    """

    def __init__(self, embed: Embed | None = None, *, judges: bool = True) -> None:
        self._reader = KeywordReader() if embed is None else PrototypeReader(embed)
        self._lookout = Lookout(embed)
        self._judges = judges

    def curated(self, window: ContextWindow) -> list[Decision] | None:
        """Return what is decided without a model; ``None`` where the model is to be asked."""
        cues = cues_of(window)
        silent = window.cue == CUE_END_OF_TURN and not cues.words
        if window.cue != CUE_GREETING and not silent and self._lookout.check(cues.words) is None:
            return None
        return list(perform(self._considered(window)))

    def check(self, clause: Speak, window: ContextWindow, said: Sequence[str]) -> None:
        """Judge one clause.

        Args:
            clause: what would be spoken.
            window: what it answers.
            said: earlier clauses of the same reply.

        Raises:
            Withheld: it breaks a rule.
        """
        if not self._judges:
            return
        cues = cues_of(window)
        choice = self._considered(window).choice
        broken = broken_rule(
            clause.text,
            words=cues.words,
            before=cues.before,
            said=[*cues.agent, *said],
            strategy=clause.strategy,
            mood=choice.mood,
            advice=clause.strategy == "suggestion",
        )
        if broken:
            raise Withheld(f"its words were withheld: one of them {broken}")

    def _considered(self, window: ContextWindow) -> Considered:
        return consider(window, self._reader, self._lookout)
