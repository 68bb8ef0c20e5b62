"""Code blocks of Markdown pages, and what the comment above one says about it.

``<!-- test: run -->`` runs a block; ``<!-- file: NAME -->`` saves it under that name for the blocks below it;
``<!-- test: same as FILE -->`` says that it is a file of the repository, whole; ``<!-- test: in FILE -->`` names the
test that runs it. Without a comment a block is read: Python is compiled and its imports are looked up, TOML has to be a
configuration, and each command has to be one that there is.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_OPEN: Final = re.compile(r"^(?P<indent>\s*)(?P<fence>`{3,}|~{3,})\s*(?P<language>[\w+-]*)(?P<rest>.*)$")
_COMMENT: Final = re.compile(r"^\s*<!--\s*(test|file):\s*(.*?)\s*-->\s*$")
_SHELL: Final = frozenset({"bash", "sh", "shell", "console"})
_GLUE: Final = re.compile(r"&&|\|\||[;|]|(?<!>)&(?![>&])")
_SET: Final = re.compile(r"^[A-Za-z_]\w*=")


@dataclass(frozen=True)
class Block:
    """A code block.

    Attributes:
        page: where it stands, relative to the repository.
        line: the line of its first fence, from 1.
        language: what the fence says, in small letters.
        text: without its indentation.
        test: what the comment above says of its test.
        file: the name under which the comment above saves it.
    """

    page: str
    line: int
    language: str
    text: str
    test: str = ""
    file: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def shell(self) -> bool:
        """Whether it holds commands."""
        return self.language in _SHELL


def pages() -> list[Path]:
    """Return every page whose blocks are tested."""
    found = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    for folder in ("clients", "examples"):
        found += [p for p in (ROOT / folder).rglob("*.md") if "node_modules" not in p.parts]
    return sorted(found)


def blocks(text: str, page: str) -> list[Block]:
    """Return the code blocks of a page."""
    found: list[Block] = []
    lines = iter(enumerate(text.splitlines(), 1))
    told: dict[str, str] = {}
    for number, line in lines:
        comment, opened = _COMMENT.match(line), _OPEN.match(line)
        if opened:
            indent, fence = len(opened["indent"]), opened["fence"]
            inside: list[str] = []
            for _, inner in lines:
                if inner.strip() == fence[0] * max(len(fence), len(inner.strip())) and inner.strip():
                    break
                inside.append(inner[min(indent, len(inner) - len(inner.lstrip())) :])
            else:
                raise ValueError(f"{page}:{number}: the block has no end")
            body = "\n".join(inside) + "\n"
            known = {key: told.get(key, "") for key in ("test", "file")}
            found.append(Block(page, number, opened["language"].lower(), body, **known))
            told = {}
        elif comment:
            told[comment[1]] = comment[2]
        elif line.strip():
            told = {}
    return found


def every_block() -> list[Block]:
    """Return the blocks of every page."""
    return [b for p in pages() for b in blocks(p.read_text(encoding="utf-8"), p.relative_to(ROOT).as_posix())]


def commands(text: str) -> Iterator[list[str]]:
    """Return the simple commands of a shell block as words, without what they are given and where they write."""
    whole = re.sub(r"\\\n\s*", " ", text)
    for line in whole.splitlines():
        bare = line.strip().removeprefix("$ ")
        if not bare or bare.startswith("#"):
            continue
        for part in _parts(bare):
            words = shlex.split(part, comments=True)
            while words and (_SET.match(words[0]) or words[0] in ("do", "exec", "nice", "sudo", "then", "time")):
                words = words[1:]
            if ">" in words:
                words = words[: words.index(">")]
            words = [w for w in words if not re.match(r"^\d*>", w)]
            if words:
                yield words


def _parts(line: str) -> Iterator[str]:
    """Split a line at what joins commands, outside of quotes."""
    quoted = [(m.start(), m.end()) for m in re.finditer(r"'[^']*'|\"[^\"]*\"|#.*$", line)]
    begin = 0
    for joint in _GLUE.finditer(line):
        if any(a <= joint.start() < b for a, b in quoted):
            continue
        yield line[begin : joint.start()]
        begin = joint.end()
    yield line[begin:]
