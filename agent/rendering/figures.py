"""What the workers made of the voices: word error rate by engine and noise, and manners as they came out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from perception.timebase import SECOND
from policy.training.corpus import VOICES
from policy.training.heard import Heard, HeardTurn, Item
from policy.words import plain

NOTHING = "-"
"""The column of turns of which the prosody worker said nothing."""


@dataclass(slots=True)
class Errors:
    """Word errors. ``empty`` counts turns of which no word was recognised."""

    turns: int = 0
    empty: int = 0
    words: int = 0
    wrong: int = 0

    @property
    def rate(self) -> float:
        """Substitutions, deletions and insertions per word that was said."""
        return self.wrong / self.words if self.words else 0.0

    def add(self, said: str, heard: str) -> None:
        """Count one turn."""
        wanted, found = plain(said).split(), plain(heard).split()
        self.turns += 1
        self.empty += not found
        self.words += len(wanted)
        self.wrong += distance(wanted, found)


def distance(wanted: Sequence[str], found: Sequence[str]) -> int:
    """Return the edit distance in words (Levenshtein, 1966)."""
    row = list(range(len(found) + 1))
    for n, word in enumerate(wanted, 1):
        above, row[0] = row[0], n
        for m, other in enumerate(found, 1):
            above, row[m] = row[m], min(row[m] + 1, row[m - 1] + 1, above + (word != other))
    return row[-1]


def verdict(turn: HeardTurn) -> str:
    """Return the label that the prosody worker gave to most of a turn, weighed with its confidence."""
    weights: Counter[str] = Counter()
    for p in turn.prosody:
        weights[p.label] += round(p.confidence * (p.end - p.start))
    return weights.most_common(1)[0][0] if weights else NOTHING


def figures(items: Iterable[Item], heard: Mapping[str, Heard]) -> Iterator[str]:
    """Yield lines of Markdown: two tables of word errors, and one of manners for each engine."""
    by_engine: dict[str, Errors] = defaultdict(Errors)
    by_noise: dict[str, Errors] = defaultdict(Errors)
    manners: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    named: dict[str, Counter[str]] = defaultdict(Counter)
    spoken = count = 0
    for item in items:
        known = heard.get(item.id)
        if known is None:
            continue
        count += 1
        condition = known.condition
        for turn in known.turns:
            spoken += turn.end - turn.start
            for errors in (by_engine[condition.engine], by_noise[_band(condition.noise, condition.snr_db)]):
                errors.add(item.turns[turn.turn].text, turn.text)
            manner = condition.manners[turn.turn]
            manners[condition.engine][manner][verdict(turn)] += 1
            named[condition.engine][manner] += any(p.label == manner for p in turn.prosody)
    yield f"{count} items, {spoken / SECOND / 3600:.2f} hours of speech"
    for title, table in (("Engine", by_engine), ("Noise", by_noise)):
        yield from _errors(title, table)
    for engine in sorted(manners):
        yield from _manners(engine, manners[engine], named[engine])


def _band(noise: str, snr_db: float | None) -> str:
    if snr_db is None:
        return noise
    return f"{noise}, {'below' if snr_db < 18.0 else 'from'} 18 dB"


def _errors(title: str, table: Mapping[str, Errors]) -> Iterator[str]:
    yield ""
    yield f"| {title} | Turns | Words | Word error rate | Turns without a word |"
    yield "|---|--:|--:|--:|--:|"
    for name in sorted(table):
        e = table[name]
        yield f"| {name} | {e.turns} | {e.words} | {e.rate:.1%} | {e.empty / e.turns:.1%} |"


def _manners(engine: str, table: Mapping[str, Counter[str]], named: Mapping[str, int]) -> Iterator[str]:
    columns = [*VOICES, NOTHING]
    yield ""
    yield f"| {engine}: asked for | {' | '.join(columns)} | As asked | Named at least once |"
    yield "|---|" + "--:|" * (len(columns) + 2)
    for manner in (*VOICES, ""):
        row = table.get(manner, Counter())
        total = sum(row.values())
        if total:
            cells = " | ".join(str(row[label]) for label in columns)
            hit = f"{row[manner] / total:.0%} | {named[manner] / total:.0%}" if manner else " | "
            yield f"| {manner or '(nothing)'} | {cells} | {hit} |"
