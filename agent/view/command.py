"""``agent view``, as the command line has it."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from pathlib import Path
from typing import Any, Final

from agent.privacy.kept import page_of
from agent.view import ViewError
from agent.view.page import write_page
from agent.view.reading import Read

EPILOG: Final = """\
examples:
  agent view journals/2026-11-25T101500Z-k3v9.jsonl        writes the page beside it, and opens it
  agent view before.jsonl after.jsonl --out compared.html  two calls on one time axis
  agent replay clip.mp4 --json > clip.jsonl && agent view clip.jsonl

The page is one file that fetches nothing. It holds what the journal holds; keep it as carefully.
"""
_NAMED: Final = 5


def add(commands: Any) -> None:
    """Add ``view`` to the command line."""
    parser = commands.add_parser(
        "view",
        help="look into the journal of a call, or compare two, on one HTML page",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("journal", type=Path, metavar="JOURNAL", help="the JSON lines of a call")
    parser.add_argument("other", type=Path, nargs="?", metavar="OTHER", help="those of another, to compare")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the page (default: beside the journal, as .html)")
    parser.add_argument("--media", type=Path, metavar="FILE", help="a recording that the person agreed to, to hear")
    parser.add_argument("--no-open", action="store_true", help="only write the page")
    parser.set_defaults(run=_view)


def _view(options: argparse.Namespace) -> int:
    journals = [path for path in (options.journal, options.other) if path is not None]
    out: Path = options.out or page_of(options.journal)
    if any(out.resolve() == path.resolve() for path in [*journals, *([options.media] if options.media else [])]):
        raise ViewError(f"{out} is what is to be shown; choose another --out")
    for read in write_page(out, journals, options.media):
        _tell_bad(read)
    sys.stdout.write(f"wrote {out}\n")
    if not options.no_open and not _open(out):
        sys.stdout.write("open it in a browser\n")
    return 0


def _tell_bad(read: Read) -> None:
    if not read.bad:
        return
    count = len(read.bad)
    sys.stderr.write(f"agent: {read.name}: left out {count} {'line' if count == 1 else 'lines'}\n")
    for bad in read.bad[:_NAMED]:
        sys.stderr.write(f"agent: {read.name}: line {bad.number} {bad.why}\n")
    if count > _NAMED:
        sys.stderr.write(f"agent: {read.name}: and {count - _NAMED} more, which the page names\n")


def _open(page: Path) -> bool:
    """Open the page in a browser with a window; one inside the terminal would take it over."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    if type(browser) is webbrowser.GenericBrowser:
        return False
    return browser.open(page.resolve().as_uri())
