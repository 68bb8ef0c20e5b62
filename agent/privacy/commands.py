"""``agent data``: what is kept of calls, for whoever has to answer a person who asks."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.config import Config
from agent.privacy import kept, retention
from agent.privacy.export import export

Say = Callable[[str], None]


def add(commands: Any, configure: Callable[[argparse.ArgumentParser], None], run: Callable[..., int]) -> None:
    """Add the command to a parser.

    Args:
        commands: what ``add_subparsers`` gave.
        configure: adds the option of the configuration.
        run: takes the parsed options, and with them one of the functions below as ``act``.
    """
    data = commands.add_parser("data", help="what is kept of calls: list, export, erase, expire")
    verbs = data.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser("list", help="every call of which something is kept")
    listing.add_argument("--json", action="store_true", help="one JSON object per line")
    exporting = verbs.add_parser("export", help="write all that is kept of a call into a zip, with an index to read")
    exporting.add_argument("call", metavar="CALL", help="name of the call, as `agent data list` has it")
    exporting.add_argument("--to", type=Path, metavar="ZIP", help="file to write (default: CALL.zip)")
    erasing = verbs.add_parser("erase", help="erase what is kept of a call; what was agreed to stays as proof")
    erasing.add_argument("call", metavar="CALL", help="name of the call, as `agent data list` has it")
    erasing.add_argument("--consent-too", action="store_true", help="erase what was agreed to as well")
    expiring = verbs.add_parser("expire", help="delete what is kept longer than [privacy] says; serve does it hourly")
    for parser, act in ((listing, show), (exporting, take_out), (erasing, erase), (expiring, expire)):
        configure(parser)
        parser.set_defaults(run=run, act=act)


def show(config: Config, options: argparse.Namespace, say: Say) -> int:
    """List the calls; return the exit code."""
    found = kept.calls(config)
    for call in found:
        if options.json:
            line = {
                "call": call.call,
                "began": call.began,
                "journals": [str(path) for path in call.journals],
                "bytes": call.size,
                "words": call.personal,
                "agreed": list(call.scopes),
                "owed": call.owed,
                "consent_lines": len(call.entries),
            }
            say(json.dumps(line))
        else:
            agreed = ", ".join(call.scopes) or "nothing"
            words = "with words" if call.personal else "no words"
            kept_of = f"{call.size / 1000:.1f} kB, {words}" if call.journals else "no journal"
            owed = ", erasure owed" if call.owed else ""
            say(f"{call.call:<20} {call.began:<25} {kept_of:<24} agreed: {agreed}{owed}")
    if not found and not options.json:
        say("nothing is kept of any call")
    return 0


def take_out(config: Config, options: argparse.Namespace, say: Say) -> int:
    """Export a call; return the exit code."""
    call = kept.find(config, options.call)
    target = options.to or Path(f"{options.call}.zip")
    names = export(call, target)
    say(f"wrote {target}: {', '.join(names)}")
    return 0


def erase(config: Config, options: argparse.Namespace, say: Say) -> int:
    """Erase a call; return the exit code."""
    gone = kept.erase(config, options.call, consent_too=options.consent_too)
    rest = "nothing is left" if options.consent_too else "what was agreed to stays in the ledger, without any content"
    say(f"erased {len(gone.journals)} journal(s) of {gone.call}; {rest}")
    return 0


def expire(config: Config, options: argparse.Namespace, say: Say) -> int:
    """Delete what is too old; return the exit code."""
    gone = retention.expire(config, retention.now())
    say(
        f"words taken out of {gone.words} journal(s), {gone.journals} journal(s) and {gone.agreements} line(s) of the "
        f"consent ledger deleted"
    )
    if gone.settled or gone.owed:
        say(f"erased what was taken back in {gone.settled} call(s); it is still owed to {gone.owed}")
    return 1 if gone.failed or gone.owed else 0
