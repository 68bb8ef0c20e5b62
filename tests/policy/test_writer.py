"""The cache that is kept, and drafts: they make writing sooner, never other. On a tiny base with an adapter."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from typing import Any

import pytest
import torch

from policy.listener import Unit, row
from policy.lm import LanguageModel
from policy.script import Piece
from policy.training.compact import CompactStudent, Lora
from policy.writer import Chat, Stopped, Writer
from tests.training_compact.base import build
from tests.training_compact.lines import look, sound, told, tone

MOST = 12
LEAD = (row("affirmation"), row("sad"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    base = build(tmp_path_factory.mktemp("base") / "tiny-llama")
    adapter = tmp_path_factory.mktemp("adapter") / "fresh"
    student = CompactStudent(base, lora=Lora(rank=2, alpha=4))
    torch.manual_seed(5)
    with torch.no_grad():
        student.senses.rows_out.add_(torch.randn_like(student.senses.rows_out))
    student.save(adapter)
    return LanguageModel(base, adapter)


@pytest.fixture
def chat(model: LanguageModel) -> Chat:
    found = Writer(model).blank()
    found.read(told(), Event())
    return found


def write(
    chat: Chat, draft: Sequence[int] = (), lead: Sequence[Unit] = LEAD, most: int = MOST
) -> tuple[str, list[int]]:
    chat.read(told(), Event())
    text = "".join(chat.write(Event(), most, lead=lead, draft=draft))
    return text, chat.written


@pytest.mark.parametrize("lead", [LEAD, ()])
@pytest.mark.parametrize("kind", ["right", "wrong", "half", "short", "long", "last", "empty"])
def test_a_draft_never_changes_the_text(kind: str, lead: tuple[Unit, ...], chat: Chat) -> None:
    text, ids = write(chat, lead=lead)
    assert len(ids) >= 6
    other = [(token + 1) % 256 for token in ids]
    draft = {
        "right": ids,
        "wrong": other,
        "half": [*ids[:3], *other[3:]],
        "short": ids[:4],
        "long": [*ids, *other],
        "last": [*ids[:-1], other[-1]],
        "empty": [],
    }[kind]
    before = chat.length
    assert write(chat, draft, lead) == (text, ids)
    assert chat.length == before


def test_a_draft_that_holds_is_read_in_one_go(
    chat: Chat, model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, ids = write(chat)
    runs: list[int] = []
    read = model.read

    def counted(units: Sequence[Unit], cache: Any) -> Any:
        runs.append(len(units))
        return read(units, cache)

    monkeypatch.setattr(model, "read", counted)
    chat.read(told(), Event())
    runs.clear()
    assert list(chat.write(Event(), len(ids), lead=LEAD, draft=ids))
    assert runs == [len(LEAD) + len(ids)]


def test_a_draft_is_cut_to_what_may_be_written(chat: Chat) -> None:
    _, ids = write(chat)
    assert write(chat, ids, most=3)[1] == ids[:3]


def test_strategy_and_emotion_in_front_change_what_is_written(chat: Chat) -> None:
    texts = {tuple(write(chat, lead=lead)[1]) for lead in (LEAD, (row("question"), row("curious")), ())}
    assert len(texts) == 3


def test_the_cache_goes_on_as_if_nothing_had_been_written(chat: Chat, model: LanguageModel) -> None:
    ids = write(chat)[1]
    write(chat, [*ids[:2], 1, 2, 3])
    gen = chat.write(Event(), MOST, lead=LEAD, draft=ids)
    next(gen)
    gen.close()
    fresh = Writer(model).blank()
    fresh.read(told(), Event())
    assert chat.length == fresh.length
    chat.read(told(), Event())
    assert chat.rows() == pytest.approx(fresh.rows(), abs=1e-4)


def test_pieces_that_grow_are_read_once_and_as_if_anew(model: LanguageModel) -> None:
    kept, fresh, stop = Writer(model).blank(), Writer(model).blank(), Event()
    first: tuple[Piece, ...] = told("My dog died.", look(), sound(), tone())
    more = (*first, *told("He was ten.", look(2), sound(2), tone(2)))
    assert kept.read(first, stop) == kept.length
    read = kept.read(more, stop)
    assert read == kept.length - fresh.read(first, stop)
    fresh = Writer(model).blank()
    fresh.read(more, stop)
    assert kept.rows() == pytest.approx(fresh.rows(), abs=1e-4)


def test_another_look_is_read_anew_from_there(model: LanguageModel) -> None:
    kept, fresh, stop = Writer(model).blank(), Writer(model).blank(), Event()
    kept.read(told("Hm.", sound(), look(1)), stop)
    kept.read(told("Hm.", sound(), look(2)), stop)
    fresh.read(told("Hm.", sound(), look(2)), stop)
    assert kept.rows() == pytest.approx(fresh.rows(), abs=1e-4)
    kept.read(told("Hm.", sound(), look(1)), stop)
    assert kept.rows() != pytest.approx(fresh.rows(), abs=1e-3)


def test_fits_leave_the_cache_as_it_was(chat: Chat) -> None:
    text = write(chat)
    chat.read(told(), Event())
    before, rows = chat.length, chat.rows()
    scores = chat.fits(["joy", "grief", "anger"], Event())
    assert len(set(scores)) == 3
    assert chat.length == before
    chat.read(told(), Event())
    assert chat.rows() == pytest.approx(rows, abs=1e-4)
    assert chat.fits(["anger", "grief"], Event()) == pytest.approx([scores[2], scores[1]], abs=1e-4)
    assert write(chat) == text


def test_all_work_can_be_stopped(chat: Chat, model: LanguageModel) -> None:
    stop = Event()
    stop.set()
    before = chat.length
    for work in (
        lambda: list(chat.write(stop, MOST, lead=LEAD)),
        lambda: list(chat.write(stop, MOST, draft=(1, 2))),
        lambda: chat.fits(["joy"], stop),
        lambda: chat.read([*told(), "more"], stop),
        lambda: Writer(model).blank().read(told(), stop),
    ):
        with pytest.raises(Stopped):
            work()
        assert chat.length == before


def test_writing_stops_between_two_tokens_and_crops(chat: Chat) -> None:
    _, ids = write(chat)
    chat.read(told(), Event())
    before, stop = chat.length, Event()
    written = chat.write(stop, MOST, lead=LEAD, draft=ids[:2])
    next(written)
    stop.set()
    with pytest.raises(Stopped):
        list(written)
    assert chat.length == before
    assert 1 <= len(chat.written) < len(ids)


def test_an_opening_is_read_once_for_all_calls(model: LanguageModel) -> None:
    writer = Writer(model, "<|im_start|>system\nBe kind.<|im_end|>\n")
    chat, blank, stop = writer.chat(), writer.blank(), Event()
    opening = chat.length
    assert chat.read(told(), stop) == chat.length - opening
    blank.read(["<|im_start|>system\nBe kind.<|im_end|>\n", *told()], stop)
    assert chat.rows() == pytest.approx(blank.rows(), abs=1e-4)
    assert writer.chat().length == opening
