"""Servers of other libraries as ASGI applications: FastMCP's, and those of the official Python SDK.

They are known by their classes, so neither library is imported here unless its user has done so.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send

_AT_THE_ROOT: Final = "/"
_METHODS: Final = {"fastmcp": ("http_app", "path"), "mcp": ("streamable_http_app", "streamable_http_path")}
"""By package: the method that returns an ASGI application, and its parameter that says where the endpoint is."""


class ServerApplication:
    """A server of another library as an ASGI application, whose endpoint is where it is mounted.

    The library's own application is made when the lifespan begins, since some serve for one lifespan only.
    """

    def __init__(self, build: Callable[[], ASGIApp], *, name: str) -> None:
        self._build = build
        self._app: ASGIApp | None = None
        self.name = name
        """For people."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan" or self._app is None:
            self._app = self._build()
        if scope.get("path") and scope["path"] == scope.get("root_path"):
            # Below its mount a router knows this as the path "/".
            raw_path = scope.get("raw_path")
            scope = {**scope, "path": f"{scope['path']}/", "raw_path": raw_path and raw_path + b"/"}
        await self._app(scope, receive, send)


def server_application(server: object) -> ServerApplication | None:
    """Return a server of another library as an application; None where it is no such server.

    Raises:
        TypeError: it checks tokens itself, which are other ones; the sentence says what to do.
    """
    if isinstance(server, ServerApplication):
        return server
    package = _package_of(server)
    if package is None:
        return None
    if _checks_tokens(server):
        raise TypeError(
            f"this {type(server).__name__} checks tokens itself (auth=...), and Gatepost does so in front of it: leave "
            "that out where it is made"
        )
    method, parameter = _METHODS[package]
    options: dict[str, Any] = {parameter: _AT_THE_ROOT}

    def build() -> ASGIApp:
        # `Host` and `Origin` have been looked at in front, by the names that clients really use.
        if package == "fastmcp":
            options["host_origin_protection"] = False
        else:
            from mcp.server.transport_security import TransportSecuritySettings  # noqa: PLC0415 - its user has it

            options["transport_security"] = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        app: ASGIApp = getattr(server, method)(**options)
        return app

    name = getattr(server, "title", None) or getattr(server, "name", None)
    return ServerApplication(build, name=name if isinstance(name, str) and name else type(server).__name__)


def _package_of(server: object) -> str | None:
    """Return by which package an object is a server that can be told where its endpoint is."""
    for kind in type(server).__mro__:
        package = kind.__module__.partition(".")[0]
        found = getattr(kind, _METHODS[package][0], None) if package in _METHODS else None
        if callable(found) and _METHODS[package][1] in inspect.signature(found).parameters:
            return package
    return None


def _checks_tokens(server: Any) -> bool:
    settings = getattr(server, "settings", None)
    return any(
        (getattr(server, "auth", None), getattr(settings, "auth", None), getattr(server, "_token_verifier", None))
    )
