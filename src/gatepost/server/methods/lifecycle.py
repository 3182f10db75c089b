"""The methods of the server as a whole: `initialize`, `server/discover`, `ping`, and what it notifies clients of."""

from __future__ import annotations

from typing import Any

from gatepost.protocol.errors import InvalidParams
from gatepost.protocol.handshake import initialize_result
from gatepost.protocol.messages import Request
from gatepost.protocol.modern import LOG_LEVELS, discover_result
from gatepost.protocol.versions import Revision
from gatepost.server.calls.exchange import Exchange
from gatepost.server.changes.subscriptions import with_notifications
from gatepost.server.extension import advertised
from gatepost.server.methods.prompts import completes
from gatepost.server.methods.resources import may_read
from gatepost.server.methods.served_server import ServedServer, session_of
from gatepost.server.server import Server
from gatepost.server.target import Result


async def initialize(served: ServedServer, _request: Request, revision: Revision, _exchange: Exchange) -> Result:
    """Answer `initialize` (2025-11-25 basic/lifecycle)."""
    return initialize_result(revision, **_introduction(served, modern=False))


async def discover(served: ServedServer, _request: Request, _revision: Revision, _exchange: Exchange) -> Result:
    """Answer `server/discover` (2026-07-28 server/discover)."""
    return discover_result(**_introduction(served, modern=True))


async def ping(_served: ServedServer, _request: Request, _revision: Revision, _exchange: Exchange) -> Result:
    """Answer `ping`."""
    return {}


async def set_log_level(_served: ServedServer, request: Request, _revision: Revision, exchange: Exchange) -> Result:
    """Answer `logging/setLevel` (2025-11-25 server/utilities/logging); modern requests say their level themselves."""
    level = request.params.get("level")
    if level not in LOG_LEVELS:
        raise InvalidParams(f'"params.level" must be one of {", ".join(LOG_LEVELS)}.')
    await session_of(exchange).set_log_level(level)
    return {}


async def listen(served: ServedServer, request: Request, _revision: Revision, exchange: Exchange) -> Result:
    """Answer `subscriptions/listen` (2026-07-28 basic/patterns/subscriptions)."""
    watches = [await extension.watch(served, request, exchange) for extension in served.extensions]
    return served.subscriptions.prepare(
        request,
        exchange,
        watches=[each for each in watches if each is not None],
        offered=_features_of(served.server),
        may_see=lambda uri: may_read(served, uri, exchange.granted),
    )


def _introduction(served: ServedServer, *, modern: bool) -> dict[str, Any]:
    extensions = advertised(served.extensions, modern=modern)
    return {
        "capabilities": {**with_notifications(_features_of(served.server)), **extensions},
        "server_info": served.info,
        "instructions": served.server.instructions,
    }


def _features_of(server: Server) -> dict[str, Any]:
    """Return the `ServerCapabilities` object without notifications: what the server has, though it may be off.

    Tools are always among them, for they may be added at run time, and their list is then the first that anyone reads.
    """
    features = {
        "tools": True,
        "resources": server.registry.resources.known or server.registry.resource_templates.known,
        "prompts": server.registry.prompts.known,
        "completions": completes(server),
    }
    return {name: {} for name, there_are in features.items() if there_are}
