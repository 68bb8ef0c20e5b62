"""What is the same for every call of a door."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.sense_map import SenseMap
from perception.timebase import SECOND, Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageLimits:
    """How much a client may say.

    Attributes:
        most_bytes: of one message; a longer one is not read.
        rate_hz: messages a second that are read, in the long run.
        burst: messages at once that are read.
        most_faults: unread messages, with a big one as fifty, after which the channel is closed.
        forgiven_hz: faults a second that are forgotten.
    """

    most_bytes: int = 16 * 1024
    rate_hz: float = 50.0
    burst: int = 100
    most_faults: int = 2000
    forgiven_hz: float = 50.0

    def __str__(self) -> str:
        return f"{self.rate_hz:g} messages a second or {self.most_bytes} bytes in one"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """When a caller counts as gone, and what may be perceived.

    Attributes:
        consent: ``required``: nothing is perceived before the client has said what may be; ``given``: the
            place of use has seen to it (a kiosk with a sign), everything is perceived unless refused.
        degraded_after: time without a ping, a packet or a word after which the link counts as degraded.
        lost_after: the same after which it counts as lost; the call waits on, unless its line is needed.
        dead_after: the same after which the caller is gone.
        return_within: time that a caller whose connection was closed has to come back.
        senses: that there are, and which device each needs.
        most_video_hz: pictures per second that are looked at, at most.
        messages: how much the client may say over the data channel.
    """

    consent: str = "required"
    degraded_after: Nanos = 2 * SECOND
    lost_after: Nanos = 10 * SECOND
    dead_after: Nanos = 15 * SECOND
    return_within: Nanos = 15 * SECOND
    senses: SenseMap = field(default_factory=SenseMap)
    most_video_hz: float = 15.0
    messages: MessageLimits = field(default_factory=MessageLimits)
