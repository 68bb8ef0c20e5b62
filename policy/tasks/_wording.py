"""How a question is put to a policy: with all its options, and with what a good answer looks like."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Final

from policy.tasks import MULTI, NUMBER, SINGLE, VARIANTS, YES_NO

_LABEL: Final = re.compile(r"\s*[(\[]?([A-Za-z])\s*[.):：、\]]\s*(.*)", re.DOTALL)
_WANTED: Final[Mapping[str, str]] = {
    SINGLE: "the letter of the one option that fits best",
    MULTI: "the letters of all options that fit, one or several, written together",
    NUMBER: "one whole number in Arabic numerals",
    YES_NO: "Yes or No",
}
_ANY: Final = "your answer, as short as it can be"
_ENHANCED: Final = (
    "Before you answer, make sure of three things. The people: how they look, what they do, what they feel and how "
    "they show it. The words: what was said, and by whom. The course of events: what happened, and which moments "
    "matter most. Then reason from these, and from nothing else."
)
_HEARD: Final = "What was said, as a transcript:"


def lettered(options: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return each option as its capital letter and its text.

    Options that all carry letters of their own (``A. happy``, ``(b) sad``) keep them; others get theirs by position.
    No more than 26 are returned.
    """
    found = [_LABEL.fullmatch(option) for option in options]
    own = [match.group(1).upper() for match in found if match]
    if len(own) == len(options) and len(set(own)) == len(own):
        return tuple((match.group(1).upper(), match.group(2).strip()) for match in found if match)
    return tuple((letter, option.strip()) for letter, option in zip(ascii_uppercase, options, strict=False))


def put(question: str, pattern: str, options: Sequence[str], *, variant: str = "direct", transcript: str = "") -> str:
    """Return the words in which a question is put.

    Args:
        question: the words of the data set.
        pattern: one of :data:`policy.tasks.PATTERNS`; for any other a short answer is asked for.
        options: the choices; all are shown, verbatim if they carry their letters.
        variant: one of :data:`policy.tasks.VARIANTS`.
        transcript: what was said; shown before the question unless it is empty.

    Raises:
        ValueError: no such variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f"there is no variant {variant!r}; there are: {', '.join(VARIANTS)}")
    wanted = _WANTED.get(pattern, _ANY)
    if variant.endswith("think"):
        ending = (
            "Think it through first, between <think> and </think>. Then give "
            f"{wanted}, and nothing else, between <answer> and </answer>."
        )
    else:
        ending = f"Reply with {wanted}, and with nothing else."
    parts = [
        _ENHANCED if variant.startswith("enhanced") else "",
        f"{_HEARD}\n{transcript.strip()}" if transcript.strip() else "",
        question.strip(),
        "Options:\n" + "\n".join(shown(options)) if options else "",
        ending,
    ]
    return "\n\n".join(part for part in parts if part)


def shown(options: Sequence[str]) -> tuple[str, ...]:
    """Return the options as they are shown: verbatim if they carry their letters, else with theirs in front."""
    return tuple(
        option if (own := _LABEL.fullmatch(option)) and own.group(1).upper() == letter else f"{letter}. {text}"
        for option, (letter, text) in zip(options, lettered(options), strict=False)
    )
