"""A server with resources, templates and prompts, and the result of one request to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from gatepost.protocol.messages import Request, result_response
from gatepost.protocol.versions import (
    REVISION_2025_03_26,
    REVISION_2025_06_18,
    REVISION_2025_11_25,
    REVISION_2026_07_28,
    Revision,
)
from gatepost.resource.principal import Principal
from gatepost.server.calls.context import Context
from gatepost.server.changes.subscriptions import Subscription
from gatepost.server.dispatch import ServerTarget
from gatepost.server.errors import ResourceNotFound
from gatepost.server.server import Server
from tests.server.scoped_exchange import exchange_of

ALL = (REVISION_2026_07_28, REVISION_2025_11_25, REVISION_2025_06_18, REVISION_2025_03_26)


EARLIER = ALL[1:]


META: dict[str, Any] = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}}}


WHO = {"io.modelcontextprotocol/serverInfo": {"name": "notes", "version": "0.0.0"}}


ICON = {"src": "https://notes.example/icon.png"}


def a_server(**options: Any) -> Server:
    """A server with open and guarded resources, templates and prompts."""
    server = Server("notes", **options)

    @server.resource("notes://today", title="Today", icons=[ICON], size=5, mime_type="text/markdown", fresh_for=60)
    def today() -> str:
        """What there is today."""
        return "hello"

    @server.resource("notes://secret", scopes=["notes:read"])
    async def secret(ctx: Context) -> str:
        return f"for {ctx.user.subject}"

    @server.resource("notes://{number}", completions={"number": ["1", "2", "12"]})
    async def note(number: int) -> str | None:
        return {1: "one"}.get(number)

    @server.resource("notes://shelf/{+path}", scopes=["notes:read"], title="Shelf")
    async def shelf(path: str) -> bytes:
        if path == "gone":
            raise ResourceNotFound
        return path.encode()

    @server.prompt(title="Summary", icons=[ICON])
    def summarise(text: str, language: Literal["English", "German"] = "English") -> str:
        """Ask for a summary.

        Args:
            text: What to summarise.
            language: In which language.
        """
        return f"Summarise in {language}: {text}"

    @server.prompt(scopes=["notes:write"])
    async def rewrite() -> None: ...

    return server


async def ask(
    target: ServerTarget,
    method: str,
    params: Mapping[str, Any] | None = None,
    *,
    revision: Revision = REVISION_2026_07_28,
    granted: frozenset[str] | None = None,
    principal: Principal | None = None,
) -> dict[str, Any]:
    """The result of one request, as a client reads it."""
    request = Request(1, method, {"_meta": META, **(params or {})})
    result = await target.answer(request, revision, exchange_of(principal, granted=granted))
    assert not isinstance(result, Subscription)
    read: dict[str, Any] = json.loads(result_response(1, result))["result"]
    return read
