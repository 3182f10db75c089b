"""The rows of clients in SQL."""

from __future__ import annotations

import json

from gatepost.oauth.records import Client, ClientOrigin
from gatepost.stores.sql.database import Row, Transaction, Value


async def select_client(transaction: Transaction, client_id: str) -> Client | None:
    """Return the client, or None."""
    row = await transaction.one("SELECT * FROM clients WHERE client_id = $1", client_id)
    return None if row is None else client_of(row)


def registered_values(client: Client) -> tuple[Value, ...]:
    """Return the columns that a client may change itself, after its id."""
    return (
        client.client_id,
        client.client_name,
        json.dumps(client.redirect_uris),
        json.dumps(client.grant_types),
        json.dumps(client.response_types),
        client.token_endpoint_auth_method,
        client.application_type,
        client.scope,
        client.client_uri,
        client.logo_uri,
        client.secret_fingerprint,
        client.jwks,
        client.jwks_uri,
        client.registration_token_fingerprint,
    )


def client_values(client: Client) -> tuple[Value, ...]:
    """Return all columns."""
    return (*registered_values(client), client.created_at, client.origin.value, client.disabled_at)


def client_of(row: Row) -> Client:
    """Return the client whose columns the row has."""
    return Client(
        client_id=row["client_id"],
        client_name=row["client_name"],
        redirect_uris=tuple(json.loads(row["redirect_uris"])),
        grant_types=tuple(json.loads(row["grant_types"])),
        response_types=tuple(json.loads(row["response_types"])),
        token_endpoint_auth_method=row["token_endpoint_auth_method"],
        application_type=row["application_type"],
        scope=row["scope"],
        client_uri=row["client_uri"],
        logo_uri=row["logo_uri"],
        secret_fingerprint=row["secret_fingerprint"],
        created_at=row["created_at"],
        jwks=row["jwks"],
        jwks_uri=row["jwks_uri"],
        origin=ClientOrigin(row["origin"]),
        registration_token_fingerprint=row["registration_token_fingerprint"],
        disabled_at=row["disabled_at"],
    )
