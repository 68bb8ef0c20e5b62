from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from perception.media import VideoFrame
from policy.omni.layout import Pixels
from policy.omni.thinker import CheckpointError, Thinker, load, script
from policy.prompt import AGENT, PERSON, Line
from policy.reel import Sight, Sound
from tests.training_omni.fixture import as_published


def test_the_whole_model_as_published_gives_the_same_thinker(
    thinker: Thinker, checkpoint: Path, tmp_path: Path
) -> None:
    whole = load(as_published(checkpoint, tmp_path / "whole"), dtype="float32")
    for name, weight in thinker.model.named_parameters():
        assert torch.equal(weight, whole.model.get_parameter(name)), name


@pytest.mark.parametrize("size", [(48, 64), (360, 640), (1080, 1920), (28, 28)])
def test_tokens_of_a_picture_are_told_before_it_is_read(thinker: Thinker, size: tuple[int, int]) -> None:
    sight = Sight(VideoFrame(np.zeros((*size, 3), np.uint8), 0))
    with torch.no_grad():
        block = thinker.block(sight)
    assert len(block) == thinker.tokens(sight)
    assert int(block.positions[0, 1:-1].max() - block.positions[0, 1:-1].min()) == 0  # one picture is one instant


@pytest.mark.parametrize("samples", [1, 1_600, 3_200, 16_000, 31_999, 32_000])
def test_tokens_of_sound_are_told_before_it_is_read(thinker: Thinker, samples: int) -> None:
    sound = Sound(0, 1, np.full(samples, 0.1, np.float32))
    with torch.no_grad():
        assert len(thinker.block(sound)) == thinker.tokens(sound)


def test_the_published_chat_template_is_spelled_out(thinker: Thinker) -> None:
    layout = thinker.layout
    parts = [Line(PERSON, "a"), Line(PERSON, "b"), Line(AGENT, "c"), Line(PERSON, "<|im_end|>")]
    ids = [n for piece in script(parts, layout, "S") for n in piece]  # type: ignore[union-attr]
    text = layout.tokenizer.decode(ids, skip_special_tokens=False)
    assert text == (
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\na\nb\n<|im_end|>\n<|im_start|>assistant\nc\n<|im_end|>\n"
        "<|im_start|>user\n<|im_end|>\n"
    )
    assert ids.count(layout.end) == 3  # what somebody said ends no message


def test_scripts_only_grow(thinker: Thinker) -> None:
    parts = [Line(PERSON if n % 3 else AGENT, f"{n}") for n in range(20)]
    whole = script(parts, thinker.layout, "S")
    for count in range(20):
        some = script(parts[:count], thinker.layout, "S")
        # What opens a person's message at the end stays where the person goes on.
        assert whole[: len(some) - 1] == some[:-1]


Breaks = Callable[[Path], object]


def without(name: str) -> Breaks:
    return lambda folder: (folder / name).unlink()


def other_model(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | {"model_type": "llama"}))


def part_of_the_weights(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file(dict(list(weights.items())[:30]), folder / "model.safetensors", metadata={"format": "pt"})


def cut_short(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:10_000])


def file_of_an_index(folder: Path) -> None:
    index = {"metadata": {}, "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def other_tokenizer(folder: Path) -> None:
    path = folder / "tokenizer.json"
    path.write_text(path.read_text().replace("<|im_start|>", "<|begin|>"))


@pytest.mark.parametrize(
    ("breaks", "told"),
    [
        (shutil.rmtree, "no such folder; name one with a checkpoint, or fetch it"),
        (without("config.json"), "has no config.json; fetch the whole checkpoint"),
        (without("tokenizer.json"), "has no tokenizer.json; fetch the whole checkpoint"),
        (without("model.safetensors"), "has no *.safetensors; pickled weights are not read"),
        (other_model, "is of a 'llama', not of Qwen2.5-Omni"),
        (lambda folder: (folder / "config.json").write_text("{"), "is no JSON"),
        (part_of_the_weights, "weights are missing"),
        (cut_short, "cannot be loaded"),
        (file_of_an_index, "1 files are missing, model-00001-of-00002.safetensors among them"),
        (other_tokenizer, "has no token <|im_start|>"),
    ],
)
def test_a_broken_checkpoint_names_itself(checkpoint: Path, tmp_path: Path, breaks: Breaks, told: str) -> None:
    folder = Path(shutil.copytree(checkpoint, tmp_path / "broken"))
    breaks(folder)
    with pytest.raises(CheckpointError) as found:
        load(folder, dtype="float32")
    assert told in str(found.value)
    assert str(folder) in str(found.value)


def test_too_little_memory_names_the_ways_out(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import Qwen2_5OmniThinkerForConditionalGeneration

    def short(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 14.00 GiB.")

    monkeypatch.setattr(Qwen2_5OmniThinkerForConditionalGeneration, "from_pretrained", short)
    with pytest.raises(CheckpointError, match=r"not enough memory on cpu for it in float32 .*14\.00 GiB.*int4"):
        load(checkpoint, dtype="float32")


@pytest.mark.parametrize(("dtype", "told"), [("int8", "is none of bfloat16"), ("int4", "bitsandbytes")])
def test_a_precision_that_cannot_be_is_told(checkpoint: Path, dtype: str, told: str) -> None:
    with pytest.raises(CheckpointError, match=told):
        load(checkpoint, dtype=dtype)


def test_half_precision_loads_and_hears(checkpoint: Path) -> None:
    half = load(checkpoint, dtype="bfloat16", pixels=Pixels(least=56 * 56, most=56 * 84))
    with torch.no_grad():
        block = half.block(Sound(0, 1, np.full(16_000, 0.1, np.float32)))
    assert block.embeds.dtype == torch.bfloat16
    assert bool(torch.isfinite(block.embeds).all())
