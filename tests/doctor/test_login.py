"""A login that the doctor does itself, at servers that each get one thing wrong."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gatepost.doctor.examination import Diagnosis, WalkOptions, examine
from gatepost.doctor.report import json_of, text_of
from gatepost.doctor.requester import Requester
from gatepost.doctor.visit import BrowserVisit
from tests.doctor.broken_server import (
    ORIGIN,
    URL,
    Answered,
    Asked,
    BreakingProxy,
    GoOn,
    answered,
    everywhere_public,
)
from tests.doctor.test_hostile_servers import metadata, nobody, sound_resource, sound_server

SECRETS = ("code-of-test", "access-of-test", "refresh-of-test")
STEP = "A login"
TOKENS = {"access_token": "access-of-test", "token_type": "Bearer", "refresh_token": "refresh-of-test"}


class PlayedVisit(BrowserVisit):
    """A browser that comes back with what the test says."""

    def __init__(self, **returned: str) -> None:
        self.redirect_uri = "http://127.0.0.1:50000/callback"
        self.returned = returned
        self.sent_to = ""

    async def take(self, url: str, state: str) -> Mapping[str, str]:
        self.sent_to = url
        if not self.returned:
            raise TimeoutError
        return {"state": state, "iss": ORIGIN, **self.returned}


def tokens(_asked: Asked) -> Answered:
    return answered(200, TOKENS)


async def logged_in(
    answer_tokens: Callable[[Asked], Answered] = tokens,
    *,
    visit: PlayedVisit | None = None,
    registered: Mapping[str, Any] | None = None,
    server: Mapping[str, Any] | None = None,
    revocation: int = 200,
) -> tuple[dict[str, str], list[Asked], Diagnosis]:
    """The findings about the login, what the server was asked, and all of it."""
    endpoints = {"revocation_endpoint": f"{ORIGIN}/revoke", "authorization_response_iss_parameter_supported": True}
    everything = metadata(sound_resource(), sound_server(**{**endpoints, **(server or {})}))

    async def fault(asked: Asked, _go_on: GoOn) -> Answered:
        if asked.path == "/token":
            return answer_tokens(asked)
        if asked.path == "/revoke":
            return answered(revocation, {})
        answer = everything(asked)
        return answer.saying(**(registered or {})) if asked.path == "/register" else answer

    transport = BreakingProxy(nobody, fault)
    played = visit or PlayedVisit(code="code-of-test")
    async with Requester(URL, transport=transport, resolve=everywhere_public) as requester:
        diagnosis = await examine(URL, requester, WalkOptions(registers=False, visit=played))
    [step] = [step for step in diagnosis.steps if step.title == STEP]
    found = {each.check.id: finding.severity.value for each in step.checked for finding in each.findings or ()}
    assert not any(secret in text_of(diagnosis) + json_of(diagnosis) for secret in SECRETS)
    return found, transport.asked, diagnosis


def refuses(**wanted: str) -> Callable[[Asked], Answered]:
    """A token endpoint that refuses a form with these members; an empty one has to be left out."""

    def answer(asked: Asked) -> Answered:
        is_it = all(asked.form.get(name, "") == value for name, value in wanted.items())
        return answered(400, {"error": "invalid_scope"}) if is_it else answered(200, {**TOKENS, "scope": "a b"})

    return answer


async def test_a_login_that_goes_well_refreshes_twice_goes_on_with_the_token_and_gives_it_back() -> None:
    found, asked, _ = await logged_in(refuses(grant_type="none"))

    forms = [(each.path, each.form) for each in asked if each.path in {"/token", "/revoke"}]
    in_login = [(path, form) for path, form in forms if form.get("client_id") == "one"]
    common = {"client_id": "one", "resource": URL}
    assert found == {}
    assert [form.get("grant_type") for _, form in in_login] == [
        "authorization_code",
        "refresh_token",
        "refresh_token",
        None,
    ]
    assert in_login[1] == ("/token", {**common, "grant_type": "refresh_token", "refresh_token": "refresh-of-test"})
    assert in_login[2][1]["scope"] == "a b"
    assert in_login[3] == ("/revoke", {**common, "token": "refresh-of-test", "token_type_hint": "refresh_token"})
    assert [each.headers["authorization"] for each in asked if "authorization" in each.headers][:1] == [
        "Bearer access-of-test"
    ]


FAULTS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "the browser does not come back": ({"visit": PlayedVisit()}, {"login-comes-back": "fails"}),
    "it comes back with an error": ({"visit": PlayedVisit(error="access_denied")}, {"login-comes-back": "fails"}),
    "nobody can register": ({"registered": {"client_id": None}}, {"login-comes-back": "fails"}),
    "another issuer": ({"visit": PlayedVisit(code="code-of-test", iss="https://x")}, {"login-iss": "fails"}),
    "the code is refused": ({"answer_tokens": refuses(code="code-of-test")}, {"code-exchanged": "fails"}),
    "a token of another type": (
        {"answer_tokens": lambda _: answered(200, {**TOKENS, "token_type": "DPoP"})},
        {"code-exchanged": "fails"},
    ),
    "no refresh token": (
        {"answer_tokens": lambda _: answered(200, {"access_token": "access-of-test", "token_type": "bearer"})},
        {"refresh-token-given": "degraded"},
    ),
    "refresh needs scope": (
        {"answer_tokens": refuses(grant_type="refresh_token", scope="")},
        {"refresh-without-scope": "fails"},
    ),
    "refresh takes no scope": (
        {"answer_tokens": refuses(grant_type="refresh_token", scope="a b")},
        {"refresh-with-scope": "fails"},
    ),
    "revocation needs a secret": ({"revocation": 401}, {"revocation": "degraded"}),
    "a page that is none": (
        {"server": {"authorization_endpoint": "file:///etc/passwd"}},
        {"login-comes-back": "fails"},
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_of_a_login_is_named_and_no_other(fault: str) -> None:
    given, expected = FAULTS[fault]

    found, _, _ = await logged_in(**given)

    assert found == expected


async def test_a_browser_is_sent_nowhere_but_to_a_page_of_the_web() -> None:
    visit = PlayedVisit(code="code-of-test")

    await logged_in(visit=visit, server={"authorization_endpoint": "file:///etc/passwd"})

    assert visit.sent_to == ""


@pytest.mark.parametrize("method", ["client_secret_post", "client_secret_basic"])
async def test_a_secret_that_the_server_gave_is_used_as_it_said(method: str) -> None:
    registered = {"client_secret": "s%", "token_endpoint_auth_method": method}

    found, asked, _ = await logged_in(registered=registered)

    [exchange] = [each for each in asked if each.path == "/token" and "code" in each.form]
    expected = {"client_secret_post": "", "client_secret_basic": "Basic " + base64.b64encode(b"one:s%25").decode()}
    assert found == {}
    assert exchange.headers.get("authorization", "") == expected[method]
    assert exchange.form.get("client_secret", "") == ("s%" if method == "client_secret_post" else "")


async def knock(redirect_uri: str, target: str) -> str:
    parts = urlsplit(redirect_uri)
    reader, writer = await asyncio.open_connection("127.0.0.1", parts.port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer.decode().partition("\r\n")[0]


async def test_a_browser_that_comes_back_is_taken_by_its_state_and_nobody_else_is() -> None:
    opened: list[str] = []

    async def open_browser(url: str) -> None:
        opened.append(url)
        assert await knock(visit.redirect_uri, "/favicon.ico") == "HTTP/1.1 404 Not Found"
        assert await knock(visit.redirect_uri, "/callback?code=theirs&state=guessed") == "HTTP/1.1 404 Not Found"
        assert await knock(visit.redirect_uri, "nonsense") == "HTTP/1.1 404 Not Found"
        assert await knock(visit.redirect_uri, "/callback?code=ours&state=s") == "HTTP/1.1 200 OK"
        assert await knock(visit.redirect_uri, "/callback?code=again&state=s") == "HTTP/1.1 200 OK"

    async with BrowserVisit(open_browser) as visit:
        returned = await visit.take("https://mcp.example.com/authorize", "s")

    assert opened == ["https://mcp.example.com/authorize"]
    assert returned == {"code": "ours", "state": "s"}


async def test_a_browser_that_does_not_come_back_is_waited_for_no_longer_than_said() -> None:
    async def open_browser(_url: str) -> None:
        pass

    async with BrowserVisit(open_browser, seconds=0.01) as visit:
        with pytest.raises(TimeoutError):
            await visit.take("https://mcp.example.com/authorize", "s")


def test_the_request_to_authorize_is_that_of_clients() -> None:
    visit = PlayedVisit(code="code-of-test")

    asyncio.run(logged_in(visit=visit))

    query = {name: values[0] for name, values in parse_qs(urlsplit(visit.sent_to).query).items()}
    assert sorted(query) == [
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "redirect_uri",
        "resource",
        "response_type",
        "state",
    ]
    assert (query["redirect_uri"], query["resource"]) == (visit.redirect_uri, URL)
