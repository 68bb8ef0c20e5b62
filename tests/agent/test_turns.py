"""Turn taking as a script: what was perceived when, and which moves follow."""

from __future__ import annotations

import pytest

from agent.turn_ending import Ending
from agent.turns import Consider, Draft, GiveWay, Hold, Move, Resume, Scrap, TurnOptions, TurnTaker
from perception.context import CUE_END_OF_TURN, CUE_QUESTION, CUE_SILENCE, Turn
from perception.media import Text
from perception.percept import (
    END_OF_TURN,
    EXPRESSION,
    GAZE,
    PARTIAL,
    PROSODY,
    SPEECH_ENDED,
    SPEECH_STARTED,
    TRANSCRIPT,
    Datum,
    Percept,
)
from perception.timebase import MS, SECOND, Nanos


def p(kind: str, end_ms: int, label: str = "", start_ms: int | None = None, **data: Datum) -> Percept:
    start = end_ms if start_ms is None else start_ms
    return Percept(kind, label, start * MS, end_ms * MS, 1.0, "test", data)


def words(text: str, start_ms: int, end_ms: int, *, utterance: int = 1, final: bool = True) -> Percept:
    """A transcript whose words are spread evenly over its span."""
    n = len(text.split())
    starts = tuple((start_ms + i * (end_ms - start_ms) / max(1, n)) / 1000 for i in range(n))
    data: dict[str, Datum] = {"utterance": float(utterance)}
    if final:
        data["word_starts"] = starts
    return p(TRANSCRIPT if final else PARTIAL, end_ms, text, start_ms, **data)


DETECTOR = Ending({"sounds": 5.0})
"""Weighs nothing but the turn detector: 0.9 is sure, 0.43 likely, 0.3 neither."""


class Script:
    """Plays percepts to a taker as the loop does: ticks at every deadline in between."""

    def __init__(self, options: TurnOptions | None = None) -> None:
        self.taker = TurnTaker(options or TurnOptions(silence=0, drafts=False), DETECTOR)
        self.moves: list[tuple[int, Move]] = []
        self.now: Nanos = 0

    def to(self, ms: int) -> Script:
        for _ in range(1000):
            due = self.taker.deadline()
            if due is None or due > ms * MS:
                break
            self.now = max(self.now, due)
            found = self.taker.tick(self.now)
            self._took(found)
            if not found and self.taker.deadline() == due:
                raise AssertionError(f"deadline {due} names an instant with nothing to do: the loop would spin")
        self.now = ms * MS
        return self

    def at(self, ms: int, percept: Percept) -> Script:
        self.to(ms)
        self._took(self.taker.step(percept, self.now))
        return self

    def say(self, text: str, start: int, end: int, *, utterance: int = 1, complete: float | None = 0.9) -> Script:
        """Speech from start to end, with the percepts that real workers give and their delays."""
        self.at(start + 90, p(SPEECH_STARTED, start + 90, start_ms=start))
        self.at(end + 200, p(SPEECH_ENDED, end, start_ms=start))
        if complete is not None:
            self.at(end + 260, p(END_OF_TURN, end + 200, probability=complete))
        if text:
            self.at(end + 300, words(text, start, end, utterance=utterance))
        return self

    def _took(self, moves: list[Move]) -> None:
        for move in moves:
            self.moves.append((self.now // MS, move))
            if isinstance(move, Consider):
                self.taker.reply_began(self.now)

    @property
    def kinds(self) -> list[type]:
        return [type(m) for _, m in self.moves]

    def only_turn(self) -> Turn:
        turns = [m.turn for _, m in self.moves if isinstance(m, Consider) and m.turn]
        assert len(turns) == 1
        return turns[0]


def test_a_complete_turn_ends_as_soon_as_its_words_are_known() -> None:
    script = Script().say("I lost my job.", 1000, 3000).to(10_000)
    assert [(t, type(m)) for t, m in script.moves] == [(3640, Consider)]
    move = script.moves[0][1]
    assert isinstance(move, Consider)
    assert (move.cue, move.ended, move.words) == (CUE_END_OF_TURN, 640 * MS, 0)
    assert script.only_turn() == Turn("user", "I lost my job.", 1000 * MS, 3000 * MS)


@pytest.mark.parametrize(
    ("text", "probability", "silence"),
    [
        ("I liked it a lot.", 0.9, 640),
        ("I liked it a lot.", 0.43, 900),
        ("I liked it a lot.", 0.3, 1300),
        ("I think that", 0.3, 1400),
        ("I think that...", 0.9, 1400),
        ("I went there because.", 0.9, 1400),
        ("I'm not so sure", None, 700),
        ("Can I ask you something?", 0.9, 1400),
        ("Wait a minute.", 0.9, 1400),
        ("Would you do it?", 0.9, 640),
        ("My dog died.", 0.9, 800),
        ("My dog died.", 0.3, 1300),
    ],
)
def test_the_pause_that_ends_a_turn_depends_on_what_was_said(
    text: str, probability: float | None, silence: int
) -> None:
    script = Script().say(text, 1000, 3000, complete=probability).to(10_000)
    assert [t for t, _ in script.moves] == [3000 + silence]


def test_a_pause_inside_a_turn_does_not_end_it() -> None:
    script = Script()
    script.say("My dog", 1000, 2000, complete=0.1)
    script.say("My dog died last night.", 2700, 4000)
    script.to(10_000)
    assert script.kinds == [Consider]
    assert script.only_turn().text == "My dog died last night."


def test_utterances_of_one_turn_are_joined_in_order() -> None:
    script = Script()
    script.say("My dog died.", 1000, 2000, utterance=1, complete=0.1)
    script.at(2500, p(SPEECH_STARTED, 2590, start_ms=2500)).to(2550)
    script.say("I miss him.", 2500, 4000, utterance=2).to(9000)
    assert script.only_turn().text == "My dog died. I miss him."
    assert script.only_turn().start == SECOND


def test_noise_without_words_is_no_turn() -> None:
    script = Script().say("", 1000, 2000).to(20_000)
    assert script.moves == []


def test_late_words_are_waited_for() -> None:
    script = Script().say("", 1000, 2000)
    script.at(3500, words("Hello there.", 1000, 2000)).to(10_000)
    assert [t for t, _ in script.moves] == [3500]


def test_a_cough_holds_the_voice_and_lets_it_go_on() -> None:
    script = Script()
    script.taker.reply_began(0)
    script.taker.voice_began()
    script.say("", 1000, 1200).to(10_000)
    assert script.kinds == [Hold, Resume]
    assert script.moves[0][0] == 1090
    assert script.moves[1][0] == 1700


def test_a_listeners_murmur_does_not_take_the_turn() -> None:
    script = Script()
    script.taker.reply_began(0)
    script.taker.voice_began()
    script.say("Uh-huh.", 1000, 1300).to(10_000)
    assert script.kinds == [Hold, Resume]
    script.taker.reply_ended(10_000 * MS)
    script.say("And then he left.", 11_000, 12_000, utterance=2).to(20_000)
    assert script.only_turn().text == "And then he left.", "the murmur is not part of the next turn"


def test_words_take_the_turn() -> None:
    script = Script()
    script.taker.reply_began(0)
    script.taker.voice_began()
    script.at(1090, p(SPEECH_STARTED, 1090, start_ms=1000))
    script.at(1500, words("wait that is", 1000, 1500, final=False))
    assert script.kinds == [Hold, GiveWay]
    script.at(2200, p(SPEECH_ENDED, 2000, start_ms=1000))
    script.at(2260, p(END_OF_TURN, 2200, probability=0.9))
    script.at(2300, words("Wait, that is not it.", 1000, 2000)).to(5000)
    assert script.kinds == [Hold, GiveWay, Consider]
    assert script.only_turn().text == "Wait, that is not it."


def test_long_speech_takes_the_turn_before_its_words_are_known() -> None:
    script = Script()
    script.taker.reply_began(0)
    script.taker.voice_began()
    script.at(1090, p(SPEECH_STARTED, 1090, start_ms=1000)).to(2700)
    assert [(t, type(m)) for t, m in script.moves] == [(1090, Hold), (2600, GiveWay)]


def test_going_on_before_the_reply_is_audible_drops_it() -> None:
    script = Script().say("We sold it.", 1000, 2000).to(2700)
    assert script.kinds == [Consider]
    script.at(2790, p(SPEECH_STARTED, 2790, start_ms=2700))
    script.at(3300, words("We sold it. All of", 1000, 3300, final=False))
    assert script.kinds == [Consider, Hold, GiveWay]


def test_a_cough_before_the_reply_is_audible_does_not_drop_it() -> None:
    script = Script().say("We sold it.", 1000, 2000).to(2700)
    script.at(2790, p(SPEECH_STARTED, 2790, start_ms=2700))
    script.at(3100, p(SPEECH_ENDED, 2900, start_ms=2700)).to(5000)
    assert script.kinds == [Consider, Hold, Resume]


def test_words_that_were_taken_do_not_come_again() -> None:
    """The same utterance goes on after its turn was taken; its next transcript repeats the old words."""
    script = Script().say("We sold it.", 1000, 2000).to(2700)
    script.at(2790, p(SPEECH_STARTED, 2790, start_ms=2700))
    script.at(4000, p(SPEECH_ENDED, 3800, start_ms=2700))
    again = p(
        TRANSCRIPT,
        3800,
        "We sold it. Last night.",
        1000,
        utterance=1.0,
        word_starts=(1.0, 1.3, 1.6, 2.7, 3.2),
    )
    script.at(4100, again).to(9000)
    turns = [m.turn.text for _, m in script.moves if isinstance(m, Consider) and m.turn]
    assert turns == ["We sold it.", "Last night."]


def talking() -> Script:
    script = Script()
    script.taker.reply_began(0)
    script.taker.voice_began()
    return script


@pytest.mark.parametrize("murmur", ["Mm-hm.", "Yeah.", "Oh, I see.", "Right, right.", "L", "Oh yeah, of course."])
def test_the_voice_goes_on_as_soon_as_a_murmur_is_known_as_one(murmur: str) -> None:
    script = talking().say(murmur, 1000, 1400).to(9000)
    assert [(t, type(m)) for t, m in script.moves] == [(1090, Hold), (1700, Resume)]


@pytest.mark.parametrize("words_", ["No.", "Stop.", "Yeah, but he left.", "I see him.", "Why?"])
def test_short_words_that_want_the_turn_get_it(words_: str) -> None:
    assert talking().say(words_, 1000, 1400).kinds[:2] == [Hold, GiveWay]


def test_words_that_are_known_late_still_stop_the_voice() -> None:
    script = talking().say("", 1000, 1500).to(2300)
    assert script.kinds == [Hold, Resume]
    script.at(2400, words("Please stop.", 1000, 1500)).to(9000)
    assert script.kinds == [Hold, Resume, GiveWay, Consider]
    assert script.only_turn().text == "Please stop."


def test_a_murmur_that_is_known_late_is_forgotten() -> None:
    script = talking().say("", 1000, 1500).to(2300)
    script.at(2400, words("Mm-hm.", 1000, 1500)).to(3000)
    script.taker.reply_ended(3000 * MS)
    script.say("It was fine.", 4000, 5000, utterance=2).to(9000)
    assert script.only_turn().text == "It was fine."


def test_whoever_cuts_in_with_few_words_has_more_to_say() -> None:
    script = talking().say("That is not true.", 1000, 2000).to(9000)
    assert [t for t, m in script.moves if isinstance(m, Consider)] == [3400]


def test_a_reply_is_prepared_in_a_pause_and_dropped_when_the_person_goes_on() -> None:
    script = Script(TurnOptions(silence=0))
    script.say("We sold it.", 1000, 2000)
    assert [(t, type(m)) for t, m in script.moves] == [(2300, Draft)]
    script.say("We sold it. All of it.", 2500, 3500)
    assert script.kinds == [Draft, Scrap, Draft]
    script.to(9000)
    assert script.kinds == [Draft, Scrap, Draft, Consider]
    drafts = [m.turn for _, m in script.moves if isinstance(m, Draft)]
    assert drafts[-1] == script.only_turn(), "the draft answers the very turn that is taken"


def test_nothing_is_prepared_for_words_that_trail_off() -> None:
    script = Script(TurnOptions(silence=0)).say("We sold it because", 1000, 2000).to(9000)
    assert script.kinds == [Consider]


def look(at_ms: int, kind: str, label: str, sure: float = 0.9) -> Percept:
    return Percept(kind, label, at_ms * MS, at_ms * MS, sure, "face")


@pytest.mark.parametrize(
    ("seen", "silence"),
    [
        ([], 640),
        ([(GAZE, "away", 0.9)], 1040),
        ([(GAZE, "away", 0.9), (GAZE, "towards", 0.9)], 640),
        ([(GAZE, "uncertain", 0.9)], 640),
        ([(EXPRESSION, "sad", 0.9)], 640),
        ([(EXPRESSION, "sad", 0.4), (GAZE, "away", 0.9)], 1040),
        ([(EXPRESSION, "sad", 0.9), (GAZE, "away", 0.9)], 1840),
        ([(PROSODY, "trembling", 0.9), (GAZE, "away", 0.9)], 1840),
    ],
)
def test_whoever_weeps_and_looks_away_is_given_more_time(seen: list[tuple[str, str, float]], silence: int) -> None:
    script = Script()
    for number, (kind, label, sure) in enumerate(seen):
        script.at(500 + number, look(500 + number, kind, label, sure))
    script.say("He was fourteen.", 1000, 3000).to(10_000)
    assert [t for t, _ in script.moves] == [3000 + silence]


def test_no_silence_is_waited_for_longer_than_the_bound() -> None:
    options = TurnOptions(silence=0, drafts=False, longest=2 * SECOND, weeping_away=9 * SECOND)
    script = Script(options)
    script.at(500, look(500, EXPRESSION, "sad")).at(501, look(501, GAZE, "away"))
    script.say("He was fourteen.", 1000, 3000).to(20_000)
    assert [t for t, _ in script.moves] == [5000]


def test_a_noise_that_never_ends_does_not_keep_the_turn_open() -> None:
    script = Script().at(1090, p(SPEECH_STARTED, 1090, start_ms=1000))
    script.at(2000, words("The fan is", 1000, 2000, final=False))
    script.at(2500, words("The fan is broken.", 1000, 2500, final=False)).to(20_000)
    assert [t for t, _ in script.moves] == [2500 + 5000]
    assert script.only_turn().text == "The fan is broken."


def test_a_doubt_lasts_for_the_whole_pause() -> None:
    script = Script().say("She asked me.", 1000, 2000, complete=0.3)
    script.at(2460, p(END_OF_TURN, 2400, probability=0.95)).to(9000)
    assert [t for t, _ in script.moves] == [3300]


def test_typed_words_take_the_turn_at_once() -> None:
    taker = TurnTaker()
    taker.reply_began(0)
    moves = taker.typed(Text("hello", 5 * SECOND), 5 * SECOND)
    assert [type(m) for m in moves] == [GiveWay, Consider]
    assert isinstance(moves[1], Consider)
    assert moves[1].cue == CUE_QUESTION


def test_empty_typed_words_are_nothing() -> None:
    assert TurnTaker().typed(Text("  ", 0), 0) == []


def test_long_silence_is_put_to_the_policy_but_not_for_ever() -> None:
    script = Script(TurnOptions(silence=10 * SECOND, silence_most=2))
    script.taker.reply_ended(0)
    seen: list[int] = []
    for ms in range(0, 120_000, 1000):
        before = len(script.moves)
        script.to(ms)
        if len(script.moves) > before:
            seen.append(script.moves[-1][0])
            assert isinstance(script.moves[-1][1], Consider)
            assert script.moves[-1][1].cue == CUE_SILENCE
            script.taker.reply_ended(script.now)
    assert seen == [10_000, 30_000]


def test_push_to_talk_ends_the_turn_on_release_only() -> None:
    script = Script()
    script.taker.push_to_talk(True, True, 0)
    script.say("I am", 1000, 2000, complete=0.9).to(8000)
    assert script.moves == []
    moves = script.taker.push_to_talk(True, False, 8000 * MS)
    assert [type(m) for m in moves] == [Consider]


def test_a_reply_that_ended_by_itself_leaves_nothing_held() -> None:
    script = Script()
    script.taker.reply_began(0)
    script.taker.voice_began()
    script.at(1090, p(SPEECH_STARTED, 1090, start_ms=1000))
    script.taker.reply_ended(1200 * MS)
    script.at(2200, p(SPEECH_ENDED, 2000, start_ms=1000))
    script.at(2300, words("Thank you so much.", 1000, 2000)).to(9000)
    assert script.kinds == [Hold, Consider]


def test_a_question_in_a_set_form_leaves_the_running_turn_as_it_is() -> None:
    script = Script()
    script.say("My dog died last night.", 1000, 3000, complete=None)
    question = Text("Which emotion fits?", 3310 * MS, form="single", options=("A. sad", "B. happy"))
    before = script.taker.hearing
    moves = script.taker.typed(question, 3310 * MS)
    assert moves == [Consider(CUE_QUESTION, question=question)]
    assert script.taker.hearing == before == "My dog died last night."
