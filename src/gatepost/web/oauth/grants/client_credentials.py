"""A registered machine gets a token for itself (RFC 6749 section 4.4, MCP's OAuth client credentials extension)."""

from __future__ import annotations

from typing import Final

from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.client_credentials import check_machine, client_gone, machine_grant, machine_scopes
from gatepost.oauth.errors import InvalidTarget
from gatepost.oauth.issuing import Tokens
from gatepost.oauth.operator_clients import CLIENT_CREDENTIALS as NAME
from gatepost.oauth.reasons import Reason
from gatepost.resource.resources import find_resource
from gatepost.web.oauth.grants.grant_type import GrantType, TokenIssuer, TokenRequest


async def give_client_grant(issuer: TokenIssuer, request: TokenRequest) -> Tokens:
    """Return an access token whose subject is the client."""
    # 1. Only clients that the operator registered, and only what exists.
    check_machine(request.client)
    resource = find_resource(issuer.resources, request.parameters.get("resource"))
    if resource is None:
        raise InvalidTarget(Reason.RESOURCE_UNKNOWN, "resource is not one of this server's; send it exactly.")

    # 2. The rules decide what the token is for.
    scopes = machine_scopes(
        request.parameters.get("scope"), client=request.client, known=resource.scopes, default=resource.default_scopes
    )
    grant = machine_grant(
        request.client,
        resource=resource.identifier,
        scopes=scopes,
        now=request.now,
        lifetimes=issuer.lifetimes,
        random_bytes=issuer.random_bytes,
    )
    tokens, rows = await issuer.mint(request, grant, scopes=scopes, with_refresh_token=False)

    # 3. Keep both, unless the client was shut out a moment ago.
    if not await issuer.store.clients.give_client_grant(grant, rows):
        raise client_gone()
    issuer.note_issued(request, AuditEvent.CLIENT_CREDENTIALS, grant)
    return tokens


CLIENT_CREDENTIALS: Final = GrantType(NAME, give_client_grant, is_registrable=False, parameters={})
