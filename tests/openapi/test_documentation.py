"""The blocks of docs/openapi.md."""

from __future__ import annotations

import inspect
import lzma
import re
from pathlib import Path
from typing import Any

import pytest

from gatepost import Server
from gatepost.openapi.building import OpenAPIOptions
from gatepost.testing import Client

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "openapi.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


async def test_the_block_with_a_fastapi_app_does_what_the_page_says() -> None:
    names: dict[str, Any] = {}
    exec(compile(BLOCKS[1], "docs/openapi.md", "exec"), names)  # noqa: S102 - what people would run
    async with Client(names["server"]) as client:
        (tool,) = (await client.list_tools()).tools
        result = await client.call_tool("get_pet", {"name": "rex", "loud": True})
    assert (tool.name, tool.description) == ("get_pet", "Get Pet\n\nFind a pet by its name.")
    assert result.structured_content == {"name": "REX"}
    assert result.content[0].text == '{"name":"REX"}'  # type: ignore[union-attr]  # a text
    assert f"`{result.content[0].text}`" in PAGE  # type: ignore[union-attr]  # likewise


def test_the_block_with_githubs_description_chooses_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return lzma.decompress((Path(__file__).parent / "descriptions" / "github.json.xz").read_bytes())

    monkeypatch.setattr("gatepost.openapi.documents.fetch", fetch)
    names: dict[str, Any] = {}
    exec(compile(BLOCKS[0], "docs/openapi.md", "exec"), names)  # noqa: S102 - what people would run
    tools = names["server"].tools
    assert [url.rpartition("/")[2] for url in asked] == ["api.github.com.json"]
    assert {"repos_get", "repos_list-for-user", "issues_create", "issues_get"} <= tools.keys()
    assert "issues_delete-label" not in tools
    assert "repos_delete" not in tools
    assert tools["repos_get"].scopes == {"github:read"}
    assert tools["issues_create"].scopes == {"github:write"}


def test_the_options_of_the_page_are_there() -> None:
    call = BLOCKS[0].partition("Server.from_openapi(")[2]
    used = set(re.findall(r"^    (\w+)=", call, re.MULTILINE))
    assert used == {"server_url", "upstream", "include", "exclude", "tool_scopes", "scopes"}
    of_the_api = list(OpenAPIOptions.__annotations__)[: list(OpenAPIOptions.__annotations__).index("name")]
    assert [option for option in of_the_api if f"{option}=" not in PAGE and f"`{option}`" not in PAGE] == []
    assert "options" in inspect.signature(Server.from_openapi).parameters
