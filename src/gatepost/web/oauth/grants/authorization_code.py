"""Redeeming an authorization code (RFC 6749 section 4.1.3, RFC 7636 section 4.6)."""

from __future__ import annotations

from typing import Final

from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.codes import check_code
from gatepost.oauth.errors import InvalidGrant
from gatepost.oauth.issuing import Tokens, begin_grant, gets_refresh_token
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.grants import CodeView, RedeemOutcome
from gatepost.tokens.opaque import fingerprint
from gatepost.web.oauth.grants.grant_type import BegunRequest, GrantType, TokenIssuer, TokenRequest


async def look_up(issuer: TokenIssuer, request: BegunRequest) -> CodeView | None:
    """Return the code with what is registered of its client; None when it is unknown."""
    code = request.parameters.get("code")
    return None if code is None else await issuer.store.grants.find_code_and_client(fingerprint(code), now=request.now)


async def redeem_code(issuer: TokenIssuer, request: TokenRequest) -> Tokens:
    """Return the tokens of a new grant."""
    # 1. The code has been looked up.
    grants = issuer.store.grants
    code_fingerprint = fingerprint(request.required("code"))
    code_verifier = request.required("code_verifier")
    found = request.found.code if isinstance(request.found, CodeView) else None

    # 2. The rule decides. Two of its refusals leave a mark in the store.
    try:
        code = check_code(
            found,
            client_id=request.client.client_id,
            redirect_uri=request.parameters.get("redirect_uri"),
            resource=issuer.named_resource(request),
            code_verifier=code_verifier,
            now=request.now,
            dpop_jkt=request.dpop_jkt,
        )
    except InvalidGrant as refusal:
        if refusal.reason is Reason.CODE_REPLAYED and found is not None and found.grant_id is not None:
            await grants.revoke_grant(found.grant_id, reason=refusal.reason.value, now=request.now)
            await issuer.record_revocation(request, refusal.reason, subject=found.subject, grant_id=found.grant_id)
        elif refusal.reason is Reason.CODE_VERIFIER_WRONG:
            await grants.count_failed_redemption(code_fingerprint)
        raise

    # 3. Spend the code and keep the grant with its tokens, in one step.
    grant = begin_grant(code, now=request.now, lifetimes=issuer.lifetimes, random_bytes=issuer.random_bytes)
    tokens, rows = await issuer.mint(
        request, grant, scopes=grant.scopes, with_refresh_token=gets_refresh_token(request.client)
    )
    outcome = await grants.redeem_code(code_fingerprint, grant, rows, now=request.now)
    if outcome is not RedeemOutcome.REDEEMED:
        # The code was unspent a moment ago, and this request passed every check, the verifier too, which only the
        # client has: it is the twin of the one that won, from a double click or an HTTP library that tries again. A
        # copy that comes later finds the code spent and is dealt with above. Revoking here would log an honest client
        # out for its impatience. (A second approval or a disabled account in that moment comes out here as well.)
        raise InvalidGrant(
            Reason.CODE_RACE_LOST, "The code was redeemed or withdrawn while this request was under way."
        )
    issuer.note_issued(request, AuditEvent.CODE_REDEMPTION, grant)
    return tokens


AUTHORIZATION_CODE: Final = GrantType(
    "authorization_code",
    redeem_code,
    is_registrable=True,
    begin=look_up,
    parameters={
        "code": "authorization_code only",
        "code_verifier": "authorization_code only (RFC 7636)",
        "redirect_uri": "the one of the authorization request",
    },
)
