from __future__ import annotations

import functools
from typing import Any

import mcp_types
import pytest
from pydantic import BaseModel

from gatepost.server.calls.exchange import Exchange
from gatepost.server.declared.resources import Resource
from gatepost.server.errors import InvalidResult, ResourceNotFound, ToolDefinitionError
from gatepost.server.server import Server

URI = "notes://x"


class Note(BaseModel):
    text: str


async def contents(value: Any, **options: Any) -> list[dict[str, Any]]:
    """What is read of a resource whose function returns `value`."""

    async def func() -> Any:
        return value

    read = await Resource(func, URI, **options).read(URI, {}, Exchange())
    found: list[dict[str, Any]] = read["contents"]
    return found


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", [{"uri": URI, "mimeType": "text/plain", "text": "text"}]),
        (b"\x00\xff", [{"uri": URI, "mimeType": "application/octet-stream", "blob": "AP8="}]),
        (bytearray(b"a"), [{"uri": URI, "mimeType": "application/octet-stream", "blob": "YQ=="}]),
        ({"a": 1}, [{"uri": URI, "mimeType": "application/json", "text": '{"a":1}'}]),
        (Note(text="x"), [{"uri": URI, "mimeType": "application/json", "text": '{"text":"x"}'}]),
        ([], []),
        (
            ["a", b"b"],
            [
                {"uri": URI, "mimeType": "text/plain", "text": "a"},
                {"uri": URI, "mimeType": "application/octet-stream", "blob": "Yg=="},
            ],
        ),
        (
            mcp_types.TextResourceContents(uri="notes://other", text="a"),
            [{"uri": "notes://other", "text": "a"}],
        ),
        (
            mcp_types.BlobResourceContents(uri="notes://other", blob="YQ==", mime_type="image/png"),
            [{"uri": "notes://other", "mimeType": "image/png", "blob": "YQ=="}],
        ),
    ],
)
async def test_what_is_returned_becomes_contents(value: Any, expected: list[dict[str, Any]]) -> None:
    assert await contents(value) == expected


@pytest.mark.parametrize("value", ["<p>", b"<p>", ["<p>"]])
async def test_the_declared_type_is_sent(value: Any) -> None:
    (found,) = await contents(value, mime_type="text/html")

    assert found["mimeType"] == "text/html"


async def test_nothing_is_no_resource() -> None:
    with pytest.raises(ResourceNotFound):
        await contents(None)


@pytest.mark.parametrize("value", [object(), {"a": b"b"}])
async def test_what_cannot_be_sent_is_refused(value: Any) -> None:
    with pytest.raises(InvalidResult):
        await contents(value)


async def test_sync_functions_partials_and_objects_are_read_too() -> None:
    class Reader:
        """Reads."""

        async def __call__(self) -> str:
            return "object"

    def func(prefix: str, part: str) -> str:
        return prefix + part

    async def coroutine() -> str:
        return "coroutine"

    def hands_out() -> Any:
        return coroutine()

    bound = Resource(functools.partial(func, prefix="a"), "notes://{part}")
    reader = Resource(Reader(), URI, name="reader")
    late = Resource(hands_out, URI)

    assert (bound.name, (await bound.read("notes://b", {"part": "b"}, Exchange()))["contents"][0]["text"]) == (
        "func",
        "ab",
    )
    assert (await reader.read(URI, {}, Exchange()))["contents"][0]["text"] == "object"
    assert (await late.read(URI, {}, Exchange()))["contents"][0]["text"] == "coroutine"
    assert reader.definition == {"uri": URI, "name": "reader", "description": "Reads."}
    with pytest.raises(ToolDefinitionError, match="no name of its own"):
        Resource(Reader(), URI)


def test_annotations_and_a_description_are_listed() -> None:
    annotations = {"audience": ["user"], "priority": 0.5, "lastModified": "2026-01-31T12:00:00Z"}
    resource = Resource(_none, URI, description="Mine.", annotations=annotations, size=0)

    assert resource.definition == {
        "uri": URI,
        "name": "_none",
        "description": "Mine.",
        "size": 0,
        "annotations": annotations,
    }
    assert "annotations" not in Resource(_none, URI, annotations={}).definition


@pytest.mark.parametrize(
    ("uri", "options", "message"),
    [
        ("today", {}, "is no URI"),
        ("notes://a b", {}, "is no URI"),
        ("notes://{x", {}, "is no URI"),
        ("notes://{x}", {}, "which is no parameter of it"),
        (URI, {"size": -1}, "not negative"),
        (URI, {"fresh_for": -1}, "not negative"),
        (URI, {"scopes": "x"}, "scopes takes a list"),
        (URI, {"scopes": ["a b"]}, "is no scope"),
        (URI, {"annotations": {"priority": 2}}, "annotations are not as the specification has them"),
        (URI, {"icons": [{"source": "x"}]}, "icons are not as the specification has them"),
        (URI, {"completions": {"x": ["a"]}}, "which it does not take"),
    ],
)
def test_what_cannot_be_a_resource_is_refused_with_its_reason(uri: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ToolDefinitionError, match=message):
        Resource(_none, uri, **options)


def test_a_resource_without_a_uri_is_refused_and_not_forgotten() -> None:
    server: Any = Server("notes")

    with pytest.raises(ToolDefinitionError, match=r'_none: a resource needs a URI; write @server.resource\("'):
        server.resource(_none)
    with pytest.raises(ToolDefinitionError, match=r'_none: a resource needs a URI; write @server.resource\("'):
        server.add_resource(_none)


def test_a_parameter_that_is_not_in_the_uri_is_refused() -> None:
    async def func(x: str) -> str:
        return x

    with pytest.raises(ToolDefinitionError, match="parameter 'x' is not in 'notes://x'"):
        Resource(func, URI)


def test_a_server_takes_each_uri_once_and_names_the_scopes() -> None:
    async def note(x: str) -> str:
        return x

    server = Server("notes", resources=[Resource(_none, URI, scopes=["b", "a"])], scopes={"a": "Read"})
    assert server.resource("notes://{x}", scopes=["c"])(note) is note

    with pytest.raises(ToolDefinitionError, match="there is a resource 'notes://x' already"):
        server.resource(URI)(_none)
    with pytest.raises(ToolDefinitionError, match="already"):
        server.resource("notes://{x}")(note)
    assert (list(server.resources), list(server.resource_templates)) == ([URI], ["notes://{x}"])
    assert server.scope_descriptions == {"a": "Read", "b": "b", "c": "c"}
    assert server.generation == 2


async def _none() -> None: ...


@pytest.mark.parametrize(
    ("uri", "said"),
    [("find?most=5", "'' 5"), ("find?text=sea", "'sea' 10"), ("find", "'' 10"), ("find?most=2&text=a", "'a' 2")],
)
async def test_what_a_query_leaves_out_has_its_default(uri: str, said: str) -> None:
    def find(text: str = "", most: int = 10) -> str:
        return f"{text!r} {most}"

    resource = Resource(find, "notes://find{?text,most}")
    assert resource.template is not None
    texts = resource.template.match(f"notes://{uri}")
    assert texts is not None
    (part,) = (await resource.read(f"notes://{uri}", texts, Exchange()))["contents"]
    assert part["text"] == said


def test_a_parameter_in_a_query_needs_a_default() -> None:
    def find(text: str) -> str:
        return text

    with pytest.raises(ToolDefinitionError, match="parameter 'text' needs a default"):
        Resource(find, "notes://find{?text}")
