"""What the benchmark runner costs: the loop around the models, the senses, and several items at once.

* overhead of the loop: a minute through transport, clock, call, context and policy without any sense, beside
  decoding alone (floor);
* the senses of a run, in seconds of media per second of one core;
* a whole run against the plain sequential way: decode a file, feed every sense, ask, and write the whole
  result file anew after each item. Loading the models, once in each process, is told apart.

    python -m benchmarks.bench [--items 24] [--jobs 2]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent import build
from agent.bench import builtin, plan, running
from agent.bench.child import Job
from agent.bench.condition import Condition
from agent.bench.progress import Meter
from agent.bench.replaying import VIDEO_HZ, replay
from agent.config import Config, Use, for_bench
from agent.media_file import open_media
from agent.models import resolve
from agent.parts import Parts
from agent.voices.plain import PlainVoice
from benchmarks.replay import MINUTE_S, minute
from perception.context import CUE_QUESTION, ContextWindow, RollingContext
from perception.media import AudioChunk, Text, VideoFrame
from perception.timebase import SECOND, seconds
from policy.decision import Decision, Speak
from policy.prompt import summarise, weigh
from policy.tasks import Ask, Item, Task


class _Nobody:
    """A policy that costs nothing."""

    name = "nobody"

    def session(self) -> _Nobody:
        return self

    async def prepare(self, window: ContextWindow, /) -> None: ...

    async def decide(self, window: ContextWindow, /) -> AsyncIterator[Decision]:
        yield Speak(text="A", reason="")

    async def close(self) -> None: ...


class _Mind:
    name = "nobody"

    def session(self) -> _Nobody:
        return _Nobody()

    def close(self) -> None: ...


class _One:
    """A task of one file."""

    def media_path(self, folder: Path, item: Item) -> Path:
        return folder / item.media

    def ask(self, item: Item, ask: Ask, **_: Any) -> str:
        return ask.question


def cpu(work: Callable[[], Any], repeats: int = 3) -> float:
    """Median CPU seconds of the process."""
    took = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return statistics.median(took)


def one(folder: Path, name: str, workers: Sequence[Any]) -> None:
    ask = Ask(id="q", question="?", pattern="single", answer="A", options=("A. a", "B. b"))
    item = Item(id="i", task_type="T", media=name, asks=(ask,))
    config = for_bench(Config())
    parts = Parts(workers, _Mind(), PlainVoice(), config.call)
    costs = {k: seconds(v) for k, v in config.replay.costs.items()}
    task: Any = _One()
    record = replay(item, folder, task=task, parts=parts, condition=Condition(), costs=costs)
    assert [answer.raw for answer in record.answers] == ["A"], record.error


def loop(folder: Path) -> None:
    path = minute(folder)

    def decode() -> None:
        with open_media(path, most_hz=VIDEO_HZ) as media:
            for _ in media:
                pass

    floor = cpu(decode)
    whole = cpu(lambda: one(folder, path.name, []))
    overhead = whole - floor
    print(f"decoding {MINUTE_S} s alone, CPU                       {floor:6.2f} s")
    print(f"the loop without senses, CPU                     {whole:6.2f} s")
    print(f"overhead of the loop                             {overhead:6.2f} s   goal {0.3 * floor:.2f} s")
    senses = build.workers(for_bench(Config()).workers, resolve)
    one(folder, path.name, senses)  # warm
    seen = cpu(lambda: one(folder, path.name, senses), 1)
    print(f"with every sense, CPU                            {seen:6.2f} s")
    print(f"media per second of one core                     {MINUTE_S / seen:6.2f} s   goal 4 s")


def plainly(folder: Path, items: Sequence[Item], task: Task, out: Path) -> float:
    """The usual way."""
    config = for_bench(Config())
    with build.runtime(config) as runtime:
        began = time.perf_counter()
        results: list[dict[str, Any]] = []
        for item in items:
            senses = [(factory.accepts, factory()) for factory in runtime.parts.workers]
            context = RollingContext(Condition().bounds(0, 0), weigh=weigh, summarise=summarise)
            now = 0
            with open_media(task.media_path(folder, item), sound=item.hears, pictures=item.sees) as media:
                for medium in media:
                    now = medium.end if isinstance(medium, AudioChunk) else medium.at
                    for accepts, worker in senses:
                        if isinstance(medium, accepts) and isinstance(medium, (AudioChunk, VideoFrame)):
                            for percept in worker.feed([medium]):
                                context.note(percept)
            ask = item.asks[0]
            context.note(Text(task.ask(item, ask), now, form=ask.pattern, options=ask.options))
            window = replace(context.window(now, cue=CUE_QUESTION), audio=(), frames=())
            results.append({"id": item.id, "raw": asyncio.run(_answer(runtime.parts.policy.session(), window))})
            out.write_text(json.dumps(results), encoding="utf-8")
        return time.perf_counter() - began


async def _answer(session: Any, window: ContextWindow) -> str:
    said = [d.text async for d in session.decide(window) if isinstance(d, Speak)]
    await session.close()
    return " ".join(said)


def together(folder: Path, items: Sequence[Item], task: Task, out: Path, jobs: int) -> float:
    """The run."""
    began = time.perf_counter()
    job = Job(task="humansense", options={}, data=str(folder), config="", policy="", condition=Condition().as_json())
    selection = plan.Selection()
    identity = plan.identity(task, folder, items, job, selection, comparable=False)
    running.run(
        out, items, identity, job, selection, jobs=jobs, patience=600 * SECOND, told=lambda counts, record: None
    )
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        loop(Path(name))
        with Meter() as meter:
            folder = builtin.build(builtin.default_folder(), meter)
        task = build.task(Use("humansense"))
        items = [item for item in task.items(folder) if not item.problem][: options.items]
        sequential = plainly(folder, items, task, Path(name) / "results.json")
        start = together(folder, items[:1], task, Path(name) / "start", 1)
        both = together(folder, items, task, Path(name) / "run", options.jobs) - start
    ratio = sequential / both
    print(f"loading the models                               {start:6.1f} s")
    print(f"{len(items)} items one after another                      {sequential:6.1f} s")
    print(f"the same as a run, {options.jobs} at once                     {both:6.1f} s   ratio {ratio:.2f}   goal 1.7")


if __name__ == "__main__":
    main()
