"""`typing.TypedDict` on every Python: parameters, results, fields."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, NotRequired, Required, TypedDict, TypeVar

import pytest
import typing_extensions
from pydantic import ConfigDict, with_config

from gatepost.server.declared.prompts import Prompt
from gatepost.server.declared.tools import Tool
from gatepost.server.errors import InvalidArguments

Call = Callable[..., Awaitable[dict[str, Any]]]
T = TypeVar("T")


class Named(TypedDict):
    name: str


class Folder(Named, total=False):
    """What notes lie in."""

    pages: Annotated[int, "How many."]
    owner: Required[str]
    folders: list[Folder]


class Page(TypedDict, Generic[T]):
    content: T
    number: NotRequired[int]


@with_config(ConfigDict(extra="forbid"))
class Closed(TypedDict):
    folder: Folder


@dataclass
class Shelf:
    closed: Closed | None = None


FOLDER = {
    "type": "object",
    "title": "Folder",
    "description": "What notes lie in.",
    "properties": {
        "name": {"type": "string"},
        "pages": {"type": "integer", "description": "How many."},
        "owner": {"type": "string"},
        "folders": {"type": "array", "items": {"$ref": "#/$defs/Folder"}},
    },
    "required": ["name", "owner"],
}


def test_fields_inherited_required_and_described_are_in_the_schema_of_a_parameter_and_of_a_result() -> None:
    async def keep(folder: Folder) -> Folder:
        return folder

    definition = Tool(keep).definition

    assert definition["inputSchema"]["properties"] == {"folder": {"$ref": "#/$defs/Folder"}}
    assert definition["inputSchema"]["$defs"] == {"Folder": FOLDER}
    assert definition["outputSchema"] == {**FOLDER, "$defs": {"Folder": FOLDER}}


async def test_values_are_checked_also_where_such_a_dictionary_lies_in_another_one(call: Call) -> None:
    async def keep(folder: Folder, more: list[Closed]) -> Folder:
        return {**folder, "pages": len(more)}

    inner: dict[str, Any] = {"name": "b", "owner": "me"}
    folder = {"name": "a", "owner": "me", "folders": [inner]}
    result = await call(keep, {"folder": folder, "more": [{"folder": inner}]})

    assert result["structuredContent"] == {**folder, "pages": 1}
    with pytest.raises(InvalidArguments) as raised:
        await call(keep, {"folder": {"name": 1, "folders": [{"name": "b"}]}, "more": [{"folder": inner, "x": 1}]})
    assert {problem.location for problem in raised.value.problems} == {
        "folder.name",
        "folder.owner",
        "folder.folders[0].owner",
        "more[0].x",
    }


async def test_one_is_found_in_the_fields_of_a_dataclass(call: Call) -> None:
    async def count(shelf: Shelf) -> int:
        return 0 if shelf.closed is None else len(shelf.closed["folder"]["name"])

    given = {"shelf": {"closed": {"folder": {"name": "abc", "owner": "me"}}}}

    assert (await call(count, given))["structuredContent"] == 3


async def test_a_generic_one_is_described_by_what_stands_for_its_variable(call: Call) -> None:
    async def keep(number: Page[int], text: Page[str]) -> Page[int]:
        return {"content": number["content"] + len(text["content"])}

    definitions = Tool(keep).definition["inputSchema"]["$defs"].values()

    assert [one["properties"]["content"] for one in definitions] == [{"type": "integer"}, {"type": "string"}]
    assert [one["required"] for one in definitions] == [["content"], ["content"]]
    assert (await call(keep, {"number": {"content": 1}, "text": {"content": "ab"}}))["structuredContent"] == {
        "content": 3
    }


def test_the_fields_of_one_are_the_arguments_of_a_prompt() -> None:
    def review(named: Named) -> str:
        return named["name"]

    assert Prompt(review).definition["arguments"] == [{"name": "name", "required": True}]


def test_that_of_typing_extensions_is_described_alike() -> None:
    class Size(TypedDict):
        width: int
        height: NotRequired[int]

    make: Any = typing_extensions.TypedDict
    kinds: list[Any] = [Size, make("Size", {"width": int, "height": NotRequired[int]})]

    def tool(kind: Any) -> Tool:
        def measure(size: Any) -> None: ...

        measure.__annotations__["size"] = kind
        return Tool(measure)

    one, other = map(tool, kinds)
    assert one.definition == other.definition
