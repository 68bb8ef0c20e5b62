"""Where the agent works has to be said, and at work and at school nothing that reads feelings is loaded."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from agent import cli
from agent.config import Config, ConfigError, Use, parse
from agent.privacy import deployment
from agent.privacy.options import CONTEXTS, DeploymentOptions
from agent.server_options import ServerConfig
from agent.token import new_key


def at(host: str, context: str = "") -> Config:
    return Config(server=ServerConfig(host=host), deployment=DeploymentOptions(context=context))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "kiosk.example"])
def test_where_others_can_come_in_the_place_has_to_be_named(host: str) -> None:
    with pytest.raises(ConfigError, match=r"\[deployment\] context = one of personal, kiosk, care"):
        deployment.check(at(host))
    for context in CONTEXTS:
        deployment.check(at(host, context))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_on_loopback_it_need_not_be(host: str) -> None:
    deployment.check(at(host))
    assert deployment.describe(at(host))["context"] == "personal"


def test_behind_a_proxy_it_has_to_be_named_too() -> None:
    config = Config(server=ServerConfig(host="127.0.0.1", public="yes"))
    with pytest.raises(ConfigError, match=r"server.public is .yes., so that others can come in"):
        deployment.check(config)


@pytest.mark.slow
def test_the_command_says_so_and_does_not_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new_key(tmp_path / "key")
    config = tmp_path / "street.toml"
    config.write_text(f'[server]\nhost = "0.0.0.0"\nkey_file = "{tmp_path / "key"}"\n')
    assert cli.main(["serve", "--config", str(config)]) == 2
    assert "deployment.context is not set" in capsys.readouterr().err


def test_a_place_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected one of personal, kiosk, care, research, workplace, education"):
        parse({"deployment": {"context": "office"}}, "rapport.toml")


@pytest.mark.parametrize("context", CONTEXTS)
def test_only_at_work_and_at_school_nothing_reads_feelings(context: str) -> None:
    config = dataclasses.replace(at("127.0.0.1", context), fallback=(Use("compact", {"adapter": "none"}),))
    fitted = deployment.fit(config)
    names = [part.use for part in fitted.workers]
    if context not in ("workplace", "education"):
        assert fitted == config
        assert deployment.describe(config)["affect"] == "on"
        return
    assert names == ["vad", "asr", "turn", "face", "gesture", "scene"]
    assert next(part for part in fitted.workers if part.use == "face").options == {"expressions": False}
    assert fitted.policy == Use("compact", {"hears": False})
    assert fitted.fallback == (Use("compact", {"adapter": "none", "hears": False}),)
    assert fitted.call.context.media_bytes == 0, "no mind is given sound or pictures"
    assert not fitted.call.keep_media
    assert deployment.describe(config)["affect"] == "off"
