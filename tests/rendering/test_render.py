"""From an item to its line and states, with the real workers; and the store that goes on where it stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.models import resolve
from agent.rendering import __main__ as command
from agent.rendering.render import SNR_DB, Rendered, Renderer, draw, generator
from agent.rendering.speak import HIBARI, Voices, speakers
from agent.rendering.store import Store
from perception.percept import PROSODY
from perception.timebase import SECOND
from policy.sound import TOKENS_PER_S
from policy.training.corpus import Choice, Said, choices
from policy.training.heard import ENGINES, INDEX, NOISES, Condition, HeardError, load, window_of
from policy.training.parts import choice_parts

ITEM = Choice(
    id="render-1",
    task_type="Psychological_Chat",
    turns=(
        Said(who="person", text="The meeting was moved to Friday, and nobody told me about it.", voice="quiet"),
        Said(who="agent", text="That is annoying."),
        Said(who="person", text="I had to cancel my holiday because of them!", voice="loud", face=("angry",)),
    ),
    question="How does the person feel?",
    options=("Angry", "Glad"),
    answer=0,
)


@pytest.fixture(scope="module")
def rendered() -> Rendered:
    """The item, with a seed that draws the embedded engine, which is on every machine."""
    seed = next(n for n in range(99) if condition(n).engine == HIBARI and (condition(n).snr_db or 0.0) > 20.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agent.rendering.render.SPEAKERS", tuple(speakers(HIBARI)))
        patch.setattr(Voices, "engine", only_embedded(Voices.engine))
        return Renderer(resolve, seed).render(ITEM)


def only_embedded(engine: Any) -> Any:
    def chosen(self: Voices, name: str) -> Any:
        assert name == HIBARI
        return engine(self, name)

    return chosen


def condition(seed: int) -> Condition:
    return draw(ITEM, seed, generator(ITEM, seed))


def test_the_words_are_heard(rendered: Rendered) -> None:
    first, last = rendered.line["turns"]
    assert (first["turn"], last["turn"]) == (0, 2)
    assert "moved to friday" in first["text"].lower()
    assert "holiday" in last["text"].lower()


def test_the_manners_are_heard(rendered: Rendered) -> None:
    first, last = rendered.line["turns"]
    assert "quiet" in {p["label"] for p in first["prosody"]}
    assert "loud" in {p["label"] for p in last["prosody"]}


def test_turns_follow_each_other_and_percepts_lie_in_them(rendered: Rendered) -> None:
    first, last = rendered.line["turns"]
    (gap,) = rendered.line["agent"]
    assert 0 < first["start_ns"] < first["end_ns"] < gap["start_ns"] < gap["end_ns"] < last["start_ns"]
    for turn in (first, last):
        for percept in (*turn["prosody"], *turn["speech"]):
            assert turn["start_ns"] - SECOND // 2 < percept["start_ns"] < turn["end_ns"]


def test_states_cover_the_turn_and_half_a_second_more(rendered: Rendered) -> None:
    for turn in rendered.line["turns"]:
        states = rendered.states[turn["turn"]]
        seconds = (turn["end_ns"] - turn["start_ns"]) / SECOND + 0.5
        assert states.dtype == np.float16
        assert abs(len(states) - seconds * TOKENS_PER_S) <= 0.51
        assert np.isfinite(states).all()


def test_what_is_kept_is_read_back(rendered: Rendered, tmp_path: Path) -> None:
    with Store(tmp_path, rendered.line["condition"]["seed"]) as store:
        store.add(rendered)
    heard = load(tmp_path)[ITEM.id]
    np.testing.assert_array_equal(heard.states(0), rendered.states[0])
    window = window_of(ITEM, heard)
    assert [t.speaker for t in window.turns] == ["user", "agent", "user"]
    assert "loud" in {p.label for p in window.percepts if p.kind == PROSODY}


def test_a_line_that_was_cut_off_is_taken_away_and_the_run_goes_on(rendered: Rendered, tmp_path: Path) -> None:
    seed = rendered.line["condition"]["seed"]
    with Store(tmp_path, seed) as store:
        store.add(rendered)
    with (tmp_path / INDEX).open("a", encoding="utf-8") as file:
        file.write(json.dumps(rendered.line | {"id": "render-2"})[:200])
    with Store(tmp_path, seed) as store:
        assert store.done == {ITEM.id}
        store.add(Rendered(rendered.line | {"id": "render-2"}, rendered.states, 1.0))
    assert set(load(tmp_path)) == {ITEM.id, "render-2"}
    assert not list(tmp_path.rglob("*.part"))


def test_another_seed_is_refused(rendered: Rendered, tmp_path: Path) -> None:
    seed = rendered.line["condition"]["seed"]
    with Store(tmp_path, seed) as store:
        store.add(rendered)
    with pytest.raises(HeardError, match=f"rendered with seed {seed}, not {seed + 1}"):
        Store(tmp_path, seed + 1)


def test_conditions_are_as_drawn_and_spread() -> None:
    drawn = [draw(item, 7, generator(item, 7)) for item in choices()[:300]]
    again = [draw(item, 7, generator(item, 7)) for item in choices()[:300]]
    assert drawn == again
    assert 110 < sum(c.engine == ENGINES[0] for c in drawn) < 190
    assert {c.noise for c in drawn} == set(NOISES)
    for c in drawn:
        assert len(set(c.speakers.values())) == len(c.speakers)
        assert (c.snr_db is None) == (c.noise == "clean")
        if c.snr_db is not None:
            assert SNR_DB[c.noise][0] <= c.snr_db <= SNR_DB[c.noise][1]


class Fake:
    """A renderer that only takes notes."""

    asked: list[str]

    def __init__(self, line: dict[str, Any]) -> None:
        self.asked = []
        self._line = line

    def render(self, item: Any) -> Rendered:
        self.asked.append(item.id)
        return Rendered(self._line | {"id": item.id}, {0: np.zeros((1, 3072), np.float16)}, 2.0)


def test_the_command_renders_what_is_missing(
    rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = Fake(rendered.line)
    monkeypatch.setattr(command, "Renderer", lambda *_: fake)
    seed = str(rendered.line["condition"]["seed"])
    arguments = ["--out", str(tmp_path), "--part", "dev", "--seed", seed, "--limit"]
    assert command.main([*arguments, "3"]) == 0
    assert command.main([*arguments, "2"]) == 0
    assert fake.asked == [item.id for item in command.order("dev")[:5]]
    assert "2 of 195 items to render" in capsys.readouterr().err
    assert command.main(["--out", str(tmp_path), "--seed", "1000"]) == 1
    assert "go on with that seed" in capsys.readouterr().err


def test_the_order_is_test_dev_train() -> None:
    every = [item.id for item in command.order("all")]
    assert len(set(every)) == len(every)
    test = [item.id for item in command.order("test")]
    assert every[: len(test)] == test
    assert {c.id for c in choice_parts(choices()).test} < set(test)
    assert [i.id for i in command.order("train")] == every[-len(command.order("train")) :]
