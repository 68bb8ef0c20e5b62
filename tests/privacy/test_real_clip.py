"""Real processes with the real senses, in a network of their own that leads nowhere, where the system allows one.

One process lets a clip be the caller at home, with a journal that keeps words; another does so at work. Both are
watched: every attempt of Python code to reach an address is noted by an audit hook, and what any code sends, also
native code, is counted by the kernel in that network.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from agent.privacy.journal_file import lines_of
from agent.privacy.ledger import Ledger
from agent.privacy.masking import BODY, PREFIX, SERIES
from tests import scenes

pytestmark = [pytest.mark.slow, pytest.mark.models]

ROOT = Path(__file__).parent.parent.parent

AFFECT = {
    "perception.emotion",
    "perception.expressing",
    "perception.manner",
    "perception.prosody",
    "perception.workers.prosody",
}
"""Modules that read feelings from faces and voices."""

SPY = """
import json, sys
tried = []
def look(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg") and not isinstance(args[1], (str, bytes)):
        tried.append([event, str(args[1])])
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        tried.append([event, str(args[0])])
sys.addaudithook(look)
"""

AGENT = """
from agent import cli
from perception.offline import stay_local
stay_local()
code = cli.main(sys.argv[1:])
"""

REACH = """
import socket
for act in (lambda: socket.create_connection(("192.0.2.1", 443), 1), lambda: socket.getaddrinfo("example.org", 443)):
    try:
        act()
    except OSError:
        pass
code = 0
"""

TELL = """
def counters():
    found = {}
    lines = [line.split() for line in open("/proc/net/snmp")]
    for names, values in zip(lines[::2], lines[1::2]):
        found.update({names[0][:-1] + "." + n: int(v) for n, v in zip(names[1:], values[1:])})
    found.update({k: int(v) for k, v in (line.split() for line in open("/proc/net/snmp6"))})
    return found
sent = counters()
print(json.dumps({"code": code, "tried": tried, "sent": sent, "modules": sorted(sys.modules)}))
"""

COUNTED = (
    "Tcp.ActiveOpens",
    "Udp.OutDatagrams",
    "Ip.OutRequests",
    "Ip.OutNoRoutes",
    "Ip6OutRequests",
    "Ip6OutNoRoutes",
)


@cache
def apart() -> list[str]:
    """The words in front of a command that give it a network without any way out; none where that is not permitted."""
    tool = shutil.which("unshare")
    if tool is None:
        return []
    found = [tool, "-rn"]
    done = subprocess.run([*found, "true"], capture_output=True, timeout=20, check=False)
    return found if done.returncode == 0 else []


@dataclass(frozen=True)
class Ran:
    """What came of a process."""

    events: list[dict[str, Any]]
    tried: list[list[str]]
    sent: dict[str, int]
    modules: frozenset[str]

    @property
    def kinds(self) -> set[str]:
        return {str(event.get("kind")) for event in self.events}


def run(folder: Path, code: str, *arguments: str) -> Ran:
    done = subprocess.run(
        [*apart(), sys.executable, "-c", SPY + code + TELL, *arguments],
        cwd=ROOT,
        env=os.environ | {"RAPPORT_STATE": str(folder / "state"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *events, last = (json.loads(line) for line in done.stdout.splitlines())
    assert last["code"] == 0, done.stderr
    return Ran(events, last["tried"], last["sent"], frozenset(last["modules"]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("real")


@pytest.fixture(scope="module")
def clip(folder: Path) -> Path:
    return scenes.cut(scenes.crying_to_joyful(folder).path, folder / "short.mp4", 9)


def configured(folder: Path, context: str, workers: str = "") -> Path:
    path = folder / f"{context}.toml"
    path.write_text(
        f'{workers}policy = "scripted"\nvoice = "plain"\n[deployment]\ncontext = "{context}"\n'
        f'[journal]\ndirectory = "{folder / context}"\npersonal = true\n'
    )
    return path


@pytest.fixture(scope="module")
def home(folder: Path, clip: Path) -> Ran:
    return run(folder, AGENT, "replay", str(clip), "--json", "--config", str(configured(folder, "personal")))


@pytest.fixture(scope="module")
def work(folder: Path, clip: Path) -> Ran:
    config = configured(folder, "workplace", 'workers = ["vad", "asr", "prosody", "face"]\n')
    return run(folder, AGENT, "replay", str(clip), "--json", "--config", str(config))


def test_the_spies_see_what_tries_to_get_out(folder: Path) -> None:
    found = run(folder, REACH)
    assert ["socket.getaddrinfo", "example.org"] in found.tried
    assert any("192.0.2.1" in where for event, where in found.tried if event == "socket.connect")
    if apart():
        assert found.sent["Ip.OutNoRoutes"] > 0


def test_nothing_tries_to_reach_anybody(home: Ran, work: Ran) -> None:
    for found in (home, work):
        assert found.events
        assert not found.tried, "Python code, of the libraries too"


def test_no_packet_is_sent_by_native_code_either(home: Ran, work: Ran) -> None:
    if not apart():
        pytest.skip("unshare -rn is not permitted here; the audit hook of the test above still looked")
    for found in (home, work):
        assert {name: found.sent.get(name, 0) for name in COUNTED} == dict.fromkeys(COUNTED, 0)


def test_at_work_none_of_the_affect_code_is_loaded_and_it_answers_all_the_same(home: Ran, work: Ran) -> None:
    assert home.modules >= AFFECT, "elsewhere it is, or this would show nothing"
    assert {"expression", "prosody"} <= home.kinds
    assert not work.modules & AFFECT
    assert not work.kinds & {"expression", "prosody"}
    assert {"transcript", "face", "gaze"} <= work.kinds
    faces = [e["data"] for e in work.events if e.get("kind") == "face" and e["label"] == "present"]
    assert faces
    assert not [data for data in faces if data.keys() & {"smile", "brow_up", "brow_down", "jaw_open"}]
    assert [e for e in work.events if e["type"] == "decision" and e["action"] == "speak"]


def test_no_shape_of_a_face_and_no_print_of_a_voice_is_in_a_real_journal(folder: Path, home: Ran) -> None:
    assert any(set(e.get("data", {})) & BODY for e in home.events), "they were measured, in memory"
    (path,) = (folder / "personal").glob("*.jsonl")
    lines = lines_of(path)
    seen = {line["kind"] for line in lines if line["type"] == "percept"}
    assert {"face", "expression", "prosody", "gaze", "transcript"} <= seen
    assert "pii.text" in path.read_text(), "words were allowed, and are there"
    for line in lines:
        for keys, value in _leaves(line):
            assert keys[-1] not in BODY, line
            if isinstance(value, list) and any(isinstance(number, float) for number in value):
                assert keys[-1] in SERIES, line
    for event in home.events:
        for name, value in event.get("data", {}).items():
            assert name in SERIES or not isinstance(value, list), "nor is a series of numbers in what a client is sent"


def _leaves(value: Any, keys: tuple[str, ...] = ("",)) -> list[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in _leaves(inner, (*keys, key.removeprefix(PREFIX)))]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [found for inner in value for found in _leaves(inner, keys)]
    return [(keys, value)]


def test_what_a_person_said_or_looked_like_stands_only_under_pii(folder: Path, home: Ran) -> None:
    (path,) = (folder / "personal").glob("*.jsonl")
    lines = lines_of(path)
    words = {w for e in home.events if e["type"] == "turn" for w in re.findall(r"\w{5,}", e["text"])}
    assert words
    bare = json.dumps([{k: v for k, v in line.items() if not k.startswith(PREFIX)} for line in lines])
    assert not [word for word in words if re.search(rf"\b{word}\b", bare)]
    assert not re.search(r'"(sad|fear|angry|happy|disgust|surprise|trembling|flat)"', bare)


def test_that_it_was_agreed_to_is_stored_for_a_file_too(folder: Path, home: Ran) -> None:
    assert home.events
    entry = Ledger(folder / "state").entries()[0]
    assert (entry.event, entry.by, entry.senses) == ("given", "application", None)
