"""Any ASGI application behind the bearer guard (security.md rows 27 to 31)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from gatepost.server.calls.current_caller import get_current_sub
from gatepost.stores.contract.grants import GrantStore
from gatepost.web.resource.application import GuardedApplication, Protected
from gatepost.web.resource.bearer_guard import BearerGuard
from gatepost.web.resource.lifespan import ApplicationNotStarted, AsgiLifespan
from gatepost.web.site.client_address import ClientAddresses
from tests.web.mcp.mcp_harness import NOW, ORIGIN, READER, RESOURCE, STRANGER, Grants

METADATA = 'resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"'


async def whoami(request: Request) -> JSONResponse:
    principal = request.scope["gatepost.principal"]
    return JSONResponse(
        {
            "subject": None if principal is None else principal.subject,
            "current": get_current_sub(),
            "headers": sorted(request.headers),
            "root_path": request.scope["root_path"],
            "url": str(request.url_for("whoami")),
            "state": getattr(request.state, "opened", None),
        }
    )


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, str]]:
    yield {"opened": "by its lifespan"}


def an_application() -> Starlette:
    return Starlette(
        routes=[
            Route("/who", whoami),
            Route("/admin/users", whoami, name="admin"),
            Route("/adminer", whoami, name="x"),
        ],
        lifespan=lifespan,
    )


def guarded(grants: Grants | None = None, *, is_guarded: bool = True, **options: Any) -> GuardedApplication:
    protected = Protected(an_application(), **options)
    guard = BearerGuard(
        grants=cast("GrantStore", grants or Grants()), resource=RESOURCE, issuer=ORIGIN, now=lambda: NOW
    )
    return GuardedApplication(protected, path="/mcp", guard=guard if is_guarded else None, addresses=ClientAddresses())


async def get(app: GuardedApplication, path: str, token: str | None = READER) -> httpx2.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=ORIGIN) as client:
        return await client.get(path, headers=headers)


async def test_the_application_sees_the_principal_and_never_the_token() -> None:
    answer = await get(guarded(), "/mcp/who")

    body = answer.json()
    assert (answer.status_code, body["subject"], body["current"]) == (200, "ann", "ann")
    assert "authorization" not in body["headers"]
    assert "host" in body["headers"]


async def test_an_application_that_is_no_server_of_mcp_says_itself_what_is_kept() -> None:
    answer = await get(guarded(), "/mcp/who")
    refused = await get(guarded(), "/mcp/who", token=None)

    assert "cache-control" not in answer.headers
    assert (refused.headers["cache-control"], refused.headers["x-content-type-options"]) == ("no-store", "nosniff")


async def test_the_application_never_sees_a_key_and_both_credentials_are_refused() -> None:
    protected = Protected(an_application())
    guard = BearerGuard(
        grants=cast("GrantStore", Grants()), resource=RESOURCE, issuer=ORIGIN, now=lambda: NOW, api_key="a-fixed-key"
    )
    app = GuardedApplication(protected, path="/mcp", guard=guard, addresses=ClientAddresses())
    key, token = {"MCP-API-Key": "a-fixed-key"}, {"Authorization": f"Bearer {READER}"}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=ORIGIN) as client:
        for _ in range(2):
            body = (await client.get("/mcp/who", headers=key)).json()
            assert body["subject"] == "api-key"
            assert "mcp-api-key" not in body["headers"]
            assert (await client.get("/mcp/who", headers=token)).status_code == 200
            assert (await client.get("/mcp/who", headers={**key, **token})).status_code == 400
            assert (await client.get("/mcp/who", headers={"MCP-API-Key": "another"})).status_code == 401


async def test_the_application_finds_its_own_path_as_under_a_mount() -> None:
    body = (await get(guarded(), "/mcp/who")).json()

    assert (body["root_path"], body["url"]) == ("/mcp", f"{ORIGIN}/mcp/who")


async def test_without_a_token_the_challenge_names_the_metadata_and_no_error() -> None:
    answer = await get(guarded(), "/mcp/who", token=None)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith(f"Bearer {METADATA}")
    assert "error" not in answer.headers["www-authenticate"]
    assert answer.headers["cache-control"] == "no-store"


async def test_an_unknown_token_is_invalid() -> None:
    answer = await get(guarded(), "/mcp/who", token=READER[:-4] + "AAAA")

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


async def test_a_token_in_the_query_is_refused() -> None:
    answer = await get(guarded(), f"/mcp/who?access_token={READER}")

    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("path", "status"),
    [("/mcp/who", 200), ("/mcp/admin/users", 403), ("/mcp/adminer", 200), ("/mcp/admin", 403), ("/mcp/admin/", 403)],
)
async def test_a_path_needs_the_scopes_of_every_path_that_covers_it(path: str, status: int) -> None:
    app = guarded(scopes={"/": ["notes:read"], "/admin": ["notes:write"]})

    answer = await get(app, path)

    assert answer.status_code == status
    if status == 403:  # all that the operation needs are named
        assert 'scope="notes:read notes:write"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("root_path", ["/api", "/mcp", ""])
async def test_below_the_root_of_a_server_scopes_hold_and_the_application_finds_the_whole_path(root_path: str) -> None:
    app = guarded(scopes={"/": ["notes:read"], "/admin": ["notes:write"]})
    transport = httpx2.ASGITransport(app, root_path=root_path)
    async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        headers = {"Authorization": f"Bearer {READER}"}
        admin = await client.get("/mcp/admin/users", headers=headers)
        who = await client.get("/mcp/who", headers=headers)

    assert admin.status_code == 403
    assert (who.status_code, who.json()["root_path"]) == (200, f"{root_path}/mcp")
    assert who.json()["url"] == f"{ORIGIN}{root_path}/mcp/who"


async def test_the_scopes_of_the_root_are_needed_at_the_bare_path_too() -> None:
    answer = await get(guarded(scopes={"/": ["notes:read"]}), "/mcp", token=STRANGER)

    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/mcp//admin", "/mcp/./who", "/mcp/x/..", "/mcp/a%2Fb", "/mcp/a%5cb", "/mcp/a%5Cb"])
async def test_paths_that_routers_read_differently_are_refused(path: str) -> None:
    sent = await exchange(guarded(), path)

    assert sent[0]["status"] == 400


async def exchange(app: GuardedApplication, raw_path: str) -> list[Message]:
    """Send a path as it is; client libraries would make it canonical."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": raw_path.replace("%2F", "/").replace("%5c", "\\").replace("%5C", "\\"),
        "raw_path": raw_path.encode(),
        "query_string": b"",
        "headers": [(b"authorization", b"Bearer " + READER.encode())],
    }
    await app(scope, receive, send)
    return sent


async def test_a_store_that_is_down_is_503_and_never_401() -> None:
    grants = Grants()
    grants.is_down = True

    answer = await get(guarded(grants), "/mcp/who")

    assert answer.status_code == 503
    assert answer.headers["retry-after"]


async def test_without_a_guard_everybody_is_served_as_nobody() -> None:
    body = (await get(guarded(is_guarded=False, scopes={"/": ["notes:write"]}), "/mcp/who", token=None)).json()

    assert (body["subject"], body["current"]) == (None, "anonymous")


async def test_websockets_are_closed_before_they_open() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await guarded()({"type": "websocket", "path": "/mcp/who", "headers": []}, receive, send)

    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_a_refusal_is_logged_with_the_address(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "gatepost.web"):
        await get(guarded(), "/mcp/who", token="unknown")
        await get(guarded(), "/mcp//who")

    assert [(vars(record)["reason"], vars(record)["address"]) for record in caplog.records] == [
        ("token_unknown", "127.0.0.1"),
        ("path_ambiguous", "127.0.0.1"),
    ]


async def test_the_applications_own_lifespan_runs_and_its_state_reaches_requests() -> None:
    protected = Protected(an_application())
    app = GuardedApplication(protected, path="/mcp", guard=None, addresses=ClientAddresses())

    async with protected.lifespan():
        body = (await get(app, "/mcp/who", token=None)).json()

    assert body["state"] == "by its lifespan"


@pytest.mark.parametrize(
    ("change", "is_cut"),
    [("none", False), ("revoked", True), ("fewer scopes", True), ("store down", False), ("no token asked for", False)],
)
@pytest.mark.parametrize(
    ("content_type", "is_stream"), [(b"text/event-stream; charset=utf-8", True), (b"text/html", False)]
)
async def test_a_stream_ends_with_the_token_that_opened_it(
    change: str, content_type: bytes, *, is_cut: bool, is_stream: bool
) -> None:
    grants = Grants()
    guard = BearerGuard(
        grants=cast("GrantStore", grants), resource=RESOURCE, issuer=ORIGIN, now=lambda: NOW, cache_seconds=0
    )

    async def streaming(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Content-Type", content_type)]})
        await send({"type": "http.response.body", "body": b"1", "more_body": True})
        await send({"type": "http.response.body", "body": b"2", "more_body": True})
        if change == "revoked":
            grants.scopes.clear()
        elif change == "fewer scopes":
            grants.scopes[READER] = ("base",)
        grants.is_down = change == "store down"
        await send({"type": "http.response.body", "body": b"3", "more_body": True})
        await send({"type": "http.response.body", "body": b"4", "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    is_guarded = change != "no token asked for"
    app = GuardedApplication(
        Protected(streaming), path="/mcp", guard=guard if is_guarded else None, addresses=ClientAddresses()
    )

    assert (await get(app, "/mcp")).text == ("12" if is_cut and is_stream else "1234")


async def test_an_application_without_a_lifespan_is_served() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive, send
        assert scope["type"] == "http"

    async with AsgiLifespan(app).running():
        pass


async def test_an_application_that_cannot_start_stops_the_start_with_its_words() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(ApplicationNotStarted, match="could not start: no database"):
        async with AsgiLifespan(app).running():
            raise AssertionError


def open_database() -> None:
    raise OSError("no database")


async def test_an_application_whose_lifespan_raises_stops_the_start_with_one_line() -> None:
    @asynccontextmanager
    async def broken(_app: Starlette) -> AsyncIterator[None]:
        open_database()
        yield

    with pytest.raises(ApplicationNotStarted) as failed:
        async with AsgiLifespan(Starlette(lifespan=broken)).running():
            raise AssertionError

    line = open_database.__code__.co_firstlineno + 1
    assert str(failed.value) == (
        f"An application that is served could not start: OSError: no database ({__file__}, line {line})"
    )


@pytest.mark.parametrize(
    ("scopes", "words"),
    [
        ({"admin": ["a"]}, "'admin' is no path"),
        ({"/a/../b": ["a"]}, "'/a/../b' is no path"),
        ({"/": "a"}, "takes a list; write ['a']"),
        ({"/": ["a b"]}, "'a b' is no scope"),
    ],
)
def test_scopes_that_cannot_be_are_refused_with_what_to_write(scopes: dict[str, Any], words: str) -> None:
    with pytest.raises((ValueError, TypeError), match="scopes: ") as caught:
        Protected(an_application(), scopes=scopes)

    assert words in str(caught.value)


def test_what_is_no_application_is_refused() -> None:
    with pytest.raises(TypeError, match="a dict cannot be called"):
        Protected(cast("Any", {}))


def test_every_scope_has_words_for_the_consent_page() -> None:
    protected = Protected(an_application(), scopes={"/": ["a"], "/admin": ["b", "a"]}, descriptions={"b": "Administer"})

    assert {scope: str(words) for scope, words in protected.scope_descriptions.items()} == {
        "a": "Use “a”",
        "b": "Administer",
    }
