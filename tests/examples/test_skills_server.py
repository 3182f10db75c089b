"""The example with a skill: what a host does with it, by the official client's own requests."""

from __future__ import annotations

from base64 import b64decode
from hashlib import sha256
from typing import Any

import pytest
from mcp import MCPError
from mcp_types import Request, RequestParams, Result, TextResourceContents
from pydantic import ConfigDict

from examples.skills_server import server
from gatepost.testing import Client

MAIN = "skill://release-notes/SKILL.md"


class Params(RequestParams):
    """The parameters of any request."""

    model_config = ConfigDict(extra="allow")


class Answer(Result):
    """Any result."""

    model_config = ConfigDict(extra="allow")


async def ask(client: Client, method: str, **params: Any) -> dict[str, Any]:
    """Send a request that the official client has no method for."""
    request = Request[Params, str](method=method, params=Params.model_validate(params))
    result = await client.session.send_request(request, Answer)
    return result.model_dump(by_alias=True, mode="json")


@pytest.mark.parametrize("era", ["modern", "handshake"])
async def test_every_file_that_is_listed_is_read_with_its_digest(era: Any) -> None:
    async with Client(server, era=era) as client:
        (skill,) = (await ask(client, "skills/list"))["skills"]
        assert skill == (await ask(client, "skills/get", uri=MAIN))["skill"]
        for file in skill["resources"]:
            (contents,) = (await client.read_resource(file["uri"])).contents
            raw = contents.text.encode() if isinstance(contents, TextResourceContents) else b64decode(contents.blob)
            assert (len(raw), f"sha256:{sha256(raw).hexdigest()}") == (file["size"], file["digest"])

    assert skill["frontmatter"]["metadata"] == {"version": "1.0"}
    assert len(skill["resources"]) == 4


async def test_nobody_without_the_scope_sees_it() -> None:
    async with Client(server, scopes=[]) as client:
        assert (await ask(client, "skills/list"))["skills"] == []
        with pytest.raises(MCPError):
            await ask(client, "skills/get", uri=MAIN)

    assert (client.refusals[-1].status, client.refusals[-1].scopes) == (403, ("releases:read",))


async def test_the_tool_gives_the_changes_or_says_which_releases_there_are() -> None:
    async with Client(server) as client:
        found = (await client.call_tool("changes", {"since": "v1.1"})).structured_content
        unknown = await client.call_tool("changes", {"since": "v9"})

    assert found == ["Fix the date in the footer"]
    assert unknown.is_error
