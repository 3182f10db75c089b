"""From settings to an installation: the store, the provider, the rules, and what is served.

With `app.py` this is all the wiring there is; these two are the only modules that name concrete providers.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from weakref import WeakSet

from gatepost import __version__
from gatepost.assembly.banner import StartUp
from gatepost.assembly.endpoints import Endpoint, endpoints_of
from gatepost.configuration.deployment import Deployment, key_file, resolve_deployment
from gatepost.configuration.sealing_keys import check_key_ring, make_key_ring
from gatepost.configuration.settings import Settings, SettingsError, variables
from gatepost.oauth.policy import AuthorizationServer, AutoApprove, Lifetimes
from gatepost.observability.audit_trail import AuditTrail
from gatepost.stores.purging import background_purger, purging
from gatepost.stores.urls import locate
from gatepost.tokens.keyring import KeyRing
from gatepost.tokens.opaque import RandomBytes, SecretKind, fingerprint, mint

if TYPE_CHECKING:
    from gatepost.identity.provider import IdentityProvider
    from gatepost.oauth.records import Client
    from gatepost.outbound.fetching import Fetcher
    from gatepost.server.calls.cancellation import CancelScope
    from gatepost.stores.contract.clients import ClientFinder
    from gatepost.stores.contract.store import Store
    from gatepost.stores.signed_tokens import SignedTokens
    from gatepost.stores.signing_keys import SigningKeys
    from gatepost.web.mcp.sessions.handshake_era import HandshakeEra
    from gatepost.web.oauth.client_assertions import AssertionChecker, ClientKeys
    from gatepost.web.pages.browser_session import BrowserSessions
    from gatepost.web.pages.login_throttle import LoginThrottle
    from gatepost.web.resource.bearer_guard import BearerGuard
    from gatepost.web.site.audit import Audit
    from gatepost.web.site.client_address import ClientAddresses
    from gatepost.web.site.limits import Limits


@dataclass(slots=True)
class Installation:
    """Everything that outlives a request and is not tied to one origin."""

    settings: Settings
    deployment: Deployment
    endpoints: tuple[Endpoint, ...]
    store: Store
    provider: IdentityProvider
    name: str
    is_single_user: bool
    key_ring: KeyRing
    now: Callable[[], int]
    random_bytes: RandomBytes
    guards: WeakSet[BearerGuard] = field(default_factory=WeakSet)
    """Of every site that is in use; a site that is let go of takes its guard along."""
    handshake_eras: list[HandshakeEra] = field(default_factory=list)
    open_scopes: set[CancelScope] = field(default_factory=set)
    """Of the MCP requests that wait for something, of every site."""
    settings_clients: tuple[Client, ...] = ()
    """What OAUTH_CLIENTS_FILE names."""
    setup_token: str | None = None
    is_open: bool = False
    client_finder: ClientFinder = field(init=False)
    signing_keys: SigningKeys | None = field(init=False)
    client_keys: ClientKeys = field(init=False)

    audit_trail: AuditTrail = field(init=False)
    audit: Audit = field(init=False)

    def __post_init__(self) -> None:
        from gatepost.web.site.audit import RequestAudit  # noqa: PLC0415 - imports the web framework

        self.audit_trail = AuditTrail(store=self.store.audit, now=self.now, random_bytes=self.random_bytes)
        self.audit = RequestAudit(self.audit_trail, self.client_addresses)
        self.signing_keys = signing_keys_of(
            self.settings, self.store, self.key_ring, now=self.now, random_bytes=self.random_bytes
        )
        from gatepost.outbound.client_keys import FetchedClientKeys  # noqa: PLC0415 - with the rest of the work
        from gatepost.outbound.document_cache import DocumentCache  # noqa: PLC0415 - likewise
        from gatepost.outbound.fetching import GuardedFetcher  # noqa: PLC0415 - likewise

        on_loopback = self.settings.registration.documents_on_loopback
        fetcher = GuardedFetcher(allow_loopback=on_loopback)
        self.client_finder = self._client_finder(fetcher)
        self.client_keys = FetchedClientKeys(
            fetcher=fetcher, documents=DocumentCache(now=self.now), allow_loopback=on_loopback
        )

    async def open(self) -> None:
        """Open the store and offer the set-up link if no account exists. Opening twice is fine."""
        if self.is_open:
            return
        await self.store.open()
        self.is_open = True
        await check_key_ring(self.key_ring, self.store.keys, now=self.now(), random_bytes=self.random_bytes)
        if self.signing_keys is not None:
            await self.signing_keys.open()
        if self.serves_pages:
            await self._keep_settings_clients()
        if self.serves_pages and await self.provider.awaits_setup():
            token = mint(SecretKind.SETUP_LINK, self.random_bytes)
            if await self.store.users.offer_setup(fingerprint(token), now=self.now()):
                self.setup_token = token

    async def _keep_settings_clients(self) -> None:
        """Have the store hold the clients that OAUTH_CLIENTS_FILE names; without it, none of that origin."""
        from gatepost.configuration.client_file import keep_settings_clients  # noqa: PLC0415 - with the rest of the work

        await keep_settings_clients(
            self.store,
            self.settings_clients,
            file=self.settings.registration.clients_file,
            now=self.now(),
            random_bytes=self.random_bytes,
        )

    def handshake_era(self, endpoint: Endpoint, origin: str) -> HandshakeEra:
        """Return the sessions of one MCP endpoint at one origin; those of another are not found there."""
        from gatepost.web.mcp.sessions.handshake_era import HandshakeEra  # noqa: PLC0415 - imports the web framework

        era = HandshakeEra(
            store=self.store,
            resource=endpoint.at(origin).identifier,
            now=self.now,
            random_bytes=self.random_bytes,
            changes=endpoint.changes,
            idle_seconds=self.settings.server.session_idle_seconds,
            most_per_owner=self.settings.server.sessions_per_user,
        )
        self.handshake_eras.append(era)
        return era

    async def drain(self) -> None:
        """End what would last until the clients leave, such as streams of changes: the server is about to stop."""
        for endpoint in self.endpoints:
            await endpoint.target.drain()
        for era in self.handshake_eras:
            era.close()

    async def close(self) -> None:
        """Close the store. Closing twice is fine."""
        self.is_open = False
        await self.store.close()

    def authorization_server(self, origin: str) -> AuthorizationServer:
        """Return the rules of the authorization server that is known by `origin`."""
        oauth = self.settings.oauth
        lifetimes = Lifetimes(
            access_token=oauth.access_token_ttl,
            refresh_token=oauth.refresh_token_ttl,
            authorization_code=oauth.authorization_code_ttl,
        )
        return AuthorizationServer(
            origin,
            lifetimes,
            registration_enabled=self.settings.registration.enabled,
            auto_approve=self.auto_approve,
            client_documents_enabled=self.settings.registration.documents_enabled,
            publishes_keys=self.signing_keys is not None,
        )

    def _client_finder(self, fetcher: Fetcher) -> ClientFinder:
        """Return where clients are looked up: the store, behind it the documents that clients keep about themselves."""
        registration = self.settings.registration
        if not registration.documents_enabled:
            return self.store.clients
        from gatepost.outbound.client_directory import ClientDirectory  # noqa: PLC0415 - only where it is used
        from gatepost.outbound.document_cache import DocumentCache  # noqa: PLC0415 - likewise
        from gatepost.web.oauth.grants import GRANT_TYPES  # noqa: PLC0415 - likewise
        from gatepost.web.oauth.grants.grant_type import registrable  # noqa: PLC0415 - likewise

        return ClientDirectory(
            registered=self.store.clients,
            fetcher=fetcher,
            documents=DocumentCache(now=self.now),
            known_scopes=frozenset(self.scopes),
            grant_types=registrable(GRANT_TYPES),
            now=self.now,
            allowed_domains=registration.document_domains,
            allow_loopback=registration.documents_on_loopback,
        )

    @property
    def initial_access_token(self) -> str | None:
        """What a client needs to register; None when everybody may."""
        token = self.settings.registration.initial_access_token
        return None if token is None else token.get_secret_value()

    def assertion_checker(self, origin: str) -> AssertionChecker:
        """Return what judges the assertions of clients at the authorization server that is known by `origin`."""
        from gatepost.web.oauth.client_assertions import AssertionChecker, audiences  # noqa: PLC0415 - only where it is used

        return AssertionChecker(
            keys=self.client_keys, assertions=self.store.assertions, audiences=audiences(origin), now=self.now
        )

    def signed_tokens(self, origin: str) -> SignedTokens | None:
        """Return what signs and checks access tokens at `origin`, or None where they are opaque."""
        if self.signing_keys is None:
            return None
        from gatepost.stores.signed_tokens import SignedTokens  # noqa: PLC0415 - only where it is used

        return SignedTokens(keys=self.signing_keys, issuer=origin)

    @property
    def scopes(self) -> Mapping[str, str]:
        """Every scope of every endpoint with its words."""
        return {scope: words for endpoint in self.endpoints for scope, words in endpoint.scopes.items()}

    @property
    def mcp_paths(self) -> frozenset[str]:
        """The paths of the MCP endpoints, with and without a slash at the end."""
        paths = [endpoint.path for endpoint in self.endpoints if not endpoint.is_application]
        return frozenset((*paths, *(f"{path}/" for path in paths)))

    @property
    def application_paths(self) -> frozenset[str]:
        """The paths of the protected applications, without a slash at the end."""
        return frozenset(endpoint.path for endpoint in self.endpoints if endpoint.is_application)

    @property
    def auto_approve(self) -> AutoApprove:
        """When apps get access without asking."""
        if self.settings.oauth.auto_approve:
            return AutoApprove.ALWAYS
        return AutoApprove.LOOPBACK_REDIRECTS if self.is_single_user else AutoApprove.NEVER

    def browser_sessions(self, origin: str) -> BrowserSessions:
        """Return the browser sessions of the pages at `origin`."""
        from gatepost.web.pages.browser_session import BrowserSessions  # noqa: PLC0415 - imports the web framework

        return BrowserSessions(
            sessions=self.store.browser_sessions,
            provider=self.provider,
            secure=self.deployment.is_secure,
            lifetime=Lifetimes().browser_session,
            now=self.now,
            random_bytes=self.random_bytes,
            port=urlsplit(origin).port,
        )

    def purging(self) -> AbstractAsyncContextManager[None]:
        """Return a context in which what is over is deleted in the background."""
        audit_days = self.settings.oauth.audit_days
        return purging(
            background_purger(self.store, audit_days=audit_days, now=self.now, random_bytes=self.random_bytes)
        )

    def relaying_changes(self) -> AbstractAsyncContextManager[None]:
        """Return a context in which the processes over one store tell each other what changes at run time."""
        from gatepost.server.changes.sync import relaying, relays_of  # noqa: PLC0415 - only where it is used

        endpoints = () if self.store.is_lost_at_exit else self.endpoints
        buses = {endpoint.path: endpoint.changes for endpoint in endpoints}
        relays = relays_of(buses, self.store.changes, now=self.now, random_bytes=self.random_bytes)
        return relaying(relays, partial(asyncio.sleep, 1))

    @property
    def client_addresses(self) -> ClientAddresses:
        """Return what says from where requests come."""
        from gatepost.web.site.client_address import ClientAddresses  # noqa: PLC0415 - imports the web framework

        return ClientAddresses(self.settings.server.trusted_proxies)

    def limits(self) -> Limits:
        """Return what counts requests; all of them count in the one store."""
        from gatepost.web.site.limits import Limits  # noqa: PLC0415 - likewise

        return Limits(store=self.store.limits, now=self.now, factor=self.settings.oauth.limit_factor)

    def login_throttle(self) -> LoginThrottle:
        """Return what counts the attempts to log in."""
        from gatepost.web.pages.login_throttle import LoginThrottle  # noqa: PLC0415 - likewise

        is_secure = self.deployment.is_secure
        return LoginThrottle(
            limits=self.limits(),
            addresses=self.client_addresses,
            key_ring=self.key_ring,
            now=self.now,
            random_bytes=self.random_bytes,
            cookie_name="__Host-gatepost-known" if is_secure else "gatepost-known",
            secure=is_secure,
        )

    @property
    def serves_pages(self) -> bool:
        """Whether the authorization server is part of this installation."""
        return self.settings.oauth.enabled and self.settings.oauth.enable_authorization_server

    def forget_verified_tokens(self) -> None:
        """Make a revocation count at once in this process."""
        for guard in tuple(self.guards):
            guard.evict_all()


def signing_keys_of(
    settings: Settings, store: Store, ring: KeyRing, *, now: Callable[[], int], random_bytes: RandomBytes
) -> SigningKeys | None:
    """Return the keys that sign access tokens, not opened yet; None where access tokens are opaque."""
    if settings.oauth.access_token_format == "opaque":
        return None
    from gatepost.stores.signing_keys import SigningKeys  # noqa: PLC0415 - only where it is used

    algorithm = settings.oauth.signing_algorithm
    return SigningKeys(store=store.keys, ring=ring, algorithm=algorithm, now=now, random_bytes=random_bytes)


def install(
    target: Any, settings: Settings, *, provider: IdentityProvider | None, store: Store | None, title: str | None
) -> Installation:
    """Check the settings against each other and gather what everything is made of."""
    from gatepost.identity.single_user import SingleUserProvider  # noqa: PLC0415 - likewise

    is_single_user = provider is not None and isinstance(provider, SingleUserProvider)
    deployment = resolve_deployment(settings, is_single_user=is_single_user)
    oauth = settings.oauth
    issues_tokens = oauth.enabled and oauth.enable_authorization_server
    if settings.server.require_auth and not issues_tokens and settings.server.api_key is None:
        raise SettingsError(
            "Nobody could get in: MCP_REQUIRE_AUTH is true, the authorization server is off and there is no "
            "MCP_API_KEY. Set MCP_API_KEY, or OAUTH_ENABLED=true, or MCP_REQUIRE_AUTH=false."
        )
    store = store or locate(deployment.store_url).make_store()
    key_ring = make_key_ring(
        settings, file=None if store.is_lost_at_exit else key_file(settings), random_bytes=secrets.token_bytes
    )
    endpoints = endpoints_of(target, settings, title=title, key_ring=key_ring)
    if provider is None:
        from gatepost.identity.local_accounts import LocalAccounts  # noqa: PLC0415 - only where it is used

        provider = LocalAccounts(users=store.users)
    return Installation(
        settings=settings,
        deployment=deployment,
        endpoints=endpoints,
        store=store,
        provider=provider,
        name=title or ", ".join(dict.fromkeys(endpoint.name for endpoint in endpoints)),
        is_single_user=is_single_user,
        key_ring=key_ring,
        now=_now,
        random_bytes=secrets.token_bytes,
        settings_clients=settings_clients_of(settings) if issues_tokens else (),
    )


def settings_clients_of(settings: Settings) -> tuple[Client, ...]:
    """Return the clients that OAUTH_CLIENTS_FILE names."""
    file = settings.registration.clients_file
    if file is None:
        return ()
    from gatepost.configuration.client_file import read_client_file  # noqa: PLC0415 - only where there is a file

    return read_client_file(file, variables=variables(settings.env_file), now=_now())


def _now() -> int:
    return int(time.time())


def start_up(installation: Installation) -> StartUp:
    """Gather what the banner says."""
    deployment, settings = installation.deployment, installation.settings
    token = installation.setup_token
    paths = [endpoint.path for endpoint in installation.endpoints]
    applications = installation.application_paths
    return StartUp(
        server_name=installation.name,
        version=__version__,
        mcp_urls=tuple(deployment.public_url + path for path in paths if path not in applications),
        application_urls=tuple(deployment.public_url + path for path in paths if path in applications),
        setup_link=None if token is None else f"{deployment.public_url}/oauth/setup?token={token}",
        data=installation.store.description,
        docs_url=f"{deployment.public_url}/docs",
        unprotected=tuple(_unprotected(installation)),
        warnings=settings.warnings,
    )


def _unprotected(installation: Installation) -> Iterator[str]:
    """Yield a sentence for each thing that is open."""
    settings = installation.settings
    if not settings.server.require_auth:
        yield "MCP_REQUIRE_AUTH is false: whoever reaches this server can call every tool."
    if installation.is_single_user:
        yield "Single-user mode: nobody has to log in, and apps on this computer get access without asking."
    if settings.oauth.auto_approve and installation.serves_pages:
        yield "OAUTH_AUTO_APPROVE is true: apps get access without asking."
