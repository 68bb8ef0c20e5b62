"""What a person agreed to, and which senses that covers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from perception.media import AudioChunk, VideoFrame
from perception.percept import EXPRESSION, GAZE
from perception.workers import WorkerFactory

VOICE: Final = "voice"
FACE: Final = "face"
RECORDING: Final = "recording"

PERSON: Final = "person"
APPLICATION: Final = "application"

_SAFE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was agreed to, beside the senses.

    Attributes:
        version: of the text that was shown.
        locale: language in which it was shown, as ``en`` or ``de-AT``.
        recording: whether the words may be written down.
        by: ``person``, who was asked; or ``application``, which says that it has asked.
    """

    version: str = ""
    locale: str = ""
    recording: bool = False
    by: str = PERSON

    def __post_init__(self) -> None:
        # These two come from a client and are stored: nothing that somebody could say fits into them.
        for name in ("version", "locale"):
            if getattr(self, name) and not _SAFE.fullmatch(getattr(self, name)):
                object.__setattr__(self, name, "unreadable")


def media_of(senses: frozenset[str] | None, workers: Sequence[WorkerFactory]) -> frozenset[str]:
    """Return the scopes, ``voice`` and ``face``, of the senses that are allowed.

    A sense belongs to the scope of every medium that its worker takes in: what hears is ``voice``, what sees is
    ``face``. ``expression`` and ``gaze`` are parts of what sees.

    Args:
        senses: names that the caller allows, ``None`` for all.
        workers: of the call.
    """
    found: set[str] = set()
    for worker in workers:
        if senses is None or worker.name in senses:
            found |= scopes_of(worker.accepts)
    if senses is not None and senses & {EXPRESSION, GAZE}:
        found.add(FACE)
    return frozenset(found)


def scopes_of(accepts: Iterable[type[Any]]) -> frozenset[str]:
    """Return the scopes that a worker needs which takes in such media."""
    kinds = tuple(accepts)
    return frozenset(
        scope
        for scope, medium in ((VOICE, AudioChunk), (FACE, VideoFrame))
        if any(issubclass(medium, k) for k in kinds)
    )
