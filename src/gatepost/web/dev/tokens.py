"""Tokens for the page: for one endpoint, a user and scopes that are chosen there, and ten minutes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent, Outcome
from gatepost.oauth.issuing import SignAccessToken, Tokens, mint_single_token
from gatepost.observability.audit_trail import AuditTrail
from gatepost.resource.principal import COMMAND_LINE_CLIENT
from gatepost.stores.contract.approvals import ApprovalStore
from gatepost.tokens.opaque import RandomBytes

LIFETIME: Final = 600
"""Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DevTokens:
    """Makes tokens as `gatepost token mint` does."""

    approvals: ApprovalStore
    audit_trail: AuditTrail
    signer: Callable[[str, int], Awaitable[SignAccessToken | None]]
    """Given the origin and the time, returns what signs tokens; None where they are opaque."""
    now: Callable[[], int]
    random_bytes: RandomBytes

    async def make(self, origin: str, resource: str, *, subject: str, scopes: tuple[str, ...]) -> Tokens:
        """Keep a grant that ends with its access token, and return that."""
        now = self.now()
        grant, tokens, rows = mint_single_token(
            subject=subject,
            client_id=COMMAND_LINE_CLIENT,
            resource=resource,
            scopes=scopes,
            now=now,
            lifetime=LIFETIME,
            random_bytes=self.random_bytes,
            sign=await self.signer(origin, now),
        )
        await self.approvals.give_grant(grant, rows)
        await self.audit_trail.record(
            AuditEvent.TOKEN_MINTED,
            Outcome.OK,
            address="dev page",
            subject=subject,
            client_id=COMMAND_LINE_CLIENT,
            grant_id=grant.grant_id,
        )
        return tokens
