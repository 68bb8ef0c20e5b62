"""How long thinking takes: ``python benchmarks/thinking.py [--generate after_first] [--threads 1] [--turns 12]``.

Prints medians and maxima in milliseconds over the situations of the tests, on this machine:

* ``strategy``: end of turn to the first decision;
* ``first clause``: end of turn to the first clause;
* ``last clause``: end of turn to the end of the reply;

each without :meth:`prepare`, and with the running words prepared while the person spoke. With a writing model also
the time to its first token when the kept cache holds all but the last line, and, as the baseline, when the whole
prompt is read again.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path
from threading import Event

sys.path.insert(0, str(Path(__file__).parent.parent))

from agent.models import resolve
from perception.context import ContextWindow
from policy.backends import compact
from policy.decision import Speak
from policy.writer import conversation, cue
from tests.policy.windows import situation, talk

HISTORY = (
    "My week was long and I hardly slept.",
    "What wore you out the most?",
    "My boss gave me two more projects on Monday, and my mother is ill.",
    "So between your boss and your mother, there's no room to breathe.",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generate", choices=compact.GENERATE, default="off")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=12)
    options = parser.parse_args()
    path = Path(__file__).parent.parent / "tests" / "policy" / "situations.toml"
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["situation"][: options.turns]
    began = time.perf_counter()
    policy = compact.load(resolve=resolve, generate=options.generate, threads=options.threads)
    print(f"load {time.perf_counter() - began:.1f} s, generate={options.generate}, threads={options.threads}")
    asyncio.run(measure(policy, [situation(entry) for entry in entries]))
    if policy.mind.writer is not None:
        first_token(policy, [entry["words"] for entry in entries])
    policy.close()


async def measure(policy: compact.Compact, windows: list[ContextWindow]) -> None:
    await decide(policy, talk("Warm up the threads."), prepared=False)
    for prepared in (False, True):
        # Other words each time, for what was embedded once is remembered.
        rows = [await decide(policy, varied(w, "Well" if prepared else "So"), prepared=prepared) for w in windows]
        for name, column in zip(("strategy", "first clause", "last clause"), zip(*rows, strict=True), strict=True):
            report(f"{name}, {'prepared' if prepared else 'not prepared'}", list(column))


async def decide(policy: compact.Compact, window: ContextWindow, *, prepared: bool) -> tuple[float, float, float]:
    session = policy.session()
    if prepared:
        words = window.turns[-1].text
        await session.prepare(replace(window, entries=window.entries[:-1], hearing=words, cue=""))
    began = time.perf_counter()
    first = clause = 0.0
    async for decision in session.decide(window):
        now = time.perf_counter() - began
        first = first or now
        if isinstance(decision, Speak):
            clause = clause or now
    last = time.perf_counter() - began
    await session.close()
    return first, clause or last, last


def varied(window: ContextWindow, word: str) -> ContextWindow:
    turn = replace(window.turns[-1], text=f"{word}, {window.turns[-1].text}")
    return replace(window, entries=(*window.entries[:-1], turn))


def first_token(policy: compact.Compact, words: list[str]) -> None:
    writer = policy.mind.writer
    assert writer is not None
    kept, anew, sizes = [], [], []
    for text in words:
        window = talk(*HISTORY, text, face="sad")
        pieces = conversation(window)
        chat, stop = writer.chat(), Event()
        chat.read(pieces[:-1], stop)
        began = time.perf_counter()
        sizes.append(chat.read((*pieces, cue("reflection")), stop))
        next(chat.write(stop), "")
        kept.append(time.perf_counter() - began)
        whole = writer.encode(writer.decode(chat._ids))
        began = time.perf_counter()
        writer._forward(whole, writer._new_cache())
        anew.append(time.perf_counter() - began)
    print(f"prompt {len(whole)} tokens, of which {statistics.median(sizes):.0f} are left to read at the end of a turn")
    report("first token, cache kept", kept)
    report("first token, all read again", anew)


def report(name: str, values: list[float]) -> None:
    print(f"{name:32} median {statistics.median(values) * 1000:7.0f} ms   max {max(values) * 1000:7.0f} ms")


if __name__ == "__main__":
    main()
