"""The configurations that ship can be read, and what is wrong in one is told with table and field."""

from __future__ import annotations

import json
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from policy.training import grpo, recipe, sft
from policy.training.humansense import FILES, STAGES
from policy.training.omni_config import load_examples, open_student
from policy.training.omni_example import Media
from policy.training.run import Run
from policy.training.tables import ConfigurationError
from tests.training_omni.conftest import Open
from tests.training_omni.fixture import SMALL, media
from tests.training_omni.test_student import example

CONFIGS = Path(__file__).parents[2] / "configs" / "train"
LIMITS = {"least_pixels": SMALL.least_pixels, "most_pixels": SMALL.most_pixels}


def table(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def no_media(path: Path, /, *, fps: float, most_frames: int, pictures: bool, sound: bool) -> Media:
    return media()


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("omni-*.toml")), ids=lambda p: p.stem)
def test_what_ships_opens_a_student_and_makes_a_recipe(path: Path, omni: Path, tmp_path: Path) -> None:
    found = table(path)
    student = {**found["student"], "base": str(omni)}
    student.pop("adapter", None)
    held = open_student(student, device="cpu", seed=found["run"]["seed"])
    assert len(held.parameters()) == 28
    stage, kind = ("sft", sft.Recipe) if "sft" in found else ("grpo", grpo.Recipe)
    made = recipe.read(kind, {**found[stage], "seed": found["run"]["seed"]})
    assert made.seed == 42
    assert set(found) == {"run", "student", "data", stage}


def test_the_three_stages_follow_each_other() -> None:
    found = {stage: table(CONFIGS / f"omni-grpo-{stage}.toml") for stage in STAGES}
    for before, stage in pairwise(STAGES):
        assert found[stage]["student"]["adapter"] == found[before]["run"]["folder"]
    for stage in STAGES:
        assert Path(found[stage]["data"]["humansense"]).name in FILES[stage]
        # As published: 8 answers at temperature 1, penalty 0.1, 2,048 tokens, a checkpoint every 10 steps.
        values = recipe.read(grpo.Recipe, found[stage]["grpo"])
        assert (values.generations, values.temperature, values.beta) == (8, 1.0, 0.1)
        assert (values.most, values.save_every, values.epochs) == (2048, 10, 1)


def test_an_adapter_may_be_a_checkpoint_or_a_run(omni: Path, student: Open, tmp_path: Path) -> None:
    given = {"kind": "omni", "base": str(omni), "dtype": "float32", "limits": LIMITS}
    given["lora"] = {"rank": 4, "alpha": 8}
    first = student()
    for parameter in first.parameters().values():
        parameter.data += 0.1
    with Run(tmp_path / "run") as run:
        sft.sft(first, [example()], sft.Recipe(batch=1), run, None, lambda: 0.0)
        newest = run.newest()
    assert newest is not None
    for folder in (newest, tmp_path / "run"):
        held = open_student({**given, "adapter": str(folder)}, device="cpu")
        for name, parameter in held.parameters().items():
            assert torch.equal(parameter, first.parameters()[name])
    with pytest.raises(ConfigurationError, match=r"student\.adapter: .*gone is no checkpoint and holds none"):
        open_student({**given, "adapter": str(tmp_path / "gone")}, device="cpu")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "compact"}, "student.kind is 'compact'; there are: omni"),
        ({"base": ""}, "student.base is missing"),
        ({"colour": "blue"}, "student.colour is not a field; there are: kind, base"),
        ({"rows": "one"}, "student.rows is 'one', expected int"),
        ({"rows": 0}, "student: rows is 0"),
        ({"dtype": "int8"}, "student.dtype is 'int8'; there are: float32, bfloat16"),
        ({"trains": "some"}, "student.trains is 'some'; there are: adapter, all"),
        ({"trains": "all", "dtype": "bfloat16"}, "use float32, or an adapter"),
        ({"trains": "all", "lora": {}}, "student.lora is for trains = 'adapter'"),
        ({"lora": {"rank": 0}}, "student.lora: lora rank is 0"),
        ({"lora": {"size": 3}}, "student.lora.size is not a field; there are: rank"),
        ({"limits": {"most_prompt": "many"}}, "student.limits.most_prompt is 'many', expected int"),
    ],
)
def test_a_student_that_is_wrong_is_told(omni: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        open_student({"kind": "omni", "base": str(omni), **change}, device="cpu")
    assert message in str(told.value)


def test_data_are_read_and_what_is_wrong_is_told(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"0")
    pattern = "Question and answer (Arabic numerals)"
    question = {"question": "How many?", "task_type": "Count", "question_pattern": pattern, "answer": 3}
    path = tmp_path / "own.json"
    path.write_text(json.dumps([{"video_path": "clip.mp4", "questions": question}]))
    given = {"humansense": str(path), "root": str(tmp_path), "stage": "audio"}
    (found,) = load_examples(given, no_media)
    assert (found.modality, found.answer) == ("audio", "3")
    with pytest.raises(ConfigurationError, match=r"data\.root is missing"):
        load_examples({"humansense": str(path)}, no_media)
    with pytest.raises(ConfigurationError, match=r"data\.file is not a field; there are: humansense, root, stage"):
        load_examples({**given, "file": "x"}, no_media)
