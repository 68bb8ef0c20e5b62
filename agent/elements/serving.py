"""Serves the modules of the elements, at ``/embed/{name}.js``."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from agent.elements.build import MAINS, bundle

TYPE: Final = "text/javascript"
module: Final = cache(bundle)
"""The module of an element, put together when it is first asked for (10 ms)."""


async def serve(request: Request) -> Response:
    """Answer with a module, or with 304 where the browser has it.

    Raises:
        HTTPException: there is no such element (404).
    """
    element = request.path_params["element"]
    if element not in MAINS:
        raise HTTPException(404)
    text = module(element)
    tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"etag": tag})
    return Response(text, media_type=TYPE, headers={"etag": tag})
