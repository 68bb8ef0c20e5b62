"""What a call tells: typed, frozen, and the same as the server's own schema."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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


TOLD: Final[tuple[type[BaseModel], ...]] = (
    *(Percept, Decision, Thought, Turn, Metric, Note, Caption, Captions, Display, Resource, Link, Voice, State),
    *(Hello, Problem),
)
"""Every model that the server's schema has, too."""

_PAYLOAD: Final[TypeAdapter[Any]] = TypeAdapter(
    Annotated[
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
)


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of the agent's voice.

    Attributes:
        pcm: 16-bit little-endian mono.
        rate_hz: samples per second.
        reply: number of the reply it belongs to.
    """

    pcm: bytes
    rate_hz: int
    reply: int

    def numpy(self) -> NDArray[np.int16]:
        """Return the samples, int16 of shape ``(n,)``; needs NumPy."""
        import numpy as np

        return np.frombuffer(self.pcm, "<i2").astype(np.int16, copy=False)


@dataclass(frozen=True, slots=True)
class Perceived:
    """Whether people are perceived now; see :meth:`rapport_client.Call.announce_affect`.

    Attributes:
        senses: that take in something now.
        affect: whether what people feel is read from their face or voice.
    """

    senses: frozenset[str] = frozenset()
    affect: bool = False

    def __bool__(self) -> bool:
        return bool(self.senses)


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is lost; it is being sought again for ``kept_s`` seconds."""

    kept_s: float


@dataclass(frozen=True, slots=True)
class Back:
    """The call goes on."""

    after_s: float


Event = (
    Sound
    | Percept
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
    | State
    | Problem
    | Lost
    | Back
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server answered to something it was asked: by ``id``, with an ``error`` or without."""

    id: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Fatal:
    """The server ends the call."""

    reason: str


def parse(text: str) -> Event | Hello | Answer | Fatal | None:
    """Return what a text message says; ``None`` for one that this version does not know."""
    try:
        body = json.loads(text)
    except ValueError:
        return None
    if not isinstance(body, dict):
        return None
    data = body.get("data")
    data = data if isinstance(data, dict) else {}
    found = body.get("id")
    id = found if isinstance(found, str) else ""
    try:
        match body.get("type"):
            case "server-message":
                payload: Event = _PAYLOAD.validate_python(data)
                return payload
            case "signalling":
                message = body.get("message")
                hello = isinstance(message, dict) and message.get("type") == "hello"
                return Hello.model_validate(message) if hello else None
            case "server-response" | "bot-ready":
                return Answer(id)
            case "error-response":
                problem = Problem.model_validate(data)
                return Answer(id, problem.error) if id else problem
            case "error":
                return Fatal(str(data.get("message") or data.get("error") or "the server ends the call"))
    except ValidationError:
        return None
    return None
