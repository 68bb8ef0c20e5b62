from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

from agent.logs import console

structlog.configure(processors=[structlog.stdlib.add_log_level, console()])

# Where the cores are shared, an example that takes two seconds says something about the code, and 0.2 s does not.
settings.register_profile("shared", deadline=2000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")

# Calls that tests hold leave their consent in a folder of the tests, not in that of whoever runs them.
os.environ["RAPPORT_STATE"] = tempfile.mkdtemp(prefix="rapport-tests-")

WATCHED = frozenset(
    {
        "tests.agent.test_housing_calls",
        "tests.agent.test_loop",
        "tests.agent.test_media_file",
        "tests.agent.test_replay",
        "tests.agent.test_senses",
        "tests.agent.test_webrtc",
        "tests.agent.test_websocket",
        "tests.agent.test_websocket_resume",
        "tests.client.test_call",
        "tests.client.test_door",
        "tests.test_connections",
        "tests.test_hosts",
        "tests.test_server",
        "tests.test_transport_contract",
    }
)
"""Modules whose tests open calls, threads or processes, and may leave nothing of them behind."""


def pytest_configure(config: pytest.Config) -> None:
    from tests import spread

    for plugin in spread.plugins(config):
        config.pluginmanager.register(plugin)


@pytest.fixture(autouse=True)
def leaves_nothing(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.module.__name__ not in WATCHED:
        yield
        return
    from tests.leaks import watched

    with watched():
        yield
