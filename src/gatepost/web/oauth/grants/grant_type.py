"""What a grant type is, and what it issues tokens with (RFC 6749 sections 1.3 and 4.5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.requests import Request

from gatepost.identity.entry import ANYBODY, Entry
from gatepost.identity.roles import NO_ROLES, Roles
from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.dpop import key_of_refresh_token
from gatepost.oauth.issuing import SignAccessToken, Tokens, mint_tokens
from gatepost.oauth.limits import TOKENS_OF_CLIENT
from gatepost.oauth.policy import Lifetimes
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client, Grant, IssuedTokens
from gatepost.resource.resources import ProtectedResource, find_resource
from gatepost.stores.contract.grants import RefreshView
from gatepost.stores.contract.store import Store
from gatepost.tokens.opaque import RandomBytes
from gatepost.web.oauth.client_form import ClientForm
from gatepost.web.site.audit import NO_AUDIT, Audit
from gatepost.web.site.limits import Limits
from gatepost.web.site.patience import CODE_SECONDS


@dataclass(frozen=True, slots=True)
class TokenRequest(ClientForm):
    """One parsed request of an authenticated client that may use the grant type."""

    now: int
    request: Request
    found: RefreshView | None = None
    """What the grant type's `look_up` returned."""
    dpop_jkt: str | None = None
    """The thumbprint of the key that it proves to hold (RFC 9449); None where it proves nothing."""


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
    entry: Entry = ANYBODY
    """Who may go on."""
    roles: Roles = NO_ROLES
    """What may be granted to them."""
    limits: Limits | None = None
    """Counts the tokens of each client."""

    def named_resource(self, request: TokenRequest) -> str | None:
        """Return what `resource` names, in its canonical spelling if it is one of ours; None when it is absent."""
        requested = request.parameters.get("resource")
        found = None if requested is None else find_resource(self.resources, requested)
        return requested if found is None else found.identifier

    async def mint(
        self, request: TokenRequest, grant: Grant, *, scopes: tuple[str, ...], with_refresh_token: bool
    ) -> tuple[Tokens, IssuedTokens]:
        """Return new tokens of a grant, and the rows to keep; bound to the key that the request proves to hold.

        By now the request has proved to be its client's, so it is here that it counts against the client's limit.

        Raises:
            TooManyRequests: it is one too many; nothing has been spent.
        """
        if self.limits is not None:
            await self.limits.admit(f"token:client:{grant.client_id}", TOKENS_OF_CLIENT)
        return mint_tokens(
            grant,
            scopes=scopes,
            with_refresh_token=with_refresh_token,
            now=request.now,
            lifetimes=self.lifetimes,
            random_bytes=self.random_bytes,
            sign=None if self.signer is None else await self.signer(request.now),
            dpop_jkt=request.dpop_jkt,
            refresh_jkt=key_of_refresh_token(request.client, request.dpop_jkt),
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
    look_up: Callable[[TokenIssuer, Mapping[str, str]], Awaitable[RefreshView | None]] | None = None
    """Returns what a request with these parameters is judged by, and what is registered of its client with it: one
    look-up for both. Nothing comes of it before the client has authenticated. None where there is no such thing."""
    client_of: Callable[[TokenIssuer, Request, Mapping[str, str]], Awaitable[Client | None]] | None = None
    """Returns the client of a request that says nothing of one, where what it sends proves which it is, else None."""
    patience: float = CODE_SECONDS
    """For how many seconds from the request's beginning its clients wait while the store is busy."""


def registrable(grant_types: Sequence[GrantType]) -> tuple[str, ...]:
    """Return the names of those that clients may register for."""
    return tuple(grant_type.name for grant_type in grant_types if grant_type.is_registrable)
