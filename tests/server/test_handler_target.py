from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette

from gatepost.protocol.errors import ApplicationError, InternalError, MethodNotFound
from gatepost.protocol.messages import Notification, Request
from gatepost.protocol.versions import REVISION_2025_06_18, REVISION_2025_11_25, REVISION_2026_07_28, Revision
from gatepost.resource.principal import Principal
from gatepost.server.calls.exchange import Exchange
from gatepost.server.handler_target import HandlerTarget
from gatepost.server.target import Result

INCIDENT = "Something went wrong on the server; its log explains it as incident abababababababab."
WHO = {"io.modelcontextprotocol/serverInfo": {"name": "notes", "version": "1.0"}}


def target_of(handler: Any) -> HandlerTarget:
    """A handler behind an endpoint, with incident ids that are always the same."""
    return HandlerTarget(
        handler, name="notes", version="1.0", instructions="Be brief.", random_bytes=lambda count: b"\xab" * count
    )


async def ask(
    handler: Any,
    method: str = "tools/list",
    params: dict[str, Any] | None = None,
    *,
    revision: Revision = REVISION_2025_11_25,
    principal: Principal | None = None,
    request_id: int | str = 1,
) -> Result:
    """The result of one request to a handler."""
    request = Request(request_id, method, params or {})
    return await target_of(handler).answer(request, revision, Exchange(principal))


def result(value: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A handler that answers every request with this result."""
    return lambda request: {"jsonrpc": "2.0", "id": request["id"], "result": value}


def error(code: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A handler that answers every request with an error of this code."""
    return lambda request: {"jsonrpc": "2.0", "id": request["id"], "error": {"code": code, "message": "own", "data": 5}}


def no_answer(_request: dict[str, Any]) -> None:
    """A handler that has no answer to anything."""


class Application:
    """An ASGI application in the shape that frameworks have."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


async def application(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application in the shape that people write."""


@pytest.mark.parametrize("app", [application, Application(), Application().__call__, Starlette(), FastAPI()])
def test_an_asgi_application_is_refused_with_what_serves_it(app: Any) -> None:
    with pytest.raises(TypeError) as refused:
        target_of(app)

    assert str(refused.value) == (
        "an ASGI application is no handler dict -> dict | None; it is served by gatepost.Protected(app, scopes=...)"
    )


def test_a_handler_without_a_signature_is_taken() -> None:
    assert isinstance(target_of(max), HandlerTarget)


async def test_the_handler_reads_the_message_and_who_calls(principal: Principal) -> None:
    seen: list[dict[str, Any]] = []

    def handler(request: dict[str, Any]) -> dict[str, Any]:
        seen.append(request)
        return {"jsonrpc": "2.0", "id": request["id"], "result": {}}

    await ask(handler, "tools/call", {"name": "x"}, principal=principal, request_id="r")
    await ask(handler, "tools/call")

    assert seen == [
        {
            "jsonrpc": "2.0",
            "id": "r",
            "method": "tools/call",
            "params": {"name": "x"},
            "subject": "alice",
            "scopes": ["notes:read", "notes:write"],
        },
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {}, "subject": "anonymous", "scopes": []},
    ]


async def test_a_sync_handler_runs_in_another_thread_and_an_async_one_here() -> None:
    threads: dict[str, int] = {}

    def sync(request: dict[str, Any]) -> dict[str, Any]:
        threads["sync"] = threading.get_ident()
        return result({})(request)

    async def inline(request: dict[str, Any]) -> dict[str, Any]:
        threads["async"] = threading.get_ident()
        return result({})(request)

    class Callable:
        async def __call__(self, request: dict[str, Any]) -> dict[str, Any]:
            threads["object"] = threading.get_ident()
            return result({})(request)

    await ask(sync)
    await ask(inline)
    await ask(Callable())
    await ask(functools.partial(inline))

    here = threading.get_ident()
    assert {name: ident == here for name, ident in threads.items()} == {"sync": False, "async": True, "object": True}


async def test_what_a_plain_function_hands_out_is_awaited() -> None:
    async def inner(request: dict[str, Any]) -> dict[str, Any]:
        return result({"tools": []})(request)

    assert await ask(lambda request: inner(request)) == {"tools": []}  # noqa: PLW0108 - the lambda is the point


@pytest.mark.parametrize("handler", [no_answer, error(-32601)])
@pytest.mark.parametrize(
    ("method", "revision", "answer"),
    [
        ("ping", REVISION_2025_11_25, {}),
        (
            "initialize",
            REVISION_2025_06_18,
            {
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "notes", "version": "1.0"},
                "instructions": "Be brief.",
            },
        ),
        (
            "server/discover",
            REVISION_2026_07_28,
            {
                "resultType": "complete",
                "supportedVersions": ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"],
                "capabilities": {"tools": {}},
                "instructions": "Be brief.",
                "ttlMs": 300_000,
                "cacheScope": "public",
                "_meta": WHO,
            },
        ),
    ],
)
async def test_the_engine_answers_what_every_server_has_to(
    handler: Any, method: str, revision: Revision, answer: dict[str, Any]
) -> None:
    assert await ask(handler, method, revision=revision) == answer


@pytest.mark.parametrize(
    ("method", "revision"), [("tools/call", REVISION_2026_07_28), ("server/discover", REVISION_2025_11_25)]
)
async def test_no_answer_to_anything_else_is_an_unknown_method(method: str, revision: Revision) -> None:
    with pytest.raises(MethodNotFound):
        await ask(no_answer, method, revision=revision)


@pytest.mark.parametrize("code", [-32601, -32602, 7])
async def test_an_error_of_the_handlers_own_is_passed_on(code: int) -> None:
    with pytest.raises(ApplicationError) as caught:
        await ask(error(code))

    assert caught.value.body() == {"code": code, "message": "own", "data": 5}


@pytest.mark.parametrize(("code", "sent"), [(-32002, -32602), (-32042, -32603), (-32050, -32603), (7, 7)])
async def test_a_code_that_the_modern_era_forbids_is_replaced_for_its_clients(code: int, sent: int) -> None:
    for revision, expected in ((REVISION_2026_07_28, sent), (REVISION_2025_11_25, code)):
        with pytest.raises(ApplicationError) as caught:
            await ask(error(code), revision=revision)
        assert caught.value.body() == {"code": expected, "message": "own", "data": 5}


async def test_its_own_initialize_is_kept_but_for_a_version_that_nobody_speaks() -> None:
    own = {"capabilities": {"prompts": {}}, "serverInfo": {"name": "own", "version": "9"}}

    for stated, agreed in (("2025-06-18", "2025-06-18"), ("2024-11-05", "2025-11-25"), (None, "2025-11-25")):
        answer = await ask(result({**own, "protocolVersion": stated}), "initialize")
        assert answer == {**own, "protocolVersion": agreed}


async def test_tools_without_a_schema_get_one_that_takes_everything() -> None:
    handler = result({"tools": [{"name": "a"}, {"name": "b", "inputSchema": {"type": "object", "x": 1}}, "odd"]})

    assert await ask(handler) == {
        "tools": [
            {"name": "a", "inputSchema": {"type": "object"}},
            {"name": "b", "inputSchema": {"type": "object", "x": 1}},
            "odd",
        ]
    }
    assert await ask(result({"tools": "none"})) == {"tools": "none"}


@pytest.mark.parametrize(
    ("method", "extra"),
    [("tools/call", {}), ("tools/list", {"ttlMs": 0, "cacheScope": "private"})],
)
async def test_a_modern_result_is_completed_and_never_public_by_default(method: str, extra: dict[str, Any]) -> None:
    answer = await ask(result({"x": 1}), method, revision=REVISION_2026_07_28)

    assert answer == {"resultType": "complete", "x": 1, "_meta": WHO, **extra}


@pytest.mark.parametrize(
    "failure", [ValueError("secret detail"), SystemExit("secret detail"), asyncio.CancelledError("secret detail")]
)
async def test_what_it_raises_becomes_an_incident_that_the_log_explains(
    failure: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(_request: dict[str, Any]) -> None:
        raise failure

    with pytest.raises(InternalError) as caught:
        await ask(handler, "tools/call")

    assert caught.value.message == INCIDENT
    [record] = caplog.records
    assert record.name == "gatepost.mcp"
    assert record.getMessage() == "incident abababababababab: the handler failed"
    assert vars(record)["incident"] == "abababababababab"
    assert vars(record)["rpc_method"] == "tools/call"
    assert record.exc_info is not None
    assert record.exc_info[1] is failure


async def test_a_method_of_a_strange_shape_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InternalError):
        await ask(lambda _request: 1 / 0, "forged\nline")

    assert vars(caplog.records[0])["rpc_method"] is None


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("text", "it is of type str, not dict"),
        ({"id": 1, "result": {}}, 'it lacks "jsonrpc": "2.0"'),
        ({"jsonrpc": "2.0", "result": {}}, 'its "id" is not that of the request'),
        ({"jsonrpc": "2.0", "id": 2, "result": {}}, 'its "id" is not that of the request'),
        ({"jsonrpc": "2.0", "id": "1", "result": {}}, 'its "id" is not that of the request'),
        ({"jsonrpc": "2.0", "id": True, "result": {}}, 'its "id" is not that of the request'),
        ({"jsonrpc": "2.0", "id": 1}, 'it must have either "result" or "error"'),
        ({"jsonrpc": "2.0", "id": 1, "result": {}, "error": {}}, 'it must have either "result" or "error"'),
        ({"jsonrpc": "2.0", "id": 1, "result": []}, 'its "result" is no dict'),
        (
            {"jsonrpc": "2.0", "id": 1, "error": {"code": "x", "message": ""}},
            'its "error" must be a dict with an int "code" and a str "message"',
        ),
        (
            {"jsonrpc": "2.0", "id": 1, "error": "x"},
            'its "error" must be a dict with an int "code" and a str "message"',
        ),
    ],
)
async def test_an_answer_that_is_none_is_the_authors_fault_and_the_log_says_which(
    answer: Any, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InternalError) as caught:
        await ask(lambda _request: answer)

    assert caught.value.message == INCIDENT
    assert [record.getMessage() for record in caplog.records] == [
        f"incident abababababababab: the handler's answer is no JSON-RPC response: {fault}"
    ]


async def test_a_notification_reaches_the_handler_and_nothing_comes_back(
    principal: Principal, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[dict[str, Any]] = []

    def handler(message: dict[str, Any]) -> None:
        seen.append(message)
        raise ValueError("no")

    notification = Notification("notifications/initialized", {})
    with caplog.at_level(logging.ERROR, "gatepost.mcp"):
        await target_of(handler).notice(notification, REVISION_2025_11_25, Exchange(principal))

    assert seen == [
        {
            "jsonrpc": "2.0",
            "method": "notifications/initialized",
            "params": {},
            "subject": "alice",
            "scopes": ["notes:read", "notes:write"],
        }
    ]
    assert [record.getMessage() for record in caplog.records] == ["incident abababababababab: the handler failed"]


async def test_nothing_is_opened_for_a_function() -> None:
    async with target_of(no_answer).lifespan() as opened:
        assert opened is None


def test_what_cannot_be_called_is_no_handler() -> None:
    with pytest.raises(TypeError, match="a handler is a function dict -> dict | None, not str"):
        target_of("handler")
