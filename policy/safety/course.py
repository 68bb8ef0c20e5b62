"""What is done about a turn: an alarm, a gentle question, a line that takes up an answer, or nothing.

Pure: from what was found in the turn and where the talk stands (:mod:`policy.safety.episode`) to a :class:`Plan`.

* *Plain danger* is met at once: help, and reviewed lines.
* A *hint* is met by the policy, which answers what was said, and one gentle question behind it. Help follows only
  where the answer confirms it; a no is believed.
* After an alarm the person is *listened to*: every answer gets a line that acknowledges just that. A plain no, or
  another subject, ends it. Whatever else they say is the policy's to answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from perception.context import CUE_SILENCE
from policy.honesty import asks_ai
from policy.reading import act_of
from policy.safety import followup, misheard, responses
from policy.safety.detector import CLASSIFIER, Finding
from policy.safety.episode import Episode
from policy.safety.followup import Answer
from policy.safety.helplines import Country
from policy.safety.misheard import Doubt
from policy.safety.responses import WHY, Slots
from policy.words import is_question

FREE: Final = "free"
"""The policy answers as it likes."""

BESIDE: Final = "beside"
"""The policy answers; what sounds cheerful is withheld."""

WITHHELD: Final = "withheld"
"""At most two sentences of the policy that take up what was said: no question, no advice, no cheer."""

NOT_ASKED: Final = "not_asked"
"""The policy is not asked."""

CONFIRMED: Final = "confirmed"
"""Level of an alarm after a gentle question that was answered with yes."""

AGAIN: Final = 6
"""The person's turns after an episode within which a hint of its kind is no news."""

_WITH_MIND: Final = frozenset({"denied", "unreal", "change", "safe"})
"""Acts after which the policy answers what else was said."""

_TOLD: Final = frozenset({"here", "kept", "near", "coming", "told", "called", "phoning", "sent", "arrived"})
"""Answers that are taken up even where danger is spoken of again with them."""

_NEVER_WAS: Final = frozenset({"denied", "unreal", "angry", "change", "believed"})
"""Topics of an end after which what is asked is no longer about the danger."""

_PERSON: Final = frozenset({"here", "kept", "near", "coming", "reachable", "have", "told", "will", "nobody", "threat"})
_REAL: Final = frozenset(
    {
        *_PERSON, *followup.PRACTICAL, "called", "phoning", "sent", "arrived", "wont_call", "saved", "appointment",
        "put_away", "over", "thanks", "will_later",
    }
)  # fmt: skip
"""Acts that are taken up after a danger that was real and has eased."""

_GOING: Final = "They go, and the danger may not be over."
_STAYS: Final = "Something dangerous was said a moment ago, so it stays with that."


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is done about a turn.

    Attributes:
        mind: whether and how the policy is asked.
        kind: of the danger, ``""`` for none.
        alarm: its level where help is shown or a hint is noted: ``plain``, ``confirmed`` or ``hint``; ``""``.
        lines: said in front of the policy's.
        take: said where the policy has nothing that fits.
        after: said behind the policy's.
        why: one sentence for a person to read.
        grave: whether the look is one of concern, and not only tender.
        looks: whether anything is shown at all.
        waits: whether it keeps silent on purpose.
        sure: how sure the finding is, 0..1.
    """

    mind: str = FREE
    kind: str = ""
    alarm: str = ""
    lines: Sequence[str] = ()
    take: Sequence[str] = ()
    after: Sequence[str] = ()
    why: str = ""
    grave: bool = False
    looks: bool = False
    waits: bool = False
    sure: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What a turn is judged by.

    Attributes:
        words: the person's, ``""`` where they said nothing.
        cue: why the agent is asked.
        found: the danger in ``words``, by themselves where an episode went before.
        episode: the last one, if there was one.
        heard: what the agent said so far, oldest first.
        topics: what the person spoke of as theirs, the latest first.
        country: whose help is named.
        follow: turns after the last line of the lane for which it listens for an answer.
        doubt: what of the words may have been plain danger, had they been heard rightly.
    """

    words: str
    cue: str
    found: Finding | None
    episode: Episode | None
    heard: tuple[str, ...]
    topics: tuple[str, ...]
    country: Country
    follow: int
    doubt: Doubt | None = None

    @property
    def active(self) -> Episode | None:
        """The episode that an answer is awaited in."""
        episode = self.episode
        return episode if episode is not None and episode.waits(self.follow) else None

    def say(
        self, topic: str, kind: str, slots: Slots | None = None, *, name: str = "", again: bool = False
    ) -> list[str]:
        """Return a line that was not said yet, sentence by sentence."""
        known = self.episode.known if self.episode is not None else frozenset()
        chosen = slots or Slots()
        return responses.choose(
            topic, kind, self.country, self.heard, slots=chosen, name=name, known=known, again=again
        )


def plan(moment: Moment) -> Plan:
    """Return what is done about a turn."""
    if not moment.words:
        return _without_words(moment)
    found, active = moment.found, moment.active
    if found is not None and found.plain:
        return _taken_back(moment, found) or _alarm(moment, found)
    if _comes_back(moment):
        return _serious(moment, "self_harm", responses.WORSE, "plain")
    if active is None and moment.doubt is not None:
        question = misheard.question(moment.doubt, moment.heard)
        if question:
            return _asked_back(moment.doubt, question)
    if active is not None and asks_ai(moment.words):
        return Plan()  # who asks whom they are talking to gets a straight answer
    if active is not None:
        return _to_question(moment, active) if active.hint else _to_alarm(moment, active)
    if found is not None:
        return _hint(moment, found)
    return _still_said(moment) or _later(moment)


def _without_words(moment: Moment) -> Plan:
    active = moment.active
    if active is None:
        return Plan()
    if moment.cue != CUE_SILENCE:
        return Plan(mind=NOT_ASKED, kind=active.kind, looks=True, grave=not active.hint, why=_STAYS)
    if responses.STILL in active.topics:
        return Plan(mind=NOT_ASKED, kind=active.kind, waits=True, why=_STAYS)
    name = responses.HINT if active.hint else responses.ANY
    lines = moment.say(responses.STILL, active.kind, name=name)
    return Plan(mind=NOT_ASKED, kind=active.kind, lines=lines, looks=True, waits=not lines, why=_STAYS)


def _taken_back(moment: Moment, found: Finding) -> Plan | None:
    """Take up a turn that says it was not meant; only the classifier finds the danger in it again."""
    episode = moment.episode
    if found.by != CLASSIFIER or episode is None or episode.kind != found.kind or episode.quiet >= AGAIN:
        return None
    answer = followup.read(moment.words, found.kind, asked=episode.asked, about=episode.about)
    if answer.act != "unreal":
        return None
    return _acknowledged(moment, answer.act, found.kind, moment.say(answer.act, found.kind))


def _comes_back(moment: Moment) -> bool:
    """Tell whether what one may die by is at hand, after danger to oneself seemed over or was left open."""
    episode = moment.episode
    return (
        episode is not None
        and episode.kind == "self_harm"
        and episode.quiet < AGAIN
        and "not_me" not in episode.topics
        and followup.comes_back(moment.words)
    )


def _alarm(moment: Moment, found: Finding) -> Plan:
    active, kind = moment.active, found.kind
    asked, about = ("", "") if active is None else (active.asked, active.about)
    answer = followup.read(moment.words, kind, asked=asked, about=about)
    told = _TOLD if active is not None else frozenset()
    lines = moment.say(answer.act, kind, _slots(answer)) if answer.act in {*told, followup.TOOK} else []
    if not lines and found.language != "en":
        lines = responses.foreign(found.language, found.kind, moment.country)
    others = kind == "harm_others" and followup.by_others(moment.words)
    lines = lines or moment.say(responses.PLAIN_OTHER if others else responses.PLAIN, kind, again=True)
    return Plan(
        mind=NOT_ASKED,
        kind=found.kind,
        alarm="plain",
        lines=lines,
        why=found.reason,
        grave=True,
        looks=True,
        sure=found.confidence,
    )


def _hint(moment: Moment, found: Finding) -> Plan:
    # An answer to an earlier question is none to this one.
    question = moment.say(responses.GENTLE, found.kind, again=True)
    take = moment.say(responses.TAKES, found.kind)
    if not question:
        return Plan(mind=BESIDE, kind=found.kind, take=take, why=found.reason)
    return Plan(
        mind=WITHHELD,
        kind=found.kind,
        alarm="hint",
        take=take,
        after=question,
        why=found.reason,
        looks=True,
        sure=found.confidence,
    )


def _asked_back(doubt: Doubt, question: Sequence[str]) -> Plan:
    """Ask what was said before anything is made of it: no help, no card."""
    return Plan(
        mind=NOT_ASKED,
        kind=doubt.kind,
        lines=question,
        why="What was heard is not sure, and it may have been danger.",
        looks=True,
        sure=doubt.confidence,
    )


def _to_question(moment: Moment, active: Episode) -> Plan:
    """Take up the answer to a gentle question."""
    kind, found = active.kind, moment.found
    answer = followup.read(moment.words, kind, asked=active.asked, about=active.about, hint=True)
    again = found is not None and found.kind == kind and answer.act not in followup.HARMLESS
    if answer.act == followup.TOOK:
        return _serious(moment, kind, responses.TOOK, "plain")
    if answer.act == followup.WORSE or again:
        return _serious(moment, kind, responses.PLAIN, CONFIRMED)
    if answer.act in ("denied", "unreal", "safe"):
        if answer.more:
            short = moment.say(responses.BELIEVED, kind, name=responses.SHORT)
            return _acknowledged(moment, "denied", kind, short, BESIDE)
        slots = Slots(topic=moment.topics[0] if moment.topics else "")
        lines = moment.say(responses.BELIEVED, kind, slots, name=responses.TOPIC if slots.topic else responses.ANY)
        return _acknowledged(moment, "denied", kind, lines or moment.say(responses.BELIEVED, kind))
    if answer.act in {"seen", "unseen", "angry", "explain", *followup.OF_HURT}:
        return _acknowledged(moment, answer.act, kind, moment.say(answer.act, kind))
    return Plan(mind=BESIDE, kind=kind, take=moment.say(responses.TAKES, kind), why="The question was left aside.")


def _to_alarm(moment: Moment, active: Episode) -> Plan:
    """Take up the answer to an alarm."""
    kind = active.kind
    answer = followup.read(moment.words, kind, asked=active.asked, about=active.about, topics=active.topics)
    goes_on = moment.found is not None and moment.found.kind == kind
    meant = answer.act != "unreal" or (moment.found is not None and moment.found.by != CLASSIFIER)
    if answer.act in followup.HARMLESS and goes_on and answer.more and meant:
        answer = Answer(followup.OTHER)  # "I'm fine", and then what says the contrary
    if answer.act == followup.WORSE and responses.PLAIN_OTHER in active.topics:
        return _serious(moment, kind, responses.PLAIN_OTHER, "plain")
    if answer.act in (followup.WORSE, followup.TOOK):
        return _serious(moment, kind, answer.act, "plain")
    if answer.act == followup.GOODBYE:
        lines = moment.say(responses.BYE, kind)
        return _acknowledged(moment, _GOING, kind, lines)
    if answer.act == followup.OTHER:
        return _beside_alarm(moment, active, goes_on=goes_on)
    left = answer.act != "unreal" or is_question(moment.words)  # a joke that goes on is listened to
    if answer.more and answer.act in _WITH_MIND and left:
        lines = moment.say(answer.act, kind, name=responses.SHORT)
        if lines:
            return _acknowledged(moment, answer.act, kind, lines, BESIDE)
    return _acknowledged(moment, answer.act, kind, moment.say(answer.act, kind, _slots(answer)))


def _beside_alarm(moment: Moment, active: Episode, *, goes_on: bool) -> Plan:
    """Let the policy answer what is none of the known answers; an emergency without help is not left at that."""
    kind = active.kind
    if goes_on and (lines := moment.say(responses.WORSE, kind)):
        return Plan(mind=NOT_ASKED, kind=kind, lines=lines, why=WHY["worse"], grave=True, looks=True)
    urgent = followup.TOOK in active.topics or (kind == "medical" and active.since == 0)
    if urgent and not active.known & {"call"} and (lines := moment.say(responses.URGE, kind)):
        return Plan(mind=NOT_ASKED, kind=kind, lines=lines, why=WHY["urge"], grave=True, looks=True)
    mind = WITHHELD if active.quiet == 0 or followup.TOOK in active.topics else BESIDE
    return Plan(mind=mind, kind=kind, take=moment.say(responses.TAKES, kind), why=_STAYS)


def _serious(moment: Moment, kind: str, topic: str, level: str) -> Plan:
    return Plan(
        mind=NOT_ASKED,
        kind=kind,
        alarm=level,
        lines=moment.say(topic, kind, again=True),
        why=WHY[topic] if topic in WHY else WHY["worse"],
        grave=True,
        looks=True,
    )


def _acknowledged(moment: Moment, why: str, kind: str, lines: list[str], mind: str = NOT_ASKED) -> Plan:
    if not lines:  # all of them were said; what is left is the policy's
        return Plan(mind=WITHHELD, kind=kind, take=moment.say(responses.TAKES, kind), why=WHY.get(why, why))
    return Plan(mind=mind, kind=kind, lines=lines, looks=True, why=WHY.get(why, why))


def _still_said(moment: Moment) -> Plan | None:
    """Take up what still belongs to a danger that was settled a moment ago; ``None`` where nothing does."""
    episode = moment.episode
    if episode is None or not (episode.hint or episode.closed) or episode.quiet >= moment.follow:
        return None
    kind, asked = episode.kind, episode.asked
    answer = followup.read(moment.words, kind, asked=asked, about=episode.about, topics=episode.topics)
    real = not episode.topics & _NEVER_WAS
    if episode.hint and not real:
        return None
    known = (followup.OF_HURT if episode.hint else _REAL) if real else frozenset({"wont_call"})
    if episode.quiet == 0 or followup.is_about_help(moment.words):  # whoever goes on about it talks of the alarm
        known |= {"angry"} if act_of(moment.words) == "thanks" else {"angry", "thanks"}
    if "angry" in episode.topics:
        settled = episode.topics & {"denied", "unreal"}
        known |= {"denied", "unreal"} if not settled else {"denied"} - settled
    if asked in followup.ASKS_TO_ACT:
        known |= _PERSON
    lines = moment.say(answer.act, kind, _slots(answer)) if answer.act in known else []
    return _acknowledged(moment, answer.act, kind, lines) if lines else None


def _later(moment: Moment) -> Plan:
    """Some turns after an alarm that was never answered, ask once; and name help where the person goes."""
    episode = moment.episode
    if episode is None or episode.hint or episode.closed:
        return Plan()
    if act_of(moment.words) == "goodbye":
        lines = moment.say(responses.BYE, episode.kind)
        return _acknowledged(moment, _GOING, episode.kind, lines) if lines else Plan()
    if episode.answered or episode.quiet != moment.follow or responses.CHECK in episode.topics:
        return Plan()
    check = moment.say(responses.CHECK, episode.kind)
    return Plan(mind=WITHHELD if check else FREE, kind=episode.kind, after=check, why=_STAYS)


def _slots(answer: Answer) -> Slots:
    return Slots(who=answer.who, them=answer.them)
