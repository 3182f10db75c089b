"""What a grant type is, and what it issues tokens with (RFC 6749 sections 1.3 and 4.5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from typing import Protocol, TypeAlias

from starlette.requests import Request

from gatepost.identity.entry import ANYBODY, Entry
from gatepost.identity.roles import NO_ROLES, Roles
from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.client_authentication import check_grant_type
from gatepost.oauth.dpop import key_of_refresh_token
from gatepost.oauth.issuing import SignAccessToken, Tokens, mint_tokens
from gatepost.oauth.limits import TOKENS_OF_CLIENT
from gatepost.oauth.policy import Lifetimes
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client, Grant, IssuedTokens
from gatepost.resource.resources import ProtectedResource, find_resource
from gatepost.stores.contract.grants import CodeView, RefreshView
from gatepost.stores.contract.store import Store
from gatepost.tokens.opaque import RandomBytes
from gatepost.web.oauth.client_form import ClientForm
from gatepost.web.site.audit import NO_AUDIT, Audit
from gatepost.web.site.limits import Limits
from gatepost.web.site.patience import CODE_SECONDS

Found: TypeAlias = CodeView | RefreshView
"""What a request is judged by, with what is registered of its client."""


@dataclass(frozen=True, slots=True)
class TokenRequest(ClientForm):
    """One parsed request of an authenticated client that may use the grant type."""

    now: int
    request: Request
    found: Found | None = None
    """What the grant type's `begin` returned."""
    dpop_jkt: str | None = None
    """The thumbprint of the key that it proves to hold (RFC 9449); None where it proves nothing."""


@dataclass(frozen=True, slots=True)
class BegunRequest:
    """One parsed request whose client has not authenticated yet."""

    parameters: Mapping[str, str]
    now: int
    request: Request
    authenticate: Callable[[str, Client | None], Client | None]
    """Given what is registered under an id, returns the client that has proved to be it by that alone, else None."""

    def authenticated(self, found: Found) -> TokenRequest | None:
        """Return the request of a client that has proved by what was found alone that it is its own.

        None where more has to be looked at.

        Raises:
            InvalidClient: it has not.
            UnauthorizedClient: it may not use the grant type.
        """
        client = self.authenticate(found.client_id, found.client)
        if client is None:
            return None
        check_grant_type(client, self.parameters["grant_type"])
        return TokenRequest(client, self.parameters, now=self.now, request=self.request, found=found)


class CheckSigned(Protocol):
    """Checks a signed access token."""

    async def __call__(self, token: str, *, resource: str, now: int) -> None:
        """Refuse one that is not ours, or not for `resource`, or over at `now`, seconds UTC.

        Raises:
            TokenRefused: it is refused.
            StoreUnavailable: it cannot be known now.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIssuer:
    """What grant types look up, issue and write with."""

    store: Store
    """Each grant type uses the concerns that are its own."""
    resources: Sequence[ProtectedResource]
    """Those that tokens are for."""
    lifetimes: Lifetimes
    now: Callable[[], int]
    random_bytes: RandomBytes
    on_revocation: Callable[[], None]
    """Called as soon as a replay has revoked a grant, so that no cache in this process answers for it."""
    audit: Audit = NO_AUDIT
    signer: Callable[[int], Awaitable[SignAccessToken]] | None = None
    """Given the time, what signs access tokens; None makes opaque ones."""
    check_signed: CheckSigned | None = None
    """Says whether a signed access token is one of ours; None where there are none."""
    entry: Entry = ANYBODY
    """Who may go on."""
    roles: Roles = NO_ROLES
    """What may be granted to them."""
    limits: Limits | None = None
    """Counts the tokens of each client."""
    served: frozenset[str] = field(init=False)
    """The identifiers of `resources`."""
    known_scopes: frozenset[str] = field(init=False)
    """Every scope of any of them."""

    def __post_init__(self) -> None:
        """Gather what every request asks for."""
        resources = self.resources
        object.__setattr__(self, "served", frozenset(resource.identifier for resource in resources))
        scopes = frozenset(scope for resource in resources for scope in resource.scopes)
        object.__setattr__(self, "known_scopes", scopes)

    def named_resource(self, request: TokenRequest) -> str | None:
        """Return what `resource` names, in its canonical spelling if it is one of ours; None when it is absent."""
        requested = request.parameters.get("resource")
        found = None if requested is None else find_resource(self.resources, requested)
        return requested if found is None else found.identifier

    async def admit(self, client_id: str) -> None:
        """Count a request that has proved to be its client's against the client's limit.

        Raises:
            TooManyRequests: it is one too many; nothing has been spent.
        """
        if self.limits is not None:
            await self.limits.admit(_limit_of(client_id), TOKENS_OF_CLIENT)

    def admits_at_once(self, client_id: str) -> bool:
        """Count it as `admit` does, from any thread; False where the store has to be asked."""
        return self.limits is None or self.limits.take_ahead(_limit_of(client_id))

    def was_admitted(self, client_id: str) -> None:
        """See that the next ones can be admitted at once, too."""
        if self.limits is not None:
            self.limits.refill(_limit_of(client_id), TOKENS_OF_CLIENT)

    async def sign_at(self, now: int) -> SignAccessToken | None:
        """Return what signs access tokens now; None where they are opaque."""
        return None if self.signer is None else await self.signer(now)

    async def mint(
        self,
        request: TokenRequest,
        grant: Grant,
        *,
        scopes: tuple[str, ...],
        with_refresh_token: bool,
        actors: Sequence[str] = (),
    ) -> tuple[Tokens, IssuedTokens]:
        """Return new tokens of a grant, and the rows to keep; it counts as by `admit`, which raises TooManyRequests."""
        await self.admit(grant.client_id)
        sign = await self.sign_at(request.now)
        return self.minted(
            request, grant, scopes=scopes, with_refresh_token=with_refresh_token, sign=sign, actors=actors
        )

    def minted(
        self,
        request: TokenRequest,
        grant: Grant,
        *,
        scopes: tuple[str, ...],
        with_refresh_token: bool,
        sign: SignAccessToken | None,
        actors: Sequence[str] = (),
    ) -> tuple[Tokens, IssuedTokens]:
        """Return new tokens of a grant, and the rows to keep; bound to the key that the request proves to hold."""
        return mint_tokens(
            grant,
            scopes=scopes,
            with_refresh_token=with_refresh_token,
            now=request.now,
            lifetimes=self.lifetimes,
            random_bytes=self.random_bytes,
            sign=sign,
            dpop_jkt=request.dpop_jkt,
            refresh_jkt=key_of_refresh_token(request.client, request.dpop_jkt),
            actors=actors,
        )

    def note_issued(
        self, request: TokenRequest, event: AuditEvent, grant: Grant, *, reason: Reason | None = None
    ) -> None:
        """Note that tokens were issued. The store's rows say so too, so the answer does not wait for it."""
        self.audit.note(
            request.request,
            event,
            reason=reason,
            subject=grant.subject,
            client_id=grant.client_id,
            grant_id=grant.grant_id,
        )

    async def record_revocation(self, request: TokenRequest, reason: Reason, *, subject: str, grant_id: str) -> None:
        """Record that a grant was revoked because something of it was used twice, and have caches forget it."""
        self.on_revocation()
        await self.audit.record(
            request.request,
            AuditEvent.REVOCATION,
            reason=reason,
            subject=subject,
            client_id=request.client.client_id,
            grant_id=grant_id,
        )


@dataclass(frozen=True, slots=True)
class GrantType:
    """One way to get tokens at the token endpoint."""

    name: str
    """What `grant_type` says, in requests, registrations (RFC 7591 section 2) and metadata (RFC 8414 section 2)."""
    exchange: Callable[[TokenIssuer, TokenRequest], Awaitable[Tokens]]
    """Looks up, lets the rule decide, and writes in one atomic operation.

    Raises `OAuthError` for a refusal and `StoreUnavailable` where nothing can be decided now; then nothing is lost.
    """
    is_registrable: bool
    """Whether a client that registers itself may use it; the others are the operator's to give."""
    parameters: Mapping[str, str]
    """Those that are its own, for the API description: what each is."""
    begin: Callable[[TokenIssuer, BegunRequest], Awaitable[Tokens | Found | None]] | None = None
    """Returns what a request is judged by, and what is registered of its client with it: one look-up for both. Nothing
    comes of it before the client has authenticated. Or the tokens, where all could be judged in the step that looked
    it up; then nothing is left to do. None where there is no such thing."""
    client_of: Callable[[TokenIssuer, Request, Mapping[str, str]], Awaitable[Client | None]] | None = None
    """Returns the client of a request that says nothing of one, where what it sends proves which it is, else None."""
    patience: float = CODE_SECONDS
    """For how many seconds from the request's beginning its clients wait while the store is busy."""


def _limit_of(client_id: str) -> str:
    return f"token:client:{client_id}"


def registrable(grant_types: Sequence[GrantType]) -> tuple[str, ...]:
    """Return the names of those that clients may register for."""
    return tuple(grant_type.name for grant_type in grant_types if grant_type.is_registrable)
