"""The tables of a training configuration: what is wrong is told with table and field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from policy.listener import CARD
from policy.training.compact import CompactStudent
from policy.training.compact_config import load_data, open_student, part_of, rewards_of, trained
from policy.training.corpus import CorpusError
from policy.training.parts import FROZEN
from policy.training.rewards import Accuracy, Format, Length, Safety
from policy.training.student import Sample
from policy.training.tables import ConfigurationError
from tests.training_compact.conftest import Open
from tests.training_compact.corpus import heard, write
from tests.training_compact.lines import situation

STUDENT: dict[str, Any] = {"kind": "compact", "base": "tiny"}


def nowhere(name: str) -> Path:
    raise AssertionError(f"{name} was resolved although the table is wrong")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "omni"}, "student.kind is 'omni', expected 'compact'"),
        ({"kind": ""}, "student.kind is missing"),
        ({"base": ""}, "student.base is missing"),
        ({"base": 3}, "student.base is 3, expected str"),
        ({"size": "big"}, "student.size is not a field; there are: kind, base, adapter, trains, bf16, lora, weights"),
        ({"trains": "some"}, "student.trains is 'some'; there are: adapter, all"),
        ({"trains": "all", "lora": {}}, "student.lora is for trains = 'adapter'"),
        ({"bf16": 1}, "student.bf16 is 1, expected bool"),
        ({"adapter": True}, "student.adapter is True, expected str"),
        ({"lora": 4}, "student.lora is 4, expected dict"),
        ({"lora": {"ranks": 4}}, "student.lora.ranks is not a field; there are: rank, alpha, dropout"),
        ({"lora": {"rank": 4.0}}, r"student.lora.rank is 4\.0, expected int"),
        ({"lora": {"rank": True}}, "student.lora.rank is True, expected int"),
        ({"lora": {"rank": 0}}, "student.lora: rank is 0, expected a whole number from 1"),
        ({"lora": {"alpha": -1}}, "student.lora: alpha is -1, expected a whole number from 1"),
        ({"lora": {"dropout": 1.0}}, r"student.lora: dropout is 1\.0, expected a share"),
        ({"weights": {"reply": "much"}}, "student.weights.reply is 'much', expected float"),
        ({"weights": {"fits": 1.0}}, "student.weights.fits is not a field; there are: choose, reply, fit"),
        ({"weights": {"choose": -1.0}}, r"student.weights: choose is -1\.0, expected a number from 0"),
        ({"weights": {"fit": float("nan")}}, "student.weights: fit is nan"),
    ],
)
def test_a_wrong_field_of_the_student_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        open_student(STUDENT | change, nowhere)


def test_a_student_is_opened_by_name_and_by_folder(tiny: Path) -> None:
    by_name = open_student(STUDENT | {"lora": {"rank": 2, "alpha": 4}}, lambda name: tiny, seed=3)
    by_folder = open_student(STUDENT | {"base": str(tiny), "trains": "all", "weights": {"reply": 2}}, nowhere)
    assert by_name.base == by_folder.base
    ranks = {p.shape[0] for name, p in by_name.parameters().items() if ".lora_A." in name}
    assert ranks == {2}
    assert not any(".lora_" in name for name in by_folder.parameters())


def test_an_earlier_stage_is_loaded_and_is_the_reference(tiny: Path, student: Open, tmp_path: Path) -> None:
    def told(found: CompactStudent) -> list[float]:
        return [float(v) for v in found.logprobs(situation(), [Sample((1, 1, 5), "", False)])[0].detach()[0]]

    earlier = student(seed=4)
    for parameter in earlier.parameters().values():
        parameter.data += 0.03
    earlier.save(tmp_path / "run")
    table = STUDENT | {"lora": {"rank": 4, "alpha": 8}, "adapter": str(tmp_path / "run")}
    found = open_student(table, lambda name: tiny)
    assert told(found) == pytest.approx(told(earlier), abs=1e-5)
    for parameter in found.parameters().values():
        parameter.data += 0.03
    with found.reference():
        assert told(found) == pytest.approx(told(earlier), abs=1e-5)
    assert told(found) != pytest.approx(told(earlier), abs=1e-3)


def test_a_folder_without_a_checkpoint_is_named(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(ConfigurationError, match=rf"student.adapter: {folder} is no checkpoint and holds none"):
            trained(folder)
    (tmp_path / CARD).write_text("{}")
    assert trained(tmp_path) == tmp_path


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"folder": "x"}, "data.folder is not a field; there are: corpus, heard"),
        ({"corpus": 3}, "data.corpus is 3, expected str"),
        ({"corpus": "/nowhere/at/all"}, "data.corpus is '/nowhere/at/all', which is no folder"),
        ({"heard": "/nowhere/at/all"}, "data.heard is '/nowhere/at/all', which is no folder"),
        ({"kinds": "choices"}, "data.kinds is 'choices', expected list"),
        ({"kinds": []}, r"data.kinds is \[\], expected some of situations, choices"),
        ({"kinds": ["choices", "jokes"]}, "data.kinds is .*jokes"),
        ({"limit": -1}, "data.limit is -1, expected a number of items"),
        ({"dev_limit": -3}, "data.dev_limit is -3"),
        ({"limit": 2.5}, r"data.limit is 2\.5, expected int"),
        ({"lessons": {"round": 1}}, "data.lessons.round is not a field; there are: rounds, varied"),
        ({"lessons": {"rounds": "3"}}, "data.lessons.rounds is '3', expected int"),
        ({"lessons": {"rounds": 0}}, "data.lessons: rounds is 0"),
        ({"lessons": {"varied": 1}}, "data.lessons.varied is 1, expected bool"),
        ({"lessons": {"missing": 2}}, "data.lessons: missing is 2, expected a share"),
        ({"lessons": {"without": "face"}}, "data.lessons.without is 'face', expected tuple"),
        ({"lessons": {"without": ["smell"]}}, "data.lessons: without names smell"),
        ({"lessons": {"spoken": 0.5}}, "data.lessons.spoken needs data.heard"),
    ],
)
def test_a_wrong_field_of_the_data_is_named(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_data(table)


def test_the_parts_are_read_as_the_table_says(tmp_path: Path) -> None:
    corpus = str(write(tmp_path / "corpus"))
    lessons = {"rounds": 2, "varied": True, "missing": 0.5, "without": ["voice"], "seed": 3}
    found = load_data({"corpus": corpus, "lessons": lessons})
    assert [e.id for e in found.train] == ["s-2", "s-3", "c-2", "c-3"] * 2
    assert [e.id for e in found.dev] == ["s-1", "c-1"]
    assert found.dev[0].words == "Line number 1 is sad."
    limited = load_data({"corpus": corpus, "kinds": ["choices"], "limit": 1, "dev_limit": 1})
    assert [e.id for e in limited.train] == ["c-2"]
    assert [e.id for e in limited.dev] == ["c-1"]
    assert [item.id for item in part_of("test", ["situations"], Path(corpus))] == ["s-0"]


def test_only_what_was_rendered_can_be_trained_on(tmp_path: Path) -> None:
    corpus, store = str(write(tmp_path / "corpus")), tmp_path / "heard"
    heard(store, "s-2")
    table = {"corpus": corpus, "heard": str(store), "lessons": {"spoken": 0.5}}
    assert [e.id for e in load_data(table).train] == ["s-2", "s-3", "c-2", "c-3"]
    assert [e.id for e in load_data(table | {"spoken_only": True}).train] == ["s-2"]


def test_a_changed_test_part_stops_the_training(tmp_path: Path) -> None:
    folder = write(tmp_path)
    path = folder / "situations-x.jsonl"
    path.write_text(path.read_text().replace("Line number 0", "Line number ten"))
    with pytest.raises(CorpusError, match=rf"{FROZEN}: the test part has changed"):
        load_data({"corpus": str(folder)})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kindness": 1}, "rewards.kindness is not a field; there are: accuracy, format, length, safety"),
        ({"safety": "high"}, "rewards.safety is 'high', expected a number from 0 to 100"),
        ({"format": -1}, "rewards.format is -1"),
        ({"length": True}, "rewards.length is True"),
        ({"accuracy": float("nan")}, "rewards.accuracy is nan"),
    ],
)
def test_a_wrong_reward_is_named(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        rewards_of(table)


def test_rewards_have_their_weights() -> None:
    assert [type(reward) for reward in rewards_of({})] == [Accuracy, Format, Length, Safety]
    found = rewards_of({"format": 0, "accuracy": 2.5})
    assert [(type(reward), reward.weight) for reward in found] == [(Accuracy, 2.5), (Length, 1.0), (Safety, 1.0)]
