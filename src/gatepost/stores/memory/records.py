"""All that a memory store holds."""

from __future__ import annotations

from dataclasses import dataclass, field

from gatepost.oauth.audit import AuditRecord
from gatepost.oauth.consent import Consent
from gatepost.oauth.records import AccessToken, AuthorizationCode, AuthorizationTransaction, Client, Grant, RefreshToken
from gatepost.stores.contract.browser_sessions import BrowserSession
from gatepost.stores.contract.keys import SealedSigningKey
from gatepost.stores.contract.users import User


@dataclass(slots=True)
class Records:
    """The records by their keys; shared by the stores of the single concerns."""

    clients: dict[str, Client] = field(default_factory=dict)
    transactions: dict[str, AuthorizationTransaction] = field(default_factory=dict)
    codes: dict[bytes, AuthorizationCode] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    access_tokens: dict[bytes, AccessToken] = field(default_factory=dict)
    refresh_tokens: dict[bytes, RefreshToken] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    """By subject."""
    subjects: dict[str, str] = field(default_factory=dict)
    """Of each username."""
    setup_link: bytes | None = None
    browser_sessions: dict[bytes, BrowserSession] = field(default_factory=dict)
    sealing_key_id: str | None = None
    signing_keys: dict[str, SealedSigningKey] = field(default_factory=dict)
    assertions: dict[tuple[str, str], int] = field(default_factory=dict)
    """Until when each identifier of a client's assertion is remembered."""
    leases: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Holder and end of each."""
    limits: dict[str, int] = field(default_factory=dict)
    """Until when each allowance is spent, microseconds UTC."""
    audit_events: dict[str, AuditRecord] = field(default_factory=dict)
    consents: dict[tuple[str, str, str, str], Consent] = field(default_factory=dict)
    """By subject, client_id, redirect URI and resource."""

    def is_disabled(self, subject: str) -> bool:
        """Say whether this is a local account that has been disabled."""
        user = self.users.get(subject)
        return user is not None and user.disabled_at is not None
