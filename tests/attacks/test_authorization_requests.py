"""Hostile authorization requests through the whole server (security.md rows 1 to 8, and its redirect URIs).

What cannot be tied to a registered redirect URI gets a page of ours; everything else goes back to the client, once, and
with its state as it was sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import httpx2
import pytest

from tests.attacks.installed import CHALLENGE, ORIGIN, Installed, installed

REDIRECT_URI = "https://app.example/cb?keep=1"
GOOD = {
    "response_type": "code",
    "redirect_uri": REDIRECT_URI,
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "state": "st/a te&<%2F",
}
Pairs = Sequence[tuple[str, str]]


async def register(gatepost: Installed, *redirect_uris: str, **metadata: Any) -> str:
    answer = await gatepost.http.post("/oauth/register", json={"redirect_uris": redirect_uris, **metadata})
    assert answer.status_code == 201, answer.text
    client_id: str = answer.json()["client_id"]
    return client_id


async def ask(gatepost: Installed, query: Pairs | str) -> httpx2.Response:
    encoded = query if isinstance(query, str) else urlencode(query)
    return await gatepost.http.get(f"/oauth/authorize?{encoded}", headers={"Accept": "text/html"})


def changed(client_id: str, /, **changes: str | None) -> Pairs:
    merged = {"client_id": client_id, **GOOD, **changes}
    return [(name, value) for name, value in merged.items() if value is not None]


def is_page_of_ours(answer: httpx2.Response) -> bool:
    """Whether it is an error page that leads nowhere."""
    html = answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.status_code == 400 and "location" not in answer.headers and "refresh" not in answer.headers and html


def sent_back(answer: httpx2.Response) -> list[tuple[str, str]]:
    """Return the parameters of an answer to the client, which went to the redirect URI and nowhere else."""
    assert answer.status_code == 303
    location = answer.headers["location"]
    assert location.startswith(REDIRECT_URI + "&"), location
    return parse_qsl(urlsplit(location).query, strict_parsing=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "client_unknown"},
        {"client_id": None},
        {"client_id": ""},
        {"client_id": "client_\x00"},
        {"redirect_uri": "https://evil.example/cb"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "https://app.example"},
    ],
)
async def test_an_unknown_client_or_redirect_uri_gets_a_page_and_no_redirect(changes: dict[str, Any]) -> None:
    async with installed() as gatepost:
        client_id = await register(gatepost, REDIRECT_URI)

        # Whatever else is wrong with the request must not turn the page into a redirect.
        for more in ({}, {"response_type": "token"}, {"code_challenge": None}, {"resource": "https://evil.example"}):
            answer = await ask(gatepost, changed(client_id, **{**more, **changes}))

            assert is_page_of_ours(answer), (answer.status_code, answer.headers)
            assert "evil.example" not in answer.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": CHALLENGE[:-1]}, "invalid_request"),
        ({"code_challenge": CHALLENGE + "="}, "invalid_request"),
        ({"code_challenge": CHALLENGE[:-1] + "/"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": "s256"}, "invalid_request"),
        ({"code_challenge_method": "S256 plain"}, "invalid_request"),
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"response_type": "id_token"}, "unsupported_response_type"),
        ({"response_type": "none"}, "unsupported_response_type"),
        ({"response_type": "CODE"}, "unsupported_response_type"),
        ({"resource": "https://evil.example/mcp"}, "invalid_target"),
        ({"resource": f"{ORIGIN}/mcp/other"}, "invalid_target"),
        ({"resource": f"{ORIGIN}/mc%70"}, "invalid_target"),
        ({"resource": f"{ORIGIN}/mcp#"}, "invalid_target"),
        ({"resource": f"{ORIGIN}/mcp?a=b"}, "invalid_target"),
        ({"resource": f"{ORIGIN}/x/../mcp"}, "invalid_target"),
        ({"resource": f"http://user@{ORIGIN.removeprefix('http://')}/mcp"}, "invalid_target"),
        ({"scope": 'notes:read "'}, "invalid_scope"),
    ],
)
async def test_what_else_is_wrong_goes_back_with_the_state_as_it_was_and_one_issuer(
    changes: dict[str, Any], error: str
) -> None:
    async with installed() as gatepost:
        client_id = await register(gatepost, REDIRECT_URI)

        answer = await ask(gatepost, changed(client_id, **changes))

        parameters = sent_back(answer)
        assert [name for name, _ in parameters] == ["keep", "error", "error_description", "state", "iss"]
        assert dict(parameters)["error"] == error
        assert dict(parameters)["state"] == GOOD["state"]
        assert dict(parameters)["iss"] == ORIGIN


@pytest.mark.parametrize("name", ["response_type", "code_challenge", "code_challenge_method", "scope", "state"])
async def test_of_a_parameter_that_is_sent_twice_neither_value_is_used(name: str) -> None:
    async with installed() as gatepost:
        client_id = await register(gatepost, REDIRECT_URI)
        good = {**GOOD, "scope": "notes:read", "resource": f"{ORIGIN}/mcp", "client_id": client_id}

        for second in (good[name], "other", ""):
            parameters = dict(sent_back(await ask(gatepost, [*good.items(), (name, second)])))

            assert parameters["error"] == "invalid_request"
            assert parameters.get("state") == (None if name == "state" else GOOD["state"])


async def test_a_resource_may_be_named_twice_and_a_foreign_one_beside_ours_is_an_invalid_target() -> None:
    async with installed() as gatepost:
        client_id = await register(gatepost, REDIRECT_URI)
        good = {**GOOD, "resource": f"{ORIGIN}/mcp", "client_id": client_id}

        for second in (f"{ORIGIN}/mcp", ""):
            answer = await ask(gatepost, [*good.items(), ("resource", second)])
            assert answer.headers["location"].startswith("/oauth/login?")
        for second in ("https://evil.example/mcp", f"{ORIGIN}/mcp/", f"{ORIGIN}/mcp https://evil.example/mcp"):
            for query in ([*good.items(), ("resource", second)], [("resource", second), *good.items()]):
                assert dict(sent_back(await ask(gatepost, query)))["error"] == "invalid_target"


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
async def test_two_clients_or_two_redirect_uris_are_none(name: str) -> None:
    async with installed() as gatepost:
        client_id = await register(gatepost, REDIRECT_URI)
        good = changed(client_id)
        (value,) = [value for known, value in good if known == name]

        for second in (value, "https://evil.example/cb", ""):
            for query in ([*good, (name, second)], [(name, second), *good]):
                assert is_page_of_ours(await ask(gatepost, query))
            # The same name in another spelling of the encoding.
            escaped = "%" + format(ord(name[0]), "02X") + name[1:]
            assert is_page_of_ours(await ask(gatepost, f"{urlencode(good)}&{escaped}={quote(second)}"))


async def test_scopes_are_dropped_or_refused_and_never_widened() -> None:
    async with installed() as gatepost:
        client_id = await register(gatepost, REDIRECT_URI)

        kept = {}
        for scope in (
            None,
            "notes:read",
            "notes:read unknown admin *",
            "notes:read notes:read",
            "openid email profile",
        ):
            answer = await ask(gatepost, changed(client_id, scope=scope))
            transaction_id = dict(parse_qsl(urlsplit(answer.headers["location"]).query))["transaction"]
            transaction = await gatepost.store.transactions.find_transaction(transaction_id, now=gatepost.clock[0])
            assert transaction is not None
            kept[scope] = transaction.scopes

        assert set(kept.values()) == {("notes:read",)}


async def test_a_request_that_another_browser_began_is_not_seen_and_not_answered() -> None:
    async with installed() as gatepost:
        client_id = await register(gatepost, REDIRECT_URI)
        mine = (await ask(gatepost, changed(client_id))).headers["location"]
        assert (await gatepost.http.get(mine)).status_code == 200
        transaction = urlsplit(mine).query
        gatepost.http.cookies.clear()

        for path in ("/oauth/login", "/oauth/consent"):
            for attempt in (gatepost.http.get, gatepost.http.post):
                answer = await attempt(f"{path}?{transaction}", headers={"Origin": ORIGIN})
                assert answer.status_code in {400, 403}
                assert "location" not in answer.headers

        kept = await gatepost.store.transactions.find_transaction(
            transaction.removeprefix("transaction="), now=gatepost.clock[0]
        )
        assert kept is not None
        assert kept.state.value == "pending"


@pytest.mark.parametrize(
    ("registered", "requested"),
    [
        ("https://app.example/cb", "https://app.example/cb/"),
        ("https://app.example/cb", "https://APP.example/cb"),
        ("https://app.example/cb", "https://app.example:443/cb"),
        ("https://app.example/cb", "https://app.example/c%62"),
        ("https://app.example/cb", "https://app.example/x/../cb"),
        ("https://app.example/cb", "https://app.example/cb?"),
        ("https://app.example/cb", "https://app.example/cb?x=1"),
        ("https://app.example/cb", "https://app.example//cb"),
        ("https://app.example/cb", "http://app.example/cb"),
        ("https://app.example/cb", "https://user@app.example/cb"),
        ("https://app.example/cb", "https://app.example.evil.example/cb"),
        ("https://app.example/cb", "https://app.example\\@evil.example/cb"),
        ("https://app.example/cb", " https://app.example/cb"),
        ("https://app.example/cb", "https://app.example/cb\n"),
        ("http://127.0.0.1:1/cb", "http://127.0.0.2:1/cb"),
        ("http://127.0.0.1:1/cb", "http://localhost:1/cb"),
        ("http://127.0.0.1:1/cb", "http://127.0.0.1:65536/cb"),
        ("http://127.0.0.1:1/cb", "http://127.0.0.1:2@evil.example/cb"),
        ("http://127.0.0.1:1/cb", "https://127.0.0.1:1/cb"),
        ("http://127.0.0.1:1/cb", "http://127.1:1/cb"),
        ("http://127.0.0.1:1/cb", "http://127.0.0.1:2/other"),
        ("com.example.app:/cb", "com.example.app://cb"),
        ("com.example.app:/cb", "COM.example.app:/cb"),
    ],
)
async def test_no_two_different_redirect_uris_meet(registered: str, requested: str) -> None:
    async with installed() as gatepost:
        client_id = await register(gatepost, registered, application_type="native")
        assert (await ask(gatepost, changed(client_id, redirect_uri=registered))).status_code == 303
        assert is_page_of_ours(await ask(gatepost, changed(client_id, redirect_uri=requested)))


@pytest.mark.parametrize("port", ["", ":2", ":65535"])
async def test_on_loopback_any_port_will_do(port: str) -> None:
    async with installed() as gatepost:
        client_id = await register(gatepost, "http://127.0.0.1:1/cb")
        answer = await ask(gatepost, changed(client_id, redirect_uri=f"http://127.0.0.1{port}/cb"))
        assert answer.headers["location"].startswith("/oauth/login?transaction=")


async def test_a_flood_of_parameters_and_a_huge_query_are_a_page() -> None:
    async with installed() as gatepost:
        client_id = await register(gatepost, REDIRECT_URI)
        for query in (
            [*changed(client_id), *((f"p{number}", "x") for number in range(500))],
            changed(client_id, state="s" * 20_000),
        ):
            answer = await ask(gatepost, query)
            assert is_page_of_ours(answer)


async def test_requests_at_once_in_one_browser_are_each_their_own() -> None:
    async with installed() as gatepost:
        client_id = await register(gatepost, REDIRECT_URI)
        answers = await asyncio.gather(*(ask(gatepost, changed(client_id, state=str(number))) for number in range(10)))
        ids = [dict(parse_qsl(urlsplit(answer.headers["location"]).query))["transaction"] for answer in answers]
        found = [await gatepost.store.transactions.find_transaction(one, now=gatepost.clock[0]) for one in ids]
        assert [one.client_state for one in found if one is not None] == [str(number) for number in range(10)]
