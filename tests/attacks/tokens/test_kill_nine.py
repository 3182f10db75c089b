"""SIGKILL of a real server in the middle of issuing, rotating and revoking (security.md, faults; rows 15 and 18).

Several clients work at once, and the server dies as soon as some of them have their answers. After a restart: what was
answered is true, and who got no answer can go on or begin again. Nothing is half there.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest

from gatepost.oauth.records import AccessToken, AuthorizationCode, Grant, IssuedTokens, RefreshToken
from gatepost.stores.protocols import Store
from gatepost.stores.sql import SqliteStore
from gatepost.tokens.opaque import SecretKind, fingerprint, identifier, mint
from tests.end_to_end.running_server import RunningServer
from tests.stores.sample_records import client, code, transaction
from tests.web.token_harness import CHALLENGE, VERIFIER

TARGET = "tests/end_to_end/sample_server.py:server"
PIECES = 30
ANSWERED_FIRST = 8
"""So many answers are waited for before the server dies."""
WORKERS = 4
REDIRECT_URI = "http://127.0.0.1:4711/callback"
CLIENT = client("client-1", token_endpoint_auth_method="none", secret_fingerprint=None)
FAR = 4_000_000_000  # seconds UTC

Answer = TypeVar("Answer")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A server that has not been started yet."""
    running = RunningServer(TARGET, tmp_path / "data", environment={"OAUTH_LIMIT_FACTOR": "0"})
    yield running
    running.stop()


def with_store(server: RunningServer, operation: Callable[[Store], Awaitable[Answer]]) -> Answer:
    async def run() -> Answer:
        store = SqliteStore(server.data / "gatepost.db")
        await store.open()
        try:
            return await operation(store)
        finally:
            await store.close()

    return asyncio.run(run())


def grant_tokens(server: RunningServer) -> list[dict[str, str]]:
    """Keep grants and return their tokens."""

    async def operation(store: Store) -> list[dict[str, str]]:
        await store.clients.register_client(CLIENT)
        kept = []
        for _ in range(PIECES):
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


def approved_codes(server: RunningServer) -> list[str]:
    """Keep approved authorization requests and return their codes."""

    async def operation(store: Store) -> list[str]:
        await store.clients.register_client(CLIENT)
        codes = []
        for number in range(PIECES):
            secret = mint(SecretKind.AUTHORIZATION_CODE, secrets.token_bytes)
            name = f"transaction-{number}"
            await store.transactions.begin_transaction(transaction(name, expires_at=FAR, resource=server.mcp_url))
            record: AuthorizationCode = code(
                "", name, resource=server.mcp_url, expires_at=FAR, code_challenge=CHALLENGE
            )
            await store.transactions.approve_transaction(
                AuthorizationCode(**{**_members(record), "code_fingerprint": fingerprint(secret)}), now=0
            )
            codes.append(secret)
        return codes

    return with_store(server, operation)


def _members(record: AuthorizationCode) -> dict[str, Any]:
    return {name: getattr(record, name) for name in AuthorizationCode.__slots__}


@dataclass
class Answers:
    """What the clients got before the server died, by what they had sent."""

    given: dict[str, httpx2.Response] = field(default_factory=dict)
    enough: threading.Event = field(default_factory=threading.Event)


def work_until_death(server: RunningServer, path: str, forms: Mapping[str, dict[str, str]]) -> Answers:
    """Send the forms from several clients at once, kill the server in the middle, and start it again."""
    answers = Answers()

    def work(share: Sequence[str]) -> None:
        with httpx2.Client(base_url=server.origin) as http:
            for name in share:
                try:
                    answers.given[name] = http.post(path, data=forms[name])
                except httpx2.TransportError:
                    return  # it is dead
                if len(answers.given) >= ANSWERED_FIRST:
                    answers.enough.set()

    server.start()
    names = list(forms)
    with ThreadPoolExecutor(WORKERS) as pool:
        working = [pool.submit(work, names[number::WORKERS]) for number in range(WORKERS)]
        assert answers.enough.wait(60)
        server.kill()
        for one in working:
            one.result(60)
    server.start()
    assert {answer.status_code for answer in answers.given.values()} == {200}
    assert len(answers.given) >= ANSWERED_FIRST
    return answers


def post(server: RunningServer, path: str, form: dict[str, str]) -> httpx2.Response:
    return httpx2.post(server.origin + path, data=form)


def is_alive(store: Store, token: str) -> Awaitable[bool]:
    async def look() -> bool:
        live = await store.grants.find_access_token(fingerprint(token), now=1)
        return live is not None and not live.grant_revoked

    return look()


async def alive(store: Store, tokens: Sequence[str]) -> list[bool]:
    return [await is_alive(store, token) for token in tokens]


def nothing_is_half_there(server: RunningServer) -> None:
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


@pytest.mark.parametrize("sent", ["access_token", "refresh_token"])
def test_a_revocation_that_was_answered_outlives_the_server(server: RunningServer, sent: str) -> None:
    grants = grant_tokens(server)
    forms = {tokens[sent]: {"token": tokens[sent], "client_id": CLIENT.client_id} for tokens in grants}

    answers = work_until_death(server, "/oauth/revoke", forms)

    revoked = [tokens["access_token"] for tokens in grants if tokens[sent] in answers.given]
    assert not any(with_store(server, lambda store: alive(store, revoked)))
    for tokens in grants:
        assert post(server, "/oauth/revoke", forms[tokens[sent]]).status_code == 200
    every = [tokens["access_token"] for tokens in grants]
    assert not any(with_store(server, lambda store: alive(store, every)))
    nothing_is_half_there(server)


def test_whoever_was_rotating_goes_on_with_the_token_it_holds(server: RunningServer) -> None:
    grants = grant_tokens(server)
    forms = {
        tokens["refresh_token"]: {
            "grant_type": "refresh_token",
            "refresh_token": tokens["refresh_token"],
            "client_id": CLIENT.client_id,
        }
        for tokens in grants
    }

    answers = work_until_death(server, "/oauth/token", forms)

    nothing_is_half_there(server)
    went_on = []
    for token, form in forms.items():
        held = answers.given[token].json()["refresh_token"] if token in answers.given else token
        answer = post(server, "/oauth/token", {**form, "refresh_token": held})
        assert answer.status_code == 200, answer.text
        went_on.append(answer.json()["access_token"])
    assert all(with_store(server, lambda store: alive(store, went_on)))
    nothing_is_half_there(server)


def test_a_code_gave_its_tokens_or_nothing(server: RunningServer) -> None:
    forms = {
        secret: {
            "grant_type": "authorization_code",
            "code": secret,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": VERIFIER,
            "client_id": CLIENT.client_id,
        }
        for secret in approved_codes(server)
    }

    answers = work_until_death(server, "/oauth/token", forms)

    nothing_is_half_there(server)
    given = [answer.json()["access_token"] for answer in answers.given.values()]
    assert all(with_store(server, lambda store: alive(store, given)))
    again = [post(server, "/oauth/token", form) for secret, form in forms.items() if secret not in answers.given]
    # Whose answer was lost sends a code that is spent: that is a replay, and ends the grant it never got to use.
    assert {answer.status_code for answer in again} <= {200, 400}
    fresh = [answer.json()["access_token"] for answer in again if answer.status_code == 200]
    assert all(with_store(server, lambda store: alive(store, fresh)))

    async def live_grants(store: Store) -> int:
        return len(await store.approvals.list_grants(live_at=1, subject=None, client_id=None, limit=1000))

    assert with_store(server, live_grants) == len(given) + len(fresh)
    nothing_is_half_there(server)
