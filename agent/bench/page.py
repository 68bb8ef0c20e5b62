"""The report of a run as one HTML file that needs nothing else: numbers, plots, and every item to look into.

The assets in ``agent/bench/page/`` are put into it, as :mod:`agent.pages` does it: one block of data for the list and
one per item, which the page reads when it is opened; so thousands of items are quick.
"""

from __future__ import annotations

import math
import mimetypes
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from agent import pages
from agent.bench.judging import KINDS, Judged, Try, judge, repeats_of, selected
from agent.bench.records import Record, replacing
from agent.bench.summary import FIXED_COSTS, best_known, fixed_costs
from agent.bench.timeline import LANES, spans
from perception.timebase import as_seconds
from policy.tasks import Item, Task

SCRIPTS: Final = ("charts.js", "timeline.js", "item.js", "page.js")
_SOURCES: Final = "data: blob: file: 'self'"
_TYPES: Final = {**pages.PLAYED, ".avi": "video/x-msvideo", ".mov": "video/quicktime"}
"""Media that an item may have; whether a browser plays it is up to the browser."""


def write_page(
    path: Path,
    summary: Mapping[str, Any],
    task: Task,
    items: Sequence[Item],
    records: Sequence[Record],
    *,
    media_of: Callable[[Item], Path | None],
    embed_limit_bytes: int = 32 << 20,
    comparison: Mapping[str, Any] | None = None,
) -> None:
    """Write the page. A file that is there is replaced at once, when the new one is whole.

    Args:
        path: of the page.
        summary: as :func:`agent.bench.summary.summarise` returns it.
        task: the benchmark.
        items: of the data set; those that the summary is about are shown.
        records: what came of them.
        media_of: where the file of an item is; ``None`` if it is nowhere.
        embed_limit_bytes: how much media may be put into the page in all, smallest files first; the others are linked
            by their place relative to the page.
        comparison: as :func:`agent.bench.compare.compare` returns it.

    Raises:
        OSError: a file cannot be read, or the page not be written.
    """
    chosen = selected(items, summary)
    judged = judge(task, chosen, records, repeats=_repeats(summary, records), mode=str(summary["mode"]))
    by_item: dict[str, list[Judged]] = {item.id: [] for item in chosen}
    for one in judged:
        by_item[one.item.id].append(one)
    places = {item.id: _place(media_of(item)) for item in chosen}
    embedded = _embedded((place for place in places.values() if place is not None), embed_limit_bytes)
    pool = _Pool(records)
    parts = [
        pages.block(f"item-{n}", _detail(found, places[i], embedded, path.parent, pool))
        for n, (i, found) in enumerate(by_item.items())
    ]
    parts += [pages.medium(f"media-{number}", place, _type(place)) for place, number in embedded.items()]
    head = {
        "summary": {k: v for k, v in summary.items() if k != "selected"},
        "comparison": comparison,
        "fixed_costs": FIXED_COSTS if fixed_costs(summary) else "",
        "kinds": KINDS,
        "lanes": LANES,
        "beside": [row["model"] for row in best_known(summary)],
        "times": sorted(round(t.answer.answer_s, 3) for j in judged for t in j.tries if t.answered and t.answer),
        "items": [_row(found) for found in by_item.values()],
        "texts": pool.shared,
    }
    with replacing(path, errors="replace") as out:
        title, folder = f"{summary['title']}: what came of the run", files("agent.bench") / "page"
        out.writelines(pages.page(title, folder, SCRIPTS, [pages.block("data", head), *parts], media=_SOURCES))


class _Pool:
    """Texts of prompts that occur more than once, such as instructions, and are kept once."""

    def __init__(self, records: Iterable[Record]) -> None:
        counts = Counter(str(message.get("content", "")) for r in records for a in r.answers for message in a.prompt)
        self.shared = [text for text, count in counts.items() if count > 1 and len(text) > 40]
        self._numbers = {text: number for number, text in enumerate(self.shared)}

    def __call__(self, text: str) -> str | int:
        """Return the number of a shared text, or else the text."""
        return self._numbers.get(text, text)


def _repeats(summary: Mapping[str, Any], records: Iterable[Record]) -> int:
    return int(summary["repeats"]["count"]) or repeats_of(records, {})


def _place(path: Path | None) -> Path | None:
    return None if path is None else Path(os.path.abspath(path))


def _embedded(places: Iterable[Path], limit: int) -> dict[Path, int]:
    """Return the files that fit into the page, smallest first, numbered."""
    sizes = sorted((place.stat().st_size, str(place), place) for place in set(places) if place.is_file())
    found: dict[Path, int] = {}
    total = 0
    for size, _, place in sizes:
        total += size
        if total > limit:
            break
        found[place] = len(found)
    return found


def _type(place: Path) -> str:
    return _TYPES.get(place.suffix.lower()) or mimetypes.guess_type(place.name)[0] or "application/octet-stream"


def _media(item: Item, place: Path | None, embedded: Mapping[Path, int], folder: Path) -> dict[str, Any]:
    name = item.media or "no medium"
    if place is None or not place.is_file():
        return {"name": name, "kind": "missing"}
    kind = _type(place).partition("/")[0]
    kind = kind if kind in ("audio", "image") else "video" if item.sees else "audio"
    if place in embedded:
        return {"name": name, "kind": kind, "embedded": embedded[place]}
    try:
        link = quote(Path(os.path.relpath(place, folder)).as_posix())
    except ValueError:  # on another drive
        link = place.as_uri()
    return {"name": name, "kind": kind, "link": link}


def _state(found: Sequence[Judged]) -> str:
    tries = [t for j in found for t in j.tries]
    if not all(t.answered for t in tries):
        return "error"
    mean = math.fsum(j.strict for j in found) / len(found)
    return "right" if mean == 1 else "wrong" if mean == 0 else "partly"


def _said(one: Judged) -> str:
    said = dict.fromkeys(t.strict.parsed or "?" if t.answered else "–" for t in one.tries)
    return " / ".join(said)


def _row(found: Sequence[Judged]) -> dict[str, Any]:
    """Return an item as the list shows it and the filters know it."""
    item = found[0].item
    times = [t.answer.answer_s for j in found for t in j.tries if t.answered and t.answer]
    asks = [j.ask for j in found if j.ask is not None]
    return {
        "id": item.id,
        "code": found[0].code,
        "media": item.media,
        "question": asks[0].question if asks else item.problem or "no question",
        "also": " ".join([*(a.question for a in asks[1:]), *(o for a in asks for o in a.options)]),
        "asks": len(asks),
        "right": " · ".join(a.answer for a in asks),
        "said": " · ".join(_said(j) for j in found),
        "raw": " ".join((t.answer.raw or "")[:400] for j in found for t in j.tries if t.answer),
        "state": _state(found),
        "wrong": any(t.answered and t.strict.credit == 0 for j in found for t in j.tries),
        "error": next((t.message or t.kind for j in found for t in j.tries if not t.answered), ""),
        "took": round(sum(times) / len(times), 3) if times else None,
    }


def _detail(
    found: Sequence[Judged], place: Path | None, embedded: Mapping[Path, int], folder: Path, pool: _Pool
) -> dict[str, Any]:
    """Return all there is to know about an item."""
    item = found[0].item
    asks = [j for j in found if j.ask is not None]
    runs = [_run([j.tries[n] for j in asks] or [found[0].tries[n]], n, pool) for n in range(len(found[0].tries))]
    return {
        "id": item.id,
        "task_type": item.task_type,
        "media": _media(item, place, embedded, folder),
        "sees": item.sees,
        "hears": item.hears,
        "problem": item.problem,
        "asks": [
            {
                "question": j.ask.question,
                "pattern": j.ask.pattern,
                "options": j.ask.options,
                "answer": j.ask.answer,
                "at_s": None if j.ask.at is None else as_seconds(j.ask.at),
            }
            for j in asks
            if j.ask is not None
        ],
        "runs": runs,
    }


def _run(tries: Sequence[Try], number: int, pool: _Pool) -> dict[str, Any]:
    record = tries[0].record
    known: dict[str, Any] = {"repeat": number, "answers": [_answer(t, pool) for t in tries]}
    if record is None:
        return known
    return known | {
        "error": record.error,
        "notes": record.notes,
        "stages": record.stages,
        "frames_seen": record.frames_seen,
        "heard_s": record.heard_s,
        "media_s": record.media_s,
        "took_s": record.took_s,
        "timeline": spans(record.timeline),
    }


def _answer(one: Try, pool: _Pool) -> dict[str, Any]:
    strict, reference, answer = one.strict, one.reference, one.answer
    known: dict[str, Any] = {
        "kind": one.kind,
        "message": one.message,
        "strict": {"credit": strict.credit, "parsed": strict.parsed},
        "reference": {
            "credit": reference.credit,
            "counts": reference.counts,
            "parsed": reference.parsed,
            "crash": reference.crash,
        },
    }
    if answer is None:
        return known
    return known | {
        "raw": answer.raw,
        "reason": answer.reason,
        "at_s": answer.at_s,
        "frames": answer.frames,
        "heard_s": answer.heard_s,
        "tokens": answer.tokens,
        "answer_s": answer.answer_s,
        "prompt": [[str(m.get("role", "")), pool(str(m.get("content", "")))] for m in answer.prompt],
    }
