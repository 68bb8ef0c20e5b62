"""A made-up benchmark and a run of it, for the tests of statistics, report and page."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from agent.bench.records import Answer, Record
from perception.timebase import SECOND
from policy.tasks import MULTI, NUMBER, SINGLE, YES_NO, Ask, Group, Item, Published, Scored

HOSTILE = "Is </script><script>window.hacked = 1</script><img src=x onerror=alert(1)> a <b>feeling</b> & why?"

GROUPS = (
    Group(code="EX", name="Expression Naming", level=1, task_types=("Expression",), n=60),
    Group(code="HG", name="Hand Gestures", level=1, task_types=("Gesture",), n=60),
    Group(code="HC", name="Counting People", level=2, task_types=("Counting", "Counting_Again"), n=60),
    Group(code="WT", name="Who Is Talking", level=2, task_types=("Talking",), n=60),
    Group(code="LD", name="Lie Detection", level=3, task_types=("Lie",), n=60),
    Group(code="FR", name="Fraud Calls", level=3, task_types=("Fraud",), n=60, in_average=False),
    Group(code="ES", name="Which Feeling to Show", level=4, task_types=("Emo_Strategy",), n=60),
)
PUBLISHED = (
    Published(model="Small-3B", subset="full", average=0.41, cells={"EX": 0.4, "HG": 0.3, "HC": 0.35, "LD": 0.51}),
    Published(
        model="Baseline-7B",
        subset="full",
        average=0.518,
        cells={"EX": 0.513, "HG": 0.303, "HC": 0.438, "WT": 0.6, "LD": 0.55, "FR": 0.74, "ES": 0.607},
    ),
    Published(
        model="Human level",
        subset="tiny",
        average=0.852,
        cells={"EX": 0.933, "HG": 0.767, "HC": 0.889, "WT": 0.9, "LD": 0.533, "FR": 0.8, "ES": 0.867},
    ),
)
PATTERNS = {"Counting": NUMBER, "Counting_Again": NUMBER, "Lie": YES_NO, "Gesture": MULTI}
QUESTIONS = {
    "Expression": "What does the face of the person on the left show after the phone rings?",
    "Gesture": "Which signs does the hand make?",
    "Counting": "How many people are in the room in the course of the video?",
    "Counting_Again": "How many people come back?",
    "Talking": "Who is talking at the end?",
    "Lie": "Is the man in the video lying about where he was?",
    "Fraud": "What does the caller want?",
    "Emo_Strategy": "Which feeling should you show to this speaker?",
    "Stray": "Which season is it?",
}
LIKELY = {"Expression": 0.7, "Gesture": 0.45, "Counting": 0.5, "Talking": 0.65, "Lie": 0.55, "Fraud": 0.8}


@dataclass(frozen=True)
class SampleTask:
    """Scores letters, whole numbers, yes and no; its reference looks at the first character alone."""

    name: str = "sample"
    groups: Sequence[Group] = GROUPS
    published: Sequence[Published] = PUBLISHED

    def items(self, folder: Path) -> Sequence[Item]:
        return items()

    def media_path(self, folder: Path, item: Item) -> Path:
        return folder / item.media

    def ask(self, item: Item, ask: Ask, *, variant: str = "direct", asr: bool = False) -> str:
        return "\n".join((ask.question, *ask.options, "Answer with the letter."))

    def score(self, item: Item, ask: Ask, raw: str | None, *, rules: str = "strict", mode: str = "direct") -> Scored:
        if not raw:
            return Scored(credit=0.0, counts=rules == "strict")
        if rules == "reference":
            if ask.pattern == NUMBER and not raw[0].isdigit():
                return Scored(credit=0.0, crash="int() of no digit")
            return Scored(credit=float(raw[0].lower() == ask.answer[0].lower()), parsed=raw[0])
        told = raw.rpartition("</think>")[2]
        if ask.pattern == YES_NO:
            found = re.findall(r"\b(yes|no)\b", told.lower())
        elif ask.pattern == NUMBER:
            found = re.findall(r"\d+", told)
        else:
            found = re.findall(r"\b[A-E]\b", told)
        if not found:
            return Scored(credit=0.0)
        if ask.pattern == MULTI:
            wanted, got = set(ask.answer), set(found)
            return Scored(credit=0.0 if got - wanted else 1.0 if got == wanted else 0.5, parsed="".join(sorted(got)))
        return Scored(credit=float(found[0].lower() == ask.answer.lower()), parsed=found[0])

    def reward(self, item: Item, ask: Ask, raw: str) -> float:
        return self.score(item, ask, raw).credit


def items(each: int = 8) -> tuple[Item, ...]:
    """``each`` items of every task type; neighbours share a medium; one cannot be used, one is of no known type."""
    chance = random.Random(5)
    found: list[Item] = []
    for kind, question in QUESTIONS.items():
        for index in range(each if kind != "Stray" else 1):
            pattern = PATTERNS.get(kind, SINGLE)
            right = {NUMBER: str(chance.randint(1, 4)), YES_NO: chance.choice(("Yes", "No")), MULTI: "BD"}
            options = ("A. happy", "B. sad", "C. surprised", "D. neutral") if pattern in (SINGLE, MULTI) else ()
            ask = Ask(
                id=f"{kind}-{index}-a",
                question=HOSTILE if (kind, index) == ("Expression", 0) else question,
                pattern=pattern,
                answer=right.get(pattern, chance.choice("ABCD")),
                options=options,
                at=6 * SECOND,
            )
            asks = (ask,) if index or kind != "Talking" else (ask, replace(ask, id=f"{kind}-{index}-b", at=None))
            media = f"data/{'audios' if kind == 'Fraud' else 'videos'}/{kind.lower()}_{index // 2:03d}.webm"
            item = Item(id=f"{kind}-{index}", task_type=kind, media=media, asks=asks, sees=kind != "Fraud")
            found.append(item)
    found.append(Item(id="broken-0", task_type="Lie", media="", asks=(), problem="it names no medium"))
    return tuple(found)


def records(found: Sequence[Item], *, skill: float = 0.0, repeats: int = 1, seed: int = 1) -> tuple[Record, ...]:
    """Answers to ``found``: some right, some wrong, a few not understood, late, or not there at all."""
    chance = random.Random(seed)
    out: list[Record] = []
    for repeat in range(repeats):
        for number, item in enumerate(i for i in found if not i.problem):
            if number % 23 == 11:
                continue
            if number % 23 == 17:
                error = f"{item.media}: no picture could be decoded"
                out.append(Record(id=item.id, task_type=item.task_type, media=item.media, repeat=repeat, error=error))
                continue
            answers = tuple(_answer(item, ask, number, chance, skill) for ask in item.asks)
            stages = {"policy": round(chance.lognormvariate(-0.7, 0.4), 3), "asr": round(chance.uniform(0.1, 0.4), 3)}
            out.append(
                Record(
                    id=item.id,
                    task_type=item.task_type,
                    media=item.media,
                    repeat=repeat,
                    answers=answers,
                    frames_seen=72,
                    heard_s=6.0,
                    media_s=6.0,
                    took_s=round(chance.uniform(2, 9), 2),
                    stages=stages,
                    timeline=timeline(chance),
                    notes=("the sound is 0.2 s shorter than the picture",) if number % 9 == 4 else (),
                )
            )
    return tuple(out)


def _answer(item: Item, ask: Ask, number: int, chance: random.Random, skill: float) -> Answer:
    wrong = {"B": "C", "Yes": "No", "No": "Yes", "2": "3", "BD": "B"}.get(ask.answer, "B" if ask.options else "2")
    told = ask.answer if chance.random() < LIKELY.get(item.task_type, 0.6) + skill else wrong
    raw: str | None = f"<think>The voice trembles & the face falls.</think>\n{', '.join(told)}"
    if ask.pattern in (YES_NO, NUMBER) or number % 2:
        raw = told if ask.pattern != MULTI else ", ".join(told)
    error = ""
    if number % 23 == 5:
        raw = "I would rather not say."
    elif number % 23 == 9:
        raw, error = None, "the policy gave no answer within 30 s"
    system = {"role": "system", "content": "You are present in a video call. You see and hear what is listed."}
    context = (
        "0.8 s expression sad (0.71)\n1.2 s person: “I don't know what to do with myself.”\n5.9 s gaze away (0.82)"
    )
    question = {"role": "user", "content": f"{context}\n\n{ask.question}\n" + "\n".join(ask.options)}
    return Answer(
        ask=ask.id,
        raw=raw,
        reason="They speak of a loss, and the face is sad.",
        at_s=6.0,
        prompt=(system, question),
        frames=24,
        heard_s=6.0,
        tokens=chance.randint(600, 1400),
        answer_s=round(chance.lognormvariate(-0.2, 0.45), 3),
        error=error,
    )


def timeline(chance: random.Random) -> tuple[dict[str, Any], ...]:
    """Six seconds as the journal writes them: repeated looks, revised words, a nod."""

    def seen(kind: str, label: str, start: float, end: float, **data: Any) -> dict[str, Any]:
        sure = round(chance.uniform(0.5, 0.95), 2)
        head = {"t": end, "type": "percept", "kind": kind, "label": label, "start": start, "end": end}
        return {**head, "confidence": sure, "worker": kind, "data": data}

    looks = ["neutral"] * 8 + ["sad"] * 14 + ["uncertain"] * 4 + ["neutral"] * 4
    found = [seen("expression", look, i / 5, (i + 1) / 5) for i, look in enumerate(looks)]
    found += [seen("face", "present", i / 5, (i + 1) / 5, count=2 if i > 20 else 1) for i in range(30)]
    found += [seen("gaze", "towards", 0.0, 2.1), seen("gaze", "away", 2.1, 4.4), seen("gaze", "towards", 4.4, 6.0)]
    found += [seen("partial", "I don't", 1.0, 1.4, utterance=1)]
    found += [seen("transcript", "I don't know what to do", 1.0, 2.4, utterance=1, revision=0)]
    found += [seen("transcript", "I don't know what to do with myself.", 1.0, 3.1, utterance=1, revision=1)]
    found += [seen("transcript", "Can you hear me?", 4.6, 5.4, utterance=2), seen("prosody", "trembling", 1.0, 3.1)]
    found += [
        seen("prosody", "quiet", 4.6, 5.4),
        seen("gesture", "head_shake", 3.0, 3.7),
        seen("scene", "dark", 0, 0.4),
    ]
    found += [seen("presence", "arrived", 4.1, 4.2, count=2)]
    turn = {"t": 3.4, "type": "turn", "speaker": "user", "text": "I don't know what to do with myself.", "cut": False}
    found += [{**turn, "start": 1.0, "end": 3.1}]
    return tuple(sorted(found, key=lambda e: float(e["t"])))


def run(found: Sequence[Item], **more: Any) -> dict[str, Any]:
    """What ``run.json`` says of it."""
    return {
        "task": "sample",
        "policy": "compact",
        "variant": "direct",
        "feed": "as the file is",
        "asr": False,
        "hear_all": False,
        "version": "0.1.0",
        "selected": [item.id for item in found],
        **more,
    }


def clip(path: Path, *, seconds: float = 2.0) -> Path:
    """Write a small moving picture that every browser can play."""
    with av.open(str(path), "w", format="webm") as out:
        stream = out.add_stream("libvpx", rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.options = {"deadline": "realtime", "cpu-used": "8"}
        for index in range(int(seconds * 10)):
            pixels = np.full((120, 160, 3), (90, 70, 150), dtype=np.uint8)
            left = 10 + index * 120 // int(seconds * 10)
            pixels[40:80, left : left + 30] = (245, 190, 150)
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            picture.pts, picture.time_base = index, Fraction(1, 10)
            out.mux(stream.encode(picture))
        out.mux(stream.encode())
    return path
