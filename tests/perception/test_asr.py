"""Speech recognition: words, times, revisions, and silence about what is no speech."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import jiwer
import numpy as np
import pytest
from numpy.typing import NDArray

from agent.models import resolve
from perception.agreement import Agreement
from perception.ear import Hop
from perception.media import RATE_HZ, AudioChunk
from perception.percept import PARTIAL, TRANSCRIPT, Percept
from perception.silero import HOP
from perception.timebase import SECOND, as_seconds, seconds
from perception.utterances import Closed, Cuts, Growing, Pause, Point, Resumed, Utterances
from perception.whisper import Whisper, repeats, without_loop
from perception.workers import asr
from tests.speech_samples import (
    SENTENCES,
    chunked,
    clicks,
    feed,
    pink,
    random_cuts,
    say,
    silence,
    tones,
    voiced_span,
)

CALM = 1600
"""Chunk length of a worker that keeps up: 100 ms."""


@cache
def factory(**options: Any) -> asr.AsrFactory:
    return asr.load(resolve=resolve, **options)


def plain(text: str) -> str:
    text = text.lower().replace("i'm", "i am").replace("haven't", "have not").replace("two", "2")
    return re.sub(r"[^a-z0-9' ]", "", text)


def spoken(*texts: str, gap_s: float = 1.0) -> NDArray[np.float32]:
    parts = [silence(0.6)]
    for n, text in enumerate(texts):
        sound = say(text)
        first, last = voiced_span(sound, floor=0.003)
        parts += [sound[first:last], silence(gap_s, seed=n)]
    return np.concatenate(parts)


def finals(percepts: list[Percept]) -> dict[float, Percept]:
    return {p.number("utterance"): p for p in percepts if p.kind == TRANSCRIPT}


@pytest.mark.models
@pytest.mark.slow
def test_word_error_rate_on_clear_speech(record_property: Callable[[str, object], None]) -> None:
    worker = factory(partials="off")()
    percepts = feed(worker, chunked(spoken(*SENTENCES), CALM))
    heard = [p.label for p in finals(percepts).values()]
    wer = jiwer.wer(plain(" ".join(SENTENCES)), plain(" ".join(heard)))
    record_property("wer_percent", round(100 * wer, 1))
    assert len(heard) == len(SENTENCES), heard
    assert wer <= 0.15, (wer, heard)


@pytest.mark.models
@pytest.mark.slow
def test_word_error_rate_in_noise(record_property: Callable[[str, object], None]) -> None:
    sound = spoken(*SENTENCES[:5])
    level = float(np.sqrt(np.mean(say(SENTENCES[0]) ** 2)))
    percepts = feed(factory(partials="off")(), chunked(sound + pink(len(sound) / RATE_HZ, level / 3.2), CALM))
    wer = jiwer.wer(plain(" ".join(SENTENCES[:5])), plain(" ".join(p.label for p in finals(percepts).values())))
    record_property("wer_percent_at_10_db", round(100 * wer, 1))
    assert wer <= 0.15


@pytest.mark.models
@pytest.mark.slow
def test_a_transcript_says_when_each_word_was_said() -> None:
    sound = spoken("My sister called me", "last night from London.", gap_s=0.4)
    sound = np.concatenate([sound, silence(0.4)])
    (final,) = finals(feed(factory(partials="off")(), chunked(sound, CALM, start=100 * SECOND))).values()
    starts, ends = final.series("word_starts"), final.series("word_ends")
    assert len(starts) == len(ends) == len(final.label.split())
    assert list(starts) == sorted(starts)
    assert all(start <= end for start, end in zip(starts, ends, strict=True))
    assert starts[0] >= as_seconds(final.start) - 0.001
    assert ends[-1] <= as_seconds(final.end) + 0.001
    pause = next(n for n, word in enumerate(final.label.split()) if word.lower() == "last")
    first, last = voiced_span(say("My sister called me"), floor=0.003)
    assert abs(starts[pause] - (100.6 + (last - first) / RATE_HZ + 0.4)) < 0.4
    assert ends[pause - 1] < starts[pause] + 0.001
    assert final.data["language"] == "en"


@pytest.mark.models
@pytest.mark.slow
def test_a_pause_inside_an_utterance_is_revised() -> None:
    sound = spoken("I think I will go", "to the mountains tomorrow.", gap_s=0.4)
    percepts = feed(factory()(), chunked(np.concatenate([sound, silence(1.0)]), CALM))
    transcripts = [p for p in percepts if p.kind == TRANSCRIPT]
    assert [p.number("utterance") for p in transcripts] == [1, 1]
    assert [p.number("revision") for p in transcripts] == [1, 2]
    assert "mountains" not in transcripts[0].label
    assert {"think", "mountains", "tomorrow"} <= set(plain(transcripts[1].label).split())
    between = [p for p in percepts if p.kind == PARTIAL and p.end > transcripts[0].end]
    assert all(plain(p.label).startswith(plain(transcripts[0].label)) for p in between)
    assert transcripts[0].start == transcripts[1].start


@pytest.mark.models
@pytest.mark.slow
def test_committed_words_of_partials_stay() -> None:
    sound = spoken("My sister called me last night and we talked for a long time about everything that happened.")
    partials = [p for p in feed(factory()(), chunked(sound, CALM)) if p.kind == PARTIAL]
    assert len(partials) >= 4
    assert partials[-1].number("committed") >= 8
    for earlier, later in pairwise(partials):
        sure = int(earlier.number("committed"))
        assert later.label.split()[:sure] == earlier.label.split()[:sure]
        assert later.end > earlier.end
    assert partials[0].end - partials[0].start < seconds(0.7)


@pytest.mark.models
@pytest.mark.slow
def test_a_pause_is_recognised_within_200_ms_of_silence() -> None:
    sound = spoken(SENTENCES[2])
    worker = factory(partials="off")()
    for chunk in chunked(sound):
        found = worker.feed([chunk])
        if found and found[-1].end > seconds(1.5):
            assert chunk.end - found[-1].end < seconds(0.2)
            return
    pytest.fail("nothing heard")


@pytest.mark.models
@pytest.mark.slow
def test_nothing_is_made_up() -> None:
    rng = np.random.default_rng(0)
    knocks = silence(5)
    for at in range(8000, 72000, 9000):
        decay = np.exp(-np.arange(1600) / 200)
        knocks[at : at + 1600] += (rng.standard_normal(1600) * decay * 0.5).astype(np.float32)
    buzz = (0.2 * np.sign(np.sin(2 * np.pi * 110 * np.arange(5 * RATE_HZ) / RATE_HZ))).astype(np.float32)
    for other in (silence(6), pink(6), pink(6, 0.02), clicks(6), tones(6), knocks, buzz, np.zeros(96000, np.float32)):
        assert feed(factory()(), chunked(other, CALM)) == []


@pytest.mark.models
@pytest.mark.slow
def test_the_rule_alone_drops_what_the_model_makes_of_noise() -> None:
    model = Whisper(resolve("whisper-base"))
    for other in (silence(3), pink(3), clicks(3), tones(3), np.zeros(48000, np.float32), silence(3, noise=0.2)):
        assert not model.decode(other).believed
    assert model.decode(say(SENTENCES[0])).believed
    assert not model.decode(np.zeros(10, np.float32)).believed


@pytest.mark.models
@pytest.mark.slow
def test_batches_that_keep_up_give_the_same_percepts_however_they_are_cut() -> None:
    sound = spoken("Can you help me", "with something important?", "Thank you.", gap_s=0.35)
    sound = np.concatenate([sound, silence(0.8)])
    whole = feed(factory()(), chunked(sound, 512))
    assert {p.kind for p in whole} == {PARTIAL, TRANSCRIPT}
    assert feed(factory()(), chunked(sound, random_cuts(7)), batch=4) == whole
    assert feed(factory()(), chunked(sound, 5000)) == whole


@pytest.mark.models
@pytest.mark.slow
def test_batches_of_any_length_give_the_same_last_transcripts() -> None:
    sound = spoken("I think I will go", "to the mountains", gap_s=0.35)
    sound = np.concatenate([sound, silence(0.6), spoken("Thank you for asking.")])
    calm = feed(factory()(), chunked(sound, CALM))
    assert len(finals(calm)) == 2
    for length in (9_000, 30_000, len(sound)):
        late = feed(factory()(), chunked(sound, length))
        assert finals(late) == finals(calm)
        assert len(late) < len(calm)
    cut = 40_000
    before = feed(factory()(), chunked(sound[:cut], CALM))
    assert before == calm[: len(before)]


@pytest.mark.models
@pytest.mark.slow
def test_long_speech_without_a_pause_is_cut_and_nothing_is_lost() -> None:
    texts = (SENTENCES[0], SENTENCES[1], SENTENCES[6], SENTENCES[7])
    parts = [silence(0.5)]
    for text in texts:
        first, last = voiced_span(say(text), floor=0.02)
        parts.append(say(text)[first:last])
    sound = np.concatenate([*parts, silence(1.0)])
    percepts = feed(factory(long_s=5.0, longest_s=6.0, partials="off")(), chunked(sound, CALM))
    last_ones = list(finals(percepts).values())
    assert len(last_ones) >= 2
    assert all(p.end - p.start <= seconds(6.2) for p in last_ones)
    assert all(a.end <= b.start for a, b in pairwise(last_ones))
    heard = " ".join(p.label for p in last_ones)
    assert jiwer.wer(plain(" ".join(texts)), plain(heard)) <= 0.25, heard


@pytest.mark.models
@pytest.mark.slow
def test_the_language_is_found_and_locked() -> None:
    worker = factory(language="auto")()
    percepts = feed(worker, chunked(spoken(*SENTENCES[:3], gap_s=0.9), CALM))
    assert {p.data["language"] for p in percepts if p.kind == TRANSCRIPT} == {"en"}
    assert worker._tongue.wanted == "en"
    assert factory(language="auto")()._tongue.wanted is None


@pytest.mark.models
@pytest.mark.slow
def test_a_gap_in_the_sound_closes_the_utterance() -> None:
    worker = factory(partials="off")()
    sound = spoken(SENTENCES[3])
    early = feed(worker, chunked(sound[: len(sound) - RATE_HZ], CALM))
    late = feed(worker, chunked(sound, CALM, start=300 * SECOND))
    found = finals(early + late)
    assert [p.label for p in found.values()] == [SENTENCES[3]] * 2
    assert found[2.0].start > 300 * SECOND


@pytest.mark.models
def test_options_are_checked() -> None:
    for wrong in ({"partials": "maybe"}, {"gap_ms": 5000}, {"longest_s": 40}, {"language": "klingon"}):
        with pytest.raises(ValueError, match=r"partials|pause_ms|long_s|klingon"):
            asr.load(resolve=resolve, **wrong)
    with pytest.raises(TypeError):
        asr.load(resolve=resolve, beam=5)


def points(probabilities: list[float], cuts: Cuts | None = None) -> list[tuple[int, Point]]:
    state = Utterances(cuts or Cuts())
    return [(n, p) for n, belief in enumerate(probabilities) for p in state.step(Hop((n + 1) * HOP, belief))]


def test_points_of_an_utterance_with_a_pause() -> None:
    found = points([0.0] * 20 + [0.9] * 20 + [0.0] * 8 + [0.9] * 10 + [0.0] * 30)
    assert [(n, type(p)) for n, p in found] == [
        (35, Growing),
        (43, Pause),
        (48, Resumed),
        (61, Pause),
        (76, Closed),
    ]
    first, second = (p for _, p in found if isinstance(p, Pause))
    assert (first.revision, second.revision) == (1, 2)
    assert first.onset == second.onset == 20 * HOP
    assert first.begin == 20 * HOP - 4800
    assert (first.stop, first.end) == (40 * HOP, 44 * HOP)
    assert second.stop == 58 * HOP


def test_a_blip_is_no_utterance() -> None:
    assert points([0.0] * 5 + [0.9] * 3 + [0.0] * 40) == []


def test_utterances_share_no_sound() -> None:
    found = points(([0.9] * 20 + [0.0] * 19) * 3)
    pauses = [p for _, p in found if isinstance(p, Pause)]
    assert [p.utterance for p in pauses] == [1, 2, 3]
    assert all(a.end <= b.begin for a, b in pairwise(pauses))


def test_endless_voice_is_cut_where_it_is_weakest() -> None:
    beliefs = [0.95] * 800
    beliefs[760] = 0.6
    (_, pause), (_, closed), *rest = [(n, p) for n, p in points(beliefs) if not isinstance(p, Growing)]
    assert isinstance(pause, Pause)
    assert isinstance(closed, Closed)
    assert pause.end == pause.stop == 761 * HOP
    assert rest == []


def test_after_a_lost_stretch_everything_is_closed() -> None:
    state = Utterances(Cuts())
    for n in range(30):
        state.step(Hop((n + 1) * HOP, 0.9))
    assert state.step(Hop(10_000 * HOP, 0.0, fresh=True)) == [Closed(1)]


def test_agreement_commits_all_but_the_last_word() -> None:
    state = Agreement()
    assert state.add(["I", "th..."]) == ("I", "th")
    assert not state.committed
    assert state.add(["I", "think", "it"]) == ("I", "think", "it")
    assert list(state.committed) == ["I"]
    assert state.add(["I", "think,", "it's"]) == ("I", "think,", "it's")
    assert list(state.committed) == ["I", "think,"]
    assert state.add(["Eye", "think", "it's", "fine"]) == ("I", "think,", "it's", "fine")
    assert state.add([]) == ("I", "think,")


def test_loops_are_found() -> None:
    assert repeats([1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3])
    assert not repeats([1, 2, 3, 1, 2, 3, 1, 2, 3])
    assert not repeats([5, 5, 5, 5])
    assert repeats([5] * 8)
    assert without_loop([9, 1, 2, 1, 2, 1, 2, 1, 2, 4]) == [9, 1, 2]
    assert without_loop([9, 1, 2]) == [9, 1, 2]


@pytest.mark.models
def test_a_worker_guards_its_input() -> None:
    with pytest.raises(ValueError, match="8000"):
        factory()().feed([AudioChunk(np.zeros(80, np.float32), start=0, rate_hz=8000)])


@pytest.mark.models
@pytest.mark.slow
def test_fast_speech_is_recognised_to_its_end() -> None:
    text = "She said that he and I and all of us had to go in at ten to six or so to get it if it is to be on by then."
    heard = Whisper(resolve("whisper-base")).decode(np.concatenate([silence(0.3), say(text, speed=2.0), silence(0.2)]))
    assert plain(heard.text).endswith("by then"), heard.text


@pytest.mark.models
@pytest.mark.slow
def test_alternatives_come_where_a_word_is_unsure_and_only_there() -> None:
    first = spoken("He hits me.", gap_s=1.2)
    first += pink(len(first) / RATE_HZ, 0.03)
    sound = np.concatenate([first, spoken("It was the best day of my life.", gap_s=1.2)])
    worker, again, off = factory(partials="off"), factory(partials="off"), factory(partials="off", alternatives=0)
    unsure, sure = finals(feed(worker(), chunked(sound, CALM))).values()
    others = unsure.data["alternatives"]
    assert isinstance(others, tuple)
    assert all(isinstance(text, str) and text.strip() for text in others)
    assert 1 <= len(others) <= 5
    bare = [plain(str(text)) for text in others]
    assert len(set(bare)) == len(bare)
    assert plain(unsure.label) not in bare
    assert "he hits me" in {*bare, plain(unsure.label)}
    assert "alternatives" not in sure.data
    assert finals(feed(again(), chunked(sound, 7777))) == finals(feed(worker(), chunked(sound, CALM))), "to the word"
    silent = list(finals(feed(off(), chunked(sound, CALM))).values())
    assert [p.label for p in silent] == [unsure.label, sure.label]
    assert not [p for p in silent if "alternatives" in p.data]


@pytest.mark.parametrize("count", [-1, 11])
def test_a_number_of_alternatives_beyond_its_range_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"alternatives is {count}, expected 0"):
        asr.Options(alternatives=count)
