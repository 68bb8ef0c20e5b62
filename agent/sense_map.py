"""Which media each sense takes: the one map from the names that a person allows to microphone and camera.

It is made from what the workers of the runtime accept, and every place that lets something through asks it: the
transport before it decodes, the consent gate, the call, the ledger's scopes, and the page before it opens a device.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol

from agent.consent import APART
from perception.media import AudioChunk, VideoFrame

VOICE: Final = "voice"
FACE: Final = "face"

SHIPPED: Final[Mapping[str, tuple[type[Any], ...]]] = MappingProxyType(
    {
        "vad": (AudioChunk,),
        "asr": (AudioChunk,),
        "turn": (AudioChunk,),
        "prosody": (AudioChunk,),
        "face": (VideoFrame,),
        "gesture": (VideoFrame,),
        "scene": (VideoFrame,),
    }
)
"""The senses that ship; for a door that was told of no runtime. A test holds it against the workers themselves."""

GROUPS: Final = frozenset({"words", "voice"})
"""What pages say for several workers at once: known, and nothing by themselves."""


class Sense(Protocol):
    """A worker, as far as the map needs it; see :class:`perception.workers.WorkerFactory`."""

    @property
    def name(self) -> str:
        """The sense."""
        ...

    @property
    def accepts(self) -> tuple[type[Any], ...]:
        """Media that it wants."""
        ...


class SenseMap:
    """The senses of a runtime.

    Args:
        workers: media that each one accepts, by name.

    Attributes:
        names: of the workers.
        known: names that a client may say: the workers', those of the parts that can be refused one by one
            (``expression``, ``gaze``), and those of senses that ship and are not loaded here.
        hearing: names by which sound is allowed.
        seeing: names by which pictures are allowed.
    """

    def __init__(self, workers: Mapping[str, Iterable[type[Any]]] = SHIPPED) -> None:
        accepts = {name: tuple(kinds) for name, kinds in workers.items()}
        self.names: frozenset[str] = frozenset(accepts)
        self.known: frozenset[str] = self.names | APART | GROUPS | SHIPPED.keys()
        self.hearing: frozenset[str] = _taking(AudioChunk, accepts)
        self.seeing: frozenset[str] = _taking(VideoFrame, accepts) | APART

    @classmethod
    def of(cls, workers: Iterable[Sense]) -> SenseMap:
        """Return the map of some workers."""
        return cls({worker.name: worker.accepts for worker in workers})

    @property
    def ears(self) -> frozenset[str]:
        """Names of the workers that take sound."""
        return self.hearing & self.names

    @property
    def eyes(self) -> frozenset[str]:
        """Names of the workers that take pictures."""
        return self.seeing & self.names

    def hears(self, allowed: frozenset[str] | None) -> bool:
        """Return whether sound may pass; ``allowed`` of ``None`` is all senses."""
        return allowed is None or not allowed.isdisjoint(self.hearing)

    def sees(self, allowed: frozenset[str] | None) -> bool:
        """Return whether pictures may pass; ``allowed`` of ``None`` is all senses."""
        return allowed is None or not allowed.isdisjoint(self.seeing)

    def scopes(self, allowed: frozenset[str] | None) -> frozenset[str]:
        """Return the scopes of consent that the allowed senses need: ``voice`` for sound, ``face`` for pictures."""
        found = {VOICE} if (self.ears if allowed is None else self.hears(allowed)) else set()
        return frozenset(found | ({FACE} if (self.eyes if allowed is None else self.sees(allowed)) else set()))


def _taking(medium: type[Any], accepts: Mapping[str, tuple[type[Any], ...]]) -> frozenset[str]:
    return frozenset(name for name, kinds in accepts.items() if any(issubclass(medium, kind) for kind in kinds))
