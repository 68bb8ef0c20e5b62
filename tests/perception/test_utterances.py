"""Where utterances are cut: whatever the settings, nothing that was said stays unread."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from perception.ear import MAX_FILL, Hop, hops, samples
from perception.silero import HOP, Segmenter
from perception.utterances import Closed, Cuts, Pause, Point, Utterances

MOST_HOPS = MAX_FILL // HOP - 1
MS_PER_HOP = HOP / 16


@dataclass(frozen=True, slots=True)
class Spoken:
    """A stretch of speech: samples of its onset and of the end of its voice, and hops that count as voice."""

    onset: int
    stop: int
    voiced: int


@st.composite
def settings(draw: st.DrawFn) -> Cuts:
    gap = draw(st.integers(1, MOST_HOPS))
    pause = draw(st.one_of(st.just(gap), st.integers(1, gap)))
    return Cuts(
        pause_ms=pause * MS_PER_HOP,
        gap_ms=gap * MS_PER_HOP,
        min_speech_ms=draw(st.integers(1, 4)) * MS_PER_HOP,
        min_voice_ms=draw(st.integers(1, 8)) * MS_PER_HOP,
    )


def heard(cuts: Cuts, beliefs: list[float]) -> list[tuple[int, Point]]:
    """Return each point with the sample at which it was named."""
    utterances = Utterances(cuts)
    ends = range(HOP, HOP * (len(beliefs) + 1), HOP)
    return [(end, point) for end, p in zip(ends, beliefs, strict=True) for point in utterances.step(Hop(end, p))]


def spoken(cuts: Cuts, beliefs: list[float]) -> list[Spoken]:
    """Tell what was said from the voice activity alone."""
    segments = Segmenter(on=cuts.on, off=cuts.off, min_speech=hops(cuts.min_speech_ms), min_silence=hops(cuts.gap_ms))
    found, voiced = list[Spoken](), 0
    for n, p in enumerate(beliefs, 1):
        edge = segments.step(p, n * HOP)
        if edge is not None and edge.began:
            voiced = n - 1 - edge.at // HOP  # as the machine counts: from the onset to here
        if segments.speaking and segments.silence == 0:
            voiced += 1
        if edge is not None and not edge.began:
            found.append(Spoken(segments.onset, edge.at, voiced))
    return found


RUNS = st.lists(st.tuples(st.integers(1, 90), st.sampled_from((0.02, 0.4, 0.95))), min_size=1, max_size=12)


@given(cuts=settings(), runs=RUNS)
def test_whatever_was_said_is_read_to_its_last_word(cuts: Cuts, runs: list[tuple[int, float]]) -> None:
    beliefs = [p for length, p in runs for _ in range(length)][: 13 * 1000 // 32]
    beliefs += [0.01] * (MOST_HOPS + 1)  # the call goes on in silence
    points = heard(cuts, beliefs)
    for stretch in spoken(cuts, beliefs):
        if stretch.voiced * HOP < samples(cuts.min_voice_ms):
            continue
        last = [p for _, p in points if isinstance(p, Pause) and p.onset == stretch.onset and p.stop == stretch.stop]
        assert len(last) == 1, f"{stretch} was not read as a whole, with {cuts}"
        assert last[0].begin <= stretch.onset
        assert last[0].end >= stretch.stop


@given(cuts=settings(), runs=RUNS)
def test_an_utterance_is_closed_once_and_after_its_last_pause(cuts: Cuts, runs: list[tuple[int, float]]) -> None:
    beliefs = [p for length, p in runs for _ in range(length)] + [0.01] * (MOST_HOPS + 1)
    order = [(type(p), p.utterance) for _, p in heard(cuts, beliefs) if isinstance(p, Pause | Closed)]
    for number in {number for _, number in order}:
        mine = [kind for kind, of in order if of == number]
        assert mine.count(Closed) == 1
        assert mine[-1] is Closed
        assert Pause in mine


@given(cuts=settings())
def test_a_pause_comes_after_as_much_silence_as_was_asked_for(cuts: Cuts) -> None:
    points = heard(cuts, [0.95] * 20 + [0.01] * (MOST_HOPS + 1))
    [(at, pause)] = [(end, p) for end, p in points if isinstance(p, Pause)]
    assert pause.stop == 20 * HOP
    assert at == 20 * HOP + hops(cuts.pause_ms) * HOP
    closed = [end for end, p in points if isinstance(p, Closed)]
    assert closed == [20 * HOP + hops(cuts.gap_ms) * HOP]
