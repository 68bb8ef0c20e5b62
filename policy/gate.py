"""Judges what a model wrote before it is spoken; what does not pass is replaced by a curated line.

What holds whatever the person said is plain data, ``policy/data/gate.toml``: what is never said, what an answer may say
of itself, how long it may be. The rest compares the reply with the dialogue: a small model's commonest errors are to
invent a relative, a name or a number, to say the person's words back as its own, to repeat itself, and to lose the
topic. Every refusal names its reason.

:func:`broken_rule` needs no model and serves as a reward, too; :meth:`Gate.judge` asks the sentence encoder as well
whether the reply keeps to the topic and says something new.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from policy.embedding import Embed
from policy.mood import GLAD, HEAVY
from policy.orders import obeyed
from policy.words import is_common, load_table, plain, tokens

_SHAPE: Final = re.compile(r"[\[\]{}<>*_#|\\^~=`/()]|https?:|www\.|\.(?:com|org|net)\b|@|^\s*(?:[-•]|\d+[.)])|\d{5,}")
_ROLE: Final = re.compile(
    r"(?:^|\n)\s*(?:user|assistant|system|human|ai|agent|person)\s*:|\b(?:user|assistant|system)\s*:|"
    r"(?<!called )(?<!is )\brapport\b|\b(?:face|voice|gaze|note|says)\s*:",
    re.I,
)
_FOREIGN: Final = re.compile(r"[^\x20-\x7e\u00a1-\u024f\u1e00-\u1eff\u2010-\u2026]")
_ENDED: Final = re.compile(r"[.?!…][\"'”’]*$")
_SENTENCE: Final = re.compile(r"(?<=[.?!…])[\"'”’]*\s+")
_SELF: Final = re.compile(r"\b(i|i'm|i've|i'd|i'll|my)\b(?: (?:really|also|do|even))*(?= (.+)|$)")
_OTHERS_VOICE: Final = re.compile(r"(?:\b(?:say|said|write|said it)(?: \w+)?(?: \w+)?, |:).*", re.I | re.S)
"""Words that are put into somebody's mouth: "You could say: I ..."."""

_YOUR: Final = re.compile(r"\byour ((?:[^\W\d_][\w'-]*)(?: [^\W\d_][\w'-]*){0,2})")
_NAME: Final = re.compile(r"(?<![.?!…\"“:] )(?<!^)\b([A-Z][a-zà-ÿ]+)")
_DIGITS: Final = re.compile(r"\d+")
_RUN: Final = 3
"""Words whose repetition within a reply is a loop."""

_ECHO: Final = 5
"""Words up to which saying something again is taking it up ("Her side of the bench.")."""

_TELLING: Final = frozenset({"safety", "information", "suggestion"})
"""Strategies whose replies bring along what was not said: helpers, places, amounts."""

_CALL: Final = 3
"""Words up to which an exclamation is a sound of sympathy ("Oh no!")."""

_LEAST_WEIGHT: Final = 4
"""Letters of a word of weight."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a reply may be spoken, and if not, why."""

    ok: bool
    reason: str = ""


class Gate:
    """Judges replies, or single clauses of them.

    Args:
        embed: the sentence encoder, for whether a reply keeps to the topic.
    """

    def __init__(self, embed: Embed) -> None:
        self._embed = embed

    def judge(
        self,
        clause: str,
        *,
        words: str,
        mood: str,
        strategy: str,
        said: Sequence[str] = (),
        advice: bool = False,
        before: Sequence[str] = (),
    ) -> Verdict:
        """Judge one reply, or a clause of it.

        Args:
            clause: what the model wrote.
            words: what the person said last.
            mood: the mood that was read.
            strategy: the strategy the reply was asked for.
            said: what was answered before, this reply's earlier clauses included.
            advice: whether advice is wanted and something has been understood.
            before: earlier turns of the dialogue, of both sides; what they name is no invention.
        """
        reason = broken_rule(
            clause, words=words, before=before, said=said, strategy=strategy, mood=mood, advice=advice
        ) or self._off_topic(clause.strip(), [words, *before], said)
        return Verdict(not reason, reason)

    def _off_topic(self, clause: str, heard: Sequence[str], said: Sequence[str]) -> str:
        limits, rules = load_table("gate")["likeness"], load_table("gate")["new"]
        words, *earlier = heard
        recent = list(dict.fromkeys([*earlier, *said]))[-6:]
        vectors = self._embed([clause, words, " ".join([*recent, words]), *said[-6:]])
        near = [float(n) for n in vectors[1:] @ vectors[0]]
        topic = max(near[:2])
        dialogue = _Dialogue.of([*heard, *said])
        if topic < limits["topic"] and not dialogue.shares(clause) and not _is_generic(clause):
            return "does not keep to what the person said"
        new, weighty = dialogue.new(clause)
        if new > rules["most"] and new >= rules["share"] * weighty and topic < limits["strange"]:
            return "goes beyond what was said"
        if any(n > limits["same"] for n in near[2:]):
            return "was said before in other words"
        return ""


def broken_rule(
    text: str,
    *,
    words: str,
    before: Sequence[str] = (),
    said: Sequence[str] = (),
    strategy: str = "",
    mood: str = "",
    advice: bool = False,
) -> str:
    """Return the first rule that a reply breaks, as a reason to read; ``""`` if it breaks none.

    Args:
        text: the reply.
        words: what the person said last.
        before: earlier turns, of both sides.
        said: what was answered before.
        strategy: the strategy it was asked for; rules that do not hold for it are left out.
        mood: the mood of the person, one of :data:`policy.reading.MOODS` or a coarse one.
        advice: whether advice is wanted.
    """
    text = text.strip()
    return (
        _broken_text(text, strategy)
        or _never_said(text, strategy, mood, advice)
        or _out_of_tune(text, strategy, mood, _Dialogue.of([words, *before, *said]))
        or _of_itself(text, " ".join(plain(turn) for turn in (*before, words)))
        or _repeats(text, words, said)
        or ("" if strategy == "safety" else obeyed(text, words, before))
        or _invented(text, _Dialogue.of([words, *before, *said]), strategy)
    )


def _broken_text(text: str, strategy: str) -> str:
    found, limits = tokens(text), load_table("gate")["length"]
    if not (1 if strategy == "wait" else limits["least"]) <= len(found) <= limits["most"]:
        return f"has {len(found)} words"
    if _ROLE.search(text):
        return "echoes the prompt"
    first = text.lstrip("\"'“‘¡¿")[:1]
    if _SHAPE.search(text) or _FOREIGN.search(text) or not (first.isupper() or first.isdigit()):
        return "is no plain spoken sentence"
    if not _ENDED.search(text):
        return "is not finished"
    if text.count('"') % 2 or text.count("“") != text.count("”"):
        return "has an open quotation"
    if max(map(len, found)) > 24 or any(a == b == c for a, b, c in zip(found, found[1:], found[2:], strict=False)):
        return "stammers"
    runs = [tuple(found[n : n + _RUN]) for n in range(len(found) - _RUN + 1)]
    if any(runs.count(run) > 1 and len(set(run)) > 1 for run in runs) and len(set(runs)) < len(runs) - 1:
        return "stammers"
    return ""


@dataclass(frozen=True, slots=True)
class _Ban:
    reason: str
    pattern: re.Pattern[str]
    not_for: frozenset[str]
    mood: str
    advice: bool


@cache
def _bans() -> tuple[_Ban, ...]:
    return tuple(
        _Ban(
            str(group["reason"]),
            _compile(group["patterns"]),
            frozenset(group.get("not_for", ())),
            str(group.get("mood", "")),
            bool(group.get("advice", False)),
        )
        for group in load_table("gate")["never"]
    )


def _compile(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w'])(?:{'|'.join(patterns)})(?![\w'])", re.MULTILINE)


def _never_said(text: str, strategy: str, mood: str, advice: bool) -> str:
    lines = "\n".join(filter(None, (plain(part) for part in _SENTENCE.split(text))))
    kind = "heavy" if mood in HEAVY else "glad" if mood in GLAD else "flat"
    for ban in _bans():
        if strategy in ban.not_for or (ban.advice and advice) or ban.mood not in {"", kind}:
            continue
        if ban.pattern.search(lines):
            return ban.reason
    return ""


def _out_of_tune(text: str, strategy: str, mood: str, dialogue: _Dialogue) -> str:
    """Refuse exclamations in distress, and lectures: statements that are not about anybody."""
    if strategy in _TELLING:
        return ""
    if mood in HEAVY:
        loud = [part for part in _SENTENCE.split(text) if part.endswith("!")]
        if text.endswith("!") or any(not dialogue.shares(part) and len(tokens(part)) > _CALL for part in loud):
            return "exclaims where the mood is heavy"
    table: Mapping[str, Sequence[str]] = load_table("gate")["general"]
    found = tokens(text)
    if text.endswith("?") or any(
        word.startswith(("you", "that", "this")) or word in table["someone"] for word in found
    ):
        return ""
    return "speaks in generalities" if any(word in table["verbs"] for word in found) else ""


def _of_itself(text: str, heard: str) -> str:
    """Refuse a life of its own. What the person said word for word, and a relative of theirs said, is a quotation."""
    table: Mapping[str, Sequence[str]] = load_table("gate")["self"]
    forms = {"i": table["i"], "i'm": table["am"], "i've": table["have"], "my": table["my"]}
    for sentence in _SENTENCE.split(_OTHERS_VOICE.sub("", text)):
        line = plain(sentence)
        for match in _SELF.finditer(line):
            rest = match.group(2) or ""
            if match.group(1) not in forms or not rest:
                continue
            if any(f"{rest} ".startswith(f"{start} ") for start in forms[match.group(1)]):
                continue
            if " ".join(line[match.start() :].split()[:3]) not in heard:
                return "speaks of itself as of a person"
    return ""


def _repeats(text: str, words: str, said: Sequence[str]) -> str:
    line, heard = plain(text), plain(words)
    found = tokens(text)
    turned = any(word.startswith("you") for word in found)
    theirs = set(tokens(words))
    for sentence in _SENTENCE.split(text):
        part = plain(sentence)
        if part.count(" ") >= 1 and re.match(r"(?:i|i'm|i've|my)\b", part) and f" {part} " in f" {heard} ":
            return "says the person's words as its own"
    if len(found) > _ECHO and (line in heard or (not turned and sum(w in theirs for w in found) >= 0.8 * len(found))):
        return "only repeats the person's words"
    if any(line in plain(turn) or (len(plain(turn)) > 12 and plain(turn) in line) for turn in said):
        return "was said before"
    return ""


@dataclass(frozen=True, slots=True)
class _Dialogue:
    """The words that were said, as they stand and by their stems."""

    words: frozenset[str]
    stems: frozenset[str]

    @classmethod
    def of(cls, turns: Sequence[str]) -> _Dialogue:
        found = frozenset(part for turn in turns for word in tokens(turn) for part in (word, word.removesuffix("'s")))
        numbers = frozenset(number for turn in turns for number in _DIGITS.findall(turn))
        return cls(found | numbers, frozenset(map(_stem, found)))

    def has(self, word: str) -> bool:
        """Tell whether a form of ``word``, or another name of the same being, was said."""
        word = word.removesuffix("'s")
        return word in self.words or _stem(word) in self.stems or not self.words.isdisjoint(_names(word))

    def shares(self, text: str) -> bool:
        """Tell whether ``text`` takes up a word of weight."""
        return any(self.has(word) for word in _weighty(text))

    def new(self, text: str) -> tuple[int, int]:
        """Return how many words of weight are new, and how many there are."""
        found = list(dict.fromkeys(_weighty(text)))
        return sum(not self.has(word) for word in found), len(found)


@cache
def _beings() -> Mapping[str, frozenset[str]]:
    """The names of each being by its first ones; what stands for several has the names of all."""
    out: dict[str, frozenset[str]] = {}
    for row in load_table("gate")["yours"]["beings"]:
        for word in row:
            out[word] = out.get(word, frozenset()) | frozenset(row)
    return out


def _names(word: str) -> frozenset[str]:
    return _beings().get(word, frozenset())


def _invented(text: str, dialogue: _Dialogue, strategy: str) -> str:
    table: Mapping[str, Any] = load_table("gate")
    free = frozenset(table["yours"]["free"])
    for match in _YOUR.finditer(plain(text)):
        run = match.group(1).split()
        being = next((word for word in run if _names(word.removesuffix("'s"))), None)
        if being is not None and being not in free:
            if not dialogue.has(being) and strategy not in _TELLING:
                return f"speaks of a {being} that nobody named"
            continue
        if not any(word in free or word.removesuffix("'s") in free or dialogue.has(word) for word in run):
            return f"speaks of a {run[0]} that nobody named"
    if strategy in _TELLING:
        return ""
    for sentence in _SENTENCE.split(text):
        line, (new, weighty) = plain(sentence).split(), dialogue.new(sentence)
        if line[:1] == ["your"] and new >= table["new"]["story"] and new == weighty and not free & set(line[1:2]):
            return "goes beyond what was said"
    known = frozenset(table["names"]["free"])
    for name in _NAME.findall(text):
        if not {name, name.removesuffix("s")} & known and not dialogue.has(name.lower()):
            return f"speaks of {name}, whom nobody named"
    counts = frozenset(table["numbers"]["words"]) - frozenset(table["numbers"]["free"])
    if any(word.isdigit() or word in table["numbers"]["any"] for word in dialogue.words):
        return ""
    for number in re.findall(r"[\w-]+", text.lower()):
        mine = [part for part in number.split("-") if part in counts or part.isdigit()]
        if mine and not any(map(dialogue.has, mine)):
            return f"counts {number}, which nobody did"
    return ""


@cache
def _generic() -> re.Pattern[str]:
    return _compile([f"^{pattern}" for pattern in load_table("gate")["generic"]["patterns"]])


def _is_generic(text: str) -> bool:
    lines = "\n".join(plain(part) for part in _SENTENCE.split(text))
    return len(tokens(text)) <= load_table("gate")["generic"]["most"] and _generic().search(lines) is not None


def _weighty(text: str) -> Iterator[str]:
    for word in tokens(text):
        bare = word.removesuffix("'s")
        if len(bare) >= _LEAST_WEIGHT and "'" not in bare and not is_common(bare):
            yield bare


def _stem(word: str) -> str:
    for ending in ("ings", "ing", "ies", "ied", "ers", "er", "est", "ed", "es", "ly", "s", "y", "e"):
        if len(word) - len(ending) >= 3 and word.endswith(ending):
            return word[: -len(ending)]
    return word
