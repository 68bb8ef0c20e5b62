"""What all calls share: loaded workers, policy and voice, and how a call behaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.disclosure import DisclosureOptions
from agent.initiative import InitiativeOptions
from agent.itself import Itself
from agent.lane import SafetyLane
from agent.pace import Pace
from agent.reply import ReplyOptions
from agent.senses import SensesOptions
from agent.standby import Standby
from agent.thinking import Thinker
from agent.turn_options import TurnOptions
from agent.voices import Voice
from perception.context import Bounds
from perception.timebase import MS, SECOND, Nanos
from perception.workers import WorkerFactory
from policy.reflex import ReflexOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """How a call behaves.

    Attributes:
        greeting: whether the agent speaks first.
        reflexes: whether nods, mirrored expressions and backchannels happen without the policy.
        lost_after: time without a picture (or sound) after which that sense is reported lost.
        prepare_every: shortest time between two preparations of the policy.
        face_every: face geometry enters the context at most this often.
        finish: longest time for the last reply after the media of a file are over.
        answers: ``turns``: the policy is asked whenever the person has finished; ``questions``: it only listens,
            and is asked for typed words alone, as in a benchmark.
        keep_media: whether sound and pictures are remembered even where no sense takes them, for a policy
            that hears and sees by itself.
        mind_patience: where another mind stands behind it, longest wait for a mind's first decision.
        mind_think: the same for a mind that is seen thinking, counted from the same moment.
        mind_stall: likewise, longest wait between two of its steps.
    """

    greeting: bool = True
    reflexes: bool = True
    lost_after: Nanos = 2 * SECOND
    prepare_every: Nanos = 500 * MS
    face_every: Nanos = 500 * MS
    finish: Nanos = 30 * SECOND
    answers: str = "turns"
    keep_media: bool = False
    mind_patience: Nanos = 2500 * MS
    mind_think: Nanos = 3500 * MS
    mind_stall: Nanos = 3 * SECOND
    turns: TurnOptions = field(default_factory=TurnOptions)
    reflex: ReflexOptions = field(default_factory=ReflexOptions)
    senses: SensesOptions = field(default_factory=SensesOptions)
    context: Bounds = field(default_factory=Bounds)
    reply: ReplyOptions = field(default_factory=ReplyOptions)
    initiative: InitiativeOptions = field(default_factory=InitiativeOptions)
    disclosure: DisclosureOptions = field(default_factory=DisclosureOptions)


@dataclass(frozen=True, slots=True)
class Parts:
    """What all calls share.

    Attributes:
        lane: stands around each session of the policy; ``None`` where it is switched off.
        standby: lines kept as sound, for when the voice fails.
        itself: answers questions about the agent, in front of the policy; ``None`` leaves them to the policy.
        pace: how late the senses of all calls are.
    """

    workers: Sequence[WorkerFactory]
    policy: Thinker
    voice: Voice
    options: CallOptions = field(default_factory=CallOptions)
    lane: SafetyLane | None = None
    standby: Standby = field(default_factory=Standby)
    itself: Itself | None = None
    pace: Pace = field(default_factory=Pace)
