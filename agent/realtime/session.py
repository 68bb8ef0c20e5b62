"""The settings of a session: what a client may set, and what it is told where this agent has none of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent.frames import RATES_HZ

OUTPUT_HZ: Final = 24_000

_OWN_MIND: Final = "the agent's own policy decides what is said"
_OWN_TURNS: Final = "the agent notices by itself when a turn is over and when it is interrupted"
_OWN_VOICE: Final = "the agent has one voice, which the server's configuration names"

_WHY: Final[Mapping[str, str]] = {
    "include": "there are no log probabilities",
    "instructions": _OWN_MIND,
    "max_output_tokens": _OWN_MIND,
    "parallel_tool_calls": "the agent uses no tools",
    "prompt": _OWN_MIND,
    "rapport": "senses are taken back in session.update, once the call is there",
    "reasoning": _OWN_MIND,
    "temperature": _OWN_MIND,
    "tool_choice": "the agent uses no tools",
    "tools": "the agent uses no tools",
    "tracing": "the agent keeps a journal of its own",
    "truncation": _OWN_MIND,
    "audio.input.noise_reduction": "sound is taken as it comes",
    "audio.output.speed": _OWN_VOICE,
    "audio.output.voice": _OWN_VOICE,
    "audio.input.transcription.prompt": "the speech recognition takes no hints",
    "audio.input.turn_detection.create_response": _OWN_TURNS,
    "audio.input.turn_detection.eagerness": _OWN_TURNS,
    "audio.input.turn_detection.idle_timeout_ms": _OWN_TURNS,
    "audio.input.turn_detection.interrupt_response": _OWN_TURNS,
    "audio.input.turn_detection.prefix_padding_ms": _OWN_TURNS,
    "audio.input.turn_detection.silence_duration_ms": _OWN_TURNS,
    "audio.input.turn_detection.threshold": _OWN_TURNS,
}
_ALWAYS_HEARD: Final = (
    "what is said is always transcribed, for the agent answers the words; to take back that it hears, use "
    'session.rapport = {"senses": []}'
)
_BETA: Final[Mapping[str, str]] = {
    "modalities": "output_modalities",
    "voice": "audio.output.voice",
    "input_audio_format": "audio.input.format",
    "output_audio_format": "audio.output.format",
    "input_audio_transcription": "audio.input.transcription",
    "input_audio_noise_reduction": "audio.input.noise_reduction",
    "turn_detection": "audio.input.turn_detection",
    "max_response_output_tokens": "max_output_tokens",
}
"""Names of the beta, and what they became."""

_NOTHING: Final[Mapping[str, tuple[Any, ...]]] = {
    "include": ([],),
    "max_output_tokens": ("inf",),
    "tool_choice": ("auto", "none"),
    "tools": ([],),
    "truncation": ("auto",),
    "audio.output.speed": (1, 1.0),
    "audio.input.turn_detection.create_response": (True,),
    "audio.input.turn_detection.eagerness": ("auto",),
    "audio.input.turn_detection.interrupt_response": (True,),
}
"""Values that ask for nothing, beside ``None``."""

_LONGEST: Final = 64


@dataclass(frozen=True, slots=True)
class Unsupported:
    """One wish that is not fulfilled.

    Attributes:
        param: what was wished, as ``session.audio.output.voice``.
        message: why it is not, and what holds.
    """

    param: str
    message: str


@dataclass(slots=True)
class Session:
    """The settings as they are.

    Attributes:
        id: of the session.
        model: what the client is told that it talks to.
        voice: the same of the voice.
        hearing: the same of the speech recognition.
        input_hz: samples per second of the client's sound.
        turns: whether the agent notices the end of a turn itself; otherwise the client commits.
        commits: whether a client may do so.
        senses: what may be perceived, as the server has told it; ``None`` for all.
        recording: whether words may be kept in writing, likewise.
    """

    id: str
    model: str
    voice: str = "default"
    hearing: str = "default"
    input_hz: int = OUTPUT_HZ
    turns: bool = True
    commits: bool = True
    senses: list[str] | None = None
    recording: bool = True

    def update(self, wished: Mapping[str, Any]) -> list[Unsupported]:
        """Take over what is supported; return the rest."""
        found: list[Unsupported] = []
        for key, value in wished.items():
            if key == "audio":
                found += self._audio(value)
            elif key == "type":
                if value != "realtime":
                    found.append(Unsupported("session.type", "sessions are of the type 'realtime'"))
            elif key == "model":
                if value not in (None, self.model):
                    found.append(Unsupported("session.model", f"the model is {self.model!r} and stays so"))
            elif key == "output_modalities":
                if value not in (None, ["audio"]):
                    told = 'the agent speaks, and writes along: ["audio"]'
                    found.append(Unsupported("session.output_modalities", told))
            else:
                found += _refuse(key, value)
        return found

    def shown(self) -> dict[str, Any]:
        """Return it as the client is told."""
        turns = {"type": "semantic_vad", "eagerness": "auto", "create_response": True, "interrupt_response": True}
        return {
            "type": "realtime",
            "object": "realtime.session",
            "id": self.id,
            "model": self.model,
            "output_modalities": ["audio"],
            "instructions": "",
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "tracing": None,
            "truncation": "auto",
            "include": None,
            "prompt": None,
            "rapport": {"senses": self.senses, "recording": self.recording},
            "audio": {
                "input": {
                    "format": _format(self.input_hz),
                    "transcription": {"model": self.hearing},
                    "noise_reduction": None,
                    "turn_detection": turns if self.turns else None,
                },
                "output": {"format": _format(OUTPUT_HZ), "voice": self.voice, "speed": 1.0},
            },
        }

    def _audio(self, wished: Any) -> list[Unsupported]:
        found: list[Unsupported] = []
        for way, settings in _fields(wished):
            if way not in ("input", "output"):
                found += _refuse(f"audio.{way}", settings)
                continue
            if way == "input" and settings is None:
                found.append(Unsupported("session.audio.input", f"sound is not switched off so: {_ALWAYS_HEARD}"))
            for key, value in _fields(settings):
                name = f"audio.{way}.{key}"
                if key == "format":
                    found += self._format(way, value)
                elif name == "audio.input.turn_detection":
                    found += self._turn_detection(value)
                elif name == "audio.input.transcription":
                    found += self._transcription(value)
                elif name == "audio.output.voice" and value == self.voice:
                    continue
                else:
                    found += _refuse(name, value)
        return found

    def _format(self, way: str, value: Any) -> list[Unsupported]:
        if value is None:
            return []
        rates = RATES_HZ if way == "input" else (OUTPUT_HZ,)
        found = dict(_fields(value))
        rate = found.get("rate", OUTPUT_HZ)
        if found.get("type") != "audio/pcm" or type(rate) is not int or rate not in rates:
            told = " or ".join(map(str, rates))
            return [Unsupported(f"session.audio.{way}.format", f"sound is audio/pcm (16 bit, mono) at {told} Hz")]
        if way == "input":
            self.input_hz = rate
        return []

    def _turn_detection(self, value: Any) -> list[Unsupported]:
        if value is None and not self.commits:
            return [Unsupported("session.audio.input.turn_detection", f"it stays on over WebRTC: {_OWN_TURNS}")]
        if value is None:
            self.turns = False
            return []
        found: list[Unsupported] = []
        for key, setting in _fields(value):
            if key != "type":
                found += _refuse(f"audio.input.turn_detection.{key}", setting)
            elif setting in ("server_vad", "semantic_vad"):
                self.turns = True
            else:
                known = "turn_detection is null, server_vad or semantic_vad; the latter two are the same here"
                found.append(Unsupported("session.audio.input.turn_detection.type", known))
        return found

    def _transcription(self, value: Any) -> list[Unsupported]:
        """What is said is always written down for the client; with which model is the server's matter."""
        if value is None:
            return [Unsupported("session.audio.input.transcription", _ALWAYS_HEARD)]
        found: list[Unsupported] = []
        for key, setting in _fields(value):
            if key == "language" and setting not in (None, "en"):
                message = "the speech recognition is set up by the server's configuration"
                found.append(Unsupported("session.audio.input.transcription.language", message))
            elif key not in ("model", "language"):
                found += _refuse(f"audio.input.transcription.{key}", setting)
        return found


def _fields(value: Any) -> list[tuple[str, Any]]:
    return [(str(key), field) for key, field in value.items()] if isinstance(value, dict) else []


def _refuse(name: str, value: Any) -> list[Unsupported]:
    if (value is None and name != "input_audio_transcription") or value in _NOTHING.get(name, ()):
        return []
    short = name[:_LONGEST]
    if value is None:
        return [Unsupported(f"session.{short}", _ALWAYS_HEARD)]
    if name in _BETA:
        return [Unsupported(f"session.{short}", f"the beta's session.{short} is now session.{_BETA[name]}")]
    why = _WHY.get(name)
    return [Unsupported(f"session.{short}", f"session.{short} is not supported: {why or 'it is not known here'}")]


def _format(rate_hz: int) -> dict[str, Any]:
    return {"type": "audio/pcm", "rate": rate_hz}
