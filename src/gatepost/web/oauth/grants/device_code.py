"""A device asks whether its person has answered, and gets tokens once they have (RFC 8628 sections 3.4 and 3.5)."""

from __future__ import annotations

from typing import Final

from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.device_authorization import (
    DEVICE_CODE as NAME,
)
from gatepost.oauth.device_authorization import (
    begin_device_grant,
    check_device_code,
    still_waiting,
)
from gatepost.oauth.errors import InvalidGrant
from gatepost.oauth.issuing import Tokens, gets_refresh_token
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.grants import RedeemOutcome
from gatepost.tokens.opaque import fingerprint
from gatepost.web.oauth.grants.grant_type import GrantType, TokenIssuer, TokenRequest


async def redeem_device_code(issuer: TokenIssuer, request: TokenRequest) -> Tokens:
    """Return the tokens of a new grant."""
    # 1. Look the device code up.
    devices = issuer.store.device_authorizations
    code_fingerprint = fingerprint(request.required("device_code"))
    found = await devices.find_device_authorization(code_fingerprint)

    # 2. The rule decides.
    try:
        device = check_device_code(
            found, client_id=request.client.client_id, resource=issuer.named_resource(request), now=request.now
        )
    except InvalidGrant as refusal:
        is_replayed = refusal.reason is Reason.DEVICE_CODE_REPLAYED
        if is_replayed and found is not None and found.grant_id is not None and found.subject is not None:
            reason = refusal.reason
            await issuer.store.grants.revoke_grant(found.grant_id, reason=reason.value, now=request.now)
            await issuer.record_revocation(request, reason, subject=found.subject, grant_id=found.grant_id)
        raise

    # 3. Nobody has answered yet: how often the client asks is counted.
    if device.subject is None:
        raise still_waiting(await devices.note_poll(code_fingerprint, now=request.now))

    # 4. Spend the code and keep the grant with its tokens, in one step.
    grant = begin_device_grant(
        device,
        subject=device.subject,
        now=request.now,
        lifetimes=issuer.lifetimes,
        random_bytes=issuer.random_bytes,
    )
    tokens, rows = await issuer.mint(
        request, grant, scopes=grant.scopes, with_refresh_token=gets_refresh_token(request.client)
    )
    outcome = await devices.redeem_device_code(code_fingerprint, grant, rows, now=request.now)
    if outcome is not RedeemOutcome.REDEEMED:
        # Unspent a moment ago: the twin of the request that won, or of a second approval. See `redeem_code`.
        raise InvalidGrant(
            Reason.DEVICE_CODE_RACE_LOST, "The device_code was redeemed or withdrawn while this request was under way."
        )
    issuer.note_issued(request, AuditEvent.DEVICE_LOGIN, grant)
    return tokens


DEVICE_CODE: Final = GrantType(
    NAME,
    redeem_device_code,
    is_registrable=True,
    parameters={"device_code": "logins by device only (RFC 8628)"},
)
