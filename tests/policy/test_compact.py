from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from threading import Event

import numpy as np
import pytest

from agent.models import resolve
from perception.context import ContextWindow
from perception.timebase import SECOND
from policy.backends import Policy, compact
from policy.decision import Express, Speak
from policy.embedding import SIZE, Embedder, Vectors
from policy.lm import LanguageModel
from policy.prompt import SYSTEM
from policy.words import load_table
from policy.writer import Chat, Stopped, Writer, conversation, cue, opening
from tests.policy.windows import talk

pytestmark = [pytest.mark.models, pytest.mark.slow]

EXAM = talk("I failed my exam today.", face="sad")


@pytest.fixture(scope="module")
def writer() -> Writer:
    examples = [(e["lines"], e["strategy"], e["answer"]) for e in load_table("examples")["example"]]
    return Writer(LanguageModel(resolve("smollm2")), opening(SYSTEM, examples))


def written(chat: Chat, text: tuple[str, ...], most: int = 12) -> str:
    stop = Event()
    chat.read(text, stop)
    return "".join(chat.write(stop, most))


def test_the_model_is_conditioned_on_the_strategy(writer: Writer) -> None:
    chat = writer.chat()
    asked = written(chat, (*conversation(EXAM), cue("question")), 20)
    told = written(chat, (*conversation(EXAM), cue("reflection")), 20)
    assert "?" in asked
    assert asked != told


def test_the_kept_cache_gives_what_reading_anew_gives(writer: Writer) -> None:
    early = talk("Hello.", "Hi. What's on your mind?", "I failed my exam today.")
    late = talk(
        "Hello.", "Hi. What's on your mind?", "I failed my exam today.", "Oh, that's a real blow.", "Yes, again."
    )
    kept, fresh = writer.chat(), writer.chat()
    for window in (early, late):
        written(kept, (*conversation(window), cue("question")))
    assert written(kept, (*conversation(late), cue("reflection"))) == written(
        fresh, (*conversation(late), cue("reflection"))
    )


def test_only_what_is_new_is_read(writer: Writer) -> None:
    chat, stop = writer.chat(), Event()
    text = conversation(EXAM)
    first = chat.read(text, stop)
    assert first > 10
    assert chat.read((*text, cue("question")), stop) < 15
    length = chat.length
    list(chat.write(stop, 5))
    assert chat.length == length
    assert chat.read((*text, cue("reflection")), stop) < 15
    assert chat.read(conversation(talk("Something else altogether.")), stop) > 5


def test_a_window_whose_front_has_left_is_read_anew(writer: Writer) -> None:
    chat, stop = writer.chat(), Event()
    window = talk("Hello.", "Hi.", "I failed my exam.", "Oh.", "Yes.")
    chat.read(conversation(window), stop)
    moved = replace(window, entries=window.entries[2:], first=2, summary="They spoke of: exam.")
    chat.read((*conversation(moved), cue("question")), stop)
    fresh = writer.chat()
    assert written(chat, (*conversation(moved), cue("question"))) == written(
        fresh, (*conversation(moved), cue("question"))
    )


def test_writing_and_reading_stop_between_tokens(writer: Writer) -> None:
    chat, stop = writer.chat(), Event()
    chat.read((*conversation(EXAM), cue("question")), stop)
    length = chat.length
    tokens: Iterator[str] = chat.write(stop)
    next(tokens)
    stop.set()
    with pytest.raises(Stopped):
        next(tokens)
    assert chat.length == length
    with pytest.raises(Stopped):
        chat.read(conversation(talk("Something else altogether.")), stop)
    assert written(chat, (*conversation(EXAM), cue("question"))) == written(
        writer.chat(), (*conversation(EXAM), cue("question"))
    )


def test_calls_share_the_opening_and_nothing_else(writer: Writer) -> None:
    one, other = writer.chat(), writer.chat()
    before = other.length
    written(one, (*conversation(EXAM), cue("question")))
    assert other.length == before
    assert written(other, (*conversation(EXAM), cue("question"))) == written(
        one, (*conversation(EXAM), cue("question"))
    )


async def _said(policy: Policy, window: ContextWindow) -> tuple[Express, list[Speak]]:
    session = policy.session()
    found = [d async for d in session.decide(window)]
    await session.close()
    assert isinstance(found[0], Express)
    return found[0], [d for d in found if isinstance(d, Speak)]


def test_danger_withholds_the_models_words(compact_first: Policy) -> None:
    look, said = asyncio.run(_said(compact_first, talk("I want to kill myself.")))
    assert look.emotion == "concern"
    assert all(d.strategy == "safety" for d in said)
    assert "emergency number" in " ".join(d.text for d in said)


def test_the_curated_line_stands_behind_the_gate(compact_first: Policy, compact_off: Policy) -> None:
    # The untrained model answers this with a joke about laughing; the gate refuses it.
    _, free = asyncio.run(_said(compact_first, EXAM))
    assert free
    _, curated = asyncio.run(_said(compact_off, EXAM))
    assert curated


def test_without_an_adapter_the_base_model_writes_behind_the_curated_line(
    compact_writing: Policy, compact_off: Policy
) -> None:
    async def ask(policy: Policy) -> list[str]:
        session = policy.session()
        await session.prepare(EXAM)
        texts = [step.text async for step in session.decide(EXAM) if isinstance(step, Speak)]
        again = [step.text async for step in session.decide(EXAM) if isinstance(step, Speak)]
        await session.close()
        assert again == texts
        return texts

    curated = asyncio.run(ask(compact_off))
    written = asyncio.run(ask(compact_writing))
    assert curated
    assert written[: len(curated)] == curated


def test_off_does_not_load_the_language_model(compact_off: compact.Compact) -> None:
    assert compact_off.mind.writer is None


@pytest.mark.parametrize("options", [{"generate": "sometimes"}, {"threads": 0}])
def test_an_impossible_option_is_named(options: dict[str, object]) -> None:
    with pytest.raises(compact.OptionError, match=next(iter(options))):
        compact.load(resolve=resolve, **options)  # type: ignore[arg-type]


def test_what_was_prepared_is_not_embedded_again(compact_off: compact.Compact, monkeypatch: pytest.MonkeyPatch) -> None:
    embed = compact_off.mind.embed
    runs: list[int] = []
    run = embed.run

    def counted(texts: Sequence[str]) -> list[Vectors]:
        runs.append(len(texts))
        return run(texts)

    async def ask() -> None:
        session = compact_off.session()
        words = "I lost my old red umbrella on the train today."
        await session.prepare(ContextWindow(start=0, end=SECOND, hearing=words))
        assert sum(runs) > 0
        runs.clear()
        assert [d async for d in session.decide(talk(words))]
        await session.close()

    monkeypatch.setattr(embed, "run", counted)
    asyncio.run(ask())
    assert sum(runs) == 0


def test_embeddings_are_unit_vectors_that_know_meaning(embedder: Embedder) -> None:
    texts = ["My dog died.", "Our dog passed away.", "The train leaves at nine.", ""]
    vectors = embedder(texts)
    assert vectors.shape == (4, SIZE)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-3)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.3
    assert np.allclose(vectors, np.concatenate([embedder([text]) for text in texts]), atol=1e-3)
