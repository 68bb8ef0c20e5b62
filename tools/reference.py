"""Write ``docs/reference/configuration.md`` and ``cli.md`` from the code; with ``--check``, compare them.

    python tools/reference.py [--check]

Keys, defaults and meanings come from the dataclasses that ``agent/config.py`` fills and from the ``load`` functions of
the parts; commands come from the parser of ``agent``. What a docstring does not say is taken from the comments of
``configs/default.toml``. Exit code 1: a page is stale, or something has no meaning written down.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args, get_origin, get_type_hints

ROOT: Final = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from agent import build, cli  # noqa: E402
from agent.config import Config, Use  # noqa: E402
from perception.timebase import SECOND  # noqa: E402

_KINDS: Final = {"worker": "Senses", "policy": "Policies", "voice": "Voices"}
_ROLE: Final = re.compile(r":[a-z]+:`~?([^`]+)`")
_SECTION: Final = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):\s*$", re.MULTILINE)
_INTERNAL: Final = frozenset({"resolve"})


class Unwritten(Exception):
    """Something that can be set has no meaning written down."""


def configuration() -> str:
    """Return the page of all settings."""
    out = [
        "# Configuration",
        "",
        _INTRO,
        "",
        "## Top level",
        "",
    ]
    comments = _comments((ROOT / "configs" / "default.toml").read_text(encoding="utf-8"))
    out += _table(Config, "", comments)
    for path, table in _tables(Config, ""):
        out += ["", f"## `[{path}]`", "", _lead(table), ""]
        out += _table(table, path, comments)
    out += ["", "# Options of the parts", "", _PARTS, ""]
    for kind, title in _KINDS.items():
        out += [f"## {title}", ""]
        for name in build.available(kind):
            out += _part(kind, name)
    return "\n".join(out).rstrip() + "\n"


_INTRO: Final = """\
Every key, its default and its meaning; made from the code by `tools/reference.py`. A file names only what it changes:
`agent serve --config my.toml`, or the path in `RAPPORT_CONFIG`. Times are in seconds. A key that is not known stops the
start and names the nearest one that is. [configs/default.toml](../../configs/default.toml) is the same, to copy
from."""

_PARTS: Final = """\
A sense, a policy or a voice is named, or is a table with `use` and its options:

```toml
workers = ["vad", {use = "asr", language = "auto"}, "turn", "prosody", "face", "gesture", "scene"]
policy = {use = "compact", adapter = "none", answers = "likeness"}
```"""


def commands() -> str:
    """Return the page of the command line."""
    parser = cli._parser()
    out = [
        "# Command line",
        "",
        "Made from the parser by `tools/reference.py`; `agent COMMAND --help` says the same.",
        "",
        "```text",
        cli.EPILOG.strip(),
        "```",
    ]
    for path, one, told in _commands(parser, "agent"):
        out += ["", f"## `{path}`", "", _sentence(told or one.description or ""), ""]
        rows = [row for action in one._actions if (row := _argument(action)) is not None]
        if rows:
            out += ["| argument | meaning | default |", "|---|---|---|", *rows]
        if one.epilog and path != "agent":
            out += ["", "```text", inspect.cleandoc(one.epilog), "```"]
    return "\n".join(out).rstrip() + "\n"


def _commands(parser: argparse.ArgumentParser, path: str) -> Iterator[tuple[str, argparse.ArgumentParser, str]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            told = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, inner in action.choices.items():
                yield f"{path} {name}", inner, told.get(name, "")
                yield from _commands(inner, f"{path} {name}")


def _argument(action: argparse.Action) -> str | None:
    if isinstance(action, (argparse._HelpAction, argparse._SubParsersAction)) or action.help == argparse.SUPPRESS:
        return None
    shown = action.metavar if isinstance(action.metavar, str) else action.dest
    if action.option_strings and action.metavar is None:
        shown = action.dest.upper()
    if action.choices is not None:
        shown = " or ".join(map(str, action.choices))
    takes = "" if action.nargs == 0 else f" {shown}"
    name = ", ".join(f"`{option}{takes}`" for option in action.option_strings) or f"`{shown}`"
    if not action.option_strings and action.nargs in ("?", "*"):
        name += " (may be left out)"
    told = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
    default = action.default
    said = "" if default in (None, False, "", 0, []) or action.nargs == 0 or "default:" in told else f"`{default}`"
    return f"| {name} | {_cell(told)} | {said} |"


def _tables(kind: type, prefix: str) -> Iterator[tuple[str, type]]:
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        inner = hints[field.name]
        if inner is not Use and dataclasses.is_dataclass(inner) and isinstance(inner, type):
            path = f"{prefix}{field.name}"
            yield path, inner
            yield from _tables(inner, f"{path}.")


def _table(kind: type, path: str, comments: Mapping[str, str]) -> list[str]:
    hints, told = get_type_hints(kind), _told(kind)
    rows = []
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if hint is not Use and dataclasses.is_dataclass(hint):
            continue
        where = f"{path}.{field.name}" if path else field.name
        meaning = told.get(field.name) or comments.get(where, "")
        if not meaning:
            raise Unwritten(f"{kind.__name__}.{field.name} has no meaning: write it into Attributes")
        seconds = str(field.type).endswith("Nanos")
        rows.append(_row(field.name, _type(hint, seconds), _default(_value(field), seconds), meaning))
    return [*_HEAD, *rows] if rows else []


_HEAD: Final = ("| key | what it takes | default | meaning |", "|---|---|---|---|")


def _row(name: str, kind: str, default: str, meaning: str) -> str:
    return f"| `{name}` | {kind} | {default} | {_cell(meaning)} |"


def _part(kind: str, name: str) -> list[str]:
    """Return what can be set of one part: the arguments of its ``load``, and the fields of classes that it names."""
    load = build.loader(kind, name)
    module = inspect.getmodule(load)
    out = [f"### `{name}`", "", _sentence(_first(inspect.getdoc(module) or "")), ""]
    told = _told(load)
    rows = []
    hints = get_type_hints(load)
    rest = False
    for parameter in inspect.signature(load).parameters.values():
        if parameter.name in _INTERNAL:
            continue
        if parameter.kind is parameter.VAR_KEYWORD:
            rest = True
            continue
        meaning = _followed(told.get(parameter.name, ""), parameter.name, module)
        if not meaning:
            raise Unwritten(f"{kind} {name}: load({parameter.name}) has no meaning: write it into Args")
        needed = parameter.default is parameter.empty
        default = "needed" if needed else _default(parameter.default, False)
        rows.append(_row(parameter.name, _type(hints[parameter.name], False), default, meaning))
    if rest:
        for referred in _ROLE.findall(inspect.getdoc(load) or ""):
            found = getattr(module, referred.rpartition(".")[2], None)
            if isinstance(found, type) and dataclasses.is_dataclass(found):
                rows += _fields(found)
    return [*out, *([*_HEAD, *rows] if rows else ["No options."]), ""]


def _fields(kind: type) -> list[str]:
    hints, told = get_type_hints(kind), _told(kind)
    rows = []
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(hints[field.name]):
            continue
        meaning = _followed(told.get(field.name, ""), field.name, inspect.getmodule(kind))
        if not meaning:
            raise Unwritten(f"{kind.__module__}.{kind.__name__}.{field.name} has no meaning")
        rows.append(_row(field.name, _type(hints[field.name], False), _default(_value(field), False), meaning))
    return rows


def _followed(meaning: str, name: str, module: Any) -> str:
    """Return a meaning, or, where it says to look at a class, what that class says of the same name."""
    referred = re.match(r"see :class:`~?([\w.]+)`", meaning)
    if referred is None:
        return meaning
    return _told(getattr(module, referred[1].rpartition(".")[2], None)).get(name, meaning)


def _value(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _type(hint: Any, seconds: bool) -> str:
    if seconds:
        return "seconds"
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a string", Use: "a name or a table"}
    if hint in words:
        return words[hint]
    origin, inner = get_origin(hint), get_args(hint)
    if origin is tuple and inner[0] is Use:
        return "a list of names or tables"
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return "a table"
    if origin in (tuple, frozenset, list):
        return "a list of strings"
    chosen = [words[one] for one in inner if one in words]
    return " or ".join(chosen) or "a table"


def _default(value: Any, seconds: bool) -> str:
    if value is dataclasses.MISSING:
        return "needed"
    if seconds:
        return f"`{value / SECOND:g}`"
    return f"`{_toml(value)}`" if value is not None else ""


def _toml(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"'
        case float() if value.is_integer() and abs(value) < 1e15:
            return f"{value:.1f}"
        case int() | float():
            return str(value)
        case Use():
            return f'"{value.use}"' if not value.options else _toml({"use": value.use, **value.options})
        case Mapping():
            return "{" + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + "}"
        case frozenset():
            return _toml(sorted(value))
        case Sequence():
            return "[" + ", ".join(map(_toml, value)) + "]"
    raise Unwritten(f"a default is a {type(value).__name__}, and TOML has no word for that")


def _told(of: Any) -> dict[str, str]:
    """Return what the docstring of a class or function says of its fields or arguments."""
    doc = inspect.getdoc(of) or ""
    parts = _SECTION.split(doc)
    found: dict[str, str] = {}
    for name, text in zip(parts[1::2], parts[2::2], strict=True):
        if name not in ("Args", "Attributes"):
            continue
        key = ""
        for line in inspect.cleandoc(text).splitlines():
            head = re.match(r"(\w+(?:, \w+)*)(?: \([^)]*\))?: (.*)", line)
            if head and not line.startswith(" "):
                key = head[1]
                for one in key.split(", "):
                    found[one] = head[2]
            elif key:
                for one in key.split(", "):
                    found[one] += f" {line.strip()}"
    return found


def _lead(kind: type) -> str:
    return _sentence(_first(inspect.getdoc(kind) or ""))


def _first(doc: str) -> str:
    return " ".join(_SECTION.split(doc)[0].strip().partition("\n\n")[0].split())


def _sentence(text: str) -> str:
    text = _marked(text).strip()
    return (text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", ":")) else ".")) if text else ""


def _marked(text: str) -> str:
    """Turn the marks of a docstring into those of Markdown."""
    text = _ROLE.sub(lambda found: f"`{found[1].rpartition('.')[2]}`", text)
    return text.replace("``", "`")


def _cell(text: str) -> str:
    return _marked(" ".join(text.split())).replace("|", "\\|").replace("<", "&lt;")


def _comments(toml: str) -> dict[str, str]:
    """Return the comments of a TOML file by the key that they stand behind or above."""
    found: dict[str, str] = {}
    table, above = "", ""
    for line in toml.splitlines():
        head = re.match(r"\[([\w.]+)\]", line)
        pair = re.match(r"(\w+)\s*=\s*(?:\"[^\"]*\"|[^#\"])*(?:#\s*(.*))?$", line)
        if line.startswith("#"):
            above = f"{above} {line.lstrip('# ')}".strip()
            continue
        if head:
            table = head[1]
        elif pair:
            name = f"{table}.{pair[1]}" if table else pair[1]
            found[name] = pair[2] or above
        above = ""
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or compare the pages; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a page is stale")
    options = parser.parse_args(arguments)
    folder = ROOT / "docs" / "reference"
    stale = []
    try:
        made = {"configuration.md": configuration(), "cli.md": commands()}
    except Unwritten as error:
        sys.stderr.write(f"reference: {error}\n")
        return 1
    for name, text in made.items():
        path = folder / name
        if options.check:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    for name in stale:
        sys.stderr.write(f"docs/reference/{name} is stale; run: python tools/reference.py\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
