"""Whatever thinks for a call, what leaves it shows no smile at a loss and no concern at good news."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from agent.action import Display
from agent.staged import Script
from perception.context import ContextWindow
from policy.decision import Decision, Express, Speak
from tests.agent.stage import play, quiet, said


def shown(words: str, emotion: str) -> tuple[set[str], set[str]]:
    """The looks that reached the caller in the reply to ``words``, and the reasons in the journal."""

    def answer(_: ContextWindow) -> Iterable[Decision]:
        yield Express(emotion=emotion, reason="So it wants.")
        yield Speak(text="I hear you.", emotion=emotion, reason="So it wants.")

    played = play(quiet(12), [Script("ear", said(words, 1.0, 3.0))], answer)
    looks = {a.emotion for _, a in played.caller.actions if isinstance(a, Display) and a.reply}
    return looks, {d.reason for d in played.decided if isinstance(d, (Speak, Express))}


@pytest.mark.parametrize("emotion", ["happy", "warm"])
def test_a_mind_that_beams_at_a_death_is_shown_tender(emotion: str) -> None:
    looks, reasons = shown("My mother died two weeks ago.", emotion)
    assert looks == {"tender"}
    assert "So it wants. The words may hurt, so it does not smile." in reasons


@pytest.mark.parametrize("emotion", ["concern", "sad"])
def test_a_mind_that_frowns_at_good_news_is_shown_glad(emotion: str) -> None:
    looks, reasons = shown("I got the job, I'm so happy!", emotion)
    assert looks == {"warm"}
    assert "So it wants. The words are glad." in reasons


@pytest.mark.parametrize(("words", "emotion"), [("My dog died.", "concern"), ("I got the job!", "happy")])
def test_what_fits_is_left_as_it_is(words: str, emotion: str) -> None:
    looks, reasons = shown(words, emotion)
    assert looks == {emotion}
    assert "So it wants." in reasons
