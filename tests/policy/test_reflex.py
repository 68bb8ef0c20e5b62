from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception.percept import (
    END_OF_TURN,
    EXPRESSION,
    GESTURE,
    PARTIAL,
    PRESENCE,
    PROSODY,
    SPEECH_ENDED,
    SPEECH_STARTED,
    UNCERTAIN,
    Percept,
)
from perception.timebase import SECOND, seconds
from policy.decision import Backchannel, Decision, Express
from policy.reflex import INCOMPLETE, Options, Reflex
from tests.policy.windows import percept


def play(script: Iterable[tuple[float, str, str]], reflex: Reflex | None = None) -> list[tuple[float, Decision]]:
    reflex = reflex or Reflex()
    out = []
    for at, kind, label in script:
        decision = reflex.step(percept(kind, label, at, sure=0.9), seconds(at))
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


def test_a_smile_is_returned() -> None:
    ((_, decision),) = play([(1.0, EXPRESSION, "happy")])
    assert isinstance(decision, Express)
    assert decision.emotion == "happy"


@pytest.mark.parametrize("heavy", [(EXPRESSION, "sad"), (PROSODY, "trembling"), (PARTIAL, "my dog died")])
def test_a_smile_after_something_heavy_gets_warmth(heavy: tuple[str, str]) -> None:
    found = play([(1.0, *heavy), (5.0, EXPRESSION, "happy"), (40.0, EXPRESSION, "happy")])
    assert [d.emotion for _, d in found if isinstance(d, Express)] == ["concern", "warm", "happy"]


def test_uncertain_or_weak_percepts_move_nothing() -> None:
    assert play([(1.0, EXPRESSION, UNCERTAIN), (2.0, END_OF_TURN, UNCERTAIN)]) == []
    assert Reflex().step(percept(EXPRESSION, "sad", 1, sure=0.3), SECOND) is None


def test_looks_do_not_flicker() -> None:
    found = play([(i / 10, EXPRESSION, "sad" if i // 3 % 2 else "happy") for i in range(100)])
    times = [at for at, _ in found]
    assert all(b - a >= 1.2 for a, b in itertools.pairwise(times))
    assert len(play([(i / 10, EXPRESSION, "sad") for i in range(100)])) == 2


def test_a_pause_inside_the_turn_gets_a_sound_and_then_a_gap() -> None:
    script = [(0.0, SPEECH_STARTED, "")]
    for i in range(1, 30):
        script += [(float(i), END_OF_TURN, INCOMPLETE)]
    found = play(script)
    sounds = [(at, d) for at, d in found if isinstance(d, Backchannel)]
    assert [at for at, _ in sounds] == [4.0, 8.0, 12.0]
    tokens = [d.token for _, d in sounds if isinstance(d, Backchannel)]
    assert all(a != b for a, b in itertools.pairwise(tokens))
    nods = [at for at, d in found if isinstance(d, Express)]
    assert nods
    assert all(isinstance(d, Express) and d.gesture == "nod" for _, d in found if isinstance(d, Express))


def test_no_sound_at_the_end_of_a_turn_or_while_the_agent_speaks() -> None:
    assert play([(0.0, SPEECH_STARTED, ""), (6.0, END_OF_TURN, "complete")]) == []
    reflex = Reflex()
    reflex.agent_speaks(True)
    assert play([(0.0, SPEECH_STARTED, ""), (6.0, END_OF_TURN, INCOMPLETE), (7.0, SPEECH_ENDED, "")], reflex) == []
    reflex.agent_speaks(False)
    assert play([(8.0, END_OF_TURN, INCOMPLETE)], reflex)


def test_a_new_turn_may_have_sounds_again() -> None:
    reflex = Reflex(Options(backchannels=1))
    script = [(0.0, SPEECH_STARTED, ""), (5.0, END_OF_TURN, INCOMPLETE), (10.0, END_OF_TURN, INCOMPLETE)]
    assert sum(isinstance(d, Backchannel) for _, d in play(script, reflex)) == 1
    reflex.turn_taken()
    script = [(20.0, SPEECH_STARTED, ""), (25.0, END_OF_TURN, INCOMPLETE)]
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
            assert item.end - heavy_at >= Options().memory
