"""The app itself: what goes past the framework, and what a user's middleware still sees."""

from __future__ import annotations

import httpx2
import pytest
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from gatepost.web.site.api_description import Operation
from gatepost.web.site.direct_app import DirectApp
from gatepost.web.site.front_door import OrdinaryRequests
from gatepost.web.site.routing import Route
from tests.web.served import direct_app

seen: list[str] = []


class Seeing:
    """Middleware of a user."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["path"])
        await self.app(scope, receive, send)


async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - the ASGI signature
    body = type(scope["app"]).__name__.encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


def layers(app: ASGIApp) -> ASGIApp:
    """Layers that answer /ours themselves."""

    async def layer(scope: Scope, receive: Receive, send: Send) -> None:
        await (endpoint if scope["path"] == "/ours" else app)(scope, receive, send)

    return layer


def app_with(*described: Route) -> DirectApp:
    ordinary = OrdinaryRequests(endpoints={"/mcp": endpoint}, own_hosts=frozenset({"localhost"}), is_local_only=False)
    return direct_app(ordinary, layers, *described)


async def post(app: ASGIApp, path: str = "/mcp", **headers: str) -> httpx2.Response:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://localhost") as http:
        return await http.post(path, headers=headers)


async def test_the_first_request_and_every_other_one_are_answered_by_the_endpoint_which_knows_its_app() -> None:
    app = app_with()
    for _ in range(2):
        answer = await post(app)
        assert (answer.status_code, answer.text) == (200, "DirectApp")


async def test_what_is_not_ordinary_meets_our_layers_and_then_the_framework() -> None:
    app = app_with()

    @app.post("/mine")
    async def mine() -> str:
        return "mine"

    app.mount("/mounted", endpoint)
    for _ in range(2):
        assert (await post(app, "/ours")).text == "DirectApp"
        assert (await post(app, "/mine")).json() == "mine"
        assert (await post(app, "/mounted/below")).text == "DirectApp"
        assert (await post(app, Host="elsewhere")).status_code == 404
        assert (await post(app, "/other")).status_code == 404


@pytest.mark.parametrize("path", ["/mcp", "/ours", "/other"])
async def test_middleware_that_a_user_adds_sees_every_request(path: str) -> None:
    app = app_with()
    app.add_middleware(Seeing)
    answers = [(await post(app, path)).status_code for _ in range(2)]
    assert answers == [404 if path == "/other" else 200] * 2
    assert seen == [path] * 2


async def test_an_instrumentation_that_wraps_the_stack_sees_every_request() -> None:
    app = app_with()
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: Seeing(build())  # type: ignore[method-assign]  # as OpenTelemetry does
    for path in ("/mcp", "/ours", "/mcp"):
        assert (await post(app, path)).text == "DirectApp"
    assert seen == ["/mcp", "/ours", "/mcp"]


async def test_without_middleware_of_a_user_the_frameworks_own_sees_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def framework(*_: object) -> None:  # pragma: no cover - never called
        raise AssertionError

    app = app_with()
    await post(app, "/other")
    monkeypatch.setattr(ServerErrorMiddleware, "__call__", framework)
    for path in ("/mcp", "/ours"):
        assert (await post(app, path)).text == "DirectApp"
    assert (await post(app, "/other")).status_code == 404


async def test_the_api_description_names_our_routes_beside_the_users() -> None:
    app = app_with(Route("GET", "/ours", None, Operation("ours", "Ours", responses={})))  # type: ignore[arg-type]  # not called
    app.add_api_route("/mine", lambda: None)
    for _ in range(2):
        assert {path: list(operations) for path, operations in app.openapi()["paths"].items()} == {
            "/ours": ["get"],
            "/mine": ["get"],
        }
