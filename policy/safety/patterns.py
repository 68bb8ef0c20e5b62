"""Patterns of plain danger, which nothing overrules; they stand in ``policy/data/danger-plain.toml``.

Plain danger is what somebody says outright: first person, in the present, as an intent or as just done; somebody who is
being hurt; an emergency of the body. A turn is read clause by clause (:mod:`policy.safety.clauses`). What takes a
pattern back is read in the same clause only: a negation that governs it, a film or a dream it is told of, a time that
is long over. Each rule names what may excuse it, and the first person's present or intent names nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from policy.safety.clauses import Clause, sentences, split, windows
from policy.words import load_table

ORDER: Final = ("self_harm", "medical", "abuse", "harm_others")
"""The kinds of danger, gravest first."""

_FILE: Final = "policy/data/danger-plain.toml"
_PART: Final = re.compile(r"\{([a-z]+)\}")
_HEAD: Final = re.compile(r"\{[a-z]+\} ")
_LOOK: Final = re.compile(r"\(\?<?!(?:[^()]|\([^()]*\))*\)|\\[a-z]|\[[^\]]*\]")
_MAYBE: Final = re.compile(r"[a-z][?*]")
_STEM: Final = re.compile(r"(?<![a-z0-9])[a-z0-9]{2,}")
_TENSES: Final = ("now", "done", "auto")
_DEEPEST: Final = 6
_GAP: Final = r"(?: \w+){0,8} ?$"
_WORDS: Final = 20_000
"""Words of which it is remembered which rules need them."""
_NEAR: Final = 100
"""Characters before a pattern in which a negation may stand."""


class PatternError(ValueError):
    """The file breaks its schema; the message names file, entry and field."""


@dataclass(frozen=True, slots=True)
class Match:
    """A pattern that was found.

    Attributes:
        kind: one of :data:`ORDER`.
        clause: the clause in which it stands, in its plain form.
        language: two letters.
    """

    kind: str
    clause: str
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Excuse:
    """What may take a pattern back: told in a film, long over, somebody's work.

    Attributes:
        before: ends up to eight words before the pattern.
        after: follows the pattern.
        beside: stands in the phrase of time that belongs to the clause.
        past: counts only where the pattern is in a past tense.
    """

    before: re.Pattern[str] | None
    after: re.Pattern[str] | None
    beside: re.Pattern[str] | None
    past: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """Patterns of one way to say one kind of danger.

    Attributes:
        kind: one of :data:`ORDER`.
        about: what it is, for a reader of the file.
        stems: a word that begins with one of these is in whatever the rule finds; spares the time to try all others.
        pattern: all of its expressions.
        before: what makes it harmless right before it.
        after: what makes it harmless right after it.
        near: what makes it harmless anywhere in the same clause.
        excused: names of excuses that count for it.
        tense: ``now``, ``done``, or ``auto`` where the verb before it decides.
        wide: it is looked for in whole sentences, too, for it may take two statements to say it.
        marked: it is looked for where each word for a person ends in ``_``, which then stands for anybody.
    """

    kind: str
    about: str
    stems: re.Pattern[str]
    pattern: re.Pattern[str]
    before: re.Pattern[str] | None = None
    after: re.Pattern[str] | None = None
    near: re.Pattern[str] | None = None
    excused: tuple[str, ...] = ()
    tense: str = "now"
    wide: bool = False
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """The file, compiled; see :func:`parse`."""

    rules: Sequence[Rule]
    idioms: re.Pattern[str]
    persons: re.Pattern[str]
    excuses: Mapping[str, Excuse]
    quoted: re.Pattern[str]
    negated: re.Pattern[str]
    spared: re.Pattern[str]
    past: re.Pattern[str]
    present: re.Pattern[str]
    _by_word: dict[str, frozenset[int]] = field(default_factory=dict)

    def wanted(self, text: str) -> list[Rule]:
        """Return the rules that may find something in the plain ``text``, in their order."""
        found: set[int] = set()
        for word in set(text.split()):
            rules = self._by_word.get(word)
            if rules is None:
                rules = frozenset(n for n, rule in enumerate(self.rules) if rule.stems.match(word))
                if len(self._by_word) < _WORDS:
                    self._by_word[word] = rules
            found |= rules
        return [self.rules[n] for n in sorted(found)]


def search(words: str) -> Match | None:
    """Return the gravest danger that ``words`` speak of plainly, or ``None``."""
    found = find(words)
    return found[0] if found else None


def find(words: str) -> list[Match]:
    """Return each danger that ``words`` speak of plainly, the gravest first; of each kind and clause one."""
    table = patterns()
    found: dict[Match, None] = {}
    for sentence in dict.fromkeys(sentences(words)):
        if not table.wanted(sentence):
            continue
        meant = table.idioms.sub("~", sentence)
        whole = [(clause, True) for clause in windows(Clause(" ".join(meant.replace(",", " ").split())))]
        for clause, wide in [(clause, False) for clause in dict.fromkeys(split(meant))] + whole:
            for rule in table.wanted(clause.text):
                match = Match(rule.kind, clause.text)
                if (rule.wide or not wide) and match not in found and _holds(table, rule, clause):
                    found[match] = None
    return sorted(found, key=lambda match: ORDER.index(match.kind))


def _holds(table: Table, rule: Rule, clause: Clause) -> bool:
    """Tell whether the rule is found in the clause and nothing there takes it back."""
    text, at = clause.text, 0
    marked = table.persons.sub(_mark, text) if rule.marked else text
    while (found := rule.pattern.search(marked, at)) is not None:
        said = _bare(found.group())
        left, right = _bare(marked[: found.start()]).rstrip(), _bare(marked[found.end() :]).lstrip()
        follows = right or clause.after
        if not (
            _is_negated(table, left)
            or _ends(rule.before, left)
            or (rule.after is not None and rule.after.match(follows) is not None)
            or (rule.near is not None and rule.near.search(text) is not None)
            or table.quoted.search(left[-_NEAR:]) is not None
            or any(_excuses(table, rule, name, clause, (left, said, right)) for name in rule.excused)
        ):
            return True
        at = found.start() + 1
    return False


def _mark(found: re.Match[str]) -> str:
    return f"{found.group()}_"


def _bare(marked: str) -> str:
    return marked.replace("_", "")


def _is_negated(table: Table, left: str) -> bool:
    near = left[-_NEAR:]
    return table.negated.search(near) is not None and table.spared.search(near) is None


def _ends(pattern: re.Pattern[str] | None, left: str) -> bool:
    return pattern is not None and pattern.search(left[-_NEAR:]) is not None


def _excuses(table: Table, rule: Rule, name: str, clause: Clause, around: tuple[str, str, str]) -> bool:
    """Tell whether an excuse takes a pattern back; ``around`` is what stands before it, itself, and after it."""
    excuse, (left, middle, right) = table.excuses[name], around
    if excuse.beside is not None:
        right = right or clause.after  # what tells of a time may stand in a clause of its own
    if excuse.past and not _is_past(table, rule, f"{left} {middle}"):
        return False
    return (
        _ends(excuse.before, left)
        or (excuse.after is not None and excuse.after.match(right) is not None)
        or (excuse.beside is not None and excuse.beside.search(f"{clause.before} | {clause.after}") is not None)
    )


def _is_past(table: Table, rule: Rule, told: str) -> bool:
    """Tell whether a pattern is in a past tense: as its rule says, or as the last verb says that governs it."""
    if rule.tense != "auto":
        return rule.tense == "done"
    past = max((m.start() for m in table.past.finditer(told)), default=-1)
    present = max((m.start() for m in table.present.finditer(told)), default=-1)
    return past > present


@cache
def patterns() -> Table:
    """Return the compiled file."""
    return parse(load_table("danger-plain"))


def parse(table: Mapping[str, Any]) -> Table:
    """Compile the file.

    Raises:
        PatternError: a section or field is missing or unknown, a part or an excuse is not known, or an expression is
            no regular expression.
    """
    parts = table.get("part", {})
    if not isinstance(parts, Mapping) or not all(isinstance(part, str) for part in parts.values()):
        raise PatternError(f"{_FILE}: [part] is {parts!r}, expected a table of expressions")
    speed = _section(table, "speed")
    read = _Reader(parts, _strings(speed, "vague"), _strings(speed, "common"))
    excuses = {name: read.excuse(name, given) for name, given in _section(table, "excuse").items()}
    given = table.get("danger")
    if not isinstance(given, list) or not given:
        raise PatternError(f"{_FILE}: [[danger]] is {given!r}, expected at least one entry")
    governs = _section(table, "governs")
    return Table(
        rules=tuple(read.rule(n, entry, excuses) for n, entry in enumerate(given, 1)),
        idioms=read.words("[idioms] patterns", _section(table, "idioms").get("patterns")),
        persons=read.words("[persons] patterns", _section(table, "persons").get("patterns")),
        excuses=excuses,
        quoted=read.words("[governs] quoted", governs.get("quoted"), end=r"(?: \w+){0,4} ?$"),
        negated=read.negation(governs),
        spared=read.words("[governs] spared", governs.get("spared"), end=r"(?: \w+){0,8} ?$"),
        past=read.words("[governs] past", governs.get("past")),
        present=read.words("[governs] present", governs.get("present")),
    )


def _section(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    given = table.get(name)
    if not isinstance(given, Mapping):
        raise PatternError(f"{_FILE}: [{name}] is {given!r}, expected a table")
    return given


def _strings(speed: Mapping[str, Any], name: str) -> list[str]:
    given = speed.get(name)
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise PatternError(f"{_FILE}: [speed] {name} is {given!r}, expected a list of words")
    return given


class _Reader:
    """Compiles expressions in which names in braces stand for parts."""

    def __init__(self, parts: Mapping[str, str], vague: Sequence[str], common: Sequence[str]) -> None:
        self._parts = parts
        self._vague = frozenset(vague)
        self._common = frozenset(common)

    def words(self, where: str, given: Any, *, start: str = r"(?<!\w)", end: str = r"(?!\w)") -> re.Pattern[str]:
        """Compile a list of expressions into one, which is found at the borders of words."""
        if not isinstance(given, list) or not given or not all(isinstance(one, str) and one for one in given):
            raise PatternError(f"{_FILE}: {where} is {given!r}, expected a list of expressions")
        at = f"{_FILE}: {where}"
        try:
            return re.compile(f"{start}(?:{'|'.join(self._joined(given, at))}){end}")
        except re.error:
            for n, pattern in enumerate(given, 1):
                _check(self._expand(pattern, f"{at} {n}"), f"{at} {n}")
            raise

    def _joined(self, given: Sequence[str], at: str) -> list[str]:
        """Expand expressions; what begins with the same part shares it, which spares most of the time to compile."""
        by_head: dict[str, list[str]] = {}
        for n, pattern in enumerate(given, 1):
            head, rest = pattern[: match.end()] if (match := _HEAD.match(pattern)) else "", pattern
            by_head.setdefault(self._expand(head, at), []).append(self._expand(rest[len(head) :], f"{at} {n}"))
        return [f"{head}(?:{'|'.join(rests)})" for head, rests in by_head.items()]

    def negation(self, governs: Mapping[str, Any]) -> re.Pattern[str]:
        """Compile what negates a pattern: one of ``negation``, then only words of ``through``, then the pattern."""
        through = self.words("[governs] through", governs.get("through"), start="", end="").pattern
        return self.words("[governs] negation", governs.get("negation"), end=rf"(?: (?:{through})){{0,9}} ?$")

    def excuse(self, name: str, given: Any) -> Excuse:
        """Read ``[excuse.<name>]``."""
        where = f"[excuse.{name}]"
        if not isinstance(given, Mapping) or not given:
            raise PatternError(f"{_FILE}: {where} is {given!r}, expected before, after, beside or past")
        self._known(where, given, {"before", "after", "beside", "past"})
        before = self._maybe(where, given, "before", end=_GAP)
        after = self._maybe(where, given, "after", start=r"(?:\w+ ){0,8}?")
        return Excuse(before, after, self._maybe(where, given, "beside"), bool(given.get("past", False)))

    def rule(self, n: int, given: Any, excuses: Mapping[str, Excuse]) -> Rule:
        """Read the ``n``-th ``[[danger]]``."""
        about = given.get("about") if isinstance(given, Mapping) else None
        where = f"[[danger]] {n}" + (f" ({about})" if about else "")
        if not isinstance(given, Mapping) or not isinstance(about, str):
            raise PatternError(f"{_FILE}: {where} about is {about!r}, expected what the entry is about")
        names = {"kind", "about", "patterns", "before", "after", "near", "excused", "tense", "wide", "marked"}
        self._known(where, given, names)
        kind, tense, excused = given.get("kind"), given.get("tense", "now"), given.get("excused", [])
        if kind not in ORDER:
            raise PatternError(f"{_FILE}: {where} kind is {kind!r}, expected one of {', '.join(ORDER)}")
        if tense not in _TENSES:
            raise PatternError(f"{_FILE}: {where} tense is {tense!r}, expected one of {', '.join(_TENSES)}")
        unknown = [name for name in excused if name not in excuses]
        if unknown:
            known = ", ".join(excuses)
            raise PatternError(f"{_FILE}: {where} excused: there is no excuse {unknown[0]}; there are {known}")
        pattern = self.words(f"{where} patterns", given.get("patterns"))
        return Rule(
            kind=kind,
            about=about,
            stems=re.compile("|".join(sorted(self._stems(given["patterns"])))),
            pattern=pattern,
            before=self._maybe(where, given, "before", end=r" ?$"),
            after=self._maybe(where, given, "after", start=""),
            near=self._maybe(where, given, "near"),
            excused=tuple(excused),
            tense=tense,
            wide=bool(given.get("wide", False)),
            marked=bool(given.get("marked", False)),
        )

    def _stems(self, given: Sequence[str]) -> set[str]:
        """Return the beginnings of words of which one is in all that the expressions find, the commonest left out.

        Persons, gaps and intents say nothing, so parts made of them are left out, too.
        """
        text = " ".join(given)
        for _ in range(_DEEPEST):
            text = _PART.sub(lambda match: " " if match.group(1) in self._vague else self._parts[match.group(1)], text)
        text = _MAYBE.sub("", _LOOK.sub(" ", _LOOK.sub(" ", text)))
        return {stem for stem in _STEM.findall(text) if stem not in self._common}

    def _maybe(
        self, where: str, given: Mapping[str, Any], name: str, *, start: str = r"(?<!\w)", end: str = r"(?!\w)"
    ) -> re.Pattern[str] | None:
        return self.words(f"{where} {name}", given[name], start=start, end=end) if name in given else None

    def _known(self, where: str, given: Mapping[str, Any], names: set[str]) -> None:
        unknown = sorted(given.keys() - names)
        if unknown:
            raise PatternError(f"{_FILE}: {where} {unknown[0]} is not known; there are {', '.join(sorted(names))}")

    def _expand(self, pattern: str, where: str) -> str:
        for _ in range(_DEEPEST):
            names = _PART.findall(pattern)
            unknown = [name for name in names if name not in self._parts]
            if unknown:
                raise PatternError(f"{where}: there is no part {{{unknown[0]}}}; there are {', '.join(self._parts)}")
            if not names:
                break
            pattern = _PART.sub(lambda match: self._parts[match.group(1)], pattern)
        return pattern


def _check(pattern: str, where: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise PatternError(f"{where}: {error}") from None
