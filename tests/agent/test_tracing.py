"""One trace for each turn, with the times of its stages and nothing that anybody said."""

from __future__ import annotations

import builtins
import gzip
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from agent import build
from agent.config import Config, ConfigError, TelemetryConfig, Use
from agent.journal import Event
from agent.staged import Script
from agent.tracing import Tracing, tracing
from perception.timebase import SECOND
from tests.agent.stage import frames, look, merged, play, quiet, said

WORDS = "My dog died last night."
NOW = 1_700_000_000


def events(seconds: float = 14) -> list[Event]:
    """A call of two turns, the reply to the first of which is cut off."""
    ear = said(WORDS, 1.0, 3.0) + said("Wait, let me say it again.", 5.6, 7.2, utterance=2)
    eye = [look(t / 10, "sad") for t in range(10, 60, 4)]
    script = merged(quiet(seconds), frames(seconds))
    return play(script, [Script("ear", ear), Script("eye", eye, sees=True)]).events


def traced(found: list[Event]) -> list[ReadableSpan]:
    kept = InMemorySpanExporter()
    traces = Tracing(SimpleSpanProcessor(kept), now_s=lambda: NOW)
    sink = traces.sink("c0ffee")
    for event in found:
        sink(event)
    spans = list(kept.get_finished_spans())
    traces.close()
    return spans


def spent(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / SECOND


def test_each_turn_is_a_trace_of_its_stages() -> None:
    found = events()
    spans = traced(found)
    turns = [span for span in spans if span.name == "turn"]
    assert len(turns) == 2
    assert [t.attributes and t.attributes["rapport.cut"] for t in turns] == [True, False]
    for turn in turns:
        assert turn.context is not None
        stages = {s.name: s for s in spans if s.parent is not None and s.parent.span_id == turn.context.span_id}
        assert set(stages) == {"vad", "asr", "turn_end", "policy", "voice", "first_audio"}
        assert all(turn.start_time <= s.start_time for s in stages.values())  # type: ignore[operator]
        assert spent(stages["vad"]) == pytest.approx(0.2, abs=0.01)
        assert spent(stages["asr"]) == pytest.approx(0.3, abs=0.01)
        assert 0.6 < spent(stages["turn_end"]) < spent(stages["first_audio"])
        assert 0 < spent(stages["policy"]) < 0.2
        assert 0 < spent(stages["voice"]) < 0.1
    first = turns[0]
    assert first.attributes is not None
    assert first.attributes["rapport.call"] == "c0ffee"
    assert first.attributes["rapport.cue"] == "end_of_turn"
    assert float(first.attributes["rapport.age_s.ear"]) < 1.5  # type: ignore[arg-type]
    assert "rapport.age_s.eye" in first.attributes
    assert first.start_time == NOW * SECOND + 3 * SECOND, "it begins when the words end, in the time of the world"


def test_no_span_says_what_was_said_or_seen() -> None:
    text = "\n".join(span.to_json() for span in traced(events()))
    for word in ("dog", "died", "sorry", "again", "loss", "last night"):
        assert word not in text.lower()
    assert "host.name" not in text
    assert "process" not in text


def test_what_befell_a_reply_is_told_and_a_dropped_draft_is_not() -> None:
    from policy.decision import Decision

    def fail(window: Any) -> Iterator[Decision]:
        raise RuntimeError("the secret word")
        yield

    ear = said("We sold it.", 1.0, 3.0) + said("All of it, last night.", 3.5, 5.0, utterance=2)
    spans = traced(play(quiet(14), [Script("ear", ear)], fail).events)
    (turn,) = [span for span in spans if span.name == "turn"]
    assert turn.attributes is not None
    assert turn.attributes["rapport.outcome"] == "policy failed"
    assert "secret" not in turn.to_json()


@contextmanager
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """A collector on loopback that reads what it is sent."""
    got: list[ExportTraceServiceRequest] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            request = ExportTraceServiceRequest()
            request.ParseFromString(body)
            got.append(request)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/traces", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.slow
def test_a_collector_is_sent_the_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # nothing of the environment is asked
    before = set(threading.enumerate())
    with collector() as (url, got):
        config = Config(
            workers=(),
            policy=Use("scripted"),
            voice=Use("plain"),
            telemetry=TelemetryConfig(otlp_endpoint=url),
        )
        with build.runtime(config) as runtime:
            assert runtime.describe()["traces_to"] == "127.0.0.1"
            assert runtime.tracing is not None
            sink = runtime.tracing.sink("c0ffee")
            for event in events():
                sink(event)
    spans = [s for r in got for found in r.resource_spans for scope in found.scope_spans for s in scope.spans]
    assert sorted(s.name for s in spans).count("turn") == 2
    assert len({s.trace_id for s in spans}) == 2
    assert {a.key for r in got for found in r.resource_spans for a in found.resource.attributes} == {"service.name"}
    assert set(threading.enumerate()) <= before


def test_by_default_nothing_is_sent_and_nothing_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **more: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ModuleNotFoundError(f"No module named {name!r}", name="opentelemetry")
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert tracing(Config()) is None
    with pytest.raises(ConfigError, match=r"rapport-agent\[telemetry\]"):
        tracing(Config(telemetry=TelemetryConfig(otlp_endpoint="http://127.0.0.1:4318/v1/traces")))


@pytest.mark.parametrize("endpoint", ["localhost:4318", "ftp://collector", "http://"])
def test_an_endpoint_that_is_none_is_named(endpoint: str) -> None:
    with pytest.raises(ConfigError, match=r"telemetry\.otlp_endpoint"):
        tracing(Config(telemetry=TelemetryConfig(otlp_endpoint=endpoint)))
