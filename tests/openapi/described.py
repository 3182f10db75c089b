"""Descriptions for tests, and an API in the process of the test that keeps what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from gatepost import Server

URL = "https://api.example"
STRING: dict[str, Any] = {"type": "string"}


def parameter(name: str, place: str, schema: Any = None, **more: Any) -> dict[str, Any]:
    required = {"required": True} if place == "path" else {}
    return {"name": name, "in": place, "schema": STRING if schema is None else schema, **required, **more}


def json_answer(schema: Any) -> dict[str, Any]:
    return {"description": "", "content": {"application/json": {"schema": schema}}}


def body(media_type: str, schema: Any, **more: Any) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema, **more}}}}


def description(paths: Mapping[str, Any], *, version: str = "3.1.1", **more: Any) -> dict[str, Any]:
    info = {"title": "Pet Store", "version": "7", "description": "Keeps pets. Sells none."}
    return {"openapi": version, "info": info, "servers": [{"url": URL}], "paths": dict(paths), **more}


def one(operation: Mapping[str, Any], *, method: str = "get", path: str = "/call", **more: Any) -> dict[str, Any]:
    """Return a description with one operation, called `call`."""
    return description({path: {method: {"operationId": "call", "responses": {}, **operation}}}, **more)


@dataclass
class Asked:
    """A request that the API got."""

    method: str
    target: str
    """Path and query, as they came."""
    headers: Mapping[str, str]
    content: bytes


@dataclass
class API:
    """An ASGI application that answers what the test says."""

    answer: Callable[[Asked], Response] = field(default=lambda _: JSONResponse({}))
    asked: list[Asked] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        query = scope["query_string"].decode()
        target = scope["raw_path"].decode() + (f"?{query}" if query else "")
        asked = Asked(request.method, target, dict(request.headers), await request.body())
        self.asked.append(asked)
        await self.answer(asked)(scope, receive, send)

    def client(self, **options: Any) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self), base_url=URL, **options)

    def server(self, described: Mapping[str, Any], **options: Any) -> Server:
        return Server.from_openapi(described, **{"client": self.client(), **options})
