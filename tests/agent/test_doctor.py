"""What the examinations find on machines that are fit and on ones that are not."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from agent import doctor, token
from agent.config import Config, ConfigError, Use
from agent.doctor import Finding, examine
from agent.doors import key_of
from agent.models import Store
from agent.safety_options import SafetyOptions
from agent.server_options import ServerConfig
from tests.docs.blocks import ROOT


def found(name: str, **options: object) -> list[Finding]:
    options.setdefault("needed", [])
    options.setdefault("config", server())
    return [finding for finding in examine(**options) if finding.name == name]  # type: ignore[arg-type]


def server(host: str = "127.0.0.1", port: int = 0) -> Config:
    return Config(server=ServerConfig(host=host, port=port), policy=Use("scripted"))


def test_every_topic_is_examined_and_every_problem_has_a_fix() -> None:
    findings = examine(server(), needed=[])
    assert [f.name for f in findings if f.name != "packages"] == [
        "python",
        "models",
        "port",
        "reach",
        "cores",
        "memory",
        "camera",
        "microphone",
        "telemetry",
        "safety",
        "mind",
    ]
    assert all(f.state in ("ok", "warn", "fail") and bool(f.fix) == (f.state != "ok") for f in findings)


def test_the_memory_that_is_needed_is_that_which_the_pages_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_free_memory_mb", lambda: 2400.0)
    (finding,) = found("memory")
    assert (finding.state, finding.what) == ("warn", "2400 MB free, about 2500 MB needed")
    for page in ("README.md", "docs/quickstart/robot.md"):
        words = " ".join((ROOT / page).read_text(encoding="utf-8").split())
        assert "2.5 GB of free memory" in words, page


def test_a_taken_port_is_a_failure_and_a_free_one_is_not() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (finding,) = found("port", config=server(port=port))
        assert finding.state == "fail"
        assert str(port) in finding.what
        assert "server.port" in finding.fix
    assert found("port", config=server(port=port))[0].state == "ok"


def test_an_address_that_is_not_ours_is_a_failure() -> None:
    (finding,) = found("port", config=server(host="192.0.2.1"))
    assert finding.state == "fail"
    assert "address of this machine" in finding.fix


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_listening_on_every_address_needs_a_key(host: str, tmp_path: Path) -> None:
    (finding,) = found("reach", config=server(host=host))
    assert finding.state == "fail"
    assert finding.what == str(raised(ServerConfig(host=host)))
    assert "127.0.0.1" in finding.fix
    token.new_key(tmp_path / "key")
    config = Config(server=ServerConfig(host=host, port=0, key_file=str(tmp_path / "key")), policy=Use("scripted"))
    (guarded,) = found("reach", config=config)
    assert guarded.state == "warn"
    assert "TLS" in guarded.fix


def raised(server: ServerConfig) -> ConfigError:
    with pytest.raises(ConfigError) as error:
        key_of(server)
    return error.value


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_listening_at_home_is_not(host: str) -> None:
    assert found("reach", config=server(host=host))[0].state == "ok"


def test_missing_and_unknown_models_are_failures(tmp_path: Path) -> None:
    missing = found("models", needed=["fer", "facex"], store=Store(tmp_path))
    assert [(f.state, f.fix) for f in missing] == [
        ("fail", "agent models fetch fer"),
        ("fail", "agent models fetch facex"),
    ]
    (unknown,) = found("models", needed=["ferr"], store=Store(tmp_path))
    assert unknown.state == "fail"
    assert "'fer'" in unknown.what


@pytest.mark.models
@pytest.mark.slow
def test_the_default_models_are_there() -> None:
    (finding,) = found("models", needed=None)
    assert finding.state == "ok"
    assert "12 verified" in finding.what


def minds(*chain: Use, store: Store | None = None) -> list[tuple[str, str, str]]:
    config = Config(server=ServerConfig(port=0), policy=chain[0], fallback=chain[1:])
    return [(f.state, f.what, f.fix) for f in found("mind", config=config, store=store)]


def test_who_speaks_is_told() -> None:
    assert minds(Use("scripted")) == [("ok", "scripted is to speak", "")]
    assert minds(Use("scripted"), Use("scripted", {"script": []})) == [
        ("ok", "scripted is to speak", ""),
        ("ok", "scripted 2 stands behind scripted", ""),
    ]


def test_why_a_mind_does_not_speak_is_told_with_its_fix(tmp_path: Path) -> None:
    small = Use("scripted")
    gone = {"checkpoint": str(tmp_path / "omni")}
    folder, behind = minds(Use("omni", gone), small)
    assert folder[0] == "warn"
    assert folder[1].startswith(f"omni: checkpoint = '{tmp_path / 'omni'}' is not there; ")
    (named, _) = minds(Use("omni", {"checkpoint": "omnni"}), small)
    assert named[1].startswith("omni: there is no folder and no model 'omnni'")
    assert folder[1].endswith("scripted is to speak meanwhile")
    assert behind == ("ok", "scripted is to speak", "")
    assert minds(small, Use("omni", gone))[1][0] == "fail", "the last one has to be there"
    (stored, _) = minds(Use("omni", {"checkpoint": "smollm2"}), small, store=Store(tmp_path))
    assert stored[1:] == (
        "omni: the model 'smollm2' is not there; scripted is to speak meanwhile",
        "agent models fetch smollm2",
    )
    (tmp_path / "omni").mkdir()
    assert minds(Use("omni", gone), small)[0] == ("ok", "omni is to speak", "")
    ((state, what, fix),) = minds(Use("omni"), small)
    assert (state, fix) == ("fail", "mend policy and fallback in the configuration")
    assert what.startswith("policy 'omni': missing a required")
    assert "'checkpoint'" in what


def test_a_server_is_knocked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "policy_of_ours.py").write_text("def load(*, resolve, url): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        served = Use("served.policy_of_ours", {"url": url})
        (there, _) = minds(served, Use("scripted"))
    (gone, _) = minds(served, Use("scripted"))
    assert there == ("ok", "served.policy_of_ours is to speak", "")
    assert gone[0] == "warn"
    assert gone[1].startswith(f"served.policy_of_ours: nothing answers at {url} (")
    assert gone[2] == "start that server, or correct url in the configuration"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="devices are files on Linux only")
def test_devices_of_this_machine_are_named(tmp_path: Path) -> None:
    (tmp_path / "snd").mkdir()
    (tmp_path / "snd" / "pcmC0D0c").touch()
    (tmp_path / "snd" / "pcmC0D0p").touch()
    (camera,) = found("camera", devices=tmp_path)
    assert (camera.state, camera.what.startswith("none")) == ("ok", True)
    (microphone,) = found("microphone", devices=tmp_path)
    assert (microphone.state, microphone.what) == ("ok", str(tmp_path / "snd" / "pcmC0D0c"))


@pytest.mark.slow
@pytest.mark.parametrize(("first", "state"), [("import onnxruntime", "fail"), ("import perception.onnx", "ok")])
def test_reports_of_onnxruntime_are_off_unless_it_came_first(first: str, state: str) -> None:
    look = "print([f.state for f in doctor.examine(needed=[]) if f.name == 'telemetry'])"
    code = f"{first}\nfrom agent import doctor\n{look}"
    # The switch is set for the child as well, so that this test itself reports nothing.
    import perception.onnx  # noqa: F401

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == f"['{state}']"


@pytest.mark.parametrize(("locale", "state"), [("", "ok"), ("GB", "ok"), ("DE", "warn")])
def test_a_country_that_speaks_another_language_is_warned_of(locale: str, state: str) -> None:
    given = Config(safety=SafetyOptions(locale=locale), policy=Use("scripted"))
    found = [f for f in examine(given, needed=[]) if f.name == "safety"]
    assert [f.state for f in found] == [state]
    assert bool(found[0].fix) == (state == "warn")
