"""Numbers for the operator, in Prometheus' format; never who, only how many and how long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from agent.clock import Clock
from agent.journal import Decided, Event, Metric, Note
from perception.timebase import MS, as_seconds
from policy.decision import action_name

_MOST_NAMES: Final = 64
_BUCKETS: Final = (0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.25, 0.4, 0.6, 0.8, 1.0, 1.5, 2.5, 5.0, 10.0)
_LAG_BUCKETS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class Metrics:
    """A registry of its own, so that several servers can live in one process.

    Attributes:
        calls: callers now.
        offers: HTTP answers to offers, by status.
        lag: how late the event loop was.
    """

    content_type: Final = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.calls = Gauge("rapport_calls", "Callers now", registry=self._registry)
        self.offers = Counter("rapport_offers", "Offers by HTTP status", ["status"], registry=self._registry)
        self.lag = Histogram(
            "rapport_loop_lag_seconds", "Lateness of the event loop", registry=self._registry, buckets=_LAG_BUCKETS
        )
        self._stages = Histogram(
            "rapport_stage_seconds", "Time by stage", ["stage"], registry=self._registry, buckets=_BUCKETS
        )
        self._counts = Counter("rapport_events", "What calls have counted", ["what"], registry=self._registry)
        self._notes = Counter("rapport_notes", "Notes by event and level", ["event", "level"], registry=self._registry)
        self._decisions = Counter(
            "rapport_decisions",
            "Decisions of the policy by mind and action",
            ["mind", "action"],
            registry=self._registry,
        )
        self._falls = Counter(
            "rapport_mind_failures",
            "Replies that a mind did not bring to their end, by mind and reason",
            ["mind", "why"],
            registry=self._registry,
        )
        self._dangers = Counter(
            "rapport_safety", "Dangers that the safety lane met, by kind", ["kind"], registry=self._registry
        )
        self._webhook = Counter(
            "rapport_webhook", "Tellings of the operator's webhook, by outcome", ["outcome"], registry=self._registry
        )
        self._names: set[str] = set()

    def observe(self, event: Event) -> None:
        """Count an event of a call."""
        body = event.body
        if isinstance(body, Metric):
            name = self._known(body.name)
            if body.name.endswith("_count"):
                self._counts.labels(name.removesuffix("_count")).inc(max(0.0, body.value))
            elif not body.name.endswith("_bytes"):
                self._stages.labels(name).observe(body.value)
        elif isinstance(body, Decided):
            if body.reply:  # a reflex is nobody's decision
                mind = self._known(body.decision.mind or "policy")
                self._decisions.labels(mind, action_name(body.decision)).inc()
        elif isinstance(body, Note):
            if body.event == "mind_failed":
                self._falls.labels(self._known(str(body.data["mind"])), self._known(str(body.data["why"]))).inc()
            elif body.event == "safety":
                self._dangers.labels(str(body.data["kind"])).inc()
            self._notes.labels(self._known(body.event), body.level).inc()

    def delivered(self, outcome: str) -> None:
        """Count an outcome of the webhook; from any thread."""
        self._webhook.labels(outcome).inc()

    def text(self) -> bytes:
        """Return all numbers as Prometheus reads them."""
        return generate_latest(self._registry)

    def _known(self, name: str) -> str:
        """Return ``name``, or ``other`` once there are too many for labels."""
        if name not in self._names and len(self._names) >= _MOST_NAMES:
            return "other"
        self._names.add(name)
        return name


async def watch_loop(told: Callable[[float], None], clock: Clock) -> None:
    """Measure every 50 ms how late the event loop is, and tell it in seconds, until cancelled."""
    while True:
        due = clock.now() + 50 * MS
        await clock.sleep_until(due)
        told(max(0.0, as_seconds(clock.now() - due)))
