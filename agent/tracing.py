"""OpenTelemetry: one trace for each turn of a call, made from the call's own events, and sent only where the operator
asks for it.

A trace is the span ``turn``, from the end of the person's words to the end of the reply, and in it, each from when it
began to when it was known:

================  =============================================================================
``vad``           the end of the voice was noticed
``asr``           the words were known
``turn_end``      it was clear that the person had finished
``policy``        the policy was asked, until its first sentence (or first step, where it says nothing)
``voice``         the first clause was given to the voice, until its first sound
``first_audio``   from the end of the person's words to the first sound that left
================  =============================================================================

The ages of what was perceived are attributes of ``turn``. No span has a word, a look, a name or an address: attributes
are numbers, and names of stages, minds, cues and actions. The call's random name is the one thing that ties a trace to
a journal.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import structlog

from agent import token
from agent.config import Config, ConfigError
from agent.journal import Decided, Event, Metric, Note, Sink
from perception.context import Turn
from perception.percept import SPEECH_ENDED, TRANSCRIPT, Percept
from perception.timebase import SECOND, Nanos
from policy.decision import action_name

log = structlog.get_logger(__name__)

_OPEN: Final = 8
"""Replies of a call that may be unfinished at once; the oldest gives way."""

_OUTCOMES: Final = {
    "policy_failed": "policy failed",
    "voice_failed": "voice failed",
    "reply_filler": "filler",
    "reply_silent": "silent",
    "reply_stalled": "stalled",
    "reply_overran": "overran",
}
_STAGES: Final = {"end_of_turn": "turn_end", "first_sound": "voice", "voice_to_voice": "first_audio"}


@dataclass(frozen=True, slots=True)
class Stage:
    """One span of a turn, on the call's clock."""

    name: str
    start: Nanos
    end: Nanos


@dataclass(slots=True)
class TurnTrace:
    """What is known of one turn.

    Attributes:
        reply: its number.
        stages: its spans, as they were known.
        attributes: of the turn.
    """

    reply: int
    stages: dict[str, Stage] = field(default_factory=dict)
    attributes: dict[str, str | int | float | bool] = field(default_factory=dict)

    @property
    def start(self) -> Nanos:
        """When the first of its stages began."""
        return min(stage.start for stage in self.stages.values())


class Tracer:
    """Makes traces of the events of one call; knows nothing of OpenTelemetry.

    Args:
        told: takes each turn when its reply is over, and the instant of that.
    """

    def __init__(self, told: Callable[[TurnTrace, Nanos], None]) -> None:
        self._told = told
        self._heard: dict[str, Stage] = {}
        self._open: OrderedDict[int, TurnTrace] = OrderedDict()
        self._now = 0  # the reply that was let out last; drafts of others may be thought meanwhile

    def __call__(self, event: Event) -> None:
        """Take one event."""
        match event.body:
            case Percept(kind=kind, end=end) if kind == SPEECH_ENDED:
                self._heard["vad"] = Stage("vad", min(end, event.at), event.at)
            case Percept(kind=kind, end=end) if kind == TRANSCRIPT:
                self._heard["asr"] = Stage("asr", min(end, event.at), event.at)
            case Metric() as metric if metric.reply:
                self._measured(metric, event.at)
            case Decided(decision, reply, cue) if reply:
                trace, self._now = self._trace(reply), reply
                trace.attributes.setdefault("rapport.cue", cue)
                trace.attributes.setdefault("rapport.action", action_name(decision))
                trace.attributes["rapport.mind"] = decision.mind or "policy"
            case Note() as note:
                self._noted(note, event.at)
            case Turn(speaker="agent", cut=cut) if self._now:
                self._trace(self._now).attributes["rapport.cut"] = cut
            case _:
                pass

    def _measured(self, metric: Metric, at: Nanos) -> None:
        name, start = metric.name, at - round(metric.value * SECOND)
        if name in ("first_token", "first_sentence"):
            trace = self._trace(metric.reply)
            trace.stages["policy"] = Stage("policy", start, at)
            trace.attributes[f"rapport.{name}_s"] = round(metric.value, 4)
        elif name in _STAGES:
            trace = self._trace(metric.reply)
            trace.stages[_STAGES[name]] = Stage(_STAGES[name], start, at)
            if name == "end_of_turn":
                self._now = metric.reply
                trace.stages |= self._heard
                self._heard.clear()
        elif name.endswith("_age"):
            self._trace(metric.reply).attributes[f"rapport.age_s.{name.removesuffix('_age')}"] = round(metric.value, 4)

    def _noted(self, note: Note, at: Nanos) -> None:
        reply = note.data.get("reply", 0)
        if note.event == "draft_dropped":
            self._open.pop(reply, None)
        elif note.event == "mind_failed":
            self._trace(reply).attributes["rapport.fell"] = f"{note.data['mind']} {note.data['why']}"
        elif note.event == "safety":
            self._trace(reply).attributes["rapport.safety"] = True
        elif note.event in _OUTCOMES:
            self._trace(reply).attributes["rapport.outcome"] = _OUTCOMES[note.event]
        elif note.event == "state" and note.data.get("state") == "listening":
            self._finish(at)
        elif note.event == "call_ended":
            self._open.clear()

    def _trace(self, reply: int) -> TurnTrace:
        if reply not in self._open:
            self._open[reply] = TurnTrace(reply)
            while len(self._open) > _OPEN:
                self._open.popitem(last=False)
        return self._open[reply]

    def _finish(self, at: Nanos) -> None:
        """The agent listens again: the reply that was let out last is over."""
        trace = self._open.pop(self._now, None)
        self._now = 0
        if trace is not None and trace.stages:
            self._told(trace, at)


class Tracing:
    """Sends traces of all calls.

    Args:
        processor: an OpenTelemetry span processor; owned from now on.
        now_s: seconds since 1970.
    """

    def __init__(self, processor: Any, now_s: Callable[[], float] = token.now_s) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider

        # The process's own resource detectors read host and user names; nothing of that is asked for here.
        self._provider = TracerProvider(resource=Resource({"service.name": "rapport"}), shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("rapport")
        self._now_s = now_s

    def sink(self, call: str) -> Sink:
        """Return a sink for the events of one call, whose clock begins now."""
        origin = round(self._now_s() * SECOND)
        return Tracer(lambda trace, end: self._send(call, origin, trace, end))

    def close(self) -> None:
        """Send what waits, for some seconds at most, and stop."""
        self._provider.shutdown()

    def _send(self, call: str, origin: int, trace: TurnTrace, end: Nanos) -> None:
        from opentelemetry.trace import set_span_in_context

        attributes = {"rapport.call": call, "rapport.reply": trace.reply, **trace.attributes}
        root = self._tracer.start_span("turn", start_time=origin + trace.start, attributes=attributes)
        inside = set_span_in_context(root)
        for stage in sorted(trace.stages.values(), key=lambda stage: stage.start):
            span = self._tracer.start_span(stage.name, context=inside, start_time=origin + stage.start)
            span.end(origin + stage.end)
        root.end(origin + max(end, trace.start))


def tracing(config: Config) -> Tracing | None:
    """Open the exporter that the configuration names; ``None`` where it names none, and then nothing is imported.

    Raises:
        ConfigError: the endpoint is no address, or the extra is not installed.
    """
    endpoint = config.telemetry.otlp_endpoint
    if not endpoint:
        return None
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"telemetry.otlp_endpoint is {endpoint!r}, expected an address as http://127.0.0.1:4318/v1/traces"
        )
    try:
        import requests
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigError(
            f"telemetry.otlp_endpoint needs the package {error.name}; pip install 'rapport-agent[telemetry]'"
        ) from error
    session = requests.Session()
    session.trust_env = False  # no proxy and no password of the environment
    exporter = OTLPSpanExporter(endpoint=endpoint, headers={}, timeout=_TIMEOUT_S, session=session)
    return Tracing(BatchSpanProcessor(exporter, max_queue_size=2048, export_timeout_millis=_TIMEOUT_S * 1000))


_TIMEOUT_S: Final = 5


def host(config: Config) -> str:
    """Return the machine that is sent traces, ``""`` for none."""
    return urlsplit(config.telemetry.otlp_endpoint).hostname or ""
