"""The `WWW-Authenticate` values of a protected resource (RFC 6750 section 3, RFC 9728 section 5.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable

# RFC 6750 section 3 keeps quotes, backslashes and everything outside printable ASCII out of its attribute values,
# so nothing ever has to be escaped. It is also what keeps a line break from starting a header of its own.
_NOT_ALLOWED = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")


def bearer_challenge(
    *,
    resource_metadata: str | None,
    scopes: Iterable[str],
    error: str | None = None,
    error_description: str | None = None,
) -> str:
    """Return a Bearer challenge, ready to be a header's value.

    Args:
        resource_metadata: The URL of the resource's metadata (RFC 9728 section 5.1): where a client's discovery starts.
            None when there is nothing to discover, because only an operator's key opens the resource.
        scopes: What an access token needs for this request, all of it, in the order shown; may be empty.
        error: `invalid_request`, `invalid_token` or `insufficient_scope`; None when the request carried no
            credentials, because then there is nothing wrong to report (RFC 6750 section 3.1).
        error_description: A sentence for the client's developer.
    """
    attributes = {
        # A challenge needs an attribute (RFC 6750 section 3), and here there may be no other.
        "realm": "mcp" if resource_metadata is None else None,
        "error": error,
        "error_description": error_description,
        "resource_metadata": resource_metadata,
        "scope": " ".join(scopes),
    }
    return "Bearer " + ", ".join(f'{name}="{sanitised(value)}"' for name, value in attributes.items() if value)


def sanitised(value: str) -> str:
    """Return `value` with every character that RFC 6750 section 3 forbids in an attribute replaced by `?`."""
    return _NOT_ALLOWED.sub("?", value)
