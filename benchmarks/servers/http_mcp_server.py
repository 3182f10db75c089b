"""http-mcp with its `auth_mcp` package: a `TokenValidator` in front of every request. Modern era only."""

from __future__ import annotations

import hmac
import os
import sys

import uvicorn
from auth_mcp.resource_server import ProtectedMCPAppConfig, TokenInfo, TokenValidator, create_protected_mcp_app
from auth_mcp.types import ProtectedResourceMetadata
from http_mcp.server import MCPServer
from http_mcp.types import Arguments, Tool
from pydantic import BaseModel

PORT = int(sys.argv[1])
TOKEN = os.environ["BENCHMARK_TOKEN"]


class Numbers(BaseModel):
    """What is added."""

    a: int
    b: int


class Total(BaseModel):
    """What comes out."""

    result: int


class TableValidator(TokenValidator):
    """Compares with the one token there is, in constant time, as the package's documentation advises."""

    async def validate_token(self, token: str, resource: str | None = None) -> TokenInfo | None:  # noqa: ARG002 - theirs
        """Return what is known about `token`."""
        if not hmac.compare_digest(token, TOKEN):
            return None
        return TokenInfo(subject="benchmark", scopes=("tools",), client_id="benchmark")


async def add(numbers: Arguments[Numbers]) -> Total:
    """Add two numbers."""
    return Total(result=numbers.inputs.a + numbers.inputs.b)


def add_sync(numbers: Arguments[Numbers]) -> Total:
    """Add two numbers."""
    return Total(result=numbers.inputs.a + numbers.inputs.b)


def named(name: str) -> Tool:
    """Return the async tool under another name: a tool is called after its function here."""

    async def renamed(numbers: Arguments[Numbers]) -> Total:
        """Add two numbers."""
        return Total(result=numbers.inputs.a + numbers.inputs.b)

    renamed.__name__ = name
    return Tool(func=renamed, inputs=Numbers, output=Total)


if (count := int(os.environ["BENCHMARK_TOOLS"])) > 0:
    tools = tuple(named(f"add_{index}") for index in range(count))
else:
    tools = tuple(Tool(func=function, inputs=Numbers, output=Total) for function in (add, add_sync))

app = create_protected_mcp_app(
    ProtectedMCPAppConfig(
        mcp_server=MCPServer(name="benchmark", version="1.0.0", tools=tools),
        token_validator=TableValidator(),
        resource_endpoint=ProtectedResourceMetadata(
            resource=f"http://127.0.0.1:{PORT}", authorization_servers=("https://auth.example.com",)
        ),
    )
)

if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=PORT,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
