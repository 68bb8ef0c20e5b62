"""What the reflexes of a call remember from one percept to the next."""

from __future__ import annotations

from dataclasses import dataclass, field

from perception.percept import Percept
from perception.timebase import Nanos


@dataclass(slots=True)
class Look:
    """What the face shows: ``stage`` is the share of its peak that was shown last, ``due`` when that changes."""

    emotion: str = "neutral"
    at: Nanos | None = None
    peak: float = 0.0
    stage: str = "rest"
    due: Nanos | None = None
    renewed: Nanos = 0
    evidence: tuple[Percept, ...] = ()


@dataclass(slots=True)
class State:
    """What the reflexes know of the call: who talks, what was said, and when which sign was last seen or heard."""

    talking: bool = False
    pausing: bool = False
    agent: bool = False
    turn_began: Nanos = 0
    sounds: int = 0
    sound_at: Nanos | None = None
    nod_at: Nanos | None = None
    look: Look = field(default_factory=Look)
    heavy_at: Nanos | None = None
    glad_at: Nanos | None = None
    glad_sure: bool = False
    smile_at: Nanos = 0
    smiles: int = 0
    strong_at: Nanos | None = None
    tears_at: Nanos | None = None
    away_at: Nanos | None = None
    still_told: bool = False
    words: str = ""
    finals: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
