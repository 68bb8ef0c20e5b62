"""Everything that is kept of a call in one file that a person can take away and read."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from agent.privacy.journal_file import lines_of
from agent.privacy.kept import DataError, KeptCall
from agent.privacy.masking import PREFIX

INDEX: Final = "index.txt"
AGREED: Final = "consent.jsonl"

_HEAD: Final = """\
What this machine keeps of the call {call}
==========={rule}

Begun:    {began}
Journals: {journals}
Consent:  {entries}

Sound and pictures of a call are never kept. A journal says what happened and when: what the person said and how they
looked stands only under names that begin with "pii.", and only where they agreed to a written record.
"""


def export(kept: KeptCall, target: Path) -> list[str]:
    """Write a zip with everything that is kept of a call, and an index that a person can read.

    Args:
        kept: the call.
        target: the file; it must not exist.

    Returns:
        The names of what is in it.

    Raises:
        DataError: the file exists or cannot be written, or something that is kept cannot be read.
    """
    parts: dict[str, str] = {}
    try:
        for number, path in enumerate(kept.journals, 1):
            name = "journal.jsonl" if len(kept.journals) == 1 else f"journal-{number}.jsonl"
            parts[name] = path.read_text(encoding="utf-8", errors="replace")
        parts[AGREED] = "".join(entry.as_line() for entry in kept.entries)
        found = {INDEX: "\n".join(_index(kept, list(parts))) + "\n", **parts}
        with target.open("xb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
            target.chmod(0o600)
            for name, text in found.items():
                bundle.writestr(name, text)
    except FileExistsError:
        raise DataError(f"{target} exists already; name another file with --to") from None
    except OSError as error:
        raise DataError(f"{target}: {error.strerror or error}") from None
    return list(found)


def _index(kept: KeptCall, names: list[str]) -> Iterator[str]:
    yield _HEAD.format(
        call=kept.call,
        rule="=" * (25 + len(kept.call)),
        began=kept.began,
        journals=f"{len(kept.journals)}, {kept.size} bytes",
        entries=f"{len(kept.entries)} lines",
    )
    yield "Files: " + ", ".join(names)
    yield ""
    yield "What was agreed to"
    yield "------------------"
    for entry in kept.entries:
        scopes = ", ".join(entry.scopes) or "nothing"
        version = f", text {entry.version}" if entry.version else ""
        by = f", by the {entry.by}" if entry.by else ""
        yield f"{entry.time}  {entry.event}: {scopes}{version}{by}"
    for path in kept.journals:
        yield ""
        yield f"What happened ({path.name})"
        yield "-------------"
        yield from (text for line in lines_of(path) if (text := _told(line)))


def _told(line: dict[str, Any]) -> str:
    """Return a line of the journal as a person reads it; ``""`` for what only a program does."""
    at = f"{float(line.get('t', 0.0)):9.2f} s  "
    words = line.get(f"{PREFIX}text")
    match line.get("type"):
        case "turn":
            who = "the person" if line.get("speaker") == "user" else "the agent"
            return f"{at}{who} said: {words}" if words else f"{at}{who} said {line.get('words_count', 0)} words"
        case "percept" if line.get(f"{PREFIX}label") and line.get("kind") not in ("partial", "transcript"):
            return f"{at}{line.get('kind')}: {line[f'{PREFIX}label']} ({line.get('confidence')})"
        case "decision":
            why = line.get(f"{PREFIX}reason")
            return f"{at}the agent decided: {line.get('action')}" + (f", because: {why}" if why else "")
        case "note":
            return f"{at}note: {line.get('event')}"
    return ""
