"""Who issues the tokens of a server: which addresses are asked, and which answers are not believed."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest

from gatepost.client.protection import _PARAMETER, Challenge, origin_of, protection_of, read_challenge
from gatepost.client.refusals import CallRefused, ServerAway

URL = "https://mcp.example/tools/mcp"
RESOURCE = "https://mcp.example/.well-known/oauth-protected-resource"
OPENID = "https://id.example/.well-known/openid-configuration"
SERVER = {"issuer": "https://id.example", "token_endpoint": "https://id.example/token"}


class Web:
    """What there is, by URL; a number is a status."""

    def __init__(self, **documents: Any) -> None:
        self.documents: dict[str, Any] = documents
        self.asked: list[str] = []

    def transport(self, _url: str) -> httpx2.AsyncBaseTransport:
        return httpx2.MockTransport(self._answer)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(str(request.url))
        found = self.documents.get(str(request.url), 404)
        return httpx2.Response(found) if isinstance(found, int) else httpx2.Response(200, json=found)


def web(resource_at: str, resource: str = URL, **more: Any) -> Web:
    document = {"resource": resource, "authorization_servers": ["https://id.example"], **more}
    return Web(**{resource_at: document, OPENID: SERVER})


@pytest.mark.parametrize(
    ("header", "challenge"),
    [
        (None, Challenge()),
        ("Bearer", Challenge()),
        (
            'Bearer error="invalid_token", error_description="It \\"ended\\".", scope="a b", resource_metadata="https://x.eg/r"',
            Challenge("invalid_token", 'It "ended".', ("a", "b"), "https://x.eg/r"),
        ),
        ("Bearer error=insufficient_scope, scope=a", Challenge("insufficient_scope", None, ("a",))),
    ],
)
def test_a_challenge_is_read(header: str | None, challenge: Challenge) -> None:
    assert read_challenge(header) == challenge


def test_in_a_run_of_letters_the_name_of_one_parameter_is_looked_for() -> None:
    # Whoever begins at each of them reads on to the end as often.
    beginning = _PARAMETER.pattern.partition("=")[0]
    assert [found.start() for found in re.finditer(rf"(?=({beginning}))", "a" * 50 + ", " + "b" * 50)] == [0, 52]


@pytest.mark.parametrize(
    ("at", "challenge", "asked"),
    [
        ("https://mcp.example/r", Challenge(resource_metadata="https://mcp.example/r"), []),
        (f"{RESOURCE}/tools/mcp", Challenge(), []),
        (RESOURCE, Challenge(), [f"{RESOURCE}/tools/mcp"]),
    ],
)
async def test_the_resource_is_asked_where_it_says_and_then_at_its_path_and_at_the_root(
    at: str, challenge: Challenge, asked: list[str]
) -> None:
    there = web(at, scopes_supported=["a", 5])
    found = await protection_of(URL, challenge, there.transport)
    assert (found.resource, found.issuer, found.scopes) == (URL, "https://id.example", ("a",))
    assert there.asked == [*asked, at, OPENID]
    assert found.endpoint("token_endpoint") == "https://id.example/token"
    with pytest.raises(CallRefused, match="has no registration_endpoint that can be used"):
        found.endpoint("registration_endpoint")


@pytest.mark.parametrize("resource", ["https://mcp.example", "https://mcp.example/", "https://mcp.example:443/tools"])
async def test_a_resource_above_the_url_is_taken(resource: str) -> None:
    found = await protection_of(URL, Challenge(), web(RESOURCE, resource).transport)
    assert found.resource == resource


@pytest.mark.parametrize(
    "resource",
    ["https://bank.example/tools/mcp", "http://mcp.example/tools/mcp", "https://mcp.example/tool", f"{URL}/more"],
)
async def test_metadata_about_another_resource_is_not_believed(resource: str) -> None:
    with pytest.raises(CallRefused, match="its metadata is about"):
        await protection_of(URL, Challenge(), web(RESOURCE, resource).transport)


async def test_metadata_of_another_issuer_is_not_believed() -> None:
    there = web(RESOURCE)
    there.documents[OPENID] = {**SERVER, "issuer": "https://evil.example"}
    with pytest.raises(CallRefused, match="another issuer"):
        await protection_of(URL, Challenge(), there.transport)


@pytest.mark.parametrize("servers", [[], ["http://id.example"], "https://id.example", [5]])
async def test_an_issuer_that_cannot_be_asked_is_refused(servers: Any) -> None:
    with pytest.raises(CallRefused, match="names no authorization server that can be asked"):
        await protection_of(URL, Challenge(), web(RESOURCE, authorization_servers=servers).transport)


async def test_metadata_at_an_address_in_the_clear_is_not_fetched() -> None:
    there = web(RESOURCE)
    with pytest.raises(CallRefused, match="resource_metadata"):
        await protection_of(URL, Challenge(resource_metadata="http://mcp.example/r"), there.transport)
    assert there.asked == []


async def test_a_server_that_says_nothing_of_itself_issues_its_tokens_itself() -> None:
    at = "https://mcp.example/.well-known/oauth-authorization-server"
    there = Web(**{at: {**SERVER, "issuer": "https://mcp.example"}})
    found = await protection_of(URL, Challenge(), there.transport)
    assert (found.resource, found.issuer) == (URL, "https://mcp.example")


@pytest.mark.parametrize("away", [f"{RESOURCE}/tools/mcp", OPENID])
async def test_an_outage_is_no_absence(away: str) -> None:
    there = web(RESOURCE)
    there.documents[away] = 503
    with pytest.raises(ServerAway, match="answers 503"):
        await protection_of(URL, Challenge(), there.transport)


def test_origins_are_compared_without_default_ports() -> None:
    urls = ["https://MCP.example:443/x", "http://[::1]:80/", "http://127.0.0.1:8000/mcp"]
    assert [origin_of(url) for url in urls] == ["https://mcp.example", "http://[::1]", "http://127.0.0.1:8000"]
