"""Resources, prompts and completion as a client sees them, in every revision."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import pytest

from gatepost.protocol.errors import InternalError, InvalidParams, MethodNotFound, ProtocolError
from gatepost.protocol.messages import Request, result_response
from gatepost.protocol.versions import (
    REVISION_2025_03_26,
    REVISION_2025_06_18,
    REVISION_2025_11_25,
    REVISION_2026_07_28,
    Revision,
)
from gatepost.resource.principal import Principal
from gatepost.server.completion import Completion
from gatepost.server.context import Context
from gatepost.server.dispatch import ServerTarget
from gatepost.server.errors import InsufficientScope, ResourceNotFound, ToolError
from gatepost.server.server import Server
from gatepost.server.subscriptions import Subscription
from gatepost.server.target import Caller

ALL = (REVISION_2026_07_28, REVISION_2025_11_25, REVISION_2025_06_18, REVISION_2025_03_26)
EARLIER = ALL[1:]
META: dict[str, Any] = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}}}
WHO = {"io.modelcontextprotocol/serverInfo": {"name": "notes", "version": "0.0.0"}}
ICON = {"src": "https://notes.example/icon.png"}


def a_server(**options: Any) -> Server:
    """A server with open and guarded resources, templates and prompts."""
    server = Server("notes", **options)

    @server.resource("notes://today", title="Today", icons=[ICON], size=5, mime_type="text/markdown", fresh_for=60)
    def today() -> str:
        """What there is today."""
        return "hello"

    @server.resource("notes://secret", scopes=["notes:read"])
    async def secret(ctx: Context) -> str:
        return f"for {ctx.user.subject}"

    @server.resource("notes://{number}", completions={"number": ["1", "2", "12"]})
    async def note(number: int) -> str | None:
        return {1: "one"}.get(number)

    @server.resource("notes://shelf/{+path}", scopes=["notes:read"], title="Shelf")
    async def shelf(path: str) -> bytes:
        if path == "gone":
            raise ResourceNotFound
        return path.encode()

    @server.prompt(title="Summary", icons=[ICON])
    def summarise(text: str, language: Literal["English", "German"] = "English") -> str:
        """Ask for a summary.

        Args:
            text: What to summarise.
            language: In which language.
        """
        return f"Summarise in {language}: {text}"

    @server.prompt(scopes=["notes:write"])
    async def rewrite() -> None: ...

    return server


async def ask(
    target: ServerTarget,
    method: str,
    params: Mapping[str, Any] | None = None,
    *,
    revision: Revision = REVISION_2026_07_28,
    granted: frozenset[str] | None = None,
    principal: Principal | None = None,
) -> dict[str, Any]:
    """The result of one request, as a client reads it."""
    request = Request(1, method, {"_meta": META, **(params or {})})
    caller = Caller(principal=principal, granted=granted, headers={})
    result = await target.answer(request, revision, caller)
    assert not isinstance(result, Subscription)
    read: dict[str, Any] = json.loads(result_response(1, result))["result"]
    return read


@pytest.mark.parametrize("revision", ALL)
async def test_a_server_declares_the_features_it_has(revision: Revision) -> None:
    method = "server/discover" if revision.modern else "initialize"
    params = {"protocolVersion": revision.version}

    async def capabilities(server: Server) -> dict[str, Any]:
        found: dict[str, Any] = (await ask(ServerTarget(server), method, params, revision=revision))["capabilities"]
        return found

    only_a_resource, only_a_template, only_a_prompt = Server("a"), Server("b"), Server("c")
    only_a_resource.resource("notes://today")(lambda: "")
    only_a_template.resource("notes://{number}", name="note")(_note)
    only_a_prompt.prompt(name="hello")(lambda: "")
    least: dict[str, Any] = {"logging": {}, "tools": {"listChanged": True}}
    resources, prompts = {"resources": {"listChanged": True, "subscribe": True}}, {"prompts": {"listChanged": True}}
    assert await capabilities(a_server()) == {**least, **resources, **prompts, "completions": {}}
    assert await capabilities(Server("none")) == least
    assert await capabilities(only_a_resource) == {**least, **resources}
    assert await capabilities(only_a_template) == {**least, **resources}
    assert await capabilities(only_a_prompt) == {**least, **prompts}


async def _note_of_text(text: str) -> str:
    return text


async def _note(number: str) -> str:
    return number


@pytest.mark.parametrize("revision", ALL)
@pytest.mark.parametrize(
    "method",
    [
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "prompts/list",
        "prompts/get",
        "completion/complete",
    ],
)
async def test_a_feature_that_the_server_has_nothing_of_is_no_method(method: str, revision: Revision) -> None:
    with pytest.raises(MethodNotFound):
        await ask(ServerTarget(Server("none")), method, {"uri": "notes://1", "name": "x"}, revision=revision)


async def test_resources_are_listed_with_all_that_was_declared() -> None:
    assert await ask(ServerTarget(a_server()), "resources/list") == {
        "resources": [
            {
                "uri": "notes://today",
                "name": "today",
                "title": "Today",
                "description": "What there is today.",
                "mimeType": "text/markdown",
                "size": 5,
                "icons": [ICON],
            },
            {"uri": "notes://secret", "name": "secret"},
        ],
        "resultType": "complete",
        "ttlMs": 300_000,
        "cacheScope": "private",
        "_meta": WHO,
    }


@pytest.mark.parametrize("revision", EARLIER)
async def test_lists_leave_out_what_a_revision_does_not_know(revision: Revision) -> None:
    target = ServerTarget(a_server())

    resource = (await ask(target, "resources/list", revision=revision))["resources"][0]
    templates = await ask(target, "resources/templates/list", revision=revision)
    prompt = (await ask(target, "prompts/list", revision=revision))["prompts"][0]

    assert ("icons" in resource, "icons" in prompt) == (revision.version >= "2025-11-25",) * 2
    assert ("title" in resource, "title" in prompt) == (revision.version >= "2025-06-18",) * 2
    assert templates.keys() == {"resourceTemplates"}


async def test_templates_are_listed_apart_from_resources() -> None:
    assert (await ask(ServerTarget(a_server()), "resources/templates/list"))["resourceTemplates"] == [
        {"uriTemplate": "notes://{number}", "name": "note"},
        {"uriTemplate": "notes://shelf/{+path}", "name": "shelf", "title": "Shelf"},
    ]


async def test_prompts_are_listed_with_their_arguments() -> None:
    listed = await ask(ServerTarget(a_server()), "prompts/list", granted=frozenset())

    assert listed["prompts"] == [
        {
            "name": "summarise",
            "title": "Summary",
            "description": "Ask for a summary.",
            "arguments": [
                {"name": "text", "description": "What to summarise.", "required": True},
                {"name": "language", "description": "In which language.", "required": False},
            ],
            "icons": [ICON],
        }
    ]
    assert listed["cacheScope"] == "private"


@pytest.mark.parametrize(
    ("method", "member", "key", "seen"),
    [
        ("resources/list", "resources", "uri", ["notes://today"]),
        ("resources/templates/list", "resourceTemplates", "uriTemplate", ["notes://{number}"]),
        ("prompts/list", "prompts", "name", ["summarise"]),
    ],
)
async def test_what_needs_a_scope_is_hidden_from_callers_without_it(
    method: str, member: str, key: str, seen: list[str]
) -> None:
    target = ServerTarget(a_server())

    assert [one[key] for one in (await ask(target, method, granted=frozenset({"other"})))[member]] == seen
    everything = await ask(target, method, granted=frozenset({"notes:read", "notes:write"}))
    assert len(everything[member]) == 2
    assert len((await ask(target, method))[member]) == 2


async def test_a_list_without_scopes_is_public() -> None:
    server = Server("notes")
    server.resource("notes://today")(lambda: "")

    for method in ("resources/list", "resources/templates/list", "tools/list"):
        assert (await ask(ServerTarget(server), method))["cacheScope"] == "public"


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
    with pytest.raises(InvalidParams, match='"uri" must be a string'):
        await ask(ServerTarget(a_server()), "resources/read", params)


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
@pytest.mark.parametrize("error", [ValueError("my secret"), SystemExit(1)])
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


@pytest.mark.parametrize("revision", ALL)
async def test_a_completion_cannot_ask_its_client(revision: Revision, caplog: pytest.LogCaptureFixture) -> None:
    async def complete(_value: str, ctx: Context) -> list[str]:
        await ctx.elicit("Which?", {"type": "object", "properties": {"which": {"type": "string"}}})
        return []

    server = Server("asking")
    server.prompt(name="prompt", completions={"text": complete})(_note_of_text)

    with pytest.raises(InternalError):
        await ask(
            ServerTarget(server),
            "completion/complete",
            reference(ref={"type": "ref/prompt", "name": "prompt"}, name="text"),
            revision=revision,
        )
    assert "MissingRequiredClientCapability" in caplog.text


def reference(value: str = "", *, ref: Any = None, name: Any = "language", **params: Any) -> dict[str, Any]:
    """The parameters of a completion."""
    ref = {"type": "ref/prompt", "name": "summarise"} if ref is None else ref
    return {"ref": ref, "argument": {"name": name, "value": value}, **params}


NUMBER = {"type": "ref/resource", "uri": "notes://{number}"}


@pytest.mark.parametrize("revision", ALL)
@pytest.mark.parametrize(
    ("params", "values"),
    [
        (reference(), ["English", "German"]),
        (reference("g"), ["German"]),
        (reference("x"), []),
        (reference("", name="text"), []),
        (reference("1", ref=NUMBER, name="number"), ["1", "12"]),
        (reference("g", context={}), ["German"]),
        (reference("g", context={"arguments": {"text": "x"}}), ["German"]),
    ],
)
async def test_arguments_of_prompts_and_templates_are_completed(
    params: dict[str, Any], values: list[str], revision: Revision
) -> None:
    completed = await ask(ServerTarget(a_server()), "completion/complete", params, revision=revision)

    modern = {"resultType": "complete", "_meta": WHO} if revision.modern else {}
    assert completed == {"completion": {"values": values, "total": len(values), "hasMore": False}, **modern}


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"ref": [], "argument": {}},
        {"ref": {"type": "ref/prompt", "name": "summarise"}},
        reference(ref={"type": "ref/other", "name": "summarise"}),
        reference(ref={"type": "ref/prompt", "name": "unknown"}),
        reference(ref={"type": "ref/prompt"}),
        reference(ref={"type": "ref/resource", "uri": "notes://{unknown}"}),
        reference(ref={"type": "ref/resource", "uri": "notes://today"}),
        reference(name="unknown"),
        reference(name=5),
        reference(context=[]),
        reference(context={"arguments": {"text": 5}}),
    ],
)
async def test_a_completion_of_what_is_not_there_is_wrong_parameters(params: dict[str, Any]) -> None:
    with pytest.raises(InvalidParams):
        await ask(ServerTarget(a_server()), "completion/complete", params)


async def test_what_is_hidden_is_not_completed_either() -> None:
    params = reference(ref={"type": "ref/resource", "uri": "notes://shelf/{+path}"}, name="path")

    with pytest.raises(InsufficientScope):
        await ask(ServerTarget(a_server()), "completion/complete", params, granted=frozenset())


async def test_a_completing_function_sees_the_other_arguments_and_the_caller(principal: Principal) -> None:
    server = Server("notes")

    async def numbers(value: str, arguments: dict[str, str], ctx: Context) -> Completion:
        return Completion([f"{value}-{arguments['author']}-{ctx.user.subject}"], total=7, has_more=True)

    @server.resource("notes://{author}/{number}", completions={"number": numbers})
    async def note(author: str, number: str) -> str:
        return author + number

    params = reference(
        "1",
        ref={"type": "ref/resource", "uri": "notes://{author}/{number}"},
        name="number",
        context={"arguments": {"author": "ada"}},
    )
    completed = await ask(ServerTarget(server), "completion/complete", params, principal=principal)

    assert completed["completion"] == {"values": ["1-ada-alice"], "total": 7, "hasMore": True}
