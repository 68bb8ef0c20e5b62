"""The training part in other words: paraphrased by rule, misheard, with other names, now and then without a sense.

Everything is drawn from one generator: the same state gives the same result. What the labels rest on stays: the order
of sentences, words that speak for a mood, negations, numbers, and whatever word of weight a reply, an option or the
question takes up. Names are swapped in turns and replies alike. Tables and chances stand in ``augment.toml``.

This is for the training part alone; what a model is measured on is not touched. How sure the senses are is not drawn
here but in :mod:`policy.training.noise`, on the window that a situation becomes.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from policy.training.corpus import Choice, Said, Situation
from policy.words import lexicon, mood_words, plain, tokens

FILE: Final = Path(__file__).parent / "augment.toml"
_PARTS: Final = re.compile(r"([^\W\d_]+(?:['’][^\W\d_]+)*)")
_NAME: Final = re.compile(r"[A-Z][a-zà-ÿ]+")
_WEIGHT: Final = 4
"""Letters of a word of weight."""


@dataclass(frozen=True, slots=True)
class _Tables:
    chances: Mapping[str, float]
    spelt: Mapping[str, str]
    contracted: Mapping[str, str]
    have_before: frozenset[str]
    fillers: frozenset[str]
    fillers_in: Sequence[str]
    synonyms: Mapping[str, str]
    negations: frozenset[str]
    words: frozenset[str]
    misheard: Mapping[str, Any]
    alike: Mapping[str, Sequence[str]]
    dropped: frozenset[str]
    women: Sequence[str]
    men: Sequence[str]


@cache
def _tables() -> _Tables:
    table = tomllib.loads(FILE.read_text(encoding="utf-8"))
    words, misheard, names = table["words"], table["misheard"], table["names"]
    barred = set(misheard["barred"])
    alike: dict[str, list[str]] = {}
    for a, b in misheard["alike"]:
        if not barred & {a, b}:
            alike.setdefault(a, []).append(b)
            alike.setdefault(b, []).append(a)
    return _Tables(
        chances=table["chances"],
        spelt=dict(words["contractions"]),
        contracted={long: short for short, long in words["contractions"]},
        have_before=frozenset(words["have_before"]),
        fillers=frozenset(words["fillers"]),
        fillers_in=words["fillers_in"],
        synonyms={a: b for pair in words["synonyms"] for a, b in (pair, pair[::-1])},
        negations=frozenset(table["protected"]["negations"]),
        words=frozenset(table["protected"]["words"]),
        misheard=misheard,
        alike=alike,
        dropped=frozenset(misheard["dropped"]),
        women=names["women"],
        men=names["men"],
    )


def augmented(situation: Situation, rng: np.random.Generator, *, noise: float = 1.0) -> Situation:
    """Return ``situation`` in other words; its labels are unchanged.

    Args:
        situation: of the training part.
        rng: decides all that is drawn.
        noise: factor on all chances and on the rate of misheard words, 0..1; 0 changes nothing.
    """
    noise = _strength(noise)
    texts = [*(turn.text for turn in situation.turns), *situation.replies, situation.bad]
    same = _chain(_renamed(texts, rng, noise), _reworded(texts, rng, noise))
    replies, bad = tuple(map(same, situation.replies)), same(situation.bad)
    kept = _weighty(replies)
    turns = [
        replace(turn, text=_varied(same(turn.text), kept, rng, noise) if turn.who == "person" else same(turn.text))
        for turn in situation.turns
    ]
    return replace(situation, turns=_dulled(turns, rng, noise), replies=replies, bad=bad)


def augmented_choice(choice: Choice, rng: np.random.Generator, *, noise: float = 1.0) -> Choice:
    """Return ``choice`` in other words; options keep their order and the answer its place.

    Args:
        choice: of the training part.
        rng: decides all that is drawn.
        noise: as in :func:`augmented`.
    """
    noise = _strength(noise)
    texts = [*(turn.text for turn in choice.turns), choice.question, *choice.options]
    same = _chain(_renamed(texts, rng, noise), _reworded(texts, rng, noise))
    question, options = same(choice.question), tuple(map(same, choice.options))
    if len(set(options)) < len(options):  # two options differed in what was reworded
        same, question, options = _unchanged, choice.question, choice.options
    kept = _weighty([question, *options])
    turns = [replace(turn, text=_varied(same(turn.text), kept, rng, noise)) for turn in choice.turns]
    return replace(choice, turns=_dulled(turns, rng, noise), question=question, options=options)


def _strength(noise: float) -> float:
    if not 0.0 <= noise <= 1.0:
        raise ValueError(f"noise is {noise}, expected 0..1")
    return noise


Change = Callable[[str], str]


def _unchanged(text: str) -> str:
    return text


def _chain(first: Change, second: Change) -> Change:
    return lambda text: second(first(text))


def _mapped(text: str, words: Mapping[str, str]) -> str:
    """Return ``text`` with whole words replaced, a possessive kept."""
    out = _PARTS.split(text)
    for n in range(1, len(out), 2):
        bare, mark, rest = out[n].partition("'")
        if bare in words:
            out[n] = words[bare] + mark + rest
    return "".join(out)


def _renamed(texts: Sequence[str], rng: np.random.Generator, noise: float) -> Change:
    """Return a swap of the names in ``texts`` for others of the same gender that do not occur there."""
    tables = _tables()
    if rng.random() >= tables.chances["names"] * noise:
        return _unchanged
    there = {part.partition("'")[0] for text in texts for part in _PARTS.split(text)[1::2]}
    swap: dict[str, str] = {}
    for names in (tables.women, tables.men):
        free = [name for name in names if name not in there]
        for name in names:
            if name in there:
                swap[name] = free.pop(int(rng.integers(len(free))))
    return lambda text: _mapped(text, swap)


def _reworded(texts: Sequence[str], rng: np.random.Generator, noise: float) -> Change:
    """Return a choice of synonyms that holds in the whole dialogue and its replies."""
    tables = _tables()
    there = {word for text in texts for word in tokens(text)}
    swap: dict[str, str] = {}
    for word in sorted(there & set(tables.synonyms)):
        other = tables.synonyms[word]
        if other not in there and rng.random() < tables.chances["synonym"] * noise:
            swap |= {word: other, word.capitalize(): other.capitalize()}
    return lambda text: _mapped(text, swap)


def _varied(text: str, kept: frozenset[str], rng: np.random.Generator, noise: float) -> str:
    """Return a person's turn as it might have been said, and as speech recognition might have written it.

    Where another mood could then be read off the words, as where one between two others was dropped, they stay.
    """
    varied = _said_otherwise(text, kept, rng, noise)
    return varied if mood_words(varied) == mood_words(text) else text


def _said_otherwise(text: str, kept: frozenset[str], rng: np.random.Generator, noise: float) -> str:
    chances = _tables().chances
    text = _fillers(text, rng, noise)
    if rng.random() < chances["contract"] * noise:
        text = _contractions(text, kept, rng)
    if rng.random() < chances["misheard"] * noise:
        text = _misheard(text, kept, rng, noise)
    style = rng.random()
    if style < chances["bare"] * noise:
        return plain(text) or text
    if style < (chances["bare"] + chances["written_as_heard"]) * noise:
        return _as_heard(text)
    return text


def _fillers(text: str, rng: np.random.Generator, noise: float) -> str:
    tables = _tables()
    fillers = "|".join(sorted(tables.fillers))

    def out(match: re.Match[str]) -> str:
        return " " if rng.random() < tables.chances["filler_out"] * noise else match.group(0)

    text = re.sub(rf"(?<=[\w,]),? (?:{fillers}),? (?=[a-z])", out, text)
    if rng.random() < tables.chances["filler_in"] * noise and not re.match(
        r"(?:um|uh|er|well|so|yeah|i mean)\b", text, re.I
    ):
        first = text.split(maxsplit=1)[0].partition("'")[0]
        starts_low = tokens(first) and first not in {"I"} and first.lower() in _commonplace() and not first.isupper()
        if starts_low or first == "I":
            text = str(rng.choice(tables.fillers_in)) + (text[0].lower() + text[1:] if starts_low else text)
    return text


@cache
def _commonplace() -> frozenset[str]:
    """Words whose capital is only that of a beginning."""
    return frozenset(tokens("the a an it he she they we you my his her their this that there what when where who how"))


def _contractions(text: str, kept: frozenset[str], rng: np.random.Generator) -> str:
    """Spell out or make one contraction, of words that are not to be kept."""
    tables = _tables()
    found: list[tuple[int, int, str]] = []
    for short, long in tables.spelt.items():
        found += [(m.start(), m.end(), long) for m in re.finditer(rf"(?<![\w']){short}(?![\w'])", text, re.I)]
        before = rf" (?:{'|'.join(sorted(tables.have_before))})\b" if long.endswith("have") else r" [a-z]"
        made = re.finditer(rf"(?<![\w']){long}(?={before})", text, re.I)
        found += [(m.start(), m.end(), short) for m in made]
    found = [one for one in found if not kept & {*tokens(text[one[0] : one[1]])}]
    if not found:
        return text
    begin, end, new = found[int(rng.integers(len(found)))]
    old = text[begin:end]
    if new.startswith("i"):
        new = "I" + new[1:]
    elif old[0].isupper():
        new = new.capitalize()
    return text[:begin] + new + text[end:]


def _misheard(text: str, kept: frozenset[str], rng: np.random.Generator, noise: float) -> str:
    """Swap words for others that sound alike, drop small ones, clip endings; never more than the table allows."""
    tables, table = _tables(), _tables().misheard
    parts = _PARTS.split(text)
    places = range(1, len(parts), 2)
    rate = rng.uniform(table["least"], table["most"]) * noise
    most = min(int(len(places) * table["most"]), rng.binomial(len(places), rate))
    if most == 0:
        return text
    fixed = kept | _mood_words(text) | tables.negations | tables.words
    kinds, shares = list(table["shares"]), np.array(list(table["shares"].values()))
    changed = 0
    for place in rng.permutation(len(places)):
        n = 2 * int(place) + 1
        new = _slip(parts[n], n == 1, fixed, str(rng.choice(kinds, p=shares / shares.sum())), rng)
        if new is None:
            continue
        parts[n] = new
        changed += 1
        if changed == most:
            break
    return " ".join("".join(parts).split()).replace(" ,", ",").replace(" .", ".") or text


def _slip(word: str, first: bool, fixed: frozenset[str], kind: str, rng: np.random.Generator) -> str | None:
    """Return what is heard in place of ``word``, or ``None`` where it is heard right."""
    tables, low = _tables(), word.lower()
    if low in fixed or low.endswith(("n't", "n’t")) or low == "i" or (_NAME.match(word) and not first):
        return None
    if kind == "alike" and low in tables.alike:
        others = [other for other in tables.alike[low] if other not in fixed]
        if others:
            new = str(rng.choice(others))
            return new.capitalize() if word[0].isupper() else new
    if kind == "dropped" and low in tables.dropped and not first:
        return ""
    if kind == "clipped" and "'" not in low and not first:
        for ending in tables.misheard["clipped"]:
            stem = low.removesuffix(ending)
            if low.endswith(ending) and len(stem) >= tables.misheard["keep_letters"] and not low.endswith("ss"):
                return word[: len(stem)]
    return None


def _as_heard(text: str) -> str:
    """Return ``text`` without commas, exclamation marks, quotes and shouting, in sentences."""
    text = re.sub(r"\.{2,}|…|!", ".", text)
    text = re.sub(r"[,;:\"“”]", "", text)
    words = [
        w.lower() if len(w) > 1 and w.isupper() and w.isalpha() and w not in {"AI", "OK", "TV"} else w
        for w in text.split()
    ]
    out = " ".join(words)
    return re.sub(r"(^|[.?] )([a-z])", lambda m: m.group(1) + m.group(2).upper(), out)


def _mood_words(text: str) -> frozenset[str]:
    """Return the words of ``text`` that are part of what speaks for a mood or for danger."""
    low, found = plain(text), set[str]()
    for section in ("mood", "danger", "cover"):
        for pattern in lexicon(section).by_label.values():
            for match in pattern.finditer(low):
                found.update(match.group(0).split())
    return frozenset(found)


def _weighty(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(
        part
        for text in texts
        for word in tokens(text)
        for part in (word, word.removesuffix("'s"))
        if len(part) >= _WEIGHT
    )


def _dulled(turns: Sequence[Said], rng: np.random.Generator, noise: float) -> tuple[Said, ...]:
    """Take the face, or the voice, out of a whole dialogue now and then."""
    drawn = rng.random()
    chance = _tables().chances["sense"] * noise
    if drawn < chance:
        return tuple(replace(turn, face=(), gaze="", gestures=()) for turn in turns)
    if drawn < 2 * chance:
        return tuple(replace(turn, voice="") for turn in turns)
    return tuple(turns)
