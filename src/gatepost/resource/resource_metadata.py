"""Protected resource metadata: where a client's discovery starts (RFC 9728 sections 2 and 3)."""

from __future__ import annotations

from gatepost.resource.resources import ProtectedResource

WELL_KNOWN_PATH = "/.well-known/oauth-protected-resource"


def resource_metadata(resource: ProtectedResource, *, issuer: str) -> dict[str, object]:
    """Return the members of a resource's metadata document.

    `offline_access` is not among the scopes: it is no permission of the resource (MCP authorization, refresh tokens).

    Args:
        resource: the MCP endpoint.
        issuer: its authorization server.
    """
    return {
        "resource": resource.identifier,
        "authorization_servers": [issuer],
        "scopes_supported": list(resource.scopes),
        "bearer_methods_supported": ["header"],  # RFC 6750 section 2.1; neither body nor query
        "resource_name": resource.name,
    }


def metadata_url(resource: ProtectedResource) -> str:
    """Return where that document is: the well-known path stands between host and path (RFC 9728 section 3.1)."""
    path = resource.path.rstrip("/")
    return resource.identifier.removesuffix(path) + WELL_KNOWN_PATH + path
