"""The path below which everything is served: that of the public URL, or of another app in which this one is mounted.

Inside of it every path is as it would be without: whatever is asked about a path need not know of the base. The scope's
`root_path` holds the base there, and `path` what follows it. What leaves for the outside gets the base in front of it:
locations of redirects (`routing.py`), links of pages (`pages/rendering.py`), and whatever is built from the issuer.
"""

from __future__ import annotations

import logging
import re
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gatepost.late_dataclass import dataclass
from gatepost.oauth.reasons import Reason
from gatepost.web.site.responses import json_response

_log = logging.getLogger("gatepost.web")

BASE_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")
"""What a base may be: letters, digits and - . _ ~, so that it is spelled in one way; no dot segments."""
_INNER: Final = "gatepost.inner_scope"


def origin_of(url: str) -> str:
    """Return the origin of a URL: what browsers send as `Origin` (RFC 6454 section 6.2)."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def path_of(url: str) -> str:
    """Return the base path of a URL: empty for an origin."""
    return urlsplit(url).path.rstrip("/")


def cookie_suffix(url: str) -> str:
    """Return what tells the cookies of this server from those of others on the same host, at other ports and paths.

    Their names say it and not their `Path`, which is no wall between apps of one origin (RFC 6265 section 8.6), and
    which the prefix `__Host-` wants to be `/`.
    """
    parts = urlsplit(url)
    # No base has a plus in it.
    return ("" if parts.port is None else f"-{parts.port}") + path_of(url).replace("/", "+")


def inner_scope(scope: Scope) -> Scope:
    """Return the scope as our own layers have it, where `scope` is that of a layer around or behind them."""
    inner: Scope = scope.get(_INNER, scope)
    return inner


@dataclass(frozen=True, slots=True)
class BasePath:
    """Finds the base of a request.

    A proxy may keep the base of the public URL in the path or strip it: it is taken away where it is there. A path that
    begins with it is never one of ours without it (`assembly/endpoints.py`).
    """

    public: str | None
    """The path of the public URL; None without a public URL: then it is what the server or the app around says."""

    def concerns(self, scope: Scope) -> bool:
        """Say whether a request is below a path at all."""
        return scope["type"] != "lifespan" and bool(self.public or scope.get("root_path"))

    def inside(self, scope: Scope) -> Scope | None:
        """Return the scope as it is inside the base; None where the app is mounted at another path than it was told.

        The server's `root_path` is part of the path (ASGI, "HTTP connection scope"); where it is not, which older
        servers and apps do, there is nothing to take away.
        """
        root, path = scope.get("root_path", "").rstrip("/"), scope["path"]
        base = root if self.public is None else self.public
        if BASE_PATH.fullmatch(base) is None:
            return None
        if root and is_below(path, root):
            if not base.endswith(root):
                return None
            path = path[len(root) :]
        elif is_below(path, base):
            path = path[len(base) :]
        inner = {**scope, "path": path or "/", "root_path": base}
        scope[_INNER] = inner
        return inner

    def misplaced(self, scope: Scope) -> Response:
        """Return the answer where `inside` returns None, after logging it."""
        root = scope.get("root_path", "").rstrip("/")
        if BASE_PATH.fullmatch(root) is None:
            description = "The path below which this app is mounted may hold letters, digits, and - . _ ~ only."
        else:
            description = (
                f"This app is mounted at {root}, and clients are told another address. The operator sets "
                f"MCP_PUBLIC_URL to the address at which clients reach it, with that path: https://example.com{root}."
            )
        _log.error("%s", description, extra={"reason": Reason.MOUNTED_BELOW.value})
        return json_response({"error": "not_found", "error_description": description}, 404)


@dataclass(frozen=True, slots=True)
class WithWholePath:
    """Serves an app that is not ours with the whole path, as ASGI has it."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        await self.app(outer_scope(scope), receive, send)


def outer_scope(scope: Scope, *, below: str = "") -> Scope:
    """Return a scope of `inside` with the whole path again, for an app that is served `below` a path of ours."""
    base = scope.get("root_path", "")
    if scope["type"] == "lifespan" or not (base or below):
        return scope
    return {**scope, "path": base + scope["path"], "root_path": base + below, _INNER: scope}


def is_below(path: str, base: str) -> bool:
    """Say whether a path is a base or anything below it."""
    return path == base or path.startswith(f"{base}/")
