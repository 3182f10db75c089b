"""Where requests go, and with whose credentials."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from starlette.responses import Response

from gatepost import Context, Server
from gatepost.openapi.errors import UnconfirmedServer, UnusableOperation
from gatepost.openapi.tools import OperationTool
from gatepost.server.calls.exchange import Exchange
from gatepost.testing import Client
from tests.openapi.described import API, URL, Asked, description, one
from tests.server.calls.test_upstream_token import Kept, person


def url_of(described: Any, **options: Any) -> str:
    tool = Server.from_openapi(described, **options).tools["call"]
    assert isinstance(tool, OperationTool)
    return tool.func.form.url  # type: ignore[attr-defined, no-any-return]  # that of an operation


def test_a_server_that_nobody_confirmed_is_not_asked() -> None:
    sentence = 'the description names https://api.example as its server, .* say server_url="https://api.example"'
    with pytest.raises(UnconfirmedServer, match=sentence):
        Server.from_openapi(one({}))
    with pytest.raises(UnconfirmedServer, match="say where requests go: server_url="):
        Server.from_openapi({**one({}), "servers": [{"url": "ftp://api.example"}]})
    with pytest.raises(UnconfirmedServer, match="say where requests go: server_url="):
        Server.from_openapi({**one({}), "servers": []})


def test_the_operators_address_counts_whatever_the_description_says() -> None:
    assert url_of(one({}), server_url="http://localhost:8080/base/") == "http://localhost:8080/base"
    client = httpx2.AsyncClient(base_url="https://mine.example/v2")
    assert url_of(one({}), client=client) == "https://mine.example/v2"
    assert url_of(one({}), client=client, server_url=URL) == URL


@pytest.mark.parametrize(
    "address",
    [
        "api.example",
        "ftp://a.example",
        "https://",
        "https://u:p@a.example",
        "https://a.example/?x=1",
        "https://a.example:99999",
        "https://a b.example",
    ],
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="is no address of http or https"):
        Server.from_openapi(one({}), server_url=address)


def test_operations_at_other_servers_need_those_named_too() -> None:
    uploads = {"servers": [{"url": "https://uploads.example/v1"}]}
    with pytest.raises(UnusableOperation, match="it is at another server, https://uploads.example/v1"):
        url_of(one(uploads), server_url=URL)
    assert url_of(one(uploads), server_url=[URL, "https://uploads.example"]) == "https://uploads.example/v1"
    shared = description({"/call": {**uploads, "get": {"operationId": "call", "responses": {}}}})
    assert url_of(shared, server_url=[URL, "https://uploads.example"]) == "https://uploads.example/v1"


def test_variables_of_an_address_have_their_defaults_and_the_operators_values() -> None:
    region = {"default": "eu", "enum": ["eu", "us"]}
    servers = {
        "servers": [
            {"url": "https://{region}.example/{base}", "variables": {"region": region, "base": {"default": "v1"}}}
        ]
    }
    confirmed = ["https://eu.example", "https://us.example"]
    assert url_of(one(servers), server_url=confirmed) == "https://eu.example/v1"
    assert url_of(one(servers), server_url=confirmed, server_variables={"region": "us"}) == "https://us.example/v1"
    with pytest.raises(UnusableOperation, match="the variable 'region' of .* is one of eu, us"):
        url_of(one(servers), server_url=confirmed, server_variables={"region": "evil"})
    with pytest.raises(UnusableOperation, match="has a variable 'x' without a value"):
        url_of(one({"servers": [{"url": "https://{x}.example"}]}), server_url=confirmed)
    with pytest.raises(UnusableOperation, match="its servers are not as OpenAPI has them"):
        url_of(one({"servers": ["https://x.example"]}), server_url=confirmed)


class Loopback:
    """An HTTP server on loopback that answers each request as the test says, and keeps them."""

    def __init__(self, answer: Callable[[str], bytes]) -> None:
        self.answer = answer
        self.heads: list[str] = []
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Loopback]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            writer.write(self.answer(head))
            await writer.drain()
            writer.close()

        listening = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with listening:
            self.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
            yield self


def http(content: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + content


async def test_a_description_at_the_apis_own_origin_needs_no_address_and_is_called_without_a_client() -> None:
    described = {**one({}, path="/v1/call"), "servers": []}

    def answer(head: str) -> bytes:
        if head.startswith("GET /openapi.json "):
            return http(json.dumps(described).encode(), "Content-Type: application/json")
        return http(b'{"ok":true}', "Content-Type: application/json", "Set-Cookie: a=b; Path=/")

    async with Loopback(answer).running() as api:
        server = await asyncio.to_thread(Server.from_openapi, f"{api.url}/openapi.json", headers={"X-Api-Key": "k"})
        async with Client(server) as client:
            for _ in range(2):
                result = await client.call_tool("call", {})
                assert "ok" in str(result.content)
        # Opened anew, as where a server runs a second time.
        async with Client(server) as client:
            assert not (await client.call_tool("call", {})).is_error
    calls = [head for head in api.heads if head.startswith("GET /v1/call ")]
    assert len(calls) == 3
    assert all("x-api-key: k\r\n" in head.lower() for head in calls)
    assert not any("cookie" in head.lower() for head in calls)


async def test_a_description_names_a_relative_server_of_its_own_origin() -> None:
    described = {**one({}), "servers": [{"url": "../api/v2"}]}

    async with Loopback(lambda _: http(json.dumps(described).encode())).running() as api:
        server = await asyncio.to_thread(Server.from_openapi, f"{api.url}/docs/openapi.json")
        tool = server.tools["call"]
        assert tool.func.form.url == f"{api.url}/api/v2"  # type: ignore[attr-defined]  # that of an operation
        elsewhere = {**one({}), "servers": [{"url": "http://127.0.0.1:1/"}]}
        api.answer = lambda _: http(json.dumps(elsewhere).encode())
        with pytest.raises(UnconfirmedServer):
            await asyncio.to_thread(Server.from_openapi, f"{api.url}/openapi.json")


async def test_an_api_that_does_not_answer_is_given_up_and_says_what_may_have_happened() -> None:
    async def silent(_: httpx2.Request) -> httpx2.Response:
        await asyncio.Event().wait()
        raise AssertionError

    said = []
    for method in ("get", "post"):
        client = httpx2.AsyncClient(transport=httpx2.MockTransport(silent))
        server = Server.from_openapi(one({}, method=method), client=client, server_url=URL, timeout=0.01)
        async with Client(server) as mcp_client:
            said.append(str((await mcp_client.call_tool("call", {})).content[0].text))  # type: ignore[union-attr]  # a text
    assert said == [
        "The API did not answer within 0.01 seconds.",
        "The API did not answer within 0.01 seconds. What was asked for may have been done all the same.",
    ]


async def call_as(api: API, kept: Kept, **options: Any) -> dict[str, Any]:
    """Call as somebody whose tokens are kept."""
    server = api.server(one({}), upstream="github", **options)
    exchange = Exchange(person())

    def context(given: Exchange) -> Context:
        return Context(given, None, upstream=kept)

    async with server.run_lifespan():
        return await server.tools["call"].call({}, exchange, context)


async def test_the_persons_own_token_goes_along_and_nothing_replaces_it() -> None:
    api = API()
    result = await call_as(api, Kept({"user-1": "gho_00000001"}), headers={"authorization": "Bearer fixed", "X-A": "1"})
    assert not result["isError"]
    assert api.asked[0].headers["authorization"] == "Bearer gho_00000001"
    assert api.asked[0].headers["x-a"] == "1"


async def test_a_refused_token_is_replaced_once_and_no_more() -> None:
    kept = Kept({"user-1": "gho_00000001"})

    def answer(asked: Asked) -> Response:
        kept.tokens["user-1"] = "gho_00000002"
        return Response(asked.headers["authorization"], 401)

    api = API(answer)
    result = await call_as(api, kept)
    assert [asked.headers["authorization"] for asked in api.asked] == ["Bearer gho_00000001", "Bearer gho_00000002"]
    assert kept.asked == [("user-1", "github", None), ("user-1", "github", "gho_00000001")]
    assert result["isError"]
    assert result["content"][0]["text"] == "The API answered 401 Unauthorized: ***"


async def test_who_has_linked_no_account_is_told_where_and_nothing_is_sent() -> None:
    api = API()
    result = await call_as(api, Kept())
    assert result["isError"]
    assert "account/link/github" in result["content"][0]["text"]
    assert api.asked == []


def test_a_client_of_the_older_library_and_headers_that_cannot_be_sent_are_refused() -> None:
    with pytest.raises(TypeError, match=re.escape("client is an httpx2.AsyncClient, and not builtins.object")):
        Server.from_openapi(one({}), client=object(), server_url=URL)  # type: ignore[arg-type]  # that it is refused
    for name, value in (("X A", "s3cret"), ("X-A", "s3cret\n"), ("X-A", "s3cret€")):
        with pytest.raises(ValueError, match="whose name or value cannot be sent") as raised:
            Server.from_openapi(one({}), server_url=URL, headers={name: value})
        assert "s3cret" not in str(raised.value)


async def test_a_lifespan_of_ones_own_is_open_beside_the_connections() -> None:
    @asynccontextmanager
    async def lifespan(server: Server) -> AsyncIterator[dict[str, Any]]:
        yield {"name": server.name}

    server = API().server(one({}), lifespan=lifespan)
    async with server.run_lifespan():
        assert server.state == {"name": "pet-store"}
    with pytest.raises(RuntimeError, match="lifespan is not open"):
        await server.tools["call"].func({}, Context(Exchange(None)))
