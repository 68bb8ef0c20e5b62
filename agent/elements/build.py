"""Puts the ES modules of the elements together, one each, from ``agent/elements/src``.

Modules are put one after the other, each in a function of its own, so that their names cannot meet. Of the language
of modules the sources use what stands at the beginning of a line: ``import { a, b as c } from "./x.js"``, ``export``
before a declaration, and ``import NAME from "./x.css"`` (text) or ``"./x.html"`` (a tree of [name, attributes,
children]: no page has to allow HTML from strings). Nothing else is changed: what an error quotes is what a source says.

``python -m agent.elements.build FOLDER`` writes them, for the npm package; it needs the standard library alone.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

SOURCES: Final = Path(__file__).parent / "src"
MAINS: Final = {"rapport-call": "element.js", "rapport-face": "face_element.js"}
"""By the element that a module is of, the source that it begins with."""

_NAMES: Final = re.compile(r'^import \{([^}]*)\} from "\./([\w.-]+\.js)";\n', re.MULTILINE)
_TEXT: Final = re.compile(r'^import (\w+) from "\./([\w.-]+)";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:async )?(?:function|class|const)\b)", re.MULTILINE)
_EXPORTED: Final = re.compile(r"^export (?:async )?(?:function|class|const) (\w+)", re.MULTILINE)
_LEFT: Final = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)
_VOID: Final = frozenset({"br", "hr", "img", "input", "link", "meta"})

HEAD: Final = """\
// <{element}>, of Rapport. Apache-2.0. Made by agent/elements/build.py from agent/elements/src: change it there.
"""


class Unreadable(Exception):
    """A source says something that this tool does not know."""


class _Tree(HTMLParser):
    """HTML as [name, attributes, children]; white space that only lays out the source is left out."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.roots: list[Any] = []
        self._open: list[Any] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node: list[Any] = [tag, {name: value or "" for name, value in attrs}, []]
        self._put(node)
        if tag not in _VOID:
            self._open.append(node)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1][0] != tag:
            raise Unreadable(f"line {self.getpos()[0]}: </{tag}> closes nothing that is open")
        self._open.pop()

    def handle_data(self, data: str) -> None:
        words = re.sub(r"\s+", " ", data)
        if words.strip() or (words and "\n" not in data):
            self._put(words)

    def close(self) -> None:
        super().close()
        if self._open:
            raise Unreadable(f"<{self._open[-1][0]}> is not closed")

    def _put(self, node: Any) -> None:
        (self._open[-1][2] if self._open else self.roots).append(node)


def tree_of(html: str) -> list[Any]:
    """Return the nodes of a piece of HTML.

    Raises:
        Unreadable: a tag is not closed, or closes nothing.
    """
    parser = _Tree()
    parser.feed(html)
    parser.close()
    return parser.roots


def bundle(element: str, sources: Path = SOURCES) -> str:
    """Return the module of an element: its source and all that it imports.

    Raises:
        Unreadable: a source is missing, imports in a circle, imports what is not exported, or in a way not known here.
    """
    main = MAINS[element]
    done: dict[str, list[str]] = {}
    parts: list[str] = []

    def value(name: str, text: str) -> str:
        return json.dumps(tree_of(text), ensure_ascii=False) if name.endswith(".html") else _literal(text)

    def read(name: str) -> str:
        try:
            return (sources / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise Unreadable(f"there is no {name} in {sources}") from None

    def add(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise Unreadable(f"{' -> '.join((*above, name))}: modules import each other in a circle")
        if name in done:
            return
        text = read(name)
        for wanted, other in _NAMES.findall(text):
            add(other, (*above, name))
            for item in wanted.split(","):
                if (known := item.split(" as ")[0].strip()) and known not in done[other]:
                    raise Unreadable(f"{name} imports {known}, which {other} does not export")
        exported = _EXPORTED.findall(text)
        text = _NAMES.sub(lambda m: f"const {{{m[1].replace(' as ', ': ')}}} = {_variable(m[2])};\n", text)
        text = _TEXT.sub(lambda m: f"const {m[1]} = {value(m[2], read(m[2]))};\n", text)
        text = _EXPORT.sub("", text)
        if left := _LEFT.search(text):
            raise Unreadable(f"{name}: {left[0]!r} is not known here")
        parts.append(
            f"// {name}\nconst {_variable(name)} = (() => {{\n{text}return {{ {', '.join(exported)} }};\n}})();\n"
        )
        done[name] = exported

    add(main, ())
    return (
        HEAD.format(element=element)
        + "\n"
        + "\n".join(parts)
        + f"\nexport const {{ {', '.join(done[main])} }} = {_variable(main)};\n"
    )


def _variable(name: str) -> str:
    return "_" + re.sub(r"\W", "_", name.removesuffix(".js"))


def _literal(text: str) -> str:
    return "`" + text.replace("\\", "\\\\").replace("`", "\\`").replace("${", "\\${") + "`"


def main(arguments: list[str] | None = None) -> int:
    """Write the modules of all elements into a folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where they are written")
    folder: Path = parser.parse_args(arguments).folder
    try:
        made = {element: bundle(element) for element in MAINS}
    except Unreadable as error:
        sys.stderr.write(f"{error}\n")
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    for element, text in made.items():
        (folder / f"{element}.js").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
