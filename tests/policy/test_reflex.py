from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception.percept import (
    END_OF_TURN,
    EXPRESSION,
    GAZE,
    GESTURE,
    PARTIAL,
    PRESENCE,
    PROSODY,
    SPEECH_ENDED,
    SPEECH_STARTED,
    TRANSCRIPT,
    UNCERTAIN,
    Percept,
)
from perception.timebase import SECOND, seconds
from policy.decision import Backchannel, Decision, Express, Wait
from policy.reflex import INCOMPLETE, QUIET, Reflex, ReflexOptions
from tests.policy.windows import percept


def play(script: Iterable[tuple[float, str, str]], reflex: Reflex | None = None) -> list[tuple[float, Decision]]:
    reflex = reflex or Reflex()
    out = []
    for at, kind, label in script:
        decision = reflex.step(percept(kind, label, at, sure=0.95), seconds(at))
        if decision is not None:
            out.append((at, decision))
    return out


@pytest.mark.parametrize("look", ["sad", "fear", "disgust", "angry"])
def test_distress_is_met_with_concern_at_once(look: str) -> None:
    ((_, decision),) = play([(1.0, EXPRESSION, look)])
    assert isinstance(decision, Express)
    assert decision.emotion == ("calm" if look == "angry" else "concern")
    assert decision.evidence[0].label == look
    assert decision.reason


def test_a_smile_alone_is_met_with_warmth_and_over_glad_words_with_joy() -> None:
    found = play([(1.0, EXPRESSION, "happy"), (8.0, PARTIAL, "I am so happy today"), (18.0, EXPRESSION, "happy")])
    assert [d.emotion for _, d in found if isinstance(d, Express)] == ["warm", "happy", "happy"]
    assert found[2][1].reason == "The person smiles over glad words."


@pytest.mark.parametrize("heavy", [(EXPRESSION, "sad"), (PROSODY, "trembling"), (PARTIAL, "my dog died")])
def test_a_smile_after_something_heavy_gets_warmth_whatever_the_words(heavy: tuple[str, str]) -> None:
    found = play(
        [(1.0, *heavy), (5.0, EXPRESSION, "happy"), (6.5, PARTIAL, "I am so happy today"), (30.0, EXPRESSION, "happy")]
    )
    assert [d.emotion for _, d in found if isinstance(d, Express)] == ["concern", "warm", "warm"]


def test_uncertain_or_weak_percepts_move_nothing() -> None:
    assert play([(1.0, EXPRESSION, UNCERTAIN), (2.0, END_OF_TURN, UNCERTAIN)]) == []
    assert Reflex().step(percept(EXPRESSION, "sad", 1, sure=0.3), SECOND) is None


def test_looks_do_not_flicker() -> None:
    found = play([(i / 10, EXPRESSION, "sad" if i // 3 % 2 else "happy") for i in range(100)])
    times = [at for at, _ in found]
    assert all(b - a >= 1.2 for a, b in itertools.pairwise(times))
    (shown,) = [d for _, d in play([(i / 10, EXPRESSION, "sad") for i in range(100)])]
    assert isinstance(shown, Express)


def faded(script: list[tuple[float, str, str]], until: float) -> list[tuple[float, str, float]]:
    """Play a script and every tick up to an instant; return when which look was shown how strongly."""
    reflex = Reflex()
    out: list[tuple[float, str, float]] = []

    def tick_to(at: float) -> None:
        while (due := reflex.deadline()) is not None and due <= seconds(at):
            if (shown := reflex.tick(due)) is not None:
                assert shown.reason
                out.append((due / SECOND, shown.emotion, shown.intensity))

    for at, kind, label in script:
        tick_to(at)
        if isinstance(shown := reflex.step(percept(kind, label, at, sure=0.9), seconds(at)), Express):
            out.append((at, shown.emotion, shown.intensity))
    tick_to(until)
    return out


def test_a_look_has_an_onset_a_hold_and_a_decay() -> None:
    shown = faded([(1.0, EXPRESSION, "sad")], 60.0)
    assert [(at, look) for at, look, _ in shown] == [
        (1.0, "concern"),
        (1.4, "concern"),
        (6.0, "concern"),
        (7.5, "neutral"),
    ]
    onset, peak, fading, _ = (intensity for _, _, intensity in shown)
    assert onset < peak
    assert fading == pytest.approx(peak / 2, abs=1e-3)


def test_a_look_is_held_as_long_as_something_renews_it() -> None:
    shown = faded([(at, EXPRESSION, "sad") for at in (1.0, 4.0, 8.0, 12.0)], 60.0)
    assert [(at, look) for at, look, _ in shown][2:] == [(17.0, "concern"), (18.5, "neutral")]


def test_a_look_does_not_fade_into_the_agents_own_reply_but_after_it() -> None:
    reflex = Reflex()
    reflex.step(percept(EXPRESSION, "sad", 1, sure=0.9), SECOND)
    reflex.agent_speaks(True)
    assert reflex.deadline() is None
    reflex.agent_speaks(False, 10 * SECOND, "warm")
    assert reflex.deadline() == 15 * SECOND
    fading = reflex.tick(15 * SECOND)
    assert fading is not None
    assert fading.emotion == "warm"


def test_a_pause_inside_the_turn_gets_a_sound_and_then_a_gap() -> None:
    script = [(0.0, SPEECH_STARTED, "")]
    for i in range(1, 30):
        script += [(i + 0.1, SPEECH_ENDED, ""), (i + 0.3, END_OF_TURN, INCOMPLETE), (i + 0.6, SPEECH_STARTED, "")]
    found = play(script)
    sounds = [(at, d) for at, d in found if isinstance(d, Backchannel)]
    assert [at for at, _ in sounds] == [4.3, 8.3, 12.3]
    tokens = [d.token for _, d in sounds if isinstance(d, Backchannel)]
    assert all(a != b for a, b in itertools.pairwise(tokens))
    nods = [at for at, d in found if isinstance(d, Express)]
    assert nods[0] == 3.1, "none in the first three seconds"
    assert all(b - a >= 2.5 for a, b in itertools.pairwise(nods))
    assert all(isinstance(d, Express) and d.gesture == "nod" for _, d in found if not isinstance(d, Backchannel))


@pytest.mark.parametrize(("sure", "sounds"), [(0.95, 1), (0.85, 0)])
def test_a_sound_needs_to_be_sure_that_more_is_to_come(sure: float, sounds: int) -> None:
    reflex = Reflex()
    play([(0.0, SPEECH_STARTED, ""), (5.0, SPEECH_ENDED, "")], reflex)
    found = reflex.step(percept(END_OF_TURN, INCOMPLETE, 5.2, sure=sure), seconds(5.2))
    assert isinstance(found, Backchannel) == bool(sounds)


def test_no_sound_over_words() -> None:
    script = [
        (0.0, SPEECH_STARTED, ""),
        (5.0, SPEECH_ENDED, ""),
        (5.2, SPEECH_STARTED, ""),
        (5.3, END_OF_TURN, INCOMPLETE),
    ]
    assert not [d for _, d in play(script) if isinstance(d, Backchannel)]


def test_strong_distress_gets_quiet_sounds_only() -> None:
    script = [(0.0, SPEECH_STARTED, ""), (1.0, PROSODY, "trembling")]
    for at in (5.0, 9.5, 11.0):
        script += [(at, SPEECH_ENDED, ""), (at + 0.2, END_OF_TURN, INCOMPLETE), (at + 0.6, SPEECH_STARTED, "")]
    sounds = [d for _, d in play(script) if isinstance(d, Backchannel)]
    assert sounds
    assert all(d.token in QUIET and "quietly" in d.reason for d in sounds)


def fall(at: float, final_st: float, label: str = "neutral", sure: float = 0.2) -> Percept:
    return Percept(PROSODY, label, seconds(at - 1), seconds(at), sure, "prosody", {"pitch_final_st": final_st})


@pytest.mark.parametrize(
    ("percept_", "nods"),
    [(fall(5.0, -5.0), 1), (fall(5.0, -2.0), 0), (fall(5.0, -5.0, UNCERTAIN), 0), (fall(2.0, -5.0), 0)],
)
def test_a_fall_of_the_voice_in_the_middle_of_the_turn_gets_a_nod(percept_: Percept, nods: int) -> None:
    reflex = Reflex()
    play([(0.0, SPEECH_STARTED, "")], reflex)
    found = reflex.step(percept_, percept_.end)
    assert (isinstance(found, Express) and found.gesture == "nod") == bool(nods)


def test_whoever_looks_away_to_think_is_left_in_peace() -> None:
    script = [(0.0, SPEECH_STARTED, ""), (5.0, GAZE, "away"), (5.1, SPEECH_ENDED, ""), (5.3, END_OF_TURN, INCOMPLETE)]
    found = play(script)
    assert [type(d) for _, d in found] == [Wait]
    assert "look" in found[0][1].reason
    late = play([*script, (12.0, END_OF_TURN, INCOMPLETE)])
    assert isinstance(late[-1][1], Backchannel), "but not for ever"


def test_a_look_back_is_met_and_a_glance_is_not() -> None:
    found = play([(1.0, GAZE, "away"), (3.0, GAZE, "towards"), (4.0, GAZE, "away"), (4.3, GAZE, "towards")])
    assert [(at, d.gesture) for at, d in found if isinstance(d, Express)] == [(3.0, "blink")]


def test_eyes_that_weep_are_given_room() -> None:
    found = play([(1.0, EXPRESSION, "sad"), (2.0, GAZE, "away")])
    assert [(d.emotion, d.gesture) for _, d in found if isinstance(d, Express)] == [
        ("concern", "none"),
        ("concern", "look_away"),
    ]


def test_no_sound_at_the_end_of_a_turn_or_while_the_agent_speaks() -> None:
    assert play([(0.0, SPEECH_STARTED, ""), (6.0, END_OF_TURN, "complete")]) == []
    reflex = Reflex()
    reflex.agent_speaks(True)
    assert play([(0.0, SPEECH_STARTED, ""), (6.0, SPEECH_ENDED, ""), (6.2, END_OF_TURN, INCOMPLETE)], reflex) == []
    reflex.agent_speaks(False)
    assert play([(8.0, END_OF_TURN, INCOMPLETE)], reflex)


def test_a_new_turn_may_have_sounds_again() -> None:
    reflex = Reflex(ReflexOptions(backchannels=1))
    ends = [(5.0, SPEECH_ENDED, ""), (5.2, END_OF_TURN, INCOMPLETE), (10.0, END_OF_TURN, INCOMPLETE)]
    script = [(0.0, SPEECH_STARTED, ""), *ends]
    assert sum(isinstance(d, Backchannel) for _, d in play(script, reflex)) == 1
    reflex.turn_taken()
    script = [(20.0, SPEECH_STARTED, ""), (25.0, SPEECH_ENDED, ""), (25.2, END_OF_TURN, INCOMPLETE)]
    assert sum(isinstance(d, Backchannel) for _, d in play(script, reflex)) == 1


def test_a_breath_gets_a_nod() -> None:
    ((_, decision),) = play([(0.0, SPEECH_STARTED, ""), (3.0, SPEECH_ENDED, "")])
    assert isinstance(decision, Express)
    assert decision.gesture == "nod"


def test_a_nod_is_returned_and_an_arrival_greeted() -> None:
    found = play([(0.0, SPEECH_STARTED, ""), (3.0, GESTURE, "nod")])
    assert [d.gesture for _, d in found if isinstance(d, Express)] == ["nod"]
    ((_, decision),) = play([(1.0, PRESENCE, "arrived")])
    assert isinstance(decision, Express)
    assert decision.emotion == "warm"


KINDS = st.sampled_from(
    [EXPRESSION, PROSODY, PARTIAL, END_OF_TURN, SPEECH_STARTED, SPEECH_ENDED, GESTURE, PRESENCE, "new"]
)
LABELS = st.sampled_from(
    ["sad", "happy", "angry", "trembling", "nod", INCOMPLETE, "complete", "my dog died", "", UNCERTAIN]
)


@pytest.mark.slow
@given(st.lists(st.tuples(KINDS, LABELS, st.floats(0.0, 1.0), st.floats(0.0, 3.0)), max_size=80))
def test_it_never_smiles_soon_after_distress_and_repeats_exactly(steps: list[tuple[str, str, float, float]]) -> None:
    percepts, at = [], 0.0
    for kind, label, sure, gap in steps:
        at += gap
        percepts.append(Percept(kind, label, seconds(at), seconds(at), sure, "test"))
    one, other = Reflex(), Reflex()
    heavy_at: int | None = None
    for item in percepts:
        decision = one.step(item, item.end)
        assert decision == other.step(item, item.end)
        if item.kind == EXPRESSION and item.label in {"sad", "angry"} and item.confidence >= 0.5:
            heavy_at = item.end
        if isinstance(decision, Express) and decision.emotion == "happy" and heavy_at is not None:
            assert item.end - heavy_at >= ReflexOptions().memory


@pytest.mark.slow
@given(st.lists(st.tuples(KINDS, LABELS, st.floats(0.0, 1.0), st.floats(0.0, 3.0)), max_size=120))
def test_its_laws_hold_whatever_is_perceived(steps: list[tuple[str, str, float, float]]) -> None:
    options, reflex = ReflexOptions(), Reflex()
    at, sounds, last, pausing = 0.0, 0, -options.backchannel_gap, False
    for kind, label, sure, gap in steps:
        at += gap
        item = Percept(kind, label, seconds(at), seconds(at), sure, "test")
        while (due := reflex.deadline()) is not None and due <= item.end:
            reflex.tick(due)
            assert reflex.deadline() != due, "it would spin"
        decision = reflex.step(item, item.end)
        pausing = kind == SPEECH_ENDED or (pausing and kind != SPEECH_STARTED)
        if decision is None:
            continue
        assert decision.reason
        assert decision.evidence == (item,)
        assert label != UNCERTAIN or kind in {PARTIAL}
        if isinstance(decision, Backchannel):
            sounds += 1
            assert pausing, "a sound of listening falls into a pause"
            assert sure >= options.more
            assert item.end - last >= options.backchannel_gap
            assert sounds <= options.backchannels
            last = item.end


def emotions(script: Iterable[tuple[float, str, str]], reflex: Reflex | None = None) -> list[str]:
    return [d.emotion for _, d in play(script, reflex) if isinstance(d, Express) and d.gesture == "none"]


def test_over_a_loss_and_a_crying_face_one_look_is_held() -> None:
    faces = [(2.0 + 0.4 * k, EXPRESSION, ("sad", "happy", "fear", "surprise")[k % 4]) for k in range(20)]
    assert emotions([(1.0, SPEECH_STARTED, ""), (1.5, PARTIAL, "my dog died last night"), *faces]) == ["concern"]


@pytest.mark.parametrize("typed", [True, False])
def test_a_smile_while_a_loss_is_in_the_room_stays_without_a_smile(typed: bool) -> None:
    reflex = Reflex()
    before = [] if typed else [(1.0, PARTIAL, "my mother died"), (2.0, TRANSCRIPT, "My mother died.")]
    play(before, reflex)
    reflex.turn_taken("My mother died." if typed else "")
    assert emotions([(40.0, EXPRESSION, "happy"), (41.0, EXPRESSION, "happy")], reflex) == ["tender"]
    glad = [(50.0, PARTIAL, "but listen I got the job"), (51.5, EXPRESSION, "happy")]
    assert emotions(glad, reflex) in (["warm"], ["happy"]), "the subject has plainly turned"
    reflex.turn_taken("But listen, I got the job.")
    reflex.turn_taken("I start on Monday.")
    assert emotions([(90.0, EXPRESSION, "happy")], reflex) == ["warm"]


def test_glad_words_over_tears_get_a_careful_look() -> None:
    assert emotions([(1.0, EXPRESSION, "sad"), (3.0, PARTIAL, "I got the job")]) == ["concern"]
    assert emotions([(1.0, PARTIAL, "I got the job"), (3.0, EXPRESSION, "sad")]) == ["happy", "tender"]


def test_a_face_that_is_a_close_call_turns_no_look() -> None:
    close = Reflex()
    shown = [
        close.step(percept(EXPRESSION, label, at, sure=sure), seconds(at))
        for at, label, sure in ((1.0, "happy", 0.9), (3.0, "sad", 0.57), (5.0, "sad", 0.59))
    ]
    assert [d.emotion if isinstance(d, Express) else None for d in shown] == ["warm", None, "concern"]
