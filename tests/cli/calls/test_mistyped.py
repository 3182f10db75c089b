"""What was probably meant by an address at which there is no MCP endpoint."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from mcp import MCPError

from gatepost.cli.calls.mistyped import refusal_of

URL = "https://mcp.example"
NOTHING = f"There is no MCP endpoint at {URL} (404): a path is wrong or missing, such as /mcp."


async def said_where(metadata: dict[str, Any], error: MCPError | None = None) -> str:
    """Return the sentence where a server has documents at these paths, and 404 elsewhere."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        document = metadata.get(request.url.path)
        return httpx2.Response(404) if document is None else httpx2.Response(200, json=document)

    transport = httpx2.MockTransport(answer)
    return await refusal_of(error or MCPError(-32601, "Not Found"), URL, lambda _url: transport)


@pytest.mark.parametrize("path", ["", "/mcp"])
async def test_the_endpoint_is_the_one_that_the_metadata_names(path: str) -> None:
    document = {"resource": f"{URL}/x/mcp"}
    assert await said_where({f"/.well-known/oauth-protected-resource{path}": document}) == (
        f"There is no MCP endpoint at {URL} (404); the server says that {URL}/x/mcp is one."
    )


@pytest.mark.parametrize(
    "document",
    [{"resource": "https://elsewhere.example/mcp"}, {"resource": URL}, {"resource": 5}, {}, ["resource"], "x"],
)
async def test_metadata_that_names_no_other_address_of_the_server_is_left_out(document: Any) -> None:
    assert await said_where({"/.well-known/oauth-protected-resource": document}) == NOTHING


async def test_without_metadata_the_path_is_in_question() -> None:
    assert await said_where({}) == NOTHING


async def test_an_error_of_the_server_is_told_as_it_is() -> None:
    assert await said_where({}, MCPError(-32601, "Method not found")) == f"{URL} refuses (-32601): Method not found"
