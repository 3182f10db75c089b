"""Protected resources: the MCP endpoints that tokens are for (RFC 8707 section 2, RFC 9728 section 1.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProtectedResource:
    """One MCP endpoint as tokens see it."""

    identifier: str
    """The canonical URL, such as `https://mcp.example.com/mcp`: the audience of its tokens."""
    path: str
    """The URL's path, such as `/mcp`."""
    name: str
    """For people."""
    scopes: Mapping[str, str]
    """Every scope it knows, in the order shown, each with the words the consent page uses."""

    @property
    def default_scopes(self) -> tuple[str, ...]:
        """What a client that names no scope asks for."""
        return tuple(self.scopes)
