"""HumanSense's training files: entries, stages, words, media, and what is told when something is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from agent.training.media import read_media
from policy.tasks import MULTI, NUMBER, SINGLE, YES_NO
from policy.training.humansense import (
    FILES,
    PATTERNS,
    STAGES,
    TrainingFileError,
    TrainingItem,
    examples,
    key,
    put,
    read,
)
from policy.training.omni_example import AUDIO, BOTH, VISION, Media
from policy.training.rewards import Accuracy, chosen
from policy.training.student import Sample
from tests.training_omni.fixture import media

SPELLED = {ours: theirs for theirs, ours in PATTERNS.items()}
OPTIONS = ["A. happy", "B. disgust", "C. surprised", "D. sad"]

Write = Callable[..., Path]


def entry(pattern: str = SINGLE, **question: Any) -> dict[str, Any]:
    given = {
        "question": "Which emotion should you show to this speaker?",
        "task_type": "Emo_Strategy",
        "question_pattern": SPELLED[pattern],
        "options": OPTIONS,
        "answer": "D",
    }
    return {"video_path": "data/videos/es_1.mp4", "questions": {**given, **question}}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a training file beside a medium that its entries name."""
    medium = tmp_path / "data" / "videos" / "es_1.mp4"
    medium.parent.mkdir(parents=True)
    medium.write_bytes(b"0")

    def make(*entries: Any, name: str = "merged_video_w_audio.json") -> Path:
        path = tmp_path / name
        path.write_text(json.dumps(list(entries)), encoding="utf-8")
        return path

    return make


def only(path: Path, **settings: Any) -> TrainingItem:
    (item,) = read(path, path.parent, **settings)
    return item


def test_an_entry_is_read(write: Write) -> None:
    item = only(write(entry()))
    assert item == TrainingItem(
        id="merged_video_w_audio.json#1",
        stage=BOTH,
        task_type="Emo_Strategy",
        media=item.media,
        question="Which emotion should you show to this speaker?",
        pattern=SINGLE,
        options=tuple(OPTIONS),
        answer="D",
    )
    assert item.media.name == "es_1.mp4"


@pytest.mark.parametrize("stage", STAGES)
def test_the_name_of_the_file_tells_the_stage(write: Write, stage: str) -> None:
    for name in FILES[stage]:
        assert only(write(entry(), name=name)).stage == stage
    assert only(write(entry(), name="own.json"), stage=stage).stage == stage


@pytest.mark.parametrize(
    ("pattern", "answer", "read_as"),
    [
        (SINGLE, "D", "D"),
        (SINGLE, "D. sad", "D"),
        (SINGLE, "d", "D"),
        (SINGLE, ["D. sad"], "D"),
        (MULTI, "B, D", "BD"),
        (MULTI, "DB", "BD"),
        (MULTI, ["B", "D"], "BD"),
        (NUMBER, "12", "12"),
        (NUMBER, 3, "3"),
        (YES_NO, "yes.", "Yes"),
        (YES_NO, "No", "No"),
    ],
)
def test_answers_as_they_are_spelled(write: Write, pattern: str, answer: Any, read_as: str) -> None:
    item = only(write(entry(pattern, answer=answer)))
    assert item.answer == read_as
    assert bool(item.options) == (pattern in (SINGLE, MULTI))


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (3, "the entry is no object"),
        ({"video_path": "data/videos/es_1.mp4"}, "questions is missing"),
        ({**entry(), "video_path": None}, "video_path is None"),
        ({**entry(), "video_path": "data/videos/gone.mp4"}, "video_path 'data/videos/gone.mp4' is no file in"),
        ({**entry(), "video_path": "../secret.mp4"}, r"video_path '../secret.mp4' leads out of"),
        (entry(question=" "), "questions.question is ' '"),
        (entry(task_type=None), "questions.task_type is None"),
        (entry(question_pattern="Essay"), "questions.question_pattern is 'Essay'; there are: Multiple"),
        (entry(options=None), "questions.options is to be a list"),
        (entry(options=["happy", "sad"]), "questions.options holds 'happy'; each begins with its letter"),
        (entry(options=["A. x", "A. y"]), "questions.options has one letter twice"),
        (entry(answer="E"), "questions.answer is 'E', expected letters of the options: A B C D"),
        (entry(answer="sad"), "questions.answer is 'sad'"),
        (entry(answer=None), "questions.answer is None"),
        (entry(NUMBER, answer="many"), "questions.answer is 'many', expected a whole number"),
        (entry(YES_NO, answer="maybe"), "questions.answer is 'maybe', expected Yes or No"),
    ],
)
def test_what_is_wrong_is_named_with_file_entry_and_field(write: Write, wrong: Any, field: str) -> None:
    path = write(entry(), wrong)
    with pytest.raises(TrainingFileError, match=field.replace(".", r"\.")) as told:
        read(path, path.parent)
    assert str(told.value).startswith(f"{path}, entry 2: ")


def test_files_that_are_none_are_told(tmp_path: Path, write: Write) -> None:
    with pytest.raises(TrainingFileError, match=r"gone\.json: cannot be read \(No such file"):
        read(tmp_path / "gone.json", tmp_path, stage=AUDIO)
    broken = tmp_path / "broken.json"
    broken.write_text("[{")
    with pytest.raises(TrainingFileError, match=r"broken\.json: is no JSON"):
        read(broken, tmp_path, stage=AUDIO)
    with pytest.raises(TrainingFileError, match="at least one"):
        read(write(), tmp_path)
    with pytest.raises(TrainingFileError, match="its name tells no stage; name one of vision, audio, both"):
        read(write(entry(), name="own.json"), tmp_path)
    with pytest.raises(TrainingFileError, match="stage is 'smell'"):
        read(write(entry()), tmp_path, stage="smell")


def test_the_words_ask_for_thoughts_and_an_answer_in_tags(write: Write) -> None:
    lines = put(only(write(entry()))).splitlines()
    assert lines[0].startswith("You are ")
    assert lines[1] == "Question: Which emotion should you show to this speaker, which one of the following is correct?"
    assert lines[2:7] == ["Options:", *OPTIONS]
    assert "<think> and </think>" in lines[7]
    assert "<answer> and </answer>" in lines[7]
    number = put(only(write(entry(NUMBER, question="How many people?", answer=2))))
    assert "Question: How many people?\n" in number
    assert "Options" not in number


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_asks_for_its_media_when_they_are_needed(write: Write, stage: str) -> None:
    wanted = list[tuple[str, bool, bool]]()

    def watched(path: Path, /, *, fps: float, most_frames: int, pictures: bool, sound: bool) -> Media:
        wanted.append((path.name, pictures, sound))
        assert (fps, most_frames) == (2.0, 768)
        return media()

    (example,) = examples(read(write(entry()), write(entry()).parent, stage=stage), watched)
    assert not wanted
    found = example.read()
    assert wanted == [("es_1.mp4", stage != AUDIO, stage != VISION)]
    assert (found.frames is not None, found.audio is not None) == (stage != AUDIO, stage != VISION)
    assert example.modality == stage


def test_media_that_cannot_be_decoded_name_their_entry(write: Write) -> None:
    path = write(entry())
    (example,) = examples(read(path, path.parent), read_media)
    with pytest.raises(
        TrainingFileError, match=r"merged_video_w_audio\.json#1: video_path .*es_1\.mp4 cannot be decod"
    ):
        example.read()


def test_the_target_earns_every_reward(write: Write) -> None:
    path = write(entry(), entry(MULTI, answer="B,D"), entry(NUMBER, answer=7), entry(YES_NO, answer="no"))
    accuracy = Accuracy(chosen(key))
    found = examples(read(path, path.parent), read_media)
    assert [example.target for example in found][:2] == [
        "<think></think><answer>D</answer>",
        "<think></think><answer>BD</answer>",
    ]
    for example in found:
        assert accuracy(example, Sample((1,), example.target, True)) == 1.0
        assert accuracy(example, Sample((1,), "<think></think><answer>?</answer>", True)) == 0.0


def clip(path: Path, seconds: int = 3) -> None:
    """A clip of 10 frames per second that grow brighter, with a tone."""
    with av.open(str(path), "w") as out:
        pictures, sound = out.add_stream("mpeg4", rate=10), out.add_stream("aac", rate=16_000)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        for n in range(10 * seconds):
            shade = np.full((48, 64, 3), 8 * n, np.uint8)
            frame = av.VideoFrame.from_ndarray(shade, format="rgb24")
            frame.pts, frame.time_base = n, Fraction(1, 10)
            out.mux(pictures.encode(frame))
        tone = np.sin(np.arange(16_000 * seconds) * 0.1).astype(np.float32)
        for begin in range(0, len(tone), 1024):
            part = av.AudioFrame.from_ndarray(tone[None, begin : begin + 1024] * 0.3, format="fltp", layout="mono")
            part.sample_rate, part.pts, part.time_base = 16_000, begin, Fraction(1, 16_000)
            out.mux(sound.encode(part))
        out.mux(pictures.encode(None))
        out.mux(sound.encode(None))


def test_a_clip_is_decoded_to_frames_and_sound(write: Write) -> None:
    path = write(entry())
    clip(path.parent / "data" / "videos" / "es_1.mp4")
    (example,) = examples(read(path, path.parent), read_media)
    found = example.read()
    assert found.frames is not None
    assert found.audio is not None
    assert found.frames.shape == (6, 3, 48, 64)
    assert found.fps == 2.0
    brightness = found.frames.reshape(6, -1).mean(1)
    assert (np.diff(brightness) > 20).all()
    assert len(found.audio) == pytest.approx(48_000, abs=3_000)
    few = read_media(path.parent / "data/videos/es_1.mp4", fps=2.0, most_frames=3, pictures=True, sound=False)
    assert few.frames is not None
    assert len(few.frames) == 3
    assert few.fps == pytest.approx(1.0, rel=0.05)
    assert few.audio is None
