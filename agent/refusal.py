"""Who asks to come in, and how they are told no. What :mod:`server` and a transport that it opens have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agent.token import EVERYTHING


class Refused(Exception):
    """What a stranger asks for is not done; the message is for them.

    Attributes:
        status: of HTTP.
        retry_after_s: when to try again, for 429 and 503.
        kind: why, in one word, for metrics; by default what the status says.
    """

    def __init__(self, status: int, reason: str, retry_after_s: int | None = None, *, kind: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after_s = retry_after_s
        self.kind = kind or _KINDS.get(status, "other")


_KINDS: Final = {
    400: "malformed",
    401: "token",
    403: "origin",
    404: "unknown",
    408: "slow",
    409: "resume",
    410: "over",
    413: "large",
    415: "type",
    429: "many",
    503: "full",
}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who makes an offer.

    Attributes:
        address: network address, an IPv6 one without its lower half; empty if calls are not counted by it.
        label: of their token; ``None`` where no token is asked for.
        grants: what their call may do.
    """

    address: str = ""
    label: str | None = None
    grants: frozenset[str] = EVERYTHING
