"""What ships inside the package: what is found of it, its checksums, and the tool that writes them."""

from __future__ import annotations

import argparse
import json
import re
import runpy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent import cli, manifest, models, shipped
from agent.shipped import SHIPPED, SUMS, ChecksumError, read_sums, split, verify

ROOT = Path(__file__).parent.parent.parent
BASE = "smollm2 (llama, 30 layers of 576, 49152 tokens)"
LIMIT = 16_000_000
"""Bytes that the adapter and its projectors may take in the package."""

Tool = Callable[[Sequence[str]], int]


@pytest.fixture(scope="module")
def tool() -> Tool:
    main: Tool = runpy.run_path(str(ROOT / "tools" / "checksums.py"), run_name="checksums")["main"]
    return main


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with all that ships, without checksums."""
    folder = tmp_path / "data"
    (folder / "listener").mkdir(parents=True)
    for thing in SHIPPED:
        for name in thing.files:
            (folder / name).write_bytes(name.encode())
    (folder / "listener" / "listener.json").write_text(json.dumps({"format": 1, "base": BASE}), encoding="utf-8")
    return folder


@pytest.fixture
def summed(data: Path, tool: Tool) -> Path:
    """The same with checksums."""
    assert tool([str(data)]) == 0
    return data


WELL = {thing.name: "ok" for thing in SHIPPED}


def owner_of(name: str) -> str:
    return next(thing.name for thing in SHIPPED if name in thing.files)


def states(folder: Path) -> dict[str, str]:
    return {found.shipped.name: found.state for found in verify(data=folder)}


def problem(folder: Path, name: str) -> str:
    (found,) = verify([name], folder)
    return found.problem


def test_all_is_well_with_size_and_base(summed: Path) -> None:
    listener, head, _ = verify(data=summed)
    assert (listener.state, head.state) == ("ok", "ok")
    assert (listener.problem, head.problem) == ("", "")
    assert (listener.path, head.path) == (summed / "listener", summed / "head.safetensors")
    assert (listener.base, head.base) == (BASE, "minilm")
    assert head.size == len("head.safetensors")
    assert listener.size == sum(path.stat().st_size for path in (summed / "listener").iterdir())


def test_without_checksums_it_says_what_was_not_compared(data: Path) -> None:
    for found in verify(data=data):
        assert found.state == "ok"
        assert found.problem == f"not compared with checksums: {data / SUMS} is missing"


@pytest.mark.parametrize("name", [name for thing in SHIPPED for name in thing.files])
def test_a_missing_file_is_named_whatever_the_checksums(summed: Path, name: str) -> None:
    owner = owner_of(name)
    (summed / name).unlink()
    assert states(summed) == WELL | {owner: "missing"}
    assert problem(summed, owner) == f"{summed / name} is missing"
    (summed / SUMS).unlink()
    assert states(summed)[owner] == "missing"


@pytest.mark.parametrize("name", ["listener/senses.safetensors", "listener/README.md", "head.safetensors"])
def test_an_altered_byte_is_found(summed: Path, name: str) -> None:
    owner = owner_of(name)
    before = (summed / name).read_bytes()
    (summed / name).write_bytes(before[:-1] + b"!")
    assert states(summed) == WELL | {owner: "altered"}
    assert problem(summed, owner) == f"{summed / name} has been altered (wrong sha256)"
    (summed / name).write_bytes(before)
    assert states(summed)[owner] == "ok"


def test_a_stray_file_is_found_and_a_hidden_one_is_not(summed: Path) -> None:
    (summed / "listener" / ".DS_Store").write_text("")
    (summed / "builtin.toml").write_text("")
    assert states(summed) == WELL
    (summed / "listener" / "optimizer.safetensors").write_text("")
    assert states(summed) == WELL | {"listener": "altered"}
    assert problem(summed, "listener").endswith("optimizer.safetensors does not belong to it")


def test_a_file_without_a_checksum_is_not_trusted(summed: Path) -> None:
    lines = (summed / SUMS).read_text().splitlines(keepends=True)
    (summed / SUMS).write_text("".join(line for line in lines if "senses" not in line))
    assert states(summed) == WELL | {"listener": "altered"}
    assert f"senses.safetensors has no checksum in {summed / SUMS}" in problem(summed, "listener")


@pytest.mark.parametrize(
    ("card", "told"),
    [
        ('{"base": "gpt2 (gpt2, 12 layers of 768, 50257 tokens)"}', "trained on 'gpt2 .*, and 'smollm2' is what"),
        ('{"base": 3}', "trained on 3"),
        ("{}", "names no base"),
        ("no json", "names no base"),
        ("[]", "names no base"),
    ],
)
def test_an_adapter_of_another_base_is_told(data: Path, tool: Tool, card: str, told: str) -> None:
    (data / "listener" / "listener.json").write_text(card)
    assert tool([str(data)]) == 0
    assert states(data) == WELL | {"listener": "altered"}
    assert re.search(told, problem(data, "listener"))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("0" * 63 + "  head.safetensors", "line 3: '0.*' is no sha256 and path"),
        ("0" * 64 + " head.safetensors", "line 3"),
        ("0" * 64 + "  ../head.safetensors", "inside the folder"),
        ("0" * 64 + "  /head.safetensors", "inside the folder"),
        ("", "line 3: '' is no"),
        ("0" * 64 + "  a", "a stands there twice"),
    ],
    ids=["short", "one space", "outside", "absolute", "empty", "twice"],
)
def test_a_line_that_is_none_is_told_and_nothing_is_trusted(data: Path, line: str, told: str) -> None:
    (data / SUMS).write_text(f"{'0' * 64}  a\n{'0' * 64} *b\n{line}\n")
    with pytest.raises(ChecksumError, match=told):
        read_sums(data)
    assert states(data) == dict.fromkeys(WELL, "altered")


def test_the_tool_writes_what_sha256sum_reads(summed: Path) -> None:
    lines = (summed / SUMS).read_text().splitlines()
    assert lines == [f"{models.sha256(summed / name)}  {name}" for name in sorted(read_sums(summed) or {})]
    assert sorted(read_sums(summed) or {}) == sorted(name for thing in SHIPPED for name in thing.files)


def test_the_tool_writes_nothing_over_half_a_model(
    summed: Path, tool: Tool, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (summed / SUMS).read_bytes()
    (summed / "listener" / "senses.safetensors").unlink()
    (summed / "listener" / "state.json").write_text("{}")
    assert tool([str(summed)]) == 1
    told = capsys.readouterr().err
    assert "senses.safetensors is missing" in told
    assert "state.json does not belong to listener" in told
    assert (summed / SUMS).read_bytes() == before


def test_the_tool_checks(summed: Path, tool: Tool, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool(["--check", str(summed)]) == 0
    before = (summed / SUMS).read_bytes()
    (summed / "head.safetensors").write_text("other")
    with (summed / SUMS).open("a") as sums:
        sums.write("0" * 64 + "  embeddings.npz\n")
    assert tool(["--check", str(summed)]) == 1
    told = capsys.readouterr().err
    assert "head.safetensors has been altered" in told
    assert "names embeddings.npz, which does not ship" in told
    assert (summed / SUMS).read_bytes().startswith(before)
    (summed / SUMS).unlink()
    assert tool(["--check", str(summed)]) == 1


def test_names_are_split() -> None:
    assert split([]) == (None, None)
    assert split(["minilm", "head", "listener"]) == (["minilm"], ["head", "listener"])
    assert split(["head"]) == ([], ["head"])


def test_no_name_is_that_of_a_fetched_model_and_all_that_is_needed_can_be_fetched() -> None:
    known = manifest.manifest().models
    assert not {thing.name for thing in SHIPPED} & set(known)
    assert {thing.needs for thing in SHIPPED} <= set(known)


def run(verb: Callable[[argparse.Namespace], int], *names: str) -> int:
    return verb(argparse.Namespace(names=list(names)))


@pytest.fixture
def asked(summed: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The command line sees this folder and no fetched models; gives the names of those that it asked for."""
    found = list[Any]()

    def none(names: Sequence[str] | None = None) -> list[models.Check]:
        found.append(names)
        return []

    monkeypatch.setattr(shipped, "DATA", summed)
    monkeypatch.setattr(models, "catalogue", list)
    monkeypatch.setattr(models, "verify", none)
    return found


def test_the_command_line_lists_it(asked: list[Any], summed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (summed / "listener" / "adapter_model.safetensors").open("ab") as weights:
        weights.truncate(14_000_000)
    assert run(cli._models_list) == 0
    first, second, third, *_ = capsys.readouterr().out.splitlines()
    assert first.split()[:5] == ["listener", "altered", "14.0", "MB", "Apache-2.0"]
    assert second.strip() == f"ships with this package; needs {BASE}"
    assert third.split()[:5] == ["head", "ok", "0.0", "MB", "Apache-2.0"]
    assert asked


def test_the_command_line_verifies_it(asked: list[Any], summed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli._models_verify) == 0
    (summed / "head.safetensors").unlink()
    assert run(cli._models_verify, "listener", "minilm") == 0
    capsys.readouterr()
    assert run(cli._models_verify, "head") == cli.NO_MODELS
    told = capsys.readouterr()
    assert told.out.split()[:2] == ["head", "missing"]
    assert "install the package anew" in told.err
    assert told.err.rstrip().endswith(": head")
    assert asked == [None, ["minilm"], []]


def test_the_files_are_those_that_the_listener_reads() -> None:
    from policy import head
    from policy.listener import CARD, LORA, LORA_CONFIG, SENSES
    from policy.lm import ADAPTER
    from policy.safety import classifier

    listener, prior, reader = SHIPPED
    assert {f"listener/{name}" for name in (CARD, LORA, LORA_CONFIG, SENSES)} == set(listener.files) - {
        "listener/README.md"
    }
    assert shipped.DATA / listener.folder == ADAPTER
    assert shipped.DATA / prior.files[0] == head.FILE
    assert shipped.DATA / reader.files[0] == classifier.FILE


@pytest.mark.parametrize("name", [thing.name for thing in SHIPPED])
def test_what_ships_is_whole(name: str) -> None:
    (found,) = verify([name])
    assert (found.state, found.problem) == ("ok", ""), "after training or an edit: python tools/checksums.py"
    assert found.size <= LIMIT


def test_the_adapter_names_its_base_and_no_folder_of_a_machine() -> None:
    config = json.loads((shipped.DATA / "listener" / "adapter_config.json").read_text(encoding="utf-8"))
    assert "/cache" not in json.dumps(config)
    assert not Path(config["base_model_name_or_path"]).is_absolute()


def test_the_model_card_names_base_and_licence_and_has_nothing_left_to_do() -> None:
    card = (shipped.DATA / "listener" / "README.md").read_text(encoding="utf-8")
    front, _, body = card.removeprefix("---\n").partition("\n---\n")
    assert "license: apache-2.0" in front.splitlines()
    assert "base_model: HuggingFaceTB/SmolLM2-135M-Instruct" in front.splitlines()
    assert body
    assert "TODO" not in body
