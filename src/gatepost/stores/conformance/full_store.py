"""A store with something of every concern, and all that can be seen of it."""

from __future__ import annotations

from typing import Any, Final

from gatepost.oauth.audit import AuditQuery
from gatepost.oauth.consent import Consent
from gatepost.oauth.limits import Rate, Use
from gatepost.oauth.records import ClientOrigin
from gatepost.stores.conformance.behaviour.account_links import link
from gatepost.stores.conformance.behaviour.api_keys import api_key
from gatepost.stores.conformance.behaviour.exchanges import exchanged
from gatepost.stores.conformance.behaviour.keys import signing_key
from gatepost.stores.conformance.behaviour.linked_logins import ADA, OCTOCAT, login
from gatepost.stores.conformance.behaviour.logins import LOGIN
from gatepost.stores.conformance.behaviour.mcp_streams import SESSION
from gatepost.stores.conformance.behaviour.passkeys import passkey
from gatepost.stores.conformance.behaviour.pushed_requests import pushed
from gatepost.stores.conformance.behaviour.second_steps import CODES, step
from gatepost.stores.conformance.behaviour.task_life import RUNNER, a_task
from gatepost.stores.conformance.behaviour.upstream_tokens import kept
from gatepost.stores.conformance.records import (
    NOW,
    RESOURCE,
    WINDOW,
    approve,
    audit_record,
    client,
    device,
    device_question,
    fp,
    grant,
    redeem,
    remember_consent,
    session,
    tokens,
    transaction,
    user,
)
from gatepost.stores.contract.administration import Administrator
from gatepost.stores.contract.endpoints import ServedEndpoint
from gatepost.stores.contract.store import Store

KEY: Final = SESSION.session_fingerprint
ADMIN: Final = Administrator("user-1", "admin")
TASK_NAMES: Final = ("task", "asking", "answered")
RATE: Final = Rate(3, 60)
CONSENT: Final = Consent("user-1", "client-1", "https://app.example/cb", RESOURCE, ("notes:read",), NOW, NOW + 9000)
TOKENS: Final = kept(issuer=OCTOCAT.issuer, external_subject=OCTOCAT.external_subject)


async def fill(store: Store) -> None:
    """Keep something of every concern in an empty store."""
    await store.users.add_user(user(roles=("admin",)))
    await store.users.add_user(user("user-2", "bob"))
    await store.users.recognise_user(*ADA, display_name="Ada", subjects=["user-3"], now=NOW)
    await store.linked_logins.link_login(login())
    await store.account_links.offer_link(link("reset", subject="user-2", username="bob"))
    await store.second_steps.set_up(step(), recovery_codes=CODES)
    await store.passkeys.add_passkey(passkey())
    await store.browser_sessions.start_session(session())
    await store.logins.begin_login(LOGIN)
    await store.clients.register_client(client())
    await store.clients.register_client(client("client-2", created_at=NOW + 1))
    await store.clients.keep_settings_clients([client("client-s", origin=ClientOrigin.SETTINGS)], now=NOW)
    await store.assertions.remember_jti("client-1", "jti-1", expires_at=NOW + 60, now=NOW)
    await store.transactions.begin_transaction(transaction("transaction-open"))
    await approve(store, "approved")
    for name, user_code in (("open", "BBBBBBBB"), ("approved", "CCCCCCCC")):
        await store.device_authorizations.begin_device_authorization(device(name, user_code))
        await store.transactions.begin_transaction(device_question(f"question-{name}", name))
    await store.pushed_requests.push_request(pushed())
    await store.device_authorizations.approve_device(
        "question-approved", subject="user-1", scopes=("notes:read", "notes:write"), now=NOW
    )
    await redeem(store)
    await store.grants.rotate_refresh_token(fp("refresh 1"), tokens("2"), b"sealed 2", now=NOW, window=WINDOW)
    await redeem(store, "other", created_at=NOW + 1)
    given = exchanged(client_id="client-2")
    await store.exchanges.give_exchanged_token(given, subject_fingerprint=fp("access 1"), now=NOW)
    await remember_consent(store, CONSENT)
    await store.approvals.give_grant(grant("grant-given", created_at=NOW + 2), tokens("given", "grant-given"))
    await store.upstream_tokens.keep_tokens(TOKENS, replaces=None)
    await store.api_keys.add_key(api_key())
    await store.endpoints.note_endpoints([ServedEndpoint("/mcp", ("notes:read",))])
    await store.keys.note_sealing_key("ring", replaces=None)
    await store.keys.begin_signing(signing_key("k1"), now=NOW)
    await store.audit.append_events([audit_record(0), audit_record(1)])
    await store.mcp_sessions.start_session(SESSION, most=9, makes_room=True)
    await store.mcp_sessions.subscribe(KEY, "notes://1", as_sent="notes://1", limit=9)
    await store.mcp_streams.attach_stream(KEY, "s", "connection")
    await store.mcp_streams.append_event(KEY, "s", b"event")
    await store.mcp_client_requests.open(KEY, "answered", expires_at=NOW + 50)
    await store.mcp_client_requests.respond(KEY, "answered", b"response", now=NOW)
    await store.mcp_client_requests.open(KEY, "open", expires_at=NOW + 50)
    await store.mcp_cancellations.cancel_request(KEY, "7", now=NOW, expires_at=NOW + 30, most=9)
    await store.tasks.renew_runner(RUNNER, until=NOW + 60)
    for name in ("task", "asking", "answered"):
        await store.tasks.begin_task(a_task(name), most=9)
    for name in ("asking", "answered"):
        await store.tasks.ask(fp(name), {"a": b"q"}, runner=RUNNER, now=NOW)
    await store.tasks.answer(fp("answered"), {"a": b"r"}, owner="owner", now=NOW)
    await store.tasks.keep_value(fp("task"), "paid", b"1", runner=RUNNER)
    await store.changes.append_changes("/mcp", ["tools", "prompts"], origin="me", now=NOW)
    await store.limits.take([Use("key", RATE)], now=NOW)
    await store.leases.take_lease("purge", holder="me", now=NOW, until=NOW + 60)


async def seen(store: Store) -> dict[str, Any]:
    """Return all that can be seen of a store that `fill` has filled, without changing any of it."""
    return {
        **await _people(store),
        **await _access(store),
        **await _live_state(store),
        "clients": await store.clients.list_clients(),
        "keys": (await store.keys.sealing_key_id(), await store.keys.signing_keys(now=NOW)),
        "endpoints": await store.endpoints.list_endpoints(),
        "audit": await store.audit.list_events(AuditQuery(), before=None, limit=99),
    }


async def _people(store: Store) -> dict[str, Any]:
    subjects = ("user-1", "user-2", "user-3")
    return {
        "users": await store.users.list_users(),
        "people": await store.administration.list_people(name_begins="", after=None, limit=99),
        "logins": [await store.linked_logins.list_logins(subject) for subject in subjects],
        "account links": await store.account_links.find_link(fp("reset"), now=NOW),
        "second steps": await store.second_steps.list_second_steps(),
        "recovery codes": await store.second_steps.count_recovery_codes("user-1"),
        "passkeys": [await store.passkeys.list_passkeys(subject) for subject in subjects],
        "sessions": [await store.browser_sessions.list_sessions(one, now=NOW, limit=99) for one in subjects],
        "upstream tokens": await store.upstream_tokens.list_tokens(None, limit=99),
        "upstream tokens of one": await store.upstream_tokens.find_tokens("user-1", "github"),
    }


async def _access(store: Store) -> dict[str, Any]:
    names = ("1", "2", "3", "other", "given", "approved", "new")
    return {
        "requests": [await store.transactions.find_transaction(f"transaction-{n}", now=NOW) for n in (*names, "open")],
        "devices": [
            await store.device_authorizations.find_device_authorization(fp(f"device {name}"))
            for name in ("open", "approved", "new")
        ],
        "questions": [
            await store.transactions.find_transaction(f"question-{name}", now=NOW) for name in ("open", "approved")
        ],
        "codes": [await store.grants.find_code(fp(f"code-{name}"), now=NOW) for name in names],
        "grants": await store.approvals.list_grants(live_at=None, subject=None, client_id=None, limit=99),
        "access tokens": [await store.grants.find_access_token(fp(f"access {name}"), now=NOW) for name in names],
        "exchanged tokens": [
            await store.exchanges.find_exchanged_token(fp(f"exchanged {name}")) for name in ("1", "new")
        ],
        "refresh tokens": [await store.grants.find_refresh(fp(f"refresh {name}")) for name in names],
        "consent": await store.consents.find_consent(
            CONSENT.subject,
            client_id=CONSENT.client_id,
            redirect_uri=CONSENT.redirect_uri,
            resource=CONSENT.resource,
            now=NOW,
        ),
        "API keys": await store.api_keys.list_keys(live_at=None, limit=99),
    }


async def _live_state(store: Store) -> dict[str, Any]:
    return {
        "MCP sessions": await store.mcp_sessions.find_session(KEY, owner=SESSION.owner, now=NOW),
        "subscriptions": await store.mcp_sessions.subscribed_as(KEY, "notes://1"),
        "events": await store.mcp_streams.events_after(KEY, "s", 0, limit=99),
        "responses": [await store.mcp_client_requests.find_response(KEY, name) for name in ("answered", "open", "new")],
        "attached": await store.mcp_streams.attached_streams([KEY]),
        "tasks": [await store.tasks.find_task(fp(name), owner="owner", now=NOW) for name in TASK_NAMES],
        "versions of tasks": await store.tasks.list_versions([fp(name) for name in TASK_NAMES]),
        "responses to tasks": await store.tasks.find_responses(fp("answered")),
        "values of tasks": [await store.tasks.find_values(fp(name)) for name in TASK_NAMES],
        "news of tasks": await store.tasks.list_news(RUNNER, limit=9),
        "cancellations": await store.mcp_cancellations.cancelled_requests([KEY], now=NOW),
        "changes": await store.changes.changes_after("/mcp", 0, limit=99),
        "last changes": await store.changes.last_changes(["/mcp"]),
    }
