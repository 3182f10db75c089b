"""The API reference costs strangers' requests no more than they cost the stranger."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.requests import Request
from starlette.responses import Response

from gatepost.web.site.reference import ReferencePages

PAGES = ReferencePages(title="Notes")


async def asked(path: str, **scope: Any) -> list[Any]:
    """Return the ASGI messages of one answer."""
    route = next(route for route in PAGES.routes() if route.path.rpartition("/")[0] == path.rpartition("/")[0])
    request = Request({"type": "http", "method": "GET", "path": path, "headers": [], **scope})
    messages: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        messages.append(message)

    response = await route.handler(request)
    await response({**request.scope, "asgi": {"spec_version": "2.4"}}, receive, send)
    return messages


@pytest.mark.parametrize("name", ["swagger-ui-bundle.js", "redoc.standalone.js", "favicon.png"])
async def test_a_script_is_sent_in_pieces_so_that_little_of_it_waits_for_who_does_not_read(name: str) -> None:
    start, *pieces = await asked(f"/docs/assets/{name}", path_params={"asset": name})

    sizes = [len(piece["body"]) for piece in pieces]
    assert max(sizes) <= 64 * 1024
    assert dict(start["headers"])[b"content-length"] == b"%d" % sum(sizes)


async def test_the_description_is_encoded_once_until_it_is_another() -> None:
    described: dict[str, Any] = {"openapi": "3.1.0"}
    request = cast("Request", SimpleNamespace(app=SimpleNamespace(openapi=lambda: described), scope={}))

    async def body() -> bytes:
        response: Response = await PAGES.get_description(request)
        return bytes(response.body)

    first = await body()
    assert first == b'{"openapi":"3.1.0"}'
    assert await body() is first
    described = {"openapi": "3.1.1"}
    assert await body() == b'{"openapi":"3.1.1"}'
