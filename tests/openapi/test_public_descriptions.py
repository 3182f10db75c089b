"""Descriptions of public APIs, of real size (descriptions/README.md): each operation is a tool that clients take."""

from __future__ import annotations

import itertools
import json
import lzma
import re
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no types
import jsonschema_rs
import pytest
import referencing.jsonschema

from gatepost import Server
from gatepost.openapi.description import METHODS
from gatepost.openapi.tools import OperationTool
from gatepost.openapi.yaml_text import load_yaml
from gatepost.server.errors import InvalidArguments
from gatepost.testing import Client
from tests.openapi.described import API

FOLDER = Path(__file__).parent / "descriptions"
SERVERS = {
    "github.json": ["https://api.github.com", "https://uploads.github.com"],
    "discord.json": ["https://discord.com"],
    "openai.yaml": ["https://api.openai.com/v1"],
}
COUNTS = {"github.json": 1223, "discord.json": 242, "openai.yaml": 288}
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_READ: dict[str, tuple[Server, Any]] = {}


@pytest.fixture(params=SERVERS)
def public(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Server, Any]:
    """The name of a description, the server of it, and what it holds."""
    name = request.param
    if name not in _READ:
        path = tmp_path_factory.mktemp("description") / name
        path.write_bytes(lzma.decompress((FOLDER / f"{name}.xz").read_bytes()))
        text = path.read_text(encoding="utf-8")
        server = Server.from_openapi(
            path, server_url=SERVERS[name], deprecated=True, tool_scopes={"GET": ["r"], "*": ["w"]}
        )
        _READ[name] = server, json.loads(text) if name.endswith(".json") else load_yaml(text)
    return name, *_READ[name]


def test_every_operation_becomes_a_tool(public: tuple[str, Server, Any]) -> None:
    name, server, contents = public
    described = {
        (method.upper(), path) for path, item in contents["paths"].items() for method in item if method in METHODS
    }
    tools = [tool for tool in server.tools.values() if isinstance(tool, OperationTool)]
    assert len(described) == len(tools) == COUNTS[name]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", tool.name) for tool in tools)


def test_every_schema_is_one_of_2020_12_and_refers_to_nothing_else(public: tuple[str, Server, Any]) -> None:
    """Some of them by another implementation than the one that checks arguments, which takes half a minute for all."""
    _, server, _ = public
    for number, tool in enumerate(server.tools.values()):
        for schema in (tool.input_schema, tool.output_schema):
            if schema is None:
                continue
            assert schema["type"] == "object", tool.name
            assert jsonschema_rs.meta.is_valid({**schema, "$schema": DIALECT}), tool.name
            if number % 40 == 0:
                jsonschema.Draft202012Validator.check_schema(schema)
            assert _references(schema) <= {f"#/$defs/{name}" for name in schema.get("$defs", {})}, tool.name
        assert all(re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) for name in tool.input_schema["properties"]), tool.name
        assert len(tool.description or "") <= 1024


def _references(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        own = {schema["$ref"]} if isinstance(schema.get("$ref"), str) else set()
        return own.union(*map(_references, schema.values()))
    return set().union(*map(_references, schema)) if isinstance(schema, list) else set()


def test_what_is_there_can_be_validated_by_another_implementation(public: tuple[str, Server, Any]) -> None:
    _, server, _ = public
    registry = referencing.jsonschema.EMPTY_REGISTRY
    for tool in itertools.islice(server.tools.values(), 0, None, 7):
        errors = list(jsonschema.Draft202012Validator(dict(tool.input_schema), registry=registry).iter_errors({}))
        try:
            tool.check_arguments({})
        except InvalidArguments:
            assert errors, tool.name
        else:
            assert not errors, tool.name


async def test_the_official_client_lists_them_page_by_page(public: tuple[str, Server, Any]) -> None:
    name, server, _ = public
    async with Client(server, scopes=["r", "w"]) as client:
        listed: list[str] = []
        cursor: str | None = None
        while cursor is not None or not listed:
            page = await client.list_tools(cursor=cursor)
            listed += [tool.name for tool in page.tools]
            cursor = page.next_cursor
    assert listed == list(server.tools)
    assert len(listed) == COUNTS[name]


@pytest.mark.parametrize(
    ("name", "tool", "arguments", "target"),
    [
        (
            "github.json",
            "repos_get-content",
            {"owner": "octo", "repo": "hello", "path": "docs/a b.md", "ref": "main"},
            "/repos/octo/hello/contents/docs%2Fa%20b.md?ref=main",
        ),
        ("discord.json", "get_channel", {"channel_id": "1"}, "/channels/1"),
        ("openai.yaml", "listFiles", {"limit": 2, "order": "asc"}, "/files?limit=2&order=asc"),
    ],
)
async def test_a_call_goes_where_the_apis_own_documentation_says(
    name: str, tool: str, arguments: dict[str, Any], target: str
) -> None:
    api = API()
    contents = lzma.decompress((FOLDER / f"{name}.xz").read_bytes()).decode()
    described = json.loads(contents) if name.endswith(".json") else load_yaml(contents)
    paths = {path: item for path, item in described["paths"].items() if any(_is(one, tool) for one in item.values())}
    server = api.server({**described, "paths": paths}, deprecated=True)
    async with Client(server) as client:
        result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    assert api.asked[0].target == target


def _is(operation: Any, tool: str) -> bool:
    return isinstance(operation, dict) and operation.get("operationId", "").replace("/", "_") == tool


async def test_a_file_is_uploaded_as_openai_describes_it() -> None:
    api = API()
    described = load_yaml(lzma.decompress((FOLDER / "openai.yaml.xz").read_bytes()).decode())
    server = api.server(described, include={"ids": ["createFile"]})
    async with Client(server) as client:
        file = {"text": '{"a": 1}\n', "filename": "train.jsonl"}
        result = await client.call_tool("createFile", {"body": {"file": file, "purpose": "fine-tune"}})
    assert not result.is_error, result
    assert b'name="file"; filename="train.jsonl"' in api.asked[0].content
    assert b'name="purpose"' in api.asked[0].content
