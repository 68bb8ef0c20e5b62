"""Publishers that speak WHIP (RFC 9725), such as FFmpeg, GStreamer and OBS, as callers.

===========  ==========================================================================================
``OPTIONS``  ``/whip``: what may be posted, and the ICE servers
``POST``     ``/whip`` with ``application/sdp``: 201, the answer, and in ``Location`` the call
``PATCH``    the call with ``application/trickle-ice-sdpfrag`` and ``If-Match``: 204; no ICE restarts (422)
``DELETE``   the call: 200
===========  ==========================================================================================

The path of a call holds 128 random bits, which are the key to it. A publisher that offers ``sendrecv`` sound hears the
agent; one that only sends is perceived, and what the agent says goes nowhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, Protocol

from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent.asking import body_of, call_of, check_type, text_of
from agent.reception import Reception
from agent.refusal import Refused, Visitor
from agent.wire import Sense

PATH: Final = "/whip"

_SDP: Final = "application/sdp"
_FRAGMENT: Final = "application/trickle-ice-sdpfrag"
_JSON: Final = "application/json"
_PATCHES: Final = f"{_FRAGMENT}, {_JSON}"
_MOST_LINES: Final = 256
_MOST_CANDIDATES: Final = 32
_LONGEST: Final = 512
_MID: Final = re.compile(r"[A-Za-z0-9._~-]{1,32}")
_UNSTORED: Final = {"Cache-Control": "no-store"}


class Allow(BaseModel):
    """What a publisher takes back, or allows again; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    senses: Annotated[frozenset[Sense], Field(max_length=64)] | None = None
    recording: bool | None = None


class House(Protocol):
    """What holds the calls."""

    async def offer(self, sdp: str, visitor: Visitor, /) -> Mapping[str, Any]:
        """Answer the offer of a new call by ``sdp`` and ``pc_id``, or raise ``Refused``."""
        ...

    async def trickle(self, pc_id: str, candidates: list[tuple[str, str]], /) -> None:
        """Add addresses, each with its ``mid``, or raise ``Refused``."""
        ...

    def allow(self, pc_id: str, senses: frozenset[str] | None, recording: bool | None, /) -> Mapping[str, Any]:
        """Change what may be perceived and kept, ``None`` for no change; return what holds, or raise ``Refused``."""
        ...

    def bye(self, pc_id: str, /) -> None:
        """End a call, or raise ``Refused``."""
        ...


class Whip:
    """The handlers.

    Args:
        reception: where every caller passes.
        house: takes the call.
        ice: returns the ICE servers of one more caller, as browsers take them.
    """

    def __init__(self, reception: Reception, house: House, ice: Callable[[], list[dict[str, Any]]]) -> None:
        self._reception = reception
        self._house = house
        self._ice = ice

    def routes(self) -> list[Route]:
        """Return where it is reached."""
        call = PATH + "/{call}"
        found: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
            (PATH, "OPTIONS", self.options),
            (PATH, "POST", self.publish),
            (call, "OPTIONS", self.options),
            (call, "PATCH", self.patch),
            (call, "DELETE", self.end),
        ]
        known = [Route(path, handler, methods=[method]) for path, method, handler in found]
        rest = [Route(PATH, _not_allowed, methods=["GET", "PUT", "PATCH", "DELETE"])]
        return [*known, *rest, Route(call, _not_allowed, methods=["GET", "PUT", "POST"])]

    async def options(self, request: Request) -> Response:
        """Say what may be sent here."""
        self._reception.check_origin(request)
        return Response(status_code=204, headers={"Accept-Post": _SDP, "Accept-Patch": _PATCHES})

    async def publish(self, request: Request) -> Response:
        """Begin a call."""
        with self._reception.counted(201):
            self._reception.step(request)
            self._reception.check_consent("a WHIP publisher")
            sdp = await text_of(request, _SDP)
            with self._reception.enter(request) as visitor:
                found = await self._house.offer(sdp, visitor)
        name = str(found["pc_id"])
        answer = Response(found["sdp"], 201, media_type=_SDP, headers=_UNSTORED)
        answer.headers["Location"] = f"{PATH}/{name}"
        answer.headers["ETag"] = _etag(name)
        answer.headers["Accept-Patch"] = _PATCHES
        for server in self._ice():
            for link in links(server):
                answer.headers.append("Link", link)
        return answer

    async def patch(self, request: Request) -> Response:
        """Take in addresses that became known after the offer; or, as JSON, what is taken back of what is allowed."""
        self._reception.check_origin(request)
        if check_type(request, _FRAGMENT, _JSON) == _JSON:
            wished = await body_of(request, Allow)
            holds = self._house.allow(call_of(request), wished.senses, wished.recording)
            return JSONResponse(dict(holds), headers=_UNSTORED)
        return await self._trickle(request)

    async def _trickle(self, request: Request) -> Response:
        name = call_of(request)
        match request.headers.get("if-match"):
            case None:
                raise Refused(428, "If-Match with the ETag of the answer is needed")
            case "*":
                raise Refused(422, "ICE restarts are not supported; end the call and publish anew")
            case tag if tag != _etag(name):
                raise Refused(412, "If-Match is not the ETag of this call")
        await self._house.trickle(name, candidates(await text_of(request, _FRAGMENT)))
        return Response(status_code=204, headers=_UNSTORED)

    async def end(self, request: Request) -> Response:
        """Hang up; with ``?erase`` all that was allowed is taken back first, so that nothing of the call is kept."""
        self._reception.check_origin(request)
        if "erase" in request.query_params:
            self._house.allow(call_of(request), frozenset(), False)
        self._house.bye(call_of(request))
        return Response(status_code=200, headers=_UNSTORED)


async def _not_allowed(request: Request) -> Response:
    raise HTTPException(405, f"{request.method} is not for this address; see OPTIONS")


def candidates(fragment: str) -> list[tuple[str, str]]:
    """Return the candidates of an SDP fragment (RFC 8840 section 9), each with the ``mid`` of its medium.

    Raises:
        Refused: it is no fragment.
    """
    lines = fragment.replace("\r\n", "\n").rstrip("\n").split("\n") if fragment.strip() else []
    if len(lines) > _MOST_LINES:
        raise Refused(400, f"the fragment has more than {_MOST_LINES} lines")
    found: list[tuple[str, str]] = []
    mid = ""
    for number, line in enumerate(lines, 1):
        if len(line) < 3 or line[1] != "=" or not line.isprintable():
            raise Refused(400, f"line {number} of the fragment is not of the form x=...")
        if line.startswith("m="):
            mid = ""
        elif line.startswith("a=mid:"):
            mid = line.removeprefix("a=mid:").strip(" ")
            if not _MID.fullmatch(mid):
                raise Refused(400, f"line {number} of the fragment has a malformed mid")
        elif line.startswith("a=candidate:"):
            if not mid:
                raise Refused(400, f"line {number} of the fragment is a candidate without a mid before it")
            if len(line) > _LONGEST or len(found) >= _MOST_CANDIDATES:
                raise Refused(400, f"a fragment has at most {_MOST_CANDIDATES} candidates, each of {_LONGEST} bytes")
            found.append((line.removeprefix("a="), mid))
    return found


def links(server: Mapping[str, Any]) -> list[str]:
    """Return an ICE server as values of ``Link`` headers (RFC 9725 section 4.6)."""
    urls = server["urls"]
    more = ""
    if "username" in server:
        more = f"; username={_quoted(server['username'])}; credential={_quoted(server['credential'])}"
        more += '; credential-type="password"'
    return [f'<{url}>; rel="ice-server"{more}' for url in ([urls] if isinstance(urls, str) else urls)]


def _quoted(text: str) -> str:
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'


def _etag(name: str) -> str:
    """The same for the life of a connection, and of no use to whoever does not know its name."""
    return f'"{hashlib.sha256(name.encode()).hexdigest()[:16]}"'
