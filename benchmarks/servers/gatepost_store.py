"""Fill Gatepost's SQLite store: live access tokens, codes that wait to be redeemed, and a crowd of other users' tokens.

Runs in Gatepost's environment, on a database that no server has open. Prints what a caller needs, one item a line:
access tokens for `--tokens`, codes for `--codes`, and a spread sample of access tokens for `--clones`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import itertools
import secrets
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from gatepost.oauth.issuing import Tokens, begin_grant, mint_tokens
from gatepost.oauth.policy import Lifetimes
from gatepost.oauth.records import AuthorizationCode, AuthorizationTransaction, Client
from gatepost.stores.contract.grants import RedeemOutcome
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.transactions import ApproveOutcome
from gatepost.stores.sql.sqlite import file_store
from gatepost.tokens.opaque import SecretKind, fingerprint, identifier, mint

CLIENT_ID = "client_benchmark"
REDIRECT_URI = "http://127.0.0.1:9/callback"
VERIFIER = "benchmark-verifier-0123456789-0123456789-0123456789"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
SAMPLE = 20_000
"""Of a crowd's tokens, how many are printed, spread over all of it."""

_BATCH = 512
_ROWS = 20_000
_CACHE_KIBIBYTES = 1024 * 1024
"""Room for the whole database: keys are random, so every page is written to again and again."""
_SUBJECTS = 128
"""Tokens for `--tokens` belong to so many users, in turn: 5,000 streams stay below the bound of 64 a user."""


def main() -> None:
    """Fill the database that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database", type=Path)
    parser.add_argument("--resource", required=True)
    parser.add_argument("--tokens", type=int, default=0)
    parser.add_argument("--codes", type=int, default=0)
    parser.add_argument("--clones", type=int, default=0)
    options = parser.parse_args()
    asyncio.run(fill(options))
    if options.clones:
        with closing(sqlite3.connect(options.database, isolation_level=None)) as connection:
            sys.stdout.writelines(f"{token}\n" for token in clone_tokens(connection, options.clones))


async def fill(options: argparse.Namespace) -> None:
    """Register the client and create tokens and codes through the store's own operations."""
    store = file_store(options.database)
    await store.open()
    try:
        if await store.clients.find_client(CLIENT_ID) is None:
            await store.clients.register_client(new_client())
        # A crowd is cloned from one row.
        tokens = options.tokens + (1 if options.clones else 0)
        for size in _batches(tokens):
            batch = await asyncio.gather(*(new_tokens(store, options.resource, index) for index in range(size)))
            if options.tokens:
                sys.stdout.writelines(f"{tokens.access_token}\n" for tokens in batch)
        for size in _batches(options.codes):
            codes = await asyncio.gather(*(new_code(store, options.resource, index) for index in range(size)))
            sys.stdout.writelines(f"{code}\n" for code, _ in codes)
    finally:
        await store.close()


def _batches(count: int) -> Iterator[int]:
    while count > 0:
        yield min(count, _BATCH)
        count -= _BATCH


def new_client() -> Client:
    """Return a public client that refreshes."""
    return Client(
        client_id=CLIENT_ID,
        client_name="Benchmark",
        redirect_uris=(REDIRECT_URI,),
        grant_types=("authorization_code", "refresh_token"),
        response_types=("code",),
        token_endpoint_auth_method="none",
        application_type="native",
        scope=None,
        client_uri=None,
        logo_uri=None,
        jwks=None,
        jwks_uri=None,
        secret_fingerprint=None,
        created_at=int(time.time()),
    )


async def new_code(store: Store, resource: str, index: int) -> tuple[str, AuthorizationCode]:
    """Go through a transaction and its approval; return the code in clear and its row."""
    now = int(time.time())
    lifetimes = Lifetimes()
    transaction = AuthorizationTransaction(
        transaction_id=identifier("txn_", secrets.token_bytes),
        browser_id="benchmark",
        client_id=CLIENT_ID,
        redirect_uri=REDIRECT_URI,
        redirect_uri_was_sent=True,
        scopes=(),
        resource=resource,
        code_challenge=CHALLENGE,
        client_state=None,
        created_at=now,
        expires_at=now + lifetimes.transaction,
    )
    await store.transactions.begin_transaction(transaction)
    code = mint(SecretKind.AUTHORIZATION_CODE, secrets.token_bytes)
    row = AuthorizationCode(
        code_fingerprint=fingerprint(code),
        transaction_id=transaction.transaction_id,
        client_id=CLIENT_ID,
        redirect_uri=REDIRECT_URI,
        redirect_uri_was_sent=True,
        scopes=(),
        resource=resource,
        code_challenge=CHALLENGE,
        subject=f"user_{index % _SUBJECTS}",
        created_at=now,
        expires_at=now + lifetimes.authorization_code,
    )
    if await store.transactions.approve_transaction(row, now=now) is not ApproveOutcome.APPROVED:
        raise RuntimeError("a fresh transaction could not be approved")
    return code, row


async def new_tokens(store: Store, resource: str, index: int) -> Tokens:
    """Redeem a new code; return the tokens in clear. They live for a day, so that no run outlives them."""
    _, code = await new_code(store, resource, index)
    now = int(time.time())
    lifetimes = replace(Lifetimes(), access_token=24 * 3600)
    grant = begin_grant(code, now=now, lifetimes=lifetimes, random_bytes=secrets.token_bytes)
    tokens, rows = mint_tokens(
        grant,
        scopes=grant.scopes,
        with_refresh_token=True,
        now=now,
        lifetimes=lifetimes,
        random_bytes=secrets.token_bytes,
    )
    if await store.grants.redeem_code(code.code_fingerprint, grant, rows, now=now) is not RedeemOutcome.REDEEMED:
        raise RuntimeError("a fresh code could not be redeemed")
    return tokens


def clone_tokens(connection: sqlite3.Connection, count: int) -> Iterator[str]:
    """Add `count` access tokens, each under a grant and a user of its own, as copies of rows that the store wrote.

    Through the store's operations a million of them would take minutes. What a column holds is the store's business,
    so rows are copied whole and only their keys replaced.
    """
    connection.row_factory = sqlite3.Row
    # Nobody relies on this file before we are done.
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIBIBYTES}")
    access = connection.execute("SELECT * FROM access_tokens ORDER BY created_at DESC LIMIT 1").fetchone()
    grant = connection.execute("SELECT * FROM grants WHERE grant_id = ?", (access["grant_id"],)).fetchone()
    every = max(1, count // SAMPLE)
    for start in range(0, count, _ROWS):
        grants, tokens = [], []
        for index in range(start, min(start + _ROWS, count)):
            token = mint(SecretKind.ACCESS_TOKEN, secrets.token_bytes)
            grant_id = identifier("grant_", secrets.token_bytes)
            grants.append({**dict(grant), "grant_id": grant_id, "subject": f"crowd_{index}"})
            tokens.append({**dict(access), "grant_id": grant_id, "token_fingerprint": fingerprint(token)})
            if index % every == 0:
                yield token
        connection.execute("BEGIN IMMEDIATE")
        _insert(connection, "grants", grants)
        _insert(connection, "access_tokens", tokens)
        connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _insert(connection: sqlite3.Connection, table: str, rows: list[dict[str, object]]) -> None:
    columns = list(rows[0])
    places = ", ".join(itertools.repeat("?", len(columns)))
    # Names of the database's own columns, not input.
    statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608
    connection.executemany(statement, (tuple(row.values()) for row in rows))


if __name__ == "__main__":
    main()
