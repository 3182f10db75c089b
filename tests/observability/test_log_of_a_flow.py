"""What an operator reads in the log while somebody connects an app, from the first request to the last."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import pytest

from gatepost.identity.local_accounts import new_user
from gatepost.identity.static_password import StaticPasswordProvider
from gatepost.oauth.audit import AuditQuery
from tests.attacks.installed import ORIGIN, Installed, installed
from tests.attacks.test_people import CALLBACK, PASSWORD, call, redeem, register, type_password
from tests.web.pages.pages_world import Form

KNOWN = ("subject", "client_id", "address", "reason", "redirect_uri")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "gatepost")
    return caplog


def lines(log: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return message and details of each line, and forget them."""
    found = [
        {"message": record.getMessage()} | {name: vars(record)[name] for name in KNOWN if vars(record).get(name)}
        for record in log.records
    ]
    log.clear()
    return found


async def connect(gatepost: Installed) -> dict[str, Any]:
    client_id = await register(gatepost)
    right = await type_password(gatepost, PASSWORD, (await gatepost.authorize(client_id, CALLBACK)).headers["location"])
    form = Form((await gatepost.http.get(right.headers["location"])).text)
    fields = {**form.fields, "decision": "approve"}
    approved = await gatepost.http.post(form.action or "", data=fields, headers={"Origin": ORIGIN})
    return {**await redeem(gatepost, client_id, approved.headers["location"]), "client_id": client_id}


async def initialize(gatepost: Installed, tokens: dict[str, Any]) -> None:
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "app", "version": "1"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    headers = {"Authorization": f"Bearer {tokens['access_token']}", "Accept": "application/json, text/event-stream"}
    assert (await gatepost.http.post("/mcp", json=message, headers=headers)).headers["mcp-session-id"]


async def test_registration_login_consent_token_and_session_are_one_line_each(log: pytest.LogCaptureFixture) -> None:
    async with installed(provider=StaticPasswordProvider(PASSWORD)) as gatepost:
        log.clear()
        tokens = await connect(gatepost)
        await initialize(gatepost, tokens)

        client = {"client_id": tokens["client_id"]}
        here = {"address": "127.0.0.1"}
        assert lines(log) == [
            {"message": "registration", **client, **here},
            {"message": "login", "subject": "owner", **here},
            {"message": "consent", "subject": "owner", **client, **here},
            {"message": "code_redemption", "subject": "owner", **client, **here},
            {"message": "session", "subject": "owner", **client},
        ]
        assert await call(gatepost, tokens) == 200
        await gatepost.token(
            grant_type="refresh_token", client_id=tokens["client_id"], refresh_token=tokens["refresh_token"]
        )
        assert lines(log) == []


@pytest.fixture
def debug(log: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    logger = logging.getLogger("gatepost")
    before = logger.level
    log.set_level(logging.DEBUG, "gatepost")
    yield log
    logger.setLevel(before)


async def test_at_debug_every_request_is_a_line_and_no_path_of_a_stranger_is_in_it(
    debug: pytest.LogCaptureFixture,
) -> None:
    async with installed(provider=StaticPasswordProvider(PASSWORD)) as gatepost:
        debug.clear()
        tokens = await connect(gatepost)
        await call(gatepost, tokens)
        await gatepost.http.get("/a-secret-in-a-path")
        await gatepost.http.request("BREW", "/oauth/token")

        requests = [record for record in debug.records if record.name == "gatepost.requests"]
        assert [(record.getMessage(), vars(record)["status"]) for record in requests] == [
            ("POST /oauth/register", 201),
            ("GET /oauth/authorize", 303),
            ("GET /oauth/login", 200),
            ("POST /oauth/login", 303),
            ("GET /oauth/consent", 200),
            ("POST /oauth/consent", 303),
            ("POST /oauth/token", 200),
            ("POST /mcp", 200),
            ("GET (no route)", 404),
            ("(another method) /oauth/token", 405),
        ]
        assert {vars(record)["address"] for record in requests} == {"127.0.0.1"}
        assert all(vars(record)["milliseconds"] >= 0 for record in requests)
        written = "\n".join(str(vars(record)) for record in debug.records)
        assert not [text for text in (tokens["access_token"], tokens["refresh_token"], PASSWORD) if text in written]


async def test_without_debug_nothing_lies_around_the_app() -> None:
    async with installed(provider=StaticPasswordProvider(PASSWORD)) as gatepost:
        await gatepost.http.get("/health")
        app = gatepost.http._transport.app  # type: ignore[attr-defined]  # the app under test
        assert app.middleware_stack is app._bare_stack


async def test_a_refused_authorization_request_names_client_address_and_redirect_uri_without_its_query(
    log: pytest.LogCaptureFixture,
) -> None:
    async with installed(provider=StaticPasswordProvider(PASSWORD)) as gatepost:
        client_id = await register(gatepost)
        log.clear()

        page = await gatepost.authorize(client_id, "https://other.example/cb?token=secret#secret")

        assert page.status_code == 400
        assert lines(log) == [
            {
                "message": "refused at /oauth/authorize: redirect_uri_unregistered (page 400)",
                "client_id": client_id,
                "address": "127.0.0.1",
                "reason": "redirect_uri_unregistered",
                "redirect_uri": "https://other.example/cb",
            }
        ]


async def test_a_refused_token_request_names_its_address(log: pytest.LogCaptureFixture) -> None:
    async with installed(provider=StaticPasswordProvider(PASSWORD)) as gatepost:
        client_id = await register(gatepost)
        log.clear()
        await gatepost.token(grant_type="refresh_token", client_id=client_id, refresh_token="gp_rt_" + "x" * 43)
        [line] = lines(log)
        assert (line["client_id"], line["address"], line["reason"]) == (client_id, "127.0.0.1", "refresh_token_unknown")


async def test_a_refused_mcp_request_names_the_address_that_a_trusted_proxy_tells(
    log: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    public = installed(
        provider=StaticPasswordProvider(PASSWORD),
        MCP_PUBLIC_URL="https://mcp.example",
        MCP_TRUSTED_PROXIES="127.0.0.1",
        MCP_STORAGE_URL=f"sqlite:///{tmp_path}/gatepost.db",
        MCP_SEALING_KEYS=token_urlsafe(32),
    )
    async with public as gatepost:
        log.clear()
        told = {"X-Forwarded-For": "198.51.100.7"}
        unknown = {"Authorization": "Bearer gp_at_" + "x" * 43}
        await gatepost.http.post("https://mcp.example/mcp", headers={**told, **unknown})
        await gatepost.http.post("https://mcp.example/mcp", headers=told)
        assert lines(log) == [
            {"message": f"refused: {reason}", "reason": reason, "address": "198.51.100.7"}
            for reason in ("token_unknown", "token_missing")
        ]


async def test_what_is_refused_in_front_of_all_endpoints_names_its_address(log: pytest.LogCaptureFixture) -> None:
    async with installed(provider=StaticPasswordProvider(PASSWORD)) as gatepost:
        log.clear()
        await gatepost.http.get("/oauth/login", headers={"Host": "evil.example"})
        await gatepost.http.get("/oauth/login", headers={"X-Forwarded-For": "198.51.100.7"})
        assert lines(log) == [
            {"message": "refused", "reason": reason, "address": "127.0.0.1"}
            for reason in ("host_foreign", "peer_foreign")
        ]


async def test_a_failed_login_names_the_account_that_was_meant_and_nothing_that_was_typed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="gatepost.web")
    user = new_user("ada", "correct horse battery", now=1, random_bytes=bytes)
    async with installed() as gatepost:
        await gatepost.store.users.add_user(user)
        for typed in ("ADA", "somebody"):
            form = Form((await gatepost.http.get("/oauth/login")).text)
            data = {**form.fields, "username": typed, "password": "a guess of some length"}
            await gatepost.http.post(form.action or "", data=data, headers={"Origin": ORIGIN})

        events = await gatepost.store.audit.list_events(AuditQuery(event="login"), before=None, limit=9)
        assert [(event.outcome.value, event.reason, event.subject) for event in reversed(events)] == [
            ("refused", "login_failed", user.subject),
            ("refused", "login_failed", None),
        ]
        refusals = [vars(record) for record in caplog.records if record.name == "gatepost.web"]
        assert [(line["reason"], line["subject"], line["address"]) for line in refusals] == [
            ("login_failed", user.subject, "127.0.0.1"),
            ("login_failed", None, "127.0.0.1"),
        ]
        assert "somebody" not in caplog.text
