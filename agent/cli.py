"""The command line: ``agent serve | talk | token | replay | view | bench | train | models | data | doctor | list``."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from agent import build, config, doctor, doors, logs, models, offload, safety_check, shipped, token
from agent.bench import commands as bench
from agent.chat import command as chat
from agent.clock import Clock, SystemClock, VirtualClock
from agent.journal import Event, Note, as_json
from agent.media_file import MediaError, open_media
from agent.onboard import command as talk
from agent.privacy import commands as data
from agent.privacy import deployment, retention
from agent.privacy.kept import DataError, check_ledger
from agent.story import Story
from agent.training import commands as training
from agent.transports import Door, Transport
from agent.view import ViewError
from agent.view import command as view
from perception.offline import stay_local
from perception.timebase import as_seconds, seconds

FAILED, USAGE, NO_MODELS, NO_MEDIA = 1, 2, 3, 4

EPILOG = """\
examples:
  agent serve                        the live call, on http://127.0.0.1:8080
  agent serve --port 9000            the same on another port
  agent talk                         a call with this machine's camera, microphone and speaker, without a browser
  agent chat                         the same typed, in this terminal, without any device
  agent token --new-key rapport.key  make the key that lets others in; then, in the configuration,
                                     server.key_file = "rapport.key" and server.host = "0.0.0.0"
  agent token --url https://kiosk.example   a link that opens one call
  agent replay clip.mp4              a file becomes the caller; prints the story of the call
  agent replay clip.mp4 --json       the same as JSON lines
  agent replay clip.mp4 --audio-out talk.wav   also writes what both said (left: caller, right: agent)
  agent view journal.jsonl           look into the journal of a call, on one page
  agent bench --data builtin         replay the small benchmark that ships, and report it
  agent train sft --config T.toml    train the policy's model; grpo and eval likewise
  agent models fetch                 get the embedded models (once; offline afterwards)
  agent data list                    what is kept of calls; export, erase and expire likewise
  agent safety check FILE            what the safety lane would make of each sentence of a file
  agent doctor                       check this machine and say what to do

exit codes: 0 all went well; 1 something failed; 2 wrong usage or configuration; 3 models are missing or
altered; 4 the media file cannot be used.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    logs.configure(json_lines=getattr(options, "log_json", False), verbose=options.verbose)
    try:
        code: int = options.run(options)
    except (config.ConfigError, token.TokenError) as error:
        return _fail(USAGE, error)
    except bench.ERRORS as error:
        return _fail(USAGE, error)
    except training.TrainingError as error:
        return _fail(USAGE, error)
    except ViewError as error:
        return _fail(USAGE, error)
    except models.ModelError as error:
        return _fail(NO_MODELS, error)
    except MediaError as error:
        return _fail(NO_MEDIA, error)
    except DataError as error:
        return _fail(FAILED, error)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return FAILED
    return code


def entry() -> None:
    """Run the command line as a process, and end it even if a worker hangs in a native library."""
    if "models" not in sys.argv[1:3]:  # the one command that asks a hub
        stay_local()
    code = main()
    if not offload.finish():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _fail(code: int, error: Exception) -> int:
    print(f"agent: {error}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agent",
        description="Rapport: an empathetic agent that sees, hears, and decides when to speak.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="log more")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="open the live call in the browser")
    _config_option(serve)
    serve.add_argument("--host", help="address to listen on (default: 127.0.0.1, this machine only)")
    serve.add_argument("--port", type=int, help="TCP port (default: 8080)")
    serve.add_argument("--log-json", action="store_true", help="log JSON lines instead of text")
    serve.set_defaults(run=_serve)

    talk.add(commands, _config_option, _talk)
    chat.add(commands, _config_option)

    join = commands.add_parser("token", help="make the key of the server, and join tokens for its callers")
    _config_option(join)
    join.add_argument("--new-key", type=Path, metavar="FILE", help="write a new key to FILE, and nothing else")
    join.add_argument("--key", type=Path, metavar="FILE", help="key to sign with (default: server.key_file)")
    join.add_argument("--ttl", type=int, metavar="SECONDS", help="how long it is valid (default: server.token_ttl)")
    join.add_argument("--grants", default=",".join(token.GRANTS), help="comma-separated (default: %(default)s)")
    join.add_argument("--label", default="", help="who it is for; calls are capped by label")
    join.add_argument("--server", metavar="NAME", help="server that it is for, by its server.name (default: that one)")
    join.add_argument("--url", help="print a link to the page at this address instead of the bare token")
    join.set_defaults(run=_token)

    replay = commands.add_parser("replay", help="let a video or audio file be the caller, and print what happens")
    _config_option(replay)
    replay.add_argument("file", type=Path, metavar="FILE", help="any video or audio file")
    replay.add_argument("--json", action="store_true", help="one JSON object per line instead of a story")
    replay.add_argument("--audio-out", type=Path, metavar="WAV", help="write the talk: left caller, right agent")
    replay.add_argument("--realtime", action="store_true", help="at the pace of life instead of as fast as possible")
    replay.add_argument(
        "--measured", action="store_true", help="charge work what it takes here, not the configured fixed costs"
    )
    replay.set_defaults(run=_replay)

    view.add(commands)
    bench.add(commands)
    training.add(commands)
    safety_check.add(commands, _config_option)

    store = commands.add_parser("models", help="the embedded models: list, fetch, verify")
    verbs = store.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("list", help="name, size, licence and state of every model").set_defaults(run=_models_list)
    fetch = verbs.add_parser("fetch", help="get what is missing; resumes, verifies, and works offline afterwards")
    fetch.add_argument("names", nargs="*", metavar="NAME", help="only these (default: all of the default set)")
    fetch.add_argument("--test-clips", action="store_true", help="the clips that the tests use, instead of models")
    fetch.set_defaults(run=_models_fetch)
    verify = verbs.add_parser("verify", help="compare every file with its checksum")
    verify.add_argument("names", nargs="*", metavar="NAME")
    verify.set_defaults(run=_models_verify)

    data.add(commands, _config_option, _data)

    check = commands.add_parser("doctor", help="check models, devices, port and cores, and say what to do")
    _config_option(check)
    check.set_defaults(run=_doctor)
    commands.add_parser("list", help="what can be configured: workers, policies, voices, transports").set_defaults(
        run=_list
    )
    return parser


def _config_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="TOML", help="configuration file (default: built in)")


def _serve(options: argparse.Namespace) -> int:
    import server

    loaded = config.load(options.config)
    loaded = config.override_server(loaded, host=options.host, port=options.port)
    doors.key_of(loaded.server)
    deployment.check(loaded)
    check_ledger(loaded)
    with retention.keeping(loaded):
        server.serve(loaded)
    return 0


def _talk(options: argparse.Namespace) -> int:
    return talk.command(options, partial(print, flush=True))


def _data(options: argparse.Namespace) -> int:
    code: int = options.act(config.load(options.config), options, print)
    return code


def _token(options: argparse.Namespace) -> int:
    if options.new_key is not None:
        token.new_key(options.new_key)
        print(f"wrote {options.new_key}; name it in the configuration as server.key_file")
        return 0
    server = config.load(options.config).server
    key = token.read_key(options.key) if options.key is not None else doors.key_of(server)
    if key is None:
        raise config.ConfigError(
            "there is no server.key_file; make one with `agent token --new-key FILE`, or use --key"
        )
    longest = int(as_seconds(server.token_ttl))
    ttl_s = longest if options.ttl is None else options.ttl
    if ttl_s > longest:
        raise config.ConfigError(f"--ttl is {ttl_s}, and server.token_ttl lets in tokens of {longest} s at most")
    aud = server.name if options.server is None else options.server
    made = token.mint(key, ttl_s=ttl_s, grants=options.grants.split(","), label=options.label, aud=aud)
    print(made if options.url is None else token.link(options.url, made))
    return 0


def _replay(options: argparse.Namespace) -> int:
    loaded = config.load(options.config)
    door = build.door(
        config.Use(
            "replay",
            {
                "path": options.file,
                "tail_s": as_seconds(loaded.replay.tail),
                "output": options.audio_out,
            },
        )
    )
    with open_media(options.file):
        pass  # a file that cannot be played is told before anything heavy is loaded
    check_ledger(loaded)
    call = config.for_replay(loaded)
    story = Story()

    def sink(event: Event) -> None:
        if options.json:
            if not isinstance(event.body, Note):
                print(json.dumps(as_json(event), ensure_ascii=False))
            return
        line = story.line(event)
        if line is not None:
            print(line, flush=True)

    with build.runtime(call) as runtime:
        failures: list[Exception] = []

        async def talk(door: Door, clock: Clock) -> None:
            async def answer(transport: Transport) -> None:
                try:
                    await runtime.answer(transport, clock, [sink], guard=False)
                except Exception as error:
                    failures.append(error)

            await door.open(answer)

        if options.realtime:
            asyncio.run(talk(door, SystemClock()))
        else:
            costs = None if options.measured else {k: seconds(v) for k, v in loaded.replay.costs.items()}
            clock = VirtualClock(costs)
            clock.run(talk(door, clock))
        for failure in failures:
            media = _media_error(failure)
            if media is not None:
                raise media
            raise failure
    for note in getattr(door, "notes", ()):
        print(f"agent: {options.file}: {note}", file=sys.stderr)
    return 0


def _media_error(error: BaseException) -> MediaError | None:
    if isinstance(error, MediaError):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next((found for e in error.exceptions if (found := _media_error(e))), None)
    return None


def _models_list(_: argparse.Namespace) -> int:
    state = {check.model.name: check.state for check in models.verify([m.name for m in models.catalogue()])}
    for model in models.catalogue():
        size = f"{model.size / 1e6:7.1f} MB" if model.size else "          "
        print(f"{model.name:<20} {state[model.name]:<8} {size}  {model.licence:<12} {model.purpose}")
        print(f"{'':<20} from {model.source}")
    for found in shipped.verify():
        print(
            f"{found.shipped.name:<20} {found.state:<8} {found.size / 1e6:7.1f} MB  "
            f"{found.shipped.licence:<12} {found.shipped.purpose}"
        )
        print(f"{'':<20} ships with this package; needs {found.base}")
    return 0


def _models_fetch(options: argparse.Namespace) -> int:
    if options.test_clips:
        fetched = models.fetch(options.names or None, test_clips=True)
    else:
        fetched = models.fetch(options.names or None)
    print(f"fetched {', '.join(fetched)}" if fetched else "everything is there and verified")
    return 0


def _models_verify(options: argparse.Namespace) -> int:
    names, own = shipped.split(options.names)
    checks, ships = models.verify(names), shipped.verify(own)
    for check in checks:
        print(f"{check.model.name:<20} {check.state:<8} {check.problem or check.path}")
    for found in ships:
        print(f"{found.shipped.name:<20} {found.state:<8} {found.problem or found.path}")
    broken = [check.model.name for check in checks if check.state != "ok"]
    spoilt = [found.shipped.name for found in ships if found.state != "ok"]
    if broken:
        print(f"agent: mend with: agent models fetch {' '.join(broken)}", file=sys.stderr)
    if spoilt:
        print(f"agent: {shipped.MEND}, to mend what ships with it: {' '.join(spoilt)}", file=sys.stderr)
    return NO_MODELS if broken or spoilt else 0


def _doctor(options: argparse.Namespace) -> int:
    findings = doctor.examine(config.load(options.config))
    for finding in findings:
        print(f"{finding.state:<5} {finding.name:<18} {finding.what}")
        if finding.fix:
            print(f"{'':<5} {'':<18} -> {finding.fix}")
    failed = [f.name for f in findings if f.state == "fail"]
    print(f"not ready: {', '.join(failed)}" if failed else "ready: start with `agent serve`")
    return FAILED if failed else 0


def _list(_: argparse.Namespace) -> int:
    for kind in build.KINDS:
        print(f"{kind:<10} {', '.join(build.available(kind))}")
    return 0


if __name__ == "__main__":
    entry()
