"""POST /oauth/token: codes and refresh tokens become access tokens (RFC 6749 sections 3.2, 4.1.3, 5 and 6).

A new grant type is one function like `redeem_code` and one line in `GRANT_TYPES`; the metadata follows the table.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gatepost.oauth.audit import REFUSALS, AuditEvent, Outcome
from gatepost.oauth.client_authentication import check_grant_type
from gatepost.oauth.client_credentials import check_machine, client_gone, machine_grant, machine_scopes
from gatepost.oauth.codes import check_code
from gatepost.oauth.errors import InvalidGrant, InvalidTarget, OAuthError, UnsupportedGrantType
from gatepost.oauth.issuing import SignAccessToken, Tokens, begin_grant, gets_refresh_token, mint_tokens
from gatepost.oauth.limits import TOKEN_REQUESTS_OF_CLIENT
from gatepost.oauth.policy import Lifetimes
from gatepost.oauth.preregistration import CLIENT_CREDENTIALS
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Grant, IssuedTokens
from gatepost.oauth.refresh import (
    check_refresh,
    grant_revoked_error,
    open_successor,
    seal_successor,
    token_reused_error,
)
from gatepost.oauth.scopes import narrow_scopes
from gatepost.resource.identifiers import find_resource
from gatepost.resource.resources import ProtectedResource
from gatepost.stores.contract.clients import ClientFinder, ClientGrantStore
from gatepost.stores.contract.grants import GrantStore, RedeemOutcome, RotateOutcome
from gatepost.tokens.opaque import RandomBytes, fingerprint
from gatepost.web.oauth.client_assertions import AssertionChecker
from gatepost.web.oauth.client_form import NO_STORE, ClientForm, read_client_form
from gatepost.web.site.api_description import (
    CLIENT_FIELDS,
    CLIENT_FORM_REFUSALS,
    TEXT,
    Operation,
    form,
    json_answer,
    record,
)
from gatepost.web.site.audit import NO_AUDIT, Audit
from gatepost.web.site.limits import TOKEN_LIMIT, Limits
from gatepost.web.site.routing import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEndpoint:
    """The token endpoint, and what its grant functions use."""

    clients: ClientFinder
    grants: GrantStore
    resources: Sequence[ProtectedResource]
    """Those that tokens are for."""
    lifetimes: Lifetimes
    now: Callable[[], int]
    random_bytes: RandomBytes
    on_revocation: Callable[[], None]
    """Called as soon as a replay has revoked a grant, so that no cache in this process answers for it."""
    assertions: AssertionChecker | None = None
    """None takes no client assertions."""
    client_grants: ClientGrantStore | None = None
    """Where clients get grants to themselves; None gives none."""
    limits: Limits | None = None
    """Counts the requests of each client."""
    audit: Audit = NO_AUDIT
    signer: Callable[[int], Awaitable[SignAccessToken]] | None = None
    """Given the time, what signs access tokens; None makes opaque ones."""

    def routes(self) -> tuple[Route, ...]:
        """Return its route."""
        return (Route("POST", "/oauth/token", self.post, _TOKEN, limit=TOKEN_LIMIT),)

    async def post(self, request: Request) -> Response:
        """Answer one token request (RFC 6749 section 3.2).

        Raises:
            OAuthError: it is refused.
            StoreUnavailable: it cannot be decided now; nothing is lost, and the client may try again.
        """
        try:
            return await self._exchange(request)
        except OAuthError as refusal:
            if (event := REFUSALS.get(refusal.reason)) is not None:
                client_id = getattr(request.state, "client_id", None)
                self.audit.note(request, event, Outcome.REFUSED, reason=refusal.reason, client_id=client_id)
            raise

    async def _exchange(self, request: Request) -> Response:
        # 1. Parse the form and authenticate the client.
        form = await read_client_form(request, clients=self.clients, assertions=self.assertions)
        if self.limits is not None:
            await self.limits.admit(f"token:client:{form.client.client_id}", TOKEN_REQUESTS_OF_CLIENT)

        # 2. Find the grant type, and whether the client may use it.
        grant_type = form.required("grant_type")
        exchange = GRANT_TYPES.get(grant_type)
        if exchange is None:
            raise UnsupportedGrantType(
                Reason.GRANT_TYPE_UNSUPPORTED,
                "This grant type is unknown; grant_types_supported lists those there are.",
            )
        check_grant_type(form.client, grant_type)

        # 3. Look up, let the rule decide, and write in one atomic operation.
        now = self.now()
        tokens = await exchange(self, TokenRequest(form.client, form.parameters, now, request))

        # 4. Answer; the tokens are durable by now.
        return Response(orjson.dumps(tokens.answer(now=now)), media_type="application/json", headers=NO_STORE)

    async def mint(
        self, grant: Grant, *, scopes: tuple[str, ...], with_refresh_token: bool, now: int
    ) -> tuple[Tokens, IssuedTokens]:
        """Return new tokens of a grant, and the rows to keep."""
        return mint_tokens(
            grant,
            scopes=scopes,
            with_refresh_token=with_refresh_token,
            now=now,
            lifetimes=self.lifetimes,
            random_bytes=self.random_bytes,
            sign=None if self.signer is None else await self.signer(now),
        )


@dataclass(frozen=True, slots=True)
class TokenRequest(ClientForm):
    """One parsed request of an authenticated client that may use the grant type."""

    now: int
    request: Request


async def redeem_code(endpoint: TokenEndpoint, request: TokenRequest) -> Tokens:
    """Redeem an authorization code (RFC 6749 section 4.1.3)."""
    # 1. Look the code up.
    code_fingerprint = fingerprint(request.required("code"))
    code_verifier = request.required("code_verifier")
    found = await endpoint.grants.find_code(code_fingerprint, now=request.now)

    # 2. The rule decides. Two of its refusals leave a mark in the store.
    try:
        code = check_code(
            found,
            client_id=request.client.client_id,
            redirect_uri=request.parameters.get("redirect_uri"),
            resource=_named_resource(endpoint, request),
            code_verifier=code_verifier,
            now=request.now,
        )
    except InvalidGrant as refusal:
        if refusal.reason is Reason.CODE_REPLAYED and found is not None and found.grant_id is not None:
            await endpoint.grants.revoke_grant(found.grant_id, reason=refusal.reason.value, now=request.now)
            endpoint.on_revocation()
            await _record_revocation(endpoint, request, refusal.reason, found.subject, found.grant_id)
        elif refusal.reason is Reason.CODE_VERIFIER_WRONG:
            await endpoint.grants.count_failed_redemption(code_fingerprint)
        raise

    # 3. Spend the code and keep the grant with its tokens, in one step.
    grant = begin_grant(code, now=request.now, lifetimes=endpoint.lifetimes, random_bytes=endpoint.random_bytes)
    tokens, rows = await endpoint.mint(
        grant, scopes=grant.scopes, with_refresh_token=gets_refresh_token(request.client), now=request.now
    )
    outcome = await endpoint.grants.redeem_code(code_fingerprint, grant, rows, now=request.now)
    if outcome is not RedeemOutcome.REDEEMED:
        # The code was unspent a moment ago, and this request passed every check, the verifier too, which only the
        # client has: it is the twin of the one that won, from a double click or an HTTP library that tries again. A
        # copy that comes later finds the code spent and is dealt with above. Revoking here would log an honest client
        # out for its impatience. (A second approval or a disabled account in that moment comes out here as well.)
        raise InvalidGrant(
            Reason.CODE_RACE_LOST, "The code was redeemed or withdrawn while this request was under way."
        )
    _note_issued(endpoint, request, AuditEvent.CODE_REDEMPTION, grant)
    return tokens


async def refresh(endpoint: TokenEndpoint, request: TokenRequest) -> Tokens:
    """Rotate a refresh token (RFC 6749 section 6, RFC 9700 section 4.14.2)."""
    # 1. Look the token and its grant up.
    presented = request.required("refresh_token")
    token_fingerprint = fingerprint(presented)
    found = await endpoint.grants.find_refresh(token_fingerprint)

    # 2. The rules decide; none of their refusals rotates.
    grant = check_refresh(
        None if found is None else found.token,
        None if found is None else found.grant,
        user_disabled=found is not None and found.user_disabled,
        client_id=request.client.client_id,
        resource=_named_resource(endpoint, request),
        now=request.now,
    )
    scopes = narrow_scopes(request.parameters.get("scope"), granted=grant.scopes)

    # 3. Spend the token and keep its successor, in one step that also says whether it was spent before.
    tokens, rows = await endpoint.mint(grant, scopes=scopes, with_refresh_token=True, now=request.now)
    rotation = await endpoint.grants.rotate_refresh_token(
        token_fingerprint,
        rows,
        seal_successor(tokens, predecessor=presented, random_bytes=endpoint.random_bytes),
        now=request.now,
        window=endpoint.lifetimes.refresh_window,
    )
    if rotation.outcome is RotateOutcome.ROTATED:
        _note_issued(endpoint, request, AuditEvent.REFRESH, grant)
        return tokens
    if rotation.outcome is RotateOutcome.REPEATED and rotation.sealed_successor is not None:
        # The answer that this token got before, with the scopes it was given then; `scope` says which.
        return open_successor(rotation.sealed_successor, predecessor=presented)
    if rotation.outcome is RotateOutcome.REUSED:
        endpoint.on_revocation()
        reused = token_reused_error()
        await _record_revocation(endpoint, request, reused.reason, grant.subject, grant.grant_id)
        raise reused
    raise grant_revoked_error()


async def client_credentials(endpoint: TokenEndpoint, request: TokenRequest) -> Tokens:
    """Give a registered machine a token for itself (RFC 6749 section 4.4, MCP's OAuth client credentials extension)."""
    # 1. Only clients that the operator registered, and only what exists.
    check_machine(request.client)
    resource = find_resource(endpoint.resources, request.parameters.get("resource"))
    if resource is None or endpoint.client_grants is None:
        raise InvalidTarget(Reason.RESOURCE_UNKNOWN, "resource is not one of this server's; send it exactly.")

    # 2. The rules decide what the token is for.
    scopes = machine_scopes(
        request.parameters.get("scope"),
        client=request.client,
        known=resource.scopes,
        default=resource.default_scopes,
    )
    grant = machine_grant(
        request.client,
        resource=resource.identifier,
        scopes=scopes,
        now=request.now,
        lifetimes=endpoint.lifetimes,
        random_bytes=endpoint.random_bytes,
    )
    tokens, rows = await endpoint.mint(grant, scopes=scopes, with_refresh_token=False, now=request.now)

    # 3. Keep both, unless the client was shut out a moment ago.
    if not await endpoint.client_grants.give_client_grant(grant, rows):
        raise client_gone()
    _note_issued(endpoint, request, AuditEvent.CLIENT_CREDENTIALS, grant)
    return tokens


def _note_issued(endpoint: TokenEndpoint, request: TokenRequest, event: AuditEvent, grant: Grant) -> None:
    """Note that tokens were issued. The store's rows say so too, so the answer does not wait for it."""
    endpoint.audit.note(
        request.request, event, subject=grant.subject, client_id=grant.client_id, grant_id=grant.grant_id
    )


async def _record_revocation(
    endpoint: TokenEndpoint, request: TokenRequest, reason: Reason, subject: str, grant_id: str
) -> None:
    """Record that a grant was revoked because something of it was used twice."""
    await endpoint.audit.record(
        request.request,
        AuditEvent.REVOCATION,
        reason=reason,
        subject=subject,
        client_id=request.client.client_id,
        grant_id=grant_id,
    )


Exchange = Callable[[TokenEndpoint, TokenRequest], Awaitable[Tokens]]

GRANT_TYPES: Mapping[str, Exchange] = MappingProxyType(
    {"authorization_code": redeem_code, "refresh_token": refresh, CLIENT_CREDENTIALS: client_credentials}
)
"""What the endpoint takes as `grant_type`, each with the function that looks up, decides and writes."""


def _named_resource(endpoint: TokenEndpoint, request: TokenRequest) -> str | None:
    """Return what `resource` names, in its canonical spelling if it is one of ours; None when it is absent."""
    requested = request.parameters.get("resource")
    found = None if requested is None else find_resource(endpoint.resources, requested)
    return requested if found is None else found.identifier


_TOKEN = Operation(
    "token",
    "Exchange a code or a refresh token for tokens",
    request_body=form(
        {
            "grant_type": {"type": "string", "enum": ["authorization_code", "refresh_token", "client_credentials"]},
            "code": {"type": "string", "description": "authorization_code only"},
            "code_verifier": {"type": "string", "description": "authorization_code only (RFC 7636)"},
            "redirect_uri": {"type": "string", "description": "the one of the authorization request"},
            "refresh_token": {"type": "string", "description": "refresh_token only"},
            "scope": {"type": "string", "description": "not with authorization_code; less than could be had"},
            "resource": {"type": "string", "description": "the MCP endpoint's URL (RFC 8707)"},
            **CLIENT_FIELDS,
        },
        required=["grant_type"],
    ),
    responses={
        200: json_answer(
            "New tokens (RFC 6749 section 5.1).",
            record(
                {
                    "access_token": TEXT,
                    "token_type": {"type": "string", "enum": ["Bearer"]},
                    "expires_in": {"type": "integer", "description": "In seconds."},
                    "refresh_token": {"type": "string", "description": "Takes the place of the one that was sent."},
                    "scope": {"type": "string", "description": "What the access token allows, space-separated."},
                },
                required=["access_token", "token_type", "expires_in", "scope"],
            ),
        ),
        **CLIENT_FORM_REFUSALS,
    },
)
