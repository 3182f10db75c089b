"""What one origin serves: the layers in front, the routing table, and the app around both."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Scope

from gatepost import __version__
from gatepost.assembly.appearance import pages_for
from gatepost.assembly.installation import Installation
from gatepost.assembly.life import Life
from gatepost.assembly.mcp import Resources
from gatepost.late_dataclass import dataclass
from gatepost.web.mcp.endpoint import McpEndpoint
from gatepost.web.pages.landing import LandingPage
from gatepost.web.site.base_path import BasePath, WithWholePath
from gatepost.web.site.errors import ErrorResponses
from gatepost.web.site.front import WithRequestId
from gatepost.web.site.front_door import CrossOrigin, HostGuard, LocalOnly, OrdinaryRequests, names_us
from gatepost.web.site.health import LIVENESS_PATHS, PROBE_PATHS, HealthChecks, HealthEndpoints
from gatepost.web.site.limits import AddressLimits
from gatepost.web.site.loopback_names import LoopbackNames
from gatepost.web.site.reference import ReferencePages
from gatepost.web.site.request_ids import HttpRequestIds
from gatepost.web.site.request_log import RequestLog
from gatepost.web.site.request_log import logger as requests_log
from gatepost.web.site.routing import Route, RoutingTable
from gatepost.web.site.served_app import ServedApp
from gatepost.web.site.twins import TOKEN_PATH, Twins

if TYPE_CHECKING:
    from gatepost.assembly.core import Core
    from gatepost.web.pages.rendering import Pages
    from gatepost.web.site.direct_app import DirectApp


class _App(Protocol):
    def has_route(self, scope: Scope, /) -> bool: ...


AppT = TypeVar("AppT", bound=_App)


@dataclass(frozen=True, slots=True)
class Site:
    """What one origin serves."""

    routes: tuple[Route, ...]
    oauth_routes: Callable[[], tuple[Route, ...]]
    """Builds the routes at which the authorization server answers programs, at the first call."""
    page_routes: Callable[[], tuple[Route, ...]]
    """Builds the routes of the pages at the first call, all of which are below `/oauth/`."""
    endpoints: Mapping[str, McpEndpoint]
    """By path, with and without a slash at the end."""
    applications: Mapping[str, ASGIApp]
    """By path, for all below it."""

    def every_route(self) -> tuple[Route, ...]:
        """Return the routes, those too that are built later."""
        return (*self.routes, *self.oauth_routes(), *self.page_routes())


def app_for(installation: Installation, *, announce: Callable[[str], None], hears_signals: bool = False) -> DirectApp:
    """Return the app of an installation, to which its user may add.

    `announce` gets the banner once everything is open. `hears_signals` is for servers that do not end what lasts until
    the clients leave; our own does, after it has stopped listening.
    """
    from gatepost.web.site.direct_app import DirectApp  # noqa: PLC0415 - FastAPI is a third of a start

    app = _build(DirectApp, installation, Life(installation, announce, hears_signals=hears_signals))
    if requests_log.isEnabledFor(logging.DEBUG):
        # As soon as anything lies around the app, the short ways past it are closed; so it is not there otherwise.
        paths, addresses = installation.resources.mcp_paths, installation.core.addresses
        app.add_middleware(RequestLog, own_paths=paths, addresses=addresses, clock=time.perf_counter)
    return app


def served_app_for(installation: Installation, *, announce: Callable[[str], None]) -> ASGIApp:
    """Return the app of an installation for our own server, to which nobody adds; `announce` as of `app_for`."""
    app = _build(ServedApp, installation, Life(installation, announce, hears_signals=False))
    if not requests_log.isEnabledFor(logging.DEBUG):
        return app
    addresses = installation.core.addresses
    return RequestLog(app, own_paths=installation.resources.mcp_paths, addresses=addresses, clock=time.perf_counter)


def _build(kind: Callable[..., AppT], installation: Installation, life: Life) -> AppT:
    core, deployment, name = installation.core, installation.core.deployment, installation.name
    oauth, resources = installation.oauth, installation.resources
    pages = pages_for(core, name)
    landing = _landing(installation, pages)
    common = ReferencePages(title=name).routes()
    checks = HealthChecks({"store": core.store.check})
    errors, limits = _errors(core, pages, landing), _address_limits(core)

    def site_at(origin: str, allowed_hosts: frozenset[str]) -> Site:
        oauth_routes = cache(lambda: () if oauth is None else oauth.routes(origin))
        page_routes = cache(lambda: _page_routes(installation, origin, pages()))
        routes = _without_authorization_server(resources, origin) if oauth is None else ()
        endpoints = resources.mcp_endpoints(origin, allowed_hosts, landing=landing.respond)
        health = _health(installation, origin, checks).routes()
        routes = (*common, *health, *routes, *resources.discovery(origin).routes())
        return Site(routes, oauth_routes, page_routes, endpoints, resources.applications(origin))

    def is_taken(scope: Scope) -> bool:
        return app.has_route(scope)

    def table_of(site: Site, behind: ASGIApp) -> ASGIApp:
        table = RoutingTable(
            WithWholePath(behind),
            routes=site.routes,
            endpoints=site.endpoints,
            mounts=site.applications,
            errors=errors,
            limits=limits,
            later=((_is_of_oauth, site.oauth_routes), (_is_below_oauth, site.page_routes)),
            waiting=core.waiting,
            telemetry=core.telemetry,
        )
        if oauth is None:
            return table
        return Twins(table, is_taken=is_taken, taken={*site.endpoints, *site.applications})

    def layers(app: ASGIApp) -> ASGIApp:
        def table_at(origin: str) -> ASGIApp:
            return table_of(site_at(origin, frozenset({urlsplit(origin).netloc})), app)

        table = table_of(main, app)
        if oauth is not None:  # after a login, tokens are what an app asks for beside MCP
            ordinary.lead(TOKEN_PATH, WithRequestId(table, request_ids))
        return _layers(installation, table, table_at)

    main = site_at(deployment.public_url, deployment.allowed_hosts)
    ordinary, request_ids = _ordinary(installation, main), HttpRequestIds(core.addresses, core.random_bytes)
    app = kind(
        title=name,
        version=__version__,
        life=life,
        ordinary=ordinary,
        layers=layers,
        described=lambda: (*_described_endpoints(installation), *main.every_route()),
        errors=errors,
        base_path=BasePath(None if deployment.is_any_loopback else deployment.base_path),
        request_ids=request_ids,
    )
    return app


def _address_limits(core: Core) -> AddressLimits:
    return AddressLimits(limits=core.limits, addresses=core.addresses, audit=core.audit)


def _is_below_oauth(path: str) -> bool:
    return path.startswith("/oauth/")


def _is_of_oauth(path: str) -> bool:
    """Say whether the authorization server may answer at a path: below `/oauth/`, or with a well-known document.

    Documents about a resource stand below its own path as well (RFC 8615 has them at the root alone).
    """
    return _is_below_oauth(path) or "/.well-known/" in path


def _ordinary(installation: Installation, main: Site) -> OrdinaryRequests:
    deployment = installation.core.deployment
    # A page of an application may be cached, for which the layers say by what it varies; answers of MCP never are.
    mcp_paths = _mcp_paths(installation)
    servers = {path: app for path, app in main.applications.items() if path in mcp_paths}
    return OrdinaryRequests(
        endpoints={**servers, **main.endpoints},
        own_hosts=deployment.allowed_hosts,
        is_local_only=deployment.is_any_loopback,
        base=deployment.base_path,
    )


def _without_authorization_server(resources: Resources, origin: str) -> tuple[Route, ...]:
    """Return what is served about tokens where others issue them: where clients get them."""
    servers = resources.authorization_servers
    if not servers:
        return ()
    from gatepost.web.oauth.metadata import resource_routes  # noqa: PLC0415 - where no token counts, nothing needs it

    return resource_routes(resources.at(origin), servers)


def _errors(core: Core, pages: Callable[[], Pages], landing: LandingPage) -> ErrorResponses:
    return ErrorResponses(
        error_page=lambda request, **said: pages().error_page(request, **said),
        landing=landing.respond,
        random_bytes=core.random_bytes,
    )


def _page_routes(installation: Installation, origin: str, pages: Pages) -> tuple[Route, ...]:
    oauth = installation.oauth
    return (*pages.static_files.routes(), *(() if oauth is None else oauth.page_routes(origin, pages)))


def _landing(installation: Installation, pages: Callable[[], Pages]) -> LandingPage:
    return LandingPage(
        pages=pages,
        origin=installation.core.deployment.public_url,
        is_any_loopback=installation.core.deployment.is_any_loopback,
        mcp_paths=_mcp_paths(installation),
        has_login=installation.oauth is not None,
    )


def _described_endpoints(installation: Installation) -> Iterable[Route]:
    from gatepost.web.mcp.description import described_endpoints  # noqa: PLC0415 - few ask for the API description

    return described_endpoints(_mcp_paths(installation))


def _mcp_paths(installation: Installation) -> list[str]:
    return [endpoint.path for endpoint in installation.resources.endpoints if endpoint.is_mcp_endpoint]


def _health(installation: Installation, origin: str, checks: HealthChecks) -> HealthEndpoints:
    endpoints, deployment = installation.resources.endpoints, installation.core.deployment
    return HealthEndpoints(
        server_name=installation.name,
        issuer=None if installation.oauth is None else origin,
        resources=[origin + endpoint.path for endpoint in endpoints if endpoint.is_mcp_endpoint],
        checks=checks,
        is_known_to=partial(names_us, allowed_hosts=deployment.allowed_hosts, any_loopback=deployment.is_any_loopback),
        is_degraded={} if installation.oauth is None else {"client_documents": installation.oauth.egress.is_gone},
        warnings=installation.core.addresses.warnings,
    )


def _layers(installation: Installation, table: ASGIApp, table_at: Callable[[str], ASGIApp]) -> ASGIApp:
    """Return the layers in front of the main routing table, the outermost first; `table_at` builds those of others."""
    deployment, resources = installation.core.deployment, installation.resources
    layer = table
    if deployment.is_any_loopback:
        layer = LoopbackNames(layer, own_host=urlsplit(deployment.public_url).netloc, build_site=table_at)
    layer = HostGuard(
        layer,
        allowed_hosts=deployment.allowed_hosts,
        passed_by=resources.mcp_paths | PROBE_PATHS,
        any_loopback=deployment.is_any_loopback,
        addresses=installation.core.addresses,
    )
    if deployment.is_any_loopback:
        layer = LocalOnly(layer, passed_by=LIVENESS_PATHS)
    return CrossOrigin(
        layer,
        mcp_paths=resources.mcp_paths,
        application_paths=resources.application_paths,
        allowed_origins=deployment.allowed_origins,
        any_origin=resources.any_origin,
        addresses=installation.core.addresses,
    )
