from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from agent.initiative import Initiative, InitiativeOptions
from perception.context import CUE_AFFECT, CUE_ARRIVAL, CUE_LEAVING, CUE_SILENCE, Turn
from perception.percept import (
    EXPRESSION,
    FACE,
    PRESENCE,
    PROSODY,
    SENSE_LOST,
    SPEECH_ENDED,
    SPEECH_STARTED,
    UNCERTAIN,
    Percept,
)
from perception.timebase import SECOND, Nanos


def at(value: float) -> Nanos:
    return round(value * SECOND)


class Room:
    """A call seen from the initiative: what is told to it, second by second, and what it asked for."""

    def __init__(self, **options: Any) -> None:
        self.initiative = Initiative(InitiativeOptions(**options))
        self.found: list[tuple[float, str]] = []
        self.now = 0.0
        self.face = ""
        self.sure = 0.8

    def see(self, kind: str, label: str = "", sure: float = 0.9, **data: float) -> None:
        self.initiative.saw(Percept(kind, label, at(self.now), at(self.now), sure, "eye", data), at(self.now))

    def say(self, speaker: str, text: str, seconds: float = 2.0) -> None:
        begin = self.now
        if speaker == "user":
            self.see(SPEECH_STARTED)
        self.run(seconds, busy=True)
        if speaker == "user":
            self.see(SPEECH_ENDED)
        self.initiative.told(Turn(speaker, text, at(begin), at(self.now)), at(self.now))

    def run(self, seconds: float, *, busy: bool = False) -> list[str]:
        """Let time pass in steps of half a second, with an expression in each; return the cues."""
        until, cues = self.now + seconds, []
        while self.now < until - 1e-9:
            self.now = round(self.now + 0.5, 3)
            if self.face:
                self.see(EXPRESSION, self.face, self.sure)
            cue = self.initiative.due(at(self.now), busy=busy)
            if cue:
                cues.append(cue)
                self.found.append((self.now, cue))
        return cues


def chat(room: Room) -> None:
    room.face = "neutral"
    room.say("user", "I posted the parcel.")
    room.say("agent", "Good.")


def test_a_face_that_falls_in_silence_is_noticed_once() -> None:
    room = Room()
    chat(room)
    assert room.run(4) == []
    began = room.now
    room.face = "sad"
    assert room.run(10) == [CUE_AFFECT]
    assert 1.5 <= room.found[0][0] - began <= 2.5
    assert room.run(60) == []


def test_a_face_that_was_sad_before_the_silence_falls_no_more() -> None:
    room = Room()
    room.face = "sad"
    room.say("user", "I posted the parcel.")
    room.say("agent", "Mm.")
    assert CUE_AFFECT not in room.run(30)


def test_a_passing_look_and_an_uncertain_one_are_left_alone() -> None:
    room = Room()
    chat(room)
    room.run(4)
    for _ in range(8):
        room.face = "sad"
        room.run(1)
        room.face = "neutral"
        room.run(1)
    assert room.found == []
    room.face = UNCERTAIN
    assert room.run(5) == []
    room.face, room.sure = "sad", 0.4
    assert room.run(5) == []


def test_a_smile_in_silence_asks_for_nothing() -> None:
    room = Room()
    chat(room)
    room.run(4)
    room.face = "happy"
    assert room.run(15) == []


@pytest.mark.parametrize(
    ("words", "sign", "asked"),
    [
        ("My brother died in March.", None, True),
        ("I went to the shop and came home.", (EXPRESSION, "sad"), True),
        ("I went to the shop and came home.", (PROSODY, "trembling"), True),
        ("I went to the shop and came home.", (EXPRESSION, "happy"), False),
        ("I went to the shop and came home.", None, False),
    ],
)
def test_a_long_silence_is_asked_about_after_something_heavy_only(
    words: str, sign: tuple[str, str] | None, asked: bool
) -> None:
    room = Room()
    room.say("agent", "Hello.")
    begin = room.now
    room.see(SPEECH_STARTED)
    if sign is not None:
        room.see(*sign)
    room.run(2, busy=True)
    room.see(SPEECH_ENDED)
    room.initiative.told(Turn("user", words, at(begin), at(room.now)), at(room.now))
    room.say("agent", "I see.")
    quiet = room.now
    assert room.run(60) == ([CUE_SILENCE] if asked else [])
    if asked:
        assert 9.0 <= room.found[0][0] - quiet <= 10.0


def test_nothing_is_asked_while_somebody_speaks() -> None:
    room = Room()
    chat(room)
    room.face = "sad"
    assert room.run(30, busy=True) == []
    room.see(SPEECH_STARTED)
    assert room.run(30) == []


def test_somebody_arrives_and_leaves() -> None:
    room = Room()
    room.run(8)
    room.see(PRESENCE, "arrived", count=1.0)
    assert room.run(3) == [CUE_ARRIVAL]
    room.run(30)
    room.see(PRESENCE, "left", count=0.0)
    assert room.run(2) == []
    assert room.run(2) == [CUE_LEAVING]


def test_who_is_there_from_the_start_does_not_arrive() -> None:
    room = Room()
    room.see(FACE, "present")
    room.run(1)
    room.see(PRESENCE, "arrived", count=1.0)
    assert room.run(30) == []
    early = Room()
    early.run(2)
    early.see(PRESENCE, "arrived", count=1.0)
    assert early.run(30) == []


def test_leaning_out_for_a_moment_is_no_leaving() -> None:
    room = Room()
    chat(room)
    room.see(PRESENCE, "left", count=0.0)
    room.run(2)
    room.see(PRESENCE, "arrived", count=1.0)
    assert room.run(20) == []


def test_a_second_person_and_a_lost_camera_change_nothing() -> None:
    room = Room()
    chat(room)
    room.see(PRESENCE, "arrived", count=2.0)
    room.run(5)
    room.see(PRESENCE, "left", count=1.0)
    assert room.run(10) == []
    room.see(PRESENCE, "left", count=0.0)
    room.see(SENSE_LOST, "camera")
    assert room.run(20) == []


def test_who_came_long_ago_is_not_greeted_late() -> None:
    room = Room()
    room.run(8)
    room.see(PRESENCE, "arrived", count=1.0)
    room.run(0.5, busy=True)
    assert room.run(3) == [CUE_ARRIVAL]
    room.see(PRESENCE, "left", count=0.0)
    assert room.run(12) == [], "the gap forbids it"
    assert room.run(60) == [], "and by now it is too late"


def test_the_rate_is_limited() -> None:
    room = Room(gap=at(20), most=3, within=at(180))
    chat(room)
    for _ in range(20):
        room.face = "neutral"
        room.run(8)
        room.face = "sad"
        room.run(4)
    times = [when for when, _ in room.found]
    assert len(times) >= 4
    assert min(b - a for a, b in pairwise(times)) >= 20
    assert all(times[n + 3] - times[n] >= 180 for n in range(len(times) - 3))


def test_one_line_switches_it_off() -> None:
    room = Room(enabled=False)
    chat(room)
    room.run(4)
    room.face = "sad"
    room.see(PRESENCE, "left", count=0.0)
    assert room.run(60) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [({"sure": 1.5}, "sure"), ({"most": 0}, "enabled = false"), ({"gap": -1}, "initiative.gap")],
)
def test_options_out_of_range_are_told(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        InitiativeOptions(**options)
