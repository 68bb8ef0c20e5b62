"""The set that ships: its items are well made, and its media are built whole, once, and the same every time."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from agent import build as parts
from agent.bench import builtin
from agent.bench._builtin_media import FPS, HEIGHT, WIDTH
from agent.bench.builtin import AQA, VQA, Entry, Recipes, build, default_folder, recipes
from agent.media_file import open_media
from agent.models import ModelMissing
from perception.media import AudioChunk, VideoFrame
from perception.timebase import SECOND, as_seconds
from policy.tasks import MULTI, NUMBER, SINGLE, TaskError, humansense

ENTRIES = recipes().entries
MUTE, SHOWN, HEARD = "driver_gapes", "show_oath", "chat_widower"


def right(entry: Entry) -> list[str]:
    return [entry.options[builtin.LETTERS.index(letter)] for letter in entry.answer]


def test_there_are_enough_of_enough_kinds() -> None:
    kinds = Counter(entry.task_type for entry in ENTRIES)
    assert len(ENTRIES) >= 60
    assert len(kinds) >= 10
    assert min(kinds.values()) >= 4
    assert {entry.pattern for entry in ENTRIES} == {SINGLE, MULTI, NUMBER}


def test_every_kind_is_one_that_the_benchmark_knows() -> None:
    known = {kind for group in humansense.load().groups for kind in group.task_types}
    assert {entry.task_type for entry in ENTRIES} <= known


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: f"{e.task_type}-{e.medium.name}")
def test_an_item_can_be_answered(entry: Entry) -> None:
    if entry.pattern == NUMBER:
        assert not entry.options
        assert len(entry.answer) == 1, "the published scorer reads one digit"
        assert entry.answer.isdecimal()
        return
    assert len(set(entry.options)) == len(entry.options)
    assert "".join(sorted(set(entry.answer))) == entry.answer
    assert all(right(entry))
    if entry.pattern == SINGLE:
        assert len(entry.options) in (2, 4)
        assert len(entry.answer) == 1
    else:
        assert len(entry.options) == 4
        assert 2 <= len(entry.answer) <= 3


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: f"{e.task_type}-{e.medium.name}")
def test_its_texts_are_clean(entry: Entry) -> None:
    for text in (entry.question, *entry.options, *(line.text for line in entry.medium.lines)):
        assert text.isascii()
        assert text.isprintable()
        assert " ".join(text.split()) == text
        assert text
    assert entry.question[-1] in ".?"
    cut_short = "When the drums came in, I just"
    assert all(line.text[-1] in ".?!" or line.text == cut_short for line in entry.medium.lines)


def test_the_sound_counts_only_where_the_benchmark_listens() -> None:
    listens = {"Talkingperson", "Familiarity", "Rapport", "Relation", "Fraud", "Emo", "Psychological"}
    for entry in ENTRIES:
        hears = entry.task_type.split("_")[0] in listens
        assert bool(entry.medium.lines) == hears, entry.medium.name
        assert bool(entry.medium.shots) == (entry.task_type not in ("Fraud_Recognition", "Psychological_Chat"))


@pytest.mark.parametrize(("size", "most"), [(4, 0.45), (2, 0.6)])
def test_no_letter_is_a_good_guess(size: int, most: float) -> None:
    letters = Counter(e.answer for e in ENTRIES if e.pattern == SINGLE and len(e.options) == size)
    assert len(letters) == size
    assert max(letters.values()) <= most * letters.total()


def test_neither_the_longest_nor_the_shortest_option_is_a_good_guess() -> None:
    entries = [e for e in ENTRIES if e.pattern == SINGLE and len(e.options) == 4]
    ranks = Counter(sum(len(o) > len(right(e)[0]) for o in e.options) for e in entries)
    assert max(ranks[0], ranks[3]) <= 0.45 * len(entries)


def test_no_two_items_ask_the_same_of_the_same() -> None:
    for a, b in combinations(ENTRIES, 2):
        if a.medium is b.medium:
            assert SequenceMatcher(None, a.question, b.question).ratio() < 0.85, a.question


def test_every_medium_is_asked_about_and_no_two_say_the_same() -> None:
    media = recipes().media
    assert {e.medium.name for e in ENTRIES} == set(media)
    words = Counter(m.words for m in media.values() if m.lines)
    assert max(words.values()) == 1
    assert all(name.isidentifier() for name in media)


def test_other_recipes_have_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder().parent == tmp_path / "rapport" / "bench"
    assert recipes().digest[:8] in default_folder().name


@pytest.mark.parametrize("name", [VQA, AQA])
def test_another_data_set_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("[]")
    with pytest.raises(TaskError, match="another data set"):
        build(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_without_the_clips_it_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPPORT_MODELS", str(tmp_path / "models"))
    with pytest.raises(ModelMissing, match=r"7 of 7 .*agent models fetch --test-clips$"):
        build(tmp_path / "set")
    assert not (tmp_path / "set").exists()


class Told:
    """A progress that counts."""

    def __init__(self) -> None:
        self.made = 0

    def step(self, label: str, total: int, done: int = 0) -> None:
        assert 0 <= done < total

    def advance(self, count: int) -> None:
        self.made += count

    def say(self, text: str) -> None:
        raise AssertionError(text)


@pytest.fixture(scope="module")
def few() -> Recipes:
    """Three media of the three sorts, and their items."""
    media = {name: recipes().media[name] for name in (MUTE, SHOWN, HEARD)}
    entries = tuple(e for e in ENTRIES if e.medium.name in media)
    return replace(recipes(), media=media, entries=entries)


@pytest.fixture(scope="module")
def built(few: Recipes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("set"), wanted=few)


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != ".lock")
    return {str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.read_bytes()) for p in files}


@pytest.mark.slow
@pytest.mark.models
def test_the_layout_is_that_of_the_benchmark(built: Path, few: Recipes) -> None:
    items = humansense.load().items(built)
    assert [item.problem for item in items] == [""] * len(few.entries)
    assert sorted(item.media for item in items) == sorted(e.medium.path for e in few.entries)
    for item in items:
        assert humansense.load().score(item, item.asks[0], item.asks[0].answer, rules="reference").exact
    asked = {e["video_path"]: e["questions"] for name in (VQA, AQA) for e in json.loads((built / name).read_text())}
    oath = asked[few.media[SHOWN].path]
    assert oath["asr_en"].startswith("After eleven years I am a citizen")
    assert oath["fps"] == FPS
    assert "asr_en" not in asked[few.media[MUTE].path]
    assert "fps" not in asked[few.media[HEARD].path]


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.parametrize(("name", "sees", "hears"), [(MUTE, 1, 0), (SHOWN, 1, 1), (HEARD, 0, 1)])
def test_the_media_can_be_played(built: Path, few: Recipes, name: str, sees: bool, hears: bool) -> None:
    medium = few.media[name]
    with open_media(built / medium.path) as media:
        played = list(media)
        assert not [note for note in media.notes if "there " not in note], "nothing in it is damaged"
        assert media.info.duration is not None
        stated = as_seconds(media.info.duration)
    pictures = [m for m in played if isinstance(m, VideoFrame)]
    sound = [m for m in played if isinstance(m, AudioChunk)]
    assert (bool(pictures), bool(sound)) == (sees, hears)
    if sees:
        asked = [e["questions"] for e in json.loads((built / VQA).read_text()) if e["video_path"] == medium.path]
        assert len(pictures) == asked[0]["full_frame_number"]
        assert stated == pytest.approx(len(pictures) / FPS, abs=0.1)
        assert pictures[0].pixels.shape == (HEIGHT, WIDTH, 3)
        assert pictures[0].pixels.std() > 20, "there is something to see"
    if hears:
        heard = np.concatenate([m.samples for m in sound])
        assert as_seconds(sound[-1].end) == pytest.approx(stated, abs=0.15)
        assert 5 * SECOND < sound[-1].end < 20 * SECOND
        loud = np.abs(heard[: len(heard) // 320 * 320]).reshape(-1, 320).max(axis=1) > 0.02
        assert 0.5 < loud.mean() < 0.98, "somebody speaks, with pauses"
        assert not loud[:15].any(), "nobody speaks at once"
    else:
        assert stated == pytest.approx(3.0, abs=0.1)


@pytest.mark.slow
@pytest.mark.models
def test_building_again_changes_nothing(built: Path, few: Recipes, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(built)
    monkeypatch.setattr(parts, "voice", None)  # not even the voice is loaded
    assert build(built, Told(), few) == built
    assert state(built) == before


@pytest.mark.slow
@pytest.mark.models
def test_what_a_kill_left_does_no_harm(built: Path, few: Recipes, tmp_path: Path) -> None:
    whole = {name: data for name, (_, data) in state(built).items()}
    (tmp_path / "data" / "videos").mkdir(parents=True)
    for name in (".builtin", few.media[HEARD].path):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(whole[name])
    cut = Path(few.media[MUTE].path)
    (tmp_path / cut.with_name(f".{cut.name}.new")).write_bytes(b"cut off")
    told = Told()
    build(tmp_path, told, few)
    assert told.made == 2, "what was whole is kept"
    assert {name: data for name, (_, data) in state(tmp_path).items()} == whole, "the same bytes, and nothing else"


@pytest.mark.slow
@pytest.mark.models
def test_other_recipes_replace_what_is_there(few: Recipes, tmp_path: Path) -> None:
    small = replace(few, media={HEARD: few.media[HEARD]}, entries=())
    for name in (".builtin", small.media[HEARD].path, VQA):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("of an earlier version")
    build(tmp_path, wanted=small)
    assert json.loads((tmp_path / VQA).read_text()) == []
    assert (tmp_path / small.media[HEARD].path).stat().st_size > 100_000


@pytest.mark.slow
@pytest.mark.models
def test_two_that_build_at_once_build_once(few: Recipes, tmp_path: Path) -> None:
    small = replace(few, media={MUTE: few.media[MUTE]}, entries=())
    told = Told()
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda _: build(tmp_path, told, small), range(2))) == [tmp_path, tmp_path]
    assert told.made == 1
