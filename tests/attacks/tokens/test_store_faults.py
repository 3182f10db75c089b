"""A store that fails at any step of an exchange (security.md row 18, faults): 503, and nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest

from gatepost.identity.entry import ANYBODY, Entry
from gatepost.oauth.records import Client
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.store import Store
from tests.web.oauth.token_harness import Harness, refusal, token_harness


class Failing:
    """The store's grants, one operation of which fails once: before it is done, or after it."""

    def __init__(self, store: Store, operation: str, *, is_done: bool) -> None:
        self._grants = store.grants
        self._operation = operation
        self._is_done = is_done
        self.is_armed = False

    def __getattr__(self, name: str) -> Any:
        """Return the store's own operation, or the one that fails."""
        own = getattr(self._grants, name)
        if name != self._operation or not self.is_armed:
            return own

        async def fail(*arguments: Any, **named: Any) -> None:
            self.is_armed = False
            if self._is_done:
                await own(*arguments, **named)
            raise StoreUnavailable("the disk is full")

        return fail


def unavailable(response: Any) -> None:
    assert refusal(response) == (503, "temporarily_unavailable")
    assert response.headers["retry-after"] == "5"


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("operation", ["refresh_at_once", "rotate_refresh_token"])
async def test_a_client_goes_on_with_the_refresh_token_it_holds(store: Store, operation: str, is_done: bool) -> None:
    grants = Failing(store, operation, is_done=is_done)
    # Where the operator's function is asked who may enter, looking up and rotating are two steps.
    entry = Entry(lambda _: True) if operation == "rotate_refresh_token" else ANYBODY
    async with token_harness(store, grants=grants, entry=entry) as harness:
        await store.users.recognise_user("issuer", "7", display_name="Ann", subjects=("user-1",), now=harness.now)
        client = await harness.register()
        tokens = await harness.begin(client)
        grants.is_armed = True
        unavailable(await harness.refresh(client, tokens["refresh_token"]))
        assert await harness.is_alive(tokens["access_token"])

        again = await harness.refresh(client, tokens["refresh_token"])

        assert again.status_code == 200
        assert await harness.is_alive(again.json()["access_token"])
        onward = await harness.refresh(client, again.json()["refresh_token"])
        assert onward.status_code == 200


@pytest.mark.parametrize("operation", ["find_code_and_client", "redeem_code"])
async def test_a_code_stays_good_when_nothing_was_written(store: Store, operation: str) -> None:
    grants = Failing(store, operation, is_done=False)
    async with token_harness(store, grants=grants) as harness:
        client = await harness.register()
        code = await harness.approve(client)
        grants.is_armed = True
        unavailable(await harness.redeem(client, code))
        assert (await harness.redeem(client, code)).status_code == 200


async def test_a_code_whose_answer_was_lost_leaves_no_grant_behind(store: Store) -> None:
    """The client sends the code again, which is a replay: whoever has the lost tokens cannot use them."""
    grants = Failing(store, "redeem_code", is_done=True)
    async with token_harness(store, grants=grants) as harness:
        client = await harness.register()
        code = await harness.approve(client)
        grants.is_armed = True
        unavailable(await harness.redeem(client, code))
        assert refusal(await harness.redeem(client, code)) == (400, "invalid_grant")
        assert await store.approvals.list_grants(live_at=harness.now, subject=None, client_id=None, limit=9) == []


@pytest.mark.parametrize("operation", ["revoke_grant", "count_failed_redemption"])
async def test_a_refusal_whose_mark_cannot_be_kept_is_no_refusal_yet(store: Store, operation: str) -> None:
    grants = Failing(store, operation, is_done=False)
    async with token_harness(store, grants=grants) as harness:
        client = await harness.register()
        code = await harness.approve(client)
        if operation == "revoke_grant":
            tokens = (await harness.redeem(client, code)).json()
            grants.is_armed = True
            unavailable(await harness.redeem(client, code))
            assert refusal(await harness.redeem(client, code)) == (400, "invalid_grant")
            assert not await harness.is_alive(tokens["access_token"])
        else:
            grants.is_armed = True
            unavailable(await harness.redeem(client, code, code_verifier="v" * 43))
            assert (await harness.redeem(client, code)).status_code == 200


async def test_a_store_that_is_down_is_never_a_wrong_client(store: Store) -> None:
    class Down:
        async def find_client(self, client_id: str) -> None:
            raise StoreUnavailable(client_id)

        async def complete_client(self, client_id: str, registered: Client | None) -> Client | None:
            raise StoreUnavailable(client_id, registered)

    async with token_harness(store, clients=Down()) as harness:
        client = await harness.register(method="client_secret_post", secret="gp_cs_" + "s" * 43)
        for path in ("/oauth/token", "/oauth/revoke", "/oauth/introspect"):
            unavailable(await _post(harness, path, client.client_id))


async def _post(harness: Harness, path: str, client_id: str) -> Any:
    form = {"grant_type": "refresh_token", "refresh_token": "x", "token": "x", "client_id": client_id}
    return await harness.http.post(path, data=form)
