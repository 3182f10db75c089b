"""Floods get 429, cost little, and are seen in the audit trail; others go on."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2
import pytest

from gatepost.app import create_app
from gatepost.configuration.settings import load_settings
from gatepost.oauth.audit import AuditEvent, AuditQuery, Outcome
from gatepost.oauth.limits import REGISTRATIONS, REGISTRATIONS_OF_ALL, TOKENS_OF_CLIENT, Rate, Use
from gatepost.server.server import Server
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import memory_store

ORIGIN = "http://127.0.0.1:8000"
VENDOR, THIEF = "198.51.100.7", "192.0.2.66"
REGISTRATION = {"client_name": "App", "redirect_uris": ["https://app.example/callback"]}


@dataclass
class Site:
    """A whole app behind a proxy that it trusts."""

    http: httpx2.AsyncClient
    store: Store

    async def register(self, address: str = THIEF) -> httpx2.Response:
        return await self.http.post("/oauth/register", json=REGISTRATION, headers={"X-Forwarded-For": address})


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    store = memory_store()
    settings = load_settings({"MCP_TRUSTED_PROXIES": "127.0.0.1", "MCP_PUBLIC_URL": ORIGIN}, env_file=None)
    app = create_app(Server("Notes"), settings=settings, store=store, announce=lambda _: None)
    transport = httpx2.ASGITransport(app=app, client=("127.0.0.1", 50_000))
    async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as http:
        yield Site(http, store)


async def spend(store: Store, key: str) -> None:
    """Use an allowance up for an hour."""
    assert await store.limits.take([Use(key, Rate(1, 3600))], now=int(time.time())) == 0


async def test_a_flood_of_registrations_is_refused_and_bounded_and_others_register(site: Site) -> None:
    statuses = [(await site.register()).status_code for _ in range(REGISTRATIONS.uses + 50)]

    # A few are allowed anew if the test takes seconds.
    assert statuses[: REGISTRATIONS.uses - 5] == [201] * (REGISTRATIONS.uses - 5)
    assert statuses.count(429) >= 30
    refused = await site.register()
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"] == "temporarily_unavailable"
    assert (await site.register(VENDOR)).status_code == 201


async def test_what_all_addresses_register_together_is_bounded(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    assert (await site.register(VENDOR)).status_code == 201
    everything = Use("register:all", REGISTRATIONS_OF_ALL, REGISTRATIONS_OF_ALL.uses - 1)
    assert await site.store.limits.take([everything], now=int(time.time())) == 0
    caplog.set_level(logging.INFO, "gatepost")

    answers = [await site.register(f"203.0.113.{number}") for number in range(30)]

    # One is allowed anew each fifth of a second.
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) >= 20
    assert (refused[-1].headers["retry-after"], refused[-1].json()) == (
        "1",
        {
            "error": "temporarily_unavailable",
            "error_description": "This server takes no more registrations for now, whoever asks; "
            "try again in 1 seconds.",
        },
    )
    assert "registrations_full" in caplog.text


async def test_what_all_addresses_change_of_registrations_is_bounded(site: Site) -> None:
    client = (await site.register(VENDOR)).json()
    assert await site.store.limits.take([Use("change-registration:all", Rate(1, 600))], now=int(time.time())) == 0
    headers = {"Authorization": f"Bearer {client['registration_access_token']}"}
    update = {"client_id": client["client_id"], **REGISTRATION}

    for address in (VENDOR, THIEF):
        told = {**headers, "X-Forwarded-For": address}
        refused = await site.http.put(client["registration_client_uri"], json=update, headers=told)
        assert (refused.status_code, "retry-after" in refused.headers) == (429, True)


async def test_a_browser_may_read_when_to_try_again(site: Site) -> None:
    """A client in a browser can only wait as told if it may see the header."""
    await spend(site.store, f"register:address:{THIEF}")
    headers = {"X-Forwarded-For": THIEF, "Origin": "https://app.example"}

    refused = await site.http.post("/oauth/register", json=REGISTRATION, headers=headers)

    assert refused.status_code == 429
    assert refused.headers["access-control-allow-origin"] == "*"
    assert "Retry-After" in refused.headers["access-control-expose-headers"]


async def test_forged_addresses_of_somebody_who_is_no_proxy_buy_nothing(site: Site) -> None:
    await spend(site.store, f"register:address:{THIEF}")

    for forged in ("203.0.113.1", "203.0.113.2"):
        assert (await site.register(f"{forged}, {THIEF}")).status_code == 429


@pytest.mark.parametrize(("trusted", "key"), [("10.0.0.1", "unknown"), ("unix", THIEF)])
async def test_nobody_on_a_unix_socket_locks_everybody_out(trusted: str, key: str) -> None:
    """Without an address, whoever counts them counts all as one; a proxy that is named tells them apart."""
    store = memory_store()
    await spend(store, f"register:address:{key}")
    settings = load_settings({"MCP_TRUSTED_PROXIES": trusted, "MCP_PUBLIC_URL": ORIGIN}, env_file=None)
    app = create_app(Server("Notes"), settings=settings, store=store, announce=lambda _: None)
    transport = httpx2.ASGITransport(app=app, client=None)  # type: ignore[arg-type]  # as uvicorn gives it there
    async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as http:
        site = Site(http, store)
        assert (await site.register(VENDOR)).status_code == 201
        assert (await site.register(THIEF)).status_code == (429 if trusted == "unix" else 201)
        health = (await http.get("/healthz")).json()

    named = [warning.partition(":")[0] for warning in health.get("warnings", [])]
    assert named == ([] if trusted == "unix" else ["MCP_TRUSTED_PROXIES"])


@pytest.mark.parametrize("path", ["/oauth/authorize", "/oauth/login", "/oauth/setup"])
async def test_pages_are_limited_too_before_they_keep_a_session(site: Site, path: str) -> None:
    await spend(site.store, f"pages:address:{THIEF}")

    refused = await site.http.get(path, headers={"X-Forwarded-For": THIEF})

    assert (refused.status_code, "Please wait a moment" in refused.text) == (429, True)
    assert await site.store.browser_sessions.delete_sessions(before=2**40, limit=10) == 0


async def test_what_strangers_send_under_a_public_client_id_takes_nothing_from_its_users(site: Site) -> None:
    """A public `client_id` is no secret, and a client that is known by a document is every user's."""
    app = (await site.register()).json()["client_id"]
    junk = {"grant_type": "refresh_token", "refresh_token": "gp_rt_unknown", "client_id": app}
    begin = {"client_id": app, "redirect_uri": "https://elsewhere.example/"}

    for _ in range(20):
        assert (await site.http.post("/oauth/token", data=junk)).status_code == 400
        assert (await site.http.get("/oauth/authorize", params=begin)).status_code == 400

    everything = Use(f"token:client:{app}", TOKENS_OF_CLIENT, TOKENS_OF_CLIENT.uses)
    assert await site.store.limits.take([everything], now=int(time.time())) == 0


async def test_the_mcp_endpoint_is_not_counted(site: Site) -> None:
    for _ in range(3):
        assert (await site.http.post("/mcp", json={})).status_code == 401

    assert await site.store.limits.delete_limits(before=2**40, limit=10) == 0


async def test_a_flood_is_one_event_in_the_audit_trail() -> None:
    store = memory_store()
    await spend(store, "register:address:127.0.0.1")
    settings = load_settings(env_file=None)
    app = create_app(Server("Notes"), settings=settings, store=store, announce=lambda _: None)
    transport = httpx2.ASGITransport(app=app, client=("127.0.0.1", 50_000))

    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as http:
        for _ in range(5):
            assert (await http.post("/oauth/register", json=REGISTRATION)).status_code == 429

    [event] = await store.audit.list_events(AuditQuery(), before=None, limit=10)
    assert (event.event, event.outcome, event.reason, event.address) == (
        AuditEvent.LIMIT,
        Outcome.REFUSED,
        "too_many_requests",
        "127.0.0.1",
    )


async def test_a_client_that_changes_its_registration_all_the_time_is_refused_like_one_that_registers(
    site: Site,
) -> None:
    client = (await site.register(VENDOR)).json()
    headers = {"X-Forwarded-For": THIEF, "Authorization": f"Bearer {client['registration_access_token']}"}
    update = {"client_id": client["client_id"], **REGISTRATION}

    async def manage(method: str) -> int:
        body = update if method == "PUT" else None
        return (
            await site.http.request(method, client["registration_client_uri"], json=body, headers=headers)
        ).status_code

    statuses = [await manage("PUT") for _ in range(REGISTRATIONS.uses + 50)]

    assert statuses[: REGISTRATIONS.uses - 5] == [200] * (REGISTRATIONS.uses - 5)
    assert statuses.count(429) >= 30
    changes = await site.store.audit.list_events(AuditQuery(event=AuditEvent.CLIENT_UPDATED), before=None, limit=1000)
    assert len(changes) == statuses.count(200)
    assert [await manage(method) for method in ("GET", "PUT", "DELETE")] == [429, 429, 429]
