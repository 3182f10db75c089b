"""A target whose results say who the caller is, for apps and logs that want to know it (MCP_CALLER_IN_RESULTS)."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from gatepost.late_dataclass import dataclass
from gatepost.protocol.messages import Notification, Request
from gatepost.protocol.versions import Revision
from gatepost.resource.principal import Principal
from gatepost.server.calls.callers import ANONYMOUS
from gatepost.server.calls.exchange import Exchange
from gatepost.server.target import Result, Target

CALLER: Final = "gatepost/caller"
"""The key in `_meta` (MCP basic, "_meta"): a label, a slash and a name."""
_CALLS: Final = frozenset({"tools/call", "prompts/get", "resources/read"})
"""Lists are kept by clients and proxies, and have nothing of a call."""


@dataclass(frozen=True, slots=True, eq=False)
class CallerInResults:
    """A `Target` that puts the caller into the `_meta` of each result of a call.

    A result that is JSON already, as of a server behind `gatepost front`, is passed on as it is.
    """

    target: Target

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Open what the target needs."""
        return self.target.lifespan()

    async def answer(self, request: Request, revision: Revision, exchange: Exchange) -> Result:
        """Answer a request. Raises what the target raises."""
        result = await self.target.answer(request, revision, exchange)
        if request.method not in _CALLS or not isinstance(result, dict):
            return result
        meta = result.get("_meta")
        said: dict[str, Any] = meta if isinstance(meta, dict) else {}
        return {**result, "_meta": {**said, CALLER: caller(exchange.principal)}}

    async def drain(self) -> None:
        """End what would last until the server stops."""
        await self.target.drain()

    async def notice(self, notification: Notification, revision: Revision, exchange: Exchange) -> None:
        """Hand a notification on."""
        await self.target.notice(notification, revision, exchange)


def caller(principal: Principal | None) -> dict[str, Any]:
    """Return what is said of a caller; of nobody known, the subject `anonymous` alone."""
    if principal is None:
        return {"subject": ANONYMOUS}
    said = {
        "subject": principal.subject,
        "name": principal.display_name,
        "clientId": principal.client_id or None,
        "clientName": principal.client_name,
        "scopes": sorted(principal.scopes),
        "roles": sorted(principal.roles),
        "actors": [*principal.actors] or None,
    }
    return {name: value for name, value in said.items() if value is not None}
