"""Codes, grants and tokens in memory (RFC 6749 sections 4.1.3, 5 and 6; RFC 7009)."""

from __future__ import annotations

from dataclasses import replace

from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import AuthorizationCode, Grant, IssuedTokens, RefreshToken
from gatepost.stores.contract.grants import (
    GrantView,
    LiveAccessToken,
    RedeemOutcome,
    RefreshView,
    RotateOutcome,
    Rotation,
)
from gatepost.stores.memory.consents import forget_consents
from gatepost.stores.memory.records import Records


class MemoryGrantStore:
    """`GrantStore` in memory."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def find_code(self, code_fingerprint: bytes, *, now: int) -> AuthorizationCode | None:
        """See `GrantStore.find_code`."""
        code = self._records.codes.get(code_fingerprint)
        return None if code is None or code.expires_at <= now else code

    async def count_failed_redemption(self, code_fingerprint: bytes) -> None:
        """See `GrantStore.count_failed_redemption`."""
        code = self._records.codes.get(code_fingerprint)
        if code is not None:
            self._records.codes[code_fingerprint] = replace(code, failed_attempts=code.failed_attempts + 1)

    async def redeem_code(
        self, code_fingerprint: bytes, grant: Grant, tokens: IssuedTokens, *, now: int
    ) -> RedeemOutcome:
        """See `GrantStore.redeem_code`."""
        code = self._records.codes.get(code_fingerprint)
        if code is None or code.grant_id is not None or code.expires_at <= now:
            return RedeemOutcome.LOST_RACE
        if self._records.is_disabled(code.subject):
            return RedeemOutcome.LOST_RACE
        self._records.codes[code_fingerprint] = replace(code, grant_id=grant.grant_id)
        self._records.grants[grant.grant_id] = grant
        self._insert_tokens(tokens)
        return RedeemOutcome.REDEEMED

    async def find_refresh_token(self, token_fingerprint: bytes) -> RefreshToken | None:
        """See `GrantStore.find_refresh_token`."""
        return self._records.refresh_tokens.get(token_fingerprint)

    async def find_grant(self, grant_id: str) -> GrantView | None:
        """See `GrantStore.find_grant`."""
        grant = self._records.grants.get(grant_id)
        if grant is None:
            return None
        return GrantView(
            grant=grant,
            client=self._records.clients.get(grant.client_id),
            user_disabled=self._records.is_disabled(grant.subject),
        )

    async def find_refresh(self, token_fingerprint: bytes) -> RefreshView | None:
        """See `GrantStore.find_refresh`."""
        token = self._records.refresh_tokens.get(token_fingerprint)
        if token is None:
            return None
        grant = self._records.grants[token.grant_id]
        return RefreshView(token, grant, self._records.is_disabled(grant.subject))

    async def rotate_refresh_token(
        self,
        token_fingerprint: bytes,
        successor: IssuedTokens,
        sealed_successor: bytes,
        *,
        now: int,
        window: int,
    ) -> Rotation:
        """See `GrantStore.rotate_refresh_token`."""
        refresh = successor.refresh
        if refresh is None:
            raise ValueError("a rotation's successor needs a refresh token")
        # 1. Unknown, expired, revoked, disabled: nothing to spend and nobody to punish.
        token = self._live_refresh_token(token_fingerprint, now=now)
        if token is None:
            return Rotation(RotateOutcome.DEAD)
        # 2. Unspent: spend it and keep its successors.
        if token.spent_at is None:
            self._records.refresh_tokens[token_fingerprint] = replace(
                token,
                spent_at=now,
                successor_fingerprint=refresh.token_fingerprint,
                sealed_successor=sealed_successor,
            )
            self._insert_tokens(successor)
            return Rotation(RotateOutcome.ROTATED)
        # 3. Spent a moment ago and nobody has used what came of it: the answer was lost, or two honest uses met.
        if now - token.spent_at <= window and self._successor_is_unused(token):
            return Rotation(RotateOutcome.REPEATED, token.sealed_successor)
        # 4. Anything else is reuse: one of two holders is a thief, nobody knows which (RFC 9700 section 4.14.2).
        self._revoke(self._records.grants[token.grant_id], reason=Reason.REFRESH_TOKEN_REUSED.value, now=now)
        return Rotation(RotateOutcome.REUSED)

    async def find_access_token(self, token_fingerprint: bytes, *, now: int) -> LiveAccessToken | None:
        """See `GrantStore.find_access_token`."""
        token = self._records.access_tokens.get(token_fingerprint)
        if token is None or token.expires_at <= now:
            return None
        grant = self._records.grants[token.grant_id]
        if grant.expires_at <= now:
            return None
        client = self._records.clients.get(grant.client_id)
        user = self._records.users.get(grant.subject)
        return LiveAccessToken(
            subject=grant.subject,
            client_id=grant.client_id,
            client_name=None if client is None else client.client_name,
            scopes=token.scopes,
            resource=grant.resource,
            grant_id=grant.grant_id,
            expires_at=min(token.expires_at, grant.expires_at),
            grant_revoked=grant.revoked_at is not None,
            user_disabled=self._records.is_disabled(grant.subject),
            username=None if user is None else user.username,
        )

    async def revoke_grant(self, grant_id: str, *, reason: str, now: int) -> bool:
        """See `GrantStore.revoke_grant`."""
        grant = self._records.grants.get(grant_id)
        if grant is None:
            return False
        self._revoke(grant, reason=reason, now=now)
        return True

    def _insert_tokens(self, tokens: IssuedTokens) -> None:
        self._records.access_tokens[tokens.access.token_fingerprint] = tokens.access
        if tokens.refresh is not None:
            self._records.refresh_tokens[tokens.refresh.token_fingerprint] = tokens.refresh

    def _live_refresh_token(self, token_fingerprint: bytes, *, now: int) -> RefreshToken | None:
        token = self._records.refresh_tokens.get(token_fingerprint)
        if token is None or token.expires_at <= now:
            return None
        grant = self._records.grants[token.grant_id]
        over = grant.revoked_at is not None or grant.expires_at <= now or self._records.is_disabled(grant.subject)
        return None if over else token

    def _successor_is_unused(self, token: RefreshToken) -> bool:
        if token.successor_fingerprint is None:
            return False
        successor = self._records.refresh_tokens.get(token.successor_fingerprint)
        return successor is not None and successor.spent_at is None

    def _revoke(self, grant: Grant, *, reason: str, now: int) -> None:
        if grant.revoked_at is None:
            self._records.grants[grant.grant_id] = replace(grant, revoked_at=now, revoked_reason=reason)
            # Who takes access away is asked before it is given again.
            forget_consents(self._records, grant.subject, client_id=grant.client_id, resource=grant.resource)
