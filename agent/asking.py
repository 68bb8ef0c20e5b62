"""What is read of a request, within limits: its body, where it comes from, its token."""

from __future__ import annotations

import asyncio
import re
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import HTTPConnection, Request

from agent.refusal import Refused

MAX_BODY: Final = 64 * 1024
_BODY_S: Final = 5.0
_NAME: Final = re.compile(r"[0-9a-f]{1,64}")

M = TypeVar("M", bound=BaseModel)


async def body_of(request: Request, model: type[M]) -> M:
    """Read and check a body.

    Raises:
        Refused: it is too long or too slow, no JSON, or not what ``model`` wants.
    """
    raw = await raw_body_of(request)
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(p) for p in first["loc"])
        raise Refused(400, f"{where}: {first['msg']}" if where else str(first["msg"])) from None


async def raw_body_of(request: Request) -> bytes:
    """Read a body.

    Raises:
        Refused: it is too long or too slow.
    """
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_BODY_S):
            async for part in request.stream():
                size += len(part)
                if size > MAX_BODY:
                    raise Refused(413, f"the body has more than {MAX_BODY} bytes")
                parts.append(part)
    except TimeoutError:
        raise Refused(408, f"the body did not come within {_BODY_S:g} s") from None
    return b"".join(parts)


async def text_of(request: Request, kind: str) -> str:
    """Read a body of text.

    Args:
        request: with the body.
        kind: media type that it has to be of.

    Raises:
        Refused: it is of another type, too long, too slow, or not UTF-8.
    """
    check_type(request, kind)
    try:
        return (await raw_body_of(request)).decode()
    except UnicodeDecodeError:
        raise Refused(400, "the body is not UTF-8") from None


def check_type(request: HTTPConnection, *kinds: str) -> str:
    """See that a body is of one of some media types, and return which.

    Raises:
        Refused: it is of another one.
    """
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found not in kinds:
        raise Refused(415, f"the body has to be {' or '.join(kinds)}, not {found[:64] or 'without a type'}")
    return found


def call_of(request: Request) -> str:
    """Return the name of a call in a path, ``{call}``.

    Raises:
        Refused: it is none that a call has.
    """
    found = str(request.path_params["call"])
    if not _NAME.fullmatch(found):
        raise Refused(404, "there is no such call")
    return found


def address_of(request: HTTPConnection) -> str:
    """Return the network address of whoever asks; ``""`` where there is none."""
    return request.client.host if request.client is not None else ""


def with_port(request: HTTPConnection) -> bool:
    """Return whether a proxy has forwarded an address with a port behind it, which no proxy does that writes it itself.

    The server of HTTP takes such a port off, and gives 0 for an address that came without.
    """
    forwarded = "x-forwarded-for" in request.headers
    return forwarded and request.client is not None and request.client.port != 0


def token_of(request: HTTPConnection) -> str | None:
    """Return the join token of a request, if it has one."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else request.query_params.get("token")
