"""Configuration: TOML to frozen dataclasses. The only module that reads the environment.

People write seconds and names; the fields say what they mean. A key that is not known stops the start with
the file, the key, and the nearest key that is.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from agent.disclosure import DisclosureOptions
from agent.housing.options import PerceptionOptions
from agent.initiative import InitiativeOptions
from agent.onboard.options import LocalOptions
from agent.parts import CallOptions
from agent.privacy.options import DeploymentOptions, PrivacyOptions
from agent.reply import ReplyOptions
from agent.safety_options import ACKNOWLEDGE, SafetyOptions
from agent.senses import SensesOptions
from agent.server_options import ServerConfig
from agent.turn_options import TurnOptions
from perception.context import Bounds
from perception.timebase import SECOND, Nanos, seconds
from policy.reflex import ReflexOptions
from policy.safety.detector import Sensitivity
from policy.safety.helplines import countries


class ConfigError(Exception):
    """The configuration cannot be used; the message names the file, the key and the fix."""


@dataclass(frozen=True, slots=True)
class Use:
    """One part to load: the name of its module, and the options of its ``load``."""

    use: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalConfig:
    """The journal on disk.

    Attributes:
        directory: folder for one JSON-lines file per call; empty for none.
        personal: whether words and looks may be written into it, under keys that begin with ``pii.``, where the
            caller agreed to that.
    """

    directory: str = ""
    personal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayConfig:
    """Replaying a file.

    Attributes:
        tail: silence fed after the end of the file, seconds.
        costs: fixed cost in seconds of one piece of work per label (a worker's name, ``policy``,
            ``voice``, ``prepare``); with these a replay happens the same way every time. Empty: measured.
    """

    tail: Nanos = 3 * SECOND
    costs: Mapping[str, float] = field(
        default_factory=lambda: {
            "vad": 0.001,
            "asr": 0.2,
            "prosody": 0.01,
            "turn": 0.06,
            "face": 0.03,
            "gesture": 0.02,
            "scene": 0.002,
            "policy": 0.05,
            "prepare": 0.2,
            "voice": 0.03,
            "decode": 0.0,
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryConfig:
    """What leaves the machine about how calls run; nothing by default.

    Attributes:
        otlp_endpoint: address of an OpenTelemetry collector that is sent one trace for each turn, without any word or
            look; needs the extra ``telemetry``. Empty: nothing is sent.
    """

    otlp_endpoint: str = ""


DEFAULT_WORKERS = ("vad", "asr", "turn", "prosody", "face", "gesture", "scene")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that can be configured. ``configs/default.toml`` says the same in TOML.

    Attributes:
        workers: the senses; one that is not named does not run.
        policy: what decides.
        fallback: policies that speak, in this order, where the one before is late, down or cannot be loaded.
        voice: what speaks.
    """

    server: ServerConfig = field(default_factory=ServerConfig)
    workers: tuple[Use, ...] = field(default_factory=lambda: tuple(Use(name) for name in DEFAULT_WORKERS))
    perception: PerceptionOptions = field(default_factory=PerceptionOptions)
    policy: Use = field(default_factory=lambda: Use("compact"))
    fallback: tuple[Use, ...] = ()
    voice: Use = field(default_factory=lambda: Use("hibari"))
    call: CallOptions = field(default_factory=CallOptions)
    safety: SafetyOptions = field(default_factory=SafetyOptions)
    journal: JournalConfig = field(default_factory=JournalConfig)
    deployment: DeploymentOptions = field(default_factory=DeploymentOptions)
    privacy: PrivacyOptions = field(default_factory=PrivacyOptions)
    telemetry: TelemetryConfig = field(default_factory=TelemetryConfig)
    local: LocalOptions = field(default_factory=LocalOptions)
    replay: ReplayConfig = field(default_factory=ReplayConfig)

    def minds(self) -> list[tuple[str, Use]]:
        """Return the policy and those behind it, each with a name of its own: a module's second one is ``NAME 2``."""
        found: list[tuple[str, Use]] = []
        for part in (self.policy, *self.fallback):
            again = sum(part.use == other.use for _, other in found)
            found.append((f"{part.use} {again + 1}" if again else part.use, part))
        return found


def load(path: Path | None = None) -> Config:
    """Read a configuration file; without one, ``RAPPORT_CONFIG``, or else the built-in defaults.

    Raises:
        ConfigError: the file is missing, is no TOML, or has an unknown key or a value of a wrong type.
    """
    if path is None:
        named = os.environ.get("RAPPORT_CONFIG")
        if not named:
            return Config()
        path = Path(named)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); name an existing file with --config") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no UTF-8 (byte {error.start}); save it as UTF-8") from None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is no valid TOML: {error}") from None
    return parse(table, str(path))


def parse(table: Mapping[str, Any], where: str) -> Config:
    """Turn a TOML table into a :class:`Config`; ``where`` names the file in errors."""
    config: Config = _fill(Config, table, where, "")
    if config.call.answers not in ("turns", "questions"):
        raise ConfigError(f"{where}: call.answers is {config.call.answers!r}, expected 'turns' or 'questions'")
    names = [w.use for w in config.workers]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{where}: worker {name!r} is listed twice")
    _check_minds(config, where)
    _check_safety(config.safety, where)
    return config


def _check_safety(safety: SafetyOptions, where: str) -> None:
    """Refuse to run without the lane by a mere slip, and with a lane that cannot do what it is told."""
    if not safety.enabled and safety.acknowledge != ACKNOWLEDGE:
        raise ConfigError(
            f"{where}: safety.enabled is false, and then nobody looks for danger in what people say and no help is "
            f'shown; if that is meant, say safety.acknowledge = "{ACKNOWLEDGE}"'
        )
    if safety.locale and safety.locale not in countries():
        known = ", ".join(countries())
        raise ConfigError(f"{where}: safety.locale is {safety.locale!r}, expected one of {known}, or nothing")
    if safety.webhook and not safety.webhook.startswith(("https://", "http://")):
        raise ConfigError(f"{where}: safety.webhook is {safety.webhook!r}, expected an https:// (or http://) address")
    if safety.webhook_key_file and not safety.webhook:
        raise ConfigError(f"{where}: safety.webhook_key_file is set without safety.webhook; name the address too")


def _check_minds(config: Config, where: str) -> None:
    """Refuse a chain of minds that has no time to come to its end within the limits of a reply."""
    call = config.call
    for key in ("mind_patience", "mind_think", "mind_stall"):
        if getattr(call, key) <= 0:
            raise ConfigError(f"{where}: call.{key} is {getattr(call, key) / SECOND:g}, expected more than 0")
    every = (config.policy, *config.fallback)
    for place, part in enumerate(every):
        if part in every[:place]:
            raise ConfigError(f"{where}: fallback names {part.use!r} again with the same options; name another policy")
    if not config.fallback:
        return
    longest = max(call.mind_patience, call.mind_think)
    before = (len(config.fallback) - 1) * longest + call.mind_patience
    for key, limit, first, words in (
        ("first_decision", call.reply.first_decision, longest, "the longer of call.mind_patience and call.mind_think"),
        ("next_decision", call.reply.next_decision, call.mind_stall, "call.mind_stall"),
    ):
        if first + before > limit:
            raise ConfigError(
                f"{where}: call.reply.{key} is {limit / SECOND:g} s, and {len(every)} minds may take "
                f"{(first + before) / SECOND:g} s until the last of them has had its call.mind_patience; raise it, or "
                f"lower {words}, or call.mind_patience"
            )


_NESTED = (
    ServerConfig,
    PerceptionOptions,
    CallOptions,
    JournalConfig,
    DeploymentOptions,
    PrivacyOptions,
    ReplayConfig,
    TelemetryConfig,
    LocalOptions,
    SafetyOptions,
    Sensitivity,
    TurnOptions,
    ReflexOptions,
    SensesOptions,
    Bounds,
    ReplyOptions,
    InitiativeOptions,
    DisclosureOptions,
)


def _fill(kind: Any, table: Mapping[str, Any], where: str, prefix: str) -> Any:
    hints = get_type_hints(kind)
    names = [f.name for f in dataclasses.fields(kind)]
    for key in table:
        if key not in names:
            near = difflib.get_close_matches(key, names, n=1, cutoff=0.0)
            hint = f"; did you mean {prefix}{near[0]}?" if near else ""
            raise ConfigError(f"{where}: unknown key {prefix}{key}{hint}")
    durations = _durations(kind)
    values = {
        key: _value(hints[key], value, where, f"{prefix}{key}", duration=key in durations)
        for key, value in table.items()
    }
    try:
        return kind(**values)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None


def _value(hint: Any, value: Any, where: str, name: str, *, duration: bool) -> Any:
    if hint in _NESTED:
        return _fill(hint, _expect(value, dict, where, name, "a table"), where, f"{name}.")
    if hint is Use:
        return _use(value, where, name)
    origin = get_origin(hint)
    if origin is tuple and get_args(hint)[0] is Use:
        return tuple(_use(v, where, name) for v in _expect(value, list, where, name, "a list"))
    if origin is tuple:
        items = _expect(value, list, where, name, "a list of strings")
        return tuple(_expect(v, str, where, name, "a list of strings") for v in items)
    if origin is frozenset:
        items = _expect(value, list, where, name, "a list of strings")
        return frozenset(_expect(v, str, where, name, "a list of strings") for v in items)
    if origin is not None and issubclass(origin, Mapping):
        return dict(_expect(value, dict, where, name, "a table"))
    if hint is bool:
        return _expect(value, bool, where, name, "true or false")
    if isinstance(value, bool):
        raise ConfigError(f"{where}: {name} is {value!r}, expected {_word(hint)}")
    if duration:
        return seconds(_number(value, where, name, "a number of seconds"))
    if hint is float:
        return _number(value, where, name, "a number")
    return _expect(value, hint, where, name, _word(hint))


def _use(value: Any, where: str, name: str) -> Use:
    if isinstance(value, str):
        return Use(value)
    table = dict(_expect(value, dict, where, name, "a name or a table with `use`"))
    use = table.pop("use", None)
    if not isinstance(use, str) or not use:
        raise ConfigError(f'{where}: {name} needs use = "NAME", the module to load')
    return Use(use, table)


def _number(value: Any, where: str, name: str, words: str) -> float:
    found = _expect(value, (int, float), where, name, words)
    if not abs(found) < _TOO_MUCH:  # nor NaN
        raise ConfigError(f"{where}: {name} is {found!r}, expected {words} below {_TOO_MUCH:g}")
    return float(found)


_TOO_MUCH = 1e9
"""More than any number of the configuration may be; as seconds, thirty years."""


def _expect(value: Any, kind: Any, where: str, name: str, words: str) -> Any:
    if not isinstance(value, kind):
        raise ConfigError(f"{where}: {name} is {value!r}, expected {words}")
    return value


def _word(hint: Any) -> str:
    return {int: "a whole number", str: "a string", float: "a number"}.get(hint, getattr(hint, "__name__", str(hint)))


def _durations(kind: Any) -> frozenset[str]:
    """Names of the fields that hold :data:`Nanos`, which people write in seconds."""
    return frozenset(f.name for f in dataclasses.fields(kind) if str(f.type).endswith("Nanos"))


def override_server(config: Config, *, host: str | None = None, port: int | None = None) -> Config:
    """Return ``config`` with the address of the command line, where one was given."""
    changes: dict[str, Any] = {k: v for k, v in (("host", host), ("port", port)) if v is not None}
    if port is not None and not 0 <= port <= 65535:
        raise ConfigError(f"--port is {port}, expected 0 to 65535")
    return dataclasses.replace(config, server=dataclasses.replace(config.server, **changes))


def for_replay(config: Config) -> Config:
    """Return ``config`` for a file as the caller.

    Nobody greets a recording, asks it again in silence or speaks up unasked, and that its pictures end is no lost
    camera.
    """
    turns = dataclasses.replace(config.call.turns, silence=0)
    lost_after = config.call.lost_after + config.replay.tail
    initiative = dataclasses.replace(config.call.initiative, enabled=False)
    call = dataclasses.replace(config.call, greeting=False, turns=turns, lost_after=lost_after, initiative=initiative)
    # A file is decoded apart; what its senses cost is fixed, and a process of their own would only make it slower.
    here = dataclasses.replace(config.perception, isolate="thread")
    return dataclasses.replace(config, call=call, perception=here)


BENCH_WORKERS = (
    Use("vad"),
    # Nobody waits for the words of a recording: each utterance is recognised once, when it is over.
    Use("asr", {"partials": "off", "pause_ms": 600, "gap_ms": 600}),
    Use("prosody"),
    Use("face", {"facex_hz": 2.0, "people_hz": 0.5}),
    Use("gesture", {"rate_hz": 2.0}),
    Use("scene"),
)
"""The senses of a benchmark run, unless the configuration names others; ``configs/bench.toml`` says the same."""


def for_bench(config: Config) -> Config:
    """Return ``config`` for the items of a benchmark: the agent only listens, until it is asked."""
    config = for_replay(config)
    reply = dataclasses.replace(
        config.call.reply, first_decision=_PATIENCE, next_decision=_PATIENCE, filler_after=0, whole=_PATIENCE
    )
    call = dataclasses.replace(
        config.call, reflexes=False, answers="questions", prepare_every=_NEVER, finish=_PATIENCE, reply=reply
    )
    workers = BENCH_WORKERS if config.workers == Config().workers else config.workers
    # An answer is read, not heard: no voice is loaded. And the mark is that of one policy: nobody answers for it, also
    # not the safety lane, for whoever talks in an item is not there.
    off = SafetyOptions(enabled=False, acknowledge=ACKNOWLEDGE)
    return dataclasses.replace(config, call=call, workers=workers, voice=Use("plain"), fallback=(), safety=off)


_NEVER: Nanos = 365 * 24 * 3600 * SECOND
_PATIENCE: Nanos = 3600 * SECOND
"""A model may think as long as it likes in a benchmark; a process that hangs is ended from outside."""


def launched() -> int | None:
    """Return this process's place on its machine where a launcher (``accelerate``, ``torchrun``) started several."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return None
    return int(os.environ.get("LOCAL_RANK", "0"))
