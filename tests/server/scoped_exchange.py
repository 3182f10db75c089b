"""Exchanges of callers who were granted certain scopes."""

from __future__ import annotations

from dataclasses import replace

from gatepost.resource.principal import Principal
from gatepost.server.calls.exchange import Exchange

SOMEBODY = Principal(
    subject="somebody",
    client_id="client",
    scopes=frozenset(),
    resource="https://notes.example/mcp",
    issuer="https://notes.example",
    grant_id=None,
    expires_at=None,
)


def exchange_of(principal: Principal | None = None, *, granted: frozenset[str] | None = None) -> Exchange:
    """The exchange of this caller, or of somebody; scopes count when `granted` says so."""
    return Exchange(principal if granted is None else replace(principal or SOMEBODY, scopes=granted))
