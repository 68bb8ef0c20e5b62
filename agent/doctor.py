"""What ``agent doctor`` looks at: whether this machine can hold a call, and what to do if not.

Every examination is a function that returns findings and changes nothing. None needs the network, except that a server
which the configuration names is knocked at.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import platform
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from agent import models as model_store
from agent.config import Config, ConfigError, Use
from agent.doors import key_of
from agent.fetch import room
from agent.manifest import ModelError
from agent.models import Store
from agent.server_options import ServerConfig
from policy.safety import helplines

DISTRIBUTION = "rapport-agent"
_CORES = 2
_KNOCK_S = 1.0
_MEMORY_MB = 2500
"""What one call with every sense, both speech models and the language model holds, rounded up."""
_OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``state`` is ``ok``, ``warn`` or ``fail``; ``fix`` is empty if ok."""

    name: str
    state: str
    what: str
    fix: str = ""


def examine(
    config: Config | None = None,
    *,
    needed: Sequence[str] | None = None,
    store: Store | None = None,
    devices: Path = Path("/dev"),
) -> list[Finding]:
    """Look at everything that a call needs.

    Args:
        config: the configuration that is to be served; without one, the built-in defaults.
        needed: names of the models that the configuration uses; ``None`` for the default set.
        store: another model store than the usual one.
        devices: the folder of this machine's devices.

    Returns:
        Findings in a fixed order of topics; the machine is fit if none is ``fail``.
    """
    config = config if config is not None else Config()
    server = config.server
    chosen = store if store is not None else model_store.models()
    examinations: list[Callable[[], Iterator[Finding]]] = [
        _python,
        _packages,
        lambda: _models(chosen, needed),
        lambda: _address(server.host, server.port),
        lambda: _reach(server),
        lambda: _relay(server),
        _machine,
        lambda: _devices(devices),
        _telemetry,
        lambda: _safety(config),
        lambda: _minds(config, chosen),  # after the telemetry, since it imports what a policy imports
    ]
    return [finding for look in examinations for finding in look()]


def _python() -> Iterator[Finding]:
    yield Finding("python", "ok", f"Python {platform.python_version()} at {sys.executable}")


def _safety(config: Config) -> Iterator[Finding]:
    if not config.safety.enabled:
        yield Finding("safety", "warn", "nobody looks for danger in what people say", "safety.enabled = true")
    elif not helplines.speaks_english(config.safety.locale):
        what = f"English is not what most people of {config.safety.locale} speak"
        yield Finding("safety", "warn", what, helplines.ONLY_ENGLISH)
    else:
        yield Finding("safety", "ok", f"help of {helplines.country(config.safety.locale).name}")


def _packages() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    try:
        required = [Requirement(line) for line in metadata.requires(DISTRIBUTION) or []]
        version = metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        yield Finding("packages", "fail", f"{DISTRIBUTION} is not installed in this Python", "pip install -e .")
        return
    good = True
    counted = 0
    for need in required:
        if need.marker is not None and not need.marker.evaluate({"extra": ""}):
            continue
        counted += 1
        try:
            found = metadata.version(need.name)
        except metadata.PackageNotFoundError:
            found = ""
        if not found or not need.specifier.contains(found, prereleases=True):
            good = False
            what = f"{need.name} {found} does not satisfy {need}" if found else f"{need.name} is not installed"
            yield Finding("packages", "fail", what, f"pip install '{need}'")
    if good:
        yield Finding("packages", "ok", f"{DISTRIBUTION} {version} and its {counted} requirements")
    copies = [name for name in _OPENCV if _is_installed(name)]
    if len(copies) > 1:
        fix = f"pip uninstall {' '.join(copies)}; pip install opencv-python-headless"
        yield Finding("packages", "warn", f"{' and '.join(copies)} overwrite each other's files", fix)


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _models(store: Store, needed: Sequence[str] | None) -> Iterator[Finding]:
    try:
        checks = store.verify(needed)
    except ModelError as error:
        yield Finding("models", "fail", str(error), "see: agent models list")
        return
    bad = [check for check in checks if check.state != "ok"]
    for check in bad:
        yield Finding(
            "models", "fail", f"{check.model.name}: {check.problem}", f"agent models fetch {check.model.name}"
        )
    if not bad:
        size_mb = sum(check.model.size for check in checks) / 1e6
        yield Finding("models", "ok", f"{len(checks)} verified, {size_mb:.0f} MB in {store.root}")
        return
    folder = next(path for path in (store.root, *store.root.parents) if path.exists())
    need_mb = room([check.model for check in bad]) / 1e6
    free_mb = shutil.disk_usage(folder).free / 1e6
    if free_mb < need_mb:
        fix = "make room, or set RAPPORT_MODELS to a folder on a larger disk"
        yield Finding("disk", "fail", f"{free_mb:.0f} MB free in {folder}, {need_mb:.0f} MB needed", fix)


def _address(host: str, port: int) -> Iterator[Finding]:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            # As the server does, so that a port in TIME_WAIT counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        fix = "stop the program that listens there, or set another server.port in the configuration"
        if not isinstance(error, socket.gaierror) and error.errno not in (98, 48, 10048):
            fix = "choose an address of this machine and a port above 1023 under [server] in the configuration"
        yield Finding("port", "fail", f"cannot listen on {host or '*'} port {port}: {error.strerror}", fix)
    else:
        yield Finding("port", "ok", f"{host or '*'} port {port} is free")


def _reach(server: ServerConfig) -> Iterator[Finding]:
    host = server.host
    try:
        key_of(server)
    except ConfigError as error:
        fix = '`agent token --new-key FILE` makes a key for server.key_file; or set server.host = "127.0.0.1"'
        yield Finding("reach", "fail", str(error), fix)
        return
    if _is_wildcard(host):
        what = f"{host or '*'} lets every machine on the network reach the page; a join token is asked for"
        fix = 'browsers give no camera without TLS: put a proxy with it in front, or set server.host = "127.0.0.1"'
        yield Finding("reach", "warn", what, fix)
    else:
        yield Finding("reach", "ok", f"only {host} is listened on")


def _relay(server: ServerConfig) -> Iterator[Finding]:
    if not server.turn_urls and not server.turn_secret_file:
        return
    from agent.turn_servers import IceServers

    try:
        problem = asyncio.run(IceServers(server).ask())
    except ConfigError as error:
        yield Finding("relay", "fail", str(error), "mend server.turn_urls and server.turn_secret_file")
        return
    if problem:
        fix = "mend it, or take it out of server.turn_urls: who needs a relay hears nothing, and nobody is told"
        yield Finding("relay", "warn", f"no relay from {problem}", fix)
    else:
        yield Finding("relay", "ok", f"{', '.join(server.turn_urls)} gives relays")


def _is_wildcard(host: str) -> bool:
    try:
        return not host or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _machine() -> Iterator[Finding]:
    cores = usable_cores()
    if cores >= _CORES:
        yield Finding("cores", "ok", f"{cores} cores")
    else:
        yield Finding(
            "cores", "warn", f"{cores} core, {_CORES} needed for every sense", "remove workers, such as gesture"
        )
    free_mb = _free_memory_mb()
    if free_mb is None:
        return
    if free_mb >= _MEMORY_MB:
        yield Finding("memory", "ok", f"{free_mb / 1000:.1f} GB free")
    else:
        what = f"{free_mb:.0f} MB free, about {_MEMORY_MB} MB needed"
        yield Finding(
            "memory", "warn", what, 'close programs, or use the policy "scripted", which loads no language model'
        )


def _free_memory_mb() -> float | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("MemAvailable:")), None)


def _devices(folder: Path) -> Iterator[Finding]:
    """Only the ``local`` transport uses these; a caller's browser brings its own."""
    if not sys.platform.startswith("linux"):
        return
    cameras = sorted(folder.glob("video[0-9]*"))
    microphones = sorted((folder / "snd").glob("pcm*c"))
    for name, found in (("camera", cameras), ("microphone", microphones)):
        if not found:
            yield Finding(name, "ok", "none on this machine; not needed, a browser uses its own")
        elif barred := [path for path in found if not os.access(path, os.R_OK | os.W_OK)]:
            group = "video" if name == "camera" else "audio"
            yield Finding(name, "warn", f"{barred[0]} may not be opened by this user", f"add the user to group {group}")
        else:
            yield Finding(name, "ok", ", ".join(map(str, found)))


def _minds(config: Config, store: Store) -> Iterator[Finding]:
    """Tell who is to speak, as far as can be told without loading weights, and why another does not;
    ``/readyz`` of a running agent tells what was really loaded."""
    from agent import build

    minds = config.minds()
    problems: list[tuple[str, str]] = []
    for _, part in minds:
        try:
            build.check("policy", part)
        except ConfigError as error:
            yield Finding("mind", "fail", str(error), "mend policy and fallback in the configuration")
            return
        problems.append(_problem(part, store))
    speaks = next((name for (name, _), (what, _) in zip(minds, problems, strict=True) if not what), "")
    for (name, _), (what, fix) in zip(minds, problems, strict=True):
        if what:
            last = name == minds[-1][0]  # only the last one has to be there
            after = f"; {speaks} is to speak meanwhile" if speaks and not last else ""
            yield Finding("mind", "fail" if last else "warn", f"{name}: {what}{after}", fix)
        elif len(minds) == 1:
            yield Finding("mind", "ok", f"{name} is to speak")
        else:
            place = "is to speak" if name == speaks else f"stands behind {speaks}"
            yield Finding("mind", "ok", f"{name} {place}")


def _problem(part: Use, store: Store) -> tuple[str, str]:
    """Return what would keep a policy from speaking and its fix, or two empty strings."""
    for key, value in part.options.items():
        if isinstance(value, str) and Path(value).is_absolute() and not Path(value).exists():
            return f"{key} = {value!r} is not there", f"put it there, or correct {key} in the configuration"
    url, checkpoint = part.options.get("url"), part.options.get("checkpoint")
    if isinstance(url, str):
        found = urlsplit(url)
        try:
            port = found.port or (443 if found.scheme == "https" else 80)
            socket.create_connection((found.hostname or "", port), timeout=_KNOCK_S).close()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            return f"nothing answers at {url} ({reason})", "start that server, or correct url in the configuration"
    if isinstance(checkpoint, str) and not Path(checkpoint).is_dir():
        try:
            if store.path(store.choose([checkpoint])[0]).exists():
                return "", ""
        except ModelError:
            return f"there is no folder and no model {checkpoint!r}", "correct checkpoint in the configuration"
        return f"the model {checkpoint!r} is not there", f"agent models fetch {checkpoint}"
    return "", ""


def _telemetry() -> Iterator[Finding]:
    early = "onnxruntime" in sys.modules and "perception.onnx" not in sys.modules
    import perception.onnx  # noqa: F401

    # The environment is what is examined here, not a setting that is read.
    switched = os.environ.get("ORT_DISABLE_TELEMETRY") == "1"  # noqa: TID251
    if switched and not early:
        yield Finding("telemetry", "ok", "onnxruntime's reports over the network are switched off")
    else:
        what = "onnxruntime was imported before its reports over the network were switched off"
        yield Finding("telemetry", "fail", what, "open ONNX models through perception.onnx only")
