"""Services written for a generic server for claude.ai run with their imports renamed, at the addresses they had."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.attacks.installed import CHALLENGE, ORIGIN, VERIFIER
from tests.identity.openid_issuer import Network
from tests.seeds.caller import Caller, caller_of, text_of
from tests.seeds.programs import service_for_claude
from tests.web.pages.pages_world import Form

CALLBACK = "https://claude.ai/api/mcp/auth_callback"
PASSWORD = "four words in no order"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MCP_STORAGE_URL", "memory:")
    monkeypatch.chdir(tmp_path)


async def connect(caller: Caller, pages: Mapping[str, str]) -> str:
    """Register, authorize and exchange at the short addresses; `pages` says what is typed where a form asks for it."""
    http = caller.http
    registered = await http.post("/register", json={"client_name": "Claude", "redirect_uris": [CALLBACK]})
    client_id = registered.json()["client_id"]
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "state": "of the client",
    }
    answer = await http.get(f"/authorize?{urlencode(query)}")
    for _ in range(9):
        location = answer.headers.get("location", "")
        if location.startswith(CALLBACK):
            break
        if location:
            answer = await http.get(location)
            continue
        form = Form(answer.text)
        typed = {name: value for name, value in pages.items() if name in form.fields}
        sent = {**form.fields, **(typed or {"decision": "approve"})}
        answer = await http.post(form.action or str(answer.url), data=sent, headers={"Origin": ORIGIN})
    said = parse_qs(urlsplit(answer.headers["location"]).query)
    assert said["state"] == ["of the client"]
    form_of_client = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "code": said["code"][0],
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    token: str = (await http.post("/token", data=form_of_client)).json()["access_token"]
    return token


async def test_metadata_lead_there_and_demand_s256() -> None:
    async with caller_of(service_for_claude.without_login()) as caller:
        metadata = (await caller.http.get("/.well-known/oauth-authorization-server")).json()
        assert metadata["issuer"] == ORIGIN
        assert metadata["code_challenge_methods_supported"] == ["S256"]


async def test_with_one_user_nobody_logs_in_on_ones_own_machine() -> None:
    async with caller_of(service_for_claude.without_login()) as caller:
        token = await connect(caller, {})
        assert text_of(await caller.call("my_tool", token, query="tea")) == "Result for: tea"
        assert (await caller.ask("tools/list")).status_code == 401


async def test_the_instructions_are_what_the_client_reads() -> None:
    async with caller_of(service_for_claude.without_login()) as caller:
        said = await caller.result("server/discover", await connect(caller, {}))
        assert said["instructions"] == "Answers queries. Shown on the card of the connector."


async def test_with_one_password_whoever_knows_it_gets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_PASSWORD", PASSWORD)
    async with caller_of(service_for_claude.with_one_password()) as caller:
        token = await connect(caller, {"password": PASSWORD})
        assert text_of(await caller.call("my_tool", token, query="tea")) == "Result for: tea"
        assert text_of(await caller.call("whoami", token)) == "owner"


async def test_a_provider_of_ones_own_knows_people_by_request_and_form() -> None:
    async with caller_of(service_for_claude.with_a_provider()) as caller:
        by_form = await connect(caller, {"password": "bob's four odd words"})
        assert text_of(await caller.call("whoami", by_form)) == "bob"
    async with caller_of(service_for_claude.with_a_provider()) as caller:
        caller.http.cookies.set("portal", '"ada\'s session"')
        by_cookie = await connect(caller, {})
        assert text_of(await caller.call("whoami", by_cookie)) == "ada"


async def test_open_data_of_others_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    async def all_markets(request: Request) -> JSONResponse:
        assert request.query_params["order"] == "volume"
        one: dict[str, Any] = {"question": "Will it rain?", "volume": 7, "internal": "x"}
        return JSONResponse([one] * int(request.query_params["limit"]))

    network = Network(markets_example_com=Starlette(routes=[Route("/markets", all_markets)]))
    api = httpx2.AsyncClient(transport=network, base_url="https://markets.example.com")
    monkeypatch.setattr(service_for_claude, "api", api)
    async with api, caller_of(service_for_claude.open_data()) as caller:
        token = await connect(caller, {})
        listed = await caller.call("list_markets", token, limit=2)
        assert listed["structuredContent"] == {"result": [{"question": "Will it rain?", "volume": 7}] * 2}
