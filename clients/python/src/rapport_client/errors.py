"""What can go wrong; the messages are for whoever runs the program."""

from __future__ import annotations


class RapportError(Exception):
    """Anything that this package raises about a call."""


class Refused(RapportError):
    """The server does not take this call.

    Attributes:
        status: of HTTP: 400 wrong version or options, 401 token, 403 origin, 409 and 410 resume, 429 and 503 too many
            calls.
        retry_after_s: when to try again, where the server says so.
    """

    def __init__(self, status: int, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after_s = retry_after_s


class Unreachable(RapportError):
    """There is no server there, or it is no Rapport server."""


class CallOver(RapportError):
    """The call has ended, and not because this side hung up."""


class NotDone(RapportError):
    """The server did not do what it was asked for."""


class FrameError(RapportError, ValueError):
    """A binary message that makes no sense.

    Attributes:
        name: of the error, as in docs/protocol.md.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name
