"""A store with rows in every table but `setup_link`, some of them sealed."""

from __future__ import annotations

import secrets
from typing import Final

from gatepost.oauth.consent import Consent
from gatepost.oauth.limits import Rate, Use
from gatepost.stores.conformance.behaviour.api_keys import api_key
from gatepost.stores.conformance.behaviour.exchanges import exchanged
from gatepost.stores.conformance.behaviour.pushed_requests import pushed
from gatepost.stores.conformance.behaviour.upstream_tokens import come_there, kept
from gatepost.stores.conformance.records import (
    NOW,
    WINDOW,
    approve,
    audit_record,
    client,
    device,
    fp,
    redeem,
    remember_consent,
    session,
    tokens,
    user,
)
from gatepost.stores.contract.account_links import AccountLink
from gatepost.stores.contract.api_keys import KeyAddition
from gatepost.stores.contract.endpoints import ServedEndpoint
from gatepost.stores.contract.grants import RotateOutcome
from gatepost.stores.contract.linked_logins import LinkedLogin, LinkOutcome
from gatepost.stores.contract.logins import PendingLogin
from gatepost.stores.contract.mcp import McpSession
from gatepost.stores.contract.passkeys import Passkey, PasskeyAddition
from gatepost.stores.contract.second_steps import SecondStep
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.tasks import Task
from gatepost.stores.second_steps import seal_step
from gatepost.stores.signing_keys import SigningKeys
from gatepost.stores.upstream_tokens import TokenPair, sealed
from gatepost.tokens.sealing import KeyRing

OLD: Final = "old-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"
NEW: Final = "new-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"
RING: Final = KeyRing([OLD])
ODD: Final = 'Ünïcödé \u2028 "quoted" \\ \n 🗒'


async def fill(store: Store, ring: KeyRing = RING) -> None:
    """Put something into every table. The store is open and empty."""
    await store.keys.note_sealing_key(ring.key_ids[0], replaces=None)
    keys = SigningKeys(
        store=store.keys, ring=ring, algorithm="ES256", now=lambda: NOW, random_bytes=secrets.token_bytes
    )
    await keys.open()
    await store.users.add_user(user(display_name=ODD))
    await store.users.add_user(user("user-2", "bob"))
    await _fill_people(store, ring)
    await store.clients.register_client(client())
    await store.endpoints.note_endpoints([ServedEndpoint("/mcp", ("notes:read",))])
    await redeem(store)
    rotated = await store.grants.rotate_refresh_token(
        fp("refresh 1"), tokens("2", "grant-1"), b"sealed", now=NOW, window=WINDOW
    )
    assert rotated.outcome is RotateOutcome.ROTATED
    given = exchanged(client_id="client-1")
    assert await store.exchanges.give_exchanged_token(given, subject_fingerprint=fp("access 1"), now=NOW)
    await redeem(store, "revoked")
    await store.grants.revoke_grant("grant-revoked", reason="asked", now=NOW)
    await approve(store, "waiting")
    consent = Consent("user-1", "client-1", "https://app.example", "https://mcp.example", (), NOW, NOW + 1_000)
    await remember_consent(store, consent)
    await store.pushed_requests.push_request(pushed())
    assert await store.device_authorizations.begin_device_authorization(device())
    assert await store.assertions.remember_jti("client-1", "jti", expires_at=NOW + 60, now=NOW)
    await store.limits.take([Use("key", Rate(1, 60))], now=NOW)
    assert await store.api_keys.add_key(api_key(user_subject="user-1")) is KeyAddition.ADDED
    await store.audit.append_events([audit_record(number) for number in range(3)])
    await _fill_live_state(store)


async def _fill_people(store: Store, ring: KeyRing) -> None:
    login = LinkedLogin("https://id.example", "583231", "user-1", NOW, "Ada")
    assert await store.linked_logins.link_login(login) is LinkOutcome.LINKED
    assert await store.account_links.offer_link(AccountLink(fp("invitation"), None, "eve", NOW, NOW + 1_000))
    passkey = Passkey(bytes(range(256)), "user-1", b"handle", "localhost", "Phone", b"key", 0, ("usb",), NOW)
    assert await store.passkeys.add_passkey(passkey) is PasskeyAddition.ADDED
    secret = seal_step(b"secret", subject="user-2", step_id="step", ring=ring, random_bytes=secrets.token_bytes)
    step = SecondStep("user-2", "step", secret, 1, NOW)
    assert await store.second_steps.set_up(step, recovery_codes=[fp("a"), fp("b")])
    assert await store.browser_sessions.start_session(session())
    await store.logins.begin_login(PendingLogin(fp("state"), "browser-1", "issuer", b"sealed", NOW + 600))
    pair = TokenPair("gho_of_ada", "ghr_of_ada")
    row = sealed(kept(), pair, ring, random_bytes=secrets.token_bytes)
    await come_there(store, row)
    assert await store.upstream_tokens.keep_tokens(row, replaces=None)


async def _fill_live_state(store: Store) -> None:
    key = fp("mcp")
    begun = McpSession(key, "owner", "2025-11-25", b"{}", NOW, NOW + 60)
    await store.mcp_sessions.start_session(begun, most=9, makes_room=True)
    assert await store.mcp_sessions.subscribe(key, "notes://1", as_sent="notes://1", limit=9)
    assert await store.mcp_streams.attach_stream(key, "a", "me")
    await store.mcp_streams.append_event(key, "a", b"one", connection="me", most=9)
    await store.mcp_streams.finish_stream(key, "a")
    await store.mcp_client_requests.open(key, "q", expires_at=NOW + 9)
    await store.mcp_cancellations.cancel_request(key, "1", now=NOW, expires_at=NOW + 9, most=9)
    task = Task(fp("task"), "/mcp", "owner", "person", "count", NOW, NOW + 600, 1000, "me", status_message=ODD)
    assert await store.tasks.begin_task(task, most=9)
    assert await store.tasks.ask(fp("task"), {"a": b"q"}, runner="me", now=NOW) == {}
    assert await store.tasks.keep_value(fp("task"), "paid", b"1", runner="me")
    await store.tasks.renew_runner("me", until=NOW + 60)
    await store.changes.append_changes("/mcp", ["a"], origin="me", now=NOW)
    assert await store.leases.take_lease("purge", holder="me", now=NOW, until=NOW + 60)
    await store.check()


async def fill_with_grants(store: Store, count: int) -> None:
    """Give `count` grants to one person."""
    await store.users.add_user(user())
    for number in range(count):
        await redeem(store, f"many-{number}")
