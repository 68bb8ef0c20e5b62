"""Plain danger in languages other than English: patterns, what is answered, and which language words seem to be in.

English has patterns and a classifier of its own; of these languages only what is said plainly is found. The data are in
``policy/data/danger-languages.toml``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from policy.safety.patterns import Match
from policy.words import is_common, load_table

_ORDER: Final = ("self_harm", "medical", "abuse", "harm_others")
_FILE: Final = "policy/data/danger-languages.toml"
_PART: Final = re.compile(r"\{([a-z]+)\}")
_CLAUSE: Final = re.compile(r"[.,;:!?…。、，．！？；：؟،।\n]+")
_SPACE: Final = re.compile(r"\s+")
_LATIN: Final = ("es", "de", "fr", "pt", "it", "nl", "pl", "tr", "hi")
_LONGEST: Final = 4_000
_UNSPACED: Final = frozenset({"zh", "ja"})
_OPEN_ENDED: Final = frozenset({"ko", "zh", "ja"})
"""Languages whose words take endings without a space, so that a match may end anywhere."""

_FOLDED_APART: Final = frozenset({"hi", "ar", "ko", "ja", "zh"})
"""Languages whose words are folded in a way of their own."""

_ARABIC: Final = str.maketrans("أإآٱىةگ", "ااااي" + "ه" + "ك")
_UKRAINIAN: Final = frozenset("іїєґ")
_LEAST: Final = 2
"""Common words of a language that are needed to take words for it."""

_TELLING: Final[Mapping[str, frozenset[str]]] = {
    "es": frozenset("ñ¿¡"),
    "de": frozenset("ßä"),
    "fr": frozenset("œèêàù"),
    "pt": frozenset("ãõ"),
    "it": frozenset("ìòù"),
    "pl": frozenset("łąęśżźć"),
    "tr": frozenset("ğşı"),
}
"""Letters that hardly any other of these languages has."""

ENGLISH_CARD: Final = "If you are in danger, call {emergency}. I understand English best."


class LanguageError(ValueError):
    """The file breaks its schema; the message names file, language and field."""


@dataclass(frozen=True, slots=True)
class Language:
    """What is known of a language.

    Attributes:
        code: two letters.
        name: in English.
        harmless: idioms and denials, taken out before anybody looks.
        patterns: of plain danger, by kind.
        common: words by which it is told from others; empty where its script tells.
        lines: reviewed lines by kind, with ``{emergency}``.
        card: the line beside a card of who can help, with ``{emergency}``.
    """

    code: str
    name: str
    harmless: re.Pattern[str]
    patterns: Mapping[str, re.Pattern[str]]
    common: frozenset[str]
    lines: Mapping[str, tuple[str, ...]]
    card: str


def search(words: str) -> Match | None:
    """Return the gravest danger that ``words`` speak of plainly in one of the languages, or ``None``."""
    found: dict[str, Match] = {}
    text = words[:_LONGEST]
    scripts = _scripts(text)
    clauses: dict[str, list[str]] = {}
    for code, language in _languages().items():
        if code not in scripts:
            continue
        way = code if code in _FOLDED_APART else ""
        if way not in clauses:
            clauses[way] = _clauses(text, way)
        for clause in clauses[way]:
            bare = _SPACE.sub(" ", language.harmless.sub(" ", clause)).strip()
            for kind in _ORDER:
                if kind not in found and language.patterns[kind].search(bare):
                    found[kind] = Match(kind, clause, code)
    return next((found[kind] for kind in _ORDER if kind in found), None)


def guess(words: str, hint: str = "") -> str:
    """Return the code of the language that ``words`` seem to be in; ``""`` where that cannot be told.

    Args:
        words: what was said; asked only where it does not seem to be English.
        hint: what speech recognition believes, which decides between languages that the words leave open.
    """
    scripts = _scripts(words)
    for code in ("ko", "zh", "ja", "ar"):
        if code in scripts:
            return code
    if "ru" in scripts:
        return "" if _UKRAINIAN & set(words.lower()) else "ru"
    if "hi" in scripts and not any(code in scripts for code in _LATIN if code != "hi"):
        return "hi"
    told = _fold(words, "es").split()
    letters = set(unicodedata.normalize("NFC", words.lower()))
    counts = {code: sum(word in _languages()[code].common for word in told) for code in _LATIN}
    for code, telling in _TELLING.items():
        counts[code] += _LEAST * bool(letters & telling)
    best = max(counts, key=lambda code: (counts[code], code == hint, -_LATIN.index(code)))
    if counts[best] >= _LEAST and counts[best] * 4 >= len(told):
        return best
    return hint if hint in _languages() and counts.get(hint, 1) else ""


def codes() -> tuple[str, ...]:
    """Return the codes of all languages, sorted."""
    return tuple(sorted(_languages()))


def name(code: str) -> str:
    """Return the English name of a language.

    Raises:
        KeyError: there is no such language.
    """
    return _languages()[code].name


def lines(code: str, kind: str) -> tuple[str, ...]:
    """Return the reviewed lines of a language for a kind of danger, with ``{emergency}`` for the number to call.

    Raises:
        KeyError: there is no such language or kind.
    """
    return _languages()[code].lines[kind]


def card_line(code: str) -> str:
    """Return the line that stands beside a card, with ``{emergency}``; in English where the language is not known."""
    language = _languages().get(code)
    return ENGLISH_CARD if language is None else language.card


def _scripts(text: str) -> frozenset[str]:
    """Return the codes of the languages whose script occurs in ``text``."""
    found: set[str] = set()
    for char in set(text):
        number = ord(char)
        if number < 0x0250:
            if char.isalpha():
                found.update(_LATIN)
        elif 0x0400 <= number < 0x0530:
            found.add("ru")
        elif 0x0900 <= number < 0x0980:
            found.add("hi")
        elif 0x0600 <= number < 0x0780:
            found.add("ar")
        elif 0x3040 <= number < 0x3100:
            found.add("ja")
        elif 0x1100 <= number < 0x1200 or 0xAC00 <= number < 0xD7B0:
            found.add("ko")
        elif 0x3400 <= number < 0xA000:
            found.add("zh")
    if "ja" in found:
        found.discard("zh")  # Japanese is written with Chinese characters among its own
    elif "zh" in found:
        found.add("ja")
    return frozenset(found)


def _clauses(text: str, code: str) -> list[str]:
    """Return the folded clauses; without a language's own way of folding, those that are not English."""
    folded = (_fold(part, code) for part in _CLAUSE.split(text))
    return [part for part in folded if part and (code in _FOLDED_APART - {"hi"} or not _english(part))]


def _english(clause: str) -> bool:
    """Tell whether more than half of the words of a clause are common English ones."""
    told = clause.split()
    return sum(map(is_common, told)) * 2 > len(told)


def _fold(text: str, code: str) -> str:
    """Return ``text`` as patterns are written: lower case, without signs that people leave out when they type."""
    text = unicodedata.normalize("NFKC", text).lower()
    if code == "hi":
        text = "".join(c for c in text if c not in "ँं़\u200c\u200d")
    elif code == "ar":
        text = "".join(c for c in text if not ("\u064b" <= c <= "\u0652" or c in "\u0640\u0670")).translate(_ARABIC)
    if code not in {"ar", "ko", "ja", "zh"}:
        parts = unicodedata.normalize("NFD", text)
        text = "".join(c for c in parts if not ("\u0300" <= c <= "\u036f"))
        text = text.translate(_LETTERS)
    kept = "".join(c if c.isalnum() or unicodedata.category(c) in {"Mn", "Mc"} else " " for c in text)
    return "".join(kept.split()) if code in _UNSPACED else " ".join(kept.split())


_LETTERS: Final = str.maketrans({"ß": "ss", "ł": "l", "ı": "i", "ø": "o", "æ": "ae", "œ": "oe", "đ": "d"})


@cache
def _languages() -> Mapping[str, Language]:
    return read(load_table("danger-languages"))


def read(table: Mapping[str, Any]) -> Mapping[str, Language]:
    """Read all languages of the file.

    Raises:
        LanguageError: it breaks the schema.
    """
    return {code: _read(code, entry) for code, entry in table.items()}


def _read(code: str, entry: Any) -> Language:
    where = f"{_FILE}: [{code}]"
    if not isinstance(entry, Mapping):
        raise LanguageError(f"{where}: is {entry!r}, expected a table")
    known = {"name", "common", "card", "part", "harmless", "lines", *_ORDER}
    unknown = sorted(set(entry) - known)
    if unknown:
        raise LanguageError(f"{where}: unknown field {unknown[0]}; there are {', '.join(sorted(known))}")
    parts = entry.get("part", {})
    patterns = {kind: _compile(code, _strings(entry, kind, where), parts, f"{where} {kind}") for kind in _ORDER}
    told = entry.get("lines")
    if not isinstance(told, Mapping):
        raise LanguageError(f"{where}: lines is {told!r}, expected lines for {', '.join(_ORDER)}")
    lines_ = {kind: tuple(_strings(told, kind, f"{where} lines")) for kind in _ORDER}
    for field in ("name", "card"):
        if not isinstance(entry.get(field), str) or not entry[field].strip():
            raise LanguageError(f"{where}: {field} is {entry.get(field)!r}, expected text")
    return Language(
        code=code,
        name=entry["name"],
        harmless=_compile(code, _strings(entry, "harmless", where), parts, f"{where} harmless"),
        patterns=patterns,
        common=frozenset(entry.get("common", [])),
        lines=lines_,
        card=entry["card"],
    )


def _strings(entry: Mapping[str, Any], field: str, where: str) -> Sequence[str]:
    value = entry.get(field)
    if not isinstance(value, list) or not value or not all(isinstance(text, str) and text for text in value):
        raise LanguageError(f"{where}: {field} is {value!r}, expected a list of texts")
    return value


def _compile(code: str, given: Sequence[str], parts: Mapping[str, str], where: str) -> re.Pattern[str]:
    """Compile one expression; a word character is any sign but a space, for vowel signs are no letters to ``re``."""
    begins = "" if code in _UNSPACED else r"(?<!\S)و?" if code == "ar" else r"(?<!\S)"
    ends = "" if code in _OPEN_ENDED else r"(?!\S)"
    found = []
    for number, pattern in enumerate(given, 1):
        unknown = [part for part in _PART.findall(pattern) if part not in parts]
        if unknown:
            raise LanguageError(f"{where} {number}: there is no part {{{unknown[0]}}}; there are {', '.join(parts)}")
        expanded = _PART.sub(lambda match: parts[match.group(1)], pattern).replace(r"\w", r"[^\s]")
        if code in _UNSPACED:
            expanded = expanded.replace(" ", "").replace(r"\S", ".")
        try:
            re.compile(expanded)
        except re.error as error:
            raise LanguageError(f"{where} {number}: {error}") from None
        found.append(f"{begins}(?:{expanded}){ends}")
    return re.compile("|".join(found))
