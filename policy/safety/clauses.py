"""Clauses: a turn is read one statement at a time, so that no word excuses more than what it stands beside.

Speech and typing leave punctuation out, so a clause also ends before a conjunction (``and`` and ``but`` where a subject
follows; ``because``, ``when``, ``if`` and their like always) and where a new subject begins. Words are brought into one
form first: lower case, contractions written out (``i'm`` and ``im`` are ``i am``, ``can't`` is ``can not``), no signs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache, lru_cache
from typing import Any, Final

from policy.safety.normalise import normalise
from policy.words import load_table

_FILE: Final = "policy/data/clauses.toml"
_TABLES: Final = ("forms", "pairs")
_MOST: Final = 60
"""Words of a clause; what is longer is cut, with an overlap."""
_OVERLAP: Final = 15

_SENTENCE: Final = re.compile(r"(?<=\D)\.|\.(?=\D|$)|[!?;\n…—–]+|(?<=\s)-(?=\s)|:(?=\s|$)")
_TOKEN: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*'?|[,()]")

_ACCENTS: Final = re.compile(r"(?<=[a-z])[\u0300-\u036f]")

_PRONOUNS: Final = frozenset({"i", "he", "she", "they", "we"})
_BEFORE_NOUNS: Final = {"my": 3, "our": 3, "the": 2, "a": 2, "last": 2}
"""Words that begin the name of a subject, with the words up to its verb."""
_NOUNS: Final = frozenset({"a", "an", "the", "my", "our", "his", "her", "their", "this", "that", "these", "those"})
"""Words that begin another subject only where a verb follows: "and my mum hit me", but not "my dad and my mum"."""
_SO: Final = frozenset({"that", "as", "on", "for", "what"})
"""Words before which "so" joins nothing."""
_RIGHT: Final = frozenset({"right", "just", "by", "until", "every", "back", "since", "and"})
"""Words after which "now" and "then" join nothing."""
_BARE: Final = {"ill": "i will", "hell": "he will", "shell": "she will", "id": "i would"}
"""Contractions that are other words, too, where their apostrophe is missing."""
_ENDINGS: Final = {"n't": " not", "'ll": " will", "'re": " are", "'ve": " have", "'d": " would", "'m": " am"}

_TIME_OF_IT: Final = ("that was ", "it was ", "this was ", "i was ", "we were ", "he was ", "she was ")
"""A clause that begins like this may tell when the one before it happened."""


class ClauseError(ValueError):
    """``policy/data/clauses.toml`` breaks its schema; the message names file, section and field."""


@dataclass(frozen=True, slots=True)
class Words:
    """The lists of ``policy/data/clauses.toml``, where each is explained."""

    is_: frozenset[str]
    ill: frozenset[str]
    subjects: frozenset[str]
    joining: frozenset[str]
    subordinate: frozenset[str]
    not_after: frozenset[str]
    times: frozenset[str]
    embeds: frozenset[str]
    prepositions: frozenset[str]
    kin: frozenset[str]
    finite: frozenset[str]
    phrase: frozenset[str]
    verbal: frozenset[str]
    forms: Mapping[str, str]
    pairs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Clause:
    """A statement of a turn.

    Attributes:
        text: its words in their plain form, single spaces between them.
        opener: the conjunction that begins it, ``""`` where there is none.
        before: the words of a subordinate clause or phrase of time that stands in front and belongs to it.
        after: the words of one that follows.
    """

    text: str
    opener: str = ""
    before: str = ""
    after: str = ""


@cache
def _words() -> Words:
    return parse_words(load_table("clauses"))


def parse_words(table: Mapping[str, Any]) -> Words:
    """Read the file.

    Raises:
        ClauseError: a list is missing or is none of words, or a table is none of words.
    """
    lists, given = {}, table.get("words")
    for name in (field.name for field in fields(Words) if field.name not in _TABLES):
        words = given.get(name.rstrip("_")) if isinstance(given, Mapping) else None
        if not isinstance(words, list) or not words or not all(isinstance(word, str) and word for word in words):
            raise ClauseError(f"{_FILE}: [words] {name.rstrip('_')} is {words!r}, expected a list of words")
        lists[name] = frozenset(words)
    tables = {name: table.get(name) for name in _TABLES}
    for name, forms in tables.items():
        if not isinstance(forms, Mapping) or not all(isinstance(form, str) and form for form in forms.values()):
            raise ClauseError(f"{_FILE}: [{name}] is {forms!r}, expected a table of words")
    return Words(**lists, **tables)  # type: ignore[arg-type]  # each is checked above


def clauses(text: str) -> list[Clause]:
    """Return the clauses of ``text`` in order; none where it has no letters."""
    return [clause for sentence in sentences(text) for clause in split(sentence)]


def sentences(text: str) -> list[str]:
    """Return the sentences of ``text`` in their plain form; commas are kept as words of their own."""
    found = (_canonical(_unaccented(part.lower())) for part in _SENTENCE.split(normalise(text)))
    return [part for part in found if part]


def _unaccented(text: str) -> str:
    """Write ``fiancé`` as ``fiance``; only here, for other languages are looked for in the words as they are."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", text)))


def split(sentence: str) -> list[Clause]:
    """Split a sentence of :func:`sentences` into clauses."""
    pieces = list(_merge(list(_pieces(sentence.split()))))
    found = [Clause(" ".join(words), opener) for opener, words in pieces]
    for n, clause in enumerate(found[:-1]):
        following = found[n + 1]
        if clause.opener in _words().times and following.opener in ("", "because"):
            found[n + 1] = replace(following, before=clause.text)
        if following.opener in _words().times or following.text.startswith(_TIME_OF_IT):
            found[n] = replace(found[n], after=following.text)
    return [part for clause in found for part in windows(clause)]


@lru_cache(4096)
def _form(word: str) -> str:
    form = _words().forms.get(word)
    if form is not None:
        return form
    for ending, meaning in _ENDINGS.items():
        if word.endswith(ending) and len(word) > len(ending):
            stem = word[: -len(ending)]
            return ("ca" if stem == "ca" else stem) + meaning
    if word.endswith("'s"):
        stem = word[:-2]
        return f"{stem} is" if stem in _words().is_ else f"{stem} s"
    return word.replace("'", "")


def _canonical(sentence: str) -> str:
    """Bring a sentence into its plain form; commas and brackets become commas."""
    table = _words()
    words = " ".join(_form(w) if w not in "()," else "," for w in _TOKEN.findall(sentence)).split()
    out: list[str] = []
    n = 0
    while n < len(words):
        word, following = words[n], words[n + 1] if n + 1 < len(words) else ""
        joined = table.pairs.get(f"{word} {following}")
        n += 1
        if joined is not None:
            out.append(joined)
            n += 1
        elif word in _BARE and following in table.ill:
            out.append(_BARE[word])
        elif word.endswith("s") and word[:-1] in table.kin and following in table.kin:
            out.append(f"{word[:-1]} s")
        else:
            out.append(word)
    return " ".join(out).strip(" ,")


def _pieces(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Cut the words of a sentence; yields each piece with its conjunction, ``,`` where a comma stood before it."""
    opener, piece = "", list[str]()
    for n, word in enumerate(words):
        following = words[n + 1] if n + 1 < len(words) else ""
        if word == ",":
            if piece:
                yield opener, piece
            opener, piece = ",", []
        elif _begins(word, piece, words, n):
            if piece:
                yield opener, piece
            opener, piece = word if word in _words().subordinate else "", []
            if word not in _words().joining or not following:
                piece = [word]
        else:
            piece.append(word)
    if piece:
        yield opener, piece


def _begins(word: str, piece: list[str], words: list[str], n: int) -> bool:
    """Tell whether a clause begins at the word of index ``n``, after the words of ``piece``."""
    table = _words()
    last = piece[-1] if piece else ""
    following = words[n + 1] if n + 1 < len(words) else ""
    if word in table.subordinate:
        return last not in table.not_after
    if word in table.joining:
        if (word == "so" and following in _SO) or (word in ("now", "then") and last in _RIGHT):
            return False
        if following in _NOUNS:
            return _does(words, n + 1, 6)
        return following in table.subjects
    if not last or last in table.embeds or _is_phrase(piece):
        return False
    if word in _PRONOUNS:
        return True
    if last in table.prepositions:
        return False
    if word in ("it", "there", "nobody", "someone", "somebody"):
        return following in table.finite
    return word in _BEFORE_NOUNS and _does(words, n, _BEFORE_NOUNS[word])


def _does(words: list[str], n: int, most: int) -> bool:
    """Tell whether the noun after the word of index ``n`` has a verb of its own, at most ``most`` words on."""
    table = _words()
    stops = table.subordinate | table.subjects | table.prepositions | {","}
    for at in range(n + 1, min(n + most + 1, len(words))):
        if words[at] in table.finite:
            return at > n + 1
        first = at == n + 1 and words[at] in table.kin
        if words[at] in stops and not first and words[at : at + 2] != ["in", "law"]:
            return False
    return False


def _is_phrase(words: list[str]) -> bool:
    """Tell whether ``words`` are a phrase of time or place, to be read with the clause that follows."""
    return words[0] in _words().phrase and len(words) <= 6 and not _words().verbal.intersection(words)


def _is_person(words: list[str]) -> bool:
    """Tell whether ``words`` only name somebody, who is what the clause that follows speaks of."""
    return len(words) <= 3 and words[0] in ("my", "our", "the") and not _words().finite.intersection(words)


def _merge(pieces: list[tuple[str, list[str]]]) -> Iterator[tuple[str, list[str]]]:
    """Join a phrase without a verb, which a comma cut off, with the clause that it belongs to."""
    held: list[str] = []
    held_opener = ""
    done: list[tuple[str, list[str]]] = []
    for n, (opener, words) in enumerate(pieces):
        bare = opener in ("", ",") and (_is_phrase(words) or _is_person(words))
        comma_next = n + 1 < len(pieces) and pieces[n + 1][0] == ","
        if bare and opener == "," and done and words[0] in _words().phrase and not comma_next:
            done[-1][1].extend(words)
        elif bare and comma_next and not held:
            held, held_opener = words, opener
        else:
            done.append((held_opener if held else opener, [*held, *words]))
            held, held_opener = [], ""
    if held:
        done.append((held_opener, held))
    for opener, words in done:
        yield ("" if opener == "," else opener), words


def windows(clause: Clause) -> Iterator[Clause]:
    """Cut a clause of more than sixty words into overlapping ones, so that the time to read it stays in bounds."""
    words = clause.text.split()
    if len(words) <= _MOST:
        yield clause
        return
    for at in range(0, len(words) - _OVERLAP, _MOST - _OVERLAP):
        yield replace(clause, text=" ".join(words[at : at + _MOST]))
