"""The authorization server of an installation: clients, grants and pages, at each origin."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from gatepost.assembly.core import Core, proof_judge
from gatepost.assembly.login_provider import connected
from gatepost.assembly.mcp import Resources
from gatepost.assembly.upstream_tokens import UpstreamTokensOfCallers
from gatepost.configuration.client_file import keep_settings_clients, read_client_file
from gatepost.configuration.forward_proxy import forward_proxy
from gatepost.configuration.settings import SettingsError
from gatepost.identity.provider import IdentityProvider
from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent, Outcome
from gatepost.oauth.id_jag import PROFILE as ID_JAG_PROFILE
from gatepost.oauth.policy import AuthorizationServer, AutoApprove, Devices, Lifetimes
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client
from gatepost.outbound.clients import ClientDirectory, FetchedClientKeys
from gatepost.outbound.document_cache import DocumentCache
from gatepost.outbound.egress import Egress
from gatepost.outbound.fetching import Fetcher, GuardedFetcher
from gatepost.outbound.proxy import ForwardProxy
from gatepost.stores.contract.clients import ClientFinder
from gatepost.tokens.opaque import SecretKind, fingerprint, mint
from gatepost.web.oauth.client_assertions import AssertionChecker, ClientKeys, audiences
from gatepost.web.oauth.client_form import ClientForms
from gatepost.web.oauth.client_registry import ClientRegistry
from gatepost.web.oauth.device_authorization import DeviceAuthorizationEndpoint
from gatepost.web.oauth.grants import grant_types_of
from gatepost.web.oauth.grants.grant_type import GrantType, TokenIssuer, registrable
from gatepost.web.oauth.introspect import IntrospectEndpoint
from gatepost.web.oauth.jwks import JwksEndpoint
from gatepost.web.oauth.manage_registration import ManageRegistrationEndpoint
from gatepost.web.oauth.metadata import MetadataEndpoints
from gatepost.web.oauth.pushed_requests import PushedRequestEndpoint
from gatepost.web.oauth.register import RegisterEndpoint
from gatepost.web.oauth.revoke import RevokeEndpoint
from gatepost.web.oauth.token import TokenEndpoint
from gatepost.web.oauth.token_proofs import TokenProofs
from gatepost.web.site.routing import Route

if TYPE_CHECKING:
    from gatepost.identity.upstream_tokens import UpstreamTokens
    from gatepost.web.oauth.grants.jwt_bearer import AssertedGrants
    from gatepost.web.pages.rendering import Pages

_STARTED_TOGETHER: Final = 60
"""Seconds between the first and the last worker of one start; a start after that voids the link of the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth:
    """The authorization server, whatever origin it is called by."""

    core: Core
    resources: Resources
    provider: IdentityProvider
    auto_approve: AutoApprove
    clients: ClientFinder
    """Those of the store, behind them the documents that clients keep about themselves."""
    client_keys: ClientKeys
    egress: Egress
    """How documents and keys are fetched."""
    settings_clients: tuple[Client, ...]
    """What OAUTH_CLIENTS_FILE names."""
    upstream_tokens: UpstreamTokens | None
    """Keeps the tokens of logins elsewhere; None where all of them are forgotten."""
    asserted: AssertedGrants | None = None
    """Judges what others assert; None where nobody is trusted with that."""

    def grant_types(self, issuer: str) -> tuple[GrantType, ...]:
        """Return those of the authorization server that is known as `issuer`."""
        built_in = grant_types_of(self.rules(issuer))
        if self.asserted is None:
            return built_in
        asserted = replace(self.asserted, issuer=issuer, audiences=audiences(issuer))
        return (*built_in, asserted.grant_type)

    async def open(self, *, offers_setup: bool = True) -> str | None:
        """Have the store hold the clients of the settings; return the set-up link's token if no account exists.

        None where the link is not to be offered.
        """
        core = self.core
        await keep_settings_clients(
            core.store,
            self.settings_clients,
            file=core.settings.registration.clients_file,
            now=core.now(),
            random_bytes=core.random_bytes,
        )
        is_due = offers_setup and await self.provider.awaits_setup()
        return await self._offer_setup(core.now()) if is_due else None

    async def _offer_setup(self, now: int) -> str | None:
        """Return the token of the set-up link. Processes that start together over one store offer one link."""
        offered_at = await self.core.store.users.offer_setup(
            fingerprint(self._setup_token(now)), now=now, unless_since=now - _STARTED_TOGETHER
        )
        return None if offered_at is None else self._setup_token(offered_at)

    def _setup_token(self, offered_at: int) -> str:
        secret = self.core.key_ring.secret(purpose=f"setup link {offered_at}")
        return mint(SecretKind.SETUP_LINK, lambda _length: secret)

    def rules(self, origin: str) -> AuthorizationServer:
        """Return the rules of the authorization server that is known by `origin`."""
        oauth, registration = self.core.settings.oauth, self.core.settings.registration
        lifetimes = Lifetimes(
            access_token=oauth.access_token_ttl,
            refresh_token=oauth.refresh_token_ttl,
            refresh_reuse=oauth.refresh_reuse,
            authorization_code=oauth.authorization_code_ttl,
        )
        return AuthorizationServer(
            origin,
            lifetimes,
            registration_enabled=registration.enabled,
            auto_approve=self.auto_approve,
            client_documents_enabled=registration.documents_enabled,
            publishes_keys=self.core.signing_keys is not None,
            devices=Devices(oauth.device_login),
            requires_pushed_requests=oauth.require_par,
            exchanges_tokens=oauth.token_exchange,
        )

    def page_routes(self, origin: str, pages: Pages) -> tuple[Route, ...]:
        """Build what people see at an origin, and where their browsers arrive."""
        # A server that only answers tools has no use for it, and it is a tenth of all that would be imported.
        from gatepost.assembly.pages import PageRoutes  # noqa: PLC0415 - see above

        rules = self.rules(origin)
        return PageRoutes(
            self.core,
            self.resources,
            self.provider,
            self.clients,
            rules,
            pages,
            self.upstream_tokens,
            {"client_documents": self.egress.is_gone},
        ).build()

    def routes(self, origin: str) -> tuple[Route, ...]:
        """Build everything else that it serves at an origin."""
        rules = self.rules(origin)
        checker = AssertionChecker(
            keys=self.client_keys,
            assertions=self.core.store.assertions,
            audiences=audiences(origin),
            now=self.core.now,
        )
        client_forms = ClientForms(clients=self.clients, assertions=checker)
        return (
            *self._metadata_routes(rules),
            *self._registration_routes(rules),
            *self._token_routes(rules, client_forms),
            *self._device_routes(rules, client_forms),
            *self._pushed_request_routes(rules, client_forms),
        )

    def _metadata_routes(self, rules: AuthorizationServer) -> tuple[Route, ...]:
        metadata = MetadataEndpoints(
            authorization_server=rules,
            resources=self.resources.at(rules.issuer),
            others=self.resources.authorization_servers,
            requires_dpop=self.core.settings.oauth.dpop_required,
            grant_types=self.grant_types(rules.issuer),
            grant_profiles=(ID_JAG_PROFILE,) if self.core.settings.oauth.id_jag_issuers else (),
        )
        if rules.registration_enabled and self.core.settings.registration.initial_access_token is None:
            # Clients have another way only where anybody may register.
            metadata = replace(metadata, serves_documents=self.egress.serves)
        return metadata.routes()

    def _registration_routes(self, rules: AuthorizationServer) -> tuple[Route, ...]:
        core = self.core
        registry = ClientRegistry(
            clients=core.store.clients,
            known_scopes=frozenset(self.resources.scopes),
            issuer=rules.issuer,
            now=core.now,
            random_bytes=core.random_bytes,
            audit=core.audit,
            grant_types=self.grant_types(rules.issuer),
        )
        initial_access_token = core.settings.registration.initial_access_token
        register = RegisterEndpoint(
            registry=registry,
            limits=core.limits,
            registration_enabled=rules.registration_enabled,
            initial_access_token=initial_access_token.get_secret_value() if initial_access_token else None,
        )
        manage = ManageRegistrationEndpoint(
            registry=registry, limits=core.limits, on_revocation=self.resources.forget_verified_tokens
        )
        return (*register.routes(), *manage.routes())

    def _device_routes(self, rules: AuthorizationServer, client_forms: ClientForms) -> tuple[Route, ...]:
        if rules.devices is Devices.NONE:
            return ()
        endpoint = DeviceAuthorizationEndpoint(
            client_forms=client_forms,
            devices=self.core.store.device_authorizations,
            resources=self.resources.at(rules.issuer),
            authorization_server=rules,
            now=self.core.now,
            random_bytes=self.core.random_bytes,
        )
        return endpoint.routes()

    def _pushed_request_routes(self, rules: AuthorizationServer, client_forms: ClientForms) -> tuple[Route, ...]:
        endpoint = PushedRequestEndpoint(
            client_forms=client_forms,
            proofs=TokenProofs(
                judge=proof_judge(self.core, rules.issuer, remembers_itself=False), url=f"{rules.issuer}/oauth/par"
            ),
            pushed=self.core.store.pushed_requests,
            resources=self.resources.at(rules.issuer),
            lifetime=rules.lifetimes.pushed_request,
            now=self.core.now,
            random_bytes=self.core.random_bytes,
        )
        return endpoint.routes()

    def _token_routes(self, rules: AuthorizationServer, client_forms: ClientForms) -> tuple[Route, ...]:
        core = self.core
        resources = self.resources.at(rules.issuer)
        signed_tokens = core.signed_tokens(rules.issuer)
        token = TokenEndpoint(
            client_forms=client_forms,
            grant_types=self.grant_types(rules.issuer),
            issuer=TokenIssuer(
                store=core.store,
                resources=resources,
                lifetimes=rules.lifetimes,
                now=core.now,
                random_bytes=core.random_bytes,
                on_revocation=self.resources.forget_verified_tokens,
                audit=core.audit,
                signer=None if signed_tokens is None else signed_tokens.signer,
                check_signed=None if signed_tokens is None else signed_tokens.check,
                limits=core.limits,
                entry=core.entry,
                roles=core.roles,
            ),
            proofs=TokenProofs(
                judge=proof_judge(core, rules.issuer, remembers_itself=False),
                url=f"{rules.issuer}/oauth/token",
                is_required=core.settings.oauth.dpop_required,
            ),
        )
        revoke = RevokeEndpoint(
            client_forms=client_forms,
            grants=core.store.grants,
            approvals=core.store.approvals,
            exchanges=core.store.exchanges,
            now=core.now,
            on_revocation=self.resources.forget_verified_tokens,
            audit=core.audit,
        )
        introspect = IntrospectEndpoint(
            client_forms=client_forms,
            entry=core.entry,
            roles=core.roles,
            grants=core.store.grants,
            issuer=rules.issuer,
            resources=resources,
            resource_servers=core.settings.oauth.introspection_clients,
            now=core.now,
        )
        jwks = () if core.signing_keys is None else JwksEndpoint(keys=core.signing_keys).routes()
        return (*token.routes(), *revoke.routes(), *introspect.routes(), *jwks)


def _built_in_grant_types(devices: Devices) -> tuple[GrantType, ...]:
    """Return those that no issuer of the settings is needed for."""
    return grant_types_of(AuthorizationServer("", Lifetimes(), devices=devices))


def build_oauth(
    core: Core,
    resources: Resources,
    provider: IdentityProvider | None,
    *,
    upstream: UpstreamTokensOfCallers,
    is_single_user: bool,
    fetcher: Fetcher | None,
) -> OAuth:
    """Return the authorization server; the arguments are those of `install`, and `upstream` is told of the provider.

    Raises:
        SettingsError: OAUTH_CLIENTS_FILE cannot be read, or entries are wrong; or HTTPS_PROXY or ALL_PROXY is; or
            OAUTH_LOCAL_ACCOUNTS does not fit the login provider.
    """
    settings, now = core.settings, core.now
    registration = settings.registration
    proxy = forward_proxy(settings)
    fetcher = fetcher or GuardedFetcher(allow_loopback=registration.documents_on_loopback, proxy=proxy)
    egress = _egress(core, fetcher, proxy)
    asserted = _asserted(core, proxy)
    clients: ClientFinder = core.store.clients
    if registration.documents_enabled:
        clients = ClientDirectory(
            registered=core.store.clients,
            fetcher=egress,
            documents=DocumentCache(now=now),
            known_scopes=frozenset(resources.scopes),
            grant_types=registrable(
                (
                    *_built_in_grant_types(Devices(settings.oauth.device_login)),
                    *(() if asserted is None else (asserted.grant_type,)),
                )
            ),
            now=now,
            allowed_domains=registration.document_domains,
            allow_loopback=registration.documents_on_loopback,
        )
    keys = FetchedClientKeys(
        fetcher=egress, documents=DocumentCache(now=now), allow_loopback=registration.documents_on_loopback
    )
    provider = connected(provider, core, proxy)
    auto_approve = AutoApprove.LOOPBACK_REDIRECTS if is_single_user else AutoApprove.NEVER
    return OAuth(
        core=core,
        resources=resources,
        provider=provider,
        upstream_tokens=upstream.connect(provider),
        auto_approve=AutoApprove.ALWAYS if settings.oauth.auto_approve else auto_approve,
        clients=clients,
        client_keys=keys,
        egress=egress,
        settings_clients=_settings_clients(core, asserted),
        asserted=asserted,
    )


def _asserted(core: Core, proxy: ForwardProxy | None) -> AssertedGrants | None:
    oauth = core.settings.oauth
    if not oauth.id_jag_issuers and oauth.workloads_file is None:
        return None
    from gatepost.assembly.asserted_grants import asserted_grants  # noqa: PLC0415 - most servers trust nobody so

    return asserted_grants(core, proxy)


def _settings_clients(core: Core, asserted: AssertedGrants | None) -> tuple[Client, ...]:
    """Return the clients that the settings name: one by one, or by the rules of workloads.

    Raises:
        SettingsError: as `build_oauth`; or two of them have one id.
    """
    file, now = core.settings.registration.clients_file, core.now()
    named = () if file is None else read_client_file(file, variables=core.settings.variables(), now=now)
    if asserted is None:
        return named
    ruled = asserted.clients(now=now)
    taken = {client.client_id for client in named} & {client.client_id for client in ruled}
    if taken:
        raise SettingsError(
            *(f"OAUTH_CLIENTS_FILE and OAUTH_WORKLOADS_FILE both name a client {each}." for each in sorted(taken))
        )
    return (*named, *ruled)


def _egress(core: Core, fetcher: Fetcher, proxy: ForwardProxy | None) -> Egress:
    note = partial(
        core.audit_trail.note,
        AuditEvent.EGRESS,
        Outcome.REFUSED,
        address="server",
        network="server",
        reason=Reason.EGRESS_UNAVAILABLE,
    )
    return Egress(fetcher=fetcher, now=core.now, proxy=proxy, note=note)
