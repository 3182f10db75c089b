"""Refreshing: honest clients stay logged in, thieves are caught (security.md rows 16 to 19)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gatepost.identity.entry import Entry
from gatepost.oauth.limits import TOKENS_OF_CLIENT, Use
from gatepost.oauth.records import IssuedTokens
from gatepost.stores.conformance.records import find_refresh_token
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.grants import Rotation
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.users import LOCAL, User
from gatepost.stores.sql.sqlite import file_store, memory_store
from gatepost.tokens.opaque import fingerprint
from tests.web.oauth.token_harness import MAIL, NOTES, Harness, refusal, token_harness

INVALID_GRANT = (400, "invalid_grant")


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    async with token_harness(memory_store()) as harness:
        yield harness


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store: Store = memory_store() if request.param == "memory" else file_store(tmp_path / "store.db")
    await store.open()
    yield store
    await store.close()


def reasons(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the reasons of the refusals that were logged."""
    return [record.__dict__["reason"] for record in caplog.records]


async def test_a_refresh_answers_a_new_pair_and_the_old_access_token_lives_on(harness: Harness) -> None:
    client = await harness.register()
    first = await harness.begin(client)
    harness.now += 10
    second = (await harness.refresh(client, first["refresh_token"])).json()
    assert set(second) == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert (second["token_type"], second["expires_in"], second["scope"]) == ("Bearer", 3600, "notes:read notes:write")
    assert first["access_token"] != second["access_token"]
    assert first["refresh_token"] != second["refresh_token"]
    assert await harness.is_alive(first["access_token"])
    assert await harness.is_alive(second["access_token"])


async def test_inside_the_window_the_same_token_is_answered_with_the_same_successor(store: Store) -> None:
    async with token_harness(store) as harness:
        client = await harness.register()
        first = await harness.begin(client)
        second = (await harness.refresh(client, first["refresh_token"])).json()
        harness.now += 120
        again = (await harness.refresh(client, first["refresh_token"])).json()
        assert again == second | {"expires_in": 3480}
        assert (await harness.refresh(client, again["refresh_token"])).status_code == 200


async def test_after_the_window_the_same_token_is_reuse_and_ends_the_family(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="gatepost.web")
    client = await harness.register()
    first = await harness.begin(client)
    second = (await harness.refresh(client, first["refresh_token"])).json()
    unrelated = await harness.begin(client)
    harness.now += 121
    assert refusal(await harness.refresh(client, first["refresh_token"])) == INVALID_GRANT
    assert harness.revocations == [harness.now]
    assert not await harness.is_alive(second["access_token"])
    assert refusal(await harness.refresh(client, second["refresh_token"])) == INVALID_GRANT
    assert reasons(caplog) == ["refresh_token_reused", "grant_revoked"]
    assert await harness.is_alive(unrelated["access_token"])


async def test_once_the_successor_has_been_used_its_predecessor_is_reuse_even_inside_the_window(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="gatepost.web")
    client = await harness.register()
    first = await harness.begin(client)
    second = (await harness.refresh(client, first["refresh_token"])).json()
    third = (await harness.refresh(client, second["refresh_token"])).json()
    assert refusal(await harness.refresh(client, first["refresh_token"])) == INVALID_GRANT
    assert reasons(caplog) == ["refresh_token_reused"]
    assert not await harness.is_alive(third["access_token"])


async def test_parallel_refreshes_of_one_token_all_get_the_same_working_pair(store: Store) -> None:
    async with token_harness(store) as harness:
        client = await harness.register()
        first = await harness.begin(client)
        responses = await asyncio.gather(*(harness.refresh(client, first["refresh_token"]) for _ in range(20)))
        answers = {response.status_code: response.json() for response in responses}
        assert set(answers) == {200}
        assert all(response.json() == answers[200] for response in responses)
        assert await harness.is_alive(answers[200]["access_token"])
        assert (await harness.refresh(client, answers[200]["refresh_token"])).status_code == 200


async def test_a_client_that_has_had_its_tokens_is_refused_only_with_a_token_of_its_own_and_loses_nothing() -> None:
    async with token_harness(memory_store(), is_limited=True) as harness:
        client = await harness.register()
        tokens = await harness.begin(client)
        harness.now += 600
        spent = Use(f"token:client:{client.client_id}", TOKENS_OF_CLIENT, TOKENS_OF_CLIENT.uses)
        assert await harness.store.limits.take([spent], now=harness.now) == 0

        assert (await harness.refresh(client, "gp_rt_unknown")).status_code == 400  # a stranger's, counted by address
        refused = await harness.refresh(client, tokens["refresh_token"])
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        harness.now += 1
        assert (await harness.refresh(client, tokens["refresh_token"])).status_code == 200


async def test_a_narrower_scope_narrows_the_access_token_and_not_the_family(harness: Harness) -> None:
    client = await harness.register()
    first = await harness.begin(client)
    second = (await harness.refresh(client, first["refresh_token"], scope=" notes:read")).json()
    live = await harness.store.grants.find_access_token(fingerprint(second["access_token"]), now=harness.now)
    assert live is not None
    assert (second["scope"], live.scopes) == ("notes:read", ("notes:read",))
    third = (await harness.refresh(client, second["refresh_token"])).json()
    assert third["scope"] == "notes:read notes:write"


async def test_a_repeated_answer_says_which_scopes_it_has(harness: Harness) -> None:
    """The second caller asks for everything and gets the pair that the first one narrowed: `scope` tells."""
    client = await harness.register()
    first = await harness.begin(client)
    narrowed = (await harness.refresh(client, first["refresh_token"], scope="notes:read")).json()
    assert (await harness.refresh(client, first["refresh_token"])).json() == narrowed


@pytest.mark.parametrize(
    ("parameter", "value", "expected"),
    [
        ("scope", "notes:read mail:read", (400, "invalid_scope")),
        ("scope", "admin", (400, "invalid_scope")),
        ("scope", 'notes:"read"', (400, "invalid_scope")),
        ("resource", MAIL.identifier, (400, "invalid_target")),
        ("resource", "https://evil.example/mcp", (400, "invalid_target")),
    ],
)
async def test_a_wider_scope_or_a_foreign_resource_is_refused_and_does_not_rotate(
    harness: Harness, parameter: str, value: str, expected: tuple[int, str]
) -> None:
    client = await harness.register()
    first = await harness.begin(client)
    assert refusal(await harness.refresh(client, first["refresh_token"], **{parameter: value})) == expected
    row = await find_refresh_token(harness.store, fingerprint(first["refresh_token"]))
    assert row is not None
    assert row.spent_at is None


async def test_every_spelling_of_the_granted_resource_is_accepted(harness: Harness) -> None:
    client = await harness.register()
    first = await harness.begin(client)
    response = await harness.refresh(client, first["refresh_token"], resource=NOTES.identifier + "/")
    assert response.status_code == 200


async def test_another_clients_token_is_refused_and_the_family_goes_on(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="gatepost.web")
    owner, thief = await harness.register(), await harness.register()
    first = await harness.begin(owner)
    second = (await harness.refresh(owner, first["refresh_token"])).json()
    harness.now += 121
    # The first is an unspent token, the second would be reuse if its owner sent it.
    assert refusal(await harness.refresh(thief, second["refresh_token"])) == INVALID_GRANT
    assert refusal(await harness.refresh(thief, first["refresh_token"])) == INVALID_GRANT
    assert reasons(caplog) == ["refresh_token_of_another_client"] * 2
    assert (await harness.refresh(owner, second["refresh_token"])).status_code == 200


async def test_unknown_tokens_and_tokens_of_other_kinds_are_refused(harness: Harness) -> None:
    client = await harness.register()
    answer = await harness.begin(client)
    for token in ("gp_rt_unknown", answer["access_token"], "x"):
        assert refusal(await harness.refresh(client, token)) == INVALID_GRANT


async def test_a_token_that_was_idle_too_long_or_whose_grant_is_over_is_refused(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="gatepost.web")
    client = await harness.register()
    idle, busy = await harness.begin(client), await harness.begin(client)
    began = harness.now
    answer = busy
    while harness.now + 80_000 < began + 864_000:
        harness.now += 80_000
        response = await harness.refresh(client, answer["refresh_token"])
        answer = response.json()
        assert response.status_code == 200
    # Near its end a grant gives shorter tokens.
    harness.now = began + 864_000 - 100
    last = (await harness.refresh(client, answer["refresh_token"])).json()
    assert last["expires_in"] == 100
    harness.now += 100
    assert refusal(await harness.refresh(client, last["refresh_token"])) == INVALID_GRANT
    harness.now = began + 86_400
    assert refusal(await harness.refresh(client, idle["refresh_token"])) == INVALID_GRANT
    assert reasons(caplog) == ["grant_expired", "refresh_token_expired"]


async def test_a_disabled_account_cannot_refresh(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="gatepost.web")
    await harness.store.users.add_user(User("user-1", LOCAL, "user-1", harness.now, username="ann"))
    client = await harness.register()
    first = await harness.begin(client)
    await harness.store.users.disable_user("user-1", now=harness.now)
    assert refusal(await harness.refresh(client, first["refresh_token"])) == INVALID_GRANT
    assert reasons(caplog) == ["grant_revoked"]


async def test_a_grant_revoked_between_look_up_and_rotation_gives_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="gatepost.web")
    store = memory_store()
    rotate = store.grants.rotate_refresh_token

    async def revoked_first(
        token_fingerprint: bytes, successor: IssuedTokens, sealed_successor: bytes, **options: Any
    ) -> Rotation:
        await store.grants.revoke_grant(successor.access.grant_id, reason="test", now=options["now"])
        return await rotate(token_fingerprint, successor, sealed_successor, **options)

    async with token_harness(store, entry=Entry(lambda _: True)) as harness:
        # The operator's function is asked between the two.
        await store.users.recognise_user("issuer", "7", display_name="Ann", subjects=("user-1",), now=harness.now)
        client = await harness.register()
        first = await harness.begin(client)
        monkeypatch.setattr(store.grants, "rotate_refresh_token", revoked_first)
        assert refusal(await harness.refresh(client, first["refresh_token"])) == INVALID_GRANT
        assert reasons(caplog) == ["grant_revoked"]


async def test_a_store_fault_at_the_rotation_leaves_the_client_with_a_token_that_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fails(*_: object, **__: object) -> Rotation:
        raise StoreUnavailable("the disk is full")

    store = memory_store()
    async with token_harness(store) as harness:
        client = await harness.register()
        first = await harness.begin(client)
        with monkeypatch.context() as patch:
            patch.setattr(store.grants, "refresh_at_once", fails)
            assert refusal(await harness.refresh(client, first["refresh_token"])) == (503, "temporarily_unavailable")
        assert (await harness.refresh(client, first["refresh_token"])).status_code == 200


async def test_a_rotation_that_was_written_but_reported_as_failed_is_answered_at_the_next_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = memory_store()
    rotate = store.grants.refresh_at_once

    async def written_then_lost(*arguments: Any, **options: Any) -> None:
        await rotate(*arguments, **options)
        raise StoreUnavailable("the connection broke after the commit")

    async with token_harness(store) as harness:
        client = await harness.register()
        first = await harness.begin(client)
        with monkeypatch.context() as patch:
            patch.setattr(store.grants, "refresh_at_once", written_then_lost)
            assert (await harness.refresh(client, first["refresh_token"])).status_code == 503
        second = (await harness.refresh(client, first["refresh_token"])).json()
        assert await harness.is_alive(second["access_token"])
        assert (await harness.refresh(client, second["refresh_token"])).status_code == 200


async def test_the_store_holds_neither_half_of_a_sealed_successor(harness: Harness) -> None:
    client = await harness.register()
    first = await harness.begin(client)
    second = (await harness.refresh(client, first["refresh_token"])).json()
    row = await find_refresh_token(harness.store, fingerprint(first["refresh_token"]))
    assert row is not None
    assert row.sealed_successor is not None
    for secret in (first["refresh_token"], second["access_token"], second["refresh_token"]):
        assert secret.encode() not in row.sealed_successor
        assert secret[6:30].encode() not in row.sealed_successor
