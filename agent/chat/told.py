"""What became of each turn: who said what, what was decided and why, and where the words came from.

All of it is told by what a call does in the sight of everybody: the actions that it sends and the events of its
journal. Only which words are the mind's own is asked of the mind, which :class:`Traced` stands around.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agent.action import Action, Caption, Display, PlayAudio, Resource
from agent.journal import Decided, Event, Note
from agent.reply_options import ReplyOptions
from agent.streams import ending
from agent.thinking import Thinker, Thinking, Told
from perception.context import ContextWindow
from perception.percept import Percept
from perception.timebase import Nanos, as_seconds
from policy.decision import Backchannel, Decision, Express, Speak, Wait, action_name
from policy.honesty import says_ai

POLICY: Final = "policy"
LANE: Final = "lane"
DISCLOSURE: Final = "disclosure"
ITSELF: Final = "itself"
FALLBACK: Final = "fallback"
"""Said because the mind failed or was late."""
FILLER: Final = "filler"
"""Said because the mind was awaited."""
SOURCES: Final = (POLICY, LANE, DISCLOSURE, ITSELF, FALLBACK, FILLER)

_ABOUT_ITSELF: Final = "The person asks about"
"""How the reason of an answer about the agent itself begins."""
_ORDER: Final = (Speak, Backchannel, Wait, Express)


class Traced:
    """A mind whose own words can be told from those that stand around them. For one call.

    Args:
        mind: decides.
    """

    def __init__(self, mind: Thinker) -> None:
        self._mind = mind
        self._own: set[str] = set()

    @property
    def name(self) -> str:
        """That of the mind."""
        return self._mind.name

    def session(self) -> Thinking:
        """Begin the call."""
        return _TracedSession(self._mind.session(), self._own)

    def close(self) -> None:
        """Leave the mind to whoever made it."""

    def decided(self, decision: Decision) -> bool:
        """Tell whether the mind decided this, perhaps with another look or a longer reason than is told now."""
        key = _key(decision)
        if key in self._own:
            return True
        if isinstance(decision, (Speak, Backchannel)):
            # The lane may let only some sentences of a clause pass.
            return len(key.split()) > 2 and any(key in own for own in self._own)
        return any(own and key.startswith(own) for own in self._own)


class _TracedSession:
    def __init__(self, inner: Thinking, own: set[str]) -> None:
        self._inner = inner
        self._own = own

    async def prepare(self, window: ContextWindow, /) -> None:
        await self._inner.prepare(window)

    async def decide(self, window: ContextWindow, /) -> AsyncGenerator[Told, None]:
        async with ending(self._inner.decide(window)) as steps:
            async for step in steps:
                if isinstance(step, (Speak, Backchannel, Express, Wait)):
                    self._own.add(_key(step))
                yield step

    async def close(self) -> None:
        await self._inner.close()


def _key(decision: Decision) -> str:
    match decision:
        case Speak():
            return decision.text
        case Backchannel():
            return decision.token
        case _:
            return decision.reason


@dataclass(frozen=True, slots=True)
class Turned:
    """One turn: what the person said, and what the agent did until the person said the next thing.

    Attributes:
        id: of the conversation.
        turn: 0 for what the agent opens with, then 1 and up.
        said: by the person; ``""`` where they were silent.
        answered: by the agent; ``""`` where it was silent.
        action: ``speak``, ``backchannel``, ``express`` or ``wait``.
        strategy: of the words; ``""`` where there were none.
        emotion: what the face showed with it; ``""`` where it showed nothing.
        reason: of the decision that counts: the first words that do more than disclose, else the first decision.
        mind: name of the policy that decided; ``""`` where none did.
        source: where the words, or the silence, came from: of :data:`SOURCES`, in order, joined by ``+``.
        after_s: from the end of what was said to the first word; ``None`` where there was none.
        looks: every emotion that the face showed since the turn began, in order.
        card: the danger for which help was shown; ``""`` where none was.
        confidence: of the decision that counts, 0..1.
        evidence: the percepts that it rests on.
    """

    id: str
    turn: int
    said: str
    answered: str = ""
    action: str = "wait"
    strategy: str = ""
    emotion: str = ""
    reason: str = ""
    mind: str = ""
    source: str = ""
    after_s: float | None = None
    looks: tuple[str, ...] = ()
    card: str = ""
    confidence: float = 0.0
    evidence: tuple[Percept, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        names = (
            "id",
            "turn",
            "said",
            "answered",
            "action",
            "strategy",
            "emotion",
            "reason",
            "mind",
            "source",
            "after_s",
        )
        return {name: getattr(self, name) for name in names} | {"looks": list(self.looks), "card": self.card}


@dataclass(frozen=True, slots=True)
class _Word:
    """Words that were said: in which reply, and where they came from."""

    reply: int
    text: str
    source: str


@dataclass(slots=True)
class _Open:
    """A turn that goes on."""

    turn: int
    said: str
    since: Nanos
    first: Nanos | None = None
    words: list[_Word] = field(default_factory=list)
    decided: list[tuple[int, Decision]] = field(default_factory=list)
    looks: list[str] = field(default_factory=list)
    emotion: str = ""
    card: str = ""


class Teller:
    """Puts the turns of one call together.

    Args:
        id: of the conversation.
        mind: of the call.
        options: of its replies: what is said where the mind fails or is late.
    """

    def __init__(self, id: str, mind: Traced, options: ReplyOptions) -> None:
        self._id = id
        self._mind = mind
        self._options = options
        self._open = _Open(0, "", 0)

    def begin(self, turn: int, said: str, now: Nanos) -> None:
        """Begin a turn; ``now`` is when the person begins to say it."""
        self._open = _Open(turn, said, now)

    def ended(self, now: Nanos) -> None:
        """The person has said it."""
        self._open.since = now

    def took(self, event: Event) -> None:
        """Take in an event of the call."""
        match event.body:
            case Decided(decision=decision, reply=reply) if reply:
                self._open.decided.append((reply, decision))
                if isinstance(decision, (Speak, Backchannel)):
                    self._open.words.append(_Word(reply, _key(decision), self.source(decision)))
            case Note(event="reply_filler", data=data):
                self._open.words.append(_Word(int(data["reply"]), self._options.filler, FILLER))

    def sent(self, action: Action, now: Nanos) -> None:
        """Take in an action of the call."""
        match action:
            case Caption(speaker="agent") | PlayAudio():
                if self._open.first is None:
                    self._open.first = now
            case Display(emotion=emotion, reply=reply):
                if self._open.looks[-1:] != [emotion]:
                    self._open.looks.append(emotion)
                if reply:
                    self._open.emotion = emotion
            case Resource(kind=kind):
                self._open.card = kind

    def told(self, *, last: bool = False) -> Turned:
        """Return the turn as it is by now; with ``last``, of several replies in it only the last one."""
        now = self._open
        latest = max((reply for reply, _ in now.decided), default=0) if last else 0
        decided = [decision for reply, decision in now.decided if reply >= latest]
        words = [word for word in now.words if word.reply >= latest]
        main = self._main(decided)
        source = [word.source for word in words] or ([self.source(main)] if main is not None else [])
        answers = bool(words) and words[0] is now.words[0]  # else what was said first is not of this reply
        return Turned(
            self._id,
            now.turn,
            now.said,
            answered=" ".join(word.text for word in words),
            action=_action(decided),
            strategy=main.strategy if isinstance(main, Speak) else "",
            emotion=now.emotion or (main.emotion if isinstance(main, (Speak, Express)) else ""),
            reason=main.reason if main is not None else "",
            mind=self._who(decided),
            source="+".join(dict.fromkeys(source)),
            after_s=round(as_seconds(now.first - now.since), 3) if now.first is not None and answers else None,
            looks=tuple(now.looks),
            card=now.card,
            confidence=round(main.confidence, 3) if main is not None else 0.0,
            evidence=main.evidence if main is not None else (),
        )

    def source(self, decision: Decision) -> str:
        """Return where a decision came from."""
        if self._mind.decided(decision):
            return POLICY
        if decision.reason.startswith(_ABOUT_ITSELF):
            return ITSELF
        if isinstance(decision, Speak) and decision.strategy != "safety":
            if decision.text == self._options.fallback:
                return FALLBACK
            if says_ai(decision.text):
                return DISCLOSURE
        return LANE

    def _main(self, decided: Sequence[Decision]) -> Decision | None:
        """Return the decision that counts; see :class:`Turned`."""
        said = [d for d in decided if isinstance(d, Speak)]
        more = [d for d in said if self.source(d) != DISCLOSURE]
        return next(iter([*more, *said, *_ranked(decided)]), None)

    def _who(self, decided: Sequence[Decision]) -> str:
        own = [d for d in decided if self._mind.decided(d)]
        return next((d.mind for d in own if d.mind), self._mind.name if own else "")


def _ranked(decided: Sequence[Decision]) -> list[Decision]:
    return [d for kind in _ORDER for d in decided if isinstance(d, kind)]


def _action(decided: Sequence[Decision]) -> str:
    kinds = [type(decision) for decision in decided]
    if not kinds:
        return "wait"
    if Wait in kinds and Speak not in kinds and Backchannel not in kinds:
        # A look that goes with deliberate waiting is an expression.
        return "express" if Express in kinds else "wait"
    return action_name(_ranked(decided)[0])
