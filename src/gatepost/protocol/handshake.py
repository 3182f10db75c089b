"""The handshake era: `initialize` agrees on a revision, a header names it from then on (2025-11-25 basic/lifecycle)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatepost.protocol.errors import InvalidParams, UnsupportedProtocolVersion
from gatepost.protocol.messages import Request
from gatepost.protocol.versions import ASSUMED, HANDSHAKE, LATEST_HANDSHAKE, SUPPORTED, Revision


def revision_of_request(request: Request, header_version: str | None) -> Revision:
    """Return the revision that `request` is in: for `initialize`, the one to answer it in.

    That is the one the client proposes, or else the newest of this era: a client that cannot speak the answer goes away
    (basic/lifecycle, "Version Negotiation"), so an unknown proposal is no error. Raises InvalidParams for an
    `initialize` that proposes nothing, and as `revision_in_header` does.
    """
    if request.method != "initialize":
        return revision_in_header(header_version)
    version = request.params.get("protocolVersion")
    if type(version) is not str:
        raise InvalidParams('"params.protocolVersion" must be a string.', data={"supported": list(SUPPORTED)})
    return HANDSHAKE.get(version, LATEST_HANDSHAKE)


def revision_in_header(header_version: str | None) -> Revision:
    """Return the revision that a message after `initialize` is in, by its `MCP-Protocol-Version`; None when absent.

    Raises UnsupportedProtocolVersion if that names no revision of this era.
    """
    if header_version is None:
        return ASSUMED
    revision = HANDSHAKE.get(header_version)
    if revision is None:
        raise UnsupportedProtocolVersion(header_version, supported=SUPPORTED)
    return revision


def agreement(params: Mapping[str, Any], result: object, revision: Revision) -> tuple[Revision, Mapping[str, Any]]:
    """Return the revision that an `initialize` agreed on, and the capabilities that the client declared.

    It negotiated `revision`; a bare function that answered with `result` may have agreed on something else.
    """
    agreed = result.get("protocolVersion") if isinstance(result, dict) else None
    capabilities = params.get("capabilities")
    return HANDSHAKE.get(str(agreed), revision), capabilities if type(capabilities) is dict else {}


def initialize_result(
    revision: Revision,
    *,
    capabilities: Mapping[str, Any],
    server_info: Mapping[str, Any],
    instructions: str | None,
) -> dict[str, Any]:
    """Return an `InitializeResult`; `server_info` is an `Implementation` in the newest revision's shape."""
    result: dict[str, Any] = {
        "protocolVersion": revision.version,
        "capabilities": capabilities,
        "serverInfo": {name: value for name, value in server_info.items() if name in revision.implementation_fields},
    }
    if instructions is not None:
        result["instructions"] = instructions
    return result
