"""Whether words speak of something that hurts or of something glad, and the looks that are forbidden over either.

:func:`read` goes by patterns (``policy/data/affect.toml``) and by how they are put together: a negation, "but", pain
that lies behind ("no longer", "thought we'd lose him"), gladness that did not come ("I wish", "instead of me"). It
needs no model, and the same words give the same answer on every machine. :func:`settle_look` is the rule that stands
behind every mind, head and reflex: over words that hurt nothing smiles, over glad words nothing frowns, and where it
cannot be told, or face and voice say otherwise, the look is one that is right both ways. Composition after Polanyi and
Zaenen, *Contextual valence shifters*, in Computing Attitude and Affect in Text, 2006.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Final, Literal

from policy.cues import Cues
from policy.decision import Decision, Express, Speak
from policy.irony import ironic, literal, sober
from policy.words import load_table, plain

HURT: Final = "hurt"
GLAD: Final = "glad"
MIXED: Final = "mixed"
NONE: Final = "none"

Valence = Literal["hurt", "glad", "mixed", "none"]

SMILES: Final = frozenset({"happy", "warm"})
"""Looks with a smile."""

GRAVE: Final = frozenset({"concern", "sad"})
"""Looks of concern."""

CARE: Final = frozenset({"concern", "sad", "tender", "calm"})
"""Looks that are right over something that hurts."""

TENDER: Final = "tender"

SURE: Final = 0.8
"""How sure a reading must be for the strongest looks: *happy*, *concern* and *sad*."""

WEAK: Final = 0.4
"""How sure a reading is that rests on small words alone."""

REMEMBERED: Final = 2
"""Turns for which what hurts is remembered, unless the subject has plainly turned glad."""


@dataclass(frozen=True, slots=True)
class Affect:
    """What words speak of.

    Attributes:
        valence: ``hurt``, ``glad``, ``mixed`` (both), or ``none`` (neither can be told).
        sure: 0..1.
        after: whether it is glad, or nothing in particular, not long after something that hurt.
    """

    valence: Valence = "none"
    sure: float = 0.0
    after: bool = False

    @property
    def heavy(self) -> bool:
        """Whether nothing may smile."""
        return self.valence in {HURT, MIXED}


def read(words: str, before: Sequence[str] = ()) -> Affect:
    """Tell what ``words`` speak of.

    Args:
        words: what was said.
        before: what the person said before, one string per turn, oldest first; the last :data:`REMEMBERED` count.
    """
    now = _read(words)
    lately = [_read(text) for text in before[-REMEMBERED:]]
    hurt = next((past for past in reversed(lately) if past.valence != NONE), None)
    if hurt is None or not hurt.heavy or now.heavy:
        return now
    if now.valence == GLAD:
        return Affect("glad", now.sure, after=True)
    return Affect("hurt", round(0.7 * hurt.sure, 3), after=True)


def settle_look(
    emotion: str,
    affect: Affect,
    *,
    distress: float = 0.0,
    smiling: float = 0.0,
    voice: Mapping[str, float] | None = None,
    shown: float = 0.45,
) -> tuple[str, str]:
    """Return the look that may be shown in place of ``emotion``, and why it is another; ``""`` where it is not.

    Args:
        emotion: what a mind, the head or a reflex wants to show.
        affect: what the words speak of.
        distress: how far face or voice are in distress, 0..1.
        smiling: probability of a happy face, 0..1.
        voice: how sure each label of the voice is, 0..1.
        shown: from where any of them counts.
    """
    heard = voice or {}
    strained = heard.get("trembling", 0.0) >= shown
    strained = strained or (affect.valence == GLAD and heard.get("flat", 0.0) >= shown)
    if strained and emotion in SMILES | {"surprise"} and smiling < shown:
        return TENDER, "The voice says something else than the words."
    if affect.heavy and emotion in SMILES:
        against = " over a smile" if smiling >= shown else ""
        return TENDER, f"The words may hurt{against}, so it does not smile."
    if affect.valence == MIXED and emotion in GRAVE and distress < shown:
        return TENDER, "The words are glad and heavy at once."
    if affect.valence != GLAD:
        if emotion in SMILES and distress >= shown:
            return TENDER, "Face or voice are in distress."
        if emotion == "happy" and smiling < shown:
            return "curious", "Nothing glad was said, and nobody smiles."
        return emotion, ""
    if distress >= shown:
        if emotion in SMILES | {"surprise"}:
            return TENDER, "Glad words, but face or voice say otherwise."
        return emotion, ""
    if emotion in GRAVE:
        return ("warm" if affect.sure >= SURE else "curious"), "The words are glad."
    if emotion == "happy" and (affect.after or affect.sure < SURE):
        return "warm", "It is glad, not long after something that hurt." if affect.after else "It may be glad."
    return emotion, ""


def acceptable(accepted: Collection[str], *, heavy: bool) -> frozenset[str]:
    """Return the looks that fit where those of ``accepted`` do, which were judged before there was *tender*.

    It stands beside a look of concern, and over something heavy in place of a warm one.
    """
    fits = bool(GRAVE & set(accepted)) or (heavy and "warm" in accepted)
    return frozenset(accepted) | ({TENDER} if fits else frozenset())


def settled(decision: Decision, cues: Cues, *, danger: bool = False) -> Decision:
    """Return ``decision`` with the look that :func:`settle_look` allows; its reason says so where it is another.

    Args:
        decision: of any mind.
        cues: of the window that it answers.
        danger: whether somebody may be in danger; then a look of concern stays, however glad the words.
    """
    if not isinstance(decision, (Speak, Express)):
        return decision
    words = read(cues.words, cues.before)
    if words.valence == GLAD and (danger or (isinstance(decision, Speak) and decision.strategy == "safety")):
        return decision
    emotion, why = settle_look(decision.emotion, words, distress=cues.distress, smiling=cues.smiling, voice=cues.voice)
    return replace(decision, emotion=emotion, reason=f"{decision.reason} {why}") if why else decision


# How it is read.

_QUOTES: Final = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "…": ". ", "—": ", ", "–": ", "})
_SENTENCE: Final = re.compile(r"[.!?;:\n]+(?:\s|$)")
_HELD: Final = re.compile(r",?\s+\b(but|yet|however|except|only to|until|till)\b")
_TURN: Final = re.compile(r"\b(?:but|yet|however|only to)\b")
_PART: Final = re.compile(r"\{([a-z]+)\}")

_NOT_GLAD: Final = re.compile(
    r"(?:\b(?:not|never|no|nobody|none|cannot|without|hardly|barely|scarcely|neither|nor|refus\w+ to|failed to|nothing"
    r"|unable to|stopped|instead of|wish(?:ed)?|lack of|want(?:ed)? to be|supposed to|tried to|trying to|less|far from"
    r"|hoped (?:to|for|i'd|he'd|she'd|we'd)|anything but|too \w+ to|deserved? to|(?:was|were) (?:going|about) to"
    r"|would have|could have|should have)|\b\w+n't)(?: (?!but\b)\w[\w']*){0,3}$"
)
"""In front of something glad it takes it away, up to three words ahead."""

_NOT_HURT: Final = re.compile(
    r"(?:\b(?:not|no|without|no longer|never|isn't|wasn't|aren't|weren't|didn't|doesn't|don't|hasn't|haven't|won't"
    r"|hadn't|stopped|free of|free from|instead of))"
    r"(?: (?:going to|be|been|being|have|having|had|a|an|the|really|actually|my|his|her|that|any|get|getting|got|feel"
    r"|feeling|at all|to|more))*$"
)
"""Close in front of something that hurts it takes it away."""

_MAY_TURN: Final = (
    r"not|no|never|nobody|none|nothing|without|cannot|\w+n't|any ?more|no longer|after all|but|until|till|unless|if"
    r"|wish|would|could|should|almost|nearly|used to|supposed|instead|else|except|though|although|despite|even|hardly"
    r"|barely|thought|pretend\w*|yet|anyway|afraid"
)
_MAY_TURN_GLAD: Final = re.compile(
    rf"\b(?:{_MAY_TURN}|ex|last|gone|over|alone|left|before|only|someone|somebody|everyone|everybody|miss\w*)\b"
    r"|\b(?:was|were|had)\b.*\b(?:today|now|then|since|these days)\b"
)
_MAY_TURN_HURT: Final = re.compile(rf"\b(?:{_MAY_TURN}|finally|free|over|gone|stopped|again|now|through|back|behind)\b")
"""Words that may turn what stands beside them; then the strongest looks stay away."""

_BEHIND: Final = 0.25
"""What is left of a pain that is the background of something glad."""

_LONG: Final = 30
"""Words of a turn beyond which one glad thing in it may be no more than a part of the story."""

_WEAK: Final = 1.0
_STRONG: Final = 2.0


@dataclass(slots=True)
class _Found:
    """Evidence in one sentence: where, how strong, on which side, and whether another word there may turn it."""

    at: int
    weight: float
    glad: bool
    shifted: bool = False


@lru_cache(maxsize=512)
def _read(words: str) -> Affect:
    if not words.strip():
        return Affect()
    if ironic(words):
        return Affect("hurt", 0.7)
    if literal(words):
        return Affect()
    rest, found = [], list[_Found]()
    for sentence in _sentences(words):
        left, pieces = _weigh(sentence)
        rest.append(left)
        found += pieces
    turned = _MAY_TURN_GLAD.search(" ".join(rest)) is not None
    hurts = [piece for piece in found if not piece.glad]
    glads = [piece for piece in found if piece.glad]
    hard, bright = (_strong(pieces) for pieces in (hurts, glads))
    if hard and bright:
        return Affect("mixed", 0.6)
    if hard:
        return Affect("hurt", 0.6 if glads or any(piece.shifted for piece in hard) else 0.9)
    if bright:
        lone = len(bright) == 1 and len(words.split()) > _LONG
        return Affect("glad", 0.6 if hurts or lone or turned else 0.9)
    if len(hurts) == len(glads):
        return Affect("mixed", 0.3) if hurts else Affect()
    if len(hurts) > len(glads):
        return Affect("hurt", WEAK)
    return Affect("glad", 0.3 if turned or hurts else WEAK)


def _strong(pieces: list[_Found]) -> list[_Found]:
    return [piece for piece in pieces if piece.weight >= _STRONG]


def _sentences(words: str) -> list[str]:
    """Return the sentences in plain form; a comma that is no part of "but" stays as a bar that no pattern crosses."""
    text = words.translate(_QUOTES).lower()
    if sober(words) != plain(words):
        text = sober(words)  # tears of laughter are taken out, and the marks with them
    out = []
    for part in _SENTENCE.split(text):
        bare = _HELD.sub(r" \1", part).replace(",", " | ")
        bare = re.sub(r"[^\w\s'|]", " ", bare)
        bare = " ".join(bare.split())
        if bare.strip("| "):
            out.append(bare)
    return out


def _weigh(text: str) -> tuple[str, list[_Found]]:
    """Return what is left of a sentence, and the evidence in it."""
    rules = _rules()
    found: list[_Found] = []
    text, _ = _take(rules["idiom.none"], text)
    text, spans = _take(rules["turned.glad"], text)
    found += [_Found(start, _STRONG, True) for start, _ in spans]
    text, spans = _take(rules["wry.hurt"], text)
    found += [_Found(start, _STRONG, False) for start, _ in spans]
    for name, weight in (("strong", _STRONG), ("weak", _WEAK)):
        whole = text
        text, spans = _take(rules[f"hurt.{name}"], text)
        found += [_Found(start, weight, False) for start, _ in spans if not _NOT_HURT.search(whole[:start].rstrip())]
        whole = text
        text, spans = _take(rules[f"glad.{name}"], text)
        for start, _ in spans:
            taken = _NOT_GLAD.search(whole[:start].rstrip()) is not None
            found.append(_Found(start, weight, not taken))
    return text, _put_together(text, found)


def _put_together(text: str, found: list[_Found]) -> list[_Found]:
    """Let what comes after "but" weigh, and pain behind something glad weigh little."""
    weak = [piece for piece in found if piece.weight < _STRONG]
    for piece in weak[2:]:
        piece.weight = 0.0  # many small words are no large one
    turns = list(_TURN.finditer(text))
    if turns:
        at = turns[-1].start()
        ahead = [piece for piece in found if piece.at > at and piece.weight]
        if ahead and all(not piece.glad for piece in ahead):
            for piece in found:
                if piece.at < at and piece.glad:
                    piece.weight *= _BEHIND
    if any(piece.glad and piece.weight >= _STRONG for piece in found):
        marks = [match.start() for match in _rules()["back.marks"].finditer(text)]
        for piece in found:
            if not piece.glad and any(mark <= piece.at <= mark + 40 for mark in marks):
                piece.weight = min(piece.weight, _WEAK) if piece.weight >= _STRONG else 0.0
    for piece in found:
        piece.shifted = _MAY_TURN_HURT.search(text) is not None
    return [piece for piece in found if piece.weight]


def _take(pattern: re.Pattern[str], text: str) -> tuple[str, list[tuple[int, int]]]:
    """Return ``text`` with what ``pattern`` finds blotted out, and where it was."""
    spans = [match.span() for match in pattern.finditer(text) if match.end() > match.start()]
    for start, end in spans:
        text = text[:start] + "~" * (end - start) + text[end:]
    return text, spans


@cache
def _rules() -> dict[str, re.Pattern[str]]:
    table = load_table("affect")
    parts = {name: f"(?:{value})" for name, value in table["part"].items()}

    def whole(pattern: str) -> str:
        return _PART.sub(lambda match: parts[match[1]], pattern)

    return {
        f"{section}.{name}": re.compile("|".join(rf"(?<![\w'])(?:{whole(p)})(?!\w|'t\b)" for p in patterns))
        for section, names in table.items()
        if section != "part"
        for name, patterns in names.items()
    }
