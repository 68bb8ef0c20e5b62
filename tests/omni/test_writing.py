from __future__ import annotations

import json
from collections.abc import Iterator
from threading import Event

import pytest

from policy.form import SCHEMA
from policy.omni import writing
from policy.omni.grammar import Grammar
from policy.omni.memory import Memory, Stopped
from policy.omni.store import Growing
from policy.omni.thinker import Thinker, asking, script
from policy.prompt import PERSON, Line


@pytest.fixture
def memory(thinker: Thinker) -> Memory:
    found = Memory(thinker, Growing(thinker))
    found.sync([*script([Line(PERSON, "hello")], thinker.layout, "s"), asking(thinker.layout, "Decide.")])
    return found


@pytest.fixture(scope="module")
def grammar(thinker: Thinker) -> Grammar:
    return Grammar(thinker.layout, thinker.words, SCHEMA)


def test_what_is_decided_fits_the_schema(thinker: Thinker, memory: Memory, grammar: Grammar) -> None:
    pieces = list(writing.decide(memory.write(), thinker.layout, grammar, Event()))
    found = json.loads("".join(text for text, _ in pieces))
    assert list(found) == list(SCHEMA["properties"])
    for name in ("action", "strategy", "emotion", "tone"):
        assert found[name] in SCHEMA["properties"][name]["enum"]
    assert len(found["words"]) <= 240
    assert all(0 < sure <= 1 for _, sure in pieces)
    assert min(sure for _, sure in pieces) < 1


def test_what_must_come_takes_no_step_of_the_model(thinker: Thinker, memory: Memory, grammar: Grammar) -> None:
    answer, steps = memory.write(), 0
    logits = answer.logits

    def counted() -> object:
        nonlocal steps
        steps += 1
        return logits()

    answer.logits = counted  # type: ignore[method-assign, assignment]
    text = "".join(piece for piece, _ in writing.decide(answer, thinker.layout, grammar, Event()))
    frame = text[: text.index('"words": "')]
    words = json.loads(text)["words"]
    # Of the frame around the words only the first letters of each choice are decided.
    assert steps - len(words.encode()) < 20 < len(frame) // 3


def test_the_same_context_gives_the_same_answer(thinker: Thinker, memory: Memory, grammar: Grammar) -> None:
    texts = set[str]()
    for _ in range(2):
        texts.add("".join(piece for piece, _ in writing.decide(memory.write(), thinker.layout, grammar, Event())))
        memory.forget_answer()
    assert len(texts) == 1


@pytest.mark.parametrize("most", [1, 5, 40])
def test_a_thought_is_bounded_in_tokens(thinker: Thinker, memory: Memory, most: int) -> None:
    before = memory.length
    text = "".join(writing.think(memory.write(), thinker.layout, Event(), Event(), most))
    assert text.startswith("<think>")
    assert text.endswith("</think>\n")
    marks = len(thinker.layout.encode("<think></think>\n"))
    assert memory.length - before <= most + marks


def test_a_thought_ends_when_time_is_up(thinker: Thinker, memory: Memory) -> None:
    hurry = Event()
    pieces = list[str]()
    for piece in writing.think(memory.write(), thinker.layout, Event(), hurry, 1_000):
        pieces.append(piece)
        if len(pieces) == 4:
            hurry.set()
    assert len(pieces) <= 6
    assert pieces[-1] == "</think>\n"


def test_no_control_token_is_written(thinker: Thinker, memory: Memory) -> None:
    text = "".join(writing.answer(memory.write(), thinker.layout, Event(), 300))
    assert "<|" not in text


@pytest.mark.parametrize("kind", ["think", "decide", "answer"])
def test_a_stop_ends_the_writing(thinker: Thinker, memory: Memory, grammar: Grammar, kind: str) -> None:
    stop, answer = Event(), memory.write()
    written: Iterator[object]
    match kind:
        case "think":
            written = writing.think(answer, thinker.layout, stop, Event(), 1_000)
        case "decide":
            written = writing.decide(answer, thinker.layout, grammar, stop)
        case _:
            written = writing.answer(answer, thinker.layout, stop, 1_000)
    next(written)
    stop.set()
    with pytest.raises(Stopped):
        list(written)


def test_characters_of_several_tokens_come_whole(thinker: Thinker) -> None:
    decoder = writing.Decoder(thinker.layout)
    found = [decoder.push([token]) for token in thinker.layout.encode("é — ok")]
    assert "".join(found) == "é — ok"
    assert "�" not in "".join(found)


def test_a_token_that_may_not_come_is_refused(grammar: Grammar, thinker: Thinker) -> None:
    match = grammar.begin()
    match.take(match.forced())
    assert match.allowed().any()
    with pytest.raises(ValueError, match="may not come here"):
        match.take(thinker.layout.encode("}"))
