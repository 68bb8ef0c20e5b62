"""What can go wrong with a model on a server: one family, each error with the place, what happened, and the fix.

None of these messages holds what a person said: what a server sends back is cut before it repeats its input.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_ECHO: Final = re.compile(r"""['"]?\binput(?:_value)?['"]?\s*[:=]|data:\w+/""")
"""Where a validator of requests begins to repeat what it was given."""

_MOST_SHOWN: Final = 200
_LEAST_TELLING: Final = 8
"""Characters from which a piece of a message counts as repeated and not as chance."""


class ApiError(RuntimeError):
    """The server gave no usable answer. ``kind`` says in one word why; the message says where, what, and the fix."""

    kind = "failed"


class Unreachable(ApiError):
    """There is no server, or it closed the connection before the answer was whole."""

    kind = "unreachable"


class Busy(ApiError):
    """The server has too much to do.

    Attributes:
        status: the HTTP status, 429 or 503.
        after_s: seconds after which it may be asked again, as it says; ``None`` where it does not.
    """

    kind = "busy"

    def __init__(self, message: str, status: int, after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.after_s = after_s


class Refused(ApiError):
    """The server does not want this request.

    Attributes:
        status: the HTTP status; of an error in the middle of a stream its code, or 0.
    """

    kind = "refused"

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Stalled(ApiError):
    """The server was too slow.

    Attributes:
        stage: where: ``connect``, ``first token``, ``between tokens`` or ``total``.
    """

    kind = "stalled"

    def __init__(self, message: str, stage: str) -> None:
        super().__init__(message)
        self.stage = stage


class Unreadable(ApiError):
    """What came is no stream of events, or no decision."""

    kind = "garbled"


def shown(message: str, sent: Iterable[str] = ()) -> str:
    """Return a server's message as it may be shown: one short line without what the server was sent.

    Args:
        message: as it came.
        sent: texts of the request.
    """
    line = " ".join(_ECHO.split(message, maxsplit=1)[0].split())
    line = "".join(letter for letter in line if letter.isprintable())[:_MOST_SHOWN].strip()
    for text in sent:
        for piece in (text, *text.splitlines(), *re.findall(r'"([^"]+)"', text)):
            if len(piece.strip()) >= _LEAST_TELLING and piece.strip() in line:
                return "(its message repeats what it was sent)"
    return line or "(without a message)"


def status_error(url: str, status: int, message: str, model: str, after: str | None) -> ApiError:
    """Return the error for an HTTP status that is not 200.

    Args:
        url: of the server.
        status: the HTTP status.
        message: the server's words, as :func:`shown` returns them.
        model: the model that was asked for.
        after: the header ``Retry-After``, if there was one.
    """
    said = f"answered {status}: {message}"
    if status in (429, 503):
        seconds = float(after) if after is not None and re.fullmatch(r"\d{1,6}", after.strip()) else None
        when = f"it may be asked again in {seconds:g} s" if seconds is not None else "ask again later"
        return Busy(f"{url} is busy: it {said}; {when}, or serve fewer calls with it", status, seconds)
    fix = "read the server's log"
    if status in (401, 403):
        fix = "set key or key_file to a key that the server takes"
    elif status == 404:
        fix = f"the server has to serve model {model!r}, and url has to end where its API begins, mostly in /v1"
    elif 300 <= status < 400:
        fix = "set url to where the server really is; redirects are not followed"
    elif status == 413:
        fix = "lower budget or picture_height, or let the server take larger requests"
    elif 400 <= status < 500:
        fix = "it may lack room (lower budget), or not know what is asked of it (change structured, hears, sees)"
    return Refused(f"{url} {said}; {fix}", status)
