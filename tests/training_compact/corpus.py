"""A corpus of a few items, as it stands in a folder, and one of them as it was heard."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from perception.timebase import MS
from policy.training.corpus import Choice, Said, Situation
from policy.training.heard import INDEX, Heard, load, state_name, states_path
from policy.training.parts import FROZEN, FROZEN_CHOICES, digest


def situation(name: str = "s-0", words: str = "My dog died last night.") -> Situation:
    return Situation(
        id=name,
        mood="grief",
        topic="a dog",
        age="adult",
        turns=(
            Said(who="person", text="Hello there.", face=("neutral",), voice="neutral", gaze="towards"),
            Said(who="agent", text="Hello. How are you?"),
            Said(who="person", text=words, face=("sad", "fear"), voice="quiet", gaze="away", gestures=("nod",)),
        ),
        strategies=("affirmation", "question"),
        emotions=("sad", "concern"),
        replies=("I am so sorry.", "What was his name?"),
        bad="Cheer up!",
        why="An order.",
    )


def choice(name: str = "c-0", words: str = "You left me the crust again.") -> Choice:
    return Choice(
        id=name,
        task_type="Rapport_Recognition",
        turns=(Said(who="a", text=words, face=("happy",), voice="quiet"), Said(who="b", text="I know you like it.")),
        question="How is the rapport between the two?",
        options=("Chilly", "Warm", "Formal", "Broken"),
        answer=1,
    )


SITUATIONS = [situation(f"s-{n}", f"Line number {n} is sad.") for n in range(4)]
CHOICES = [choice(f"c-{n}", f"Line number {n} is warm.") for n in range(4)]


def write(folder: Path) -> Path:
    """Write four situations and four choices: two for training, one for dev, one for the test."""
    folder.mkdir(parents=True, exist_ok=True)
    frozen: dict[str, Any] = {"left_out": []}
    for name, items, file in (("situations-x", SITUATIONS, FROZEN), ("choices-x", CHOICES, FROZEN_CHOICES)):
        lines = "".join(json.dumps(_shown(asdict(item))) + "\n" for item in items)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
        test, dev = [items[0].id], [items[1].id]
        parts = frozen | {"test": test, "dev": dev, "sha256": digest(items, test)}
        (folder / file).write_text(json.dumps(parts), encoding="utf-8")
    return folder


def _shown(value: dict[str, Any]) -> dict[str, Any]:
    """Leave out of the turns what is not known, as the schema wants it."""
    turns = [{key: told for key, told in turn.items() if told} for turn in value["turns"]]
    return value | {"turns": turns}


STATES = np.random.default_rng(4).standard_normal((16, 3072)).astype(np.float16)


def heard(folder: Path, name: str = "s-0") -> dict[str, Heard]:
    """Write and read a store in which the situation :func:`situation` was heard, its last words misheard."""

    def spoken(turn: int, text: str, start: int, end: int) -> dict[str, Any]:
        span = {"start_ns": start * MS, "end_ns": end * MS}
        voice = {"label": "flat", "confidence": 0.6, "data": {"z_pitch": -1.5}, **span}
        return {
            "turn": turn,
            "text": text,
            **span,
            "prosody": [voice],
            "speech": [{"label": "", "confidence": 0.9, "data": {}, **span}],
        }

    line = {
        "id": name,
        "condition": {
            "engine": "espeak-ng",
            "speakers": {"person": "en-us"},
            "manners": ["", "", "quiet"],
            "noise": "clean",
            "snr_db": None,
            "level_db": 0,
            "seed": 7,
        },
        "turns": [spoken(0, "hello there", 400, 1400), spoken(2, "my dog tied last night", 5000, 7400)],
        "agent": [{"turn": 1, "start_ns": 2000 * MS, "end_ns": 4000 * MS}],
    }
    path = states_path(folder, name)
    path.parent.mkdir(parents=True)
    (folder / INDEX).write_text(json.dumps(line) + "\n", encoding="utf-8")
    save_file({state_name(0): STATES[:8], state_name(2): STATES}, path)
    return load(folder)
