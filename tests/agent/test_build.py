"""From a configuration to parts: mistakes are told before anything is loaded, and another mind stands in."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from agent import build
from agent.config import Config, ConfigError, Use
from agent.minds import Minds


def config(*minds: Use) -> Config:
    return Config(workers=(), policy=minds[0], fallback=minds[1:], voice=Use("plain"))


def nowhere(name: str) -> Path:
    raise AssertionError(f"{name} is not to be resolved")


def test_one_policy_is_itself() -> None:
    with build.runtime(config(Use("scripted")), nowhere) as runtime:
        assert not isinstance(runtime.parts.policy, Minds)
        found = runtime.describe()
        assert found.pop("privacy") == {"context": "personal", "affect": "on", "records": False, "notice": ""}
        assert found == {"policy": "scripted", "voice": "plain", "workers": [], "safety": "on"}


def test_a_mind_that_does_not_load_leaves_the_floor_to_the_next(tmp_path: Path) -> None:
    missing = Use("scripted", {"script": str(tmp_path / "no.toml")})
    with (
        structlog.testing.capture_logs() as logs,
        build.runtime(config(missing, Use("scripted")), nowhere) as runtime,
    ):
        found = runtime.describe()
    assert (found["policy"], found["minds"], found["speaks"]) == ("scripted", ["scripted", "scripted 2"], "scripted 2")
    (trouble,) = found["trouble"]
    assert trouble.startswith("scripted cannot be loaded: FileNotFoundError")
    (line,) = [entry for entry in logs if entry["event"] == "mind_not_loaded"]
    assert (line["log_level"], line["mind"]) == ("error", "scripted")


def test_patience_is_that_of_the_configuration() -> None:
    with build.runtime(config(Use("scripted"), Use("scripted", {"script": []})), nowhere) as runtime:
        policy = runtime.parts.policy
        assert isinstance(policy, Minds)
        call = Config().call
        assert (policy.patience.first, policy.patience.think, policy.patience.stall) == (
            call.mind_patience,
            call.mind_think,
            call.mind_stall,
        )
        assert "trouble" not in runtime.describe()


def test_the_last_mind_has_to_load(tmp_path: Path) -> None:
    missing = Use("scripted", {"script": str(tmp_path / "no.toml")})
    with pytest.raises(FileNotFoundError):
        build.runtime(config(Use("scripted"), missing), nowhere)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Use("scirpted"), "there is no policy 'scirpted'; there are: .*scripted"),
        (Use("scripted", {"scirpt": "x"}), "policy 'scripted': got an unexpected keyword argument 'scirpt'"),
        (Use("omni"), "policy 'omni': missing a required .*argument: 'checkpoint'"),
    ],
)
def test_a_mistake_stops_the_start_whoever_stands_behind(part: Use, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build.runtime(config(part, Use("scripted")), nowhere)
    with pytest.raises(ConfigError, match=message):
        build.runtime(config(Use("scripted"), part), nowhere)
