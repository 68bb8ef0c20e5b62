"""Understands what a person answers after an alarm, or after a gentle question: patterns, without a model.

People answer in many ways: no; it is not about me; it was a song; my sister is here; I called them; stop asking; what
do I tell him; can we talk about something else. Each is an *act*, and so is what tells that the danger goes on. What
none of the patterns knows is left to the policy (:data:`OTHER`). The patterns stand in ``policy/data/followup.toml``.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Final

from policy.reading import act_of
from policy.safety import people
from policy.safety.episode import Episode
from policy.safety.people import ASKS_WHO, clauses
from policy.words import Patterns, is_question, load_table, plain

WORSE: Final = "worse"
TOOK: Final = "took"
DENIED: Final = "denied"
OTHER: Final = "other"
GOODBYE: Final = "bye"

HARMLESS: Final = frozenset({DENIED, "unreal", "over", "safe", "seen"})
"""Acts that say of the danger that there is none, or none any more."""

_ORDER: Final = ("called", "phoning", "arrived", "sent")
_LATER: Final = (
    "explain", "wont_call", "angry", "unreal", "meant", "not_me", "unharmed", DENIED, "took_away", "put_away", "over",
    "safe", "apart", "nobody", "saved", "appointment", "will_them", "go_to", "plans", "will", "change", "unsure",
    "okay",
)  # fmt: skip
_SAME_AS: Final = {
    "meant": "unreal",
    "plans": "will",
    "took_away": "put_away",
    "apart": "safe",
    "will_them": "will",
    "go_to": "will",
    "leaflet": "angry",
}
"""Acts of the file that are answered like another."""

NAMING: Final = frozenset({"here", "near", "reachable", "coming", "told"})
"""Acts that name somebody to turn to."""

_ASKS: Final = re.compile(
    r"(?:(?:okay|ok|so|and|but|well|right) )*(?:what|how|where|should|who|will|can|could|would|do|does|is|are|am|if)\b"
)
_SHORT: Final = 4
_THEMES: Final = (
    "posture", "door", "swallowed", "trouble", "photo", "locks", "whom", "informed", "trace", "pets", "tongue",
    "papers", "stay", "confront", "ringing", "say", "leave", "fear", "do", "facts",
)  # fmt: skip
"""What practical questions are about, the narrower first."""

_URGENT: Final = ("medical", "self_harm")
_HURT: Final = ("abuse", "harm_others")
_THEMES_OF: Final = {
    **dict.fromkeys(("posture", "door", "swallowed", "trouble"), _URGENT),
    **dict.fromkeys(("photo", "locks", "whom", "informed", "trace", "pets", "tongue", "papers", "confront"), _HURT),
}
"""Kinds of danger that a theme belongs to, where it does not belong to all."""

PRACTICAL: Final = frozenset({*_THEMES, "tell", "say_other", "do_other"})
"""Acts that ask for something usable."""

OF_HURT: Final = frozenset(theme for theme, kinds in _THEMES_OF.items() if kinds == _HURT)
"""Themes that belong to somebody who hurts, so that they are answered also after a gentle question."""

ASKS_TO_ACT: Final = frozenset({"call", *ASKS_WHO})
"""Questions that are answered by naming somebody, or by saying that it will be done."""

_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+")
_MUCH: Final = 5
"""Words beside an answer from which there is something else to answer."""

_AROUND_NO: Final = 11
"""The same beside a no, which people like to round off."""

_LONGEST: Final = 1000
"""Characters that are read; nobody answers in more."""

_YES_NO: Final = {
    ("danger", True): WORSE,
    ("danger", False): DENIED,
    ("safe", True): "safe",
    ("safe", False): WORSE,
    ("someone", True): "here",
    ("someone", False): "nobody",
    ("who", True): "okay",
    ("who", False): "nobody",
    ("person", True): "have",
    ("person", False): "nobody",
    ("call", True): "will",
    ("call", False): "wont_call",
    ("way", True): "sent",
    ("way", False): "wont_call",
    ("doctor", True): "seen",
    ("doctor", False): "unseen",
    ("degree", False): DENIED,
    ("degree", True): WORSE,
    ("open", False): DENIED,
    ("", False): DENIED,
}
"""What a bare yes (``True``) or no says, by what was asked."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person answered.

    Attributes:
        act: a topic of :mod:`policy.safety.responses`, :data:`OTHER`, or ``seen``/``unseen`` after a doctor.
        who: whom they named, such as ``your sister Anna``; ``""`` for nobody.
        them: ``her``, ``him`` or ``them``.
        more: whether they said something else beside it that wants an answer.
    """

    act: str
    who: str = ""
    them: str = "them"
    more: bool = False


def read(
    words: str, kind: str, *, asked: str = "", about: str = "", hint: bool = False, topics: Collection[str] = ()
) -> Answer:
    """Return what ``words`` answer.

    Args:
        words: the person's turn.
        kind: of the danger it is about.
        asked: what the last line of the lane asks for, as :func:`policy.safety.responses.asked` tells.
        about: the words in which the danger was spoken of; who is named in them is no help.
        hint: whether it answers a gentle question, and not an alarm.
        topics: of what the lane said since; see :mod:`policy.safety.responses`.
    """
    words = words[:_LONGEST]
    text = plain(words)
    if not text:
        return Answer(OTHER)
    acts = _acts()
    if acts.search(TOOK, text) is not None and kind in ("self_harm", "medical"):
        return Answer(TOOK)
    if act_of(words) == "goodbye":
        return Answer(GOODBYE)
    if hint:
        return _to_question(words, text, kind, asked)
    denies = acts.search(DENIED, text) is not None
    done = TOOK in topics and _confirms("medical", text, narrow=True)
    if not denies and not is_question(words) and (done or _confirms(kind, text, narrow=True)):
        return Answer(TOOK if done else WORSE)
    if acts.search("leaflet", text) is not None:
        return Answer("angry")
    theme = _practical(words, text, kind)
    if theme and is_question(words):
        return Answer(_of_theme(theme, kind, topics), them=_pronoun(text))
    found = next((act for act in _ORDER if acts.search(act, text) is not None), "")
    if found:
        return Answer(found)
    if theme:
        return Answer(_of_theme(theme, kind, topics), them=_pronoun(text))
    if acts.search("not_me", text) is not None and acts.search("unreal", text) is None:
        return Answer("not_me", *people.named(words))
    if acts.search("laughs", text) is not None:
        return Answer("unreal", more=_more(words, "laughs"))
    step = any(acts.search(act, text) is not None for act in ("appointment", "plans"))
    person = None if step else people.person(words, kind, asked, about)
    theirs = person is not None and "not_me" in topics and person.who in people.PRONOUNS
    if person is not None and not theirs:
        return Answer(_with_them(person.act, text, topics), person.who, person.them)
    named = bool(NAMING & set(topics)) or kind not in ("abuse", "harm_others")
    left_out = {
        *(() if asked in ASKS_TO_ACT else ("will",)),
        *(() if kind == "abuse" else ("apart",)),
        *(() if kind == "self_harm" and "not_me" not in topics else ("unharmed", "took_away")),
        *(() if named else ("will_them",)),
        *(() if kind in _URGENT else ("go_to",)),
        *(() if kind == "harm_others" else ("meant",)),
    }
    found = next((act for act in _LATER if act not in left_out and acts.search(act, text) is not None), "")
    found = _SAME_AS.get(found, "will" if found == "okay" and asked == "call" else found)
    if found == "will" and acts.search("later", text) is not None:
        return Answer("will_later")
    if found in (DENIED, "unharmed") and _not_yet(text, kind):
        return Answer(WORSE)
    if found:
        return Answer(found, more=_more(words, found))
    thanks = (act_of(words) == "thanks" and "for nothing" not in text) or acts.search("thanks", text) is not None
    return _bare(words, text, kind, asked) or Answer("thanks" if thanks else OTHER)


def comes_back(words: str) -> bool:
    """Tell whether ``words`` speak of what is at hand to die by, or take leave, after it seemed over."""
    text = plain(words[:_LONGEST])
    return _acts().search("at_hand", text) is not None and _acts().search("laughs", text) is None


def may_come_back(words: str, episode: Episode, follow: int) -> bool:
    """Tell whether a rise of danger in ``words`` may be that of ``episode``, which seemed over.

    Whoever asks, names help, or tells of somebody else speaks of the danger, and is in none by that.

    Args:
        words: the person's turn.
        episode: the last one.
        follow: turns after the last line of the lane for which an answer is awaited.
    """
    if episode.kind != "self_harm" or episode.waits(follow) or "not_me" in episode.topics or is_question(words):
        return False
    answer = read(words, episode.kind, about=episode.about, topics=episode.topics)
    return answer.act in (OTHER, WORSE, TOOK, DENIED)


def is_about_help(words: str) -> bool:
    """Tell whether ``words`` are angry at the help that was named."""
    return _acts().search("leaflet", plain(words[:_LONGEST])) is not None


def by_others(words: str) -> bool:
    """Tell whether the threat in ``words`` is somebody else's, and none of the person's own."""
    text = plain(words[:_LONGEST])
    return _acts().search("threat_by_others", text) is not None and _acts().search("threat_of_mine", text) is None


def denies(words: str) -> bool:
    """Tell whether ``words`` say that there is no danger, and nothing beside that."""
    words = words[:_LONGEST]
    text = plain(words)
    found = next((act for act in (DENIED, "unreal") if _acts().search(act, text) is not None), "")
    return bool(found) and not _more(words, found)


def _with_them(act: str, text: str, topics: Collection[str]) -> str:
    """Return what is taken up where somebody is named: what was said of them already is not asked again."""
    if act == "will_who":
        return "will_later" if _acts().search("later", text) is not None else "will"
    return "kept" if act == "here" and {"here", "told", "kept"} & set(topics) else act


def _not_yet(text: str, kind: str) -> bool:
    """Tell whether a no is only one for now."""
    return kind in ("self_harm", "harm_others") and _acts().search("not_yet", text) is not None


def _to_question(words: str, text: str, kind: str, asked: str) -> Answer:
    """Read the answer to a gentle question."""
    if asked == "degree" and _acts().search(DENIED, text) is not None:
        return Answer(DENIED, more=_more(words, DENIED))
    theme = _practical(words, text, kind)
    if theme in OF_HURT:
        return Answer(theme)
    bare = _bare(words, text, kind, asked)
    denied = next((act for act in ("laughs", "unreal", DENIED, "safe") if _acts().search(act, text) is not None), "")
    if not denied and _confirms(kind, text):
        return Answer(WORSE)
    if asked == "doctor" and _acts().search("unseen", text) is not None:
        return Answer("unseen")
    if denied and bare is not None and bare.act == "unsure":
        return Answer(OTHER)
    if denied:
        return Answer("unreal" if denied == "laughs" else denied, more=_more(words, denied))
    found = next((act for act in ("explain", "leaflet", "angry") if _acts().search(act, text) is not None), "")
    if found:
        return Answer(_SAME_AS.get(found, found))
    if _acts().search("change", text) is not None:
        return Answer("change", more=_more(words, "change"))
    if bare is not None and bare.act != "unsure":
        return bare
    if _acts().search("unsure", text) is not None and kind == "self_harm":
        return Answer(WORSE)
    return Answer(OTHER)


def _bare(words: str, text: str, kind: str, asked: str) -> Answer | None:
    """Read a yes or no, alone or in front of more."""
    said = _said_barely(words, asked) or (text if asked else "")
    yes, no = (_acts().search(name, said) is not None for name in ("yes", "no"))
    act = _YES_NO.get((asked, yes and not no), "") if yes or no else ""
    if act == WORSE and is_question(words) and len(text.split()) > _SHORT:
        return None  # "Yeah, I saw it. What time does the shop shut?" confirms nothing
    if act == DENIED and _not_yet(text, kind):
        return Answer(WORSE)
    if act == DENIED and _acts().search("unsure", next(map(plain, clauses(words)), "")) is not None:
        return Answer("unsure")  # "I don't know. No." is no plain no
    return Answer(act, more=_more(words, "yes" if yes else "no")) if act else None


def _said_barely(words: str, asked: str) -> str:
    """Return the yes or no that stands in front, after fillers at most, or ends a sentence of an answer."""
    told = [[part for part in map(plain, clauses(sentence)) if part] for sentence in _SENTENCE.split(words)]
    parts = [part for sentence in told for part in sentence]
    front = next((part for part in parts if _acts().search("filler", part) is None), "")
    ends = [sentence[-1] for sentence in told if sentence] if asked else []
    return next((part for part in (front, *ends) if part in ("yes", "yeah", "no", "nope")), "")


def _confirms(kind: str, text: str, *, narrow: bool = False) -> bool:
    """Tell whether ``text`` says that the danger is there; ``narrow`` leaves out what only confirms a question."""
    table = _patterns("confirms")
    match = table.search(kind, text)
    return match is not None and not (narrow and len(match.group().split()) < 3)


def _practical(words: str, text: str, kind: str) -> str:
    """Return what a practical question is about, ``""`` where there is none."""
    if not is_question(words) and _ASKS.match(text) is None:
        return ""
    themes = (theme for theme in _THEMES if kind in _THEMES_OF.get(theme, (kind,)))
    return next((theme for theme in themes if _patterns("theme").search(theme, text) is not None), "")


def _of_theme(theme: str, kind: str, topics: Collection[str]) -> str:
    """Return the topic of a practical question: about the danger, about somebody else's, or about asking for help."""
    if {"not_me", "plain_other"} & set(topics) and theme in ("say", "do"):
        return f"{theme}_other"
    if theme == "say" and kind != "self_harm" and NAMING & set(topics):
        return "tell"
    return theme


def _pronoun(text: str) -> str:
    return next((word for word in text.split() if word in ("him", "her", "them")), "them")


def _more(words: str, act: str) -> bool:
    """Tell whether there is something in ``words`` beside the act that wants an answer."""
    acts = _acts()
    labels = [act, DENIED, "yes", "no", "okay", "change", "angry"]
    rest = [
        clause
        for clause in map(plain, clauses(words))
        if clause and not any(acts.search(label, clause) is not None for label in labels)
    ]
    least = _AROUND_NO if act in (DENIED, "safe", "no", "yes") else _MUCH
    return sum(len(clause.split()) for clause in rest) >= least


@cache
def _acts() -> Patterns:
    return _patterns("act")


@cache
def _patterns(section: str) -> Patterns:
    relations = "|".join(sorted(people.relations(), key=len, reverse=True))
    table = load_table("followup")[section]
    return Patterns.of({name: [p.replace("{rel}", f"(?:{relations})") for p in found] for name, found in table.items()})
