"""What the configuration says about the devices of this machine."""

from __future__ import annotations

from dataclasses import dataclass

from agent.onboard.echo import KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalOptions:
    """The devices that ``agent talk`` uses.

    Attributes:
        microphone: number, name or part of the name (``agent talk --list-devices``), or a file; empty for the usual
            one, ``none`` for none.
        camera: the same of the camera.
        speaker: the same of the speaker; a WAV file is written.
        echo: how the agent is kept from hearing itself: ``cancel`` takes its sound out, ``half-duplex`` does not
            listen while it speaks, ``off`` is for headphones; ``auto`` cancels where that is installed.
        most_video_hz: pictures per second at most.

    Raises:
        ValueError: there is no such kind of echo, or no pictures are left.
    """

    microphone: str = ""
    camera: str = ""
    speaker: str = ""
    echo: str = "auto"
    most_video_hz: float = 15.0

    def __post_init__(self) -> None:
        if self.echo not in KINDS:
            raise ValueError(f"local.echo is {self.echo!r}, expected one of {', '.join(KINDS)}")
        if not self.most_video_hz > 0:
            raise ValueError(f"local.most_video_hz is {self.most_video_hz:g}, expected more than 0")
