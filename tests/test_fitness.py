"""New calls are refused, and `/readyz` says so, while the senses are not fit for them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from agent.config import ConfigError, parse
from agent.fitness import Fitness
from agent.refusal import Refused
from agent.sense_map import SenseMap
from agent.server_options import ServerConfig
from perception.timebase import MS
from tests.rtc import Client
from tests.test_server import house, run


class Senses:
    """The senses of a runtime, in a state that a test sets."""

    senses = SenseMap()

    def __init__(self) -> None:
        self.gone: frozenset[str] = frozenset()
        self.late = 0.0

    def given_up(self) -> frozenset[str]:
        return self.gone

    def late_s(self) -> float:
        return self.late


@pytest.mark.parametrize(
    ("needs", "gone", "state"),
    [
        ("hearing", {"asr", "turn"}, "given_up"),
        ("hearing", {"face"}, "ok"),
        ("all", {"face"}, "given_up"),
        ("none", {"asr", "face"}, "ok"),
        ("hearing", set(), "ok"),
    ],
)
def test_which_senses_are_needed_is_the_operators_choice(needs: str, gone: set[str], state: str) -> None:
    senses = Senses()
    senses.gone = frozenset(gone)
    found = Fitness(senses, ServerConfig(needs=needs))
    assert found.state == state
    if state == "ok":
        found.check()
        return
    with pytest.raises(Refused, match="cannot hear" if "asr" in gone else "cannot see") as error:
        found.check()
    assert (error.value.status, error.value.kind) == (503, "sense_given_up")


def test_senses_that_are_behind_take_no_more_calls() -> None:
    senses = Senses()
    found = Fitness(senses, ServerConfig(most_sense_lag=500 * MS))
    senses.late = 0.5
    found.check()
    senses.late = 0.6
    with pytest.raises(Refused, match="too busy to listen") as error:
        found.check()
    assert (error.value.status, error.value.kind) == (503, "senses_late")
    assert found.describe() == {"senses_late_s": 0.6}


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [("needs", "ears", "expected 'hearing', 'all' or 'none'"), ("most_sense_lag", 0, "expected more than 0")],
)
def test_a_wrong_setting_is_told(key: str, value: object, why: str) -> None:
    with pytest.raises(ConfigError, match=f"server.{key}.*{why}"):
        parse({"server": {key: value}}, "test")


@pytest.mark.slow
def test_the_server_says_so_and_takes_no_call_until_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with house(max_calls=4) as h:

            async def offered() -> httpx.Response:
                client = Client(video=False)
                h.clients.append(client)
                return await h.http.post("/api/offer", json=await client.offer())

            running = await h.call(client=Client(video=False))
            state: dict[str, Any] = {"gone": frozenset(), "late": 0.0}
            monkeypatch.setattr(h.runtime, "given_up", lambda: state["gone"])
            monkeypatch.setattr(h.runtime, "late_s", lambda: state["late"])
            for change, word, reason in (
                ({"gone": frozenset({"asr"})}, "given_up", "sense_given_up"),
                ({"gone": frozenset(), "late": 9.0}, "late", "senses_late"),
            ):
                state |= change
                ready = await h.http.get("/readyz")
                assert ready.status_code == 503
                assert (ready.json()["ready"], ready.json()["senses"]) == (False, word)
                refused = await offered()
                assert refused.status_code == 503
                assert int(refused.headers["retry-after"]) >= 5
                assert await h.metric(f'rapport_refused_total{{reason="{reason}"}}') == 1
            assert await h.metric("rapport_senses_late_seconds") == 9
            assert not h.runtime.ended.is_set(), "the call that runs goes on"
            state |= {"late": 0.0}
            ready = await h.http.get("/readyz")
            assert ready.status_code == 200
            assert "senses" not in ready.json()
            assert (await offered()).status_code == 200
            assert running.pc_id

    run(main)
