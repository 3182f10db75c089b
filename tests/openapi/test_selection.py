"""Which operations become tools, what those are called, who sees them, and what clients are told of them."""

from __future__ import annotations

from typing import Any

import mcp
import pytest

from gatepost import Server, any_of
from gatepost.openapi.errors import UnmatchedSelection, UnusableOperation, UnusableOperations
from gatepost.server.errors import ToolDefinitionError
from gatepost.testing import Client
from tests.openapi.described import API, URL, description, one, parameter


def operation(identifier: str | None = None, *tags: str, **more: Any) -> dict[str, Any]:
    named = {} if identifier is None else {"operationId": identifier}
    return {**named, "tags": list(tags), "responses": {}, **more}


PETS = description(
    {
        "/pets": {"get": operation("listPets", "pets"), "post": operation("addPet", "pets", "write")},
        "/pets/{id}": {
            "parameters": [parameter("id", "path")],
            "get": operation("getPet", "pets"),
            "delete": operation("deletePet", "pets", "write"),
            "put": operation("replacePet", "pets", deprecated=True),
            "head": operation("headPet"),
            "trace": operation("tracePet"),
        },
        "/admin/users": {"get": operation("listUsers", "admin"), "patch": operation(None, "admin")},
        "x-path": {"get": operation("extension")},
    }
)
ALL = ["listPets", "addPet", "getPet", "deletePet", "listUsers", "patch_admin_users"]


def names(**options: Any) -> list[str]:
    return list(Server.from_openapi(PETS, server_url=URL, **options).tools)


def test_every_operation_becomes_a_tool_but_those_that_are_deprecated() -> None:
    assert sorted(names()) == sorted(ALL)
    assert sorted(names(deprecated=True)) == sorted([*ALL, "replacePet"])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"include": {"tags": ["admin"]}}, ["listUsers", "patch_admin_users"]),
        ({"include": {"methods": ["get"]}}, ["listPets", "getPet", "listUsers"]),
        ({"include": {"methods": ["GET"], "tags": ["pets"]}}, ["listPets", "getPet"]),
        ({"include": [{"ids": ["getPet"]}, {"paths": ["/admin/*"]}]}, ["getPet", "listUsers", "patch_admin_users"]),
        ({"include": {"ids": ["*Pet"]}, "exclude": {"tags": ["write"]}}, ["getPet"]),
        ({"exclude": {"paths": ["/pets*"]}}, ["listUsers", "patch_admin_users"]),
        (
            {"include": lambda one: one.method == "GET", "exclude": lambda one: "admin" in one.tags},
            ["listPets", "getPet"],
        ),
    ],
)
def test_operations_are_chosen_by_what_they_have_in_common(options: Any, expected: list[str]) -> None:
    assert names(**options) == expected


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"exclude": {"paths": ["/amdin/*"]}}, "exclude={'paths': .* names no operation of the description"),
        ({"include": [{"tags": ["pets"]}, {"ids": ["nobody"]}]}, "include={'ids': .* names no operation"),
        ({"include": lambda _: False}, "no operation of the description becomes a tool"),
        ({"tool_scopes": {"tag:pest": ["a"], "*": []}}, "tool_scopes has 'tag:pest', which fits no operation"),
        ({"tool_scopes": {"get": ["a"], "*": []}}, "tool_scopes has 'get'; its keys are methods"),
        ({"tool_scopes": {"GET": ["a"]}}, 'tool_scopes says nothing of POST /pets; add .* "\\*": \\[\\]'),
        ({"names": {"nobody": "x"}}, "names has 'nobody', which is no operation that becomes a tool"),
    ],
)
def test_a_choice_without_effect_is_an_error_because_it_was_meant_to_have_one(options: Any, sentence: str) -> None:
    with pytest.raises(UnmatchedSelection, match=sentence):
        names(**options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"include": {"tag": ["pets"]}}, "there are tags, methods, paths and ids"),
        ({"include": {}}, "include takes a function, or such as"),
        ({"exclude": {"tags": "pets"}}, "each of them is a list"),
        ({"tool_scopes": {"GET": "read", "*": []}}, r"write 'GET': \['read'\]"),
        ({"inclued": {}}, "from_openapi has no option 'inclued'"),
    ],
)
def test_a_choice_that_cannot_be_read_says_how_it_is_written(options: Any, sentence: str) -> None:
    with pytest.raises(TypeError, match=sentence):
        names(**options)


def test_scopes_are_said_for_all_by_method_and_tag_or_by_a_function() -> None:
    def scopes(**options: Any) -> dict[str, frozenset[str]]:
        return {name: tool.scopes for name, tool in Server.from_openapi(PETS, server_url=URL, **options).tools.items()}

    assert set(scopes(tool_scopes=["api"]).values()) == {frozenset({"api"})}
    said = scopes(
        tool_scopes={"GET": ["read"], "tag:write": ["write"], "tag:admin": [any_of("admin", "root")], "*": ["x"]}
    )
    assert said["listPets"] == {"read"}
    assert said["addPet"] == {"write"}
    assert set(said["listUsers"]) == {"read", "admin", "root"}
    assert not said["listUsers"] <= frozenset({"read"})
    assert said["listUsers"] <= frozenset({"read", "root"})
    assert scopes(tool_scopes=lambda one: [one.method.lower()])["deletePet"] == {"delete"}


async def test_who_lacks_a_scope_finds_no_tool_and_no_call_goes_out() -> None:
    api = API()
    server = api.server(PETS, tool_scopes={"GET": ["read"], "*": ["write"]}, scopes={"read": "Read", "write": "Write"})
    async with Client(server, scopes=["read"]) as client:
        listed = (await client.list_tools()).tools
        assert {tool.name for tool in listed} == {"listPets", "getPet", "listUsers"}
        assert not (await client.call_tool("listPets", {})).is_error
        with pytest.raises(mcp.MCPError):
            await client.call_tool("addPet", {})
        assert [(refused.status, refused.scopes) for refused in client.refusals] == [(403, ("write",))]
    assert [asked.method for asked in api.asked] == ["GET"]
    assert server.scope_descriptions == {"read": "Read", "write": "Write"}


def test_names_fit_mcp_and_large_clients_and_are_unique() -> None:
    paths = {
        "/a": {"get": operation("repos/list-for user")},
        "/b": {"get": operation("x" * 80)},
        "/c": {"get": operation("x" * 80)},
        "/d": {"get": operation("x" * 64)},
        "/e/{id}.json": {"parameters": [parameter("id", "path")], "get": operation(None), "post": operation("")},
        "/": {"get": operation("---")},
        "/f": {"get": operation("repos list-for user")},
        "/é": {"get": operation("é")},
    }
    tools = list(Server.from_openapi(description(paths), server_url=URL).tools)
    assert len(set(tools)) == len(tools) == 9
    assert all(
        len(name) <= 64 and name.replace("_", "").replace("-", "").isalnum() and name.isascii() for name in tools
    )
    assert tools[0] == "repos_list-for_user"
    assert tools[3] == "x" * 64
    assert tools[4:6] == ["get_e_id_json", "post_e_id_json"]
    assert tools[6] == "get"
    # What an operation is called does not depend on the order of the others.
    assert list(Server.from_openapi(description(dict(reversed(paths.items()))), server_url=URL).tools)[-2].startswith(
        "x"
    )


def test_names_may_be_given_and_no_other_tool_takes_them() -> None:
    given = names(names={"listUsers": "listPets", "GET /pets": "pets"})
    assert "pets" in given
    assert "listPets" in given
    assert len(given) == len(set(given)) == 6


def test_a_name_that_was_given_twice_or_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="names gives one name to several operations"):
        names(names={"listUsers": "list", "listPets": "list"})
    with pytest.raises(ToolDefinitionError, match="'a b' is no name for a tool"):
        names(names={"listUsers": "a b"})


def test_hints_follow_the_method() -> None:
    tools = Server.from_openapi(PETS, server_url=URL, deprecated=True).tools
    hints = {name: tool.definition["annotations"] for name, tool in tools.items()}
    assert hints["getPet"] == {"readOnlyHint": True}
    assert hints["deletePet"] == {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": True}
    assert hints["replacePet"] == {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": True}
    assert hints["patch_admin_users"] == {"readOnlyHint": False, "destructiveHint": True}
    assert hints["addPet"] == {"readOnlyHint": False}
    assert not tools["getPet"].is_destructive
    assert tools["deletePet"].is_destructive


def test_models_are_told_what_the_description_says_bounded() -> None:
    def told(**more: Any) -> str | None:
        described = one({"operationId": "call", **more})
        return Server.from_openapi(described, server_url=URL, deprecated=True).tools["call"].description

    assert told() == "GET /call"
    assert told(summary="List pets") == "List pets"
    assert told(summary="List pets", description="List pets") == "List pets"
    assert told(summary="List", description="All of them.\n\n\n\nReally.") == "List\n\nAll of them.\n\nReally."
    assert told(description="x" * 5000) == "x" * 1023 + "…"
    assert told(summary="Old", deprecated=True) == "Deprecated.\n\nOld"
    assert told(description="a\U000e0041\u202eb") == "ab"


def test_the_server_is_called_as_the_api_and_otherwise_where_that_is_said() -> None:
    server = Server.from_openapi(PETS, server_url=URL)
    assert (server.name, server.title, server.version) == ("pet-store", "Pet Store", "7")
    assert server.description == "Keeps pets."
    options: Any = {
        "name": "pets",
        "title": "P",
        "version": "8",
        "description": "D",
        "instructions": "I",
        "page_size": 2,
    }
    other = Server.from_openapi(PETS, server_url=URL, **options)
    assert (other.name, other.title, other.version, other.description) == ("pets", "P", "8", "D")
    assert (other.instructions, other.page_size) == ("I", 2)
    assert Server.from_openapi({"openapi": "3.0.0", "paths": PETS["paths"]}, server_url=URL).name == "openapi"

    class Mine(Server):
        """One of a user's own."""

    assert type(Mine.from_openapi(PETS, server_url=URL)) is Mine


async def test_such_a_server_takes_further_tools_and_is_included_like_any_other() -> None:
    api = API()
    pets = api.server(PETS)

    @pets.tool
    def count() -> int:
        return 3

    whole = Server("whole")
    whole.include(pets, prefix="pets")
    async with Client(whole) as client:
        assert "3" in str((await client.call_tool("pets_count", {})).content)
        assert not (await client.call_tool("pets_getPet", {"id": "1"})).is_error
        refused = await client.call_tool("pets_getPet", {})
    assert "Invalid arguments for pets_getPet: id: is required" in str(refused.content)
    assert [asked.target for asked in api.asked] == ["/pets/1"]


def test_all_operations_that_cannot_be_served_are_named_at_once_with_what_leaves_them_out() -> None:
    broken = operation("a", parameters=[parameter("x", "query", style="matrix")])
    paths = {"/a": {"get": broken}, "/b/{id}": {"get": operation("b")}, "/c": {"get": operation("c")}}
    with pytest.raises(UnusableOperations) as raised:
        Server.from_openapi(description(paths), server_url=URL)
    said = str(raised.value)
    assert said.startswith(
        "2 operations cannot become tools:\n  GET /a: the query parameter 'x' has the style 'matrix'"
    )
    assert "\n  GET /b/{id}: its path has {id}, which no parameter describes\n" in said
    exclude = eval(said.rpartition("exclude=")[2])  # noqa: S307 - what people would paste
    assert list(Server.from_openapi(description(paths), server_url=URL, exclude=exclude).tools) == ["c"]


@pytest.mark.parametrize(
    ("operation_", "problem"),
    [
        ({"parameters": {}}, "its parameters are no array"),
        ({"parameters": [[]]}, "a parameter is no object"),
        ({"parameters": [{"name": "x", "in": "body"}]}, "the parameter 'x' is not valid, in: "),
        ({"parameters": [{"in": "query"}]}, "the parameter None is not valid, name: "),
        ({"parameters": [parameter("x", "path", style="form")]}, "the path parameter 'x' has the style 'form'"),
        ({"parameters": [parameter("a b", "header")]}, "has a name that cannot be sent"),
        ({"parameters": [{"name": "x", "in": "query", "content": {}}]}, "has a content of one media type"),
        ({"requestBody": {"content": {}}}, "its request body has no content"),
        ({"requestBody": {"content": {"a/b\r\nX: y": {}}}}, "for a media type"),
        ({"requestBody": {"required": "x", "content": {"a/b": {}}}}, "its request body is not valid"),
    ],
)
def test_an_operation_that_cannot_be_sent_as_described_is_named(operation_: Any, problem: str) -> None:
    parameters = operation_.get("parameters")
    own = [parameter("x", "path")] if isinstance(parameters, list | None) else []
    path_item = {"parameters": own, "get": {"operationId": "call", "responses": {}, **operation_}}
    with pytest.raises(UnusableOperation, match=f"^GET /call/{{x}}: .*{problem}"):
        Server.from_openapi(description({"/call/{x}": path_item}), server_url=URL)
