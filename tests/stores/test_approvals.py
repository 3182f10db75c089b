"""Grants as people and operators see them, on every backend."""

from gatepost.stores.contract.approvals import GrantListing
from gatepost.stores.contract.store import Store
from tests.stores.sample_records import NOW, client, find_refresh_token, fp, grant, redeem, tokens, user


async def test_a_grant_without_a_code_has_its_tokens(store: Store) -> None:
    await store.approvals.give_grant(grant(), tokens("given"))

    live = await store.grants.find_access_token(fp("access given"), now=NOW)
    assert live is not None
    assert live.grant_id == "grant-1"
    refresh = await find_refresh_token(store, fp("refresh given"))
    assert refresh == tokens("given").refresh


async def test_a_grant_is_found_by_either_token_whatever_became_of_it(store: Store) -> None:
    granted = await redeem(store)
    await store.grants.revoke_grant(granted.grant_id, reason="asked", now=NOW)

    for token in ("access 1", "refresh 1"):
        found = await store.approvals.find_grant_of_token(fp(token))
        assert found is not None
        assert (found.grant_id, found.revoked_at, found.revoked_reason) == ("grant-1", NOW, "asked")
    assert await store.approvals.find_grant_of_token(fp("access 2")) is None


async def test_grants_are_listed_with_names_the_newest_first(store: Store) -> None:
    await store.clients.register_client(client())
    await store.users.add_user(user())
    old = await redeem(store, "1")
    new = await redeem(store, "2", created_at=NOW + 1, subject="elsewhere", client_id="client-2")

    listed = await store.approvals.list_grants(live_at=None, subject=None, client_id=None, limit=10)

    assert listed == [GrantListing(new, None, None), GrantListing(old, client().client_name, "ada")]


async def test_a_list_can_be_narrowed_to_what_lives_and_to_a_user_a_client_a_number(store: Store) -> None:
    for name, subject, client_id in (("1", "a", "x"), ("2", "a", "y"), ("3", "b", "x"), ("4", "b", "y")):
        await redeem(store, name, subject=subject, client_id=client_id)
    await redeem(store, "5", subject="a", client_id="x", expires_at=NOW + 1)
    await store.grants.revoke_grant("grant-1", reason="asked", now=NOW)

    async def names(
        live_at: int | None = None, subject: str | None = None, client_id: str | None = None, limit: int = 10
    ) -> list[str]:
        listed = await store.approvals.list_grants(live_at=live_at, subject=subject, client_id=client_id, limit=limit)
        return [listing.grant.grant_id[-1] for listing in listed]

    assert await names() == ["1", "2", "3", "4", "5"]
    assert await names(live_at=NOW) == ["2", "3", "4", "5"]
    assert await names(live_at=NOW + 1) == ["2", "3", "4"]
    assert await names(subject="a") == ["1", "2", "5"]
    assert await names(client_id="x") == ["1", "3", "5"]
    assert await names(live_at=NOW, subject="a", client_id="x") == ["5"]
    assert await names(limit=2) == ["1", "2"]
