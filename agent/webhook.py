"""Tells an operator of danger, over HTTP: what kind, in which call, when. Never what was said.

The body is JSON, ``{"id", "call", "kind", "plain", "time"}``; ``id`` is the same in every try of one danger. With a
key, the header ``X-Rapport-Signature`` is ``t=TIME,v1=HEX``, where ``HEX`` is the HMAC-SHA256 of ``TIME.BODY`` under
that key. An answer of 200 to 299 acknowledges; anything else, and none, is tried again after a pause that doubles,
unless another try would not change it. Everything happens in a thread of its own: the call never waits. No redirect is
followed and no proxy of the environment is used.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import structlog

from agent.clock import timestamp
from agent.journal import Event, Note, Sink
from agent.safety_options import SafetyOptions
from perception.timebase import SECOND

log = structlog.get_logger(__name__)

CAPACITY: Final = 64
"""Dangers that may wait to be told; the oldest gives way and is counted as lost."""

_LONGEST_S: Final = 60.0
_FINAL: Final = frozenset({400, 401, 403, 404, 405, 410, 413, 415, 422})
"""Answers that another try would not change."""

Told = Callable[[str], None]
"""Takes an outcome: ``acknowledged``, ``retried``, ``failed`` or ``lost``."""


class Webhook:
    """The operator's ear. Its thread ends with :meth:`close`.

    Args:
        options: address, key and patience.
        told: takes each outcome, from the webhook's thread.
        client: for HTTP; by default one of its own.

    Raises:
        OSError: the key file cannot be read.
        ValueError: the key is empty.
    """

    def __init__(self, options: SafetyOptions, told: Told | None = None, *, client: httpx.Client | None = None) -> None:
        self._options = options
        self.told: Told = told or (lambda _: None)
        self._key = b""
        if options.webhook_key_file:
            self._key = Path(options.webhook_key_file).read_bytes().strip()
            if not self._key:
                raise ValueError(f"{options.webhook_key_file}: the key of the webhook's signature is empty")
        timeout = options.webhook_timeout / SECOND
        self._client = client or httpx.Client(timeout=timeout, follow_redirects=False, trust_env=False)
        self._waiting: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._busy = False
        self._thread = threading.Thread(target=self._work, name="webhook", daemon=True)
        self._thread.start()

    def sink(self, call: str) -> Sink:
        """Return a sink for the events of one call."""

        def take(event: Event) -> None:
            body = event.body
            if isinstance(body, Note) and body.event == "safety":
                self.post(call, str(body.data["kind"]), plain=bool(body.data["plain"]))

        return take

    def post(self, call: str, kind: str, *, plain: bool) -> None:
        """Tell of a danger, some time soon; returns at once."""
        found: dict[str, Any] = {"id": uuid4().hex, "call": call, "kind": kind, "plain": plain, "time": timestamp()}
        lost = False
        with self._changed:
            if len(self._waiting) >= CAPACITY:
                self._waiting.popleft()
                lost = True
            self._waiting.append(json.dumps(found, separators=(",", ":")).encode())
            self._changed.notify_all()
        if lost:
            log.error("webhook_lost", fix="the operator's webhook does not answer; see safety.webhook")
            self.told("lost")

    def drain(self, timeout_s: float) -> bool:
        """Wait until everything was told or given up; return whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout_s)

    def close(self) -> None:
        """Stop; what was not told yet is lost, and counted."""
        with self._changed:
            left, self._closed = len(self._waiting), True
            self._waiting.clear()
            self._changed.notify_all()
        self._thread.join(self._options.webhook_timeout / SECOND + 1.0)
        self._client.close()
        for _ in range(left):
            self.told("lost")

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or bool(self._waiting))
                if self._closed:
                    return
                body = self._waiting.popleft()
                self._busy = True
            outcome = self._deliver(body)
            with self._changed:
                self._busy = False
                self._changed.notify_all()
            self.told(outcome)

    def _deliver(self, body: bytes) -> str:
        pause = self._options.webhook_backoff / SECOND
        why = ""
        for place in range(self._options.webhook_tries):
            if place:
                self.told("retried")
                with self._changed:
                    if self._changed.wait_for(lambda: self._closed, min(pause, _LONGEST_S)):
                        return "lost"
                pause *= 2
            try:
                status = self._client.post(self._options.webhook, content=body, headers=self._headers(body)).status_code
            except httpx.HTTPError as error:
                why = type(error).__name__
                continue
            if 200 <= status < 300:
                return "acknowledged"
            why = f"HTTP {status}"
            if status in _FINAL:
                break
        log.error("webhook_failed", why=why, fix="see that safety.webhook is right and answers 2xx")
        return "failed"

    def _headers(self, body: bytes) -> dict[str, str]:
        found = {"Content-Type": "application/json", "User-Agent": "rapport-agent"}
        if self._key:
            at = timestamp()
            found["X-Rapport-Signature"] = f"t={at},v1={signature(self._key, at, body)}"
        return found


def signature(key: bytes, at: str, body: bytes) -> str:
    """Return the signature of ``body`` sent at ``at``, hexadecimal."""
    return hmac.new(key, at.encode() + b"." + body, hashlib.sha256).hexdigest()
