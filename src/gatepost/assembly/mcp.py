"""The MCP endpoints and protected applications of an installation, at each origin, and what goes on in them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import field
from functools import partial
from typing import TYPE_CHECKING, cast
from weakref import WeakSet

from starlette.types import ASGIApp

from gatepost.assembly.core import Core, proof_judge
from gatepost.assembly.endpoints import Endpoint
from gatepost.assembly.hearing import Hearing
from gatepost.late_dataclass import dataclass
from gatepost.resource.resources import ProtectedResource
from gatepost.server.caller_in_results import CallerInResults
from gatepost.server.calls.cancellation import CancelScope
from gatepost.server.changes.pace import ChangePace
from gatepost.server.changes.sync import syncing, syncs_of
from gatepost.server.dispatch import ServerTarget
from gatepost.stores.contract.endpoints import ServedEndpoint
from gatepost.telemetry.catalogue import CALLS_WAITING, STREAMS
from gatepost.telemetry.seam import NO_LABELS, Telemetry
from gatepost.web.mcp.discovery import Described, Discovery
from gatepost.web.mcp.endpoint import McpEndpoint
from gatepost.web.mcp.exchange.keep_alive import KeepAlive
from gatepost.web.mcp.sessions.handshake_era import HandshakeEra
from gatepost.web.mcp.sessions.lifecycle import McpSessions
from gatepost.web.resource.api_key_callers import ApiKeyCallers
from gatepost.web.resource.bearer_guard import BearerGuard
from gatepost.web.site.errors import Landing
from gatepost.web.site.observed_endpoint import ObservedEndpoint
from gatepost.web.site.request_ids import HttpRequestIds
from gatepost.wording.phrase import Words

if TYPE_CHECKING:
    from gatepost.server.target import Target
    from gatepost.web.resource.application import GuardedApplication, Protected
    from gatepost.web.resource.external_callers import ExternalCallers


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What access tokens are for."""

    core: Core
    endpoints: tuple[Endpoint, ...]
    any_origin: bool
    """Whether pages of every origin may call the MCP endpoints: each token has a person's decision behind it."""
    external: ExternalCallers | None = None
    """Verifies tokens of issuers elsewhere; None where none counts."""
    guards: WeakSet[BearerGuard] = field(default_factory=WeakSet)
    """Of every origin that is in use; an origin that is dropped takes its guards along."""
    handshake_eras: WeakSet[HandshakeEra] = field(default_factory=WeakSet)
    """Likewise."""
    open_scopes: set[CancelScope] = field(default_factory=set)
    """Of the MCP requests that wait for something, at every origin."""
    keep_alive: KeepAlive = field(default_factory=KeepAlive)
    """Keeps their streams alive."""

    @property
    def scopes(self) -> Mapping[str, Words]:
        """Every scope of every endpoint with its words."""
        return {scope: words for endpoint in self.endpoints for scope, words in endpoint.scopes.items()}

    @property
    def implied_scopes(self) -> Mapping[str, frozenset[str]]:
        """For each scope that implies others somewhere, all that it opens anywhere."""
        implied: dict[str, frozenset[str]] = {}
        for endpoint in self.endpoints:
            for scope, opened in endpoint.implied_scopes.items():
                implied[scope] = implied.get(scope, frozenset()) | opened
        return implied

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
    def authorization_servers(self) -> tuple[str, ...]:
        """Where clients get the tokens of others, for the metadata of resources (RFC 9728 section 2)."""
        sources = () if self.external is None else self.external.sources
        return tuple(url for source in sources for url in getattr(source.validator, "authorization_servers", ()))

    def at(self, origin: str) -> tuple[ProtectedResource, ...]:
        """Return the protected resources that the endpoints are at an origin."""
        return tuple(endpoint.at(origin) for endpoint in self.endpoints)

    def mcp_endpoints(
        self, origin: str, allowed_hosts: frozenset[str], *, landing: Landing | None = None
    ) -> dict[str, McpEndpoint]:
        """Build the MCP endpoints at an origin, by path.

        With and without a slash at the end, and never a redirect, which would drop the `Authorization` header in many
        clients.
        """
        built: dict[str, McpEndpoint] = {}
        for endpoint in self.endpoints:
            if not endpoint.is_application:
                served = McpEndpoint(
                    target=self._target_of(endpoint),
                    guard=self._guard(endpoint, origin),
                    allowed_hosts=allowed_hosts,
                    allowed_origins=self.core.deployment.allowed_origins,
                    any_origin=self.any_origin,
                    resource=endpoint.at(origin),
                    is_lazy=self.core.settings.server.lazy_auth,
                    ignores_scopes=self.core.settings.server.ignore_scopes,
                    handshake_era=self._handshake_era(endpoint, origin),
                    keep_alive=self.keep_alive,
                    open_scopes=self.open_scopes,
                    addresses=self.core.addresses,
                    landing=landing,
                    request_ids=HttpRequestIds(self.core.addresses, self.core.random_bytes),
                    telemetry=self.core.telemetry,
                )
                built |= {endpoint.path: served, f"{endpoint.path}/": served}
        return built

    def discovery(self, origin: str) -> Discovery:
        """Build what everybody may know of our own servers at an origin; others say by themselves who they are."""
        settings = self.core.settings.server
        described = [
            Described(endpoint.path, endpoint.target.info)
            for endpoint in self.endpoints
            if settings.server_card and isinstance(endpoint.target, ServerTarget)
        ]
        return Discovery(origin, described, namespace=settings.namespace, proof=settings.registry_proof)

    def applications(self, origin: str) -> dict[str, ASGIApp]:
        """Build the protected applications at an origin, by path."""
        telemetry = self.core.telemetry
        built: dict[str, ASGIApp] = {}
        for endpoint in self.endpoints:
            if endpoint.is_application:
                served = self._application(endpoint, origin)
                built[endpoint.path] = (
                    served if telemetry is None else ObservedEndpoint(served, endpoint.path, telemetry)
                )
        return built

    def _application(self, endpoint: Endpoint, origin: str) -> GuardedApplication:
        from gatepost.web.resource.application import GuardedApplication  # noqa: PLC0415 - most servers have none

        protected, guard = cast("Protected", endpoint.target), self._guard(endpoint, origin)
        behind: Callable[[ASGIApp], ASGIApp] | None = None
        if protected.scope_map is not None:
            from gatepost.web.mcp.applications.guarded_messages import GuardedMessages  # noqa: PLC0415 - likewise

            behind = partial(
                GuardedMessages,
                scopes=protected.scope_map,
                guard=guard,
                resource=endpoint.at(origin),
                ignores_scopes=self.core.settings.server.ignore_scopes,
                addresses=self.core.addresses,
            )
        return GuardedApplication(
            protected,
            path=endpoint.path,
            guard=guard,
            addresses=self.core.addresses,
            behind=behind,
            request_ids=HttpRequestIds(self.core.addresses, self.core.random_bytes),
            is_lazy=self.core.settings.server.lazy_auth,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the targets' lifespans, and have processes over one store tell each other what changes at run time."""
        store, now, random_bytes = self.core.store, self.core.now, self.core.random_bytes
        endpoints = () if store.is_lost_at_exit else self.endpoints
        buses = {endpoint.path: endpoint.changes for endpoint in endpoints}
        syncs = syncs_of(buses, store.changes, now=now, random_bytes=random_bytes)
        async with AsyncExitStack() as stack:
            for endpoint in self.endpoints:
                await stack.enter_async_context(endpoint.target.lifespan())
            pace = ChangePace(store.wakeups)
            hearing = Hearing(
                wakeups=store.wakeups,
                handshake_eras=self.handshake_eras,
                forget_verified_tokens=self.forget_verified_tokens,
                signing_keys=self.core.signing_keys,
                pace=pace,
                ears=self.core.ears,
            )
            await stack.enter_async_context(syncing(syncs, pace.next_poll, pace.on_change))
            await stack.enter_async_context(store.wakeups.listening(hearing.on_wakeup, hearing.on_gap))
            yield

    def observe(self, telemetry: Telemetry) -> None:
        """Have what goes on at the endpoints observed."""
        telemetry.observe(CALLS_WAITING, lambda: [(NO_LABELS, len(self.open_scopes))])
        telemetry.observe(STREAMS, lambda: [(NO_LABELS, self.keep_alive.streams)])

    async def drain(self) -> None:
        """End what would last until the clients leave, such as streams of changes: the server is about to stop."""
        for endpoint in self.endpoints:
            await endpoint.target.drain()
        for era in tuple(self.handshake_eras):
            era.close()

    def cancel(self, clean_up_seconds: float) -> None:
        """Cancel every request that is under way; each may clean up for so long."""
        for scope in tuple(self.open_scopes):
            scope.cancel(clean_up_seconds)

    async def note_endpoints(self) -> None:
        """Keep which scopes there are, for commands beside this server; nobody else reaches a store in memory."""
        if not self.core.store.is_lost_at_exit:
            served = [ServedEndpoint(endpoint.path, tuple(endpoint.scopes)) for endpoint in self.endpoints]
            await self.core.store.endpoints.note_endpoints(served)

    def forget_verified_tokens(self, grant_id: str = "") -> None:
        """Make a revocation count at once in this process: of a grant, or of anything."""
        for guard in tuple(self.guards):
            if grant_id:
                guard.evict(grant_id)
            else:
                guard.evict_all()

    def _target_of(self, endpoint: Endpoint) -> Target:
        target = cast("Target", endpoint.target)
        if self.core.settings.server.caller_in_results:
            target = CallerInResults(target)
        telemetry = self.core.telemetry
        if telemetry is None:
            return target
        from gatepost.server.observed_target import ObservedTarget, declared_at  # noqa: PLC0415 - only where somebody measures

        return ObservedTarget(
            target,
            telemetry,
            protocol="http",
            transport="tcp",
            declared=declared_at(endpoint.target),
            has_content=self.core.settings.observability.has_content,
        )

    def _guard(self, endpoint: Endpoint, origin: str) -> BearerGuard | None:
        """Build the guard of one resource at one origin, since a token for another does not count there.

        None where nobody needs a token.
        """
        settings = self.core.settings
        if not settings.server.require_auth:
            return None
        api_key = settings.server.api_key
        guard = BearerGuard(
            grants=self.core.store.grants,
            resource=endpoint.at(origin),
            issuer=origin,
            now=self.core.now,
            api_key=api_key.get_secret_value() if api_key else None,
            required_scopes=frozenset(settings.oauth.required_scope),
            is_discoverable=settings.issues_tokens or any(self.authorization_servers),
            signed_tokens=self.core.signed_tokens(origin),
            entry=self.core.entry,
            roles=self.core.roles,
            external=self.external,
            any_loopback=self.core.deployment.is_any_loopback,
            wakeups=self.core.store.wakeups,
            api_keys=ApiKeyCallers(
                store=self.core.store.api_keys,
                uses=self.core.api_key_uses,
                now=self.core.now,
                any_loopback=self.core.deployment.is_any_loopback,
                entry=self.core.entry,
                roles=self.core.roles,
            ),
        )
        if settings.issues_tokens:
            proofs = proof_judge(self.core, endpoint.at(origin).identifier, remembers_itself=True)
            guard.take_bound_tokens(proofs, are_required=settings.oauth.dpop_required)
        self.guards.add(guard)
        return guard

    def _handshake_era(self, endpoint: Endpoint, origin: str) -> HandshakeEra:
        """Build the sessions of one MCP endpoint at one origin; those of another are not found there."""
        server = self.core.settings.server
        sessions = McpSessions(
            store=self.core.store.mcp_sessions,
            resource=endpoint.at(origin).identifier,
            now=self.core.now,
            random_bytes=self.core.random_bytes,
            idle_seconds=server.session_idle_seconds,
            most_per_owner=server.sessions_per_user,
        )
        era = HandshakeEra(
            self.core.store,
            sessions,
            target=endpoint.session_target,
            changes=endpoint.changes,
            keep_alive=self.keep_alive,
            audit=self.core.audit,
            telemetry=self.core.telemetry,
        )
        self.handshake_eras.add(era)
        return era
