"""Several minds behind one another: where one is late, down or cannot be loaded, the next speaks.

:class:`Minds` looks like a policy to the call. The first mind that is well is asked; the one behind it where that one
raises, decides nothing in time, or stops before it has said anything. What was said stays said: a reply that breaks off
is not begun anew by somebody else. A mind that fell is left out for a pause that doubles, on the call's own time. One
that could not be loaded is tried again, in a thread of its own, when a later call begins.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import structlog

from agent.clock import Clock, SystemClock
from agent.minds_session import Candidate, MindsSession, Patience
from agent.thinking import Thinker
from perception.timebase import SECOND

__all__ = ["Candidate", "Minds", "Patience"]

log = structlog.get_logger(__name__)

_LOAD_AGAIN: Final = 60 * SECOND


class Minds:
    """The chain, shared by all calls. Loading it takes as long as its minds do.

    Args:
        chain: the minds, the best first; names are unique.
        patience: how long each but the last is waited for.
        clock: of the tries to load again.
        stops: exceptions of loading that are mistakes of whoever configured it, and are not covered for.

    Raises:
        Exception: what the last mind raised when it was loaded, or one of ``stops``.
    """

    def __init__(
        self,
        chain: Sequence[Candidate],
        patience: Patience,
        *,
        clock: Clock | None = None,
        stops: tuple[type[Exception], ...] = (),
    ) -> None:
        self.patience = patience
        self.chain = tuple(chain)
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._closed = False
        self._loading: ThreadPoolExecutor | None = None
        try:
            for mind in self.chain:
                try:
                    mind.loaded = mind.load()
                except Exception as error:
                    if mind is self.chain[-1] or isinstance(error, stops):
                        raise
                    self._not_loaded(mind, error)
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """Of the mind that should speak."""
        return self.chain[0].name

    def session(self) -> MindsSession:
        """Begin a call; what could not be loaded is tried again meanwhile, at most once a minute."""
        now = self._clock.now()
        for mind in self.chain:
            if mind.loaded is None and not mind.busy and now - mind.tried >= _LOAD_AGAIN:
                mind.busy = True
                if self._loading is None:
                    self._loading = ThreadPoolExecutor(1, thread_name_prefix="load-mind")
                self._loading.submit(self._load_again, mind)
        return MindsSession(self.chain, self.patience)

    def loaded(self) -> list[Thinker]:
        """Return the minds that are there, the best first."""
        return [mind.loaded for mind in self.chain if mind.loaded is not None]

    def about(self) -> dict[str, Any]:
        """Return which minds there are, which is the first that can speak, and why another cannot."""
        # What it says of folders and servers is for the log, not for a caller.
        trouble = [f"{m.name} cannot be loaded: {m.why.partition(':')[0]}" for m in self.chain if m.loaded is None]
        speaks = next((mind.name for mind in self.chain if mind.loaded is not None), "")
        found: dict[str, Any] = {"minds": [mind.name for mind in self.chain], "speaks": speaks}
        return found | ({"trouble": trouble} if trouble else {})

    def close(self) -> None:
        """Free all of them; one that is being loaded is freed when it is there."""
        with self._lock:
            self._closed = True
        if self._loading is not None:
            self._loading.shutdown(wait=False, cancel_futures=True)
        for mind in self.chain:
            found, mind.loaded = mind.loaded, None
            if found is None:
                continue
            try:
                found.close()
            except Exception as error:
                log.error("mind_not_closed", mind=mind.name, exc_info=error)

    def _load_again(self, mind: Candidate) -> None:
        """Runs in the thread of loading."""
        try:
            found = mind.load()
        except Exception as error:
            self._not_loaded(mind, error)
        else:
            with self._lock:
                kept = not self._closed
                if kept:
                    mind.loaded, mind.why = found, ""
            if kept:
                log.info("mind_loaded", mind=mind.name)
            else:
                found.close()
        finally:
            mind.busy = False

    def _not_loaded(self, mind: Candidate, error: Exception) -> None:
        lines = str(error).strip().splitlines()
        why = f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
        if why != mind.why:  # the same reason again is no news
            log.error("mind_not_loaded", mind=mind.name, why=why, fix="another mind speaks; see agent doctor")
        mind.why, mind.tried = why, self._clock.now()
