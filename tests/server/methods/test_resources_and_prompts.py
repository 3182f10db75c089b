"""Resources are read and prompts are got, in every revision, and what goes wrong with it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from gatepost.protocol.errors import InternalError, InvalidParams, ProtocolError
from gatepost.protocol.versions import Revision
from gatepost.resource.principal import Principal
from gatepost.server.calls.context import Context
from gatepost.server.dispatch import ServerTarget
from gatepost.server.errors import InsufficientScope, ToolDefinitionError, ToolError
from gatepost.server.server import Server
from tests.server.feature_server import ALL, WHO, a_server, ask


async def test_reading_and_getting_need_the_scopes(principal: Principal) -> None:
    target = ServerTarget(a_server())
    for method, params, scope in (
        ("resources/read", {"uri": "notes://secret"}, "notes:read"),
        ("resources/read", {"uri": "notes://shelf/a"}, "notes:read"),
        ("prompts/get", {"name": "rewrite"}, "notes:write"),
    ):
        with pytest.raises(InsufficientScope) as caught:
            await ask(target, method, params, granted=frozenset({"other"}), principal=principal)
        assert caught.value.scopes == {scope}
    read = await ask(
        target,
        "resources/read",
        {"uri": "notes://secret"},
        granted=frozenset({"notes:read"}),
        principal=replace(principal, subject="ada"),
    )
    assert read["contents"] == [{"uri": "notes://secret", "mimeType": "text/plain", "text": "for ada"}]


@pytest.mark.parametrize("revision", ALL)
async def test_a_resource_is_read(revision: Revision) -> None:
    read = await ask(ServerTarget(a_server()), "resources/read", {"uri": "notes://today"}, revision=revision)

    contents = [{"uri": "notes://today", "mimeType": "text/markdown", "text": "hello"}]
    modern = {"resultType": "complete", "ttlMs": 60_000, "cacheScope": "private", "_meta": WHO}
    assert read == {"contents": contents, **(modern if revision.modern else {})}


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("Notes://TODAY", "hello"),
        ("notes://t%6fday", "hello"),
        ("notes://caf\u00e9", "coffee"),
        ("notes://caf%c3%a9", "coffee"),
        ("notes://shelf/my%20file", "my file"),
        ("notes://SHELF/my file", "my file"),
    ],
)
@pytest.mark.parametrize("revision", ALL)
async def test_a_resource_is_found_under_any_spelling_and_called_by_the_clients_own(
    uri: str, text: str, revision: Revision
) -> None:
    server = Server("notes")
    server.resource("notes://today")(lambda: "hello")
    server.resource("notes://caf%C3%A9", name="cafe")(lambda: "coffee")

    @server.resource("notes://shelf/{name}")
    def shelf(name: str) -> str:
        return name

    read = await ask(ServerTarget(server), "resources/read", {"uri": uri}, revision=revision)

    assert read["contents"] == [{"uri": uri, "mimeType": "text/plain", "text": text}]


async def test_one_uri_in_two_spellings_is_declared_once() -> None:
    server = Server("notes")
    server.resource("notes://today")(lambda: "hello")

    with pytest.raises(ToolDefinitionError, match="there is a resource 'notes://today' already"):
        server.resource("Notes://t%6Fday")(lambda: "hello")


async def test_a_template_is_read_with_the_values_of_the_uri() -> None:
    target = ServerTarget(a_server())

    one = await ask(target, "resources/read", {"uri": "notes://1"})
    two = await ask(target, "resources/read", {"uri": "notes://shelf/a/b"})

    assert one["contents"] == [{"uri": "notes://1", "mimeType": "text/plain", "text": "one"}]
    assert two["contents"] == [
        {"uri": "notes://shelf/a/b", "mimeType": "application/octet-stream", "blob": "YS9i"},
    ]


@pytest.mark.parametrize(
    "uri", ["notes://7", "other://x", "notes://shelf/gone", "notes://shelf/../x", "", "notes://{number}"]
)
@pytest.mark.parametrize("revision", ALL)
async def test_what_is_not_there_is_the_revisions_own_error(uri: str, revision: Revision) -> None:
    with pytest.raises(ProtocolError) as caught:
        await ask(ServerTarget(a_server()), "resources/read", {"uri": uri}, revision=revision)

    code = -32602 if revision.modern else -32002
    assert caught.value.body() == {"code": code, "message": "Resource not found", "data": {"uri": uri}}


async def test_a_uri_whose_values_do_not_fit_is_refused_before_any_code_runs() -> None:
    with pytest.raises(InvalidParams, match="number: should be a valid integer"):
        await ask(ServerTarget(a_server()), "resources/read", {"uri": "notes://x"})


@pytest.mark.parametrize("params", [{}, {"uri": 5}, {"uri": None}])
async def test_a_uri_is_a_string(params: dict[str, Any]) -> None:
    with pytest.raises(InvalidParams, match='"params.uri" must be a string'):
        await ask(ServerTarget(a_server()), "resources/read", params)


async def test_the_words_of_an_error_can_always_be_sent() -> None:
    server = Server("notes")

    @server.prompt
    def read() -> str:
        raise ToolError("ü \ud800")

    with pytest.raises(InternalError, match="ü \ufffd"):
        await ask(ServerTarget(server), "prompts/get", {"name": "read"})


@pytest.mark.parametrize("revision", ALL)
async def test_a_prompt_is_got(revision: Revision) -> None:
    params = {"name": "summarise", "arguments": {"text": "it", "language": "German"}}

    got = await ask(ServerTarget(a_server()), "prompts/get", params, revision=revision)

    messages = [{"role": "user", "content": {"type": "text", "text": "Summarise in German: it"}}]
    modern = {"resultType": "complete", "_meta": WHO} if revision.modern else {}
    assert got == {"description": "Ask for a summary.", "messages": messages, **modern}


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"name": 5},
        {"name": "unknown"},
        {"name": "summarise"},
        {"name": "summarise", "arguments": []},
        {"name": "summarise", "arguments": {"text": 5}},
        {"name": "summarise", "arguments": {"text": "it", "language": "French"}},
        {"name": "summarise", "arguments": {"text": "it", "other": "x"}},
    ],
)
@pytest.mark.parametrize("revision", ALL)
async def test_a_prompt_that_is_not_there_or_does_not_fit_is_wrong_parameters(
    params: dict[str, Any], revision: Revision
) -> None:
    with pytest.raises(InvalidParams):
        await ask(ServerTarget(a_server()), "prompts/get", params, revision=revision)


def a_failing_server(error: BaseException) -> Server:
    server = Server("failing")

    def complete(value: str) -> list[str]:
        return [fail(value)]

    @server.prompt(completions={"text": complete})
    def prompt(text: str) -> str:
        return fail(text)

    @server.resource("notes://failing")
    async def resource() -> str:
        return fail("")

    def fail(_text: str) -> str:
        raise error

    return server


FAILING = [
    ("prompts/get", {"name": "prompt", "arguments": {"text": "my secret"}}),
    ("resources/read", {"uri": "notes://failing"}),
    (
        "completion/complete",
        {"ref": {"type": "ref/prompt", "name": "prompt"}, "argument": {"name": "text", "value": "my secret"}},
    ),
]


@pytest.mark.parametrize(("method", "params"), FAILING)
@pytest.mark.parametrize("error", [ValueError("my secret"), SystemExit(1), asyncio.CancelledError()])
async def test_a_function_that_fails_is_an_incident(
    method: str, params: dict[str, Any], error: BaseException, caplog: pytest.LogCaptureFixture, principal: Principal
) -> None:
    with pytest.raises(InternalError) as caught:
        await ask(ServerTarget(a_failing_server(error)), method, params, principal=principal)

    (record,) = caplog.records
    incident = record.__dict__["incident"]
    assert caught.value.message == f"The server failed at this. Incident {incident}."
    assert record.__dict__["subject"] == "alice"
    assert "my secret" not in record.getMessage()


@pytest.mark.parametrize(("method", "params"), FAILING)
async def test_a_functions_own_words_reach_the_client(method: str, params: dict[str, Any]) -> None:
    with pytest.raises(InternalError, match="The shelf is closed."):
        await ask(ServerTarget(a_failing_server(ToolError("The shelf is closed."))), method, params)


async def test_a_prompt_and_a_resource_can_ask_their_client_first() -> None:
    server = Server("asking")

    @server.prompt
    async def prompt(ctx: Context) -> str:
        return str(await ctx.elicit("Which?", {"type": "object", "properties": {"which": {"type": "string"}}}))

    @server.resource("notes://asked")
    async def resource(ctx: Context) -> str:
        try:
            await ctx.elicit("Which?", {"type": "object", "properties": {"which": {"type": "string"}}})
        except BaseException as error:
            raise ValueError from error
        return ""

    target = ServerTarget(server)

    for method, params in (("prompts/get", {"name": "prompt"}), ("resources/read", {"uri": "notes://asked"})):
        asked = await ask(target, method, params)
        assert asked["resultType"] == "input_required"
        assert "ttlMs" not in asked
    with pytest.raises(ProtocolError) as caught:
        await ask(
            target, "prompts/get", {"name": "prompt", "_meta": {"io.modelcontextprotocol/clientCapabilities": {}}}
        )
    assert caught.value.code == -32021
