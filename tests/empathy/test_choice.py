"""The choice part: situations as live calls, how they are judged, and what is counted."""

from __future__ import annotations

import dataclasses

import pytest

from agent.config import Config, Use
from agent.empathy import Given, choice_stage
from agent.empathy.choice import ROWS, WORDS, Silent, judge, measure
from agent.empathy.choice_items import CONTRADICTIONS, After, Halves, Options, Said, Situation, load
from agent.empathy.choice_stage import HELLO, WORDS_ONLY, Answer, play
from agent.initiative import InitiativeOptions
from agent.models import resolve
from perception.context import CUE_AFFECT, CUE_END_OF_TURN, CUE_LEAVING
from perception.timebase import seconds
from policy.backends import scripted
from policy.decision import EMOTIONS, Express, Speak, Wait

COSTS = {name: seconds(cost) for name, cost in Config().replay.costs.items()}
OPTIONS = Config().call


def options(actions: str = "", strategies: str = "", emotions: str = "") -> Options:
    return Options(
        actions=frozenset(actions.split()),
        strategies=frozenset(strategies.split()),
        emotions=frozenset(emotions.split()),
    )


HEAVY = Situation(
    id="x",
    kind="masked",
    mood="heavy",
    cue=CUE_END_OF_TURN,
    turns=(Said(who="person", text="It went. Everything's fine.", face=("sad",), voice="flat", gaze="away"),),
    after=None,
    good=options("speak", "question reflection", "concern warm"),
    bad=options("wait", "suggestion", "happy"),
    why="x",
)


def speak(text: str = "That's a lot.", strategy: str = "reflection", emotion: str = "concern") -> Answer:
    said = Speak(text=text, strategy=strategy, emotion=emotion, reason="x")
    return Answer((Express(emotion=emotion, reason="x"), said), (emotion,), text)


def test_what_is_among_the_acceptable_is_acceptable() -> None:
    verdict = judge(HEAVY, speak())
    assert verdict.acceptable
    assert (verdict.action, verdict.strategies, verdict.emotion) == ("speak", ("reflection",), "concern")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (speak(strategy="suggestion"), "suggestion was said"),
        (speak(emotion="happy"), "happy was shown"),
        (dataclasses.replace(speak(), shown=("happy", "concern")), "happy was shown"),
        (Answer((Wait(reason="x"),), (), ""), "wait was done"),
        (Answer((), (), ""), "wait was done"),
        (speak("You're proud, and rightly so!"), "a glad line answers something heavy"),
        (speak("Before you go, there's a lot in this."), "a hook was said"),
    ],
)
def test_what_is_wrong_is_told(answer: Answer, words: str) -> None:
    verdict = judge(HEAVY, answer)
    assert not verdict.acceptable
    assert any(words in wrong for wrong in verdict.wrong)
    assert verdict.happy == ("happy" in answer.shown)


def test_what_is_neither_is_neither() -> None:
    for answer in (
        speak(strategy="information"),
        speak(emotion="curious"),
        Answer((Express(emotion="concern", reason="x"),), ("concern", "neutral"), ""),
    ):
        verdict = judge(HEAVY, answer)
        assert not verdict.acceptable
        assert verdict.wrong == ()
        assert verdict.off


def test_a_question_mark_is_a_question_whatever_it_is_called() -> None:
    silent = dataclasses.replace(HEAVY, bad=options("", "question", "happy"), good=options("speak", "other", "concern"))
    verdict = judge(silent, speak("All right. What else?", strategy="other"))
    assert verdict.strategies == ("question",)
    assert verdict.wrong == ("question was said",)


def test_a_grave_line_over_good_news_is_wrong() -> None:
    glad = dataclasses.replace(HEAVY, mood="glad")
    assert "a grave line answers something glad" in judge(glad, speak("There's a real heaviness in that.")).wrong


def test_who_asks_whether_it_is_an_ai_must_be_told() -> None:
    asked = dataclasses.replace(
        HEAVY, kind="who", turns=(Said(who="person", text="Are you a robot?"),), good=options("speak", "other", "warm")
    )
    assert "asked, it did not say that it is an AI" in judge(asked, speak("Why?", "other", "warm")).wrong
    assert judge(asked, speak("I'm an AI.", "other", "warm")).acceptable


def test_a_contradiction_of_words_voice_and_face_is_met_in_a_live_call() -> None:
    seen = play(HEAVY, scripted.load(), OPTIONS, COSTS)
    assert judge(HEAVY, seen).acceptable
    assert "voice is flat" in seen.decisions[0].reason
    assert {p.label for p in seen.decisions[0].evidence} >= {"sad", "flat", "away"}
    blind = play(HEAVY, scripted.load(), OPTIONS, COSTS, senses=WORDS_ONLY)
    assert "voice" not in blind.decisions[0].reason, "without face and voice nobody could know"
    assert "concern" not in blind.shown


def test_a_situation_whose_words_did_not_arrive_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert play(HEAVY, scripted.load(), OPTIONS, COSTS).heard
    whole = choice_stage.spoken
    monkeypatch.setattr(choice_stage, "spoken", lambda *turn: whole(*turn) | {"asr": []})
    assert not play(HEAVY, scripted.load(), OPTIONS, COSTS).heard


def test_the_same_call_gives_the_same_answer_twice() -> None:
    first, second = (play(HEAVY, scripted.load(), OPTIONS, COSTS) for _ in range(2))
    assert first == second


@pytest.mark.slow
def test_earlier_turns_are_those_of_the_situation() -> None:
    item = next(item for item in load().tuning if item.kind == "three" and item.mood == "heavy")
    seen = play(item, scripted.load(), OPTIONS, COSTS)
    assert "?" not in seen.spoken, "two questions were asked before"
    opened = next(item for item in load().tuning if item.turns and item.turns[0].who == "agent")
    assert HELLO.endswith("an AI.")
    assert "an AI" not in play(opened, scripted.load(), OPTIONS, COSTS).spoken


def test_the_initiative_consults_the_policy_and_one_line_switches_it_off() -> None:
    falls = dataclasses.replace(
        HEAVY,
        cue=CUE_AFFECT,
        turns=(Said(who="person", text="The parcel is posted.", face=("neutral",)), Said(who="agent", text="Good.")),
        after=After(seconds=10.0, face="sad"),
    )
    seen = play(falls, scripted.load(), OPTIONS, COSTS)
    assert seen.decisions
    assert seen.shown[-1] in {"concern", "neutral"}
    off = dataclasses.replace(OPTIONS, initiative=InitiativeOptions(enabled=False))
    assert play(falls, scripted.load(), off, COSTS).decisions == ()
    leaves = dataclasses.replace(falls, cue=CUE_LEAVING, after=After(seconds=10.0, presence=(("left", 2.0),)))
    assert play(leaves, scripted.load(), OPTIONS, COSTS).decisions


def test_the_reflexes_alone_say_nothing() -> None:
    seen = play(HEAVY, Silent(), OPTIONS, COSTS)
    assert (seen.decisions, seen.spoken) == ((), "")
    assert set(seen.shown) <= set(EMOTIONS)
    assert "happy" not in seen.shown


@pytest.mark.slow
def test_the_scripted_policy_shows_nothing_happy_to_distress() -> None:
    heavy = [item for item in load().tuning if item.mood == "heavy" and item.kind in CONTRADICTIONS]
    verdicts = [judge(item, play(item, scripted.load(), OPTIONS, COSTS)) for item in heavy]
    assert not any(verdict.happy for verdict in verdicts)
    assert sum(verdict.acceptable for verdict in verdicts) >= 0.75 * len(verdicts)


@pytest.mark.slow
@pytest.mark.models
def test_the_part_has_a_row_for_each_mind_and_the_same_figures_in_each() -> None:
    small = Use("compact", {"adapter": "none", "answers": "likeness"})
    every = load()
    few = Halves(every.tuning[:4], every.held[:4], every.sha256)
    part = measure(few, Given(config=Config(policy=small), resolve=resolve, limit=3))
    assert tuple(row.label for row in part.rows) == ROWS
    assert len({tuple(f.name for f in row.figures) for row in part.rows}) == 1
    default, words = part.rows[0], part.rows[ROWS.index(WORDS)]
    assert [f.n for f in default.figures][:4] == [3] * 4, "four are masked, and three of a kind were asked for"
    assert [f.met is None for f in default.figures] == [False] * 4 + [True] * 5
    assert all(f.met is None for row in part.rows[1:] for f in row.figures)
    assert next(f for f in words.figures if f.name.startswith("above")).value == 0.0
    assert len(part.items) == len(ROWS) * 2 * 3
    assert part.about["held_out_sha256"] == every.sha256
