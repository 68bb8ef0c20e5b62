"""Measure how the workers err on footage and speech of known content, and write ``policy/training/noise.toml``.

Faces: the redistributable test clips, in the spans of which the expression is known. Voices: sentences whose melody,
pace and level were edited by known amounts (``tests/speech_samples.py``), after a calm start by the same speaker; or,
where a folder of rendered corpus items with their percepts is given, those.

python tools/fit_noise.py [--heard build/heard]
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np

from agent.models import resolve, resolve_clip
from perception.percept import EXPRESSION, FACE, GAZE, PROSODY, UNCERTAIN, Percept
from perception.timebase import SECOND
from perception.workers import face, prosody
from policy.training.corpus import FOLDER, VOICES
from policy.training.noise import CLASSES, FILE
from policy.training.parts import FROZEN
from tests.speech_samples import SENTENCES, chunked, say, silence
from tests.video_samples import frames

SPANS: Final = (
    ("wolfganglanger", 0.7, 6.0, "sad"),
    ("wolfganglanger", 10.7, 19.4, "happy"),
    ("single-face", 0.0, 0.5, "neutral"),
    ("single-face", 1.4, 2.4, "happy"),
)
"""Clip, seconds, and what the face expresses there; the first 0.7 s after a change are the smoothing's."""

TALKING: Final = ("carphone",)
"""A calm man who talks: what comes out as anything but neutral was read into speech."""

LOOKING: Final = ("single-face", "face-noface", "carphone")
"""Clips in which the person looks into the lens all the time."""

MANNERS: Final[Mapping[str, Mapping[str, float]]] = {
    "flat": {"range_": 0.35},
    "trembling": {"tremor_st": 1.2},
    "rising": {"final_st": 9.0},
    "falling": {"final_st": -10.0},
    "loud": {"gain": 2.4},
    "quiet": {"gain": 0.35},
    "slow": {"speed": 0.72},
    "fast": {"speed": 1.4},
    "neutral": {},
}
CALM, JUDGED = 8, 10
"""Sentences of the calm start, and judged after it."""

_ASSUMED_SHARE: Final = 0.06
"""Of an expression that no clip shows, the share that each of its usual confusions takes."""

_ODDS: Final = 1.2
"""Standard deviation of the log odds of one class of seven, in standard deviations of a logit."""

_CONFUSED: Final[Mapping[str, Sequence[str]]] = {
    "angry": ("sad", "neutral", "disgust"),
    "disgust": ("angry", "sad", "neutral"),
    "fear": ("sad", "surprise", "neutral"),
    "surprise": ("fear", "happy", "neutral"),
}
"""Expressions that no clip shows, and what such networks take them for (reference/vision: anger and disgust weak)."""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heard", type=Path, help="folder with heard.jsonl")
    chosen = parser.parse_args()
    clips = {name: watched(name) for name in sorted({span[0] for span in SPANS} | {*TALKING, *LOOKING})}
    if chosen.heard is None:
        counts, sure = said_in_manners()
        source = f"{JUDGED} edited sentences a manner, one synthetic voice"
    else:
        counts, sure = heard(chosen.heard / "heard.jsonl")
        phrases = sum(row.total() for row in counts.values())
        source = (
            f"{phrases} phrases of rendered corpus items, two engines, with and without noise; no item of the test part"
        )
    text = written(clips, counts, sure, source)
    FILE.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def watched(name: str) -> list[Percept]:
    """Return what the face worker reports of a clip."""
    worker = face.load(resolve=resolve)()
    return worker.feed(list(frames(resolve_clip(name))))


def said_in_manners() -> tuple[dict[str, Counter[str]], list[float]]:
    """Return counts of labels by manner, and the confidences, over the edited sentences."""
    factory = prosody.load(resolve=resolve)
    counts: dict[str, Counter[str]] = {name: Counter() for name in VOICES}
    sure: list[float] = []
    for name, edits in MANNERS.items():
        worker = factory()
        calm = [part for text in SENTENCES[:CALM] for part in (say(text), silence(0.6))]
        worker.feed(chunked(np.concatenate(calm)))
        start = sum(map(len, calm))
        for text in SENTENCES[:JUDGED]:
            sound = np.concatenate([say(text, **edits), silence(0.8)])
            found = worker.feed(chunked(sound, start=start * SECOND // 16_000))
            start += len(sound)
            told = [p for p in found if p.kind == PROSODY]
            if told:
                counts[name][told[-1].label] += 1
                sure.append(told[-1].confidence)
    return counts, sure


def heard(path: Path) -> tuple[dict[str, Counter[str]], list[float]]:
    """Return the same over rendered items, the test part left out: every label against the manner of its turn."""
    frozen = frozenset(json.loads((FOLDER / FROZEN).read_text(encoding="utf-8"))["test"])
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    sure: list[float] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        item: dict[str, Any] = json.loads(line)
        if item["id"] in frozen:
            continue
        for turn in item["turns"]:
            manner = item["condition"]["manners"][turn["turn"]]
            if manner in VOICES:
                counts[manner].update(percept["label"] for percept in turn["prosody"])
                sure += [percept["confidence"] for percept in turn["prosody"]]
    return counts, sure


def written(
    clips: Mapping[str, Sequence[Percept]], counts: Mapping[str, Counter[str]], sure: Sequence[float], source: str
) -> str:
    """Return the text of ``noise.toml``."""
    found: dict[str, list[list[float]]] = defaultdict(list)
    lost = total = wrong = unsure = 0
    within: list[float] = []
    for clip, begin, end, truth in SPANS:
        looks = [p for p in of(clips[clip], EXPRESSION) if begin * SECOND <= p.start and p.end <= end * SECOND]
        total += len(looks)
        lost += sum(p.confidence == 0.0 for p in looks)
        unsure += sum(p.label == UNCERTAIN for p in looks)
        wrong += sum(p.label not in {UNCERTAIN, truth} for p in looks)
        looks = [p for p in looks if p.confidence > 0.0]
        found[truth] += [scores(p) for p in looks]
        steps = np.diff([logit(p.number(truth)) for p in looks])
        within += [float(s) for s in steps]
    top = {truth: float(np.mean([row[CLASSES.index(truth)] for row in rows])) for truth, rows in found.items()}
    rows = {truth: np.mean(found[truth], axis=0) for truth in found}
    for truth, others in _CONFUSED.items():
        row = np.full(len(CLASSES), 0.01)
        for other in others:
            row[CLASSES.index(other)] = _ASSUMED_SHARE
        row[CLASSES.index(truth)] = 0.0
        row[CLASSES.index(truth)] = 1.0 - row.sum()
        rows[truth] = row
    between = float(np.std([logit(row[CLASSES.index(truth)]) for truth, rows_ in found.items() for row in rows_]))
    residuals = [
        [logit(p.number(truth)) - logit(top[truth]) for p in of(clips[clip], EXPRESSION)
         if begin * SECOND <= p.start and p.end <= end * SECOND and p.confidence > 0.0]
        for clip, begin, end, truth in SPANS
    ]  # fmt: skip
    pairs = [(a, b) for run in residuals for a, b in pairwise(run)]
    correlation = float(np.corrcoef(np.array(pairs).T)[0, 1]) if len(pairs) > 2 else 0.0
    speaking = [p for name in TALKING for p in of(clips[name], EXPRESSION)]
    hedged = sum(p.label == UNCERTAIN for p in speaking)
    noticed = float(np.mean([p.number("talking") for name in TALKING for p in of(clips[name], FACE)]))
    talking = np.mean([scores(p) for p in speaking], axis=0)
    seen = [p for name in LOOKING for p in of(clips[name], GAZE) if p.label != UNCERTAIN]
    looks_right = sum(p.label == "towards" for p in seen)
    gaze_sure = [p.confidence for clip in clips.values() for p in of(clip, GAZE) if p.label != UNCERTAIN]
    present = [p for clip in ("single-face", "wolfganglanger", "carphone") for p in of(clips[clip], FACE)]
    missed = sum(p.label == "absent" for p in present)
    first = next(p.end for p in of(clips["wolfganglanger"], EXPRESSION) if p.label == "sad")
    smile = next(p.end for p in of(clips["wolfganglanger"], EXPRESSION) if p.label == "happy")
    shaken = _turned(looks_right / len(seen))
    lines = [
        "# How the senses err: measured by tools/fit_noise.py, read by policy/training/noise.py.",
        "# Faces: the face worker on the test clips wolfganglanger, single-face, face-noface and carphone.",
        f"# Voices: {source}.",
        "",
        "[expression]",
        f"# {total} expressions in spans of known content: {wrong} wrong, {unsure} uncertain, {lost} of them lost.",
        f"# First label after {first / SECOND:.2f} s; happy {smile / SECOND - 10:+.2f} s from the start of joy.",
        "# Logits, so that the log odds of one class against six vary as measured (1.2 times as much as a logit):",
        f"spread = {between / 2 / _ODDS:.3f}       # between turns: half of what spans vary, for want of more people",
        f"jitter = {float(np.std(within)) / _ODDS:.3f}       # from one expression to the next",
        f"correlation = {min(0.95, max(0.0, correlation)):.3f}  # of neighbours",
        "smoothing_s = 0.7    # the worker's own",
        "least = 0.5          # the worker's own",
        f"lost = {max(lost / total, 0.02):.3f}",
        "",
        "[expression.rows]",
        f"# Order: {' '.join(CLASSES)}. Measured: {', '.join(f'{t} ({len(found[t])})' for t in found)}.",
        f"# The others are assumed: {_ASSUMED_SHARE:.0%} to each of the three classes such networks take them for.",
        *(f"{name} = {fmt(rows[name])}" for name in CLASSES),
        "",
        "[expression.talking]",
        f"# {len(speaking)} expressions of a calm man who talks, {hedged} uncertain.",
        "# One person of three was read so, hence the share.",
        f"row = {fmt(talking)}",
        "share = 0.33",
        "weight = 0.5         # assumed: he is the worst case",
        f"noticed = {noticed:.3f}      # share of his pictures in which the worker saw that he talks",
        "least = 0.7          # the worker's own",
        "",
        "[prosody]",
        f"sure = {fmt(moments(sure))}",
        "",
        "[prosody.rows]",
        "# Counts plus 0.1 for each label and 0.5 for neutral, as anything may go unnoticed.",
        *(f"{name} = {table(confusion(counts[name], VOICES, name))}" for name in VOICES),
        "",
        "[gaze]",
        f"# {looks_right} of {len(seen)} right where the person looks into the lens, taken as no more than 0.9.",
        "# Looking away is assumed to be mistaken as often.",
        f"sure = {fmt(moments(gaze_sure))}",
        "",
        "[gaze.rows]",
        f"towards = {table({'towards': shaken, 'away': (1 - shaken) * 0.6, 'uncertain': (1 - shaken) * 0.4})}",
        f"away = {table({'away': shaken, 'towards': (1 - shaken) * 0.6, 'uncertain': (1 - shaken) * 0.4})}",
        "",
        "[gesture]",
        "# No clip shows one; assumed after tests/perception/test_gesture.py, where all shown there are found.",
        "missed = 0.15",
        "sure = [0.7, 0.12]",
        "",
        "[face]",
        f"# {missed} of {len(present)} pictures with a face were without one for the worker.",
        f"missed = {missed / len(present):.4f}",
        "",
    ]
    return "\n".join(lines)


def _turned(right: float) -> float:
    """Shrink a share that was measured on few, towards what is safe to assume."""
    return round(min(right, 0.9), 3)


def of(found: Iterable[Percept], kind: str) -> list[Percept]:
    """Return the percepts of one kind."""
    return [p for p in found if p.kind == kind]


def scores(percept: Percept) -> list[float]:
    """Return the probabilities of an expression."""
    return [percept.number(name) for name in CLASSES]


def logit(share: float) -> float:
    """Return the log odds."""
    share = min(max(share, 1e-4), 1.0 - 1e-4)
    return float(np.log(share / (1.0 - share)))


def moments(values: Sequence[float]) -> list[float]:
    """Return mean and standard deviation."""
    return [float(np.mean(values)), max(0.03, float(np.std(values)))]


def confusion(row: Counter[str], labels: Sequence[str], truth: str) -> dict[str, float]:
    """Return smoothed shares, the true label first."""
    weights = {name: row[name] + (0.5 if name == "neutral" else 0.1) for name in labels}
    total = sum(weights.values())
    return {name: weights[name] / total for name in sorted(labels, key=lambda name: name != truth)}


def fmt(values: Iterable[float]) -> str:
    """Return a TOML array of shares."""
    return "[" + ", ".join(f"{v:.4f}" for v in values) + "]"


def table(row: Mapping[str, float]) -> str:
    """Return a TOML table on one line."""
    return "{ " + ", ".join(f"{name} = {share:.4f}" for name, share in row.items()) + " }"


if __name__ == "__main__":
    main()
