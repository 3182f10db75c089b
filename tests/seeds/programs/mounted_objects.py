"""The tools and prompts of `typed_objects`, mounted in an app of Starlette that knows its callers and has the state."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TypedDict

from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, BaseUser, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection

from gatepost import Server as MCPServer
from tests.seeds.programs.typed_objects import PROMPTS, TOOLS, Pool, Shop


class BasicAuthBackend(AuthenticationBackend):
    def __init__(self, granted_scopes: tuple[str, ...] = ("authenticated",)) -> None:
        self.granted_scopes = granted_scopes
        super().__init__()

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        auth_header = conn.headers.get("Authorization")
        if not auth_header:
            return None
        return AuthCredentials(self.granted_scopes), SimpleUser("username")


class State(TypedDict):
    shop: Shop


@contextlib.asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[State]:
    pool = Pool()
    yield {"shop": Shop(pool)}
    await pool.close()


def build() -> Starlette:
    mcp_server = MCPServer(name="mounted", version="1.0.0", tools=TOOLS, prompts=PROMPTS)
    app = Starlette(
        lifespan=lifespan,
        middleware=[
            Middleware(AuthenticationMiddleware, backend=BasicAuthBackend(granted_scopes=("private", "admin"))),
        ],
    )
    app.mount("/mcp", mcp_server.app)
    return app
