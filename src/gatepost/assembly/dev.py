"""What `gatepost dev` serves: the app of an installation with the dev page around it, or that page alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from gatepost import __version__
from gatepost.assembly.endpoints import Endpoint
from gatepost.assembly.installation import Installation
from gatepost.oauth.issuing import SignAccessToken
from gatepost.resource.scope_needs import groups_of
from gatepost.server.dispatch import ServerTarget
from gatepost.web.dev.access import DevAccess
from gatepost.web.dev.page import DevApp, DevEndpoint
from gatepost.web.dev.tokens import DevTokens
from gatepost.web.site.responses import json_response

_UNAVAILABLE = 503

Status = Callable[[], Mapping[str, Any]]
"""Returns how the server is, as the page shows it."""


def with_dev_page(app: ASGIApp, installation: Installation, *, key: str, status: Status, process: int = 0) -> DevApp:
    """Return an app with the page around it; `key` is the secret of the link to it, `process` this one's number."""
    core = installation.core
    needs_token = core.settings.server.require_auth

    async def signer(origin: str, now: int) -> SignAccessToken | None:
        signed_tokens = core.signed_tokens(origin)
        return None if signed_tokens is None else await signed_tokens.signer(now)

    return DevApp(
        app,
        access=DevAccess(key),
        status=status,
        name=installation.name,
        version=__version__,
        process=process,
        endpoints=[
            _endpoint(endpoint, needs_token=needs_token)
            for endpoint in installation.resources.endpoints
            if endpoint.is_mcp_endpoint
        ],
        tokens=DevTokens(
            approvals=core.store.approvals,
            audit_trail=core.audit_trail,
            signer=signer,
            now=core.now,
            random_bytes=core.random_bytes,
        ),
    )


def dev_page_alone(*, key: str, status: Status, process: int = 0) -> DevApp:
    """Return the page where there is nothing else, since the code does not load."""
    access = DevAccess(key)
    return DevApp(
        _nothing_served, access=access, status=status, name="gatepost dev", version=__version__, process=process
    )


class NothingServed:
    """What a process without code has to open and to end."""

    async def open(self) -> None:
        """Open nothing."""

    async def close(self) -> None:
        """Close nothing."""

    def observe_connections(self, count: Callable[[], int]) -> None:
        """Observe nothing."""

    def stop_soon(self) -> None:
        """End nothing."""

    def stop_now(self) -> None:
        """Cancel nothing."""


def _endpoint(endpoint: Endpoint, *, needs_token: bool) -> DevEndpoint:
    return DevEndpoint(
        path=endpoint.path,
        name=endpoint.name,
        scopes={scope: str(words) for scope, words in endpoint.scopes.items()},
        needs_token=needs_token,
        needs=lambda: _needs(endpoint),
        resource_at=lambda origin: endpoint.at(origin).identifier,
    )


def _needs(endpoint: Endpoint) -> dict[str, dict[str, Sequence[Sequence[str]]]]:
    """Return which scopes what is declared needs; of servers that are no `Server` only they know what there is."""
    target = endpoint.target
    if not isinstance(target, ServerTarget):
        return {}
    server = target.server
    kinds: dict[str, Mapping[str, Any]] = {
        "tools": server.tools,
        "prompts": server.prompts,
        "resources": {**server.resources, **server.resource_templates},
    }
    return {
        kind: {name: groups_of(declared.scopes) for name, declared in shelf.items()} for kind, shelf in kinds.items()
    }


async def _nothing_served(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _open_and_close(receive, send)
        return
    body = {
        "error": "temporarily_unavailable",
        "error_description": "The code does not load; the terminal of gatepost dev and its page say why.",
    }
    await json_response(body, _UNAVAILABLE, {"Cache-Control": "no-store", "Retry-After": "2"})(scope, receive, send)


async def _open_and_close(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
