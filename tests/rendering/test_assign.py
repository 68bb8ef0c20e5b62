"""Which words and percepts belong to which turn."""

from __future__ import annotations

from agent.rendering.assign import Stretch, assign, overlapped
from perception.percept import PROSODY, TRANSCRIPT, Datum, Percept
from perception.timebase import SECOND, seconds

TURNS = (Stretch(0, 1 * SECOND, 3 * SECOND), Stretch(2, 5 * SECOND, 7 * SECOND))


def words(text: str, begin: float, end: float, utterance: int = 1) -> Percept:
    """A transcript whose words are evenly spread."""
    count = len(text.split())
    step = (end - begin) / count
    starts = tuple(begin + n * step for n in range(count))
    ends = tuple(start + step for start in starts)
    data: dict[str, Datum] = {"utterance": float(utterance), "word_starts": starts, "word_ends": ends}
    return Percept(TRANSCRIPT, text, seconds(begin), seconds(end), 0.9, "asr", data)


def test_utterances_of_a_turn_are_joined_in_order() -> None:
    heard = [words("late", 2.4, 2.9, 2), words("so", 1.1, 1.5, 1), words("yes", 5.0, 5.5, 3)]
    assert assign(heard, TURNS) == {0: "so late", 2: "yes"}


def test_the_last_revision_counts() -> None:
    assert assign([words("my dock", 1.1, 1.9), words("my dog died", 1.1, 2.9)], TURNS)[0] == "my dog died"


def test_an_utterance_over_two_turns_is_cut_at_its_words() -> None:
    assert assign([words("a b c d e f", 1.0, 7.0)], TURNS) == {0: "a b c", 2: "d e f"}


def test_what_is_said_outside_all_turns_is_nobodys() -> None:
    assert assign([words("the crowd", 3.2, 4.5)], TURNS) == {0: "", 2: ""}


def test_an_utterance_that_hangs_over_stays_whole() -> None:
    assert assign([words("one two three", 2.0, 4.9)], TURNS) == {0: "one two three", 2: ""}


def test_a_percept_belongs_where_most_of_it_is() -> None:
    assert overlapped(Percept(PROSODY, "flat", 2 * SECOND, 6 * SECOND + 1, 0.5, "prosody"), TURNS) == 2
    assert overlapped(Percept(PROSODY, "flat", 3 * SECOND, 5 * SECOND, 0.5, "prosody"), TURNS) is None
    assert overlapped(Percept(PROSODY, "flat", 0, SECOND, 0.5, "prosody"), ()) is None
