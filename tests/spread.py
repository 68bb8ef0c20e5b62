"""How the tests are spread over processes that run side by side; ``make test`` asks for two.

A file stays together, so that what its tests share is made once. Files whose tests wait for real time are one unit:
two of them never run beside each other, and what runs beside them yields the processor to them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

REAL_TIME = (
    "tests/agent/test_bounded.py",
    "tests/agent/test_budgets.py",
    "tests/agent/test_housing.py",
    "tests/agent/test_housing_calls.py",
    "tests/agent/test_resume.py",
    "tests/agent/test_turn_servers.py",
    "tests/agent/test_webrtc.py",
    "tests/agent/test_websocket.py",
    "tests/bench/test_page.py",
    "tests/client/",
    "tests/e2e/",
    "tests/examples/",
    "tests/onboard/",
    "tests/policy/test_policy_contract.py",
    "tests/privacy/test_canary.py",
    "tests/stock/",
    "tests/test_drain.py",
    "tests/test_load.py",
    "tests/test_reliability.py",
    "tests/test_server.py",
    "tests/test_server_resume.py",
    "tests/test_transport_contract.py",
    "tests/view/test_page.py",
    "tests/web/",
)
"""Beginnings of the paths of tests that hold calls, drive browsers or watch processes in real time."""

LONG = (
    "tests/training_compact/test_smoke.py",
    "tests/agent/test_cli.py",
    "tests/omni/",
    "tests/policy/",
    "tests/perception/",
    "tests/privacy/",
    "tests/training",
)
"""Beginnings of the paths of tests that compute for long, longest first: one of them must not be left for the end."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
YIELD = 10
"""Added to the niceness of a process whose tests do not wait for real time, beside one whose tests do."""


def unit(nodeid: str) -> str:
    """Return the name of the unit that a test belongs to: ``realtime``, or its file."""
    return "realtime" if nodeid.startswith(REAL_TIME) else nodeid.partition("::")[0]


def place(nodeid: str) -> int:
    """Return where the unit of a test stands in the order in which units are handed out."""
    if nodeid.startswith(REAL_TIME):
        return 0
    return next((n for n, begin in enumerate(LONG, 1) if nodeid.startswith(begin)), len(LONG) + 1)


class Units(LoadFileScheduling):  # type: ignore[misc]
    """Hands out units in the order of their tests; a process that is done with its own takes the next."""

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)


class Spread:
    """Plugin of a process that runs some of the tests."""

    def __init__(self) -> None:
        self._begun = False
        for name in THREADS:
            os.environ.setdefault(name, "1")  # two processes with a thread for each core would wait for each other

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: place(item.nodeid))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        if not self._begun and not item.nodeid.startswith(REAL_TIME):
            os.nice(YIELD)
        self._begun = True


class Handing:
    """Plugin of the process that hands the tests out."""

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Producer) -> Units | None:
        if config.getoption("dist") != "loadfile":
            return None
        config.option.loadscopereorder = False  # that order is by the number of tests, not by their length
        return Units(config, log)


def plugins(config: pytest.Config) -> Sequence[object]:
    """Return what a process needs whose tests are spread, or which spreads them; nothing where all run in one."""
    if hasattr(config, "workerinput"):
        return [Spread()]
    return [Handing()] if config.getoption("numprocesses", None) else []
