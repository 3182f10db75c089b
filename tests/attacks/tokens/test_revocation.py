"""Revocation (security.md row 15; RFC 7009): whose tokens die, whose do not, and when 200 is true."""

from __future__ import annotations

import asyncio
import base64

import pytest

from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.store import Store
from tests.web.oauth.token_harness import MAIL, Harness, refusal, token_harness

SECRET = "gp_cs_" + "s" * 43


@pytest.mark.parametrize("token", ["access_token", "refresh_token"])
@pytest.mark.parametrize("hint", [None, "access_token", "refresh_token", "nonsense"])
async def test_either_token_of_a_public_client_ends_the_whole_grant_without_a_secret(
    harness: Harness, token: str, hint: str | None
) -> None:
    client = await harness.register()
    tokens = await harness.begin(client)

    response = await harness.revoke(client, tokens[token], token_type_hint=hint)

    assert (response.status_code, response.content) == (200, b"")
    assert not await harness.is_alive(tokens["access_token"])
    assert refusal(await harness.refresh(client, tokens["refresh_token"])) == (400, "invalid_grant")
    assert harness.revocations == [harness.now]


async def test_a_public_client_has_to_name_itself(harness: Harness) -> None:
    client = await harness.register()
    tokens = await harness.begin(client)

    response = await harness.revoke(client, tokens["access_token"], client_id=None)

    assert refusal(response) == (400, "invalid_request")
    assert await harness.is_alive(tokens["access_token"])


@pytest.mark.parametrize("token", ["access_token", "refresh_token"])
async def test_another_clients_token_stays_as_it_is(harness: Harness, token: str) -> None:
    owner, thief = await harness.register(), await harness.register()
    tokens = await harness.begin(owner)

    assert refusal(await harness.revoke(thief, tokens[token])) == (400, "invalid_grant")

    assert await harness.is_alive(tokens["access_token"])
    assert (await harness.refresh(owner, tokens["refresh_token"])).status_code == 200
    assert harness.revocations == []


async def test_a_confidential_client_has_to_prove_who_it_is(harness: Harness) -> None:
    client = await harness.register(method="client_secret_basic", secret=SECRET)
    good = {"Authorization": "Basic " + base64.b64encode(f"{client.client_id}:{SECRET}".encode()).decode()}
    bad = {"Authorization": "Basic " + base64.b64encode(f"{client.client_id}:guess".encode()).decode()}
    code = await harness.approve(client)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": "https://app.example/callback"}
    form["code_verifier"] = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    token = (await harness.post(form, headers=good)).json()["access_token"]

    unproven = await harness.revoke(client, token)
    wrong = await harness.http.post("/oauth/revoke", data={"token": token}, headers=bad)

    assert refusal(unproven) == refusal(wrong) == (401, "invalid_client")
    assert "www-authenticate" not in unproven.headers
    assert wrong.headers["www-authenticate"].startswith("Basic ")
    assert await harness.is_alive(token)
    assert (await harness.http.post("/oauth/revoke", data={"token": token}, headers=good)).status_code == 200
    assert not await harness.is_alive(token)


@pytest.mark.parametrize("token", ["unknown", "gp_at_" + "A" * 43, "gp_rt_" + "A" * 43, "eyJhbGciOiJub25lIn0.e30."])
async def test_what_is_no_token_is_dead_enough(harness: Harness, token: str) -> None:
    client = await harness.register()
    assert (await harness.revoke(client, token)).status_code == 200
    assert harness.revocations == []


async def test_revoking_twice_is_fine_and_keeps_the_first_reason(harness: Harness) -> None:
    client = await harness.register()
    tokens = await harness.begin(client)
    for token in (tokens["refresh_token"], tokens["access_token"]):
        assert (await harness.revoke(client, token)).status_code == 200
    (listing,) = await harness.store.approvals.list_grants(live_at=None, subject=None, client_id=None, limit=9)
    assert (listing.grant.revoked_at, listing.grant.revoked_reason) == (harness.now, "client_revoked")


async def test_an_access_token_that_has_expired_still_ends_its_grant(harness: Harness) -> None:
    """A client that logs out late believes that all is over when it gets its 200."""
    client = await harness.register()
    tokens = await harness.begin(client)
    harness.now += 3600
    assert (await harness.revoke(client, tokens["access_token"])).status_code == 200
    assert refusal(await harness.refresh(client, tokens["refresh_token"])) == (400, "invalid_grant")


async def test_a_rotated_refresh_token_still_ends_its_grant(harness: Harness) -> None:
    client = await harness.register()
    first = await harness.begin(client)
    second = (await harness.refresh(client, first["refresh_token"])).json()
    assert (await harness.revoke(client, first["refresh_token"])).status_code == 200
    assert not await harness.is_alive(second["access_token"])


async def test_only_the_grant_of_the_token_ends(harness: Harness) -> None:
    client = await harness.register()
    tokens, other = await harness.begin(client), await harness.begin(client)
    await harness.revoke(client, tokens["access_token"])
    assert await harness.is_alive(other["access_token"])


async def test_a_token_is_asked_for_once_in_a_form_by_post(harness: Harness) -> None:
    client = await harness.register()
    missing = await harness.revoke(client, "", token=None)
    assert refusal(missing) == (400, "invalid_request")
    twice = await harness.http.post(
        "/oauth/revoke",
        content=f"client_id={client.client_id}&token=a&token=b",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert refusal(twice) == (400, "invalid_request")
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE"):
        refused = await harness.http.request(method, "/oauth/revoke", params={"token": "x"})
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


async def test_a_store_that_fails_is_no_revocation(store: Store) -> None:
    class Failing:
        """Everything works but the write."""

        def __getattr__(self, name: str) -> object:
            return getattr(store.grants, name)

        async def revoke_grant(self, grant_id: str, *, reason: str, now: int) -> bool:
            raise StoreUnavailable(f"{grant_id} {reason} {now}")

    async with token_harness(store, grants=Failing()) as harness:  # type: ignore[arg-type] # the rest is the store's own
        client = await harness.register()
        tokens = await harness.begin(client)
        response = await harness.revoke(client, tokens["access_token"])
        assert refusal(response) == (503, "temporarily_unavailable")
        assert response.headers["retry-after"] == "5"
        assert await harness.is_alive(tokens["access_token"])
        assert harness.revocations == []


async def test_a_refresh_that_meets_a_revocation_leaves_nothing_alive(harness: Harness) -> None:
    client = await harness.register()
    tokens = await harness.begin(client)
    answers = await asyncio.gather(
        *(harness.refresh(client, tokens["refresh_token"]) for _ in range(5)),
        harness.revoke(client, tokens["refresh_token"]),
        *(harness.refresh(client, tokens["refresh_token"]) for _ in range(5)),
    )
    assert answers[5].status_code == 200
    for answer in answers:
        if answer.status_code == 200 and answer.content:
            assert not await harness.is_alive(answer.json()["access_token"])
            late = await harness.refresh(client, answer.json()["refresh_token"])
            assert refusal(late) == (400, "invalid_grant")


async def test_a_token_of_any_resource_can_be_given_back(harness: Harness) -> None:
    client = await harness.register()
    code = await harness.approve(client, resource=MAIL.identifier)
    token = (await harness.redeem(client, code)).json()["access_token"]
    await harness.revoke(client, token)
    assert not await harness.is_alive(token)
