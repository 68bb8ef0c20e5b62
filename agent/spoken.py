"""From written text to what a voice can say: no markup, no emoji, in pieces short enough to start soon.

Numbers, dates and abbreviations stay as they are written; a voice's own front end reads them out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from agent.tone import Tone
from perception.timebase import Nanos

LONGEST = 160
"""Most characters of one clause. A longer one delays the first sound and the answer to a barge-in."""


@dataclass(frozen=True, slots=True)
class Clause:
    """Something to say in one breath, and the pause after it."""

    text: str
    pause: Nanos


_LINK = re.compile(r"!?\[([^\[\]]{0,200})\]\([^()\s]{0,500}\)")
_URL = re.compile(r"(?:https?://|www\.)\S+")
_TAG = re.compile(r"</?[A-Za-z!][^<>]{0,200}>")
_FENCE = re.compile(r"^\s{0,3}(?:`{3,}|~{3,}).*$", re.MULTILINE)
_LINE_MARK = re.compile(r"^[ \t]{0,8}(?:#{1,6}[ \t]+|>[ \t]*|[-*+•][ \t]+)", re.MULTILINE)
_EMPHASIS = re.compile(r"[*`|]+|(?<!\w)[_~]+|[_~]+(?!\w)")
_LONG_NUMBER = re.compile(r"\d(?:,?\d){12,}")
"""Nobody reads these as one number; they are said digit by digit."""
_SPACE = re.compile(r"\s+")
_SENTENCE_END = re.compile(r"""[.!?…]+["”’')\]]*\s+(?=\S)""")
_CLAUSE_END = re.compile(r"(?:[,;:]|\s[—–-])\s+|[—–]")
_TITLES = frozenset(["Mr", "Mrs", "Ms", "Dr", "Prof", "St", "Sr", "Jr", "Rev", "Gen", "Capt", "Lt", "Col", "Sgt", "vs"])
_KEPT_SYMBOLS = frozenset("°")
_SILENT_CATEGORIES = frozenset({"So", "Sk", "No", "Cf", "Cs", "Co", "Cn", "Cc"})


def clauses(text: str, tone: Tone) -> list[Clause]:
    """Cut ``text`` into clauses: whole sentences, and pieces of those longer than :data:`LONGEST`.

    Pauses follow the punctuation and the tone; the last is no longer than that of a comma, so that a reply
    given clause by clause has a rhythm, and the turn is free soon after it.

    What has no letter and no digit in it is left out, so the result may be empty.
    """
    pieces = [p for line in _plain(text) for s in _sentences(line) for p in _short(s) if any(map(str.isalnum, p))]
    found = [Clause(piece, _pause(piece, tone)) for piece in pieces]
    if found:
        found[-1] = Clause(found[-1].text, min(found[-1].pause, tone.clause_pause))
    return found


def _plain(text: str) -> list[str]:
    text = unicodedata.normalize("NFKC", text).replace("\u2044", "/")
    text = _FENCE.sub("", text)
    text = _URL.sub("a link", _LINK.sub(r"\1", text))
    text = _LINE_MARK.sub("", _TAG.sub(" ", text))
    text = _EMPHASIS.sub("", text)
    text = _LONG_NUMBER.sub(lambda m: " ".join(m.group().replace(",", "")), text)
    lines = [_SPACE.sub(" ", "".join(_sounding(c) for c in line)).strip() for line in text.splitlines()]
    return [line if line[-1] in ".!?…,;:—–" else line + "." for line in lines[:-1] if line] + lines[-1:]


def _sounding(char: str) -> str:
    if char.isspace():
        return " "
    silent = unicodedata.category(char) in _SILENT_CATEGORIES and char not in _KEPT_SYMBOLS
    return "" if silent or "\ufe00" <= char <= "\ufe0f" else char


def _sentences(line: str) -> Iterator[str]:
    begin = 0
    for match in _SENTENCE_END.finditer(line):
        if _ends_sentence(line, match):
            yield line[begin : match.end()].strip()
            begin = match.end()
    yield line[begin:].strip()


def _ends_sentence(line: str, match: re.Match[str]) -> bool:
    """A full stop after a title or an initial, or before a small letter, ends nothing."""
    if line[match.end()].islower():
        return False
    if match.group().strip() != ".":
        return True
    word = line[line.rfind(" ", 0, match.start()) + 1 : match.start()].lstrip("(\"“'‘")
    return word not in _TITLES and not (len(word) == 1 and word.isupper() and word != "I")


def _short(sentence: str) -> Iterator[str]:
    while len(sentence) > LONGEST:
        ends = [m.end() for m in _CLAUSE_END.finditer(sentence, LONGEST // 4, LONGEST)]
        cut = ends[-1] if ends else sentence.rfind(" ", 1, LONGEST) + 1 or LONGEST
        yield sentence[:cut].strip()
        sentence = sentence[cut:].strip()
    if sentence:
        yield sentence


def _pause(piece: str, tone: Tone) -> Nanos:
    last = piece.rstrip("\"”’')]")[-1:]
    if last in ".!?…":
        return tone.sentence_pause
    return tone.clause_pause if last in ",;:—–-" else 0
