"""The measure of timing: what it counts in calls whose course is known, and a small run with the real senses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from agent import models
from agent.config import Config, Use
from agent.empathy import Given
from agent.empathy.timing import figures, run
from agent.empathy.timing_call import Happened, Silent, hold
from agent.empathy.timing_hearing import Ears
from agent.empathy.timing_score import Tally, score
from agent.empathy.timing_script import FILLER, SENTENCE, Person, Rest, Sight, Sound, Talk, Words
from agent.empathy.timing_sound import CUT_IN_S, FIRST_OVER_S, Channel, make, sound_of
from agent.parts import CallOptions
from agent.staged import Script
from agent.thinking import Thinker
from agent.tone import NEUTRAL, Tone
from agent.turn_options import TurnOptions
from agent.voices.plain import PlainVoice
from perception.media import AudioChunk
from perception.percept import END_OF_TURN, SPEECH_ENDED, SPEECH_STARTED, TRANSCRIPT, Percept
from perception.timebase import MS, SECOND, Nanos
from policy.backends.scripted import Scripted

HASTY = TurnOptions(patience=640 * MS, patience_likely=640 * MS)
"""Every turn ends after 0.64 s, but where the words trail off."""
COSTS = {"ear": MS, "policy": 50 * MS, "voice": 10 * MS, "face": 20 * MS}


class Beeps:
    """A voice whose every word is a quarter of a second of beep."""

    rate_hz = 16_000

    def render(self, text: str, tone: Tone, /) -> NDArray[np.float32]:
        n = 4000 * len(text.split())
        return np.asarray(0.3 * np.sin(np.arange(n) * 0.1), np.float32)


def channel(*says: Words | Sound | Rest | Sight, cuts_in: bool = False, over: Sequence[Words | Sound] = ()) -> Channel:
    talk = Talk("t", " ".join(["So"] * 70), Person("plain", NEUTRAL), tuple(over), cuts_in, tuple(says), held=False)
    return make(talk, Beeps())


def ear(of: Channel, finished: dict[str, float]) -> Script:
    """What the real ears would tell of a channel; ``finished`` has the turn detector's probability by words."""
    lines: list[tuple[Nanos, Percept]] = []
    for number, span in enumerate([*of.of("over"), *of.of("words")]):
        if not span.text:
            continue
        begin, end, words = span.start, span.end, span.text.split()
        starts = tuple((begin + i * (end - begin) / len(words)) / SECOND for i in range(len(words)))
        lines += [
            (begin + 100 * MS, Percept(SPEECH_STARTED, "", begin, begin + 100 * MS, 0.9, "ear")),
            (end + 200 * MS, Percept(SPEECH_ENDED, "", begin, end, 0.9, "ear")),
            (
                end + 330 * MS,
                Percept(
                    TRANSCRIPT, span.text, begin, end, 0.9, "ear", {"utterance": float(number), "word_starts": starts}
                ),
            ),
        ]
        p = finished.get(span.text, 0.95)
        label, sure = ("complete", p) if p >= 0.5 else ("incomplete", 1 - p)
        told = Percept(END_OF_TURN, label, begin, end + 200 * MS, sure, "ear", {"probability": p})
        lines.append((end + 260 * MS, told))
    return Script("ear", lines)


def held(of: Channel, mind: Thinker | None = None, **finished: float) -> tuple[Tally, Happened]:
    known = {name.replace("_", " "): p for name, p in finished.items()}
    happened = hold(
        of,
        workers=[ear(of, known)],
        policy=mind or Scripted(),
        voice=PlainVoice(),
        options=CallOptions(turns=HASTY),
        costs=COSTS,
    )
    return score(happened)[0], happened


def test_the_channel_sounds_where_it_says_and_is_quiet_in_its_pauses() -> None:
    made = channel(
        Words("I had um"), Rest(0.5, FILLER), Sound("sob"), Rest(1.2, "sob"), Words("no time."), over=[Sound("cough")]
    )
    assert [(s.what, s.kind) for s in made.spans] == [
        ("over", "cough"),
        ("words", "words"),
        ("pause", "filler"),
        ("sound", "sob"),
        ("pause", "sob"),
        ("words", "words"),
    ]
    assert made.spans[0].start == FIRST_OVER_S * SECOND
    for span in made.spans:
        sound = made.samples[span.start * 16 // 1_000_000 : span.end * 16 // 1_000_000]
        assert (float(np.max(np.abs(sound))) < 0.01) == (span.what == "pause")
    assert made.of("pause")[1].end - made.of("pause")[1].start == 1200 * MS
    assert made.turn == (made.spans[1].start, made.spans[-1].end)
    again = channel(*made.talk.says, over=made.talk.over)
    assert np.array_equal(made.samples, again.samples)


@pytest.mark.parametrize("name", ["cough", "sneeze", "door", "keys", "hum", "laugh", "sob"])
def test_every_sound_is_heard_and_is_none_of_the_others(name: str) -> None:
    sound = sound_of(name, 3)
    assert sound.dtype == np.float32
    assert np.isfinite(sound).all()
    assert 0.05 < float(np.max(np.abs(sound))) < 0.5
    assert 0.3 < len(sound) / 16_000 < 2.0


def test_a_murmur_is_no_interruption_and_words_are() -> None:
    tally, happened = held(
        channel(Words("Wait."), Rest(0.5, SENTENCE), Words("I was here first."), cuts_in=True, over=[Words("mm-hm")])
    )
    assert tally.over == {"word": [False]}
    assert tally.paused == [True]
    assert tally.honoured == [True]
    assert tally.stops[0] == pytest.approx(0.101, abs=0.01)
    assert happened.channel.turn[0] == CUT_IN_S * SECOND


def test_a_word_that_cuts_the_voice_is_counted_as_a_false_interruption() -> None:
    tally, _ = held(channel(Words("I was here first."), over=[Words("mm-hm then")]))
    assert tally.over == {"word": [True]}


def test_a_reply_in_a_pause_is_a_cut_off_and_one_after_the_turn_is_a_takeover() -> None:
    tally, _ = held(channel(Words("I was here first."), Rest(1.2, SENTENCE), Words("Then you came along.")))
    assert tally.pauses == {SENTENCE: [True]}
    tally, _ = held(channel(Words("I was here because"), Rest(1.2, SENTENCE), Words("you asked me first.")))
    assert tally.pauses == {SENTENCE: [False]}
    assert tally.taken == [True]
    assert tally.delays == [pytest.approx(0.64, abs=0.01)]
    assert tally.latencies[0] == pytest.approx(0.68, abs=0.03)
    assert tally.drafts >= 1


def test_sounds_of_listening_are_placed_and_timed() -> None:
    long = "I went all the way to the other end of the town and"
    of = channel(Words(long), Rest(0.9, FILLER), Words(long), Rest(1.0, FILLER), Words("there was nobody."))
    happened = hold(
        of,
        workers=[ear(of, {long: 0.03})],
        policy=Silent(),
        voice=PlainVoice(),
        options=CallOptions(),
        costs=COSTS,
    )
    tally = score(happened)[0]
    assert tally.placed == ["pause"] * len(tally.placed)
    assert 1 <= tally.per_turn[0] <= 2
    assert max(tally.overlaps) <= 0.3
    assert not tally.taken[0], "the reflexes alone take no turn"
    assert tally.nods >= 1


def test_what_was_heard_once_is_heard_again_without_the_models(tmp_path: Path) -> None:
    of = channel(Words("I was here first."))
    told = {"workers": ["ear"]}
    first = Ears([ear(of, {})], of.samples, told, tmp_path)
    assert not first.known

    def through(ears: Ears) -> list[Percept]:
        worker = ears.factories()[0]()
        found: list[Percept] = []
        for begin in range(0, len(of.samples), 320):
            found += worker.feed([AudioChunk(of.samples[begin : begin + 320], begin * SECOND // 16_000)])
        return found

    heard = through(first)
    assert heard
    first.keep()

    class Deaf:
        name = "ear"
        accepts = (AudioChunk,)

        def __call__(self) -> None:
            raise AssertionError("nothing is to be recognised a second time")

    again = Ears([Deaf()], of.samples, told, tmp_path)  # type: ignore[list-item]
    assert again.known
    assert through(again) == heard
    assert set(again.heard_by().values()) == set(first.heard_by().values())
    assert not Ears([Deaf()], of.samples, {"workers": ["other"]}, tmp_path).known  # type: ignore[list-item]


def test_a_conversation_that_nobody_heard_is_counted_as_such() -> None:
    of = channel(Words("I lost my job this morning."), Rest(0.8, SENTENCE), Words("Eleven years."))
    tally, _ = held(of)
    assert (tally.heard, tally.word_errors, tally.words) == ([True], 0, 8)
    deaf = Script("ear", [])
    happened = hold(
        of, workers=[deaf], policy=Scripted(), voice=PlainVoice(), options=CallOptions(turns=HASTY), costs=COSTS
    )
    tally, _ = score(happened)
    assert (tally.heard, tally.word_errors, tally.words) == ([False], 8, 8)
    by_name = {figure.name: figure for figure in figures(tally)}
    assert by_name["conversations of which words arrived"].met is False


def test_the_figures_say_what_is_met_and_what_could_not_be_measured() -> None:
    tally = Tally(
        over={"word": [False] * 19 + [True]}, honoured=[True] * 9 + [False], delays=[0.5, 0.6, 0.9], overlaps=[0.2, 0.4]
    )
    by_name = {figure.name: figure for figure in figures(tally)}
    assert by_name["false interruptions by a word of listening, a cough, a noise"].met is True
    assert by_name["real interruptions honoured within 300 ms"].met is False
    assert by_name["end of turn, median"].value == pytest.approx(600.0)
    assert by_name["longest of them over words"].met is False
    assert by_name["cut off in a pause up to 1.2 s"].met is None
    assert by_name["cut off in a pause up to 1.2 s"].n == 0


@pytest.mark.slow
@pytest.mark.models
def test_a_small_run_with_the_real_senses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(Config(), policy=Use("scripted"))
    part = run(Given(config=config, resolve=models.resolve, jobs=2, limit=1))
    assert part.name == "timing"
    labels = [row.label for row in part.rows]
    assert labels == [
        *(f"scripted: {name}" for name in ("all", "held out", "tuned on")),
        *(f"reflexes alone: {name}" for name in ("all", "held out", "tuned on")),
        "as fast as this machine is",
    ]
    first = {figure.name: figure for figure in part.rows[0].figures}
    assert first["false interruptions by a word of listening, a cough, a noise"].value == 0.0
    assert first["real interruptions honoured within 300 ms"].value == 1.0
    assert first["takeover after the turn"].n == 2
    assert first["takeover after the turn"].value == 1.0
    assert first["most of them in a turn"].value <= 3
    alone = {figure.name: figure for figure in part.rows[3].figures}
    assert alone["takeover after the turn"].value == 0.0
    fast = {figure.name: figure for figure in part.rows[-1].figures}
    assert fast["event on the face to display, median"].n > 0
    json.dumps([dict(item) for item in part.items])
