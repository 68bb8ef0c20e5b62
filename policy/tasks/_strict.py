"""The honest scorer: it reads an answer as a person would, and what cannot be read is wrong.

An answer is read from its ``<answer>`` tags if it has them, never from its thoughts. An answer that names two
different things where one was asked for says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any, Final

from policy import tasks
from policy.tasks import Scored
from policy.tasks._wording import lettered

_THINK: Final = re.compile(r"(</?think>)", re.IGNORECASE)
_ANSWER: Final = re.compile(r"(</?answer>)", re.IGNORECASE)
_TAGGED: Final = re.compile(r"<think>.*?</think>\s*<answer>.*?</answer>", re.DOTALL)
_NOT: Final = re.compile(
    r"(?:\b(?:not|never|neither|nor|rather than|instead of|without)|n['’ ]t)(?: be)?(?: the)?"
    r"(?: (?:option|answer|choice))?[\s(\[\"'*]*$",
    re.IGNORECASE,
)
_NOR: Final = re.compile(r"[\s)\],]*\bn?or\b[\s(\[]*", re.IGNORECASE)
_SAYS: Final = r"\b(?:answers?|choice|solution|result)\b(?: (?:is|are|would be|should be|must be|will be))?"
_DECLARES: Final = re.compile(
    _SAYS + r"(?: (?:the|option|options|letter|letters|choice))*[\s:=]*[\s(\[\"'“*]*$", re.IGNORECASE
)
_NAMES: Final = re.compile(r"\b(?:option|choice|letter)s?\s*[(\[\"'“*]*$", re.IGNORECASE)
_JOINS: Final = re.compile(r"[\s,;/&+.、，)(\]\[*\"']*(?:(?:and|or)\b)?[\s(\[\"'*]*", re.IGNORECASE)
_SEPARATORS: Final = re.compile(r"(?:[\s,;/&+.:、，；|()\[\]{}*_`\"'“”‘’!-]|\band\b)+", re.IGNORECASE)
_LETTER: Final = re.compile(r"(?<![0-9A-Za-z_À-ɏ'’-])([A-Za-z]|[A-Z]{2,26})(?![0-9A-Za-z_À-ɏ'’]|-\w)")
_NEAR: Final = 48  # characters around a letter that say what it is
_WORD_AFTER: Final = re.compile(r"\s+([a-z]+)")
_GOES_ON: Final = frozenset(
    {"is", "or", "and", "because", "as", "since", "seems", "fits", "matches", "would", "should", "does", "best"}
)
_NUMBER: Final = re.compile(r"(?<![\w.])(?<!\d[,:/–-])([-−]?\d{1,3}(?:,\d{3}){1,5}|[-−]?\d{1,18})(?![\w]|[.,:/–-]\d)")
# fmt: off
_UNITS: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)
# fmt: on
_NUMBER_WORD: Final = re.compile(rf"(?<![\w-])({'|'.join(_UNITS)})(?![\w]|-\w)", re.IGNORECASE)
_YES_NO: Final = re.compile(r"(?<![\w'’-])(yes|no)(?![\w'’-])", re.IGNORECASE)
_AT_ONCE: Final = re.compile(r"[\s\"'“*(]*(yes|no)[\"'”*)]*\s*(?:[,.;:!\n—–-](?!\s*or\b)|$)", re.IGNORECASE)


def score(pattern: str, raw: Any, answer: str, options: Sequence[str]) -> Scored:
    """Judge an answer; it always counts. Never raises.

    Of several right letters some give half the credit, unless a wrong one is among them.

    Args:
        pattern: one of :data:`policy.tasks.PATTERNS`; for any other nothing is right.
        raw: what was answered, verbatim; anything but a string is no answer.
        answer: the right one.
        options: the choices.
    """
    given = parse(pattern, spoken(raw), options) if isinstance(raw, str) else ""
    right = parse(pattern, answer, options)
    if not given or not right:
        return Scored(credit=0.0, parsed=given)
    if pattern == tasks.MULTI and set(given) < set(right):
        return Scored(credit=0.5, parsed=given)
    return Scored(credit=float(given == right), parsed=given)


def spoken(raw: str) -> str:
    """Return what an answer says aloud: without its thoughts, and only what is between answer tags if there are any.

    Thoughts may lack their first tag, as when it stood in the prompt, or their last one, when they were cut off.
    """
    outside, inside, thinking = list[str](), "", False
    for part in _THINK.split(raw):
        match part.lower():
            case "<think>":
                thinking, inside = True, ""
            case "</think>":
                if not thinking:
                    outside.clear()
                thinking = False
            case _ if thinking:
                inside = part
            case _:
                outside.append(part)
    text = " ".join(outside)
    if thinking and not text.strip():
        text = inside if "<answer>" in inside.lower() else ""
    answers, answering = list[str](), False
    for part in _ANSWER.split(text):
        if part.lower() in ("<answer>", "</answer>"):
            answering = part[1] != "/"
        elif answering:
            answers.append(part)
    return "\n".join(answers) if answers else _ANSWER.sub(" ", text)


def in_tags(raw: str) -> bool:
    """Tell whether an answer opens with its thoughts in tags, then the answer in tags; what follows does not matter."""
    return _TAGGED.match(raw) is not None


def parse(pattern: str, text: str, options: Sequence[str]) -> str:
    """Return what ``text`` means: ``D``, ``ABD``, ``12``, ``yes``; ``""`` if that is not clear.

    Args:
        pattern: one of :data:`policy.tasks.PATTERNS`; any other is never clear.
        text: without tags.
        options: the choices; without any, every letter is one.
    """
    match pattern:
        case tasks.SINGLE | tasks.MULTI:
            found = _letters(text, lettered(options) or tuple((letter, "") for letter in ascii_uppercase))
            return "".join(sorted(found)) if pattern == tasks.MULTI or len(found) == 1 else ""
        case tasks.NUMBER:
            return _number(text)
        case tasks.YES_NO:
            return _yes_no(text)
    return ""


def _letters(text: str, choices: Sequence[tuple[str, str]]) -> frozenset[str]:
    """Return the letters that ``text`` chooses, by name or by the words of their options."""
    known = frozenset(letter for letter, _ in choices)
    whole = _plain(text)
    if alike := frozenset(letter for letter, words in choices if whole and _plain(words) == whole):
        return alike if len(whole) > 1 or whole.upper() not in known else frozenset({whole.upper()})
    if (listed := _listed(text, known)) is not None:
        return listed
    return _named(_folded(text, choices), known) or _quoted(whole, choices)


def _listed(text: str, known: frozenset[str]) -> frozenset[str] | None:
    """Return the letters of a text that is letters only, such as ``A, B and D``, also unknown ones."""
    found: set[str] = set()
    for token in _SEPARATORS.sub(" ", text).split():
        letters = set(token.upper())
        if not token.isascii() or not token.isalpha() or len(letters) < len(token):
            return None
        if not token.isupper() and not letters <= known:
            return None
        found |= letters
    if not found or (len(found) == 1 and not found <= known):
        return None
    return frozenset(found)


def _folded(text: str, choices: Sequence[tuple[str, str]]) -> str:
    """Return ``text`` with every option that is written out after its letter cut down to ``(D)``."""
    for letter, words in sorted(choices, key=lambda choice: -len(choice[1])):
        sought = _plain(words)
        if sought and sought in _plain(text):
            written = r"[\W_]+".join(map(re.escape, sought.split()))
            pattern = rf"(?<![\w'’])[(\[]?{letter}[\W_]+{written}(?!\w)"
            text = re.sub(pattern, f" ({letter}); ", text, flags=re.IGNORECASE)
    return text


def _named(text: str, known: frozenset[str]) -> frozenset[str]:
    """Return the letters that stand in ``text`` as names of options; those it declares to be the answer, if any."""
    declared, named = set[str](), set[str]()
    declared_to, negated_to = len(text), -_NEAR
    for match in _LETTER.finditer(text):
        letters = set(match.group().upper())
        if not letters <= known or len(letters) < len(match.group()):
            continue
        before, after = text[max(0, match.start() - _NEAR) : match.start()], text[match.end() : match.end() + _NEAR]
        is_declared = _DECLARES.search(before) is not None
        if is_declared or _NAMES.search(before):
            is_name = not _is_article(match.group(), after)
        else:
            is_name = _is_name(match.group(), before, after)
        if not is_name:
            continue
        if _NOT.search(before) or (
            match.start() < negated_to + _NEAR and _NOR.fullmatch(text, negated_to, match.start())
        ):
            negated_to = match.end()
            continue
        named |= letters
        if is_declared or (
            0 <= match.start() - declared_to < _NEAR and _JOINS.fullmatch(text, declared_to, match.start())
        ):
            declared |= letters
            declared_to = match.end()
    return frozenset(declared or named)


def _is_name(token: str, before: str, after: str) -> bool:
    """Tell whether a letter that nothing announces is the name of an option, and not a word."""
    if len(token) > 1:
        return True
    if token.isupper():
        return not _is_article(token, after)
    enclosed = before.endswith(("(", "[")) and after.startswith((")", "]"))
    leads = not before.strip(" \t*\"'") or before.rstrip(" \t*\"'").endswith("\n")
    return enclosed or (leads and re.match(r"[.):](?:\s|$)", after) is not None)


def _is_article(token: str, after: str) -> bool:
    """Tell whether ``a`` or ``I`` is a word of a sentence."""
    follows = _WORD_AFTER.match(after)
    return token in ("A", "I", "a", "i") and follows is not None and follows.group(1) not in _GOES_ON


def _quoted(plain: str, choices: Sequence[tuple[str, str]]) -> frozenset[str]:
    """Return the letters of the options whose words are in ``plain``; those of a longer option count for it only."""
    found: set[str] = set()
    rest = f" {plain} "
    for letter, words in sorted(choices, key=lambda choice: -len(choice[1])):
        sought = f" {_plain(words)} "
        if not sought.strip() or (len(sought) == 3 and sought.strip().isalpha()):
            continue
        pieces = rest.split(sought)
        if any(not _NOT.search(piece[-32:] + " ") for piece in pieces[:-1]):
            found.add(letter)
        rest = " | ".join(pieces)
    return frozenset(found)


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", text.casefold()).split())


def _number(text: str) -> str:
    found = {int(match.replace(",", "").replace("−", "-")) for match in _NUMBER.findall(text)}
    words = {_UNITS.index(match.lower()) for match in _NUMBER_WORD.findall(text)}
    if len(found | words) > 1:
        words.discard(1)  # "the one on the left" counts nobody
    every = found | words
    if len(every) != 1:
        ends = [match.end() for match in re.finditer(_SAYS + r"[\s:=*]*", text, re.IGNORECASE)]
        every = {value for end in ends if (value := _leading_number(text[end : end + 32])) is not None}
    return str(every.pop()) if len(every) == 1 else ""


def _leading_number(text: str) -> int | None:
    if digits := _NUMBER.match(text):
        return int(digits.group(1).replace(",", "").replace("−", "-"))
    word = _NUMBER_WORD.match(text)
    return _UNITS.index(word.group(1).lower()) if word else None


def _yes_no(text: str) -> str:
    found: set[str] = {match.lower() for match in _YES_NO.findall(text)}
    if len(found) == 1:
        return found.pop()
    if at_once := _AT_ONCE.match(text):
        return str(at_once.group(1)).lower()
    said: set[str] = {
        match.group(1).lower() for match in re.finditer(_SAYS + r"[\s:=*\"']*(yes|no)\b(?! or)", text, re.IGNORECASE)
    }
    return said.pop() if len(said) == 1 else ""
