"""Requests to a server in this process, in either era."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gatepost.protocol.messages import Request, result_response
from gatepost.protocol.modern import CLIENT_CAPABILITIES
from gatepost.protocol.versions import REVISION_2026_07_28, Revision
from gatepost.resource.principal import Principal
from gatepost.server.calls.exchange import Exchange, Session
from gatepost.server.changes.subscriptions import Subscription
from gatepost.server.dispatch import ServerTarget
from gatepost.server.server import Server

SOMEBODY = Principal(
    subject="somebody",
    client_id="client",
    scopes=frozenset(),
    resource="https://notes.example/mcp",
    issuer="https://notes.example",
    grant_id=None,
    expires_at=None,
)


class InSession(Exchange):
    """An exchange of a session (handshake era), of which only its client's capabilities are asked."""

    __slots__ = ("client_capabilities",)

    client_capabilities: Mapping[str, Any]

    @property
    def session(self) -> Session | None:
        return self  # type: ignore[return-value]  # as much of one as is needed here


async def ask(
    server: Server | ServerTarget,
    method: str,
    params: Mapping[str, Any] | None = None,
    *,
    revision: Revision = REVISION_2026_07_28,
    granted: set[str] | None = None,
    extensions: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the result of a request, as it is on the wire.

    Args:
        server: who is asked.
        method: such as `tools/list`.
        params: without `_meta`.
        revision: of the request.
        granted: the scopes of the caller; None where nobody asks for a token.
        extensions: what the client declares.
    """
    target = server if isinstance(server, ServerTarget) else ServerTarget(server)
    capabilities = {} if extensions is None else {"extensions": extensions}
    principal = None if granted is None else replace(SOMEBODY, scopes=frozenset(granted))
    if revision.modern:
        exchange, meta = Exchange(principal), {"_meta": {CLIENT_CAPABILITIES: capabilities}}
    else:
        exchange, meta = InSession(principal), {}
        exchange.client_capabilities = capabilities
    result = await target.answer(Request(1, method, {**(params or {}), **meta}), revision, exchange)
    assert not isinstance(result, Subscription)
    read: dict[str, Any] = json.loads(result_response(1, result))["result"]
    return read
