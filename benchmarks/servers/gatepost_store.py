"""Fill a store of Gatepost's: live access tokens, codes that wait to be redeemed, and a crowd of other users' tokens.

Runs in Gatepost's environment, on a database that no server has open: a file of SQLite, or the URL of any store. Prints
what a caller needs, one item a line: access tokens for `--tokens`, codes for `--codes`, and a spread sample of access
tokens for `--clones`.
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
from gatepost.stores.urls import locate
from gatepost.tokens.opaque import SecretKind, fingerprint, identifier, mint

CLIENT_ID = "client_benchmark"
REDIRECT_URI = "http://127.0.0.1:9/callback"
VERIFIER = "benchmark-verifier-0123456789-0123456789-0123456789"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
SAMPLE = 20_000
"""Of a crowd's tokens, how many are printed, spread over all of it."""

_BATCH = 512
_FEW = 8
"""Where each operation is a transaction beside the others, in place of one queue."""
_ROWS = 20_000
_CACHE_KIBIBYTES = 1024 * 1024
"""Room for the whole database: keys are random, so every page is written to again and again."""
_MONTH = 30 * 24 * 3600
_NEWEST = "SELECT * FROM access_tokens ORDER BY created_at DESC LIMIT 1"
_GRANT = "SELECT * FROM grants WHERE grant_id ="
_SUBJECTS = 256
"""Tokens for `--tokens` belong to so many users, in turn: 10,000 streams stay below the bound of 64 a user."""


def main() -> None:
    """Fill the database that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database")
    parser.add_argument("--resource", required=True)
    parser.add_argument("--tokens", type=int, default=0)
    parser.add_argument("--codes", type=int, default=0)
    parser.add_argument("--clones", type=int, default=0)
    parser.add_argument("--ended", action="store_true", help="the clones' grants and tokens ended a month ago")
    options = parser.parse_args()
    asyncio.run(fill(options))
    if not options.clones:
        return
    ended = int(time.time()) - _MONTH if options.ended else None
    if options.database.startswith("postgresql:"):
        asyncio.run(clone_tokens_in_postgresql(options.database, options.clones, ended))
        return
    file = options.database.removeprefix("sqlite:///")
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        sys.stdout.writelines(f"{token}\n" for token in clone_tokens(connection, options.clones, ended))


async def fill(options: argparse.Namespace) -> None:
    """Register the client and create tokens and codes through the store's own operations."""
    is_url = "://" in options.database
    store = locate(options.database).make_store() if is_url else file_store(Path(options.database))
    await store.open()
    try:
        if await store.clients.find_client(CLIENT_ID) is None:
            await store.clients.register_client(new_client())
        # A crowd is cloned from one row.
        tokens = options.tokens + (1 if options.clones else 0)
        at_once = _FEW if is_url else _BATCH
        for size in _batches(tokens, at_once):
            batch = await asyncio.gather(*(new_tokens(store, options.resource, index) for index in range(size)))
            if options.tokens:
                sys.stdout.writelines(f"{tokens.access_token}\n" for tokens in batch)
        for size in _batches(options.codes, at_once):
            codes = await asyncio.gather(*(new_code(store, options.resource, index) for index in range(size)))
            sys.stdout.writelines(f"{code}\n" for code, _ in codes)
    finally:
        await store.close()


def _batches(count: int, at_once: int) -> Iterator[int]:
    while count > 0:
        yield min(count, at_once)
        count -= at_once


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
        dpop_bound_access_tokens=False,
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


async def new_tokens(store: Store, resource: str, index: int, dpop_jkt: str | None = None) -> Tokens:
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
        dpop_jkt=dpop_jkt,
    )
    if await store.grants.redeem_code(code.code_fingerprint, grant, rows, now=now) is not RedeemOutcome.REDEEMED:
        raise RuntimeError("a fresh code could not be redeemed")
    return tokens


def clone_tokens(connection: sqlite3.Connection, count: int, ended: int | None) -> Iterator[str]:
    """Add `count` access tokens, each under a grant and a user of its own, as copies of rows that the store wrote.

    Through the store's operations a million of them would take minutes. What a column holds is the store's business,
    so rows are copied whole and only their keys replaced, and where they `ended` their ends.
    """
    connection.row_factory = sqlite3.Row
    # Nobody relies on this file before we are done.
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIBIBYTES}")
    access = dict(connection.execute(_NEWEST).fetchone())
    grant = dict(connection.execute(f"{_GRANT} ?", (access["grant_id"],)).fetchone())
    for grants, tokens, sample in _copies(grant, access, count, ended):
        connection.execute("BEGIN IMMEDIATE")
        _insert(connection, "grants", grants)
        _insert(connection, "access_tokens", tokens)
        connection.execute("COMMIT")
        yield from sample
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def clone_tokens_in_postgresql(url: str, count: int, ended: int | None) -> None:
    """Do the same there, and print the sample."""
    import asyncpg  # noqa: PLC0415 - the driver is an extra

    connection = await asyncpg.connect(url)
    access = dict(await connection.fetchrow(_NEWEST))
    grant = dict(await connection.fetchrow(f"{_GRANT} $1", access["grant_id"]))
    for grants, tokens, sample in _copies(grant, access, count, ended):
        for table, rows in (("grants", grants), ("access_tokens", tokens)):
            columns = list(rows[0])
            records = [tuple(row.values()) for row in rows]
            await connection.copy_records_to_table(table, records=records, columns=columns)
        sys.stdout.writelines(f"{token}\n" for token in sample)
    await connection.execute("ANALYZE grants, access_tokens")
    await connection.close()


_Rows = list[dict[str, object]]


def _copies(
    grant: dict[str, object], access: dict[str, object], count: int, ended: int | None
) -> Iterator[tuple[_Rows, _Rows, list[str]]]:
    """Yield rows of grants and of their tokens, some thousand at a time, and a sample of the tokens in clear."""
    every = max(1, count // SAMPLE)
    if ended is not None:
        grant, access = {**grant, "expires_at": ended}, {**access, "expires_at": ended}
    for start in range(0, count, _ROWS):
        grants: _Rows = []
        tokens: _Rows = []
        sample = []
        for index in range(start, min(start + _ROWS, count)):
            token = mint(SecretKind.ACCESS_TOKEN, secrets.token_bytes)
            grant_id = identifier("grant_", secrets.token_bytes)
            grants.append({**grant, "grant_id": grant_id, "subject": f"crowd_{index}"})
            tokens.append({**access, "grant_id": grant_id, "token_fingerprint": fingerprint(token)})
            if index % every == 0:
                sample.append(token)
        yield grants, tokens, sample


def _insert(connection: sqlite3.Connection, table: str, rows: list[dict[str, object]]) -> None:
    columns = list(rows[0])
    places = ", ".join(itertools.repeat("?", len(columns)))
    # Names of the database's own columns, not input.
    statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608
    connection.executemany(statement, (tuple(row.values()) for row in rows))


if __name__ == "__main__":
    main()
