"""Style sheet and logo of the pages, served from memory under `/oauth/static/`.

Their URLs carry a hash of their content, so browsers may keep them for good and a new version is seen at once.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from gatepost.web.site.routing import Route

_FOLDER: Final = Path(__file__).parent / "static"
_MEDIA_TYPES: Final = {"gatepost.css": "text/css; charset=utf-8", "gatepost.svg": "image/svg+xml"}
_PREFIX: Final = "/oauth/static/"


def static_url(name: str) -> str:
    """Return the path under which the static file `name` is served, with the hash of its content."""
    return f"{_PREFIX}{name}?v={_load(name)[1]}"


def logo() -> str:
    """Return the logo as SVG markup that stands inside a page."""
    return _load("gatepost.svg")[0].decode()


def static_routes() -> tuple[Route, ...]:
    """Return the route of the static files."""
    return (Route("GET", _PREFIX + "{name}", _serve),)


async def _serve(request: Request) -> Response:
    name = request.path_params["name"]
    headers = {"Cross-Origin-Resource-Policy": "same-origin", "X-Content-Type-Options": "nosniff"}
    if name not in _MEDIA_TYPES:
        return PlainTextResponse("Not found", 404, {**headers, "Cache-Control": "no-store"})
    content, version = _load(name)
    # A page of another version than ours (a replica during a roll-out) asks for a hash we do not have: it gets what
    # there is, and no cache keeps that under the other's URL.
    current = request.query_params.get("v") == version
    headers["Cache-Control"] = "public, max-age=31536000, immutable" if current else "no-cache"
    # An SVG is a document when it is opened by itself.
    headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"
    return Response(content, media_type=_MEDIA_TYPES[name], headers=headers)


@functools.cache
def _load(name: str) -> tuple[bytes, str]:
    content = (_FOLDER / name).read_bytes()
    return content, hashlib.sha256(content).hexdigest()[:16]
