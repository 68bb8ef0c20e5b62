"""The words of the data channel: RTVI 2.1, and our own payloads inside it.

Every message is one JSON object ``{label: "rtvi-ai", type, id?, data?}``, except the transport's own
``{type: "signalling", message}`` and the bare text ``ping: <ms>``. What RTVI has no word for travels in
its ``server-message``, whose ``data`` is ``{v: 1, t, ...}`` with ``t`` one of

==============  ==================================================================================
``percept``     ``at kind label start end confidence worker data`` (times in seconds of the call)
``decision``    ``at cue reply action strategy emotion reason confidence evidence`` and the text, tone,
                token, gesture or intensity of its kind; ``mind`` where several stand behind one another
``thought``     ``at reply text`` and ``mind`` likewise: what a reasoning model wrote before it decided
``turn``        ``at speaker text start end cut``
``metric``      ``at name value reply``
``note``        ``at event level`` and its own fields
``caption``     ``speaker text final reply cut``
``captions``    ``lines``, each as a caption: all that was said, told once more to a client that comes back into a call
``display``     ``emotion gesture intensity reply``
``resource``    ``kind country contacts reviewed reply``: who can help in a danger; ``emergency``: numbers by country,
                where the server does not know in which one it is
``link``        ``state`` (``live degraded lost closed``: what the server hears of the client, or ``moved``: the call
                goes on over another connection, for good) and ``silent_s``
``voice``       ``state`` (``started stopped held resumed``) and ``reply``: what leaves the server now; ``cut`` where
                what is not yet played of the reply is not to be played any more
``state``       ``call consent senses microphone camera push_to_talk`` and ``agent`` (its parts by name)
==============  ==================================================================================

A client says, as RTVI ``client-message`` with ``{t, d}``: ``consent {senses, version, locale?, recording?}``,
``senses {senses?, recording?}``, ``push-to-talk {enabled?, held}``, ``stop``, ``ping``. Each is answered by a
``server-response`` of the same id; whatever is not understood by an ``error-response`` with the reason. A client
sends something every second, or its link counts as degraded.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from agent.action import Caption, Display, Resource
from agent.clock import timestamp
from agent.journal import Event, Note, as_json
from agent.nesting import deeper
from policy.safety import helplines

RTVI_VERSION: Final = "2.1.0"
VERSION: Final = 1
"""Of our own payloads; a client ignores what it does not know."""

MAX_BYTES: Final = 16 * 1024
MAX_DEPTH: Final = 16
_LABEL: Final = "rtvi-ai"


class WireError(ValueError):
    """A message that cannot be understood.

    Attributes:
        id: of the message, as far as it could be read; the answer carries it.
    """

    def __init__(self, reason: str, id: str = "") -> None:
        super().__init__(reason)
        self.id = id


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


Sense = Annotated[str, Field(min_length=1, max_length=64)]
Id = Annotated[str, Field(max_length=128)]


class Ping(_Model):
    """A sign of life; answered by nothing."""


class TrackStatus(_Model):
    """The person muted or unmuted microphone (0), camera (1) or screen (2)."""

    receiver_index: int = Field(ge=0, le=2)
    enabled: bool


class ClientReady(_Model):
    """The client awaits ``bot-ready`` with the same id."""

    id: Id
    version: str = "2.1.0"

    @property
    def major(self) -> int:
        """Major version of the client's RTVI, 0 if it is no version."""
        head = self.version.split(".")[0]
        return int(head) if head.isascii() and head.isdigit() and len(head) < 4 else 0


class Disconnect(_Model):
    """The person hangs up."""


class SendText(_Model):
    """Typed words."""

    content: str = Field(min_length=1, max_length=4000)


class Consent(_Model):
    """What the person allows to be perceived; before it nothing is.

    ``version`` is that of the text that was shown, ``locale`` its language (BCP 47), and ``recording`` whether the
    words may be kept in writing.
    """

    t: Literal["consent"] = "consent"
    id: Id = ""
    senses: frozenset[Sense] = Field(max_length=64)
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | Annotated[int, Field(ge=0, lt=10**9)]
    locale: str = Field(default="", pattern=r"^([A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3})?$")
    recording: bool = False


class Senses(_Model):
    """A change of mind in mid-call; of ``senses`` or ``recording`` none where they are left out."""

    t: Literal["senses"] = "senses"
    id: Id = ""
    senses: Annotated[frozenset[Sense], Field(max_length=64)] | None = None
    recording: bool | None = None


class PushToTalk(_Model):
    """Push-to-talk is on (or off again), and its button is down (or up)."""

    t: Literal["push-to-talk"] = "push-to-talk"
    id: Id = ""
    enabled: bool = True
    held: bool = False


class Stop(_Model):
    """Be quiet now."""

    t: Literal["stop"] = "stop"
    id: Id = ""


class Echo(_Model):
    """Answered at once, so that a client can measure the way."""

    t: Literal["ping"] = "ping"
    id: Id = ""


Wish = Consent | Senses | PushToTalk | Stop | Echo
Inbound = Ping | TrackStatus | ClientReady | Disconnect | SendText | Wish

_WISH: TypeAdapter[Wish] = TypeAdapter(Annotated[Wish, Field(discriminator="t")])
_WISHES: Final = ("consent", "senses", "push-to-talk", "stop", "ping")


def parse(raw: str | bytes) -> Inbound:
    """Return what a message of the client says.

    Raises:
        WireError: it is too big, too deep, no JSON, or says nothing that is known.
    """
    size = len(raw) if isinstance(raw, bytes) else len(raw.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise WireError(f"the message has {size} bytes, at most {MAX_BYTES} are taken")
    try:
        text = raw.decode() if isinstance(raw, bytes) else raw
    except UnicodeDecodeError:
        raise WireError("the message is not UTF-8") from None
    if text.startswith("ping"):
        return Ping()
    if deeper(text, MAX_DEPTH):
        raise WireError(f"the message is nested deeper than {MAX_DEPTH}")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise WireError("the message is not JSON") from None
    if not isinstance(body, dict):
        raise WireError("the message is not a JSON object")
    found = body.get("id", "")
    id = found if isinstance(found, str) else ""
    try:
        return _signalling(body) if body.get("type") == "signalling" else _rtvi(body, id)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "data"
        raise WireError(f"{where}: {first['msg']}", id) from None


def _signalling(body: dict[str, Any]) -> Inbound:
    message = body.get("message")
    if not isinstance(message, dict) or message.get("type") != "trackStatus":
        raise WireError("unsupported signalling message; trackStatus is known")
    return TrackStatus.model_validate(message)


def _rtvi(body: dict[str, Any], id: str) -> Inbound:
    if body.get("label") != _LABEL:
        raise WireError(f"label is not {_LABEL!r}", id)
    data = body.get("data")
    match body.get("type"):
        case "client-ready":
            return ClientReady.model_validate(_fields(data) | {"id": id})
        case "disconnect-bot":
            return Disconnect()
        case "send-text":
            return SendText.model_validate(_fields(data))
        case "client-message":
            inner = _fields(data)
            t = inner.get("t")
            if t not in _WISHES:
                raise WireError(f"unknown client-message {str(t)[:64]!r}; known are {', '.join(_WISHES)}", id)
            return _WISH.validate_python(_fields(inner.get("d")) | {"t": t, "id": id})
        case str() as other:
            raise WireError(f"Unsupported type {other[:64]!r}", id)
        case _:
            raise WireError("type is missing", id)


def _fields(data: object) -> dict[str, Any]:
    return {str(k): v for k, v in data.items()} if isinstance(data, dict) else {}


class Outbound(BaseModel):
    """One RTVI message to the client."""

    model_config = ConfigDict(frozen=True)
    TO_THE_PERSON: ClassVar[frozenset[str]] = frozenset(
        {"consent_stored", "consent_not_stored", "consent_withdrawn", "erased", "not_erased", "closing"}
        | {"senses_away", "words_lost"}
    )
    MISSABLE: ClassVar[frozenset[str]] = frozenset({"percept", "thought", "metric", "note"})

    label: str = _LABEL
    type: str
    id: str | None = None
    data: dict[str, Any] | None = None

    @property
    def droppable(self) -> bool:
        """Whether a client that cannot keep up may miss it."""
        if self.type == "user-transcription":
            return self.data is not None and not self.data["final"]
        if self.type != "server-message" or self.data is None:
            return False
        return self.data["t"] in self.MISSABLE and self.data.get("event") not in self.TO_THE_PERSON

    def text(self) -> str:
        """Return it as it goes over the wire."""
        return self.model_dump_json(exclude_none=True)


def bot_ready(ready: ClientReady, about: Mapping[str, Any]) -> list[Outbound]:
    """Answer a ``client-ready``: 1.x clients hear their own version, strangers a warning first."""
    version = ready.version if ready.major == 1 else RTVI_VERSION
    answer = Outbound(type="bot-ready", id=ready.id, data={"version": version, "about": dict(about)})
    if ready.major in (1, 2):
        return [answer]
    warning = f"RTVI {ready.version[:32]!r} is not {RTVI_VERSION}; compatibility issues may occur"
    return [error_response(ready.id, warning), answer]


def response(wish: Wish, d: Mapping[str, Any] | None = None) -> Outbound:
    """Answer a client-message that was carried out."""
    return Outbound(type="server-response", id=wish.id, data={"t": wish.t, "d": dict(d or {})})


def error_response(id: str, reason: str) -> Outbound:
    """Answer a message that was not understood."""
    return Outbound(type="error-response", id=id, data={"error": reason})


def fatal(reason: str) -> Outbound:
    """Say why the call ends; clients disconnect. Both spellings of the reason are in use."""
    return Outbound(type="error", data={"error": reason, "message": reason, "fatal": True})


def signal(type: str) -> str:
    """Return a signalling message of the transport itself, ``renegotiate`` or ``peerLeft``."""
    return json.dumps({"type": "signalling", "message": {"type": type}})


def ours(t: str, **fields: Any) -> Outbound:
    """Wrap one of our own payloads."""
    return Outbound(type="server-message", data={"v": VERSION, "t": t, **fields})


def event(found: Event) -> list[Outbound]:
    """Return an event of the call as messages; speaking also has a standard word."""
    line = as_json(found)
    kind = line.pop("type")
    at = line.pop("t")
    messages = [ours(kind, at=at, **line)]
    if kind == "percept" and line["kind"] in _SPEAKING:
        messages.append(Outbound(type=_SPEAKING[line["kind"]]))
    return messages


def concerns_person(found: Event) -> bool:
    """Whether an event is for the person on the call, whatever else their client may observe."""
    return isinstance(found.body, Note) and found.body.event in Outbound.TO_THE_PERSON


_SPEAKING: Final = {"speech_started": "user-started-speaking", "speech_ended": "user-stopped-speaking"}


def display(action: Display | Resource) -> Outbound:
    """Return what is to be shown as a message: a look, or who can help."""
    if isinstance(action, Display):
        intensity = round(action.intensity, 3)
        return ours("display", emotion=action.emotion, gesture=action.gesture, intensity=intensity, reply=action.reply)
    fields = ("name", "number", "text", "url", "hours", "note")
    contacts = [{key: getattr(c, key) for key in fields if getattr(c, key)} for c in action.contacts]
    known = {"kind": action.kind, "country": action.country, "contacts": contacts, "reply": action.reply}
    nowhere = action.country == helplines.country().name
    return ours("resource", **known, reviewed=action.reviewed.isoformat(), emergency=_emergency() if nowhere else {})


def _emergency() -> dict[str, str]:
    """Return the emergency numbers of all countries that are known, for a client that knows where it is."""
    return {code: helplines.country(code).emergency for code in helplines.countries()}


class Captions:
    """Turns captions into messages; remembers what of a reply has been sent, since RTVI appends."""

    def __init__(self) -> None:
        self._reply = 0
        self._said = ""

    def messages(self, action: Caption) -> list[Outbound]:
        """Return one caption as our own message and in the standard words."""
        own = ours(
            "caption",
            speaker=action.speaker,
            text=action.text,
            final=action.final,
            reply=action.reply,
            cut=action.cut,
        )
        if action.speaker == "user":
            spoken = {"text": action.text, "user_id": "user", "timestamp": timestamp(), "final": action.final}
            return [own, Outbound(type="user-transcription", data=spoken)]
        status = "completed" if action.final else "in-progress"
        output = {
            "text": action.text,
            "aggregated_by": "sentence",
            "segment_id": str(action.reply),
            "will_be_spoken": True,
            "spoken_status": status,
        }
        found = [own, Outbound(type="bot-output", data=output)]
        fresh = self._fresh(action)
        if fresh:
            found.append(Outbound(type="bot-tts-text", data={"text": fresh}))
        return found

    def _fresh(self, action: Caption) -> str:
        known = self._said if action.reply == self._reply else ""
        if action.cut or not action.text.startswith(known):
            return ""
        self._reply, self._said = action.reply, action.text
        return action.text[len(known) :].strip()


def state(
    *,
    call: str,
    consent: bool,
    senses: Iterable[str] | None,
    microphone: bool,
    camera: bool,
    push_to_talk: bool,
    agent: Mapping[str, Any],
) -> Outbound:
    """Return the state of the call as its client should show it; ``senses`` ``None`` is all of them."""
    return ours(
        "state",
        call=call,
        consent=consent,
        senses=None if senses is None else sorted(senses),
        microphone=microphone,
        camera=camera,
        push_to_talk=push_to_talk,
        agent=dict(agent),
    )
