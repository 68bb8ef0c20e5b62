"""Understands whom a person names after an alarm, and whether they are there, near, or on the way.

Whoever is near may be the one whom the danger is about; the relations stand in ``policy/data/followup.toml``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from policy.words import is_common, is_question, load_table, plain, tokens

SOMEBODY: Final = "somebody"
ASKS_WHO: Final = frozenset({"someone", "who", "person"})
"""Questions that are answered by naming somebody."""

PRONOUNS: Final = frozenset({"she", "he", "they"})
THREAT: Final = "threat"
"""Act of naming somebody near whom the danger is about."""

_NEAR_ACTS: Final = frozenset({"here", "near", "coming", "reachable"})
_MARKS: Final = re.compile(r"[.,;:!?…]+(?:\s+|$)|\s+(?:but|and)\s+|\s[-–—]\s")
_TITLE: Final = re.compile(r"\b(Mrs?|Ms|Dr|St)\.")
_BRIEF: Final = 7
"""Most words of an answer that only names somebody."""

_NOT: Final = (
    r"(?:not|n't|never|no longer|dead|died|passed away|gone|hates?|left|doesn|isn|won|can|without|nobody|no one)\b"
)
_HERE: Final = (
    r"(?:(?:right|sitting|sat|standing|lying|still|already|now|just|out|up) ){0,3}(?:here|with (?:me|us)|beside me|"
    r"next to me|holding (?:me|my hand)|downstairs|upstairs|at home|home|next door|"
    r"in the (?:next |other |living )?(?:room|house|kitchen|flat|garden|bed)|"
    r"on (?:the end of )?(?:my|the) (?:bed|couch|sofa|porch|stairs)|(?:sitting|sat) across)"
)
_COMES: Final = (
    r"(?:already |just |now )?(?:coming|on (?:her|his|their|the) way|driving (?:here|over)|going to (?:come|be here))"
)
_NEAR: Final = (
    r"(?:nearby|near|inside|at the door|outside (?:the|my) (?:door|room)|"
    r"close(?: by)?|next door|(?:just )?(?:round|around) the corner|(?:just )?down the (?:road|street)"
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
    ("here", r"@(?:'s| has|'ve| have)? (?:got )?(?:(?:her|his|their|an) )?arms? (?:a?round) me"),
    ("phoning", r"@(?:'s| is| are|'re) (?:picking up|answering)"),
    (
        "here",
        r"@(?:'s| is|'re| are) (?:stopping|staying|sleeping|sitting|stays) (?:with me|the night|over|till|until|all)",
    ),
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
class Somebody:
    """Whom a person named.

    Attributes:
        act: where they are, or :data:`THREAT`.
        who: such as ``your sister Anna``.
        them: ``her``, ``him`` or ``them``.
    """

    act: str
    who: str = ""
    them: str = "them"


def person(words: str, kind: str, asked: str, about: str) -> Somebody | None:
    """Read who is there, near, or on the way."""
    for clause in clauses(words):
        for pattern, act in _people_frames():
            match = pattern.search(clause)
            if match is None or re.search(_NOT, clause[: match.start()][-24:].lower()) is not None:
                continue
            who, them, close = _of(match.groupdict(), clause)
            by = kind in ("abuse", "harm_others") and act in _NEAR_ACTS
            if by and _threatens(match.groupdict(), about, close, kind):
                return Somebody(THREAT) if act != "reachable" else None
            return Somebody(act, who, them)
    if re.search(
        r"\b(?:i'm|i am) not alone\b|\b(?:somebody|someone)(?:'s| is) (?:here|with me|coming)\b", plain(words)
    ):
        return Somebody("here", SOMEBODY)
    who, them = named(words)
    brief = len(tokens(words)) <= _BRIEF and not is_question(words)
    if asked in ASKS_WHO and who and brief and re.search(_NOT, words.lower()) is None and not _in(about, who):
        return Somebody("reachable", who, them)
    return None


def _threatens(groups: dict[str, str | None], about: str, close: bool, kind: str) -> bool:
    """Tell whether somebody who is near may be the one whom the danger is about."""
    relation = (groups.get("rel") or "").lower()
    if not relation and not groups.get("name"):
        return True  # "he's here"
    return (bool(relation) and re.search(rf"\b{relation}\b", plain(about)) is not None) or (close and kind == "abuse")


def _in(about: str, who: str) -> bool:
    return re.search(rf"\b{re.escape(who.split()[1] if ' ' in who else who).lower()}\b", plain(about)) is not None


def named(words: str) -> tuple[str, str]:
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


def clauses(words: str) -> list[str]:
    """Return ``words`` cut at marks and at "and" and "but"; the full stop of a title cuts nothing."""
    whole = _TITLE.sub(r"\1", words.replace("’", "'"))
    return [part.strip() for part in _MARKS.split(whole) if part and part.strip()]


def relations() -> list[str]:
    """Return the words for whom a person may name."""
    people = load_table("followup")["people"]
    return [name for which in ("her", "him", "them") for name in people[which]]


def _who() -> str:
    kin = "|".join(re.escape(name) for name in sorted(relations(), key=len, reverse=True))
    adjective = "(?:(?:best|older|younger|big|little|good|old|twin|dear|own) )?"
    return (
        rf"(?:(?i:\b(?P<det>my|our|a|me|mi) {adjective}(?P<rel>{kin}))\b(?:,? (?P<name>[A-Z][a-z]{{1,15}}))?"
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
    {
        "Everything",
        "Nothing",
        "Everyone",
        "Everybody",
        "Help",
        "Somebody",
        "Someone",
        "Life",
        "Home",
        "God",
        "Death",
        "Mr",
        "Mrs",
        "Ms",
        "Dr",
    }
)


@cache
def _people_frames() -> tuple[tuple[_Framed, str], ...]:
    return tuple((_Framed(frame), act) for act, frame in _FRAMES)
