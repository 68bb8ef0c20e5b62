"""A place with devices in memory: what the microphone hears is scripted, and what the speaker plays is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from agent import config
from agent.build import Runtime
from agent.clock import Clock
from agent.initiative import InitiativeOptions
from agent.onboard.devices import Line, Pixels, Samples, See
from agent.onboard.station import Station
from agent.parts import CallOptions, Parts
from agent.privacy.ledger import Ledger
from agent.staged import Script
from agent.turns import TurnOptions
from agent.voices.plain import PlainVoice
from perception.percept import Percept
from perception.timebase import MS, Nanos
from tests.agent.stage import Mind, Mindful, kind_words

COSTS: dict[str, Nanos] = {"ear": MS, "asr": MS, "vad": MS, "eye": MS, "policy": 50 * MS, "voice": 10 * MS}


class MemorySound:
    """Hears a hum for ``lasts`` seconds (0: for ever), and keeps what it plays."""

    rate_hz = 48_000
    delay_s = 0.0

    def __init__(self, lasts: float = 0.0, *, hears: bool = True, block_ms: int = 20) -> None:
        self.hears = hears
        self._block_ms, self._count = block_ms, 48 * block_ms
        self.played: list[Samples] = []
        self.closed = 0
        self._lasts = lasts

    async def run(self, line: Line, clock: Clock) -> None:
        far = np.zeros(self._count, np.float32)
        begun = clock.now()
        blocks = 0
        while True:
            blocks += 1
            await clock.sleep_until(begun + blocks * self._block_ms * MS)
            if self.hears:
                line.hear(np.full(self._count, 0.01, np.float32), far)
            far = line.next(self._count)
            self.played.append(far)
            if self._lasts and blocks == round(self._lasts * 1000 / self._block_ms):
                line.over()

    def close(self) -> None:
        self.closed += 1

    def sounding(self) -> list[tuple[float, float]]:
        """Stretches in which something was played, in seconds; pauses of less than half a second are no end."""
        loud = [n * self._block_ms / 1000 for n, block in enumerate(self.played) if np.abs(block).max() > 0.01]
        found: list[tuple[float, float]] = []
        for at in loud:
            if found and at - found[-1][1] < 0.5:
                found[-1] = (found[-1][0], at)
            else:
                found.append((at, at))
        return [(round(a, 2), round(b, 2)) for a, b in found]


class MemoryCamera:
    """Ten pictures a second: of an empty place, and of somebody between the given seconds."""

    def __init__(self, somebody: Iterable[tuple[float, float]] = ()) -> None:
        self._somebody = tuple(somebody)

    async def run(self, see: See, clock: Clock) -> None:
        count = 0
        while True:
            await clock.sleep_until(count * 100 * MS)
            see(picture(any(a <= count / 10 < b for a, b in self._somebody)))
            count += 1

    def close(self) -> None: ...


def picture(somebody: bool) -> Pixels:
    """A grey place, 64 by 48, with or without somebody."""
    pixels = np.full((48, 64, 3), 120, np.uint8)
    pixels[:, :, 1] += np.arange(64, dtype=np.uint8)
    if somebody:
        pixels[10:48, 20:44] = (200, 160, 140)
    return pixels


def place(sound: MemorySound | None = None, camera: MemoryCamera | None = None) -> Station:
    return Station(sound or MemorySound(), camera)


def runtime(
    folder: Path, *, hears: Sequence[tuple[Nanos, Percept]] = (), name: str = "ear", journal: Path | None = None
) -> Runtime:
    """Scripted senses, a scripted mind and the plain voice; what is agreed to is stored in ``folder``."""
    table: dict[str, object] = {"privacy": {"directory": str(folder)}}
    if journal is not None:
        table["journal"] = {"directory": str(journal), "personal": True}
    options = CallOptions(
        greeting=False, reflexes=False, turns=TurnOptions(silence=0), initiative=InitiativeOptions(enabled=False)
    )
    senses = [Script(name, list(hears)), Script("eye", [], sees=True)]
    parts = Parts(workers=senses, policy=Mindful(Mind(kind_words)), voice=PlainVoice(), options=options)
    return Runtime(config.parse(table, "place"), parts, Ledger(folder))


def configuration(path: Path) -> Path:
    """Write the configuration of a call without models; what is agreed to is stored beside it."""
    path.write_text(
        f"""
        workers = ["scene"]
        policy = "scripted"
        voice = "plain"
        privacy.directory = "{path.parent}"
        safety = {{ enabled = false, acknowledge = "I run without the safety lane" }}
        """
    )
    return path


def old_journal(configuration: Path) -> Path:
    """Have a configuration keep journals in a folder beside it, and put one there that is years too old."""
    folder = configuration.parent / "journals"
    folder.mkdir()
    with configuration.open("a") as file:
        file.write(f'journal = {{ directory = "{folder}" }}\n')
    old = folder / "2020-01-01T000000000+0000-a.jsonl"
    old.write_text("")
    return old


class KeptScreen:
    """A screen that keeps what it was told."""

    def __init__(self) -> None:
        self.touched: asyncio.Queue[str] = asyncio.Queue()
        self.actions: list[object] = []
        self.screens: list[tuple[str, str, tuple[str, ...], str]] = []
        self.cleared = 0
        self.loudest = 0.0

    def show(self, action: object) -> None:
        self.actions.append(action)

    def tell(self, event: object) -> None: ...

    def sound(self, level: float) -> None:
        self.loudest = max(self.loudest, level)

    def screen(self, title: str = "", text: str = "", buttons: object = None, *, perceives: str = "") -> None:
        names = tuple(buttons) if isinstance(buttons, dict) else ()
        self.screens.append((title, text, names, perceives))

    def clear(self) -> None:
        self.cleared += 1
