"""When a turn is over: the signs, their weights, and what the taker makes of them for people in a call."""

from __future__ import annotations

import pytest

from agent.turn_ending import ASKED, INVITED, REMARKED, Ending, Signs, features, floor_of, read, shipped
from agent.turns import Consider, GiveWay, Hold, TurnOptions, TurnTaker
from perception.context import Turn
from perception.percept import END_OF_TURN, SPEECH_ENDED, SPEECH_STARTED
from perception.timebase import MS
from tests.agent.test_turns import Script, p, words

SURE = Ending({"always": 5.0})


def after(agent: str, options: TurnOptions | None = None, ending: Ending | None = None) -> Script:
    """A call in which the agent has just said something."""
    script = Script(options)
    script.taker = TurnTaker(options or TurnOptions(silence=0, drafts=False), ending or shipped())
    script.taker.told(Turn("agent", agent, 0, 500 * MS))
    return script


def waited(script: Script, text: str, complete: float = 0.95) -> int:
    """Return how many milliseconds of silence ended a turn of these words."""
    script.say(text, 1000, 3000, complete=complete).to(10_000)
    (at,) = [at for at, move in script.moves if isinstance(move, Consider)]
    return at - 3000


@pytest.mark.parametrize(
    ("agent", "floor"),
    [
        ("Did you sleep at all?", ASKED),
        ("How long have you known her?", ASKED),
        ("That sounds like a lot.", REMARKED),
        ("", REMARKED),
        ("I'm sorry. Tell me about her.", INVITED),
        ("What would you like to talk about?", INVITED),
        ("And what happened then?", INVITED),
        (" ".join(["so"] * 30) + ".", INVITED),
    ],
)
def test_what_the_agent_said_gives_the_floor(agent: str, floor: float) -> None:
    assert floor_of(agent) == floor


@pytest.mark.parametrize(
    ("agent", "answer"),
    [
        ("Did you sleep at all last night?", "Not really."),
        ("Who was there with you?", "My sister was there."),
        ("How long has your knee been like that?", "About two months, I think."),
        ("Have you told anybody about it?", "Yes, my wife knows."),
        ("Is it worse in the evening?", "No, it's the same all day."),
        ("That sounds like a lot to carry.", "It is, but I don't want to complain about it."),
        ("That's wonderful news.", "Thank you so much!"),
        ("That sounds hard.", "What would you do in my place?"),
        ("Tell me all about it, from the beginning.", "Do you think I should call her?"),
    ],
)
def test_who_answers_is_not_kept_waiting(agent: str, answer: str) -> None:
    assert waited(after(agent), answer) <= 900


@pytest.mark.parametrize("beginning", ["It's about my brother.", "I lost my job on Friday.", "So we finally moved."])
def test_a_few_words_after_an_invitation_are_the_beginning_of_a_story(beginning: str) -> None:
    invites = "There is no rush at all. Tell me about it, from the beginning, in whatever order it comes."
    assert waited(after(invites), beginning) >= 1200


def test_a_long_story_that_sounds_finished_is_answered_soon_and_not_before() -> None:
    script = after("Tell me all about it, from the beginning.")
    script.say("We drove up to the lake.", 1000, 3000, utterance=1, complete=0.95)
    script.say("It rained the whole way.", 4000, 6000, utterance=2, complete=0.95)
    script.say("Then the car broke down and", 7100, 9000, utterance=3, complete=0.05)
    script.say("in the end we had the best weekend of the year.", 10_000, 12_000, utterance=4, complete=0.95)
    script.to(20_000)
    assert [at for at, move in script.moves if isinstance(move, Consider)] == [12_640]


def test_who_was_cut_off_is_given_more_time_from_then_on() -> None:
    script = after("Yes?", ending=SURE)
    script.say("We sold it.", 1000, 2000)
    script.to(2700)
    assert [t for t, m in script.moves if isinstance(m, Consider)] == [2640]
    script.taker.voice_began()
    script.at(2900, p(SPEECH_STARTED, 2900, start_ms=2800))
    script.at(3400, words("We sold it. And then he", 1000, 3400, final=False))
    assert [type(m) for _, m in script.moves] == [Consider, Hold, GiveWay]
    script.taker.reply_ended(3400 * MS)
    for number in range(2, 5):
        start = 5000 * number
        script.say("He never came back to us again after that summer.", start, start + 2000, utterance=number)
        script.to(start + 4500)
        assert script.moves[-1][0] == start + 2000 + 840
        script.taker.reply_ended(script.now)


def test_a_doubtful_sound_in_a_pause_is_no_voice_but_asks_for_a_moment() -> None:
    script = after("Yes?", ending=SURE).say("We sold it.", 1000, 2000)
    script.at(2430, p(SPEECH_STARTED, 2430, start_ms=2300))
    script.at(2700, p(SPEECH_ENDED, 2500, start_ms=2300, doubtful=1.0)).to(9000)
    (at,) = [at for at, move in script.moves if isinstance(move, Consider)]
    assert at == 2700 + 500
    turn = script.only_turn()
    assert (turn.text, turn.end) == ("We sold it.", 2000 * MS)


def test_a_doubtful_sound_over_the_reply_only_holds_it() -> None:
    script = after("Yes?")
    script.taker.reply_began(0)
    script.taker.voice_began()
    script.at(1130, p(SPEECH_STARTED, 1130, start_ms=1000))
    script.at(1400, p(SPEECH_ENDED, 1200, start_ms=1000, doubtful=1.0)).to(5000)
    assert [type(m).__name__ for _, m in script.moves] == ["Hold", "Resume"]


def test_pauses_of_the_turn_are_counted_and_forgotten_with_it() -> None:
    script = after("Tell me more.", ending=SURE)
    script.say("We drove to the lake", 1000, 2000, complete=0.9)
    script.at(2400, p(SPEECH_STARTED, 2400, start_ms=2300)).at(3200, p(SPEECH_ENDED, 3000, start_ms=2300))
    script.at(3260, p(END_OF_TURN, 3200, probability=0.9)).at(3300, words("and it rained.", 2300, 3000, utterance=2))
    signs = script.taker.signs()
    assert signs is not None
    assert (signs.pauses, signs.floor, signs.text) == (1, INVITED, "We drove to the lake and it rained.")
    script.to(9000)
    script.taker.reply_ended(9000 * MS)
    script.say("It was fine.", 10_000, 11_000, utterance=3)
    signs = script.taker.signs()
    assert signs is None or signs.pauses == 0


def test_a_question_and_a_farewell_count_for_an_end_and_an_open_word_against_it() -> None:
    ending = shipped()
    plain = ending.probability(Signs(0.9, "I went to the market.", floor=REMARKED))
    assert ending.probability(Signs(0.9, "Do you like the market?", floor=REMARKED)) > plain
    assert ending.probability(Signs(0.9, "I have to go now, thank you.", floor=REMARKED)) > plain
    assert ending.probability(Signs(0.1, "I went to the market.", floor=REMARKED)) < plain
    assert ending.probability(Signs(0.9, "I went to the market.", floor=INVITED)) < plain
    assert ending.probability(Signs(0.9, "I went to the market", floor=REMARKED)) < plain


def test_signs_are_numbers_between_bounds_whatever_was_said() -> None:
    for text in ("", "...", "!?", "ß ü", "a" * 5000, "one two " * 400 + "."):
        for probability in (0.0, 0.5, 1.0):
            found = features(Signs(probability, text, 40.0, INVITED, 99))
            assert all(-1.0 <= value <= 2.0 for value in found.values())
            assert 0.0 < shipped().probability(Signs(probability, text, 40.0, INVITED, 99)) < 1.0


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "no table"),
        ({"weights": {"moon": 1.0}}, "no sign 'moon'"),
        ({"weights": {"sounds": "much"}}, "expected a number"),
        ({"weights": {"sounds": float("nan")}}, "expected a number"),
    ],
)
def test_a_broken_file_of_weights_is_named(table: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(table)


def test_a_turn_that_was_taken_too_soon_goes_on_with_what_was_said_before() -> None:
    script = after("Tell me more.", ending=SURE)
    script.say("We drove up to the lake.", 1000, 2000).to(2700)
    assert [type(m) for _, m in script.moves] == [Consider]
    script.at(2900, p(SPEECH_STARTED, 2900, start_ms=2800))
    script.at(3300, words("and it rained", 2800, 3300, utterance=2, final=False))
    script.at(3700, p(SPEECH_ENDED, 3500, start_ms=2800)).at(3760, p(END_OF_TURN, 3700, probability=0.9))
    script.at(3800, words("and it rained.", 2800, 3500, utterance=2))
    signs = script.taker.signs()
    assert signs is not None
    assert (signs.text, signs.pauses) == ("We drove up to the lake. and it rained.", 1)
    script.to(9000)
    assert [m.turn.text for _, m in script.moves if isinstance(m, Consider) and m.turn] == [
        "We drove up to the lake.",
        "and it rained.",
    ]
