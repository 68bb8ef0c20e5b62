"""Numbers for the operator, in Prometheus' format; never who, only how many and how long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from agent.clock import Clock
from agent.journal import Decided, Event, Metric, Note
from perception.percept import TRANSCRIPT, Percept
from perception.timebase import MS, as_seconds
from policy.decision import action_name

_MOST_NAMES: Final = 64
_BUCKETS: Final = (0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.25, 0.4, 0.6, 0.8, 1.0, 1.5, 2.5, 5.0, 10.0)
_LAG_BUCKETS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_AGE_BUCKETS: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0)
_DEPTH_BUCKETS: Final = (0, 1, 2, 5, 10, 20, 50, 100)

WATCHDOG: Final = frozenset(
    {"policy_failed", "reply_filler", "reply_overran", "reply_silent", "reply_stalled", "voice_failed"}
)
"""Notes of a reply that was saved from silence, or given up."""


class Metrics:
    """A registry of its own, so that several servers can live in one process.

    Attributes:
        calls: callers now.
        senses_late: how late the senses are.
        senses_given_up: senses whose process is given up.
        draining: whether no new calls are taken.
        offers: HTTP answers to offers, by status.
        refused: offers that were refused, by reason.
        relay: whether a TURN server gives relays.
        lag: how late the event loop was.
        connections: TCP connections now.
        ended: connections that were ended, by reason.
        descriptors: open now.
        most_descriptors: that this process may have open.
    """

    content_type: Final = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.calls = Gauge("rapport_calls", "Callers now", registry=self._registry)
        self.offers = Counter("rapport_offers", "Offers by HTTP status", ["status"], registry=self._registry)
        self.refused = Counter("rapport_refused", "Refused offers by reason", ["reason"], registry=self._registry)
        self.senses_late = Gauge("rapport_senses_late_seconds", "How late the senses are", registry=self._registry)
        self.senses_given_up = Gauge(
            "rapport_senses_given_up", "Senses whose process is given up", registry=self._registry
        )
        self.draining = Gauge("rapport_draining", "Whether no new calls are taken", registry=self._registry)
        self.relay = Gauge("rapport_relay", "Whether a TURN server gives relays", registry=self._registry)
        self.connections = Gauge("rapport_connections", "TCP connections now", registry=self._registry)
        self.ended = Counter(
            "rapport_connections_ended", "TCP connections ended by the server, by why", ["why"], registry=self._registry
        )
        self.descriptors = Gauge("rapport_descriptors", "Descriptors open now", registry=self._registry)
        self.most_descriptors = Gauge("rapport_descriptors_most", "Descriptors allowed", registry=self._registry)
        self.lag = Histogram(
            "rapport_loop_lag_seconds", "Lateness of the event loop", registry=self._registry, buckets=_LAG_BUCKETS
        )
        self._stages = Histogram(
            "rapport_stage_seconds", "Time by stage", ["stage"], registry=self._registry, buckets=_BUCKETS
        )
        self._ages = Histogram(
            "rapport_percept_age_seconds",
            "Age of each worker's last percept when a reply begins",
            ["worker"],
            registry=self._registry,
            buckets=_AGE_BUCKETS,
        )
        self._depths = Histogram(
            "rapport_queue_depth",
            "What waits in a queue, looked at every five seconds in each call, where anything waits",
            ["queue"],
            registry=self._registry,
            buckets=_DEPTH_BUCKETS,
        )
        self._drops = Counter(
            "rapport_drops", "What gave way in a full queue, by stage", ["stage"], registry=self._registry
        )
        self._watchdog = Counter(
            "rapport_reply_watchdog",
            "Replies in which a stage went over its budget, or failed, by what came of it",
            ["what"],
            registry=self._registry,
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
        match event.body:
            case Metric() as metric:
                self._measured(metric)
            case Percept(kind=kind) as percept if kind == TRANSCRIPT:
                self._stages.labels("asr").observe(as_seconds(max(0, event.at - percept.end)))
            case Decided(decision, reply) if reply:  # a reflex is nobody's decision
                self._decisions.labels(self._known(decision.mind or "policy"), action_name(decision)).inc()
            case Note() as note:
                self._noted(note)
            case _:
                pass

    def _measured(self, metric: Metric) -> None:
        name, _, unit = metric.name.rpartition("_")
        match unit:
            case "count":
                self._counts.labels(self._known(name)).inc(max(0.0, metric.value))
                if name.endswith("_dropped"):
                    self._drops.labels(self._known(name.removesuffix("_dropped"))).inc(max(0.0, metric.value))
            case "age":
                self._ages.labels(self._known(name)).observe(metric.value)
            case "depth":
                self._depths.labels(self._known(name)).observe(metric.value)
            case "bytes":
                pass
            case _:
                self._stages.labels(self._known(metric.name)).observe(metric.value)

    def _noted(self, note: Note) -> None:
        if note.event == "mind_failed":
            self._falls.labels(self._known(str(note.data["mind"])), self._known(str(note.data["why"]))).inc()
        elif note.event == "safety":
            self._dangers.labels(str(note.data["kind"])).inc()
        elif note.event in WATCHDOG:
            late = "_late" if note.data.get("late") else ""
            self._watchdog.labels(f"{note.event}{late}").inc()
        self._notes.labels(self._known(note.event), note.level).inc()

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
