"""Two apps over one PostgreSQL database: what is taken away at one does not count at the other from then on.

The clock stands still, so nothing here is forgotten because its time is over.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from uuid import uuid4

import pytest

from gatepost.assembly.hearing import Hearing
from gatepost.assembly.installation import Installation, install
from gatepost.configuration.settings import load_settings
from gatepost.oauth.records import AccessToken, IssuedTokens
from gatepost.server.changes.bus import Change, LocalChanges
from gatepost.server.changes.pace import ChangePace
from gatepost.server.server import Server
from gatepost.stores.conformance.records import NOW, client, grant, user
from gatepost.stores.contract.api_keys import ApiKey
from gatepost.stores.contract.store import Store
from gatepost.stores.signing_keys import SigningKeys, rotate
from gatepost.tokens.opaque import SecretKind, fingerprint, mint
from gatepost.web.resource.bearer_guard import BearerGuard
from gatepost.web.resource.refused import BearerRefused
from tests.conftest import RequireService
from tests.ears import Ears
from tests.patience import PATIENCE
from tests.stores import postgresql_server
from tests.stores.sql.postgresql.processes import end_listeners

ORIGIN = "http://127.0.0.1:8000"


async def until(condition: Callable[[], bool]) -> None:
    """Wait until it is so; there is no event for what one app does about the other."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - as it says
            await asyncio.sleep(0.01)


async def until_keys(keys: SigningKeys, expected: set[str]) -> None:
    """Likewise, until these are the keys."""
    async with asyncio.timeout(PATIENCE):
        while set((await keys.current()).keys) != expected:  # noqa: ASYNC110 - as it says
            await asyncio.sleep(0.01)


@pytest.fixture
def database_url(require_service: RequireService) -> Iterator[str]:
    require_service("PostgreSQL", available=postgresql_server.is_there())
    with postgresql_server.schema(f"gatepost_test_{uuid4().hex}") as url:
        yield url


def an_app(database_url: str) -> Installation:
    settings = load_settings(
        {
            "MCP_STORAGE_URL": database_url,
            "MCP_SEALING_KEYS": "ring-0123456789abcdefghijklmnopqrstuvwxyzABCDEF",
            "OAUTH_ACCESS_TOKEN_FORMAT": "jwt",
            "OAUTH_AUTO_APPROVE": "false",
        },
        env_file=None,
    )
    return install(Server("Notes"), settings, now=lambda: NOW)


@pytest.fixture
async def apps(database_url: str) -> AsyncIterator[tuple[Installation, Installation]]:
    """Both run and hear each other."""
    one, other = an_app(database_url), an_app(database_url)
    async with one.running(), other.running():
        await until(lambda: one.core.store.wakeups.are_heard and other.core.store.wakeups.are_heard)
        yield one, other


def guard_of(app: Installation) -> BearerGuard:
    guard = app.resources._guard(app.resources.endpoints[0], ORIGIN)
    assert guard is not None
    return guard


async def a_token(app: Installation) -> bytes:
    """Issue an opaque token, and return the header with it."""
    store, token = app.core.store, mint(SecretKind.ACCESS_TOKEN, secrets.token_bytes)
    resource = app.resources.endpoints[0].at(ORIGIN).identifier
    await store.clients.register_client(client())
    await store.users.add_user(user())
    access = AccessToken(fingerprint(token), "grant-1", ("mcp",), NOW, NOW + 3600)
    await store.approvals.give_grant(grant(resource=resource), IssuedTokens(access, None))
    return f"Bearer {token}".encode()


TAKING: dict[str, Callable[[Store], Awaitable[object]]] = {
    "the grant is revoked": lambda store: store.grants.revoke_grant("grant-1", reason="revoked", now=NOW),
    "the person is disabled": lambda store: store.users.disable_user("user-1", now=NOW),
    "the app is disabled": lambda store: store.clients.disable_client("client-1", now=NOW),
    "the app is removed": lambda store: store.clients.remove_client("client-1", now=NOW),
    "everything is revoked": lambda store: store.approvals.revoke_all(issued_before=None, reason="all", now=NOW),
}


@pytest.mark.parametrize("what", TAKING)
async def test_what_is_taken_away_at_one_app_counts_at_the_other_no_more(
    apps: tuple[Installation, Installation], what: str
) -> None:
    one, other = apps
    guard, authorization = guard_of(one), await a_token(other)
    assert (await guard.verify([(b"authorization", authorization)], b"")).subject == "user-1"
    assert guard.cached(authorization) is not None
    await TAKING[what](other.core.store)
    await until(lambda: guard.cached(authorization) is None)
    with pytest.raises(BearerRefused):
        await guard.verify([(b"authorization", authorization)], b"")


async def test_an_api_key_that_is_revoked_at_one_app_counts_at_the_other_no_more(
    apps: tuple[Installation, Installation],
) -> None:
    one, other = apps
    guard, key = guard_of(one), mint(SecretKind.API_KEY, secrets.token_bytes)
    resource = one.resources.endpoints[0].at(ORIGIN).identifier
    await other.core.store.api_keys.add_key(ApiKey("key-1", "backup", fingerprint(key), None, ("mcp",), resource, NOW))
    authorization = f"Bearer {key}".encode()
    assert (await guard.verify([(b"authorization", authorization)], b"")).client_id == "key-1"
    await other.core.store.api_keys.revoke_key("backup", now=NOW)
    await until(lambda: guard.cached(authorization) is None)
    with pytest.raises(BearerRefused):
        await guard.verify([(b"authorization", authorization)], b"")


async def test_signing_keys_that_come_and_go_at_one_app_do_so_at_the_other(
    apps: tuple[Installation, Installation],
) -> None:
    one, other = apps
    keys = one.core.signing_keys
    assert keys is not None
    [first] = (await keys.current()).keys
    guard, authorization = guard_of(one), await a_token(other)
    await guard.verify([(b"authorization", authorization)], b"")
    added = await rotate(
        other.core.store.keys,
        other.core.key_ring,
        algorithm="ES256",
        token_lifetime=60,
        now=NOW,
        random_bytes=secrets.token_bytes,
        at_once=True,
    )
    await until_keys(keys, {first, added.key_id})
    assert guard.cached(authorization) is not None
    await other.core.store.keys.retire_signing_key(first, now=NOW)
    await until_keys(keys, {added.key_id})
    await until(lambda: guard.cached(authorization) is None)


@pytest.mark.parametrize(("are_heard", "forgotten"), [(True, [""]), (False, [])])
async def test_what_was_verified_is_forgotten_when_others_are_heard_again_and_not_when_they_are_heard_no_more(
    *, are_heard: bool, forgotten: list[str]
) -> None:
    """The moment at which the database is away is the wrong one for asking it about every token."""
    ears, forgets = Ears(are_heard), list[str]()
    hearing = Hearing(
        wakeups=ears,
        handshake_eras=(),
        forget_verified_tokens=forgets.append,
        signing_keys=None,
        pace=ChangePace(ears),
    )
    hearing.on_gap()
    assert forgets == forgotten


async def test_what_changes_at_one_app_is_heard_at_the_other(apps: tuple[Installation, Installation]) -> None:
    buses = [app.resources.endpoints[0].changes for app in apps]
    one, other = (bus for bus in buses if isinstance(bus, LocalChanges))
    heard: list[Change] = []
    one.listen(heard.append)
    other.publish(Change("tools"))
    await until(lambda: heard == [Change("tools")])


async def test_a_process_that_has_missed_something_trusts_nothing_that_it_knew(
    apps: tuple[Installation, Installation], database_url: str
) -> None:
    one, other = apps
    guard, authorization = guard_of(one), await a_token(other)
    await guard.verify([(b"authorization", authorization)], b"")
    end_listeners(database_url)
    await until(lambda: guard.cached(authorization) is None)
