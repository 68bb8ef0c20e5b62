from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from perception.media import VideoFrame
from perception.timebase import MS, SECOND
from policy.api_messages import Scribe, jpeg, json_bytes, size, wav, weigh
from policy.prompt import AGENT, PERSON, Line
from policy.reel import Part, Sight, Sound


def sight(level: int, height: int = 90, width: int = 160) -> Sight:
    return Sight(VideoFrame(np.full((height, width, 3), (level, 0, 0), np.uint8), level * MS))


def sound(length_s: float, level: float = 0.5) -> Sound:
    samples = np.full(round(16_000 * length_s), level, np.float32)
    return Sound(0, round(length_s * SECOND), samples)


def messages(scribe: Scribe, *parts: Part, closing: str = "", known: frozenset[str] = frozenset()) -> Any:
    return json.loads(scribe.write(parts, closing, known).messages)


def test_sides_take_turns_and_parts_keep_their_order() -> None:
    scribe = Scribe("Be kind.", 360)
    found = messages(
        scribe,
        Line(AGENT, "Hello."),
        Line(AGENT, "I am an AI."),
        Line(PERSON, "[0:01.0] face: sad (0.80)"),
        sound(0.5),
        sight(200),
        Line(PERSON, '[0:02.0] says: "Hm."'),
        Line(AGENT, "Go on."),
        closing="Decide.",
    )
    assert [message["role"] for message in found] == ["system", "assistant", "user", "assistant", "user"]
    assert [found[i]["content"] for i in (0, 1, 3)] == ["Be kind.", "Hello.\nI am an AI.", "Go on."]
    assert [part["type"] for part in found[2]["content"]] == ["text", "input_audio", "image_url", "text"]
    assert found[2]["content"][0]["text"] == "[0:01.0] face: sad (0.80)\n"
    assert found[4]["content"] == [{"type": "text", "text": "Decide."}]


def test_what_was_written_once_stays_as_it_was() -> None:
    scribe = Scribe("Be kind.", 360)
    first: list[Part] = [Line(PERSON, "a"), sound(0.3), sight(10)]
    early = scribe.write(first, "Decide now, please.").messages
    late = scribe.write([*first, Line(PERSON, "b"), sight(20), Line(AGENT, "c")], "Decide.").messages
    until = early.index(b',{"type":"text","text":"Decide now, please."}')
    assert late.startswith(early[:until])
    assert until > len(early) - 60


def test_nothing_is_encoded_twice_and_what_has_left_is_forgotten() -> None:
    scribe = Scribe("s", 360)
    picture, noise = sight(10), sound(0.2)
    before = scribe.write([picture, noise])
    # Its pixels change under its hands: had it encoded them anew, the bytes would differ.
    picture.frame.pixels.flags.writeable = True
    picture.frame.pixels[:] = 255
    assert scribe.write([picture, noise]).messages == before.messages
    assert scribe.kept == 2
    scribe.write([noise])
    assert scribe.kept == 1
    assert scribe.write([picture, noise]).messages != before.messages


def test_names_are_of_the_content() -> None:
    one, two = Scribe("s", 360), Scribe("s", 360)
    assert one.write([sight(10), sound(0.2)]).media == two.write([sight(10), sound(0.2)]).media
    assert not one.write([sight(10)]).media & two.write([sight(60)]).media
    assert not one.write([sound(0.2)]).media & two.write([sound(0.2, 0.25)]).media


def test_what_the_server_knows_goes_by_name_alone() -> None:
    scribe = Scribe("s", 360)
    parts: list[Part] = [sight(10), sound(0.2)]
    names = scribe.write(parts).media
    found = messages(scribe, *parts, sight(99), known=names)
    content = found[1]["content"]
    assert [part[part["type"]] is None for part in content] == [True, True, False]
    assert {part["uuid"] for part in content[:2]} == names
    assert scribe.write([*parts, sight(99)], known=names).spared == 2
    assert scribe.write(parts).spared == 0


def test_sound_and_pictures_are_what_they_were() -> None:
    samples = np.array([0.0, 0.5, -0.5, 2.0, -2.0], np.float32)
    data = wav(samples)
    assert (data[:4], data[8:12]) == (b"RIFF", b"WAVE")
    assert np.frombuffer(data[-10:], "<i2").tolist() == [0, 16383, -16383, 32767, -32767]
    content = messages(Scribe("s", 360), sound(0.1))[1]["content"][0]
    assert base64.b64decode(content["input_audio"]["data"]) == wav(np.full(1600, 0.5, np.float32))
    assert content["input_audio"]["format"] == "wav"
    assert jpeg(np.zeros((720, 1280, 3), np.uint8), 360)[:2] == b"\xff\xd8"


@pytest.mark.parametrize(
    ("shape", "most", "sent", "tokens"),
    [
        ((360, 640), 360, (360, 640), 13 * 23 + 2),
        ((720, 1280), 360, (360, 640), 13 * 23 + 2),
        ((480, 640), 360, (360, 480), 13 * 17 + 2),
        ((200, 100), 360, (200, 100), 7 * 4 + 2),
        ((9000, 3), 360, (360, 1), 13 + 2),
    ],
)
def test_a_picture_weighs_what_the_model_reads(
    shape: tuple[int, int], most: int, sent: tuple[int, int], tokens: int
) -> None:
    assert size(*shape, most) == sent
    assert weigh(most)(sight(0, *shape)) == tokens


def test_sound_weighs_25_tokens_a_second() -> None:
    assert weigh(360)(sound(2.0)) == 52
    assert weigh(360)(sound(0.21)) == 2 + 6
    assert weigh(360)(Line(PERSON, "x" * 40)) == 16


def test_any_text_can_be_sent() -> None:
    odd = 'a"b\\c\nd\u2028e\ud800f😀'
    assert json.loads(json_bytes({"t": odd}))["t"] == odd.replace("\ud800", "?")
