"""Text normalisation before danger is looked for: what was written around a word is written out again.

Letters that only look Latin are folded (Unicode TR39 calls them confusables), invisible and stray combining characters
are dropped, signs, digits and spaces inside a word of danger are undone, as are words that run together and the short
forms of the internet. Other scripts and other languages stay as they are: only what becomes an English word of danger,
or is mostly Latin already, is changed. The words are listed in ``[spelling]`` of ``policy/data/danger-plain.toml``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise, product
from typing import Any, Final

from policy.words import load_table

FILE: Final = "policy/data/danger-plain.toml"

_LOOK_ALIKE: Final = {
    **dict(zip("аеорсухкмтівнѕјԁԛԝһѵԍьӏӀ", "aeopcyxkmtibhsjdqwhvgbll", strict=True)),
    **dict(zip("АВЕКМНОРСТХУІЅЈ", "abekmhopctxyisj", strict=True)),
    **dict(zip("αβεικνορτυχγηωϲϳ", "abeikvoptuxynwcj", strict=True)),
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "abezhikmnoptyx", strict=True)),
    **dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz", strict=True)),
    **dict(zip("ıɩɑɡꞮɱłøđħ", "iiagimlodh", strict=True)),
    **{chr(0x1F170 + n): chr(0x61 + n) for n in range(26)},
    **{chr(0x1F130 + n): chr(0x61 + n) for n in range(26)},
    **{chr(0x1F150 + n): chr(0x61 + n) for n in range(26)},
}
_FOLD: Final = str.maketrans(_LOOK_ALIKE)
_DIGITS: Final = {
    "0": "o", "1": "il", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "9": "g",
    "$": "s", "@": "a", "!": "il", "|": "il", "€": "e", "£": "l", "+": "t",
}  # fmt: skip
_CHUNK: Final = re.compile(r"\S+")
_EDGES: Final = re.compile(r"^([^\w*@$]*)(.*?)([^\w*@$]*)$", re.DOTALL)
_LETTER: Final = r"[^\W\d_]"
_SPACED: Final = re.compile(
    rf"(?<!\S){_LETTER}(?P<gap> +|[ ]?[-_.*~|/\\,·•]+[ ]?){_LETTER}(?:(?P=gap){_LETTER}){{1,40}}(?=[\s.,!?]|$)"
)
_RUN: Final = re.compile(r"([^\W\d_])\1{2,}")
_ODD: Final = re.compile(r"[^a-z]")
_LONGEST: Final = 40
_MARKED: Final = 3
_UNITS: Final = re.compile(
    r"(?i)\b(?P<before>\d+|[a-z]+teen|\w+ty|one|two|three|four|five|six|seven|eight|nine|ten|few|many|couple of|several"
    r"|of|in|hundred|thousand|the last)?(?P<space> ?)(?P<word>kms)\b"
    r"(?! (?:away|from|per|an hour|long|run|left|to (?:go|the|my|our)|north|south|east|west|of|in|on (?:foot|the|my)))"
)
"""Where ``kms`` are kilometres, something stands before or behind it that tells."""


class SpellingError(ValueError):
    """``[spelling]`` breaks its schema; the message names file, field and entry."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """What is known of how danger is written.

    Attributes:
        alarm: words that are worth undoing a disguise for.
        beside: words that stand beside them where words run together.
        instead: short forms, code words and misspellings, with what they stand for.
    """

    alarm: frozenset[str]
    beside: frozenset[str]
    instead: Mapping[str, str]

    @property
    def known(self) -> frozenset[str]:
        """All words into which a run of letters may be cut."""
        return self.alarm | self.beside


def parse_spelling(table: Mapping[str, Any]) -> Spelling:
    """Read ``[spelling]`` of the file.

    Raises:
        SpellingError: a field is missing or is no list (table) of words.
    """
    given = table.get("spelling")
    if not isinstance(given, Mapping):
        raise SpellingError(f"{FILE}: [spelling] is {given!r}, expected a table with alarm, beside and instead")
    for name in ("alarm", "beside"):
        words = given.get(name)
        if not isinstance(words, list) or not words or not all(isinstance(w, str) and w for w in words):
            raise SpellingError(f"{FILE}: [spelling] {name} is {words!r}, expected a list of words")
    instead = given.get("instead")
    if not isinstance(instead, Mapping) or not all(isinstance(v, str) and v for v in instead.values()):
        raise SpellingError(f"{FILE}: [spelling] instead is {instead!r}, expected a table of words")
    return Spelling(frozenset(given["alarm"]), frozenset(given["beside"]), dict(instead))


@cache
def spelling() -> Spelling:
    """Return ``[spelling]`` of the file."""
    return parse_spelling(load_table("danger-plain"))


@cache
def _alarming() -> re.Pattern[str]:
    return re.compile("|".join(sorted(spelling().alarm)))


def normalise(text: str) -> str:
    """Return ``text`` with disguises of English words of danger undone; see the module.

    Case and punctuation stay, where they are no part of a disguise.
    """
    text = _visible(unicodedata.normalize("NFKC", text).replace("’", "'").replace("‘", "'").replace("ʼ", "'"))
    if not text.isascii():
        text = _CHUNK.sub(lambda found: _folded(found.group()), text)
    low = text.lower()
    if "flesym" in low or "edicius" in low or "eid ot" in low:
        text = text[::-1]
    text = _SPACED.sub(_unspaced, text)
    text = _CHUNK.sub(lambda found: _plain_word(found.group()), text)
    return _UNITS.sub(lambda found: found.group() if found["before"] else found["space"] + "kill myself", text)


def _visible(text: str) -> str:
    """Drop format characters beside Latin letters, and what is drawn over a Latin letter or a sign."""
    if text.isascii():
        return text
    out: list[str] = []
    for n, char in enumerate(text):
        category = unicodedata.category(char)
        if category == "Cf":
            near = (text[n - 1 : n], text[n + 1 : n + 2])
            if char in "\u00ad\u200b\u2060\ufeff" or not any(c > "\u052f" and c.isalpha() for c in near):
                continue
        elif category in ("Mn", "Me") and (not out or out[-1] < "\u0530"):
            continue
        out.append(char)
    return "".join(out)


@lru_cache(4096)
def _folded(chunk: str) -> str:
    """Fold look-alikes in a word that is partly Latin, or that becomes a word of danger."""
    if chunk.isascii():
        return chunk
    folded = chunk.translate(_FOLD)
    latin = any("a" <= c <= "z" for c in chunk.lower())
    foreign = any("\u0370" <= c <= "\u052f" or c >= "\U0001f130" for c in chunk)
    if folded.isascii() and latin and foreign:
        return folded
    bare = "".join(c for c in unicodedata.normalize("NFD", folded) if not unicodedata.combining(c))
    known = _ODD.sub("", bare.lower())
    if known in spelling().alarm and not chunk.lower().rstrip(".,!?").endswith(("é", "ée", "és", "ées")):
        return bare
    return folded if folded.isascii() and not latin and folded.lower() in spelling().known else chunk


def _unspaced(found: re.Match[str]) -> str:
    """Write ``k i l l`` and ``k.i.l.l`` as one word, where that is a run of known words."""
    letters = re.sub(r"[\W_]", "", found.group())
    split = _split(letters.lower())
    return " ".join(split) if split else found.group()


@lru_cache(8192)
def _plain_word(chunk: str) -> str:
    if len(chunk) > _LONGEST * 2:
        return chunk
    edges = _EDGES.match(chunk)
    assert edges is not None
    head, core, tail = edges.groups()
    low = core.lower()
    table = spelling()
    if not low or low in table.alarm:
        return chunk
    if low in table.instead:
        return head + table.instead[low] + tail
    if low.isalpha():
        found = _respelt(low)
    else:
        found = _undisguised(low)
        if found is None and tail[:1] in ("!", "|", "+"):
            found = _undisguised(low + tail[:1])  # the sign at the end may stand for a letter
    return chunk if found is None else head + found + tail


def _respelt(word: str) -> str | None:
    """Return a word without drawn-out letters, or the words that run together in it."""
    if not word.isascii():
        return None
    table = spelling()
    if _RUN.search(word):
        for short in (_RUN.sub(r"\1\1", word), _RUN.sub(r"\1", word)):
            if short in table.alarm or short in table.beside:
                return short
            if short in table.instead:
                return table.instead[short]
    split = _split(word) if len(word) >= 5 else None
    return " ".join(split) if split else None


def _undisguised(word: str) -> str | None:
    """Undo digits and signs in a word, where it becomes one of danger."""
    table = spelling()
    joined = re.sub(r"(?<=\w)[-_.*~|/\\·•']+(?=\w)", "", word)
    if joined != word and word.replace("-", " ") != joined and "-" not in word.strip("-"):
        if joined in table.alarm:
            return joined
        if joined in table.instead and "'" not in word:
            return table.instead[joined]
    elif "-" in word and all(len(part) <= 2 for part in word.split("-")) and joined in table.alarm:
        return joined
    if any(c in _DIGITS for c in word) and not word.isdigit():
        signs = [_DIGITS.get(c, c) for c in word]
        if sum(len(s) > 1 for s in signs) <= _MARKED:
            for letters in product(*signs):
                plain = "".join(letters)
                if plain in table.alarm or plain == "myself":
                    return plain
                if plain in table.instead:
                    return table.instead[plain]
                split = _split(plain) if plain.isalpha() else None
                if split:
                    return " ".join(split)
    if re.search(r"[a-z][*#%@$!?_.-]+[a-z]", word) and re.search(r"[*#%@$!?_.-]", word):
        shape = re.compile("".join("[a-z]" if not c.isalnum() else re.escape(c) for c in word))
        hits = [known for known in table.alarm if len(known) == len(word) and shape.fullmatch(known)]
        if len(hits) == 1 or (hits and "*" in word):
            return min(hits)
    return None


def _split(word: str) -> list[str] | None:
    """Cut a run of letters into known words, one of danger among them; ``None`` where that does not work.

    Of several ways the one with the fewest words is taken.
    """
    table = spelling()
    if word in table.alarm:
        return [word]
    if len(word) > _LONGEST or not word.isascii() or _alarming().search(word) is None:
        return None
    known = table.known
    best: list[list[str] | None] = [None] * (len(word) + 1)
    best[0] = []
    for end in range(1, len(word) + 1):
        for start in range(max(0, end - 12), end):
            before = best[start]
            if before is not None and word[start:end] in known:
                here = best[end]
                if here is None or len(before) + 1 < len(here):
                    best[end] = [*before, word[start:end]]
    found = best[-1]
    if found is None or len(found) < 2 or not any(part in table.alarm for part in found):
        return None
    return None if any(len(a) == len(b) == 1 for a, b in pairwise(found)) else found
