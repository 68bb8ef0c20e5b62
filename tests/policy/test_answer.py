"""What is done where nobody said anything, and where the whole manner speaks with or against the words."""

from __future__ import annotations

import pytest

from perception.context import CUE_ARRIVAL, CUE_LEAVING, CUE_SILENCE, ContextWindow
from perception.percept import EXPRESSION, PRESENCE
from perception.timebase import SECOND
from policy.answer import consider, perform
from policy.decision import STRATEGIES, Speak, Wait
from policy.mood import GLAD
from policy.reading import KeywordReader, PrototypeReader
from tests.policy.windows import percept, talk


def acted(window: ContextWindow) -> tuple[list[type], str]:
    """The kinds of decision for ``window`` by keywords, and the words."""
    decisions = list(perform(consider(window, KeywordReader())))
    return [type(d) for d in decisions], " ".join(d.text for d in decisions if isinstance(d, Speak))


def room(*said: str, cue: str, moves: list[tuple[str, float]]) -> ContextWindow:
    """A window at a change in the room: ``moves`` are labels and seconds after the last words."""
    base = talk(*said, "x", cue=cue) if said else ContextWindow(start=0, end=SECOND, cue=cue)
    kept, at = base.entries[:-1] if said else (), base.end / SECOND
    seen = [
        percept(PRESENCE, label, at + after, sure=0.9, count=1.0 if label == "arrived" else 0.0)
        for label, after in moves
    ]
    end = base.end + round((max(after for _, after in moves) + 1) * SECOND)
    return ContextWindow(start=0, end=end, entries=(*kept, *seen), cue=cue)


def test_a_stranger_hears_who_speaks_and_who_is_back_a_word_of_welcome() -> None:
    _, new = acted(room(cue=CUE_ARRIVAL, moves=[("arrived", 0)]))
    assert "an AI" in new
    _, back = acted(room("I posted the parcel.", "Good.", cue=CUE_ARRIVAL, moves=[("left", 1), ("arrived", 20)]))
    assert back
    assert "AI" not in back
    _, late = acted(room("I posted the parcel.", "Good.", cue=CUE_ARRIVAL, moves=[("left", 1), ("arrived", 600)]))
    assert "an AI" in late, "it may be somebody else"


def test_who_leaves_is_let_go_as_they_were() -> None:
    left = [("left", 1.0)]
    _, light = acted(room("I posted the parcel.", "Good.", cue=CUE_LEAVING, moves=left))
    _, heavy = acted(room("My brother died.", "Oh, I'm so sorry.", cue=CUE_LEAVING, moves=left))
    assert light
    assert heavy
    assert light != heavy
    assert acted(room(cue=CUE_LEAVING, moves=left))[0] == [Wait], "nobody had spoken"


def test_nobody_is_spoken_to_in_an_empty_room() -> None:
    empty = room("My brother died.", "Oh, I'm so sorry.", cue=CUE_SILENCE, moves=[("left", 1.0)])
    assert acted(empty)[0] == [Wait]
    there = room("My brother died.", "Oh, I'm so sorry.", cue=CUE_SILENCE, moves=[("left", 1.0), ("arrived", 3.0)])
    assert Speak in acted(there)[0]


def test_what_is_said_unasked_has_a_strategy_that_there_is() -> None:
    for cue in (CUE_SILENCE, CUE_LEAVING, CUE_ARRIVAL):
        window = room("My brother died.", "Oh, I'm so sorry.", cue=cue, moves=[("left", 1.0), ("arrived", 9.0)])
        for decision in perform(consider(window, KeywordReader())):
            assert not isinstance(decision, Speak) or decision.strategy in STRATEGIES


@pytest.mark.slow
@pytest.mark.models
def test_a_bright_manner_outweighs_a_word_that_is_often_harmless(reader: PrototypeReader) -> None:
    words = "I did it, I jumped off the high board! I was so scared before, and now I'm so proud!"
    bright = consider(talk(words, face="happy", voice="rising", gaze="towards"), reader).choice
    assert bright.mood in GLAD
    assert bright.topic != "act/brave_face"
    loss = consider(talk("I'm so happy, haha, my dog died.", face="happy", voice="rising"), reader).choice
    assert loss.emotion in {"concern", "sad", "tender"}


@pytest.mark.slow
@pytest.mark.models
def test_tears_with_a_smile_get_a_line_that_fits_both(reader: PrototypeReader) -> None:
    looks = [percept(EXPRESSION, name, 0.5 * k, 0.5 * k + 0.5, 0.7) for k, name in enumerate(("sad", "happy") * 3)]
    window = talk("They picked up. They're all in the car, every one of them.", voice="trembling", extra=looks)
    choice = consider(window, reader).choice
    assert choice.emotion != "happy"
    assert choice.topic.split("/")[0] not in {"joy", "relief", "glad"}
