"""Grants and codes in the database of a server that has not been started, and what is in it after the server died."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TypeVar

from gatepost.oauth.records import AccessToken, Grant, IssuedTokens, RefreshToken
from gatepost.stores.conformance.records import client, code, transaction
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import file_store
from gatepost.tokens.opaque import SecretKind, fingerprint, identifier, mint
from tests.end_to_end.running_server import RunningServer
from tests.web.oauth.token_harness import CHALLENGE, VERIFIER

REDIRECT_URI = "http://127.0.0.1:4711/callback"
CLIENT = client("client-1", token_endpoint_auth_method="none", secret_fingerprint=None)
FAR = 4_000_000_000  # seconds UTC

Answer = TypeVar("Answer")


def with_store(server: RunningServer, operation: Callable[[Store], Awaitable[Answer]]) -> Answer:
    """Do something with the database of a server."""

    async def run() -> Answer:
        store = file_store(server.data / "gatepost.db")
        await store.open()
        try:
            return await operation(store)
        finally:
            await store.close()

    return asyncio.run(run())


def grant_tokens(server: RunningServer, pieces: int) -> list[dict[str, str]]:
    """Keep grants and return their tokens."""

    async def operation(store: Store) -> list[dict[str, str]]:
        await store.clients.register_client(CLIENT)
        kept = []
        for _ in range(pieces):
            grant_id = identifier("grant_", secrets.token_bytes)
            tokens = {
                "access_token": mint(SecretKind.ACCESS_TOKEN, secrets.token_bytes),
                "refresh_token": mint(SecretKind.REFRESH_TOKEN, secrets.token_bytes),
            }
            access = AccessToken(fingerprint(tokens["access_token"]), grant_id, (), 0, FAR)
            refresh = RefreshToken(fingerprint(tokens["refresh_token"]), grant_id, 0, FAR)
            grant = Grant(grant_id, "user-1", CLIENT.client_id, server.mcp_url, (), 0, FAR)
            await store.approvals.give_grant(grant, IssuedTokens(access, refresh))
            kept.append(tokens)
        return kept

    return with_store(server, operation)


def approved_codes(server: RunningServer, pieces: int) -> list[str]:
    """Keep approved authorization requests and return their codes."""

    async def operation(store: Store) -> list[str]:
        await store.clients.register_client(CLIENT)
        codes = []
        for number in range(pieces):
            secret = mint(SecretKind.AUTHORIZATION_CODE, secrets.token_bytes)
            name = f"transaction-{number}"
            await store.transactions.begin_transaction(transaction(name, expires_at=FAR, resource=server.mcp_url))
            record = code("", name, resource=server.mcp_url, expires_at=FAR, code_challenge=CHALLENGE)
            await store.transactions.approve_transaction(replace(record, code_fingerprint=fingerprint(secret)), now=0)
            codes.append(secret)
        return codes

    return with_store(server, operation)


def code_form(secret: str) -> dict[str, str]:
    """Return the token request for a code."""
    return {
        "grant_type": "authorization_code",
        "code": secret,
        "redirect_uri": REDIRECT_URI,
        "code_verifier": VERIFIER,
        "client_id": CLIENT.client_id,
    }


def refresh_form(token: str) -> dict[str, str]:
    """Return the token request for a refresh token."""
    return {"grant_type": "refresh_token", "refresh_token": token, "client_id": CLIENT.client_id}


def revoke_form(token: str) -> dict[str, str]:
    """Return the revocation request for a token."""
    return {"token": token, "client_id": CLIENT.client_id}


async def is_alive(store: Store, token: str) -> bool:
    """Say whether an access token counts."""
    live = await store.grants.find_access_token(fingerprint(token), now=1)
    return live is not None and not live.grant_revoked


async def alive(store: Store, tokens: Sequence[str]) -> list[bool]:
    """Say which access tokens count."""
    return [await is_alive(store, token) for token in tokens]


async def count_live_grants(store: Store) -> int:
    """Return how many grants are alive."""
    return len(await store.approvals.list_grants(live_at=1, subject=None, client_id=None, limit=1000))


def nothing_is_half_there(server: RunningServer) -> None:
    """Check that there is no grant without its tokens, and no token or code without its grant or successor."""
    with closing(sqlite3.connect(server.data / "gatepost.db")) as database:
        for table in ("access_tokens", "refresh_tokens"):
            (without,) = database.execute(
                f"SELECT count(*) FROM grants WHERE grant_id NOT IN (SELECT grant_id FROM {table})"  # noqa: S608 - ours
            ).fetchone()
            assert without == 0, table
        (dangling,) = database.execute(
            "SELECT count(*) FROM authorization_codes "
            "WHERE grant_id IS NOT NULL AND grant_id NOT IN (SELECT grant_id FROM grants)"
        ).fetchone()
        assert dangling == 0
        (lost,) = database.execute(
            "SELECT count(*) FROM refresh_tokens WHERE successor_fingerprint IS NOT NULL "
            "AND successor_fingerprint NOT IN (SELECT token_fingerprint FROM refresh_tokens)"
        ).fetchone()
        assert lost == 0
