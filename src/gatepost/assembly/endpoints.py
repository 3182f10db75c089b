"""What is served under which path: from what `create_app` is given to targets with their names and scopes.

The one module that names the kinds of targets there are.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gatepost.configuration.loading import TargetError
from gatepost.configuration.settings import Settings
from gatepost.resource.resources import ProtectedResource
from gatepost.tokens.keyring import KeyRing

if TYPE_CHECKING:
    from gatepost.server.changes.bus import ChangeBus
    from gatepost.server.target import Target
    from gatepost.web.resource.application import Protected

MCP_PATH = "/mcp"
"""Where a single endpoint is served; `/mcp/` answers too, without a redirect."""

_PATH = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")  # no dot segments, nothing that needs escaping
_OURS = re.compile(r"/(?:oauth|docs|redoc|openapi\.json|health|healthz)(?:/|$)")
_HANDLER_SCOPES = {
    "mcp:read": "Read through this server",
    "mcp:write": "Change things through this server",
    "mcp:admin": "Administer this server",
}
"""The scopes of a bare JSON-RPC function when OAUTH_SUPPORTED_SCOPES names none."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One MCP endpoint or protected application, whatever origin it is called by."""

    path: str
    """Without a trailing slash."""
    target: Target | Protected
    name: str
    """For people."""
    scopes: Mapping[str, str]
    """Each scope with its words."""

    def at(self, origin: str) -> ProtectedResource:
        """Return the protected resource that it is at an origin: the audience of the tokens that count there."""
        return ProtectedResource(origin + self.path, self.path, self.name, self.scopes)

    @property
    def is_application(self) -> bool:
        """Whether it is an ASGI application, served with all below its path, and no MCP endpoint."""
        from gatepost.web.resource.application import Protected  # noqa: PLC0415 - imports the web framework

        return isinstance(self.target, Protected)

    @property
    def changes(self) -> ChangeBus | None:
        """What carries changes at run time; None for a function, of which none are known."""
        from gatepost.server.dispatch import ServerTarget  # noqa: PLC0415 - only where it is used

        return self.target.changes if isinstance(self.target, ServerTarget) else None


def endpoints_of(targets: Any, settings: Settings, *, title: str | None, key_ring: KeyRing) -> tuple[Endpoint, ...]:
    """Return what is served.

    Args:
        targets: a `Server` or a function, served at `MCP_PATH`; or a mapping from paths to such.
        settings: scopes that only the settings name are added to those of every target.
        title: the name of a single target for people; the target's own when None. Several have their own names.
        key_ring: what the state that clients carry is sealed under.

    Raises:
        TargetError: a target is of another kind, or a path cannot be served.
    """
    if not isinstance(targets, Mapping):
        return (_endpoint(MCP_PATH, targets, settings, title=title, key_ring=key_ring),)
    if not targets:
        raise TargetError("There is nothing to serve: the mapping of paths to targets is empty.")
    paths = [_checked(path) for path in targets]
    if len(set(paths)) != len(paths):
        raise TargetError("Two of the paths differ only by a slash at the end, which means the same endpoint.")
    return tuple(
        _endpoint(path, target, settings, title=None, key_ring=key_ring)
        for path, target in zip(paths, targets.values(), strict=True)
    )


def _checked(path: Any) -> str:
    """Return a path without a slash at its end."""
    if not isinstance(path, str) or _PATH.fullmatch(path.removesuffix("/")) is None or _OURS.match(path):
        raise TargetError(
            f"{path!r} cannot be the path of an endpoint: write one such as /notes/mcp, of letters, digits and "
            "- . _ ~, and not below /oauth or in the place of another page of this server."
        )
    return path.removesuffix("/")


def _endpoint(path: str, target: Any, settings: Settings, *, title: str | None, key_ring: KeyRing) -> Endpoint:
    served, name, declared = _served(path, target, title=title, key_ring=key_ring)
    return Endpoint(path, served, name, _scopes_of(declared, settings))


def _served(
    path: str, target: Any, *, title: str | None, key_ring: KeyRing
) -> tuple[Target | Protected, str, Mapping[str, str] | None]:
    """Return what answers, its name for people, and its scopes with their words (None: it cannot declare any)."""
    from gatepost.server.server import Server  # noqa: PLC0415 - with the rest of the work
    from gatepost.web.resource.application import Protected  # noqa: PLC0415 - likewise

    if isinstance(target, Protected):
        return target, title or target.title or path, target.scope_descriptions

    if isinstance(target, Server):
        from gatepost.server.calls.request_state import RequestStateSeal  # noqa: PLC0415 - likewise
        from gatepost.server.dispatch import ServerTarget  # noqa: PLC0415 - only where it is used

        seal = RequestStateSeal(key_ring, now=lambda: int(time.time()), random_bytes=secrets.token_bytes, endpoint=path)
        return ServerTarget(target, seal=seal), title or target.title or target.name, target.scope_descriptions
    if callable(target) and not isinstance(target, type):
        from gatepost.server.handler_target import HandlerTarget  # noqa: PLC0415 - only where it is used

        name = title or getattr(target, "__name__", None) or type(target).__name__
        try:
            return HandlerTarget(target, name=name), name, None
        except TypeError as error:
            raise TargetError(f"{name} cannot be served at {path}: {error}.") from None
    raise TargetError(
        f"A {type(target).__name__} cannot be served: give a gatepost Server, a function that takes a JSON-RPC "
        "request (dict) and returns a response (dict) or None, or Protected(app) for an ASGI application."
    )


def _scopes_of(declared: Mapping[str, str] | None, settings: Settings) -> dict[str, str]:
    """Return every scope with its words: the target's, then those that only the settings name.

    `declared` is None for a bare function, which cannot declare any.
    """
    named = (*settings.oauth.supported_scopes, *settings.oauth.required_scope)
    scopes = dict(declared or {})
    scopes |= {scope: _HANDLER_SCOPES.get(scope, f"Use “{scope}”") for scope in named if scope not in scopes}
    if scopes:
        return scopes
    return dict(_HANDLER_SCOPES) if declared is None else {"mcp": "Use its tools"}
