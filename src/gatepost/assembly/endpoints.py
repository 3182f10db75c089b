"""What is served under which path: from what `create_app` is given to targets with their names and scopes.

The one module that names the kinds of targets there are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gatepost.assembly.call_limits import SharedCallLimits
from gatepost.assembly.core import Core
from gatepost.assembly.extensions import extension_host
from gatepost.assembly.imported_later import (
    is_command,
    is_direct_app,
    is_json_rpc_handler,
    is_merged,
    is_protected,
    is_remote,
)
from gatepost.configuration.deployment import MCP_PATH
from gatepost.configuration.forward_proxy import forward_proxy
from gatepost.configuration.loading import TargetError
from gatepost.configuration.settings import Settings
from gatepost.extensions.authorization import CLIENT_CREDENTIALS, ENTERPRISE_MANAGED
from gatepost.late_dataclass import dataclass
from gatepost.outbound.fetching import system_trust
from gatepost.resource.resources import ProtectedResource
from gatepost.server.calls.request_state import RequestStateSeal
from gatepost.server.calls.upstream import Upstream
from gatepost.server.changes.bus import ChangeBus
from gatepost.server.dispatch import ServerTarget
from gatepost.server.extension import Extension
from gatepost.server.handler_target import HandlerTarget
from gatepost.server.server import Server
from gatepost.server.target import SessionTarget, Target
from gatepost.web.site.limits import Limits
from gatepost.wording.phrase import Phrase, Words

if TYPE_CHECKING:
    from pathlib import Path

    from gatepost.fronts.backend import Backend
    from gatepost.fronts.command import Command
    from gatepost.fronts.remote import Remote
    from gatepost.fronts.target import FrontTarget
    from gatepost.outbound.streamed import StreamedWay
    from gatepost.resource.scope_map import ScopeMap
    from gatepost.web.resource.application import Protected

_PATH = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")  # no dot segments, nothing that needs escaping
_OURS = re.compile(r"/(?:oauth|docs|redoc|openapi\.json|health|healthz)(?:/|$)")
_HANDLER_SCOPES = {
    "mcp:read": Phrase("Read through this server"),
    "mcp:write": Phrase("Change things through this server"),
    "mcp:admin": Phrase("Administer this server"),
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
    scopes: Mapping[str, Words]
    """Each scope with its words."""
    destructive_scopes: frozenset[str] = frozenset()
    """See `ProtectedResource`; likewise the next two."""
    implied_scopes: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    scope_groups: Mapping[str, str] = field(default_factory=dict[str, str])
    remarks: tuple[str, ...] = ()
    """What the operator had better know about it."""
    changes: ChangeBus | None = None
    """What carries changes at run time; None for what is none of our own, of which none are known."""

    def at(self, origin: str) -> ProtectedResource:
        """Return the protected resource that it is at an origin: the audience of the tokens that count there."""
        return ProtectedResource(
            origin + self.path,
            self.path,
            self.name,
            self.scopes,
            destructive_scopes=self.destructive_scopes,
            implied_scopes=self.implied_scopes,
            scope_groups=self.scope_groups,
        )

    @property
    def is_application(self) -> bool:
        """Whether it is an ASGI application, served with all below its path, and no MCP endpoint."""
        return is_protected(self.target)

    @property
    def session_target(self) -> SessionTarget | None:
        """The target, if it keeps something for each session."""
        return self.target if isinstance(self.target, SessionTarget) else None

    @property
    def is_mcp_endpoint(self) -> bool:
        """Whether its path is the URL of an MCP server, ours or another library's."""
        return not is_protected(self.target) or self.target.is_mcp_endpoint


def endpoints_of(
    targets: Any, core: Core, *, title: str | None, upstream: Upstream | None = None
) -> tuple[Endpoint, ...]:
    """Return what is served.

    Args:
        targets: as for `create_app`; a single one is served at `MCP_PATH`.
        core: scopes that only its settings name are added to those of every target.
        title: the name of a single target for people; the target's own when None. Several have their own names.
        upstream: gives calls the tokens of login providers.

    Raises:
        TargetError: a target is of another kind, or a path cannot be served.
    """
    file = core.settings.server.scopes_file
    making = Making(core, upstream, None if file is None else _read_scope_map(file))
    served = {MCP_PATH: targets} if not isinstance(targets, Mapping) else targets
    if not served:
        raise TargetError("There is nothing to serve: the mapping of paths to targets is empty.")
    paths = [_checked(path) for path in served]
    _check_base(core.deployment.public_url, paths)
    if len(set(paths)) != len(paths):
        raise TargetError("Two of the paths differ only by a slash at the end, which means the same endpoint.")
    own_title = None if isinstance(targets, Mapping) else title
    pairs = zip(paths, served.values(), strict=True)
    endpoints = tuple(_endpoint(path, target, making, own_title) for path, target in pairs)
    if file is not None and not making.heeding:
        # The tools would be served without what the operator wants them to need.
        raise TargetError("MCP_SCOPES_FILE is for what declares no scopes, and what is served declares its own.")
    return endpoints


def _read_scope_map(file: Path) -> ScopeMap:
    from gatepost.configuration.scope_file import read_scope_map  # noqa: PLC0415 - most servers have no such file

    return read_scope_map(file)


def _check_base(public_url: str, paths: Iterable[str]) -> None:
    """Refuse a base in front of all paths with which some would begin by themselves: a proxy may have stripped it.

    Raises:
        TargetError: it is so.
    """
    base = urlsplit(public_url).path
    if base and _OURS.match(base):
        raise TargetError(f"MCP_PUBLIC_URL cannot end with {base}, which is a path of this server itself.")
    for path in paths:
        if base and f"{path}/".startswith(f"{base}/"):
            raise TargetError(
                f"MCP_PUBLIC_URL is the address in front of all paths, so {path} would be at {public_url}{path}. Leave "
                f"{base} out at the end of MCP_PUBLIC_URL, or serve the endpoint at another path."
            )


def _checked(path: Any) -> str:
    """Return a path without a slash at its end."""
    if not isinstance(path, str) or _PATH.fullmatch(path.removesuffix("/")) is None or _OURS.match(path):
        raise TargetError(
            f"{path!r} cannot be the path of an endpoint: write one such as /notes/mcp, of letters, digits and "
            "- . _ ~, and not below /oauth or in the place of another page of this server."
        )
    return path.removesuffix("/")


@dataclass(frozen=True, slots=True)
class Making:
    """What every endpoint is made with."""

    core: Core
    upstream: Upstream | None
    scope_map: ScopeMap | None
    """Of MCP_SCOPES_FILE."""
    heeding: list[str] = field(default_factory=list[str])
    """The paths of those endpoints that have its scopes."""

    def scopes_of_file(self, path: str) -> ScopeMap | None:
        """Return the scopes of the file for an endpoint that has none in code."""
        self.heeding.append(path)
        return self.scope_map


def _endpoint(path: str, target: Any, making: Making, title: str | None) -> Endpoint:
    core = making.core
    protected = _protected(path, target, making)
    if protected is not None:
        return Endpoint(
            path,
            protected,
            title or protected.name or path,
            scopes_of(protected.scope_descriptions, core.settings),
            implied_scopes={} if protected.scope_map is None else protected.scope_map.implied_scopes,
            scope_groups=protected.scope_groups,
        )
    if isinstance(target, Server):
        scopes = scopes_of(target.scope_descriptions, core.settings)
        name = title or target.title or target.name
        return Endpoint(
            path,
            server_target(path, target, making),
            name,
            scopes,
            target.destructive_scopes,
            target.implied_scopes,
            target.scope_groups,
            changes=target.changes,
        )
    if is_command(target) or is_remote(target):
        return _of_front(path, target, making, title)
    if is_merged(target):
        from gatepost.assembly.merging import merged_endpoint  # noqa: PLC0415 - most servers are alone at their path

        return merged_endpoint(path, target, making, title)
    if is_direct_app(target):
        raise TargetError(
            "create_app() made this app already: give it to an ASGI server, or to gatepost serve, as it is."
        )
    return _of_function(path, target, making, title)


def _protected(path: str, target: Any, making: Making) -> Protected | None:
    """Return an application, or a server of another library as one; None where it is neither."""
    if isinstance(target, Server):
        return None
    from gatepost.web.resource.application import Protected  # noqa: PLC0415 - most servers are one of `Server` alone
    from gatepost.web.resource.other_servers import server_application  # noqa: PLC0415 - likewise

    try:
        if not isinstance(target, Protected) and server_application(target) is None:
            return None
        protected = target if isinstance(target, Protected) else Protected(target)
    except TypeError as error:
        raise TargetError(f"{type(target).__name__} cannot be served at {path}: {error}.") from None
    if not protected.is_mcp_endpoint or protected.scopes:
        return protected
    return replace(protected, scopes=making.scopes_of_file(path) or {})


def _of_function(path: str, target: Any, making: Making, title: str | None) -> Endpoint:
    own_scopes = None
    if is_json_rpc_handler(target):
        target, own_scopes, title = target.function, target.scopes, title or target.title
    name = title or getattr(target, "__name__", None) or type(target).__name__
    try:
        served = HandlerTarget(target, name=name)
    except TypeError as error:
        raise TargetError(f"{name} cannot be served at {path}: {error}.") from None
    settings, scope_map = making.core.settings, making.scopes_of_file(path) if own_scopes is None else own_scopes
    if scope_map is None:
        return Endpoint(path, served, name, scopes_of(None, settings))
    from gatepost.server.scoped_target import ScopedTarget  # noqa: PLC0415 - most servers have no such scopes

    return Endpoint(
        path,
        ScopedTarget(served, scope_map),
        name,
        scopes_of(words_of(scope_map), settings),
        implied_scopes=scope_map.implied_scopes,
        scope_groups=scope_map.scope_groups,
    )


def words_of(scope_map: ScopeMap) -> dict[str, Words]:
    """Return every scope of a map with its words for people."""
    words = scope_map.descriptions
    return {scope: words.get(scope, Phrase("Use “%(scope)s”", scope=scope)) for scope in scope_map.scopes}


def server_target(path: str, server: Server, making: Making) -> ServerTarget:
    """Return a `Server` as it is served at a path."""
    core = making.core
    seal = RequestStateSeal(core.key_ring, now=core.now, random_bytes=core.random_bytes, endpoint=path)
    limits = SharedCallLimits(Limits(store=core.store.limits, now=core.now), path)
    # Clients of other issuers have to ask those what they offer.
    grants: tuple[Extension, ...] = (CLIENT_CREDENTIALS,) if core.settings.issues_tokens else ()
    if grants and core.settings.oauth.id_jag_issuers:
        grants = (*grants, ENTERPRISE_MANAGED)
    host = extension_host(path, server, core)
    return ServerTarget(server, seal=seal, upstream=making.upstream, limits=limits, extensions=grants, host=host)


def front_target(
    place: str, front: Command | Remote, making: Making, scope_map: ScopeMap | None, *, raises_outages: bool = False
) -> FrontTarget:
    """Return a server of somebody else's as it is served.

    Args:
        place: where, which what travels through clients is bound to.
        front: the server.
        making: what every endpoint is made with.
        scope_map: what needs which scopes; None where nothing needs any.
        raises_outages: as `FrontTarget` has it.
    """
    from gatepost.fronts.target import FrontTarget  # noqa: PLC0415 - most servers have no other one behind them

    core = making.core
    backend: Backend
    backend = front.backend() if is_command(front) else front.backend(way_for_fronts(core.settings), making.upstream)
    return FrontTarget(
        backend,
        front.sharing,
        introduction=front.introduction,
        is_tried=front.is_tried,
        scope_map=scope_map,
        seal=RequestStateSeal(core.key_ring, now=core.now, random_bytes=core.random_bytes, endpoint=place),
        random_bytes=core.random_bytes,
        raises_outages=raises_outages,
    )


def remarks_on(front: Command | Remote, name: str) -> tuple[str, ...]:
    """Return what the operator had better know about how a server is shared."""
    if front.sharing.share != "all":
        return ()
    shared = "process" if is_command(front) else "session"
    return (f"Everybody shares one {shared} of {name} (--share=all): people can meet each other's data in it.",)


def _of_front(path: str, front: Command | Remote, making: Making, title: str | None) -> Endpoint:
    core, introduction = making.core, front.introduction
    scope_map = making.scopes_of_file(path) if front.scopes is None else front.scopes
    served = front_target(path, front, making, scope_map)
    name = title or (None if introduction is None else introduction.title) or served.backend.name
    remarks = remarks_on(front, name)
    if scope_map is None:
        return Endpoint(path, served, name, scopes_of({}, core.settings), remarks=remarks)
    return Endpoint(
        path,
        served,
        name,
        scopes_of(words_of(scope_map), core.settings),
        implied_scopes=scope_map.implied_scopes,
        scope_groups=scope_map.scope_groups,
        remarks=remarks,
    )


def way_for_fronts(settings: Settings) -> Callable[[str], StreamedWay]:
    """Return what returns ways to remote servers; one TLS client for all of them. Raises SettingsError."""
    from gatepost.outbound.transport import way_for_streams  # noqa: PLC0415 - few servers have a remote one behind

    proxy, tls = forward_proxy(settings), cache(system_trust)
    return lambda url: way_for_streams(url, proxy, tls)


def scopes_of(declared: Mapping[str, Words] | None, settings: Settings) -> dict[str, Words]:
    """Return every scope with its words: the target's, then those that only the settings name.

    `declared` is None for a bare function, which cannot declare any.
    """
    named = (*settings.oauth.supported_scopes, *settings.oauth.required_scope)
    scopes: dict[str, Words] = dict(declared or {})
    if declared is None and not settings.oauth.supported_scopes:
        scopes = dict(_HANDLER_SCOPES)
    scopes |= {
        scope: _HANDLER_SCOPES.get(scope, Phrase("Use “%(scope)s”", scope=scope))
        for scope in named
        if scope not in scopes
    }
    return scopes or {"mcp": Phrase("Use its tools")}
