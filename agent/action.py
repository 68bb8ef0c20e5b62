"""What the agent does to the outside. Every action of a reply carries its ``reply`` number, so that a
client can discard what is stale after a barge-in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from perception.media import AudioChunk
from policy.safety.helplines import Contact


@dataclass(frozen=True, slots=True)
class PlayAudio:
    """Sound to play after what was sent before. The chunk's ``start`` counts from the start of the reply."""

    chunk: AudioChunk
    reply: int


@dataclass(frozen=True, slots=True)
class StopAudio:
    """Forget all sound of this reply that has not been played, at once."""

    reply: int


@dataclass(frozen=True, slots=True)
class HoldAudio:
    """Pause (``held``) or resume a reply; silence goes out meanwhile and nothing is lost.

    ``StopAudio`` ends a hold too: the next reply is not held.
    """

    held: bool
    reply: int


@dataclass(frozen=True, slots=True)
class Caption:
    """Words on the screen.

    ``speaker`` is ``user`` or ``agent``; not ``final`` ones are replaced by the next of the same speaker;
    ``cut`` says that the agent was interrupted and these are the words that were heard.
    """

    speaker: str
    text: str
    final: bool
    reply: int = 0
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Display:
    """The agent's face or body: a display emotion, a gesture, a gaze; ``intensity`` 0..1."""

    emotion: str
    gesture: str = "none"
    intensity: float = 0.6
    reply: int = 0


@dataclass(frozen=True, slots=True)
class Resource:
    """Who can help in a danger, to be shown until the person puts it away.

    ``kind`` is one of :data:`policy.safety.detector.KINDS`, ``contacts`` are in the order in which to show them,
    ``reviewed`` is the day on which they were last checked.
    """

    kind: str
    country: str
    contacts: tuple[Contact, ...]
    reviewed: date
    reply: int = 0


Action = PlayAudio | StopAudio | HoldAudio | Caption | Display | Resource
