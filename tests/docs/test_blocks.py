"""Every code block of the documentation is run, or read as strictly as can be without running it."""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import io
import itertools
import json
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from agent import build, cli, config
from agent.journal import Note, as_json
from tests.docs.blocks import ROOT, Block, blocks, commands, every_block, pages
from tests.view import sample

OURS = ("agent", "perception", "policy", "server", "rapport_client")
FOREIGN = frozenset({"http", "sglang"})
"""Programs of others that pages name and that need not be here."""
KNOWN = frozenset(
    {
        "accelerate",
        "apt",
        "apt-get",
        "break",
        "cat",
        "chromium",
        "cd",
        "cp",
        "curl",
        "deactivate",
        "docker",
        "done",
        "echo",
        "export",
    }
    | {"ffmpeg", "for", "git", "gst-launch-1.0", "mkdir", "node", "npm", "npx", "openssl", "pip", "ros2", "source"}
    | {"colcon", "unshare", "vllm", "while", "whip-client", "xdg-open", "ls", "test", "jq", "grep"}
)
EVERY = every_block()
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def of(*languages: str) -> list[Block]:
    return [b for b in EVERY if b.language in languages and not b.test.startswith(("same as", "in "))]


@pytest.mark.parametrize("block", of("python", "py"), ids=str)
def test_python_compiles_and_what_it_imports_of_ours_is_there(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    client = ROOT / "clients" / "python" / "src"
    if client.is_dir():
        monkeypatch.syspath_prepend(str(client))
    tree = ast.parse(block.text, str(block))
    compile(block.text, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] in OURS:
                    importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in OURS:
            module = importlib.import_module(node.module)
            for alias in node.names:
                there = hasattr(module, alias.name) or importlib.util.find_spec(f"{node.module}.{alias.name}")
                assert there, f"{block}: {node.module} has no {alias.name}"


@pytest.mark.parametrize("block", of("toml"), ids=str)
def test_a_configuration_is_one(block: Block) -> None:
    loaded = config.parse(tomllib.loads(block.text), str(block))
    parts = [("worker", part) for part in loaded.workers]
    parts += [("policy", part) for part in (loaded.policy, *loaded.fallback)] + [("voice", loaded.voice)]
    for kind, part in parts:
        if "." not in part.use or part.use.partition(".")[0] in OURS:
            build.check(kind, part)


def test_json_is_json() -> None:
    for block in of("json", "jsonl"):
        try:
            json.loads(block.text)
        except ValueError:
            for line in block.text.splitlines():
                json.loads(line)


@pytest.mark.parametrize("block", of("bash", "sh", "shell", "console"), ids=str)
def test_commands_are_those_that_there_are(block: Block) -> None:
    for words in commands(block.text):
        wrong = _wrong(words)
        assert not wrong, f"{block}: {' '.join(words)}: {wrong}"


def _wrong(words: list[str]) -> str:
    """Say what is wrong with a command; nothing if it is one."""
    program = Path(words[0]).name
    if words[0] == ".":
        return ""
    if program == "agent":
        return _agent(words[1:])
    match program:
        case "python" | "python3":
            return _python(words[1:])
        case "pytest":
            return _tests(words[1:])
        case "make":
            names = [w for w in words[1:] if "=" not in w and not w.startswith("-")]
            gone = [n for n in names if not re.search(rf"^{re.escape(n)}:", MAKEFILE, re.MULTILINE)]
            return f"the Makefile has no {gone[0]}" if gone else ""
        case "pip":
            wanted = {x for w in words for group in re.findall(r"^\.\[(.*)\]$", w) for x in group.split(",")}
            gone = sorted(wanted - set(PROJECT["project"]["optional-dependencies"]))
            return f"there is no extra {gone[0]}" if gone else ""
        case "curl":
            return _curl(words[1:])
        case "mkdocs":
            return ""
    return "" if program in KNOWN or words[0].startswith("./") else "is a command that this test does not know"


def _agent(arguments: list[str]) -> str:
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
            cli._parser().parse_args(arguments)
    except SystemExit as ended:
        return "" if ended.code == 0 else told.getvalue().strip().splitlines()[-1]
    for name, value in itertools.pairwise(arguments):
        if name == "--config" and value.startswith("configs/") and "$" not in value and not (ROOT / value).is_file():
            return f"there is no {value}"
    return ""


def _python(arguments: list[str]) -> str:
    if arguments[:1] == ["-m"]:
        if arguments[1] in ("venv", "pip"):
            return ""
        if arguments[1] == "pytest":
            return _tests(arguments[2:])
        if arguments[1] == "agent":
            return _agent(arguments[2:])
        known = arguments[1].partition(".")[0] not in FOREIGN
        there = not known or importlib.util.find_spec(arguments[1]) is not None
        return "" if there else f"there is no module {arguments[1]}"
    script = next((a for a in arguments if a.endswith(".py")), "")
    if not script or (ROOT / script).is_file() or script in SAVED:
        return ""
    return f"there is no {script}"


SAVED = {b.file for b in EVERY if b.file}


def _tests(arguments: list[str]) -> str:
    gone = [a for a in arguments if a.startswith("tests/") and not (ROOT / a.partition("::")[0]).exists()]
    return f"there is no {gone[0]}" if gone else ""


@cache
def _routes() -> frozenset[str]:
    sources = [ROOT / "server.py", *(ROOT / "agent").rglob("*.py")]
    return frozenset(
        path
        for source in sources
        for path in re.findall(r"\bRoute\(\s*\"([^\"]+)\"", source.read_text(encoding="utf-8"))
    )


def _curl(arguments: list[str]) -> str:
    for argument in arguments:
        if re.match(r"https?://(127\.0\.0\.1|localhost):8080/", argument):
            path = urlsplit(argument).path
            known = any(re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", route), path) for route in _routes())
            if not known and path != "/":
                return f"the server has no {path}"
    return ""


def test_comments_name_what_there_is() -> None:
    for block in EVERY:
        if block.test.startswith("same as "):
            file = ROOT / block.test.removeprefix("same as ")
            assert block.text == file.read_text(encoding="utf-8"), f"{block} is not {file.name}"
        elif block.test.startswith("in "):
            assert (ROOT / block.test.removeprefix("in ")).is_file(), f"{block}: there is no {block.test[3:]}"
        else:
            assert block.test in ("", "run"), f"{block}: {block.test!r} says nothing to the test"
        assert not block.test or block.language, f"{block} says no language"


RUN = sorted({b.page for b in EVERY if b.test == "run"})


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
def test_what_is_meant_to_be_run_runs(page: str, tmp_path: Path) -> None:
    """In the order of the page, in one folder, in which there is the journal of a call, ``clip.jsonl``."""
    lines = [json.dumps(as_json(event)) + "\n" for event in sample.events(30.0) if not isinstance(event.body, Note)]
    (tmp_path / "clip.jsonl").write_text("".join(lines), encoding="utf-8")
    programs = str(Path(sys.executable).parent)
    path = os.pathsep.join([programs, os.environ.get("PATH", "")])
    env = {k: v for k, v in os.environ.items() if k != "RAPPORT_CONFIG"}
    env |= {"PATH": path, "XDG_STATE_HOME": str(tmp_path / "state"), "NO_COLOR": "1"}
    last = ""
    for block in [b for b in EVERY if b.page == page]:
        if block.file:
            saved = tmp_path / block.file
            saved.parent.mkdir(parents=True, exist_ok=True)
            saved.write_text(block.text, encoding="utf-8")
        if block.test != "run":
            if block.language == "text" and last:
                missing = [line for line in block.text.splitlines() if line.strip() and line not in last]
                assert not missing, f"{block}: is not what came out:\n{last}"
            continue
        run = [sys.executable, "-c", block.text] if not block.shell else ["bash", "-euo", "pipefail", "-c", block.text]
        done = subprocess.run(
            run,
            cwd=tmp_path,
            env=env | ({} if block.shell else {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{block}:\n{done.stdout}\n{done.stderr}"
        last = done.stdout if block.shell else ""


def test_every_page_is_seen_and_a_block_is_what_it_says() -> None:
    names = {p.relative_to(ROOT).as_posix() for p in pages()}
    assert {"README.md", "docs/tutorial/sense.md", "docs/reference/cli.md"} <= names
    assert "docs/tutorial/sense.md" in RUN
    made = blocks("a\n<!-- test: run -->\n  ```python\n  x = 1\n    y\n  ```\n<!-- file: b -->\nno\n```\n~\n```\n", "p")
    assert made == [Block("p", 3, "python", "x = 1\n  y\n", test="run"), Block("p", 9, "", "~\n")]
    with pytest.raises(ValueError, match="p:1: the block has no end"):
        blocks("```sh\nls\n", "p")
    line = "# no\nA=1 agent list | cat && make 'a;b' \\\n  c > out.txt 2>&1 # why; not\n"
    assert list(commands(line)) == [["agent", "list"], ["cat"], ["make", "a;b", "c"]]


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ("agent lisst", "invalid choice"),
        ("agent serve --prot 1", "unrecognized arguments: --prot 1"),
        ("agent bench --config configs/none.toml", "there is no configs/none.toml"),
        ("make cake", "the Makefile has no cake"),
        ("python -m benchmarks.none", "there is no module benchmarks.none"),
        ("python tools/none.py", "there is no tools/none.py"),
        ("python -m pytest tests/none.py", "there is no tests/none.py"),
        ("pip install -e .[nothing]", "there is no extra nothing"),
        ("curl http://127.0.0.1:8080/none", "the server has no /none"),
        ("rm -rf x", "is a command that this test does not know"),
    ],
)
def test_what_is_wrong_is_found(words: str, wrong: str) -> None:
    assert wrong in _wrong(words.split())
