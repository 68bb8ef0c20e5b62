"""Nobody talks into silence without being told: a sense that is away, and words that were lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent import build, gaps
from agent.action import Caption, HoldAudio, StopAudio
from agent.config import Config
from agent.gaps import HEARD_AGAIN
from agent.housing import WorkerAway
from agent.initiative import InitiativeOptions
from agent.journal import Note
from agent.loopback import Loopback
from agent.pace import Pace
from agent.parts import CallOptions, Parts
from agent.privacy.ledger import Ledger
from agent.refusal import Visitor
from agent.senses import SensesOptions
from agent.staged import Script
from agent.transports import Signal
from agent.transports.websocket import load
from agent.turns import TurnOptions
from agent.voices.plain import PlainVoice
from perception.media import AudioChunk, Media, VideoFrame
from perception.percept import SPEECH_ENDED, SPEECH_STARTED, Percept
from perception.timebase import MS, SECOND, Nanos
from policy.safety import helplines
from tests.agent.stage import Mind, Mindful, Played, frames, kind_words, merged, percept, play, quiet
from tests.sockets import called, opened, talk

TYPED = gaps.lines(helplines.country(), typing=True)
UNTYPED = gaps.lines(helplines.country(), typing=False)


class Patchy:
    """A sense whose process is away for a while."""

    def __init__(self, name: str, away: tuple[float, float], why: str, *, sees: bool = False) -> None:
        self.name = name
        self.accepts: tuple[type[Any], ...] = (VideoFrame if sees else AudioChunk,)
        self._from, self._to = (round(second * SECOND) for second in away)
        self._why = why

    def __call__(self) -> Patchy:
        return self

    def feed(self, media: Sequence[Media], /) -> list[Percept]:
        last = media[-1]
        at = last.end if isinstance(last, AudioChunk) else last.at
        if self._from <= at < self._to:
            raise WorkerAway("house", self._why)
        return []


def voice(*spans: tuple[float, float]) -> Script:
    """A voice activity that hears these spans."""
    lines: list[tuple[Nanos, Percept]] = []
    for start, end in spans:
        lines.append((round((start + 0.1) * SECOND), percept(SPEECH_STARTED, start, start + 0.1)))
        lines.append((round((end + 0.2) * SECOND), percept(SPEECH_ENDED, start, end)))
    return Script("vad", lines)


def options(**more: Any) -> CallOptions:
    usual: dict[str, Any] = {
        "greeting": False,
        "reflexes": False,
        "turns": TurnOptions(silence=0),
        "initiative": InitiativeOptions(enabled=False),
    }
    return CallOptions(**(usual | more))


def held(seconds: float, *senses: Any, signals: Sequence[tuple[Nanos, Signal]] = (), **more: Any) -> Played:
    caller: Loopback | None = more.pop("caller", None)
    script = merged(quiet(seconds), frames(seconds), signals)
    if caller is not None:
        caller._script = script
    return play(script, senses, caller=caller, options=options(**more))


def told(played: Played) -> list[tuple[float, list[str], bool]]:
    """When which senses were told as away, and whether that was the hearing; repeats are left out."""
    found: list[tuple[float, list[str], bool]] = []
    for at, body in played.of(Note):
        if isinstance(body, Note) and body.event == "senses_away":
            one = (round(at), body.data["senses"], body.data["hearing"])
            if not found or found[-1][1:] != one[1:]:
                found.append(one)
    return found


def lines(played: Played) -> list[str]:
    """What was said to its end."""
    found = [a.text for a in played.caller.of(Caption) if isinstance(a, Caption) and a.speaker == "agent" and a.final]
    return list(dict.fromkeys(found))


def test_a_hearing_that_is_given_up_is_told_at_once_and_so_is_its_return() -> None:
    played = held(50, voice(), Patchy("asr", (2, 40), "given_up"))
    assert [(senses, deaf) for _, senses, deaf in told(played)] == [(["asr"], True), ([], False)]
    assert 2 <= told(played)[0][0] <= 4
    assert 40 <= told(played)[1][0] <= 43
    assert lines(played) == [TYPED["unheard"], HEARD_AGAIN]
    assert "type to me" in TYPED["unheard"]
    assert "your local emergency number" in TYPED["unheard"]
    again = [at for at, b in played.of(Note) if isinstance(b, Note) and b.event == "senses_away" and b.data["senses"]]
    assert len(again) == 3, "each fifteen seconds, for a page that was loaded anew"


def test_a_process_that_is_back_soon_is_told_to_nobody_who_is_silent() -> None:
    played = held(12, voice(), Patchy("asr", (2, 7), "died"))
    assert told(played) == []
    assert lines(played) == []


def test_whoever_talks_meanwhile_is_told_after_two_seconds() -> None:
    played = held(14, voice((2.5, 6.5)), Patchy("asr", (2, 10), "died"))
    assert told(played)[0] == (4, ["asr"], True)
    assert lines(played) == [TYPED["unheard"], HEARD_AGAIN]


def test_whoever_talks_on_is_told_again_and_their_voice_does_not_cut_the_line() -> None:
    played = held(60, voice((2.5, 50.0)), Patchy("asr", (2, 70), "given_up"))
    spoken = [a for a in played.caller.of(Caption) if isinstance(a, Caption) and a.final]
    assert [a.text for a in spoken] == [TYPED["unheard"]] * 2
    assert not any(a.cut for a in spoken)
    assert not played.caller.of(HoldAudio)


def test_the_line_stops_where_the_person_asks_for_that() -> None:
    played = held(12, voice(), Patchy("asr", (2, 20), "given_up"), signals=[(round(4.2 * SECOND), Signal("stop"))])
    assert played.caller.of(StopAudio)


def test_a_sight_that_is_given_up_is_told_without_a_word() -> None:
    played = held(12, voice(), Patchy("asr", (99, 99), ""), Patchy("face", (2, 8), "given_up", sees=True))
    assert [(senses, deaf) for _, senses, deaf in told(played)] == [(["face"], False), ([], False)]
    assert lines(played) == []


def test_a_refused_sense_is_no_gap() -> None:
    caller = Loopback(senses=frozenset({"vad"}))
    played = held(12, voice((2, 5)), Patchy("asr", (2, 20), "given_up"), caller=caller)
    assert told(played) == []


def test_a_voice_activity_that_is_away_is_a_deafness_too() -> None:
    played = held(20, Patchy("vad", (2, 30), "barred"), Patchy("asr", (99, 99), ""))
    assert told(played)[0][1:] == (["vad"], True)


class Wordless(Loopback):
    """A caller who cannot type."""

    types = False


def test_who_cannot_type_is_not_asked_to() -> None:
    played = held(12, voice(), Patchy("asr", (2, 20), "given_up"), caller=Wordless())
    assert lines(played) == [UNTYPED["unheard"]]
    assert "type" not in UNTYPED["unheard"] + UNTYPED["words_lost"]


def test_a_benchmark_says_nothing_of_its_own() -> None:
    played = held(12, voice(), Patchy("asr", (2, 20), "given_up"), answers="questions")
    assert lines(played) == []
    assert told(played), "the record has it"


class Slow:
    """A recogniser that takes longer than the sound lasts."""

    name = "policy"  # the label whose work takes 50 ms on the stage's clock
    accepts = (AudioChunk,)

    def __call__(self) -> Slow:
        return self

    def feed(self, media: Sequence[Media], /) -> list[Percept]:
        return []


def test_words_that_were_lost_because_the_machine_is_behind_are_told() -> None:
    slow, narrow = Slow(), SensesOptions(audio_capacity=1)  # 50 ms of the virtual clock for each 20 ms of sound
    played = held(20, voice((1.0, 12.0)), slow, senses=narrow)
    notes = [b for _, b in played.of(Note) if isinstance(b, Note) and b.event == "words_lost"]
    assert len(notes) == 1, "once a minute"
    assert lines(played) == [TYPED["words_lost"]]
    silent = held(20, voice(), slow, senses=narrow)
    assert not [b for _, b in silent.of(Note) if isinstance(b, Note) and b.event == "words_lost"], "no word was said"


def test_the_pace_is_that_of_the_call_that_fares_worst() -> None:
    pace = Pace()
    for n in range(20):
        pace.saw("quick", 100 * MS)
        pace.saw("slow", 2 * SECOND if n % 3 else 0)
    assert pace.late_s == 2.0
    pace.left("slow")
    assert pace.late_s == 0.1
    pace.saw("new", 9 * SECOND)
    assert pace.late_s == 0.1, "one long recognition is no load"


def test_a_caller_who_observes_nothing_is_told_and_spoken_to(tmp_path: Path) -> None:
    """The report's case: grants of audio, video and data; hearing given up; before, three looks and not a word."""
    workers: list[Any] = [Script("vad", []), Patchy("asr", (0, 99), "given_up")]
    parts = Parts(workers, Mindful(Mind(kind_words)), PlainVoice(), options())
    runtime = build.Runtime(Config(), parts, Ledger(tmp_path))

    async def main() -> None:
        door = load(consent="required")
        door.senses = runtime.senses
        visitor = Visitor(grants=frozenset({"audio", "video", "data"}))
        async with opened(runtime.answer, door), called(door, visitor, sound="pcm16") as pipe:
            pipe.ask("consent", {"senses": ["vad", "asr"], "version": 1})
            async with asyncio.TaskGroup() as group:
                talking = group.create_task(talk(pipe, 8, pictures=False))
                note = await pipe.wait_for(lambda m: (m.get("data") or {}).get("event") == "senses_away", 6)
                assert note["data"]["senses"] == ["asr"]
                assert (note["data"]["hearing"], note["data"]["typing"]) == (True, True)
                await pipe.wait_for(
                    lambda m: m["type"] == "server-message" and m["data"].get("text") == TYPED["unheard"], 6
                )
                await pipe.until(lambda: any(any(frame.payload) for _, frame in pipe.frames))
                talking.cancel()
            assert not [m for m in pipe.texts if (m.get("data") or {}).get("t") == "percept"], "it may not observe"

    asyncio.run(main())


def test_every_country_has_a_number_to_say() -> None:
    for country in ("", *helplines.countries()):
        for typing in (True, False):
            for line in gaps.lines(helplines.country(country), typing=typing).values():
                assert line.endswith((".", "?")), (country, line)
                assert len(line) < 160, (country, line)
