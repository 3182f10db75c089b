"""`create_protected_mcp_app`: a server behind tokens of others, said in one object, as some programs have it.

It is `create_app(server, external=validator)` with the settings that follow from the object.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from gatepost.app import create_app
from gatepost.configuration.settings import SettingsError, load_settings
from gatepost.late_dataclass import dataclass
from gatepost.resource.external_tokens import TokenInfo, TokenValidator

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.middleware import Middleware

    from gatepost.server.server import Server

_MCP_PATH: Final = "/mcp"


@dataclass(frozen=True, slots=True)
class ProtectedResourceMetadata:
    """What clients are told of a resource (RFC 9728 section 2)."""

    resource: str
    """The origin that clients use, such as `https://mcp.example.com`, or the endpoint's whole URL."""
    authorization_servers: Sequence[str]
    """Their issuer URLs."""
    scopes_supported: Sequence[str] = ()
    """Scopes beside those that tools name."""


@dataclass(frozen=True, slots=True)
class ProtectedMCPAppConfig:
    """A server, who says what tokens are worth, and what clients are told of that."""

    mcp_server: Server
    token_validator: TokenValidator
    resource_endpoint: ProtectedResourceMetadata
    mcp_path: str = _MCP_PATH
    require_authentication: bool = True
    """False: without a token one may use what needs no scope (`MCP_LAZY_AUTH`)."""
    middlewares: Sequence[Middleware] = ()
    """Around the app, the first outermost."""


def create_protected_mcp_app(config: ProtectedMCPAppConfig) -> FastAPI:
    """Return an app that serves the server behind tokens that the validator takes; there is no authorization server.

    Everything else comes from the environment, as for `create_app`.

    Raises:
        SettingsError: As for `create_app`; also when the resource is not the endpoint's URL or its origin.
    """
    resource = str(config.resource_endpoint.resource)
    parts = urlsplit(resource)
    if parts.path.rstrip("/") not in {"", config.mcp_path}:
        raise SettingsError(
            f"resource= takes the server's origin, or the URL of the endpoint at {config.mcp_path}; not {resource}."
        )
    scopes = {"OAUTH_SUPPORTED_SCOPES": " ".join(config.resource_endpoint.scopes_supported)}
    settings = load_settings(
        {
            "MCP_PUBLIC_URL": f"{parts.scheme}://{parts.netloc}",
            "OAUTH_ENABLE_AS": "false",
            "MCP_LAZY_AUTH": "false" if config.require_authentication else "true",
            **(scopes if config.resource_endpoint.scopes_supported else {}),
        }
    )
    app = create_app({config.mcp_path: config.mcp_server}, settings=settings, external=_Validator(config))
    for each in reversed(config.middlewares):
        app.add_middleware(each.cls, *each.args, **each.kwargs)
    return app


class _Validator:
    """The configured validator, which hears of the resource as it is configured."""

    def __init__(self, config: ProtectedMCPAppConfig) -> None:
        self._validator = config.token_validator
        self._resource = str(config.resource_endpoint.resource)
        self.authorization_servers = [str(each) for each in config.resource_endpoint.authorization_servers]

    async def validate_token(self, token: str, resource: str | None = None) -> TokenInfo | None:
        asked = self._validator.validate_token(token, self._resource)
        said = await asked if inspect.isawaitable(asked) else asked
        if said is None or said.audience is None:
            return said
        is_meant = said.audience.rstrip("/") == self._resource.rstrip("/")
        return replace(said, audience=resource if is_meant else said.audience)
