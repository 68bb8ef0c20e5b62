"""What every HTTP answer carries, and how a refusal is put: ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.refusal import Refused

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
    "img-src 'self' data:; media-src 'self' blob: mediastream:; connect-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(self), microphone=(self), autoplay=(self), speaker-selection=(self), "
    "geolocation=(), display-capture=(), payment=(), usb=(), serial=(), midi=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Headers:
    """Adds the headers that every answer carries, where it does not say otherwise itself."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((k.encode(), v.encode()) for k, v in _HEADERS.items() if k.lower().encode() not in given),
                ]
            await send(message)

        await self._inner(scope, receive, with_headers)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    headers = {"Cache-Control": "no-store"}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return _problem(error.status, str(error), headers)


def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _problem(error.status_code, error.detail, dict(error.headers or {}))


def _failed(request: Request, error: Exception) -> Response:
    return _problem(500, "something failed here; it has been logged", {"Cache-Control": "no-store"})


def _problem(status: int, reason: str, headers: dict[str, str]) -> Response:
    title = _TITLES.get(status) or HTTPStatus(status).phrase
    problem = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": reason,
        "info": reason,  # where some clients look for it
    }
    return JSONResponse(problem, status, headers, media_type="application/problem+json")


_TITLES: Final = {413: "Too large", 415: "Wrong type", 503: "Busy"}


def _left(request: Request, error: Exception) -> Response:
    return Response(status_code=400)


HANDLERS: Final[dict[Any, Callable[..., Any]]] = {
    Refused: _refused,
    ClientDisconnect: _left,
    HTTPException: _not_found,
    Exception: _failed,
}
"""For the application: no answer to a failure is without its reason."""
