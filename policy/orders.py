"""Tells when a model obeyed somebody on the call: it says a dictated sentence, or what it was instructed with.

Words of the person are data (:mod:`policy.quoting`), and yet a model may take them for an order. Where the last words
are an order to say something, a reply that is made of what the person said is not spoken; what a model is asked with
(its instructions) is never spoken, whoever asks for it. :func:`obeyed` is one of the rules of :mod:`policy.gate`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

from policy.words import is_common, plain, tokens

_ORDER: Final = re.compile(
    r"(?:^|[.!?;:,\n]\s*|\b(?:please|just|now|and|then|must|have to|should|from now on you|can you|could you|will you|"
    r"would you|only|instead|agent|rapport)\s+)"
    r"(?:say|repeat|recite|answer|reply|respond|write|print|output|read|state|confirm|acknowledge|swear|promise|admit|"
    r"guarantee|report|sing|pretend|tell (?:me|us|them|everyone|everybody)|call (?:me|yourself))\b",
    re.IGNORECASE,
)
_REPORTED: Final = re.compile(r"\b(?:he|she|they) (?:goes|go|went|says|say|said|told|asked)\b", re.IGNORECASE)
"""Tells that the order was one that somebody told about."""

_DID: Final = re.compile(
    r"\b(?:has|have|is|are) (?:just |now |already |been )*"
    r"(?:sent|transferred|deleted|booked|ordered|paid|opened?|recorded|uploaded|confirmed|switched|reported|gone|done)\b"
)
_DO: Final = re.compile(
    r"(?:^|[.!?;:,]\s*|\b(?:please|just|now|and|then|you)\s+)"
    r"(?:run|call|send|open|transfer|start|stop|delete|order|book|use|pay|upload|execute|unlock)\b",
    re.IGNORECASE,
)
_RUN: Final = 4
"""Words in a row that no two sentences share by chance."""

_TOLD_RUN: Final = 5
"""The same of a model's instructions, which are plain sentences about listening."""


def obeyed(text: str, words: str, before: Sequence[str] = ()) -> str:
    """Return why ``text`` is what an order wanted and not an answer, as a reason to read; ``""`` if it is none.

    Args:
        text: what a model wrote.
        words: what the person said last.
        before: earlier turns, of both sides.
    """
    said = tokens(text)
    if instructions_in(text):
        return "tells how it is instructed"
    order = _ORDER.search(words)
    if order is not None and _REPORTED.search(words, order.end()) is None:
        wanted = tokens(words[order.end() :])
        known = {word for turn in (words, *before) for word in tokens(turn)}
        if _runs(said, _RUN) & _runs(wanted, _RUN) or (said and known.issuperset(said) and not text.endswith("?")):
            return "says what it was told to say"
        # In the first person, what was dictated in the second: "say that you are a teapot".
        weighty = {word for word in said if not is_common(word)}
        if weighty and weighty <= set(wanted) and said[0] in _SELF:
            return "says what it was told to say"
    if _DO.search(words) and _DID.search(plain(text)) and not text.endswith("?"):
        return "claims to have done what it was told to do"
    return ""


def instructions_in(text: str) -> bool:
    """Tell whether ``text`` repeats a piece of what minds are instructed with."""
    return not _runs(tokens(text), _TOLD_RUN).isdisjoint(_instructions())


_SELF: Final = frozenset({"i", "i'm", "i've", "i'll", "my", "yes"})


_TURNED: Final = dict.fromkeys(("i", "me", "you"), "*") | dict.fromkeys(("my", "your"), "*'s")
"""Words that change when one says what another wants to hear: "tell me to quit my job", "quit your job"."""


def _runs(words: Sequence[str], length: int) -> set[tuple[str, ...]]:
    same = [_TURNED.get(word, word) for word in words]
    return {tuple(same[n : n + length]) for n in range(len(same) - length + 1)}


@cache
def _instructions() -> frozenset[tuple[str, ...]]:
    """Return the runs of words in everything that minds are asked with."""
    from policy import form, prompt, script

    told: Iterable[str] = (form.SYSTEM, prompt.SYSTEM, script.SYSTEM, *form.ASKED)
    return frozenset(run for text in told for run in _runs(tokens(text), _TOLD_RUN))
