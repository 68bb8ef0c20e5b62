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
from policy.words import Patterns, is_common, is_question, load_table, plain, tokens

WORSE: Final = "worse"
TOOK: Final = "took"
DENIED: Final = "denied"
OTHER: Final = "other"
GOODBYE: Final = "bye"

HARMLESS: Final = frozenset({DENIED, "unreal", "over", "safe", "seen"})
"""Acts that say of the danger that there is none, or none any more."""

_ORDER: Final = ("called", "phoning", "arrived", "sent")
_LATER: Final = (
    "explain", "wont_call", "angry", "unreal", "not_me", DENIED, "put_away", "over", "safe", "apart",
    "nobody", "will_them", "will", "change", "unsure",
    "okay",
)  # fmt: skip
NAMING: Final = frozenset({"here", "near", "reachable", "coming", "told"})
"""Acts that name somebody to turn to."""

_ASKS: Final = re.compile(
    r"(?:(?:okay|ok|so|and|but|well) )*(?:what|how|where|should|who|will|can|could|would|do|does|is|are|am|if)\b"
)
_SHORT: Final = 4
_THEMES: Final = ("ringing", "say", "leave", "fear", "do", "facts")
_SOMEBODY: Final = "somebody"
_NEAR_ACTS: Final = frozenset({"here", "near", "coming", "reachable"})
_ASKS_WHO: Final = frozenset({"someone", "who", "person"})
ASKS_TO_ACT: Final = frozenset({"call", *_ASKS_WHO})
"""Questions that are answered by naming somebody, or by saying that it will be done."""

_MARKS: Final = re.compile(r"[.,;:!?…]+(?:\s+|$)|\s+(?:but|and)\s+|\s[-–—]\s")
_MUCH: Final = 5
"""Words beside an answer from which there is something else to answer."""

_AROUND_NO: Final = 11
"""The same beside a no, which people like to round off."""

_LONGEST: Final = 1000
"""Characters that are read; nobody answers in more."""

_BRIEF: Final = 7
"""Most words of an answer that only names somebody."""

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

_NOT: Final = (
    r"(?:not|n't|never|no longer|dead|died|passed away|gone|hates?|left|doesn|isn|won|can|without|nobody|no one)\b"
)
_HERE: Final = (
    r"(?:right |sitting |still |already |now |just )?(?:here|with (?:me|us)|beside me|next to me|holding me|downstairs|"
    r"upstairs|at home|home|in the (?:next |other |living )?(?:room|house|kitchen|flat|garden|bed)|next door)"
)
_COMES: Final = (
    r"(?:already |just |now )?(?:coming|on (?:her|his|their|the) way|driving (?:here|over)|going to (?:come|be here))"
)
_NEAR: Final = (
    r"(?:nearby|near|close(?: by)?|next door|(?:just )?(?:round|around) the corner|(?:just )?down the (?:road|street)"
    r"|upstairs|downstairs|not far|in the same|with me|(?:only |just |about )?(?:a few|two|three|five|ten|fifteen|\d+) "
    r"(?:minutes|streets|doors|houses))"
)
_FRAMES: Final = (
    ("here", rf"@(?:'s| is| are|'re) {_HERE}"),
    ("coming", rf"@(?:'s| is| are|'re) {_COMES}"),
    ("coming", r"@(?:'ll| will) (?:be here|come|pick|drive)"),
    ("coming", r"@ (?:comes|gets here|can come|is picking|said (?:she|he|they)(?:'ll|'d| will| would) come)"),
    ("near", rf"@ (?:also )?lives? {_NEAR}"),
    ("near", rf"@(?:'s| is| are|'re) {_NEAR}"),
    ("here", r"(?:i'm|i am|we're|sitting|staying|stay)(?: \w+){0,2} (?:with|at) @(?:'s(?: \w+)?)?"),
    ("here", r"@ (?:just )?(?:came|arrived|got here|is holding|has come)"),
    ("near", r"(?:i|we) live (?:\w+ )?with @"),
    (
        "told",
        r"i(?:'ve| have)? (?:already |just )?(?:called|rang|phoned|texted|told|messaged|woke|written to|wrote to) @",
    ),
    ("told", r"@ (?:already )?knows"),
    ("reachable", r"@ would (?:\w+ )?(?:believe|help|listen|understand|come|know what)(?: me)?"),
    (
        "will_who",
        r"(?:i'll|i will|i'm going to|i'm gonna|let me) (?:just )?(?:call|ring|phone|text|ask|go to|tell|wake) @",
    ),
    (
        "reachable",
        r"(?:i|we) (?:can|could|might|may|guess i could|think i could) (?:maybe |just )?"
        r"(?:call|ring|phone|text|ask|go to|go and see|talk to|tell|wake|reach|stay with) @",
    ),
    ("reachable", r"(?:there's|there is|i have|i've got|maybe|perhaps|probably) @"),
)
"""What is said of somebody, and how; ``@`` stands for them."""


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
    found = next((act for act in _ORDER if acts.search(act, text) is not None), "")
    if found:
        return Answer(found)
    theme = _practical(words, text)
    if theme:
        return Answer(_of_theme(theme, words, kind, topics), them=_pronoun(text))
    person = _person(words, kind, asked, about)
    if person is not None:
        return person
    named = bool(NAMING & set(topics)) or kind not in ("abuse", "harm_others")
    left_out = {
        *(() if asked in ASKS_TO_ACT else ("will",)),
        *(() if kind == "abuse" else ("apart",)),
        *(() if named else ("will_them",)),
    }
    found = next((act for act in _LATER if act not in left_out and acts.search(act, text) is not None), "")
    if found == "not_me":
        who, them = _named(words)
        return Answer(found, who, them)
    found = {"apart": "safe", "will_them": "will", "okay": "will" if asked == "call" else "okay"}.get(found, found)
    if found:
        return Answer(found, more=_more(words, found))
    return _bare(words, text, asked) or Answer("thanks" if act_of(words) == "thanks" else OTHER)


def denies(words: str) -> bool:
    """Tell whether ``words`` say that there is no danger, and nothing beside that."""
    words = words[:_LONGEST]
    text = plain(words)
    found = next((act for act in (DENIED, "unreal") if _acts().search(act, text) is not None), "")
    return bool(found) and not _more(words, found)


def _to_question(words: str, text: str, kind: str, asked: str) -> Answer:
    """Read the answer to a gentle question."""
    if asked == "degree" and _acts().search(DENIED, text) is not None:
        return Answer(DENIED, more=_more(words, DENIED))
    bare = _bare(words, text, asked)
    denied = next((act for act in ("unreal", DENIED, "safe") if _acts().search(act, text) is not None), "")
    if not denied and _confirms(kind, text):
        return Answer(WORSE)
    if asked == "doctor" and _acts().search("unseen", text) is not None:
        return Answer("unseen")
    if denied:
        return Answer(denied, more=_more(words, denied))
    found = next((act for act in ("explain", "angry") if _acts().search(act, text) is not None), "")
    if found:
        return Answer(found)
    if _acts().search("change", text) is not None:
        return Answer("change", more=_more(words, "change"))
    if bare is not None:
        return bare
    if _acts().search("unsure", text) is not None and kind == "self_harm":
        return Answer(WORSE)
    return Answer(OTHER)


def _bare(words: str, text: str, asked: str) -> Answer | None:
    """Read a yes or no, alone or in front of more."""
    said = next((t for t in map(plain, _clauses(words)) if t in ("yes", "yeah", "no", "nope")), text)
    yes, no = (_acts().search(name, said) is not None for name in ("yes", "no"))
    act = _YES_NO.get((asked, yes and not no), "") if yes or no else ""
    if act == WORSE and is_question(words) and len(text.split()) > _SHORT:
        return None  # "Yeah, I saw it. What time does the shop shut?" confirms nothing
    return Answer(act, more=_more(words, "yes" if yes else "no")) if act else None


def _confirms(kind: str, text: str, *, narrow: bool = False) -> bool:
    """Tell whether ``text`` says that the danger is there; ``narrow`` leaves out what only confirms a question."""
    table = _patterns("confirms")
    match = table.search(kind, text)
    return match is not None and not (narrow and len(match.group().split()) < 3)


def _practical(words: str, text: str) -> str:
    """Return what a practical question is about, ``""`` where there is none."""
    if not is_question(words) and _ASKS.match(text) is None:
        return ""
    return next((theme for theme in _THEMES if _patterns("theme").search(theme, text) is not None), "")


def _of_theme(theme: str, words: str, kind: str, topics: Collection[str]) -> str:
    """Return the topic of a practical question: about the danger, about somebody else's, or about asking for help."""
    if "not_me" in topics and theme in ("say", "do"):
        return f"{theme}_other"
    if theme == "say" and kind != "self_harm" and NAMING & set(topics):
        return "tell"
    return theme


def _person(words: str, kind: str, asked: str, about: str) -> Answer | None:
    """Read who is there, near, or on the way."""
    for clause in _clauses(words):
        for pattern, act in _people_frames():
            match = pattern.search(clause)
            if match is None or re.search(_NOT, clause[: match.start()][-24:].lower()) is not None:
                continue
            who, them, close = _of(match.groupdict(), clause)
            by = kind in ("abuse", "harm_others") and act in _NEAR_ACTS
            if by and _threatens(match.groupdict(), about, close, kind):
                return Answer("threat") if act != "reachable" else None
            return Answer(act, who, them)
    if re.search(
        r"\b(?:i'm|i am) not alone\b|\b(?:somebody|someone)(?:'s| is) (?:here|with me|coming)\b", plain(words)
    ):
        return Answer("here", _SOMEBODY)
    who, them = _named(words)
    brief = len(tokens(words)) <= _BRIEF and not is_question(words)
    if asked in _ASKS_WHO and who and brief and re.search(_NOT, words.lower()) is None and not _in(about, who):
        return Answer("reachable", who, them)
    return None


def _threatens(groups: dict[str, str | None], about: str, close: bool, kind: str) -> bool:
    """Tell whether somebody who is near may be the one whom the danger is about."""
    relation = (groups.get("rel") or "").lower()
    if not relation and not groups.get("name"):
        return True  # "he's here"
    return (bool(relation) and re.search(rf"\b{relation}\b", plain(about)) is not None) or (close and kind == "abuse")


def _in(about: str, who: str) -> bool:
    return re.search(rf"\b{re.escape(who.split()[1] if ' ' in who else who).lower()}\b", plain(about)) is not None


def _named(words: str) -> tuple[str, str]:
    """Return whom ``words`` name first, as it is said to the person, and the pronoun."""
    match = _person_pattern().search(words.replace("’", "'"))
    if match is None:
        return "", "them"
    who, them, _ = _of(match.groupdict(), words)
    return who, them


def _of(groups: dict[str, str | None], clause: str) -> tuple[str, str, bool]:
    """Return how somebody is named, the pronoun, and whether they are as close as a partner."""
    people = load_table("followup")["people"]
    relation, name, pronoun = groups.get("rel"), groups.get("name") or groups.get("alone"), groups.get("pro")
    if relation:
        relation = relation.lower()
        them = next((which for which in ("her", "him") if relation in people[which]), "them")
        article = "a" if (groups.get("det") or "").lower() == "a" else "your"
        who = f"{article} {relation}" if article == "your" else f"a {relation}"
        return f"{who} {name}" if name else who, them, relation in people["close"]
    if pronoun:
        pronoun = pronoun.lower()
        return pronoun, {"she": "her", "he": "him"}.get(pronoun, "them"), False
    return name or "", "them", False


def _pronoun(text: str) -> str:
    return next((word for word in text.split() if word in ("him", "her", "them")), "them")


def _more(words: str, act: str) -> bool:
    """Tell whether there is something in ``words`` beside the act that wants an answer."""
    acts = _acts()
    labels = [act, DENIED, "yes", "no", "okay", "change", "angry"]
    rest = [
        clause
        for clause in map(plain, _clauses(words))
        if clause and not any(acts.search(label, clause) is not None for label in labels)
    ]
    least = _AROUND_NO if act in (DENIED, "safe", "no", "yes") else _MUCH
    return sum(len(clause.split()) for clause in rest) >= least


def _clauses(words: str) -> list[str]:
    return [part.strip() for part in _MARKS.split(words.replace("’", "'")) if part and part.strip()]


@cache
def _acts() -> Patterns:
    return _patterns("act")


@cache
def _patterns(section: str) -> Patterns:
    relations = "|".join(sorted(_relations(), key=len, reverse=True))
    table = load_table("followup")[section]
    return Patterns.of({name: [p.replace("{rel}", f"(?:{relations})") for p in found] for name, found in table.items()})


def _relations() -> list[str]:
    people = load_table("followup")["people"]
    return [name for which in ("her", "him", "them") for name in people[which]]


def _who() -> str:
    relations = "|".join(re.escape(name) for name in sorted(_relations(), key=len, reverse=True))
    adjective = "(?:(?:best|older|younger|big|little|good|old|twin|dear) )?"
    return (
        rf"(?:(?i:\b(?P<det>my|our|a) {adjective}(?P<rel>{relations}))\b(?:,? (?P<name>[A-Z][a-z]{{1,15}}))?"
        rf"|(?i:\b(?P<pro>she|he|they)\b)|(?P<alone>\b[A-Z][a-z]{{1,15}}\b))"
    )


@cache
def _person_pattern() -> re.Pattern[str]:
    return re.compile(_who().split("|(?i:\\b(?P<pro>")[0] + ")")


class _Framed:
    """A frame with somebody in it; a common word in capitals is nobody's name."""

    def __init__(self, frame: str) -> None:
        before, _, after = frame.partition("@")
        self._pattern = re.compile(rf"(?i:(?:^|\b){before}){_who()}(?i:{after})(?![\w'])")

    def search(self, clause: str) -> re.Match[str] | None:
        """Return the first occurrence in ``clause``."""
        for match in self._pattern.finditer(clause):
            alone = match.group("alone")
            if alone is None or not (is_common(alone.lower()) or alone in _NO_NAMES):
                return match
        return None


_NO_NAMES: Final = frozenset(
    {"Everything", "Nothing", "Everyone", "Everybody", "Help", "Somebody", "Someone", "Life", "Home", "God", "Death"}
)


@cache
def _people_frames() -> tuple[tuple[_Framed, str], ...]:
    return tuple((_Framed(frame), act) for act, frame in _FRAMES)
