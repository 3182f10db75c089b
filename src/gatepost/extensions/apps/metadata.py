"""What tools and pages say of themselves to hosts, as `_meta.ui` has it (SEP-1865, 2026-01-26).

Whatever is wrong with it is an error at the declaration: hosts drop what they do not understand, and a Content Security
Policy that is put together of anything else than origins is another policy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from gatepost.server.errors import ToolDefinitionError

MIME_TYPE: Final = "text/html;profile=mcp-app"
SCHEME: Final = "ui://"
Visibility = Literal["model", "app"]
Permission = Literal["camera", "microphone", "geolocation", "clipboardWrite"]

_HOST: Final = r"(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
_ORIGIN: Final = re.compile(rf"(?:https|wss)://{_HOST}(?::[0-9]{{1,5}})?")
_LOCAL_ORIGIN: Final = re.compile(r"(?:http|ws)://(?:localhost|127\.0\.0\.1)(?::[0-9]{1,5})?")
_DOMAIN: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")


@with_config(ConfigDict(extra="forbid"))
class ContentSecurityPolicy(TypedDict, total=False):
    """The origins that a page reaches, such as `https://api.example.com` or `https://*.example.com`; or else none."""

    connectDomains: list[str]
    """For requests: fetch, XMLHttpRequest, WebSocket."""
    resourceDomains: list[str]
    """For images, scripts, styles, fonts and media."""
    frameDomains: list[str]
    """For frames inside of the page."""
    baseUriDomains: list[str]
    """For the document's base URI."""


@with_config(ConfigDict(extra="forbid"))
class ToolUi(TypedDict, total=False):
    """What a tool says to hosts."""

    resourceUri: str
    """The page that shows its results."""
    visibility: list[Visibility]
    """Who may call it: the model, the page, or both (the default)."""


def page_metadata(
    owner: str,
    *,
    csp: Mapping[str, Iterable[str]] | None,
    permissions: Iterable[Permission],
    domain: str | None,
    prefers_border: bool | None,
) -> dict[str, Any]:
    """Return the `UIResourceMeta` of a page; raises ToolDefinitionError, naming `owner`, if it is not as specified."""
    found: dict[str, Any] = {}
    if csp is not None:
        found["csp"] = _checked(ContentSecurityPolicy, csp, f"{owner}: csp")
        for member, origins in found["csp"].items():
            for origin in origins:
                _check_origin(origin, f"{owner}: csp: {member}")
    asked = _checked(list[Permission], list(permissions), f"{owner}: permissions")
    if asked:
        found["permissions"] = {permission: {} for permission in asked}
    if domain is not None:
        if not _DOMAIN.fullmatch(_checked(str, domain, f"{owner}: domain")):
            raise ToolDefinitionError(f"{owner}: domain is a host name in the form that hosts document, not {domain!r}")
        found["domain"] = domain
    if prefers_border is not None:
        found["prefersBorder"] = _checked(bool, prefers_border, f"{owner}: prefers_border")
    return found


def tool_metadata(owner: str, given: object) -> ToolUi:
    """Return the `McpUiToolMeta` of a tool; raises ToolDefinitionError, naming `owner`, if it is not as specified."""
    ui: ToolUi = _checked(ToolUi, {"resourceUri": given} if isinstance(given, str) else given, f"{owner}: ui")
    if not ui or not ui.get("visibility", ["model"]):
        raise ToolDefinitionError(f'{owner}: ui says nothing; write ui="ui://…", or ui={{"visibility": ["app"]}}')
    return ui


def check_uri(uri: str, owner: str) -> None:
    """Raise ToolDefinitionError, naming `owner`, unless this may be the URI of a page."""
    if not uri.startswith(SCHEME) or len(uri) == len(SCHEME) or "{" in uri:
        raise ToolDefinitionError(f"{owner}: {uri!r} is no URI of an app, which is as ui://weather/chart")


def _check_origin(origin: str, what: str) -> None:
    if not _ORIGIN.fullmatch(origin) and not _LOCAL_ORIGIN.fullmatch(origin):
        raise ToolDefinitionError(
            f"{what}: {origin!r} is no origin; write https://api.example.com or https://*.example.com, without a path"
        )


def _checked(kind: Any, given: object, what: str) -> Any:
    try:
        return TypeAdapter(kind).validate_python(given, strict=True)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False))
        raise ToolDefinitionError(f"{what} is not as the specification has it: {wrong}") from None
