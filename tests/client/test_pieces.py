"""The parts of the Python client that need no server, and what it shares with the server."""

from __future__ import annotations

import array
import asyncio
import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rapport_client
from rapport_client import FrameError, Metric, Rapport, Sound, State
from rapport_client import events as client_events
from rapport_client import frames as client_frames
from rapport_client.mailbox import Mailbox
from rapport_client.outgoing import Outgoing
from rapport_client.sound import pcm16
from rapport_client.speaker import Speaker

from agent import frames as server_frames
from agent import protocol, wire
from tools import protocol as files

CLIENT = Path(__file__).parents[2] / "clients" / "python"


def test_client_and_server_have_one_schema() -> None:
    ours = {model.__name__: model.model_json_schema() for model in protocol.TOLD}
    theirs = {model.__name__: model.model_json_schema() for model in client_events.TOLD}
    assert theirs == ours


def test_client_and_server_have_one_layout_of_frames() -> None:
    for name in ("VERSION", "RATES_HZ", "SOURCES"):
        assert getattr(client_frames, name) == getattr(server_frames, name)
    for name in ("HEADER", "SIZE"):
        assert getattr(client_frames, name).format == getattr(server_frames, name).format
    assert {k.name: k.value for k in client_frames.Kind} == {k.name: k.value for k in server_frames.Kind}
    assert client_frames.SUBPROTOCOL in server_frames.SUBPROTOCOLS
    for vector in json.loads(files.VECTORS.read_text(encoding="utf-8"))["good"]:
        frame = client_frames.unpack(bytes.fromhex(vector["hex"]))
        assert (frame.kind.name.lower(), frame.detail, frame.reply) == (
            vector["kind"],
            vector["detail"],
            vector["reply"],
        )
        assert client_frames.pack(frame).hex() == vector["hex"]


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x02" + bytes(20), b"\x01\x09" + bytes(20)])
def test_a_frame_that_is_none_is_an_error(data: bytes) -> None:
    with pytest.raises(FrameError):
        client_frames.unpack(data)


def test_the_files_of_the_protocol_are_made_from_the_code() -> None:
    for path, text in files.texts().items():
        assert Path(path).read_text(encoding="utf-8") == text, f"run tools/protocol.py: {path} is stale"


def test_what_the_server_says_is_what_the_client_reads() -> None:
    for message in samples():
        found = client_events.parse(message.text())
        assert found is not None, message
        if message.type == "server-message":
            assert message.data is not None
            model = protocol.__dict__[type(found).__name__]
            strict = json.loads(message.text())["data"]
            assert set(strict) - {"v"} <= set(model.model_fields) or model is protocol.Note


def samples() -> list[wire.Outbound]:
    """One message of each kind, made by the server's own code."""
    from agent.action import Caption, Display, Resource
    from agent.journal import Body, Decided, Event, Note, Pondered
    from agent.journal import Metric as MetricBody
    from perception.context import Turn
    from perception.percept import Percept
    from policy.decision import Backchannel, Decision, Express, Speak, Thought, Wait
    from policy.safety import helplines

    percept = Percept("expression", "sad", 10, 2_000_000, 0.8, "face", {"p": 0.8, "all": (0.1, 0.2), "word": "x"})
    decisions: list[Decision] = [
        Speak(text="I am sorry.", strategy="comfort", emotion="sad", tone="soft", reason="r", evidence=(percept,)),
        Backchannel(token="mm-hm", reason="r", mind="compact"),
        Express(emotion="warm", gesture="nod", intensity=0.4, reason="r"),
        Wait(reason="r"),
    ]
    bodies: list[Body] = [
        percept,
        Turn("agent", "Oh", 0, 5, cut=True),
        Pondered(Thought(text="hm", mind="omni"), 2),
        MetricBody("voice", 0.1, 1),
        Note("closing", data={"seconds": 9}),
        *(Decided(d, 3, "end_of_turn") for d in decisions),
    ]
    found = [m for body in bodies for m in wire.event(Event(1_500_000_000, body))]
    found += wire.Captions().messages(Caption("agent", "Hello", final=True, reply=1))
    contacts = helplines.country("GB").contacts[:1]
    found.append(wire.display(Resource("self_harm", "GB", contacts, helplines.reviewed())))
    found.append(wire.display(Display("warm", "nod", 0.5, 2)))
    found += [wire.ours("link", state="degraded", silent_s=2.1), wire.ours("link", state="moved")]
    found += [wire.ours("voice", state="stopped", reply=4, cut=True), wire.error_response("7", "no")]
    found += [wire.fatal("over"), wire.response(wire.Stop(id="3"))]
    more: dict[str, Any] = {"consent": True, "microphone": True, "camera": False, "push_to_talk": False}
    found += [wire.state(call="c", senses=s, agent={"workers": ["vad"]}, **more) for s in (None, {"vad"})]
    return [m for m in found if m.type in ("server-message", "error-response", "error", "server-response")]


def test_what_is_not_known_is_passed_over() -> None:
    for text in (
        "",
        "[]",
        "{}",
        '{"type": "server-message", "data": {"t": "dance"}}',
        '{"type": "bot-output", "data": 3}',
    ):
        assert client_events.parse(text) is None
    note = client_events.parse(
        '{"type":"server-message","data":{"v":1,"t":"note","at":1,"event":"x","level":"info","k":2}}'
    )
    assert isinstance(note, rapport_client.Note)
    assert note.model_extra == {"v": 1, "k": 2}


def speaker(**options: Any) -> Speaker:
    return Speaker(16_000, **options)


def piece(value: int, count: int = 320) -> bytes:
    return array.array("h", [value] * count).tobytes()


def heard(data: bytes) -> list[int]:
    return list(array.array("h", data))


def test_the_speaker_gathers_a_little_first() -> None:
    s = speaker(ahead_s=0.04)
    s.write(piece(5), 1)
    assert heard(s.read(160)) == [0] * 160
    s.write(piece(6), 1)
    assert heard(s.read(480)) == [5] * 320 + [6] * 160
    assert heard(s.read(320)) == [6] * 160 + [0] * 160
    assert s.underruns == 1
    s.write(piece(7, 10), 1)
    assert heard(s.read(10)) == [0] * 10
    s.end()
    assert heard(s.read(10)) == [7] * 10


def test_the_speaker_pauses_goes_on_and_forgets_what_was_cut_off() -> None:
    s = speaker(ahead_s=0.0)
    s.write(piece(100), 1)
    s.read(100)
    s.hold(1)
    assert heard(s.read(50)) == [0] * 50
    s.go_on()
    assert heard(s.read(20)) == [100] * 20
    assert s.playing
    s.drop(1)
    fading = heard(s.read(320))
    assert fading[0] == 100
    assert fading[:80] == sorted(fading[:80], reverse=True)
    assert fading[80:] == [0] * 240
    assert not s.write(piece(100), 1), "what still comes of it is not played"
    s.write(piece(9), 2)
    assert 9 in heard(s.read(320))
    s.clear()
    assert not s.playing


def test_a_speaker_that_nobody_reads_stays_small() -> None:
    s = speaker()
    for _ in range(1000):
        s.write(piece(1), 1)
    assert s.queued_s <= 5.0
    assert s.dropped_s == pytest.approx(15.0)
    assert not s.playing


def test_sound_is_taken_as_it_comes() -> None:
    want = array.array("h", [0, 16383, -32767, 32767])
    floats = [0.0, 0.5, -1.5, 1.0]
    for sound in (
        want.tobytes(),
        bytearray(want.tobytes()),
        want,
        np.array(want, np.int16),
        np.array(want, np.int16)[:, None],
        np.array(floats, np.float32),
        np.array(floats),
        array.array("f", floats),
        memoryview(want.tobytes()),
    ):
        assert pcm16(sound) == want.tobytes()
    assert Sound(want.tobytes(), 16_000, 1).numpy().tolist() == want.tolist()
    bad: list[Any] = [b"odd", "text", 5, np.zeros((2, 2), np.int16), np.zeros(4, np.int32)]
    for sound in bad:
        with pytest.raises(ValueError, match="s"):
            pcm16(sound)


def test_times_are_counted_in_samples_and_a_pause_is_a_gap() -> None:
    async def main() -> None:
        out = Outgoing()
        for n in range(3):
            out.offer(piece(n, 200), 16_000)
        out._began -= 2.0
        out.offer(piece(9, 400), 16_000)
        waiting = [client_frames.unpack(m) for m in out._sound]
        times = [f.time_us for f in waiting]
        assert [len(f.payload) for f in waiting] == [640] * 3
        assert times[1] - times[0] == pytest.approx(1_960_000, abs=100_000)
        assert times[2] - times[1] == 20_000

    asyncio.run(main())


def test_what_cannot_be_sent_stays_small() -> None:
    async def main() -> None:
        out = Outgoing()
        for n in range(300):
            out.offer(piece(n), 16_000)
            out.picture(client_frames.Kind.JPEG, 0, bytes(10_000))
            out.text("x")
        assert len(out._sound) == 100
        assert out.dropped_s == pytest.approx(4.0, abs=0.1)
        assert out.skipped == 299
        first = [await anext(out.messages()) for _ in range(66)]
        assert first[:64] == ["x"] * 64, "words go first"
        times = [client_frames.unpack(m).time_us for m in first[64:] if isinstance(m, bytes)]
        assert times == sorted(times)

    asyncio.run(main())


def test_events_that_may_be_missed_give_way() -> None:
    box = Mailbox(3)
    state = State(call="c", consent=True, microphone=True, camera=True, push_to_talk=False)
    box.put(state)
    for n in range(5):
        box.put(Metric(at=0, name="x", value=n, reply=0))
    box.put(Sound(b"", 16_000, 4))
    assert box.missed == 4
    box.forget_sound(4)
    box.close()

    async def rest() -> list[Any]:
        found = []
        while (event := await box.get()) is not None:
            found.append(event)
        return found

    assert [type(e) for e in asyncio.run(rest())] == [State, Metric]


@pytest.mark.parametrize(
    ("url", "options", "why"),
    [
        ("localhost:8080", {}, "no address"),
        ("ftp://x", {}, "no address"),
        ("http://x", {"sound_hz": 44_100}, "sound_hz"),
        ("http://x", {"duplex": "both"}, "duplex"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(url: str, options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Rapport.connect(url, **options)


def test_it_needs_little() -> None:
    project = tomllib.loads((CLIENT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {d.split(">")[0] for d in project["dependencies"]}
    assert names <= {"websockets", "numpy", "pydantic"}
    assert project["version"] == rapport_client.__version__
    sources = "".join(p.read_text(encoding="utf-8") for p in (CLIENT / "src").rglob("*.py"))
    assert "from agent" not in sources
    assert "import agent" not in sources
