"""Whole records to start from; a test names only what it is about."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import replace
from typing import Any, Final

from gatepost.oauth.audit import AuditEvent, AuditRecord, Outcome, event_id
from gatepost.oauth.consent import Consent
from gatepost.oauth.device_authorization import DeviceAuthorization
from gatepost.oauth.records import (
    AccessToken,
    AuthorizationCode,
    AuthorizationTransaction,
    Client,
    Grant,
    IssuedTokens,
    RefreshToken,
)
from gatepost.stores.contract.browser_sessions import BrowserSession
from gatepost.stores.contract.grants import RedeemOutcome
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.transactions import ApproveOutcome
from gatepost.stores.contract.users import LOCAL, User

NOW: Final = 1_800_000_000
RESOURCE: Final = "https://notes.example/mcp"
WINDOW: Final = 120

_numbers: Final = itertools.count()


def fp(name: str) -> bytes:
    """The fingerprint of a made-up secret."""
    return hashlib.sha256(name.encode()).digest()


def client(client_id: str = "client-1", **changes: Any) -> Client:
    return replace(
        Client(
            client_id=client_id,
            client_name="Notes — für «alle» 🗒",
            redirect_uris=("http://127.0.0.1/callback", "cursor://anysphere.mcp/callback"),
            grant_types=("authorization_code", "refresh_token"),
            response_types=("code",),
            token_endpoint_auth_method="client_secret_basic",
            application_type="native",
            scope="notes:read notes:write",
            client_uri="https://client.example",
            logo_uri="https://client.example/logo.png",
            jwks=None,
            jwks_uri=None,
            dpop_bound_access_tokens=False,
            secret_fingerprint=fp("client secret"),
            created_at=NOW,
        ),
        **changes,
    )


def transaction(transaction_id: str = "transaction-1", **changes: Any) -> AuthorizationTransaction:
    return replace(
        AuthorizationTransaction(
            transaction_id=transaction_id,
            browser_id="browser-1",
            client_id="client-1",
            redirect_uri="http://127.0.0.1:4711/callback",
            redirect_uri_was_sent=True,
            scopes=("notes:read", "notes:write"),
            resource=RESOURCE,
            code_challenge="E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            client_state="state with spaces & signs = ü",
            created_at=NOW,
            expires_at=NOW + 1800,
        ),
        **changes,
    )


def device(name: str = "1", user_code: str = "BCDFGHJK", **changes: Any) -> DeviceAuthorization:
    """The request of a device whose device code is `device NAME`."""
    return replace(
        DeviceAuthorization(
            device_code_fingerprint=fp(f"device {name}"),
            user_code=user_code,
            client_id="client-1",
            scopes=("notes:read", "notes:write"),
            resource=RESOURCE,
            created_at=NOW,
            expires_at=NOW + 600,
        ),
        **changes,
    )


def device_question(transaction_id: str, name: str = "1", **changes: Any) -> AuthorizationTransaction:
    """What somebody is asked who has typed the user code of `device(NAME)`."""
    asked = {
        "redirect_uri": "",
        "redirect_uri_was_sent": False,
        "code_challenge": "",
        "client_state": None,
        "expires_at": NOW + 600,
        "device_code_fingerprint": fp(f"device {name}"),
        "user_code": "BCDFGHJK",
    }
    return transaction(transaction_id, **{**asked, **changes})


def code(name: str = "code-1", transaction_id: str = "transaction-1", **changes: Any) -> AuthorizationCode:
    return replace(
        AuthorizationCode(
            code_fingerprint=fp(name),
            transaction_id=transaction_id,
            client_id="client-1",
            redirect_uri="http://127.0.0.1:4711/callback",
            redirect_uri_was_sent=True,
            scopes=("notes:read", "notes:write"),
            resource=RESOURCE,
            code_challenge="E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            subject="user-1",
            created_at=NOW,
            expires_at=NOW + 600,
        ),
        **changes,
    )


def grant(grant_id: str = "grant-1", **changes: Any) -> Grant:
    return replace(
        Grant(
            grant_id=grant_id,
            subject="user-1",
            client_id="client-1",
            resource=RESOURCE,
            scopes=("notes:read", "notes:write"),
            created_at=NOW,
            expires_at=NOW + 100_000,
        ),
        **changes,
    )


def tokens(name: str = "first", grant_id: str = "grant-1", *, now: int = NOW) -> IssuedTokens:
    """A pair whose fingerprints are those of `access NAME` and `refresh NAME`."""
    return IssuedTokens(
        access=AccessToken(
            token_fingerprint=fp(f"access {name}"),
            grant_id=grant_id,
            scopes=("notes:read",),
            created_at=now,
            expires_at=now + 3600,
        ),
        refresh=RefreshToken(
            token_fingerprint=fp(f"refresh {name}"),
            grant_id=grant_id,
            created_at=now,
            expires_at=now + 50_000,
        ),
    )


def user(subject: str = "user-1", username: str = "ada", **changes: Any) -> User:
    return replace(User(subject, LOCAL, subject, NOW, username=username, password_hash="$argon2id$made-up"), **changes)


def session(name: str = "session-1", **changes: Any) -> BrowserSession:
    return replace(
        BrowserSession(
            session_fingerprint=fp(name),
            browser_id="browser-1",
            subject="user-1",
            provider="local",
            authenticated_at=NOW,
            created_at=NOW,
            expires_at=NOW + 3600,
        ),
        **changes,
    )


def audit_record(sequence: int = 0, **changes: Any) -> AuditRecord:
    """The event that happened `sequence`-th in its second."""
    at: int = changes.get("at", NOW)
    return replace(
        AuditRecord(
            event_id=event_id(at=at, microsecond=sequence, random=bytes(6)),
            at=at,
            event=AuditEvent.LOGIN,
            outcome=Outcome.OK,
            subject="user-1",
            client_id="client-1",
            address="192.0.2.1",
        ),
        **changes,
    )


async def find_grant(store: Store, grant_id: str) -> Grant | None:
    listed = await store.approvals.list_grants(live_at=None, subject=None, client_id=None, limit=10_000)
    return next((listing.grant for listing in listed if listing.grant.grant_id == grant_id), None)


async def find_refresh_token(store: Store, token_fingerprint: bytes) -> RefreshToken | None:
    judged = await store.grants.find_refresh(token_fingerprint)
    return None if judged is None else judged.token


async def remember_consent(
    store: Store, consent: Consent, *, comes_to: ApproveOutcome = ApproveOutcome.APPROVED
) -> None:
    """Approve a request and remember that; the approval `comes_to` this."""
    name = f"to-remember-{next(_numbers)}"
    await store.transactions.begin_transaction(transaction(name, client_id=consent.client_id))
    approved = code(name, name, subject=consent.subject, client_id=consent.client_id)
    assert await store.transactions.approve_transaction(approved, now=NOW, consent=consent) is comes_to


async def keep_client(store: Store, client: Client) -> None:
    """Register a client, or change the registration of the one with its id."""
    if not await store.clients.update_client(client):
        await store.clients.register_client(client)


async def approve(store: Store, name: str = "1", **changes: Any) -> AuthorizationCode:
    """Begin `transaction-NAME` and approve it with `code-NAME`."""
    approved = code(f"code-{name}", f"transaction-{name}", **changes)
    await store.transactions.begin_transaction(transaction(f"transaction-{name}"))
    assert await store.transactions.approve_transaction(approved, now=NOW) is ApproveOutcome.APPROVED
    return approved


async def redeem(store: Store, name: str = "1", **changes: Any) -> Grant:
    """Approve and redeem: `grant-NAME` with the tokens `access NAME` and `refresh NAME`."""
    granted = grant(f"grant-{name}", **changes)
    approved = await approve(store, name, subject=granted.subject)
    outcome = await store.grants.redeem_code(
        approved.code_fingerprint, granted, tokens(name, granted.grant_id), now=NOW
    )
    assert outcome is RedeemOutcome.REDEEMED
    return granted
