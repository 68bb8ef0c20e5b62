"""Tests that are spread over processes: who stays together, and who goes first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import spread

ROOT = Path(__file__).parent.parent

CONFTEST = """
from tests import spread

def pytest_configure(config):
    for plugin in spread.plugins(config):
        config.pluginmanager.register(plugin)
"""
TEST = """
import os, pathlib, time
def test_a(): note("a")
def test_b(): note("b")
def note(name):
    with open({log!r}, "a") as log:
        log.write(f"{file} {{os.getpid()}} {{os.nice(0)}} {{os.environ.get('OMP_NUM_THREADS')}}\\n")
    time.sleep(0.1)
"""


def test_what_waits_for_real_time_is_one_unit_and_a_file_is_another() -> None:
    assert spread.unit("tests/test_drain.py::test_a") == spread.unit("tests/e2e/test_browser.py::test_b[x]")
    assert spread.unit("tests/test_a.py::test_a[b::c]") == "tests/test_a.py"


def test_what_waits_for_real_time_goes_first_and_then_what_takes_long() -> None:
    names = ["tests/agent/test_a.py::t", f"{spread.LONG[-1]}::t", f"{spread.LONG[0]}::t", "tests/test_drain.py::t"]
    assert sorted(names, key=spread.place) == names[::-1]


@pytest.mark.parametrize("begin", [*spread.REAL_TIME, *spread.LONG])
def test_what_is_named_is_there(begin: str) -> None:
    assert list(ROOT.glob(f"{begin}*")), f"tests/spread.py names {begin}, which nothing begins with"


@pytest.mark.slow
def test_two_processes_share_the_tests_and_one_of_them_yields(tmp_path: Path) -> None:
    files = ["tests/test_drain.py", "tests/test_server.py", "tests/agent/test_x.py", "tests/test_y.py"]
    log = tmp_path / "log"
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n", encoding="utf-8")
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(TEST.format(log=str(log), file=name), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "xdist", "--numprocesses=2", "--dist=loadfile"],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
        | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 passed" in done.stdout.splitlines()[-1]
    lines = [line.split() for line in log.read_text(encoding="utf-8").splitlines()]
    real = {pid for name, pid, _, _ in lines if name.startswith(spread.REAL_TIME)}
    assert len(real) == 1, "they never run beside each other"
    assert len({pid for _, pid, _, _ in lines}) == 2
    for name in files:
        assert len({pid for n, pid, _, _ in lines if n == name}) == 1, "a file stays together"
    usual = os.nice(0)
    for name, pid, nice, threads in lines:
        assert int(nice) == (usual if pid in real else min(19, usual + spread.YIELD)), name
        assert threads == "1" or os.environ.get("OMP_NUM_THREADS") == threads
