"""`create_app()` and `run()`: what HTTP sees of an installation; with `installation.py` all the wiring there is."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from gatepost import __version__
from gatepost.assembly.banner import banner
from gatepost.assembly.endpoints import Endpoint
from gatepost.assembly.installation import Installation, install, start_up
from gatepost.configuration.settings import Settings, load_settings
from gatepost.resource.resources import ProtectedResource

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp

    from gatepost.identity.provider import IdentityProvider
    from gatepost.oauth.policy import AuthorizationServer
    from gatepost.server.target import Target
    from gatepost.stores.contract.store import Store
    from gatepost.web.mcp.endpoint import McpEndpoint
    from gatepost.web.oauth.client_form import ClientForms
    from gatepost.web.pages.rendering import Pages
    from gatepost.web.resource.application import Protected
    from gatepost.web.resource.bearer_guard import BearerGuard
    from gatepost.web.site.errors import ErrorResponses
    from gatepost.web.site.routing import Route


@dataclass(frozen=True, slots=True)
class Site:
    """What one origin serves."""

    routes: tuple[Route, ...]
    endpoints: Mapping[str, McpEndpoint]
    """By path."""
    applications: Mapping[str, ASGIApp]
    """By path, for all below it."""
    pages: Pages | None


def create_app(
    target: Any,
    *,
    settings: Settings | None = None,
    provider: IdentityProvider | None = None,
    store: Store | None = None,
    title: str | None = None,
    announce: Callable[[str], None] | None = None,
) -> FastAPI:
    """Return a FastAPI app that serves `target` at /mcp behind the built-in authorization server.

    Args:
        target: a `Server`, or a JSON-RPC function `dict -> dict | None`, sync or async, or an ASGI application as
            `Protected(app)`; or a mapping from paths to such, as in `{"/notes/mcp": notes, "/mail/mcp": mail}`: each is
            a resource with its own scopes and tokens.
        settings: what `load_settings()` returns; read from the environment when None.
        provider: who is the user; local accounts when None.
        store: where everything is kept; what the settings name when None.
        title: the server's name for people; the `Server`'s own when None.
        announce: gets the start-up banner; printed to standard error when None.

    Raises:
        SettingsError: a setting is wrong, or the combination is unsafe; each sentence says what to set.
        TargetError: `target` is neither a Server nor a function nor a mapping to such, or a path cannot be served.
    """
    installation = install(target, settings or load_settings(), provider=provider, store=store, title=title)
    return app_for(installation, announce=announce or _print_banner)


def run(
    target: Any,
    *,
    host: str | None = None,
    port: int | None = None,
    title: str | None = None,
    settings: Settings | None = None,
    provider: IdentityProvider | None = None,
) -> None:
    """Serve `target` until SIGINT or SIGTERM, then let open requests finish.

    Args:
        target: as for `create_app`.
        host: the address to listen on; beats MCP_HOST.
        port: the port to listen on, 0 for any free one; beats MCP_PORT.
        title: as for `create_app`.
        settings: as for `create_app`.
        provider: as for `create_app`.

    Raises:
        SettingsError: as for `create_app`; also when the address cannot be listened on.
        TargetError: as for `create_app`.
        StoreError: the store cannot be opened.
    """
    from gatepost.listening.serving import serve  # noqa: PLC0415 - an app that is embedded elsewhere needs no server

    given = {"MCP_HOST": host, "MCP_PORT": None if port is None else str(port)}
    settings = settings or load_settings({name: value for name, value in given.items() if value is not None})
    serve(settings, lambda bound: install(target, bound, provider=provider, store=None, title=title), _print_banner)


def app_for(installation: Installation, *, announce: Callable[[str], None]) -> FastAPI:
    """Return the FastAPI app of an installation; `announce` gets the banner once everything is open."""
    from gatepost.web.site import front_door  # noqa: PLC0415 - imports the web framework
    from gatepost.web.site.api_description import ANYWHERE  # noqa: PLC0415 - wanted by the framework alone
    from gatepost.web.site.direct_app import DirectApp  # noqa: PLC0415 - FastAPI costs more to import than all else together
    from gatepost.web.site.errors import ErrorResponses, install_error_handlers  # noqa: PLC0415 - imports FastAPI
    from gatepost.web.site.reference import ReferencePages  # noqa: PLC0415 - likewise

    deployment = installation.deployment

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(installation.close)
            await installation.open()
            await stack.enter_async_context(installation.purging())
            await stack.enter_async_context(installation.audit_trail.writing(partial(asyncio.sleep, 1)))
            for endpoint in installation.endpoints:
                await stack.enter_async_context(endpoint.target.lifespan())
            await stack.enter_async_context(installation.relaying_changes())
            announce(banner(start_up(installation)))
            yield

    site = _site(installation, deployment.public_url, deployment.allowed_hosts)
    site = replace(site, routes=(*site.routes, *ReferencePages(title=installation.name).routes()))
    app = DirectApp(
        title=installation.name,
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=ANYWHERE,
        lifespan=lifespan,
        # Would look for its configuration on every request, and could be told from outside to record requests whole.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.describe(site.routes)
    error_page = None if site.pages is None else site.pages.error_page
    errors = ErrorResponses(error_page=error_page, random_bytes=installation.random_bytes)
    install_error_handlers(app, errors)
    app.put_first(
        ordinary=front_door.OrdinaryRequests(
            endpoints=site.endpoints, own_hosts=deployment.allowed_hosts, is_local_only=deployment.is_any_loopback
        ),
        layers=partial(_layers, installation, site, errors),
    )
    return app


def _layers(
    installation: Installation,
    site: Site,
    errors: ErrorResponses,
    app: ASGIApp,
) -> ASGIApp:
    """Return our layers with the routing table in them, the outermost first; `app` serves what is not in the table."""
    from gatepost.web.site import front_door  # noqa: PLC0415 - imports the web framework
    from gatepost.web.site.limits import AddressLimits  # noqa: PLC0415 - likewise
    from gatepost.web.site.loopback_names import LoopbackNames  # noqa: PLC0415 - likewise
    from gatepost.web.site.routing import RoutingTable  # noqa: PLC0415 - likewise

    deployment = installation.deployment
    limits = AddressLimits(
        limits=installation.limits(), addresses=installation.client_addresses, audit=installation.audit
    )

    def table(site: Site) -> ASGIApp:
        return RoutingTable(
            app, routes=site.routes, endpoints=site.endpoints, mounts=site.applications, errors=errors, limits=limits
        )

    def build_site(origin: str) -> ASGIApp:
        return table(_site(installation, origin, frozenset({urlsplit(origin).netloc})))

    layer = table(site)
    if deployment.is_any_loopback:
        layer = LoopbackNames(layer, own_host=urlsplit(deployment.public_url).netloc, build_site=build_site)
    layer = front_door.HostGuard(
        layer,
        allowed_hosts=deployment.allowed_hosts,
        passed_by=installation.mcp_paths,
        any_loopback=deployment.is_any_loopback,
    )
    if deployment.is_any_loopback:
        layer = front_door.LocalOnly(layer)
    return front_door.CrossOrigin(
        layer,
        mcp_paths=installation.mcp_paths,
        application_paths=installation.application_paths,
        allowed_origins=deployment.allowed_origins,
    )


def _site(installation: Installation, origin: str, allowed_hosts: frozenset[str]) -> Site:
    """Build what one origin serves."""
    from gatepost.web.pages.rendering import Pages  # noqa: PLC0415 - likewise
    from gatepost.web.site.health import HealthChecks, HealthEndpoints  # noqa: PLC0415 - imports the web framework

    endpoints: dict[str, McpEndpoint] = {}
    applications: dict[str, ASGIApp] = {}
    for endpoint in installation.endpoints:
        if endpoint.is_application:
            applications[endpoint.path] = _application(installation, endpoint, origin)
            continue
        # With and without a slash at the end, and never a redirect, which would drop the `Authorization` header in many
        # clients.
        served = _mcp_endpoint(installation, endpoint, origin, allowed_hosts)
        endpoints |= {endpoint.path: served, f"{endpoint.path}/": served}
    checks = HealthChecks({"store": installation.store.check})
    health = HealthEndpoints(server_name=installation.name, checks=checks).routes()
    if not installation.serves_pages:
        return Site(health, endpoints, applications, pages=None)
    pages = Pages(server_name=installation.name, secure=installation.deployment.is_secure)
    return Site((*health, *_authorization_server(installation, origin, pages)), endpoints, applications, pages)


def _mcp_endpoint(
    installation: Installation, served: Endpoint, origin: str, allowed_hosts: frozenset[str]
) -> McpEndpoint:
    """Build one MCP endpoint at one origin."""
    from gatepost.web.mcp.endpoint import McpEndpoint  # noqa: PLC0415 - imports the web framework

    return McpEndpoint(
        target=cast("Target", served.target),
        guard=_guard(installation, served, origin),
        allowed_hosts=allowed_hosts,
        allowed_origins=installation.deployment.allowed_origins,
        handshake_era=installation.handshake_era(served, origin),
        open_scopes=installation.open_scopes,
    )


def _application(installation: Installation, served: Endpoint, origin: str) -> ASGIApp:
    """Build one protected application at one origin."""
    from gatepost.web.resource.application import GuardedApplication  # noqa: PLC0415 - likewise

    guard = _guard(installation, served, origin)
    return GuardedApplication(cast("Protected", served.target), path=served.path, guard=guard)


def _guard(installation: Installation, served: Endpoint, origin: str) -> BearerGuard | None:
    """Build the guard of one resource at one origin, since a token for another does not count there.

    None where nobody needs a token.
    """
    from gatepost.web.resource.bearer_guard import BearerGuard  # noqa: PLC0415 - imports the web framework

    settings = installation.settings
    if not settings.server.require_auth:
        return None
    api_key = settings.server.api_key
    guard = BearerGuard(
        grants=installation.store.grants,
        resource=served.at(origin),
        issuer=origin,
        now=installation.now,
        api_key=api_key.get_secret_value() if api_key else None,
        required_scopes=frozenset(settings.oauth.required_scope),
        is_discoverable=installation.serves_pages,
        signed_tokens=installation.signed_tokens(origin),
    )
    installation.guards.add(guard)
    return guard


def _authorization_server(installation: Installation, origin: str, pages: Pages) -> tuple[Route, ...]:
    """Build the routers of the authorization server's endpoints, and its pages."""
    from gatepost.assembly.pages import decision_of, page_routes  # noqa: PLC0415 - imports the web framework
    from gatepost.web.oauth.authorize import AuthorizeEndpoint  # noqa: PLC0415 - likewise
    from gatepost.web.oauth.client_form import ClientForms  # noqa: PLC0415 - likewise
    from gatepost.web.oauth.grants.grant_type import TokenIssuer  # noqa: PLC0415 - likewise
    from gatepost.web.oauth.metadata import MetadataEndpoints  # noqa: PLC0415 - likewise
    from gatepost.web.oauth.token import TokenEndpoint  # noqa: PLC0415 - likewise

    store, now, random_bytes = installation.store, installation.now, installation.random_bytes
    rules = installation.authorization_server(origin)
    browser_sessions = installation.browser_sessions(origin)
    signed_tokens = installation.signed_tokens(origin)
    resources = tuple(endpoint.at(origin) for endpoint in installation.endpoints)
    client_forms = ClientForms(clients=installation.client_finder, assertions=installation.assertion_checker(origin))
    decision = decision_of(installation, rules, browser_sessions, pages)
    return (
        *MetadataEndpoints(authorization_server=rules, resources=resources).routes(),
        *_registration(installation, rules),
        *AuthorizeEndpoint(
            clients=installation.client_finder,
            transactions=store.transactions,
            resources=resources,
            browser_sessions=browser_sessions,
            provider=installation.provider,
            decision=decision,
            pages=pages,
            transaction_lifetime=rules.lifetimes.transaction,
            now=now,
            random_bytes=random_bytes,
            limits=installation.limits(),
        ).routes(),
        *TokenEndpoint(
            client_forms=client_forms,
            issuer=TokenIssuer(
                store=store,
                resources=resources,
                lifetimes=rules.lifetimes,
                now=now,
                random_bytes=random_bytes,
                on_revocation=installation.forget_verified_tokens,
                audit=installation.audit,
                signer=None if signed_tokens is None else signed_tokens.signer,
            ),
            limits=installation.limits(),
        ).routes(),
        *_ways_back(installation, client_forms, origin, resources),
        *page_routes(installation, resources, pages, decision),
    )


def _registration(installation: Installation, rules: AuthorizationServer) -> tuple[Route, ...]:
    """Build the routes where clients register, and where they manage what they registered."""
    from gatepost.web.oauth.manage_registration import ManageRegistrationEndpoint  # noqa: PLC0415 - likewise
    from gatepost.web.oauth.register import RegisterEndpoint  # noqa: PLC0415 - likewise

    known_scopes = frozenset(installation.scopes)
    return (
        *RegisterEndpoint(
            clients=installation.store.clients,
            known_scopes=known_scopes,
            registration_enabled=rules.registration_enabled,
            issuer=rules.issuer,
            initial_access_token=installation.initial_access_token,
            audit=installation.audit,
            now=installation.now,
            random_bytes=installation.random_bytes,
        ).routes(),
        *ManageRegistrationEndpoint(
            clients=installation.store.clients,
            known_scopes=known_scopes,
            issuer=rules.issuer,
            on_revocation=installation.forget_verified_tokens,
            audit=installation.audit,
            now=installation.now,
            random_bytes=installation.random_bytes,
        ).routes(),
    )


def _ways_back(
    installation: Installation, client_forms: ClientForms, origin: str, resources: tuple[ProtectedResource, ...]
) -> tuple[Route, ...]:
    """Build the routers to which clients and resource servers bring tokens back, or where they learn to verify them."""
    from gatepost.web.oauth.introspect import IntrospectEndpoint  # noqa: PLC0415 - imports the web framework
    from gatepost.web.oauth.jwks import JwksEndpoint  # noqa: PLC0415 - likewise
    from gatepost.web.oauth.revoke import RevokeEndpoint  # noqa: PLC0415 - likewise

    store, now, keys = installation.store, installation.now, installation.signing_keys
    return (
        *(() if keys is None else JwksEndpoint(keys=keys).routes()),
        *RevokeEndpoint(
            client_forms=client_forms,
            grants=store.grants,
            approvals=store.approvals,
            audit=installation.audit,
            now=now,
            on_revocation=installation.forget_verified_tokens,
        ).routes(),
        *IntrospectEndpoint(
            client_forms=client_forms,
            grants=store.grants,
            issuer=origin,
            resources=resources,
            resource_servers=installation.settings.oauth.introspection_clients,
            now=now,
        ).routes(),
    )


def _print_banner(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the terminal is where the set-up link belongs, not the log
