"""The place of use: it has to be named where others can come in, and some places load no affect code at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from agent.config import Config, ConfigError, Use
from agent.doors import is_loopback
from agent.privacy.options import CONTEXTS, TAKEN
from agent.sense_map import SenseMap

log = structlog.get_logger(__name__)

_FEELS = frozenset({"prosody", "perception.workers.prosody"})
_SEES = frozenset({"face", "perception.workers.face"})
_HEARS = frozenset({"compact", "policy.backends.compact"})


def check(config: Config) -> None:
    """See that the place of use is named where others than this machine can come in.

    Raises:
        ConfigError: it is not; the message names the fix.
    """
    server = config.server
    if config.deployment.context or (is_loopback(server.host) and server.public != "yes"):
        return
    known = ", ".join(CONTEXTS)
    reached = 'server.public is "yes"' if server.public == "yes" else f"server.host is {server.host!r}"
    raise ConfigError(
        f"{reached}, so that others can come in, and deployment.context is not set; say where "
        f'the agent works, [deployment] context = one of {known}. In "workplace" and "education" no feelings are read '
        "from faces and voices, as the law of the European Union demands (docs/privacy.md)"
    )


def fit(config: Config) -> Config:
    """Return ``config`` as the place of use allows it.

    Where feelings may not be inferred from faces and voices, nothing listens to how something is said, the face worker
    tells no expression, no mind is given sound or pictures, and the modules and networks for all that are not loaded.
    What the words say is still understood: it is nothing biometric.
    """
    if config.deployment.affect:
        return config
    workers = tuple(_blind(part) for part in config.workers if part.use not in _FEELS)
    call = dataclasses.replace(
        config.call, keep_media=False, context=dataclasses.replace(config.call.context, media_bytes=0)
    )
    return dataclasses.replace(
        config,
        workers=workers,
        policy=_deaf(config.policy),
        fallback=tuple(_deaf(part) for part in config.fallback),
        call=call,
    )


def offered(config: Config, senses: SenseMap) -> list[dict[str, Any]]:
    """Return the senses of one's own that a page can ask for: ``id``, ``title``, ``what``, and devices, ``needs``.

    Args:
        config: describes them, ``[privacy.senses.NAME]``.
        senses: that are loaded.

    Raises:
        ConfigError: one is described that is not loaded.
    """
    for name in config.privacy.senses:
        if name not in senses.names:
            known = ", ".join(sorted(senses.names - TAKEN)) or "none but those that ship"
            raise ConfigError(f"privacy.senses.{name} describes a sense that no worker has; your own are: {known}")
    found = []
    for name in sorted((senses.ears | senses.eyes) - TAKEN):
        told = config.privacy.senses.get(name)
        if told is None:
            log.warning("sense_not_offered", sense=name, fix=f"describe it in [privacy.senses.{name}], title and what")
            continue
        needs = [*(["mic"] if name in senses.ears else []), *(["camera"] if name in senses.eyes else [])]
        found.append({"id": name, "title": told["title"].strip(), "what": told["what"].strip(), "needs": needs})
    return found


def describe(config: Config, senses: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Return what a page has to know before anybody agrees: nothing in it is secret.

    ``context``; ``affect``, ``on`` or ``off``: whether feelings are inferred from faces and voices; ``records``:
    whether words are written down where the caller allows it; ``notice``: address of the privacy notice, or empty;
    ``senses``, where there are some of one's own: as :func:`offered` returns them.
    """
    return {
        "context": config.deployment.context or "personal",
        "affect": "on" if config.deployment.affect else "off",
        "records": records(config),
        "notice": config.privacy.notice,
        **({"senses": [dict(sense) for sense in senses]} if senses else {}),
    }


def records(config: Config) -> bool:
    """Return whether words are written down where the caller allows it."""
    return bool(config.journal.directory) and config.journal.personal


def _blind(part: Use) -> Use:
    return Use(part.use, {**part.options, "expressions": False}) if part.use in _SEES else part


def _deaf(part: Use) -> Use:
    return Use(part.use, {**part.options, "hears": False}) if part.use in _HEARS else part
