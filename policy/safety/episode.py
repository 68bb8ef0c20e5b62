"""Where a talk stands after an alarm or a gentle question, told from the window alone.

Nothing is kept between replies: an episode begins with the agent's turn in which such a line was *heard*, and what was
answered since is told from the lines that took it up. A reply that was dropped, or never let out, leaves no trace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from perception.context import ContextWindow, Turn
from perception.media import Text
from perception.percept import Percept
from policy.safety import responses

CLOSING: Final = frozenset(
    {"denied", "unreal", "not_me", "angry", "change", "over", "safe", "believed", "seen", "unseen", "arrived", "bye"}
)
"""Topics that end an episode."""

_GOES_ON: Final = {"abuse": frozenset({"safe", "over"})}
"""Topics that do not end one of a kind: whoever is safe for the moment may still ask what to do."""

_NAMED: Final = frozenset({"here", "kept", "near", "reachable", "have", "coming", "told", "nobody", "threat"})
_ANSWERS: Final[Mapping[str, AbstractSet[str]]] = {
    "someone": _NAMED,
    "who": _NAMED,
    "person": _NAMED,
    "call": {"called", "phoning", "sent", "arrived", "will", "wont_call"},
    "danger": {"denied", "over", "safe", "worse", "took"},
    "safe": {"safe", "threat", "worse"},
}
"""What was answered where one of these lines was said."""

_OPENING: Final = (
    (responses.PLAIN, False),
    (responses.PLAIN_OTHER, False),
    (responses.TOOK, False),
    (responses.WORSE, False),
    (responses.GENTLE, True),
)
"""Topics that begin an episode, and whether as a hint."""

_NO_ANSWER: Final = frozenset(
    {
        responses.PLAIN,
        responses.PLAIN_OTHER,
        responses.GENTLE,
        responses.TAKES,
        responses.STILL,
        responses.CHECK,
        responses.URGE,
    }
)


@dataclass(slots=True)
class Exchange:
    """What the person said, and what the agent said to it."""

    words: str = ""
    said: list[Turn] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """What goes on since an alarm or a gentle question.

    Attributes:
        kind: of the danger.
        hint: whether it began with a gentle question, and not with an alarm.
        place: index of the exchange in which it began.
        about: what the person had said then.
        since: the person's turns from then on, without the present one.
        quiet: the same since the last line of the lane.
        asked: what that line asks for, if it was the agent's last turn; see :func:`policy.safety.responses.asked`.
        topics: of all lines that were said since.
        known: what was asked and has been answered.
        closed: whether it was settled.
    """

    kind: str
    hint: bool
    place: int
    about: str
    since: int
    quiet: int
    asked: str
    topics: frozenset[str]
    known: frozenset[str]
    closed: bool

    @property
    def answered(self) -> bool:
        """Whether the person has answered in any way that was taken up."""
        return bool(self.topics - _NO_ANSWER)

    def waits(self, follow: int) -> bool:
        """Whether an answer is still awaited; ``follow`` is for how many turns after the last line of the lane."""
        return not self.closed and (self.since == 0 if self.hint else self.quiet < follow)


def exchanges_of(window: ContextWindow) -> list[Exchange]:
    """Return the talk as exchanges, oldest first; the last has no ``said`` where the person spoke last."""
    found = [Exchange()]
    for entry in window.entries:
        if isinstance(entry, Percept) or (isinstance(entry, Text) and entry.form) or not entry.text.strip():
            continue
        if isinstance(entry, Turn) and entry.speaker == "agent":
            found[-1].said.append(entry)
            continue
        if found[-1].said:
            found.append(Exchange())
        found[-1].words = f"{found[-1].words} {entry.text.strip()}".strip()
    if window.hearing.strip():
        if found[-1].said:
            found.append(Exchange())
        found[-1].words = f"{found[-1].words} {window.hearing.strip()}".strip()
    return found


def episodes_of(exchanges: Sequence[Exchange]) -> list[Episode]:
    """Return all episodes of the talk, oldest first; the last one is the one that goes on, or went on last."""
    begun: list[tuple[int, str, bool]] = []
    topics: list[set[str]] = []
    last: list[tuple[int, Turn]] = []
    for place, exchange in enumerate(exchanges):
        for turn in exchange.said:
            found = responses.topics_of(turn.text, cut=turn.cut)
            opening = _opens(found)
            if opening is not None:
                before = topics[-1] if begun and begun[-1][1] == opening[0] else set()
                kept = {topic for topic in before if topic not in CLOSING and topic not in _NO_ANSWER}
                begun.append((place, *opening))
                topics.append(kept if not opening[1] else set())
                last.append((place, turn))
            if begun and found:
                topics[-1] |= {topic.partition("/")[0] for topic in found}
                last[-1] = (place, turn)
    return [_episode(exchanges, at, said, *spoken) for at, said, spoken in zip(begun, topics, last, strict=True)]


def _opens(found: frozenset[str]) -> tuple[str, bool] | None:
    for topic, hint in _OPENING:
        kind = next((name.partition("/")[2] for name in sorted(found) if name.startswith(f"{topic}/")), "")
        if kind:
            return kind, hint
    return None


def _episode(
    exchanges: Sequence[Exchange], begun: tuple[int, str, bool], topics: set[str], last: int, turn: Turn
) -> Episode:
    place, kind, hint = begun
    present = len(exchanges) - (not exchanges[-1].said)
    latest = next((turn for exchange in reversed(exchanges) for turn in reversed(exchange.said)), None)
    return Episode(
        kind=kind,
        hint=hint,
        place=place,
        about=exchanges[place].words,
        since=present - 1 - place,
        quiet=present - 1 - last,
        asked=responses.asked(turn.text) if latest is turn else "",
        topics=frozenset(topics),
        known=frozenset(what for what, by in _ANSWERS.items() if by & topics),
        closed=bool((CLOSING - _GOES_ON.get(kind, frozenset())) & topics),
    )
