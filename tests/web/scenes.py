"""Moments of a call as the server tells them, for the page to show."""

from __future__ import annotations

from typing import Any

from tests.web.fake_server import FakeServer


def percept(server: FakeServer, kind: str, label: str, confidence: float = 0.8, **data: Any) -> None:
    """Tell one percept."""
    worker = {"expression": "face", "gaze": "face", "prosody": "prosody", "transcript": "asr", "partial": "asr"}
    server.tell(
        "percept",
        at=1.0,
        kind=kind,
        label=label,
        start=0.5,
        end=1.0,
        confidence=confidence,
        worker=worker.get(kind, kind),
        data=data,
    )


def metrics(server: FakeServer, reply: int, **values: float) -> None:
    """Tell the stages of a reply, in seconds."""
    for name, value in values.items():
        server.tell("metric", at=1.0, name=name, value=value, reply=reply)


def state(server: FakeServer, mood: str) -> None:
    """Tell what the agent is doing."""
    server.tell("note", at=1.0, event="state", level="info", state=mood)


def introduce(server: FakeServer) -> None:
    """Tell what the agent is made of."""
    agent = {"policy": "compact", "voice": "hibari", "workers": ["vad", "asr", "prosody", "face", "gesture", "scene"]}
    fields: dict[str, Any] = {"call": "c1", "consent": True, "senses": None, "microphone": True, "camera": True}
    server.tell("state", **fields, push_to_talk=False, agent=agent)


def distress(server: FakeServer) -> None:
    """The person cries and says why; the agent stays with it."""
    percept(server, "face", "present", 0.97, count=1, yaw=2.0, pitch=-4.0, roll=1.0)
    for label, sure in [("neutral", 0.5), ("uncertain", 0.35), ("sad", 0.6), ("sad", 0.78)]:
        percept(server, "expression", label, sure, valence=-0.5)
    percept(server, "gaze", "away", 0.7)
    percept(server, "prosody", "trembling", 0.74)
    words = "I lost my dog yesterday, and I don't know what to do with myself."
    server.tell("caption", speaker="user", text="I lost my dog yesterday", final=False, reply=0, cut=False)
    server.tell("caption", speaker="user", text=words, final=True, reply=0, cut=False)
    percept(server, "transcript", words, 0.93, utterance=1)
    evidence = [
        {"kind": "transcript", "label": words, "t": 6.1, "confidence": 0.93, "worker": "asr"},
        {"kind": "expression", "label": "sad", "t": 6.0, "confidence": 0.78, "worker": "face"},
        {"kind": "prosody", "label": "trembling", "t": 6.0, "confidence": 0.74, "worker": "prosody"},
    ]
    server.tell(
        "decision",
        at=6.4,
        cue="end_of_turn",
        reply=1,
        action="speak",
        strategy="reflection",
        emotion="concern",
        reason="They speak of a loss, the voice trembles and the face is sad: "
        "stay with the feeling before anything else.",
        confidence=0.86,
        evidence=evidence,
        text="That sounds really painful.",
        tone="soft",
    )
    said = "That sounds really painful. Losing someone who was with you every day leaves a big silence."
    server.tell("caption", speaker="agent", text=said, final=False, reply=1, cut=False)
    server.tell("display", emotion="concern", gesture="lean_in", intensity=0.8, reply=1)
    metrics(server, 1, end_of_turn=0.262, words=0.15, decide=0.094, voice=0.181, voice_to_voice=0.664)
    server.tell("metric", at=1.0, name="partial_lag", value=0.42, reply=0)
    state(server, "speaking")


def joy(server: FakeServer) -> None:
    """The person laughs."""
    for sure in (0.7, 0.86, 0.93):
        percept(server, "expression", "happy", sure, valence=0.8)
    percept(server, "gaze", "towards", 0.88)
    percept(server, "prosody", "rising", 0.69)
    percept(server, "gesture", "thumb_up", 0.68)
    server.tell("caption", speaker="agent", text="Losing someone who was", final=True, reply=1, cut=True)
    words = "But then she came back this morning!"
    server.tell("caption", speaker="user", text=words, final=True, reply=0, cut=False)
    server.tell(
        "decision",
        at=12.0,
        cue="end_of_turn",
        reply=2,
        action="speak",
        strategy="affirmation",
        emotion="happy",
        reason="Good news, said with a smile: be glad with them.",
        confidence=0.91,
        evidence=[{"kind": "expression", "label": "happy", "t": 11.9, "confidence": 0.93, "worker": "face"}],
        text="Oh, that is wonderful!",
        tone="lively",
    )
    server.tell(
        "caption",
        speaker="agent",
        text="Oh, that is wonderful! You must be so relieved.",
        final=True,
        reply=2,
        cut=False,
    )
    server.tell("display", emotion="happy", gesture="nod", intensity=0.9, reply=2)
    metrics(server, 2, end_of_turn=0.25, words=0.06, decide=0.071, voice=0.166, voice_to_voice=0.55)
    state(server, "speaking")


def look(server: FakeServer, label: str, confidence: float) -> None:
    """The face, once more: what it shows, where it looks, that it is there."""
    percept(server, "expression", label, confidence)
    percept(server, "gaze", "towards", 0.82)
    percept(server, "face", "present", 0.97, count=1)
