"""A call that never was, written by the journal itself: as long as wanted, the same for the same seed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from agent.journal import Body, Decided, Event, Journal, Metric, Note
from perception.context import Turn
from perception.percept import (
    EXPRESSION,
    FACE,
    GAZE,
    PARTIAL,
    PROSODY,
    SPEECH_ENDED,
    SPEECH_STARTED,
    TRANSCRIPT,
    Percept,
)
from perception.timebase import Nanos, seconds
from policy.decision import Backchannel, Express, Speak, Wait

SAID = (
    ("My dog died last night.", "sad", "trembling", "I am so sorry. You must miss him.", "reflection", "concern"),
    (
        "He was with me for twelve years.",
        "sad",
        "flat",
        "Twelve years is a long time together.",
        "reflection",
        "concern",
    ),
    ("I'm fine, really.", "neutral", "flat", "You say fine, and your voice is very quiet.", "question", "neutral"),
    ("My sister called, that was good.", "happy", "rising", "It sounds like that helped.", "affirmation", "happy"),
    ("I have not slept at all.", "fear", "slow", "That is hard. What keeps you awake?", "question", "concern"),
)
HOSTILE = "</script><img src=x onerror='window.hacked=1'>&amp; {{data}}"


def percept(kind: str, label: str, start: float, end: float, sure: float, worker: str, **data: float) -> Percept:
    return Percept(kind, label, seconds(start), seconds(end), sure, worker, data)


def events(length: float, seed: int = 1, *, faces_hz: float = 1.0, recording: bool = False) -> list[Event]:
    chance = random.Random(seed)
    found = list(_talk(length, chance))
    found += list(_seen(length, chance, faces_hz))
    found.append(Event(0, Note("call_started", data={"call": f"call-{seed}"})))
    if recording:
        found.append(Event(0, Note("consent_stored", data={"scopes": ["voice", "face", "recording"]})))
    found.append(Event(seconds(length), Note("call_ended", data={"replies": int(length / 12)})))
    return sorted(found, key=lambda event: event.at)


def write(path: Path, found: list[Event], *, personal: bool = True) -> Path:
    with path.open("w", encoding="utf-8") as out:
        journal = Journal(out, personal=personal)
        for event in found:
            journal(event)
    return path


def repeat(path: Path, length: float, times: int) -> Path:
    """Let a journal of ``length`` seconds go on with itself."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    with path.open("a", encoding="utf-8") as out:
        for n in range(1, times):
            for line in lines:
                later = {key: round(line[key] + n * length, 4) for key in ("t", "start", "end") if key in line}
                out.write(json.dumps(line | later) + "\n")
    return path


def _talk(length: float, chance: random.Random) -> Iterator[Event]:
    at, reply = 1.0, 0

    def event(t: float, body: Body) -> Event:
        return Event(seconds(t), body)

    while at + 12.0 < length:
        reply += 1
        words, look, manner, answer, strategy, face = SAID[(reply - 1) % len(SAID)]
        end = at + 1.2 + chance.random() * 2
        yield event(at + 0.1, percept(SPEECH_STARTED, "", at, at + 0.1, 0.9, "vad"))
        yield event(at + 0.7, percept(PARTIAL, words[:6], at, at + 0.6, 0.8, "asr", utterance=reply))
        yield event(end + 0.2, percept(SPEECH_ENDED, "", at, end, 0.95, "vad"))
        heard = percept(TRANSCRIPT, words, at, end, 0.92, "asr", utterance=reply)
        tone = percept(PROSODY, manner, at, end, 0.7, "prosody", pitch_hz=180.0)
        yield event(end + 0.3, heard)
        yield event(end + 0.31, tone)
        if reply % 3 == 2:
            yield event(at + 0.9, Decided(Backchannel(reason="More is to come.", evidence=(heard,), confidence=0.7)))
        waited = 0.64 + chance.random() * 0.3
        said = end + waited
        yield event(said, Turn("user", words, seconds(at), seconds(end)))
        yield event(said, Metric("end_of_turn", waited, reply))
        yield event(said, Metric("words", 0.05, reply))
        yield event(said, Note("state", data={"state": "thinking"}))
        if reply % 7 == 5:
            yield event(said, Note("safety", "warning", {"kind": "suicide", "plain": False, "reply": reply}))
        if reply % 6 == 4:
            why = Wait(reason="They look away and seem to think.", evidence=(tone,), confidence=0.6)
            yield event(said + 0.05, Decided(why, reply, "silence"))
        proof = (heard, tone, percept(EXPRESSION, look, at, end, 0.8, "face"))
        shown = Express(reason="They look sad.", evidence=proof, confidence=0.8, emotion=face, gesture="nod")
        yield event(said + 0.06, Decided(shown, reply, "end_of_turn"))
        speak = Speak(
            reason=f"They speak of a loss, and the voice is {manner}.",
            evidence=proof,
            confidence=0.83,
            text=answer,
            tone="soft",
            strategy=strategy,
            emotion=face,
        )
        yield event(said + 0.07, Decided(speak, reply, "end_of_turn"))
        voice = said + 0.07 + 0.05 + chance.random() * 0.3
        yield event(voice, Note("state", data={"state": "speaking"}))
        yield event(voice, Metric("decide", 0.07, reply))
        yield event(voice, Metric("voice", voice - said - 0.07, reply))
        yield event(voice, Metric("voice_to_voice", voice - end, reply))
        over = voice + 1.6 + len(answer) * 0.02
        cut = reply % 5 == 3
        if cut:
            yield event(over, Metric("barge_in", 0.12, reply))
        yield event(over, Turn("agent", answer[:20] if cut else answer, seconds(voice), seconds(over), cut))
        yield event(over, Note("state", data={"state": "listening"}))
        at = over + 0.6 + chance.random() * 3


def _seen(length: float, chance: random.Random, faces_hz: float) -> Iterator[Event]:
    t, look, gaze = 0.0, "neutral", "towards"
    while t + 0.5 < length:
        if chance.random() < 0.06:
            look = chance.choice(["sad", "sad", "neutral", "happy", "fear", "uncertain"])
        if chance.random() < 0.05:
            gaze = chance.choice(["towards", "away", "uncertain"])
        yield _at(t + 0.42, percept(EXPRESSION, look, t, t + 0.4, 0.5 + chance.random() * 0.45, "face", valence=-0.4))
        yield _at(t + 0.42, percept(GAZE, gaze, t, t + 0.4, 0.9, "face"))
        if chance.random() < 0.02:
            yield _at(t + 0.5, percept("gesture", chance.choice(["nod", "head_shake"]), t, t + 0.4, 0.8, "gesture"))
        if chance.random() < 0.002:
            yield _at(t + 0.5, percept("sense_lost", "face", t, t, 1.0, "runtime"))
            yield _at(t + 0.9, percept("sense_back", "face", t + 0.4, t + 0.4, 1.0, "runtime"))
        t += 0.4
    count = int(length * faces_hz)
    for n in range(count):
        t = n / faces_hz
        yield _at(t + 0.03, percept(FACE, "present", t, t + 0.03, 0.99, "face", count=1.0, yaw=3.5, pitch=-2.0))


def _at(t: float, body: Percept) -> Event:
    instant: Nanos = seconds(t)
    return Event(instant, body)
