import logging
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from gatepost.oauth.errors import InvalidClient, InvalidGrant, TemporarilyUnavailable
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.web.site.errors import (
    RETRY_AFTER,
    AnswerCutShort,
    ErrorResponses,
    install_error_handlers,
    oauth_error_response,
    scrubbed_traceback,
)
from gatepost.web.site.request_body import BodyTooLarge, BodyTooSlow, ClientDisconnected
from gatepost.wording.phrase import Words

SECRET = "gp_rt_" + "s" * 43
NO_STORE = {"cache-control": "no-store", "pragma": "no-cache", "x-content-type-options": "nosniff"}


def error_page(request: HTTPConnection, *, status: int, title: Words, message: Words, reason: Reason) -> Response:
    del request
    return HTMLResponse(f"<h1>{title}</h1><p>{message}</p>{reason.value}", status)


def app_that_raises(error: Exception, *, with_pages: bool = False) -> FastAPI:
    app = FastAPI()
    router = APIRouter()

    @router.get("/things/{name}")
    async def fail(request: Request, name: str) -> Response:
        del name
        request.state.client_id = "client_1"
        raise error

    app.include_router(router)
    errors = ErrorResponses(error_page=error_page if with_pages else None, random_bytes=lambda count: b"\xab" * count)
    install_error_handlers(app, errors)
    return app


async def get(app: FastAPI, path: str = "/things/hunter2", **headers: str) -> httpx2.Response:
    # What the app does not answer itself is raised, so that nothing can pass it by.
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=True)
    async with httpx2.AsyncClient(transport=transport, base_url="https://mcp.example.com") as http:
        return await http.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


def subset(response: httpx2.Response, names: dict[str, str]) -> dict[str, str]:
    return {name: response.headers.get(name, "") for name in names}


def fields(record: logging.LogRecord, *names: str) -> dict[str, Any]:
    return {name: getattr(record, name) for name in names}


def test_a_refusal_is_json_that_is_never_cached() -> None:
    response = oauth_error_response(InvalidGrant(Reason.CODE_UNKNOWN, "The code is unknown."))
    assert response.status_code == 400
    assert bytes(response.body) == b'{"error":"invalid_grant","error_description":"The code is unknown."}'
    assert {name: response.headers[name] for name in NO_STORE} == NO_STORE
    assert "retry-after" not in response.headers


def test_a_refusal_takes_headers_that_say_more() -> None:
    error = InvalidClient(Reason.CLIENT_AUTHENTICATION_FAILED, "Wrong.")
    assert oauth_error_response(error).status_code == 401
    response = oauth_error_response(error, headers={"WWW-Authenticate": "Basic"})
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Basic")


def test_an_unavailability_says_when_to_try_again() -> None:
    response = oauth_error_response(TemporarilyUnavailable(Reason.STORE_UNAVAILABLE, "Later."))
    assert (response.status_code, response.headers["retry-after"]) == (503, str(RETRY_AFTER))


async def test_a_refusal_is_answered_and_logged_with_its_reason_and_nothing_that_was_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "gatepost.web")
    response = await get(app_that_raises(InvalidGrant(Reason.CODE_UNKNOWN, "The code is unknown.")))
    assert (response.status_code, response.json()) == (
        400,
        {"error": "invalid_grant", "error_description": "The code is unknown."},
    )
    assert subset(response, NO_STORE) == NO_STORE
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert record.getMessage() == "refused at /things/{name}: code_unknown (invalid_grant)"
    assert fields(record, "error", "reason", "endpoint", "client_id") == {
        "error": "invalid_grant",
        "reason": "code_unknown",
        "endpoint": "/things/{name}",
        "client_id": "client_1",
    }
    assert "hunter2" not in caplog.text


async def test_a_body_that_is_too_large_is_413(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gatepost.web")
    response = await get(app_that_raises(BodyTooLarge(4096)))
    assert (response.status_code, response.json()) == (
        413,
        {"error": "invalid_request", "error_description": "The body is too large; send at most 4096 bytes."},
    )
    assert fields(caplog.records[0], "reason") == {"reason": "body_too_large"}


async def test_a_body_that_does_not_come_is_408_and_closes_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gatepost.web")
    response = await get(app_that_raises(BodyTooSlow()))
    assert (response.status_code, response.headers["connection"], response.json()) == (
        408,
        "close",
        {"error": "invalid_request", "error_description": "The body did not arrive in time; send it again, at once."},
    )
    assert fields(caplog.records[0], "reason") == {"reason": "body_too_slow"}


async def test_a_client_that_went_away_is_no_incident(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "gatepost.web")
    response = await get(app_that_raises(ClientDisconnected()))
    assert (response.status_code, response.content) == (400, b"")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("DEBUG", "the client went away from /things/{name}")
    ]


async def test_a_store_fault_is_503_and_never_a_refusal(caplog: pytest.LogCaptureFixture) -> None:
    response = await get(app_that_raises(StoreUnavailable(f"disk full while writing {SECRET}")))
    assert (response.status_code, response.json()) == (
        503,
        {
            "error": "temporarily_unavailable",
            "error_description": "The server cannot reach its data now; try again in 5 seconds. "
            "Its log explains it as incident abababababababab.",
        },
    )
    assert response.headers["retry-after"] == "5"
    (record,) = caplog.records
    assert fields(record, "reason", "endpoint", "incident") == {
        "reason": "store_unavailable",
        "endpoint": "/things/{name}",
        "incident": "abababababababab",
    }
    assert "StoreUnavailable: disk full while writing gp_rt_…" in caplog.text
    assert SECRET not in caplog.text


async def test_anything_else_is_an_incident_that_the_log_explains(caplog: pytest.LogCaptureFixture) -> None:
    response = await get(app_that_raises(RuntimeError(f"no such thing: {SECRET}")), authorization="Bearer hunter3")
    assert (response.status_code, response.json()) == (
        500,
        {
            "error": "server_error",
            "error_description": "Something went wrong on the server; its log explains it as incident "
            "abababababababab.",
        },
    )
    assert subset(response, NO_STORE) == NO_STORE
    (record,) = caplog.records
    assert fields(record, "reason", "endpoint", "incident") == {
        "reason": "internal_error",
        "endpoint": "/things/{name}",
        "incident": "abababababababab",
    }
    assert record.getMessage() == "incident abababababababab at /things/{name}"
    assert "in fail\n" in caplog.text
    assert "RuntimeError: no such thing: gp_rt_…" in caplog.text
    assert not any(secret in caplog.text for secret in (SECRET, "hunter2", "hunter3"))


@pytest.mark.parametrize(
    ("with_pages", "headers", "content_type"),
    [
        (True, {"sec_fetch_dest": "document"}, "text/html; charset=utf-8"),
        (True, {"sec_fetch_dest": "empty"}, "application/json"),
        (True, {"accept": "text/html, */*"}, "application/json"),
        (False, {"sec_fetch_dest": "document"}, "application/json"),
    ],
)
async def test_a_browser_that_navigates_sees_an_incident_as_a_page(
    headers: dict[str, str], content_type: str, *, with_pages: bool
) -> None:
    response = await get(app_that_raises(RuntimeError("x"), with_pages=with_pages), **headers)
    assert (response.status_code, response.headers["content-type"]) == (500, content_type)
    assert "abababababababab" in response.text


async def test_an_incident_passes_through_the_middleware_around_it() -> None:
    app = app_that_raises(RuntimeError("x"))
    app.add_middleware(CORSMiddleware, allow_origins=["*"])
    response = await get(app, origin="https://inspector.example")
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (500, "*")


async def test_an_answer_that_has_begun_is_cut_and_the_exception_quotes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = FastAPI()

    async def half() -> Any:
        yield b"half"
        raise RuntimeError(SECRET)

    app.add_api_route("/half", lambda: StreamingResponse(half()))
    install_error_handlers(app, ErrorResponses(random_bytes=lambda count: b"\xab" * count))
    with pytest.raises(AnswerCutShort, match="see incident abababababababab") as cut:
        await get(app, "/half")
    assert SECRET not in scrubbed_traceback(cut.value)
    assert cut.value.__suppress_context__
    assert SECRET not in caplog.text
    assert "incident abababababababab at /half" in caplog.text


def test_only_http_is_watched() -> None:
    app = FastAPI()

    @app.websocket("/echo")
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(await socket.receive_text())

    install_error_handlers(app, ErrorResponses())
    with TestClient(app) as client, client.websocket_connect("/echo") as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "hello"


async def test_an_error_without_a_route_has_no_endpoint_to_log(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()

    class Failing:
        def __init__(self, app: object) -> None:
            del app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            del scope, receive, send
            raise RuntimeError("x")

    app.add_middleware(Failing)
    install_error_handlers(app, ErrorResponses(random_bytes=bytes))
    response = await get(app, "/hunter2")
    assert response.status_code == 500
    assert "incident 0000000000000000 at (no route)" in caplog.text


async def test_an_address_where_nothing_is_served_says_where_to_look() -> None:
    response = await get(app_that_raises(RuntimeError("x")), "/nowhere/hunter2")
    assert (response.status_code, response.json()) == (
        404,
        {
            "error": "not_found",
            "error_description": "Nothing is served at this address; /.well-known/oauth-protected-resource names the "
            "MCP endpoint.",
        },
    )
    assert subset(response, NO_STORE) == NO_STORE


async def test_a_wrong_method_says_which_are_right() -> None:
    app = app_that_raises(RuntimeError("x"))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="https://a.example") as http:
        response = await http.post("/things/x")
    assert (response.status_code, response.headers["allow"], response.json()) == (
        405,
        "GET",
        {
            "error": "method_not_allowed",
            "error_description": "This address does not take this method; the Allow header lists those it takes.",
        },
    )


@pytest.mark.parametrize(
    ("error", "status", "content"),
    [
        (HTTPException(404, "no such note", headers={"x-own": "1"}), 404, b'{"detail":"no such note"}'),
        (HTTPException(418), 418, b'{"detail":"I\'m a Teapot"}'),
        (HTTPException(304), 304, b""),
    ],
)
async def test_what_a_users_own_route_raises_keeps_its_answer(
    error: HTTPException, status: int, content: bytes
) -> None:
    response = await get(app_that_raises(error))
    assert (response.status_code, response.content) == (status, content)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers.get("x-own") == (error.headers or {}).get("x-own")


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (f"token {SECRET} is gone", "token gp_rt_… is gone"),
        ("cut: gp_at_abc", "cut: gp_at_…"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer …"),
        ("authorization: basic YTpi", "authorization: basic …"),
        ("[type=x, input_value='pass word', input_type=str]", "[type=x, input_value=…, input_type=str]"),
        ('input_value="it\'s", input_type=str', "input_value=…, input_type=str"),
        ("input_value={'password': 'x, y'}, input_type=dict", "input_value=…, input_type=dict"),
        ("ghp_cut", "ghp_…"),
        ("of eyJhbGciOiJub25lIn0.e30.c2ln", "of …"),
        ("POST /token?code_verifier=hunter2&x=1", "POST /token?code_verifier=…&x=1"),
        ("{'client_secret': 'hunter2'}", "{'client_secret': …}"),
        ("nothing secret", "nothing secret"),
    ],
)
def test_a_traceback_shows_no_credential(message: str, shown: str) -> None:
    try:
        try:
            raise ValueError(message)
        except ValueError as cause:
            raise RuntimeError(message) from cause
    except RuntimeError as error:
        text = scrubbed_traceback(error)
    assert f"ValueError: {shown}\n" in text
    assert text.endswith(f"RuntimeError: {shown}\n")


async def test_the_answer_of_a_route_is_passed_on_untouched() -> None:
    app = FastAPI()
    app.add_api_route("/ok", lambda: Response("fine"))
    install_error_handlers(app, ErrorResponses())
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/ok", "headers": [], "query_string": b""}
    await app(scope, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[1]["body"] == b"fine"
