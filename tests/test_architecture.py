"""The arrows: cli -> server -> agent -> policy -> perception -> nothing, and parts never know each other."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PARTS = {
    "perception/workers": "perception.workers",
    "policy/backends": "policy.backends",
    "agent/voices": "agent.voices",
    "agent/transports": "agent.transports",
    "policy/tasks": "policy.tasks",
}
PACKAGES = ("agent", "perception", "policy")
SOURCES = [ROOT / "server.py", *(p for d in PACKAGES for p in sorted((ROOT / d).rglob("*.py")))]


def imports(path: Path) -> list[str]:
    """Dotted names that ``path`` imports, ``from a import b`` as ``a.b`` and ``a``."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the full name"
            assert node.module is not None
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def breaches(path: Path, banned: tuple[str, ...]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for name in imports(path)
        if any(name == b or name.startswith(f"{b}.") for b in banned)
    ]


@pytest.mark.parametrize(
    ("package", "banned"),
    [
        ("perception", ("agent", "policy", "server", "asyncio", "threading")),
        ("policy", ("agent", "server")),
        ("agent", ("server",)),
    ],
)
def test_arrows_point_down(package: str, banned: tuple[str, ...]) -> None:
    found = [b for p in sorted((ROOT / package).rglob("*.py")) for b in breaches(p, banned)]
    # The command line opens the door, inside `serve` only.
    found = [b for b in found if b != "agent/cli.py imports server"]
    assert not found


def test_perception_reads_no_clock() -> None:
    found = [b for p in sorted((ROOT / "perception").rglob("*.py")) for b in breaches(p, ("time", "datetime"))]
    assert not found


@pytest.mark.parametrize("folder", PARTS)
def test_parts_do_not_know_each_other(folder: str) -> None:
    """Modules of one folder share code through private ``_x.py`` neighbours or the package above, not each other."""
    package = PARTS[folder]
    modules = [p for p in sorted((ROOT / folder).glob("*.py")) if not p.name.startswith("_")]
    found = []
    for path in modules:
        others = tuple(f"{package}.{p.stem}" for p in modules if p != path)
        found += breaches(path, (*others, "agent.loop", "agent.build", "agent.cli"))
    assert modules
    assert not found


def test_only_build_imports_parts() -> None:
    parts = tuple(
        f"{package}.{p.stem}"
        for folder, package in PARTS.items()
        for p in (ROOT / folder).glob("*.py")
        if p.stem != "__init__"
    )
    outside = [p for p in SOURCES if p.parent.relative_to(ROOT).as_posix() not in PARTS and p.name != "build.py"]
    found = [b for p in outside for b in breaches(p, parts)]
    # The server is the door that callers come in by: it hands offers and sockets to these two transports.
    doors = ("server.py imports agent.transports.webrtc", "server.py imports agent.transports.websocket")
    assert not [b for b in found if not b.startswith(doors)]


def test_only_the_command_line_imports_the_server_and_only_to_serve() -> None:
    tree = ast.parse((ROOT / "agent" / "cli.py").read_text(encoding="utf-8"))
    at_top = {n.name for node in tree.body if isinstance(node, ast.Import) for n in node.names}
    assert "server" not in at_top


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_modules_stay_small(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 400, f"{path.name} has {lines} lines; split it"


def test_no_worker_loads_a_pickle() -> None:
    found = [b for p in SOURCES for b in breaches(p, ("pickle", "joblib", "dill", "cloudpickle"))]
    loads = [p.name for p in SOURCES if "torch.load(" in p.read_text(encoding="utf-8")]
    assert not found
    assert not loads
