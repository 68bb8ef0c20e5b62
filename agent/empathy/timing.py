"""The measure of timing: scripted conversations through the live loop, one row for each mind.

See ``docs/empathy.md`` for what is counted and what came out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Any, Final

from agent import build, paths
from agent.config import Config, Use
from agent.empathy import Figure, Given, Part, Row, deaf
from agent.empathy.timing_call import Echoed, Silent, hold
from agent.empathy.timing_faces import CLIPS, NoClips, reacts
from agent.empathy.timing_hearing import Ears
from agent.empathy.timing_score import Tally, score
from agent.empathy.timing_script import CLAUSE, FILLER, INSIDE, SENTENCE, SOB, Talk, held_sha256, talks
from agent.empathy.timing_sound import Channel, make
from agent.empathy.timing_stats import number, quantile, share
from agent.thinking import Thinker
from perception.media import AudioChunk
from perception.timebase import Nanos, seconds
from perception.workers import WorkerFactory

EARS: Final = ("vad", "asr", "turn", "prosody")
"""The senses that hear the person."""

_MEASURED: Final = 4
"""Conversations that are held a second time with every piece of work charged what it takes."""
_WITHIN: Final = (INSIDE, FILLER)


def run(given: Given) -> Part:
    """Hold every conversation once for each row, and count.

    Args:
        given: its policy is the first row; the scripted policy and the reflexes alone are the others.

    Raises:
        agent.empathy.timing_script.ScriptError: the conversations are not as they should be.
        agent.models.ModelMissing: an embedded model is not there.
    """
    config = given.config
    voice = Echoed(build.voice(Use("hibari"), given.resolve))
    ears = Listeners(given)
    minds: dict[str, Thinker] = {}
    try:
        channels = [make(talk, voice) for talk in _chosen(given.limit)]
        for use in (config.policy, Use("scripted")):
            if use.use not in minds:
                minds[use.use] = build.policy(use, given.resolve)
        minds[Silent.name] = Silent()
        held = partial(_hold, ears=ears, voice=voice, config=config)
        rows: list[Row] = []
        items: list[Mapping[str, Any]] = []
        for label, mind in minds.items():
            with ThreadPoolExecutor(max(1, given.jobs), thread_name_prefix="talk") as pool:
                scored = list(pool.map(partial(held, mind=mind), channels))
            rows += _rows(label, scored, channels)
            heard = [arrived for tally, _ in scored for arrived in tally.heard]
            items += [{"row": label, **item} for _, item in scored]
        mind = minds[config.policy.use]
        measured = Tally()
        for channel in channels[: min(_MEASURED, given.limit or _MEASURED)]:
            measured.take(held(channel, mind=mind, measured=True)[0])
    finally:
        for mind in minds.values():
            mind.close()
        voice.close()
    try:
        faces, seen = reacts(config, given.resolve, CLIPS if given.limit is None else CLIPS[1:2])
        missing: tuple[str, ...] = ()
    except NoClips as error:
        faces, seen, missing = [], [], (f"faces were not measured: {error}",)
    rows.append(Row("as fast as this machine is", _pace(measured, faces)))
    about = {
        "conversations": len(channels),
        "held_out": sum(channel.talk.held for channel in channels),
        "held_sha256": held_sha256(),
        "sound_s": round(sum(len(channel.samples) for channel in channels) / 16_000, 1),
        "costs_s": {name: config.replay.costs.get(name, 0.0) for name in (*EARS, "face", "policy", "voice")},
    }
    title = "Timing, in the conventions of Full-Duplex-Bench"
    alarms = deaf("conversations", heard)
    if not seen and not missing:
        alarms += ("no recording of a face brought a look; does the sense face see?",)
    return Part("timing", title, tuple(rows), (*_misses(rows), *missing), (*items, *seen), about, alarms)


def _chosen(limit: int | None) -> Sequence[Talk]:
    """Return the conversations, or of each half the first ``limit``."""
    every = talks()
    if limit is None:
        return every
    return [talk for held in (False, True) for talk in [t for t in every if t.held == held][:limit]]


class Listeners:
    """The workers that hear; their models are loaded when something is to be heard that is not known yet."""

    def __init__(self, given: Given) -> None:
        uses = {use.use: use for use in given.config.workers}
        self.uses = [uses.get(name, Use(name)) for name in EARS]
        self._given = given
        self._lock = Lock()
        self._loaded: list[WorkerFactory] = []

    def load(self) -> list[WorkerFactory]:
        """Return real workers."""
        with self._lock:
            if not self._loaded:
                self._loaded = build.workers(self.uses, self._given.resolve)
            return self._loaded


def _hold(
    channel: Channel, *, mind: Thinker, ears: Listeners, voice: Echoed, config: Config, measured: bool = False
) -> tuple[Tally, Mapping[str, Any]]:
    """Hold one conversation and count it."""
    fixed = {name: seconds(cost) for name, cost in config.replay.costs.items()}
    hold_it = partial(hold, channel, policy=mind, voice=voice, options=config.call)
    if measured:
        return score(hold_it(workers=ears.load(), costs=None))
    heard = listened(channel, ears, fixed, paths.cache_dir() / "bench" / "empathy")
    happened = hold_it(workers=heard.factories(), costs=fixed, known=heard.heard_by)
    heard.keep()
    return score(happened)


def listened(channel: Channel, ears: Listeners, costs: Mapping[str, Nanos], folder: Path) -> Ears:
    """Return what hears a conversation: what is remembered of it, or the real workers.

    Args:
        channel: the person's side.
        ears: the workers.
        costs: fixed time of each label of work.
        folder: where it is remembered.
    """
    told = {
        "workers": [[use.use, dict(use.options)] for use in ears.uses],
        "costs": {name: costs.get(name, 0) for name in EARS},
    }
    heard = Ears(_Named.all(), channel.samples, told, folder)
    if not heard.known:
        heard.workers = ears.load()
    return heard


class _Named:
    """Stands for a worker whose percepts are known."""

    accepts = (AudioChunk,)

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self) -> Any:
        raise RuntimeError(f"{self.name} was not loaded")

    @classmethod
    def all(cls) -> list[WorkerFactory]:
        return [cls(name) for name in EARS]


def _rows(label: str, scored: Sequence[tuple[Tally, Any]], channels: Sequence[Channel]) -> list[Row]:
    """Return the rows of one mind: all conversations, those kept out of tuning, and those tuned on."""
    found: list[Row] = []
    for name, wanted in (("all", (True, False)), ("held out", (True,)), ("tuned on", (False,))):
        tally = Tally()
        for (one, _), channel in zip(scored, channels, strict=True):
            if channel.talk.held in wanted:
                tally.take(one)
        found.append(Row(f"{label}: {name}", figures(tally, answers=label != Silent.name)))
    return found


def figures(tally: Tally, *, answers: bool = True) -> tuple[Figure, ...]:
    """Return what is reported of a tally.

    Args:
        tally: what was counted.
        answers: whether there is a mind that answers; without one nothing is promised of replies.
    """
    pauses = tally.pauses
    inside = [hit for kind in _WITHIN for hit in pauses.get(kind, [])]
    over = list(chain.from_iterable(tally.over.values()))
    voiced = [lag for sense in ("voice", "face") for lag in tally.reflexes.get(sense, [])]
    placed = [where == "pause" for where in tally.placed]
    minutes = tally.turns_s / 60.0
    return (
        share("false interruptions by a word of listening, a cough, a noise", over, "<= 5 %", most=0.05),
        share("the voice was held meanwhile", tally.paused),
        share("real interruptions honoured within 300 ms", tally.honoured, ">= 95 %", least=0.95),
        quantile("from the interruption to silence, median", tally.stops, 0.5),
        quantile("from the interruption to silence, 95 %", tally.stops, 0.95),
        number(
            "words kept of a cut reply beyond those heard, mean",
            sum(map(abs, tally.unheard)) / max(1, len(tally.unheard)),
            len(tally.unheard),
        ),
        share("cut off in a pause up to 1.2 s", [h for hits in pauses.values() for h in hits], "<= 5 %", most=0.05),
        share("... inside a sentence", inside, "<= 5 %" if answers else "", most=0.05 if answers else None),
        share("... after a clause that could be all", pauses.get(CLAUSE, [])),
        share("... after a whole sentence", pauses.get(SENTENCE, [])),
        share("... after a sob", pauses.get(SOB, [])),
        quantile("end of turn, median", tally.delays, 0.5, "<= 700 ms", most=700.0),
        quantile("end of turn, 90 %", tally.delays, 0.9),
        number(
            "end of turn, mean",
            1000 * sum(tally.delays) / max(1, len(tally.delays)),
            len(tally.delays),
            unit="ms",
        ),
        share("takeover after the turn", tally.taken),
        quantile("from the turn's end to the voice, median", tally.latencies, 0.5),
        share("sounds of listening that begin in a pause", placed, ">= 80 %", least=0.8),
        number("most of them in a turn", max(tally.per_turn, default=0), len(tally.per_turn), "<= 3", most=3),
        number(
            "longest of them over words",
            1000 * max(tally.overlaps, default=0.0),
            len(tally.overlaps),
            "<= 300 ms",
            most=300,
            unit="ms",
        ),
        number("sounds of listening per minute of talk", len(placed) / minutes if minutes else 0.0, len(placed)),
        number("nods per minute of talk", tally.nods / minutes if minutes else 0.0, tally.nods),
        quantile("event in voice or face to display, median", voiced, 0.5, "<= 150 ms", most=150.0),
        quantile("event in voice or face to display, 95 %", voiced, 0.95, "<= 300 ms", most=300.0),
        quantile("... from the first trace in the voice, median", tally.traces, 0.5),
        quantile("words to display, median", tally.reflexes.get("words", []), 0.5),
        share(
            "conversations of which words arrived",
            tally.heard,
            "100 %" if answers else "",
            least=1.0 if answers else None,
        ),
        number("words wrong of a hundred", 100 * tally.word_errors / max(1, tally.words), tally.words),
        number("replies prepared early", tally.drafts, tally.drafts),
        number("... and dropped, for the person went on", tally.dropped, tally.drafts),
    )


def _pace(tally: Tally, faces: Sequence[float]) -> tuple[Figure, ...]:
    """Return the figures that hang on the machine, with all work charged what it takes."""
    voice = [lag for name in ("voice",) for lag in tally.reflexes.get(name, [])]
    return (
        quantile("event on the face to display, median", faces, 0.5, "<= 150 ms", most=150.0),
        quantile("event on the face to display, 95 %", faces, 0.95, "<= 300 ms", most=300.0),
        quantile("end of the voice to display, median", voice, 0.5),
        quantile("from the interruption to silence, 95 %", tally.stops, 0.95, "<= 300 ms", most=300.0),
        quantile("end of turn, median", tally.delays, 0.5),
        quantile("from the turn's end to the voice, median", tally.latencies, 0.5),
    )


def _misses(rows: Sequence[Row]) -> list[str]:
    """Name the figures that fall short, once for each row."""
    return [
        f"{row.label}: {figure.name}: {_said(figure)} (n = {figure.n}), wanted {figure.target}"
        for row in rows
        for figure in row.figures
        if figure.met is False
    ]


def _said(figure: Figure) -> str:
    if math.isnan(figure.value):
        return "nothing to measure"
    if figure.unit == "%":
        return f"{100 * figure.value:.1f} %"
    return f"{figure.value:.0f} {figure.unit}".rstrip()
