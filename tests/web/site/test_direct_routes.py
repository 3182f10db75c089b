"""Routes that are found ahead of the router behave as they do in it."""

from __future__ import annotations

import httpx2
import pytest
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from gatepost.web.site.direct_routes import DirectRoutes
from gatepost.web.site.errors import endpoint_of
from gatepost.web.site.routing import Route


class Wrong(Exception):
    """What an endpoint raises."""


async def straight(request: Request) -> Response:
    what = (await request.body()).decode()
    if what == "wrong":
        raise Wrong
    if what == "teapot":
        raise HTTPException(418)
    return PlainTextResponse(f"{what} at {endpoint_of(request.scope)}")


async def refused(_request: Request) -> Response:
    return PlainTextResponse("no", status_code=405)


async def wrong(_request: Request, _error: Exception) -> Response:
    return PlainTextResponse("that was wrong", status_code=400)


def app_with(*, is_direct: bool) -> FastAPI:
    app = FastAPI()
    app.add_api_route("/here", straight, methods=["POST"])
    app.add_api_route("/here", refused, methods=["GET"], include_in_schema=False)
    if is_direct:
        routes = [Route("POST", "/here", straight)]
        app.add_middleware(DirectRoutes, routes=routes, paths={"/here"}, handlers=app.exception_handlers)
    app.add_exception_handler(Wrong, wrong)
    return app


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("POST", "/here", "hello", 200, "hello at /here"),
        ("POST", "/here", "wrong", 400, "that was wrong"),
        ("POST", "/here", "teapot", 418, '{"detail":"I\'m a Teapot"}'),
        ("GET", "/here", "", 405, "no"),
        ("POST", "/here/", "hello", 307, ""),
        ("POST", "/elsewhere", "hello", 404, '{"detail":"Not Found"}'),
    ],
)
@pytest.mark.parametrize("is_direct", [True, False])
async def test_a_direct_route_answers_as_it_does_in_the_router(
    method: str, path: str, body: str, status: int, text: str, is_direct: bool
) -> None:
    transport = httpx2.ASGITransport(app=app_with(is_direct=is_direct))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
        answer = await http.request(method, path, content=body)
    assert (answer.status_code, answer.text) == (status, text)


async def test_the_router_never_sees_what_is_direct() -> None:
    app = app_with(is_direct=True)
    app.router.routes.clear()
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://localhost") as http:
        assert (await http.post("/here", content="hello")).text == "hello at /here"
        assert (await http.get("/here")).status_code == 404
