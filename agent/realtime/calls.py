"""``/v1/realtime/calls``: the same over WebRTC, with events in the data channel and sound as media."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any, Final, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.asking import call_of, check_type, raw_body_of
from agent.realtime.channel import RealtimeTongue
from agent.realtime.desk import PATH, session_of
from agent.reception import Reception
from agent.refusal import Refused, Visitor

_SDP: Final = "application/sdp"
_FORM: Final = "multipart/form-data"
_UNSTORED: Final = {"Cache-Control": "no-store"}


class House(Protocol):
    """What holds the calls."""

    async def offer(self, sdp: str, visitor: Visitor, /, tongue: RealtimeTongue | None = None) -> Mapping[str, Any]:
        """Answer the offer of a new call by ``sdp`` and ``pc_id``, or raise ``Refused``."""
        ...

    def bye(self, pc_id: str, /) -> None:
        """End a call, or raise ``Refused``."""
        ...


class RealtimeCalls:
    """The handlers.

    Args:
        reception: where every caller passes.
        house: takes the call.
        describe: returns the names of what is loaded.
    """

    def __init__(self, reception: Reception, house: House, describe: Callable[[], Mapping[str, Any]]) -> None:
        self._reception = reception
        self._house = house
        self._describe = describe

    def routes(self) -> list[Route]:
        """Return where it is reached."""
        return [
            Route(f"{PATH}/calls", self.begin, methods=["POST"]),
            Route(PATH + "/calls/{call}/hangup", self.hang_up, methods=["POST"]),
        ]

    async def begin(self, request: Request) -> Response:
        """Begin a call: an SDP offer, alone or as a form with the session's settings."""
        with self._reception.counted(201):
            self._reception.step(request)
            self._reception.check_consent("a client of the Realtime API")
            sdp, wished = await _offer_of(request)
            session = session_of(self._describe())
            tongue = RealtimeTongue(session, everything=request.query_params.get("events") == "rapport")
            for refused in session.update(wished):
                raise Refused(400, f"{refused.param}: {refused.message}")
            with self._reception.enter(request) as visitor:
                found = await self._house.offer(sdp, visitor, tongue)
        where = {"Location": f"{PATH}/calls/{found['pc_id']}"}
        return Response(found["sdp"], 201, media_type=_SDP, headers=_UNSTORED | where)

    async def hang_up(self, request: Request) -> Response:
        """End a call."""
        self._reception.check_origin(request)
        self._house.bye(call_of(request))
        return Response(status_code=200, headers=_UNSTORED)


async def _offer_of(request: Request) -> tuple[str, dict[str, Any]]:
    """Return the offer and the wished settings."""
    kind = check_type(request, _SDP, _FORM)
    raw = await raw_body_of(request)
    fields = {"sdp": raw} if kind == _SDP else form_of(request.headers["content-type"], raw)
    try:
        sdp = fields["sdp"].decode()
        wished = json.loads(fields.get("session", b"{}"))
    except KeyError:
        raise Refused(400, "the form has no field sdp") from None
    except (ValueError, RecursionError):
        raise Refused(400, "sdp has to be UTF-8, and session JSON") from None
    if not isinstance(wished, dict):
        raise Refused(400, "session has to be a JSON object")
    return sdp, wished


def form_of(kind: str, raw: bytes) -> dict[str, bytes]:
    """Return the fields of a form (RFC 7578).

    Args:
        kind: its ``Content-Type``, with the boundary.
        raw: the body.

    Raises:
        Refused: it is no form.
    """
    if not kind.isprintable() or not kind.isascii():
        raise Refused(400, "the Content-Type is malformed")
    found = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + raw)
    fields: dict[str, bytes] = {}
    for part in found.walk():
        name = part.get_param("name", header="Content-Disposition")
        body = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(body, bytes):
            fields[name] = body
    if not fields:
        raise Refused(400, "the body is no form")
    return fields
