"""What a login and a consent ask of browser and store: each operation is a look at the disk, or waits for it."""

from __future__ import annotations

import secrets

import httpx2

from gatepost import Server, create_app
from gatepost.configuration.settings import load_settings
from gatepost.identity.local_accounts import new_user
from gatepost.stores.sql.sqlite import memory_store
from tests.counted_store import count_operations
from tests.seeds.person import person_at

PASSWORD = "a long enough passphrase"


async def test_a_login_with_consent_takes_six_requests_and_23_operations_beside_its_events() -> None:
    store = memory_store()
    settings = load_settings({"MCP_STORAGE_URL": "memory:"}, env_file=None)
    app = create_app(Server("notes"), settings=settings, store=store, announce=lambda _: None)
    async with person_at(app) as person:
        requests: list[str] = []
        user = new_user("ada", PASSWORD, now=1_700_000_000, random_bytes=secrets.token_bytes)
        assert await store.users.add_user(user)
        # The first of an address takes places of the limits for those after it.
        await person.allow(await person.submit(await person.arrive(), username="ada", password=PASSWORD))
        person.http.cookies.clear()
        called = count_operations(store)

        async def note(request: httpx2.Request) -> None:
            requests.append(f"{request.method} {request.url.path}")

        person.http.event_hooks["request"].append(note)
        await person.allow(await person.submit(await person.arrive(), username="ada", password=PASSWORD))
        # Some events are written behind, and so at no fixed place; those of the login and of the consent are not.
        operations = [operation for operation in called if operation != "audit.append_events"]
    assert requests == [
        "GET /oauth/authorize",
        "GET /oauth/login",
        "POST /oauth/login",
        "GET /oauth/consent",
        "POST /oauth/consent",
        "POST /oauth/token",
    ]
    assert operations == [
        # GET /oauth/authorize
        "clients.find_client",
        "browser_sessions.start_session",
        "transactions.begin_transaction",
        # GET /oauth/login
        "browser_sessions.find_session",
        "transactions.find_transaction",
        # POST /oauth/login
        "browser_sessions.find_session",
        "transactions.find_transaction",
        "limits.take",
        "users.find_user",
        "browser_sessions.start_session",
        "limits.give_back",
        # GET /oauth/consent
        "browser_sessions.find_session",
        "transactions.find_transaction",
        "clients.find_client",
        "consents.find_consent",
        # POST /oauth/consent
        "browser_sessions.find_session",
        "transactions.find_transaction",
        "clients.find_client",
        "transactions.approve_transaction",
        "browser_sessions.end_session",
        # POST /oauth/token
        "grants.find_code_and_client",
        "grants.redeem_code",
    ]
