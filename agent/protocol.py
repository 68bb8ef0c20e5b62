"""Every message between client and server as a schema: docs/protocol.schema.json is made from here.

What a client says is checked by the models of :mod:`agent.wire`. What it is told is made there, too, without a model;
the models here say what it looks like, and a test holds every message that is made against them.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from agent import frames, wire


class Told(BaseModel):
    """What a client is told; a field that it does not know is of a later version."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Percept(Told):
    """Something was perceived; times in seconds of the call."""

    t: Literal["percept"] = "percept"
    at: float
    kind: str
    label: str
    start: float
    end: float
    confidence: float
    worker: str
    data: dict[str, Any] = {}


class Evidence(Told):
    """A percept that a decision rests on."""

    kind: str
    label: str
    t: float
    confidence: float
    worker: str


class Decision(Told):
    """What the agent chose to do, and why."""

    t: Literal["decision"] = "decision"
    at: float
    cue: str
    reply: int
    action: str
    strategy: str | None = None
    emotion: str | None = None
    reason: str
    confidence: float
    evidence: list[Evidence] = []
    mind: str | None = None
    text: str | None = None
    tone: str | None = None
    token: str | None = None
    gesture: str | None = None
    intensity: float | None = None


class Thought(Told):
    """What a reasoning model wrote before it decided; never spoken."""

    t: Literal["thought"] = "thought"
    at: float
    reply: int
    text: str
    mind: str | None = None


class Turn(Told):
    """What one side said; of a cut turn of the agent, the words that were heard."""

    t: Literal["turn"] = "turn"
    at: float
    speaker: str
    text: str
    start: float
    end: float
    cut: bool


class Metric(Told):
    """A measured number, in seconds unless its name says otherwise."""

    t: Literal["metric"] = "metric"
    at: float
    name: str
    value: float
    reply: int


class Note(Told):
    """Something worth knowing, with fields of its own."""

    model_config = ConfigDict(frozen=True, extra="allow")

    t: Literal["note"] = "note"
    at: float
    event: str
    level: str


class Caption(Told):
    """Words on the screen; one that is not final is replaced by the next of the same speaker."""

    t: Literal["caption"] = "caption"
    speaker: Literal["user", "agent"]
    text: str
    final: bool
    reply: int
    cut: bool


class Line(Told):
    """A caption of before."""

    speaker: Literal["user", "agent"]
    text: str
    final: bool
    reply: int
    cut: bool


class Captions(Told):
    """All that was said, for a client that comes back into a call: it takes the place of what is shown."""

    t: Literal["captions"] = "captions"
    lines: list[Line]


class Display(Told):
    """The agent's face or body."""

    t: Literal["display"] = "display"
    emotion: str
    gesture: str
    intensity: float
    reply: int


class Contact(Told):
    """Who can help."""

    name: str
    number: str = ""
    text: str = ""
    url: str = ""
    hours: str = ""
    note: str = ""


class Resource(Told):
    """Who can help in a danger; shown until the person puts it away."""

    t: Literal["resource"] = "resource"
    kind: str
    country: str
    contacts: list[Contact]
    reviewed: date
    reply: int
    emergency: dict[str, str] = {}


class Link(Told):
    """What the server hears of the client; ``moved``: the call goes on over another connection, for good."""

    t: Literal["link"] = "link"
    state: Literal["live", "degraded", "lost", "closed", "moved"]
    silent_s: float = 0.0


class Voice(Told):
    """What becomes of the agent's sound; ``cut``: what is unplayed of the reply is not to be played any more."""

    t: Literal["voice"] = "voice"
    state: Literal["started", "stopped", "held", "resumed"]
    reply: int
    cut: bool = False


class State(Told):
    """The call as its client should show it; ``senses`` of ``None`` are all."""

    t: Literal["state"] = "state"
    call: str
    consent: bool
    senses: list[str] | None = None
    microphone: bool
    camera: bool
    push_to_talk: bool
    agent: dict[str, Any] = {}


class LinkTimes(Told):
    """Seconds without a sign of life."""

    degraded_s: float
    lost_s: float
    kept_s: float


class Limits(Told):
    """What a client may send."""

    message_bytes: int
    frame_bytes: int
    sound_ms: int
    picture_pixels: int
    rates_hz: list[int]


class Hello(Told):
    """The first message over a WebSocket, inside ``signalling``."""

    type: Literal["hello"] = "hello"
    version: str
    call: str
    resume: str
    link: LinkTimes
    sound: Literal["pcm16", "opus", "none"]
    rate_hz: int
    limits: Limits


class Problem(Told):
    """``data`` of an ``error-response``: a message or a frame was not taken; ``name`` is of a frame's error."""

    error: str
    name: str = ""


Payload = Annotated[
    Percept
    | Decision
    | Thought
    | Turn
    | Metric
    | Note
    | Caption
    | Captions
    | Display
    | Resource
    | Link
    | Voice
    | State,
    Field(discriminator="t"),
]
"""``data`` of a ``server-message``, beside its ``v``."""

TOLD: Final[tuple[type[BaseModel], ...]] = (
    *(Percept, Decision, Thought, Turn, Metric, Note, Caption, Captions, Display, Resource, Link, Voice, State),
    *(Hello, Problem),
)
SAID: Final[tuple[type[BaseModel], ...]] = (
    *(wire.Consent, wire.Senses, wire.PushToTalk, wire.Stop, wire.Echo),
    *(wire.ClientReady, wire.SendText, wire.TrackStatus),
)


def schema() -> dict[str, Any]:
    """Return the schema of the whole protocol as JSON Schema (2020-12), with the layout of binary frames."""
    _, told = models_json_schema([(model, "validation") for model in TOLD], ref_template="#/$defs/{model}")
    _, said = models_json_schema([(model, "validation") for model in SAID], ref_template="#/$defs/{model}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Rapport, messages over a WebSocket or a data channel",
        "version": frames.SUBPROTOCOLS[0],
        "payload_version": wire.VERSION,
        "rtvi_version": wire.RTVI_VERSION,
        "told": [model.__name__ for model in TOLD],
        "said": [model.__name__ for model in SAID],
        "frame": {
            "byte_order": "little",
            "version": frames.VERSION,
            "header_bytes": frames.HEADER.size,
            "fields": [
                {"name": name, "offset": offset, "bytes": size}
                for name, offset, size in (
                    *(("version", 0, 1), ("kind", 1, 1), ("detail", 2, 1), ("flags", 3, 1)),
                    *(("reply", 4, 4), ("time_us", 8, 8)),
                )
            ],
            "kinds": {kind.name.lower(): kind.value for kind in frames.Kind},
            "rates_hz": list(frames.RATES_HZ),
            "sources": list(frames.SOURCES),
            "most": {
                "bytes": frames.MOST_BYTES,
                "sound_ms": frames.MOST_SOUND_MS,
                "opus_bytes": frames.MOST_OPUS_BYTES,
                "side": frames.MOST_SIDE,
                "pixels": frames.MOST_PIXELS,
            },
        },
        "$defs": dict(sorted((said["$defs"] | told["$defs"]).items())),
    }
