from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from policy.tasks import MULTI, NUMBER, SINGLE, VARIANTS, YES_NO, Item, Published, TaskError
from policy.tasks.humansense import load
from tests.policy import quirks

MOODS = ["A. happy", "B. disgust", "C. surprised", "D. sad"]
HEARD = ("TR", "FR1", "FR2", "RR1", "RR2", "ES", "PC")


def entry(path: str = "data/videos/a.mp4", **more: Any) -> dict[str, Any]:
    question = {
        "question": "Which emotion should you show to this speaker?",
        "task_type": "Emo_Strategy",
        "question_pattern": quirks.SINGLE,
        "options": MOODS,
        "answer": "D",
        "full_frame_number": 412,
        "fps": 25,
        "asr_en": "My dog has died.",
    }
    return {"video_path": path, "questions": {k: v for k, v in {**question, **more}.items() if v is not ...}}


def with_answer(said: str | None) -> dict[str, Any]:
    made = entry()
    made["questions"]["Some-Model"] = said
    return made


def written(folder: Path, seen: Any = None, heard: Any = None, *, under: str = "") -> Path:
    (folder / under).mkdir(parents=True, exist_ok=True)
    for name, entries in (("HumanSense_VQA.json", seen), ("HumanSense_AQA.json", heard)):
        if entries is not None:
            (folder / under / name).write_text(json.dumps(entries), encoding="utf-8")
    return folder


def only(folder: Path, one: Any) -> Item:
    (item,) = load().items(written(folder, [one]))
    return item


def test_the_table_is_the_published_one() -> None:
    task = load()
    groups = {group.code: group for group in task.groups}
    assert " ".join(groups) == "AR ER GR PA AC CM HC TR FR1 FR2 LD RR1 RR2 ES PC"
    assert [sum(g.n for g in task.groups if g.level == level) for level in (1, 2, 3, 4)] == [1200, 1041, 1050, 591]
    assert {code for code, group in groups.items() if not group.in_average} == {"FR2", "PC"}
    kinds = [kind for group in task.groups for kind in group.task_types]
    assert len(kinds) == len(set(kinds))
    assert all(group.task_types for group in task.groups)
    heard = {code for code, g in groups.items() if any("audio" in task.modality[kind] for kind in g.task_types)}
    assert heard == set(HEARD)


def test_published_rows() -> None:
    task = load()
    codes = {group.code: group for group in task.groups}
    rows = {(row.model, row.subset): row for row in task.published}
    assert len(rows) == len(task.published) == 16
    for row in task.published:
        assert row.cells.keys() <= codes.keys()
        assert all(0 < cell < 1 for cell in row.cells.values())
    omni = rows["Qwen2.5-Omni-7B", "full"]
    assert (omni.average, omni.cells["ES"], omni.cells["PC"]) == (0.554, 0.607, 0.399)
    assert "FR2" not in rows["GPT-4o", "full"].cells
    assert rows["Qwen2-Audio-7B", "tiny"].average is None

    def mean(row: Published) -> float:
        cells = [cell for code, cell in row.cells.items() if codes[code].in_average]
        return sum(cells) / len(cells)

    # Some printed averages are not the mean of their own row; every other cell takes part in one that is.
    off = {k for k, row in rows.items() if row.average is not None and abs(mean(row) - row.average) > 0.0015}
    assert off == {
        ("InternVL3-8B", "tiny"),
        ("Ola-7B", "full"),
        ("IXC2.5-OmniLive-7B", "full"),
    }
    assert mean(rows["IXC2.5-OmniLive-7B", "full"]) == pytest.approx(0.5126, abs=6e-4)
    assert mean(rows["Ola-7B", "full"]) == pytest.approx(0.5218, abs=6e-4)
    assert mean(rows["InternVL3-8B", "tiny"]) == pytest.approx(0.5679, abs=6e-4)


def test_an_item_is_what_the_file_says(tmp_path: Path) -> None:
    item = only(tmp_path, entry())
    (ask,) = item.asks
    assert (item.problem, item.task_type, item.media) == ("", "Emo_Strategy", "data/videos/a.mp4")
    assert (item.sees, item.hears) == (True, True)
    assert (ask.pattern, ask.answer, ask.options, ask.at) == (SINGLE, "D", tuple(MOODS), None)
    assert ask.asr == "My dog has died."
    assert item.id == ask.id
    assert set(item.id) <= set("0123456789abcdef")


@pytest.mark.parametrize("under", ["", "bench_data", "src"])
def test_where_the_files_may_lie(tmp_path: Path, under: str) -> None:
    written(tmp_path, [entry()], [entry("data/audios/a.wav", task_type="Fraud_Recognition")], under=under)
    assert [item.sees for item in load().items(tmp_path)] == [True, False]


def test_one_file_is_enough(tmp_path: Path) -> None:
    (item,) = load().items(written(tmp_path, heard=[entry("data/audios/a.wav")]))
    assert (item.sees, item.hears) == (False, True)


@pytest.mark.parametrize(
    ("kind", "sees", "hears"),
    [
        *(
            (kind, True, True)
            for kind in ("Rapport_Recognition", "Talkingperson_Recognition", "Familiarity_Recognition")
        ),
        *((kind, True, False) for kind in ("Action_Recognition", "Lie_Detection", "Human_Counting")),
        *((kind, False, True) for kind in ("Fraud_Recognition", "Psychological_Chat")),
        ("Something_New", True, False),
    ],
)
def test_what_is_heard_and_seen(tmp_path: Path, kind: str, sees: bool, hears: bool) -> None:
    written(tmp_path, [entry(task_type=kind)], [entry("data/audios/b.wav", task_type=kind)])
    from_seen, from_heard = load().items(tmp_path)
    assert (from_seen.task_type, from_seen.sees, from_seen.hears, from_seen.problem) == (kind, sees, hears, "")
    assert (from_heard.sees, from_heard.hears) == (False, True)
    everything, _ = load(hear_all=True).items(tmp_path)
    assert (everything.sees, everything.hears) == (sees, True)


def test_ids_are_made_of_content_alone(tmp_path: Path) -> None:
    entries = [entry(f"data/videos/{n}.mp4", fps=n) for n in range(5)]
    first = {item.media: item.id for item in load().items(written(tmp_path, entries))}
    entries = [entry(f"data/videos/{n}.mp4", fps=30, **{"Some-Model": "A"}) for n in reversed(range(5))]
    assert {item.media: item.id for item in load().items(written(tmp_path, entries))} == first
    changed = [
        entry("data/videos/other.mp4"),
        entry(question="Why?"),
        entry(options=MOODS[::-1]),
        entry(task_type="Other"),
        entry(),
    ]
    assert len({item.id for item in load().items(written(tmp_path, changed))}) == 5


def test_the_same_item_twice_is_a_problem_with_an_id_of_its_own(tmp_path: Path) -> None:
    first, second, third = load().items(written(tmp_path, [entry(), entry(), entry(answer="A")]))
    assert (first.problem, second.id, third.id) == ("", f"{first.id}-2", f"{first.id}-3")
    assert first.id in second.problem
    assert [ask.id for ask in second.asks] == [second.id]


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        ("no object", "object"),
        (5, "object"),
        ({}, "questions"),
        ({"video_path": "data/videos/a.mp4"}, "questions"),
        ({"video_path": "data/videos/a.mp4", "questions": "what?"}, "questions"),
        ({"video_path": "data/videos/a.mp4", "questions": []}, "questions"),
        ({"video_path": "data/videos/a.mp4", "questions": [entry()["questions"]] * 2}, "questions"),
        ({"questions": entry()["questions"]}, "video_path"),
        (entry(5), "video_path"),  # type: ignore[arg-type]
        (entry(""), "video_path"),
        (entry("/etc/passwd"), "video_path"),
        (entry("data/../../secret.mp4"), "video_path"),
        (entry("data\\..\\..\\secret.mp4"), "video_path"),
        (entry("C:\\secret.mp4"), "video_path"),
        (entry("data/videos/a\0.mp4"), "video_path"),
        (entry(question=...), "questions.question"),
        (entry(question=""), "questions.question"),
        (entry(question=5), "questions.question"),
        (entry(task_type=...), "questions.task_type"),
        (entry(task_type=["Emo_Strategy"]), "questions.task_type"),
        (entry(question_pattern=...), "questions.question_pattern"),
        (entry(question_pattern="Fill in the blank"), "questions.question_pattern"),
        (entry(answer=...), "questions.answer"),
        (entry(answer=""), "questions.answer"),
        (entry(answer=4), "questions.answer"),
        (entry(answer="E"), "questions.answer"),
        (entry(answer="AB"), "questions.answer"),
        (entry(options=...), "questions.options"),
        (entry(options="A. happy"), "questions.options"),
        (entry(options=["A. happy", 5]), "questions.options"),
        (entry(options=["A. happy"], answer="A"), "questions.options"),
        (entry(options=[f"option {n}" for n in range(27)], answer="A"), "questions.options"),
        (entry(question_pattern=quirks.MULTI, answer="AE"), "questions.answer"),
        (entry(question_pattern=quirks.MULTI, answer=["A", "B"]), "questions.answer"),
        (entry(question_pattern=quirks.NUMBER, answer="three"), "questions.answer"),
        (entry(question_pattern=quirks.NUMBER, answer=2.5), "questions.answer"),
        (entry(question_pattern=quirks.NUMBER, answer=True), "questions.answer"),
        (entry(question_pattern=quirks.YES_NO, answer="perhaps"), "questions.answer"),
    ],
)
def test_a_broken_entry_stays_and_names_its_field(tmp_path: Path, broken: Any, named: str) -> None:
    good, bad, other = load().items(written(tmp_path, [entry(), broken, entry("data/videos/b.mp4")]))
    assert (good.problem, other.problem) == ("", "")
    assert named in bad.problem
    assert bad.id not in (good.id, other.id)
    assert "\n" not in bad.problem


@pytest.mark.parametrize(
    ("fine", "pattern", "answer"),
    [
        (entry(answer="D. sad"), SINGLE, "D. sad"),
        (entry(options=[f"option {n}" for n in range(26)], answer="Z"), SINGLE, "Z"),
        (entry(options=["No", "Yes"], answer="A"), SINGLE, "A"),
        (entry(question_pattern=quirks.MULTI, answer="A, C"), MULTI, "A, C"),
        (entry(question_pattern=quirks.NUMBER, answer=12, options=...), NUMBER, "12"),
        (entry(question_pattern=quirks.NUMBER, answer="3", options=[]), NUMBER, "3"),
        (entry(question_pattern=quirks.NUMBER, answer=3.0, options=None), NUMBER, "3"),
        (entry(question_pattern=quirks.YES_NO, answer="yes", options=...), YES_NO, "yes"),
        ({"video_path": "data/videos/a.mp4", "questions": [entry()["questions"]]}, SINGLE, "D"),
        (entry(asr_en=None), SINGLE, "D"),
    ],
)
def test_what_is_fine(tmp_path: Path, fine: Any, pattern: str, answer: str) -> None:
    item = only(tmp_path, fine)
    assert item.problem == ""
    assert [(ask.pattern, ask.answer) for ask in item.asks] == [(pattern, answer)]
    assert load().score(item, item.asks[0], answer).exact


def test_an_unknown_pattern_is_kept_and_never_right(tmp_path: Path) -> None:
    item = only(tmp_path, entry(question_pattern="Fill in the blank"))
    (ask,) = item.asks
    assert ask.pattern == "Fill in the blank"
    assert load().score(item, ask, "D").credit == 0
    assert not load().score(item, ask, "D", rules="reference").counts


@pytest.mark.parametrize("content", ["", "{", '{"a": 1}', '"text"', "\xff\xfe", "[" * 100_000])
def test_a_file_that_is_no_list_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "HumanSense_VQA.json").write_text(content, encoding="latin-1")
    with pytest.raises(TaskError, match="HumanSense_VQA"):
        load().items(tmp_path)


def test_a_folder_without_the_files_is_told(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"HumanSense_VQA\.json.*HumanSense_AQA\.json"):
        load().items(tmp_path)


@pytest.mark.parametrize("place", ["data/videos/a.mp4", "videos/a.mp4", "src/data/videos/a.mp4"])
def test_where_media_may_lie(tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).touch()
    found = load().media_path(tmp_path, only(tmp_path, entry()))
    assert found.samefile(tmp_path / place)


def test_media_that_are_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"data/videos/a\.mp4"):
        load().media_path(tmp_path, only(tmp_path, entry()))


@pytest.mark.parametrize("path", ["/etc/hostname", "../outside.mp4", "data/../../outside.mp4", "", ".", "a\0b"])
def test_no_media_outside_the_folder(tmp_path: Path, path: str) -> None:
    (tmp_path / "outside.mp4").touch()
    folder = written(tmp_path / "set", [entry()])
    with pytest.raises(TaskError):
        load().media_path(folder, replace(load().items(folder)[0], media=path))


def test_no_link_out_of_the_folder(tmp_path: Path) -> None:
    folder = written(tmp_path / "set", [entry()])
    (tmp_path / "outside.mp4").touch()
    (folder / "data/videos").mkdir(parents=True)
    os.symlink(tmp_path / "outside.mp4", folder / "data/videos/a.mp4")
    with pytest.raises(TaskError, match="leads out"):
        load().media_path(folder, load().items(folder)[0])
    os.symlink(folder, tmp_path / "link")
    (folder / "data/videos/a.mp4").unlink()
    (folder / "data/videos/a.mp4").touch()
    assert load().media_path(tmp_path / "link", load().items(folder)[0]).name == "a.mp4"


def test_all_options_are_shown_whatever_their_number(tmp_path: Path) -> None:
    item = only(tmp_path, entry(options=[f"mood {n}" for n in range(26)], answer="Z"))
    words = load().ask(item, item.asks[0])
    assert all(f"{letter}. mood {n}" in words for n, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    item = only(tmp_path, entry())
    assert "\n".join(MOODS) in load().ask(item, item.asks[0])


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("pattern", "answer", "wanted"),
    [
        (quirks.SINGLE, "D", "the one option"),
        (quirks.MULTI, "AD", "all options"),
        (quirks.NUMBER, "3", "number"),
        (quirks.YES_NO, "Yes", "Yes or No"),
    ],
)
def test_how_an_answer_is_asked_for(tmp_path: Path, variant: str, pattern: str, answer: str, wanted: str) -> None:
    item = only(tmp_path, entry(question_pattern=pattern, answer=answer))
    words = load().ask(item, item.asks[0], variant=variant)
    assert item.asks[0].question in words
    assert wanted in words
    assert ("<think>" in words and "<answer>" in words) == variant.endswith("think")
    plain = load().ask(item, item.asks[0], variant="think" if variant.endswith("think") else "direct")
    assert words.endswith(plain)
    assert (words != plain) == variant.startswith("enhanced")
    assert "My dog has died." not in words


def test_the_transcript_stands_before_the_question(tmp_path: Path) -> None:
    item = only(tmp_path, entry())
    words = load().ask(item, item.asks[0], variant="enhanced", asr=True)
    assert 0 < words.index("My dog has died.") < words.index("Which emotion")
    silent = only(tmp_path, entry(asr_en=...))
    assert load().ask(silent, silent.asks[0], asr=True) == load().ask(silent, silent.asks[0])


def test_an_unknown_variant_is_told(tmp_path: Path) -> None:
    item = only(tmp_path, entry())
    with pytest.raises(ValueError, match="enhanced-think"):
        load().ask(item, item.asks[0], variant="loud")


def test_the_two_rules(tmp_path: Path) -> None:
    item = only(tmp_path, entry())
    (ask,) = item.asks

    def credit(raw: str | None, **how: str) -> float | None:
        verdict = load().score(item, ask, raw, **how)
        return verdict.credit if verdict.counts else None

    assert (credit("(D)"), credit("(D)", rules="reference")) == (1, 0)
    assert (credit("Dad"), credit("Dad", rules="reference")) == (0, 1)
    assert (credit(None), credit(None, rules="reference")) == (0, None)
    tagged = "<think>A?</think><answer>A. sad</answer>"
    assert credit(tagged, rules="reference", mode="think") == 1
    assert credit(tagged, rules="reference") == 0
    assert credit(tagged, mode="think") == 0
    with pytest.raises(ValueError, match="strict, reference"):
        credit("D", rules="kind")


@pytest.mark.parametrize(
    ("raw", "reward"),
    [
        ("<think>She cries.</think>\n<answer>BD</answer>", 2),
        ("<think>She cries.</think>\n<answer>B</answer>", 1.5),
        ("<think>She cries.</think>\n<answer>A</answer>", 1),
        ("BD", 1),
        ("B", 0.5),
        ("A", 0),
        ("", 0),
        ("<answer>BD</answer>", 1),
        ("So: <think>x</think><answer>BD</answer>", 1),
        ("<think>x</think><answer>BD</answer> Done.", 2),
    ],
)
def test_rewards(tmp_path: Path, raw: str, reward: float) -> None:
    item = only(tmp_path, entry(question_pattern=quirks.MULTI, answer="BD"))
    assert load().reward(item, item.asks[0], raw) == reward


def test_a_results_file_is_judged_entry_by_entry() -> None:
    entries: list[Any] = [with_answer(said) for said in ("D", "(D)", "", None)] + [5, {"video_path": "x"}]
    strict = load().results(entries, "Some-Model")
    assert [verdict.credit for _, verdict in strict] == [1, 1, 0, 0, 0, 0]
    assert Counter(kind for kind, _ in strict) == {"Emo_Strategy": 4, "unknown": 2}
    reference = load().results(entries, "Some-Model", rules="reference")
    assert [(v.credit, v.counts, bool(v.crash)) for _, v in reference] == [
        (1, True, False),
        (0, True, False),
        (0, False, False),
        (0, False, False),
        (0, False, True),
        (0, False, True),
    ]


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    table = tmp_path / "mine.toml"
    table.write_text(
        '[[task]]\ncode = "XX"\nname = "Mine"\nmodality = "video+audio"\ntask_types = ["Lie_Detection"]\n'
        '[[published]]\nmodel = "M"\nsubset = "full"\ncells = { XX = 0.5 }\n',
        encoding="utf-8",
    )
    task = load(table=table)
    assert [(group.code, group.level, group.n, group.in_average) for group in task.groups] == [("XX", 0, 0, True)]
    assert task.published[0].cells == {"XX": 0.5}
    (item,) = task.items(written(tmp_path, [entry(task_type="Lie_Detection")]))
    assert item.hears


@pytest.mark.parametrize(
    "content",
    [
        "[[task]",
        "",
        "task = 5",
        '[[task]]\nname = "no code"\nmodality = "video"',
        '[[task]]\ncode = "XX"\nname = "Mine"\nmodality = "smell"',
        '[[task]]\ncode = "XX"\nname = "Mine"\nmodality = "video"\ntask_types = "Mine"',
    ],
)
def test_a_table_that_cannot_be_read_is_told(tmp_path: Path, content: str) -> None:
    table = tmp_path / "mine.toml"
    table.write_text(content, encoding="utf-8")
    with pytest.raises(TaskError, match=r"mine\.toml"):
        load(table=str(table))
    with pytest.raises(TaskError, match=r"other\.toml"):
        load(table=tmp_path / "other.toml")
