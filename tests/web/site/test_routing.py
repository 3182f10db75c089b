"""Which request goes where, and what is answered when it goes nowhere."""

from __future__ import annotations

import logging
from collections.abc import Callable

import httpx2
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from gatepost.oauth.errors import InvalidGrant
from gatepost.oauth.reasons import Reason
from gatepost.web.site.api_description import Operation
from gatepost.web.site.errors import ErrorResponses, endpoint_of
from gatepost.web.site.routing import Handler, Route, RoutingTable, described


def says(words: str) -> Handler:
    async def handler(request: Request) -> Response:
        return PlainTextResponse(f"{words} at {endpoint_of(request.scope)} {dict(request.path_params)}")

    return handler


def raising(error: Exception) -> Handler:
    async def handler(_request: Request) -> Response:
        raise error

    return handler


class Odd(Exception):
    """What only a page knows."""


def page_of(_request: Request, error: Exception) -> Response | None:
    return PlainTextResponse("a page", 418) if isinstance(error, Odd) else None


REFUSAL = InvalidGrant(Reason.CODE_UNKNOWN, "Unknown.")
TABLE = RoutingTable(
    PlainTextResponse("elsewhere"),
    routes=[
        Route("GET", "/a", says("get")),
        Route("POST", "/a", says("post")),
        Route("GET", "/begins", raising(AssertionError("something began")), has_effects=True),
        Route("DELETE", "/clients/{name}", says("delete")),
        Route("GET", "/refused", raising(REFUSAL)),
        Route("GET", "/broken", raising(RuntimeError("gp_at_secret"))),
        Route("GET", "/teapot", raising(HTTPException(418))),
        Route("GET", "/page", raising(Odd()), error_response=page_of),
        Route("GET", "/page-refused", raising(REFUSAL), error_response=page_of),
    ],
    endpoints={"/mcp": PlainTextResponse("mcp"), "/mcp/": PlainTextResponse("mcp")},
    errors=ErrorResponses(random_bytes=bytes),
)


async def ask(method: str, path: str) -> httpx2.Response:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=TABLE), base_url="http://localhost") as http:
        return await http.request(method, path)


@pytest.mark.parametrize(
    ("method", "path", "text"),
    [
        ("GET", "/a", "get at /a {}"),
        ("POST", "/a", "post at /a {}"),
        ("DELETE", "/clients/ada", "delete at /clients/{name} {'name': 'ada'}"),
        ("GET", "/mcp", "mcp"),
        ("ANY", "/mcp/", "mcp"),
        ("GET", "/", "elsewhere"),
        ("GET", "/a/", "elsewhere"),
        ("GET", "/A", "elsewhere"),
        ("GET", "/mcp//", "elsewhere"),
        ("GET", "/mcp/x", "elsewhere"),
        ("GET", "/xmcp", "elsewhere"),
        ("DELETE", "/clients", "elsewhere"),
        ("DELETE", "/clients/", "elsewhere"),
        ("DELETE", "/clients/ada/x", "elsewhere"),
        ("DELETE", "/clients/ada%2Fx", "elsewhere"),
    ],
)
async def test_path_and_method_say_who_answers(method: str, path: str, text: str) -> None:
    answer = await ask(method, path)
    assert (answer.status_code, answer.text) == (200, text)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/a", "GET, HEAD, POST"),
        ("OPTIONS", "/a", "GET, HEAD, POST"),
        ("GET", "/clients/ada", "DELETE"),
    ],
)
async def test_a_method_that_a_path_does_not_take_is_405_with_those_it_takes(
    method: str, path: str, allowed: str
) -> None:
    """RFC 9110 section 15.5.6, which also lets caches keep the answer if nothing forbids it."""
    answer = await ask(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.headers["cache-control"] == "no-store"
    if method != "HEAD":
        assert answer.json()["error"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["/a", "/refused", "/page"])
async def test_head_is_answered_as_get_is_without_the_content(path: str) -> None:
    """RFC 9110 section 9.3.2; whatever the server beneath does with content."""
    with_content, head = await ask("GET", path), await ask("HEAD", path)
    assert (head.status_code, head.headers, head.content) == (with_content.status_code, with_content.headers, b"")
    assert int(head.headers["content-length"]) == len(with_content.content) > 0


async def test_head_of_what_has_effects_has_none_and_tells_no_length() -> None:
    answer = await ask("HEAD", "/begins")
    assert (answer.status_code, answer.content) == (200, b"")
    assert dict(answer.headers) == {"cache-control": "no-store", "content-type": "text/html; charset=utf-8"}


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/refused", 400, '{"error":"invalid_grant","error_description":"Unknown."}'),
        ("/teapot", 418, '{"detail":"I\'m a Teapot"}'),
        ("/page", 418, "a page"),
        ("/page-refused", 400, '{"error":"invalid_grant","error_description":"Unknown."}'),
    ],
)
async def test_an_error_is_answered_by_its_page_or_else_as_everywhere(path: str, status: int, body: str) -> None:
    answer = await ask("GET", path)
    assert (answer.status_code, answer.text) == (status, body)


async def test_what_nobody_foresaw_is_an_incident_and_quotes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    answer = await ask("GET", "/broken")
    assert (answer.status_code, answer.json()["error"]) == (500, "server_error")
    assert "incident 0000000000000000 at /broken" in caplog.text
    assert "secret" not in caplog.text + answer.text


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
async def test_what_is_not_http_is_served_elsewhere(kind: str) -> None:
    seen = []

    async def elsewhere(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - the ASGI signature
        seen.append(scope["type"])

    async def nothing(*_: object) -> None:  # pragma: no cover - never called
        raise AssertionError

    endpoints = {"/mcp": PlainTextResponse("mcp")}
    table = RoutingTable(elsewhere, routes=[], endpoints=endpoints, errors=ErrorResponses())
    await table({"type": kind, "path": "/mcp"}, nothing, nothing)  # type: ignore[arg-type]  # neither is used
    assert seen == [kind]


def test_only_routes_with_an_operation_are_described() -> None:
    operation: Callable[[str], Operation] = lambda name: Operation(name, "Words", tag="T", responses={200: {}})  # noqa: E731 - short
    paths = described(
        [
            Route("GET", "/a", says("a"), operation("get_a")),
            Route("POST", "/a", says("a"), operation("post_a")),
            Route("GET", "/hidden", says("b")),
        ]
    )
    assert {path: {method: op["operationId"] for method, op in ops.items()} for path, ops in paths.items()} == {
        "/a": {"get": "get_a", "post": "post_a"}
    }
    assert paths["/a"]["get"] == {
        "tags": ["T"],
        "summary": "Words",
        "operationId": "get_a",
        "responses": {
            "421": paths["/a"]["get"]["responses"]["421"],
            "500": paths["/a"]["get"]["responses"]["500"],
            "200": {},
        },
    }
