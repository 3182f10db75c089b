"""A server behind tokens that somebody else issues, said in one object."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatepost import (
    Arguments,
    NoArguments,
    ProtectedMCPAppConfig,
    ProtectedResourceMetadata,
    TokenInfo,
    TokenValidator,
    Tool,
    create_protected_mcp_app,
)
from gatepost import Server as MCPServer

RESOURCE = "https://mcp.example.com"


class MyTokenValidator(TokenValidator):
    async def validate_token(self, token: str, resource: str | None = None) -> TokenInfo | None:
        if token == "elsewhere":
            return TokenInfo(subject="ada", audience="https://other.example.com")
        if token not in {"reader", "writer"} or resource != RESOURCE:
            return None
        return TokenInfo(subject="ada", scopes=("notes:write",) if token == "writer" else (), audience=f"{resource}/")


class Stamp:
    """A middleware that marks answers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-stamp", b"ours")]
            await send(message)

        await self.app(scope, receive, stamped)


def whoami(args: Arguments[NoArguments]) -> str:
    """Say who calls."""
    return args.context.user.subject


def write() -> str:
    """Write."""
    return "written"


mcp_server = MCPServer(
    name="my-server",
    version="1.0.0",
    tools=(Tool(func=whoami, inputs=NoArguments), Tool(func=write, inputs=type(None), scopes=("notes:write",))),
)


def build(*, require_authentication: bool = True, resource: str = RESOURCE) -> Starlette:
    config = ProtectedMCPAppConfig(
        mcp_server=mcp_server,
        token_validator=MyTokenValidator(),
        resource_endpoint=ProtectedResourceMetadata(
            resource=resource,
            authorization_servers=("https://auth.example.com",),
        ),
        require_authentication=require_authentication,
        middlewares=(Middleware(Stamp),),
    )
    return create_protected_mcp_app(config)
