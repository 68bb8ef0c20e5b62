"""Talk to a Rapport agent: sound and pictures in, its voice and typed events out.

>>> async with Rapport.connect("http://localhost:8080") as call:
...     await call.consent()
...     async for event in call:
...         print(event)
"""

from __future__ import annotations

from typing import Any, Final

from rapport_client.call import Call, Duplex
from rapport_client.dialling import Address
from rapport_client.errors import CallOver, FrameError, NotDone, RapportError, Refused, Unreachable
from rapport_client.events import (
    Back,
    Caption,
    Captions,
    Contact,
    Decision,
    Display,
    Event,
    Evidence,
    Link,
    Lost,
    Metric,
    Note,
    Perceived,
    Percept,
    Problem,
    Resource,
    Sound,
    State,
    Thought,
    Turn,
    Voice,
)
from rapport_client.speaker import Speaker
from rapport_client.sync import SyncCall

__all__ = [
    "Back",
    "Call",
    "CallOver",
    "Caption",
    "Captions",
    "Contact",
    "Decision",
    "Display",
    "Event",
    "Evidence",
    "FrameError",
    "Link",
    "Lost",
    "Metric",
    "NotDone",
    "Note",
    "Perceived",
    "Percept",
    "Problem",
    "Rapport",
    "RapportError",
    "Refused",
    "Resource",
    "Sound",
    "Speaker",
    "State",
    "SyncCall",
    "Thought",
    "Turn",
    "Unreachable",
    "Voice",
]

__version__: Final = "0.1.0"


class Rapport:
    """Where calls begin."""

    @staticmethod
    def connect(
        url: str, *, token: str = "", duplex: Duplex = "full", sound_hz: int = 24_000, ssl: Any = None, **more: Any
    ) -> Call:
        """Return a call to be entered with ``async with``.

        Args:
            url: of the server: ``http://host:port`` or ``wss://host``.
            token: join token, where the server asks for one.
            duplex: ``full`` with echo cancellation in the device; ``half`` sends silence while the agent speaks;
                ``push`` sends silence unless :meth:`Call.talk` says that a button is down.
            sound_hz: rate of the agent's voice: 16000, 24000 or 48000; 0 for no sound.
            ssl: an ``ssl.SSLContext``, where the usual one does not do.
            more: ``affect`` (senses that read feelings), ``events`` (how many may wait), ``ahead_s`` (sound that is
                gathered before it is played).

        Raises:
            ValueError: an argument makes no sense.
        """
        return Call(Address.of(url, token, sound_hz, ssl), duplex=duplex, **more)

    @staticmethod
    def connect_sync(
        url: str, *, token: str = "", duplex: Duplex = "full", sound_hz: int = 24_000, ssl: Any = None, **more: Any
    ) -> SyncCall:
        """Return a call to be entered with ``with``; the arguments are those of :meth:`connect`.

        Raises:
            ValueError: an argument makes no sense.
        """
        address = Address.of(url, token, sound_hz, ssl)
        return SyncCall(lambda: Call(address, duplex=duplex, **more))
