"""Reads off the running configuration what :mod:`agent.itself` may say about it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import urlsplit

from agent.config import Config
from agent.doors import is_fronted, is_loopback
from agent.itself_facts import Facts

_WRITES: Final = frozenset({"omni", "openai_api"})
_CURATED: Final = frozenset({"compact", "scripted"})


def facts_of(config: Config) -> Facts:
    """Return what a configuration makes true in every call."""
    minds = [(part.use.rpartition(".")[2], part.options) for _, part in config.minds()]
    first, options = minds[0]
    hosts = tuple(dict.fromkeys(host for name, found in minds if (host := _host(name, found))))
    sent = [found for name, found in minds if _host(name, found)]
    context = config.call.context
    return Facts(
        operator=config.deployment.operator,
        writes_words=config.journal.personal,
        words_days=min(config.privacy.keep_words_days, config.privacy.keep_journals_days),
        journal_days=config.privacy.keep_journals_days,
        media_span=context.media_span if context.media_bytes else 0,
        near=is_loopback(config.server.host) and not is_fronted(config.server),
        tells_danger=config.safety.enabled and bool(config.safety.webhook),
        traces=bool(config.telemetry.otlp_endpoint),
        affect=config.deployment.affect,
        mind=_mind(first, options),
        model=_model(options) if first in _WRITES else "",
        hosts=hosts,
        media=_media(sent) if config.deployment.affect else "",
        native=config.deployment.affect
        and any(name == "omni" or (name == "openai_api" and found.get("sees", True)) for name, found in minds),
        free=any(name not in _CURATED for name, _ in minds),
    )


def _mind(name: str, options: Mapping[str, Any]) -> str:
    if name == "compact":
        whole = options.get("adapter") != "none" or options.get("generate", "off") != "off"
        return "small" if whole or options.get("answers") in {"likelihood", "generated"} else "tiny"
    if name == "openai_api":
        return "far" if _host(name, options) else "here"
    return {"scripted": "rules", "omni": "here"}.get(name, "other")


def _host(name: str, options: Mapping[str, Any]) -> str:
    """Return the name of another machine that a policy sends words to; ``""`` for none."""
    host = urlsplit(str(options.get("url", ""))).hostname or "" if name == "openai_api" else ""
    return "" if host == "localhost" or (host and is_loopback(host)) else host


def _model(options: Mapping[str, Any]) -> str:
    """Return the name of a model as it can be spoken."""
    name = PurePath(str(options.get("model") or options.get("checkpoint") or "")).name
    return re.sub(r"[_-]+", " ", name).strip() or "a name I don't know"


def _media(sent: Iterable[Mapping[str, Any]]) -> str:
    found = [
        word
        for key, word in (("hears", "the sound of your voice"), ("sees", "your picture"))
        if any(options.get(key, True) for options in sent)
    ]
    return " and ".join(found)
