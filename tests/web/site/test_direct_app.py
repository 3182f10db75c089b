"""The app itself: what goes past the framework, and what a user's middleware still sees."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from gatepost.web.site.direct_app import DirectApp
from gatepost.web.site.front_door import OrdinaryRequests

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


def app_with(**options: Any) -> DirectApp:
    app = DirectApp(**options)
    app.put_first(
        OrdinaryRequests(endpoints={"/mcp": endpoint}, own_hosts=frozenset({"localhost"}), is_local_only=False)
    )
    return app


async def post(app: ASGIApp, path: str = "/mcp", **headers: str) -> httpx2.Response:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://localhost") as http:
        return await http.post(path, headers=headers)


async def test_the_first_request_and_every_other_one_are_answered_by_the_endpoint_which_knows_its_app() -> None:
    app = app_with()
    for _ in range(2):
        answer = await post(app)
        assert (answer.status_code, answer.text) == (200, "DirectApp")


async def test_what_is_not_ordinary_meets_the_router() -> None:
    app = app_with()
    await post(app)
    assert (await post(app, Host="elsewhere")).status_code == 404
    assert (await post(app, "/other")).status_code == 404


async def test_middleware_that_a_user_adds_sees_every_request() -> None:
    app = app_with()
    app.add_middleware(Seeing)
    for _ in range(2):
        assert (await post(app)).text == "DirectApp"
    await post(app, "/other")
    assert seen == ["/mcp", "/mcp", "/other"]


async def test_once_the_app_is_built_the_framework_sees_no_ordinary_request() -> None:
    app = app_with()
    await post(app, "/other")
    app.middleware_stack = Seeing(endpoint)
    await post(app)
    assert seen == []
    await post(app, "/other")
    assert seen == ["/other"]


async def test_an_app_of_which_nothing_goes_first_is_an_ordinary_one() -> None:
    assert (await post(DirectApp())).status_code == 404
