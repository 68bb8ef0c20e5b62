"""The modules that are served, as they are made and packed; no browser."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from agent.elements import build
from agent.elements.serving import module
from tests.docs.blocks import ROOT
from tests.stock.conftest import tool

PACKAGE = ROOT / "clients" / "web"


def test_the_served_modules_are_made_from_their_sources() -> None:
    for element in build.MAINS:
        text = module(element)
        assert not re.findall(r"^import\b", text, re.MULTILINE)
        assert not re.findall(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)
        assert not re.findall(r"""["'`(]https?://(?!www\.w3\.org/)\w""", text), "nothing is loaded from elsewhere"


def test_what_is_written_is_what_is_served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main([str(tmp_path / "made")]) == 0
    assert not capsys.readouterr().err
    for element in build.MAINS:
        assert (tmp_path / "made" / f"{element}.js").read_text(encoding="utf-8") == module(element)


def test_sources_that_cannot_be_put_together_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "MAINS", {"rapport-call": "nothing.js"})
    assert build.main([str(tmp_path / "made")]) == 1
    assert "there is no nothing.js" in capsys.readouterr().err
    assert not (tmp_path / "made").exists()


def test_a_page_of_html_becomes_a_tree() -> None:
    html = '<p class="a">One &amp; <b>two</b>\n  three</p>\n  <input checked>\n'
    tree = [["p", {"class": "a"}, ["One & ", ["b", {}, ["two"]], " three"]], ["input", {"checked": ""}, []]]
    assert build.tree_of(html) == tree


@pytest.mark.parametrize(
    ("files", "wrong"),
    [
        ({"element.js": 'import { a } from "./b.js";\n'}, "there is no b.js"),
        (
            {"element.js": 'import { a } from "./b.js";\n', "b.js": "export const c = 1;\n"},
            "imports a, which b.js does",
        ),
        (
            {
                "element.js": 'import { a } from "./b.js";\nexport const c = 1;\n',
                "b.js": 'import { c } from "./element.js";\nexport const a = 1;\n',
            },
            "element.js -> b.js -> element.js: modules import each other",
        ),
        ({"element.js": "export default 1;\n"}, "'export default 1;' is not known"),
        ({"element.js": 'import T from "./t.html";\n', "t.html": "<p><b>x</p>"}, "</p> closes nothing"),
        ({"element.js": 'import T from "./t.html";\n', "t.html": "<p>x"}, "<p> is not closed"),
    ],
)
def test_what_cannot_be_put_together_is_said(files: dict[str, str], wrong: str, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(build.Unreadable, match=re.escape(wrong)):
        build.bundle("rapport-call", tmp_path)


@pytest.mark.parametrize(("element", "source"), build.MAINS.items())
def test_the_types_name_what_there_is(element: str, source: str) -> None:
    code = (build.SOURCES / source).read_text(encoding="utf-8")
    types = (PACKAGE / f"{element}.d.ts").read_text(encoding="utf-8")
    body = code[code.index("export class") :]
    there = set(re.findall(r"^  (?:async |get |set )?(\w+)(?:\(| = )", body, re.MULTILINE))
    there -= {"constructor", "connectedCallback", "disconnectedCallback", "attributeChangedCallback"}
    told = types[types.index("export class") : types.index("declare global")]
    named = set(re.findall(r"^  (?:readonly |get |set )?(\w+)(?:\(|:)", told, re.MULTILINE)) - {"addEventListener"}
    assert named == there
    assert set(re.findall(r"^export (?:const|class) (\w+)", types, re.MULTILINE)) == set(build._EXPORTED.findall(code))


def test_the_documentation_names_every_attribute_event_slot_and_part() -> None:
    page = (ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")
    sources = "\n".join(p.read_text(encoding="utf-8") for p in sorted(build.SOURCES.iterdir()))
    types = (PACKAGE / "rapport-call.d.ts").read_text(encoding="utf-8")
    events = re.findall(r"^  (\w+): CustomEvent", types, re.MULTILINE)
    parts = {name for found in re.findall(r'part="([^"]+)"', sources) for name in found.split()}
    parts |= {name for found in re.findall(r'part: "([^"]+)"', sources) for name in found.split()}
    wanted = [f"| `{name}` |" for name in (*events, *re.findall(r'<slot name="(\w+)"', sources))]
    wanted += [f"`{name}`" for name in set(re.findall(r"var\((--rapport-(?!light)[\w-]+)", sources))]
    missing = [name for name in wanted if name not in page]
    assert not missing
    listed = re.search(r"Parts: `([^`]+)`", page)
    assert listed is not None
    assert parts <= set(listed[1].split())


@pytest.mark.slow
def test_the_package_holds_the_modules_and_their_types(tmp_path: Path) -> None:
    npm = tool("npm", "npm")
    said = subprocess.run(
        [npm, "pack", "--json", "--offline", "--pack-destination", str(tmp_path)],
        cwd=PACKAGE,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    [packed] = json.loads(said.stdout[said.stdout.index("[") :])
    names = {found["path"] for found in packed["files"]}
    modules = {f"{element}.{end}" for element in build.MAINS for end in ("js", "d.ts")}
    assert names == modules | {"README.md", "package.json"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (packed["version"]) == project["version"]
    assert not list(PACKAGE.glob("*.js")), "the copies are taken away again"


@pytest.mark.slow
def test_it_can_be_imported_where_there_is_no_browser(tmp_path: Path) -> None:
    node = tool("node", "nodejs")
    assert build.main([str(tmp_path)]) == 0
    code = "".join(f"await import({json.dumps((tmp_path / f'{e}.js').as_uri())});" for e in build.MAINS)
    subprocess.run([node, "--input-type=module", "-e", code], check=True, timeout=30)
