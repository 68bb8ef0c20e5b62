"""What a person's consent lets through, percept by percept.

A caller allows senses by name. A name is a worker's (``vad``, ``face``), or that of what a worker infers where
one worker serves several senses: ``face`` runs for ``expression`` and for ``gaze``, and also tells nods
(sense ``gesture``) and who comes and goes (sense ``scene``). A caller that names neither ``expression`` nor
``gaze`` speaks of whole workers and gets both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from perception.percept import EXPRESSION, FACE, GAZE, GESTURE, PRESENCE, Percept
from perception.timebase import SECOND, Nanos

ALWAYS: Final[Mapping[str, str]] = MappingProxyType({GESTURE: "gesture", PRESENCE: "scene"})
"""Kinds that need their own sense to be allowed, whichever worker reports them."""

APART: Final = frozenset({EXPRESSION, GAZE})
"""Kinds of one worker that can be refused one by one."""

_LOOKS: Final = frozenset({"brow_up", "brow_down", "jaw_open", "smile"})
_SIGHTS: Final = frozenset({"yaw", "pitch", "roll", "blink"})


def permitted(percept: Percept, allowed: frozenset[str] | None, workers: frozenset[str]) -> Percept | None:
    """Return what of ``percept`` may be known, or ``None``.

    Args:
        percept: what a worker, or the runtime itself, reports.
        allowed: names that the caller allows, ``None`` for all.
        workers: names of all workers; what reports itself under another name is the runtime.
    """
    if allowed is None or percept.worker not in workers:
        return percept
    if percept.worker not in allowed:
        return None
    if percept.kind in ALWAYS and ALWAYS[percept.kind] not in allowed:
        return None
    refused = APART - allowed if APART & allowed else frozenset()
    if percept.kind in refused:
        return None
    if percept.kind == FACE and refused:
        hidden = (_LOOKS if EXPRESSION in refused else frozenset()) | (_SIGHTS if GAZE in refused else frozenset())
        return dataclasses.replace(percept, data={k: v for k, v in percept.data.items() if k not in hidden})
    return percept


def refused_senses(allowed: frozenset[str] | None, workers: frozenset[str]) -> frozenset[str]:
    """Return the senses that the policy must take for unknown: refused workers, and ``expression`` or ``gaze``."""
    if allowed is None:
        return frozenset()
    apart = APART - allowed if APART & allowed else frozenset()
    return (workers - allowed) | apart


class Bystanders:
    """Hides what cannot be told to be the person's own: signs of hands while more than one person is in view.

    The face worker itself tells only of the face that it has followed since the person was alone with it; hands have
    no face. Speech of others in the room cannot be told apart from the person's.
    """

    _MEMORY: Final = 3 * SECOND

    def __init__(self) -> None:
        self._company: Nanos | None = None

    def hides(self, percept: Percept) -> bool:
        """Take in a percept, in order; return whether it may be somebody else's."""
        if percept.kind in (FACE, PRESENCE) and "count" in percept.data:
            self._company = percept.end if percept.number("count") > 1 else None
        if percept.kind != GESTURE or "size_deg" in percept.data:  # a nod comes from the face that is followed
            return False
        return self._company is not None and percept.end - self._company <= self._MEMORY
