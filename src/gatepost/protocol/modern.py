"""The modern era: every request carries its revision and capabilities, and headers mirror it.

2026-07-28 basic, "_meta"; basic/transports/streamable-http, "Request Metadata" and "Server Validation".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatepost.protocol.errors import (
    HeaderMismatch,
    InternalError,
    InvalidParams,
    MethodNotFound,
    MissingRequiredClientCapability,
    UnknownResource,
    UnsupportedProtocolVersion,
)
from gatepost.protocol.header_values import decode_header_value, plain_header_value
from gatepost.protocol.messages import LONGEST_REQUEST_ID, Request, is_progress_token
from gatepost.protocol.versions import MODERN, SUPPORTED, Revision

PROTOCOL_VERSION = "io.modelcontextprotocol/protocolVersion"
CLIENT_INFO = "io.modelcontextprotocol/clientInfo"
CLIENT_CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
LOG_LEVEL = "io.modelcontextprotocol/logLevel"
SERVER_INFO = "io.modelcontextprotocol/serverInfo"

LOG_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""From the least to the most severe (RFC 5424 section 6.2.1)."""

REMOVED_METHODS = frozenset({"initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"})
"""Methods of the handshake era that this one no longer has."""

CACHEABLE_METHODS = frozenset(
    {"server/discover", "tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"}
    # Of the extension Skills (SEP-2640), for fronts of servers that know the handshake era alone.
    | {"skills/list", "skills/get"}
)
"""Methods whose results carry `ttlMs` and `cacheScope` (server/utilities/caching)."""

_RESERVED_CODES = range(-32099, -32019)
_DEFINED_CODES = {HeaderMismatch.code, MissingRequiredClientCapability.code, UnsupportedProtocolVersion.code}
NAMED_BY: Mapping[str, str] = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Which parameter `Mcp-Name` mirrors."""
_CACHE_HINTS: Mapping[str, Any] = {"ttlMs": 0, "cacheScope": "private"}
LIST_FRESHNESS_MS = 300_000
"""How long clients may take a list or a discovery for fresh, in milliseconds: a new tool shows within five minutes."""


def check_request(
    request: Request, *, header_version: str | None, method_header: bytes | None, name_header: bytes | None
) -> Revision:
    """Return the revision that `request` is in, once its metadata is complete and its headers agree with it.

    The version is looked at first: the rest may be written by the rules of a revision that is not known here.

    Args:
        request: a request that has a version in `_meta`, or a modern version in its header.
        header_version: the value of `MCP-Protocol-Version`; None when absent, as with the others.
        method_header: the value of `Mcp-Method`.
        name_header: the value of `Mcp-Name`.

    Raises:
        InvalidParams: required metadata is missing or malformed.
        HeaderMismatch: a header is missing or disagrees with the body.
        UnsupportedProtocolVersion: the revision is not a modern one that this server speaks.
        MethodNotFound: the method is one that only the handshake era had.
    """
    # 1. The version: the header has to agree, unless the body names one that is unknown anyway.
    meta = request.params.get("_meta")
    version = meta.get(PROTOCOL_VERSION) if type(meta) is dict else None
    if header_version != version and type(version) is str:
        if header_version is not None:
            raise HeaderMismatch('The MCP-Protocol-Version header differs from the version in "params._meta".')
        if version in MODERN:
            raise HeaderMismatch("The MCP-Protocol-Version header is missing.")
    # 2. The rest of the metadata.
    revision = _check_metadata(meta)
    # 3. The headers that mirror the body.
    check_mirrored_names(request, method_header, name_header)
    # 4. What this era has left behind.
    if request.method in REMOVED_METHODS:
        raise _removed(revision)
    return revision


def check_request_without_headers(request: Request) -> Revision:
    """Do what `check_request` does where there are no headers (basic/transports/stdio, "Request Metadata").

    Raises as that does, except for HeaderMismatch.
    """
    revision = _check_metadata(request.params.get("_meta"))
    if request.method in REMOVED_METHODS:
        raise _removed(revision)
    return revision


def finish_result(method: str, result: dict[str, Any], server_info: Mapping[str, Any]) -> dict[str, Any]:
    """Return `result` with what every result of this era has and its author may have left out.

    That is `resultType` and, in `_meta`, who answered; and on results that clients may cache, hints that are safe for
    any author: fresh for no time, and for this caller alone. `result` itself stays as it is.
    """
    meta = result.get("_meta")
    if meta is None:
        meta = {SERVER_INFO: server_info}
    elif type(meta) is dict:
        # An author who wrote something else than an object hears of it from the client; it is not for here to mend.
        meta = {SERVER_INFO: server_info, **meta}
    finished = {"resultType": "complete", **result, "_meta": meta}
    if method in CACHEABLE_METHODS and finished["resultType"] == "complete":
        return {**_CACHE_HINTS, **finished}
    return finished


def discover_result(
    *, capabilities: Mapping[str, Any], server_info: Mapping[str, Any], instructions: str | None
) -> dict[str, Any]:
    """Return a `DiscoverResult`, which is the same for everybody (server/discover)."""
    said = {} if instructions is None else {"instructions": instructions}
    result = {
        "supportedVersions": list(SUPPORTED),
        "capabilities": capabilities,
        **said,
        "ttlMs": LIST_FRESHNESS_MS,
        "cacheScope": "public",
    }
    return finish_result("server/discover", result, server_info)


def permitted_code(code: int) -> int:
    """Return the code of an error of the application's own as clients of this era may get it (basic, "Error Codes").

    The specification keeps a range for itself, and has taken back what earlier revisions used. A resource that is not
    there has another code now; the rest is an internal error, for whoever chose the code did so by mistake.
    """
    if code == UnknownResource.code:
        return InvalidParams.code
    if code in _RESERVED_CODES and code not in _DEFINED_CODES:
        return InternalError.code
    return code


def _removed(revision: Revision) -> MethodNotFound:
    return MethodNotFound(f"Revision {revision.version} has no such method any more.")


def _check_metadata(meta: Any) -> Revision:
    version = meta.get(PROTOCOL_VERSION) if type(meta) is dict else None
    if type(meta) is not dict or type(version) is not str:
        raise InvalidParams(f'"params._meta" must have the string "{PROTOCOL_VERSION}".')
    revision = MODERN.get(version)
    if revision is None:
        raise UnsupportedProtocolVersion(version, supported=SUPPORTED)
    if type(meta.get(CLIENT_CAPABILITIES)) is not dict:
        raise InvalidParams(f'"params._meta" must have the object "{CLIENT_CAPABILITIES}".')
    if CLIENT_INFO in meta and type(meta[CLIENT_INFO]) is not dict:
        raise InvalidParams(f'"{CLIENT_INFO}" must be an object.')
    if LOG_LEVEL in meta and meta[LOG_LEVEL] not in LOG_LEVELS:
        # 2026-07-28 server/utilities/logging, "Error Handling"
        raise InvalidParams(f'"{LOG_LEVEL}" must be one of {", ".join(LOG_LEVELS)}.')
    if "progressToken" in meta and not is_progress_token(meta["progressToken"]):
        raise InvalidParams(
            f'"progressToken" must be an integer, or a string of at most {LONGEST_REQUEST_ID} characters.'
        )
    return revision


def check_mirrored_names(request: Request, method_header: bytes | None, name_header: bytes | None) -> None:
    """Compare `Mcp-Method` and `Mcp-Name` with the body. Values are case-sensitive.

    Raises HeaderMismatch or InvalidParams, as `check_request` does.

    `Mcp-Param-*` headers depend on the schema of the tool that is called, so the registry that knows it compares those.
    """
    method = request.method
    if method_header is None:
        raise HeaderMismatch("The Mcp-Method header is missing.")
    # Equal bytes are looked at first: they spare nearly every request the decoding.
    if method_header != method.encode() and plain_header_value(method_header) != method:
        raise HeaderMismatch('The Mcp-Method header differs from "method".')
    member = NAMED_BY.get(method)
    if member is not None:
        check_mirrored_name(request, member, name_header)


def check_mirrored_name(request: Request, member: str, name_header: bytes | None) -> None:
    """Compare `Mcp-Name` with the parameter that it mirrors. Raises HeaderMismatch or InvalidParams."""
    name = request.params.get(member)
    if type(name) is not str:
        raise InvalidParams(f'"params.{member}" must be a string.')
    if name_header is None:
        raise HeaderMismatch("The Mcp-Name header is missing.")
    is_verbatim = name_header == name.encode() and name.isascii() and not name_header.startswith(b"=?")
    if not is_verbatim and decode_header_value(name_header) != name:
        raise HeaderMismatch(f'The Mcp-Name header differs from "params.{member}".')
