"""Style sheet, logo and script of the pages, served from memory under `/oauth/static/`.

Their URLs carry a hash of their content, so browsers may keep them for good and a new version is seen at once. What an
operator adds (`branding`) is served beside them.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from gatepost.late_dataclass import dataclass
from gatepost.web.site.routing import Route

_FOLDER: Final = Path(__file__).parent / "static"
_MEDIA_TYPES: Final = {
    "gatepost.css": "text/css; charset=utf-8",
    "gatepost.svg": "image/svg+xml",
    "passkeys.js": "text/javascript; charset=utf-8",
}
_PREFIX: Final = "/oauth/static/"


_SECURITY_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
"""An SVG is a document when it is opened by itself."""


@dataclass(frozen=True, slots=True)
class StaticFile:
    """What is served under one name."""

    content: bytes
    media_type: str

    @property
    def version(self) -> str:
        """A hash of the content."""
        return hashlib.sha256(self.content).hexdigest()[:16]


class StaticFiles:
    """The files that pages refer to.

    Args:
        own: those of the operator, by name, beside ours.
    """

    def __init__(self, own: Mapping[str, StaticFile] | None = None) -> None:
        self._own = dict(own or {})

    def url(self, name: str) -> str:
        """Return the path under which the static file `name` is served, with the hash of its content."""
        return f"{_PREFIX}{name}?v={self._load(name).version}"

    def routes(self) -> tuple[Route, ...]:
        """Return the route of the static files."""
        return (Route("GET", _PREFIX + "{name}", self._serve),)

    async def _serve(self, request: Request) -> Response:
        name = request.path_params["name"]
        headers = {"Cross-Origin-Resource-Policy": "same-origin", "X-Content-Type-Options": "nosniff"}
        if name not in _MEDIA_TYPES and name not in self._own:
            return PlainTextResponse("Not found", 404, {**headers, "Cache-Control": "no-store"})
        file = self._load(name)
        # A page of another version than ours (a replica during a roll-out) asks for a hash we do not have: it gets what
        # there is, and no cache keeps that under the other's URL.
        current = request.query_params.get("v") == file.version
        headers["Cache-Control"] = "public, max-age=31536000, immutable" if current else "no-cache"
        headers["Content-Security-Policy"] = _SECURITY_POLICY
        return Response(file.content, media_type=file.media_type, headers=headers)

    def _load(self, name: str) -> StaticFile:
        return self._own[name] if name in self._own else _ours(name)


def logo() -> str:
    """Return the logo as SVG markup that stands inside a page."""
    return _ours("gatepost.svg").content.decode()


@functools.cache
def _ours(name: str) -> StaticFile:
    return StaticFile((_FOLDER / name).read_bytes(), _MEDIA_TYPES[name])
