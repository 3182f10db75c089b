"""What strangers register, show and name (security.md rows 21 to 23 and 25), and a call without a token (row 27)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gatepost.outbound.fetching import GuardedFetcher
from gatepost.stores.conformance.records import keep_client
from tests.attacks.installed import ORIGIN, installed
from tests.attacks.test_client_assertions import KEYED, ask, assertion
from tests.attacks.test_client_documents import Resolver
from tests.outbound.test_addresses import NOT_PUBLIC

METADATA: dict[str, Any] = {"redirect_uris": ["https://app.example/cb"]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"text"',
        b"null",
        b"{",
        b"\xff{}",
        b'{"redirect_uris": ["https://a.example"], "redirect_uris": ["https://b.example"]}',
        b'{"a":' * 1000 + b"1" + b"}" * 1000,
        b"[" * 50_000,
        json.dumps({**METADATA, "client_name": "n" * 1_000_000}).encode(),
        json.dumps({"redirect_uris": [f"https://app.example/{number}" for number in range(2000)]}).encode(),
        json.dumps({"redirect_uris": ["https://app.example/" + "p" * 3000]}).encode(),
        json.dumps({**METADATA, "grant_types": ["password"]}).encode(),
        json.dumps({**METADATA, "token_endpoint_auth_method": "private_key_jwt"}).encode(),
        json.dumps({**METADATA, "grant_types": ["refresh_token"], "response_types": ["code"]}).encode(),
    ],
)
async def test_a_body_that_is_no_sane_registration_is_refused_and_nothing_is_kept(body: bytes) -> None:
    async with installed() as gatepost:
        answer = await gatepost.http.post("/oauth/register", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in {400, 413}
        assert answer.json()["error"] in {"invalid_client_metadata", "invalid_redirect_uri", "invalid_request"}
        assert await gatepost.store.clients.list_clients() == []


@pytest.mark.parametrize("member", ["redirect_uris", "client_uri", "logo_uri", "jwks_uri"])
@pytest.mark.parametrize(
    "uri",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "java\tscript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "vbscript:x",
        "blob:https://app.example/1",
        "ms-msdt:/id",
        "http://app.example/cb",
        "https://user:secret@app.example/",
        "https://app.example/#",
        "https://app.example/\x00",
        "https://app.example/%0d%0aSet-Cookie:a",
        "https://app.example/\u202e",
        "https://app.example\\.evil.example/",
        "//app.example/cb",
        "",
    ],
)
async def test_no_link_that_runs_opens_or_hides_something_is_kept(member: str, uri: str) -> None:
    async with installed() as gatepost:
        links: dict[str, Any] = {member: [uri]} if member == "redirect_uris" else {**METADATA, member: uri}
        if member == "jwks_uri":
            links["token_endpoint_auth_method"] = "private_key_jwt"
        answer = await gatepost.http.post("/oauth/register", json=links)
        if member in {"client_uri", "logo_uri"}:
            assert answer.status_code == 201  # what is only for showing keeps nobody out, and is not kept
            assert member not in answer.json()
            (client,) = await gatepost.store.clients.list_clients()
            assert (client.client_uri, client.logo_uri) == (None, None)
        else:
            assert answer.status_code == 400
            assert await gatepost.store.clients.list_clients() == []


async def test_keys_at_an_address_that_is_not_public_are_never_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("connected")

    monkeypatch.setattr("asyncio.BaseEventLoop.create_connection", never)
    monkeypatch.setattr("socket.socket.connect", never)
    resolve = Resolver(*([address] for address in NOT_PUBLIC))
    async with installed(fetcher=GuardedFetcher(resolve=resolve)) as gatepost:
        for number in range(len(NOT_PUBLIC)):
            elsewhere = f"https://keys.example/{number}"
            await keep_client(gatepost.store, replace(KEYED, jwks=None, jwks_uri=elsewhere))
            status, error = await ask(gatepost, assertion(gatepost))
            assert (status, error) in {(401, "invalid_client"), (503, "temporarily_unavailable")}
    assert resolve.questions == [("keys.example", 443)] * len(NOT_PUBLIC)


async def test_a_call_without_a_token_is_told_where_to_begin_and_of_no_error() -> None:
    async with installed() as gatepost:
        answer = await gatepost.http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
        challenge = answer.headers["www-authenticate"]
        assert answer.status_code == 401
        assert challenge.startswith("Bearer ")
        assert f'resource_metadata="{ORIGIN}/.well-known/oauth-protected-resource/mcp"' in challenge
        assert 'scope="notes:read"' in challenge
        assert "error" not in challenge
