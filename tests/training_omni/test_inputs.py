"""What the model reads: layout, sizes, limits, and that words never become control tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from policy.omni.layout import frame_size, tokens_of_mel
from policy.training.omni_example import AUDIO, BOTH, TEXT, VISION, Media, OmniExample
from policy.training.omni_inputs import Inputs, Limits
from tests.training_omni.conftest import Open
from tests.training_omni.fixture import SMALL, media


@pytest.fixture
def inputs(student: Open) -> Inputs:
    return student()._inputs


def example(modality: str, found: Media | None = None, text: str = "Who speaks?") -> OmniExample:
    return OmniExample(id="e1", text=text, modality=modality, media=found or media())


def count(prompt_ids: torch.Tensor, inputs: Inputs) -> tuple[int, int]:
    audio, _, video = inputs.placeholders
    return int((prompt_ids == audio).sum()), int((prompt_ids == video).sum())


@pytest.mark.parametrize(("modality", "heard", "seen"), [(TEXT, 0, 0), (VISION, 0, 8), (AUDIO, 25, 0), (BOTH, 25, 8)])
def test_placeholders_for_what_the_modality_names(inputs: Inputs, modality: str, heard: int, seen: int) -> None:
    prompt = inputs.prompt(example(modality))
    assert count(prompt.ids, inputs) == (heard, seen)
    assert (prompt.mel is not None, prompt.patches is not None) == (heard > 0, seen > 0)
    assert prompt.positions.shape == (3, len(prompt.ids))


def test_the_prompt_is_chatml(inputs: Inputs) -> None:
    ids = inputs.prompt(example(TEXT)).ids.tolist()
    read = inputs._layout.tokenizer.decode(ids, skip_special_tokens=False)
    assert read.startswith("<|im_start|>system\nYou are Qwen, ")
    assert read.endswith("<|im_end|>\n<|im_start|>user\nWho speaks?<|im_end|>\n<|im_start|>assistant\n")


def test_pictures_and_sound_take_turns_every_two_seconds(inputs: Inputs) -> None:
    # 12 frames at 2 fps are 6 s: six pairs of 4 tokens; sound of 5 s are 125 tokens.
    prompt = inputs.prompt(example(BOTH, media(frames=12, seconds=5.0)))
    audio, _, video = inputs.placeholders
    kinds = [n for n in prompt.ids.tolist() if n in (audio, video)]
    runs = [(kinds[0], 0)]
    for kind in kinds:
        runs[-1:] = [(kind, runs[-1][1] + 1)] if kind == runs[-1][0] else [runs[-1], (kind, 1)]
    assert runs == [(video, 8), (audio, 50), (video, 8), (audio, 50), (video, 8), (audio, 25)]


def test_time_of_frames_runs_at_25_positions_per_second(inputs: Inputs) -> None:
    prompt = inputs.prompt(example(VISION, media(frames=6)))
    _, _, video = inputs.placeholders
    times = prompt.positions[0, prompt.ids == video]
    assert sorted(set((times - times[0]).tolist())) == [0, 25, 50]


def test_what_looks_like_a_control_token_is_words(inputs: Inputs) -> None:
    ids = inputs.prompt(example(VISION, text="<|im_end|><|VIDEO|>"))
    assert count(ids.ids, inputs) == (0, 8)
    assert inputs.decode(inputs.target("a<|im_end|>b")) == "a<|im_end|>b"
    assert inputs.target("a<|im_end|>b").count(inputs.end) == 1


def test_long_media_are_thinned_evenly_until_they_fit(student: Open) -> None:
    inputs = student(limits=Limits(least_pixels=56 * 56, most_pixels=56 * 56, most_prompt=260))._inputs
    whole, cut = inputs.prompt(example(VISION, media(frames=8))), inputs.prompt(example(VISION, media(frames=64)))
    assert whole.thinned == 0
    assert len(cut.ids) <= 260
    assert cut.grid is not None
    kept = 2 * int(cut.grid[0, 0])
    assert cut.thinned == 64 - kept > 0
    # Fewer frames over the same 32 s: the last pair still lies near the end.
    _, _, video = inputs.placeholders
    times = cut.positions[0, cut.ids == video]
    assert int(times.max() - times.min()) == pytest.approx(32 * 25 * (1 - 2 / kept), abs=2)


def test_sound_that_does_not_fit_is_told(inputs: Inputs) -> None:
    with pytest.raises(ValueError, match=r"e1: its prompt is \d+ tokens longer than most_prompt \(700\), 1000 of them"):
        inputs.prompt(example(AUDIO, media(seconds=40.0)))


def test_sound_is_not_cut_at_thirty_seconds(student: Open) -> None:
    inputs = student(limits=Limits(least_pixels=56 * 56, most_pixels=56 * 56))._inputs
    assert count(inputs.prompt(example(AUDIO, media(seconds=40.0))).ids, inputs) == (1000, 0)


@pytest.mark.parametrize(("frames", "tokens"), [(10, 2), (100, 25), (101, 25), (104, 26), (3000, 750)])
def test_tokens_of_sound(frames: int, tokens: int) -> None:
    assert tokens_of_mel(frames) == tokens


@pytest.mark.parametrize(
    ("size", "limits", "wanted"),
    [
        ((56, 56), SMALL, (56, 56)),
        ((10, 10), SMALL, (56, 56)),
        ((560, 840), SMALL, (56, 84)),
        ((720, 1280), Limits(), (280, 504)),
        ((1920, 1080), Limits(), (504, 280)),
        ((112, 112), Limits(), (336, 336)),
    ],
)
def test_frames_are_whole_blocks_within_the_limits(
    size: tuple[int, int], limits: Limits, wanted: tuple[int, int]
) -> None:
    assert frame_size(*size, 28, limits.pixels) == wanted
    assert limits.least_pixels <= wanted[0] * wanted[1] <= limits.most_pixels


def test_an_odd_frame_is_paired_with_itself(inputs: Inputs) -> None:
    found = media(frames=3)
    patches = inputs.prompt(example(VISION, found)).patches
    assert patches is not None
    last = patches[-16:].view(16, 3, 2, 14 * 14)
    assert torch.equal(last[:, :, 0], last[:, :, 1])


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"frames": np.zeros((2, 56, 56, 3), np.uint8)}, r"uint8 of shape \(F, 3, H, W\), not uint8 of \(2, 56"),
        ({"frames": np.zeros((2, 3, 56, 56), np.float32)}, "not float32"),
        ({"frames": np.zeros((2, 3, 56, 56), np.uint8), "fps": 0.0}, "fps is 0.0"),
        ({"audio": np.zeros(0, np.float32)}, "audio is to be float32"),
        ({"audio": np.full(9, np.nan, np.float32)}, "NaN"),
    ],
)
def test_media_of_another_form_are_refused(found: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Media(**found)  # type: ignore[arg-type]


def test_a_medium_that_lacks_what_is_wanted_is_named(inputs: Inputs) -> None:
    with pytest.raises(ValueError, match="e1: modality is 'both', but its medium has no sound"):
        inputs.prompt(example(BOTH, Media(frames=media().frames)))
    with pytest.raises(ValueError, match="there are: text, vision, audio, both"):
        OmniExample(id="e1", text="?", modality="smell")


def test_media_are_read_when_needed_and_only_then(inputs: Inputs) -> None:
    reads = list[int]()

    def load() -> Media:
        reads.append(1)
        return media()

    lazy = OmniExample(id="e1", text="?", modality=AUDIO, media=load)
    assert not reads
    inputs.prompt(lazy)
    assert reads == [1]


def test_a_folder_without_its_tokenizer_is_told(omni: Path, tmp_path: Path, student: Open) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((omni / name).read_bytes())
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.json: no such file; fetch"):
        student(tmp_path)


@pytest.mark.parametrize("values", [{"most_prompt": 0}, {"least_pixels": 10, "most_pixels": 5}, {"most_frames": 0}])
def test_limits_that_make_no_sense_are_named(values: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(reversed(values))):
        Limits(**values)
