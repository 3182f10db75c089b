"""Hostile token requests on every store (security.md rows 10 to 12, 14, 16, 17 and 19)."""

from __future__ import annotations

import asyncio
import base64
from typing import Any
from urllib.parse import quote

import pytest

from gatepost.oauth.codes import MAX_FAILED_REDEMPTIONS
from tests.web.oauth.token_harness import LIFETIMES, MAIL, VERIFIER, Harness, checked, refusal

INVALID_GRANT = (400, "invalid_grant")
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"redirect_uri": "https://app.example/callback/"}, "invalid_grant"),
        ({"redirect_uri": "https://APP.example/callback"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_grant"),
        ({"resource": MAIL.identifier}, "invalid_target"),
        ({"resource": "https://evil.example/mcp"}, "invalid_target"),
        ({"code_verifier": None}, "invalid_request"),
    ],
)
async def test_a_mistake_about_a_code_leaves_it_good(harness: Harness, changes: dict[str, Any], error: str) -> None:
    client = await harness.register()
    code = await harness.approve(client)

    for _ in range(MAX_FAILED_REDEMPTIONS + 1):
        assert refusal(await harness.redeem(client, code, **changes)) == (400, error)

    assert (await harness.redeem(client, code)).status_code == 200


async def test_a_verifier_is_guessed_a_few_times_even_by_many_at_once(harness: Harness) -> None:
    client = await harness.register()
    code = await harness.approve(client)
    guesses = [VERIFIER[:-2] + format(number, "02d") for number in range(20)]

    answers = await asyncio.gather(*(harness.redeem(client, code, code_verifier=guess) for guess in guesses))

    assert {refusal(answer) for answer in answers} == {INVALID_GRANT}
    assert refusal(await harness.redeem(client, code)) == INVALID_GRANT


@pytest.mark.parametrize("verifier", ["", "a" * 42, "a" * 129, VERIFIER + "=", VERIFIER.swapcase(), f" {VERIFIER}"])
async def test_no_other_verifier_opens_a_code(harness: Harness, verifier: str) -> None:
    client = await harness.register()
    code = await harness.approve(client)
    assert (await harness.redeem(client, code, code_verifier=verifier)).status_code == 400
    assert (await harness.redeem(client, code)).status_code == 200


async def test_a_stolen_code_is_nothing_to_another_client_and_the_owner_goes_on(harness: Harness) -> None:
    owner, thief = await harness.register(), await harness.register(method="client_secret_post", secret="s")
    code = await harness.approve(owner)

    for changes in ({"client_secret": "s"}, {"client_secret": "s", "redirect_uri": None, "code_verifier": "x" * 43}):
        assert refusal(await harness.redeem(thief, code, **changes)) == INVALID_GRANT
    tokens = (await harness.redeem(owner, code)).json()
    # Spent or not, it is not the thief's: it must not be able to end the owner's grant by a replay either.
    assert refusal(await harness.redeem(thief, code, client_secret="s")) == INVALID_GRANT

    assert await harness.is_alive(tokens["access_token"])
    assert (await harness.refresh(owner, tokens["refresh_token"])).status_code == 200


@pytest.mark.parametrize(
    ("grant_type", "expected"),
    [
        ("password", (400, "unsupported_grant_type")),
        ("implicit", (400, "unsupported_grant_type")),
        ("AUTHORIZATION_CODE", (400, "unsupported_grant_type")),
        ("authorization_code refresh_token", (400, "unsupported_grant_type")),
        ("urn:ietf:params:oauth:grant-type:jwt-bearer", (400, "unsupported_grant_type")),
        ("client_credentials", (400, "unauthorized_client")),
        ("", (400, "invalid_request")),
    ],
)
async def test_only_grant_types_that_exist_and_are_registered_count(
    harness: Harness, grant_type: str, expected: tuple[int, str]
) -> None:
    client = await harness.register(method="client_secret_post", secret="s")
    form = {"grant_type": grant_type, "client_id": client.client_id, "client_secret": "s"}
    assert refusal(await harness.post(form)) == expected


async def test_a_client_without_the_refresh_grant_cannot_use_a_refresh_token(harness: Harness) -> None:
    other = await harness.begin(await harness.register())
    client = await harness.register(grant_types=["authorization_code"])
    assert refusal(await harness.refresh(client, other["refresh_token"])) == (400, "unauthorized_client")


@pytest.mark.parametrize("secret", ["", "wrong", "s ", "S", "s" * 5000])
async def test_a_wrong_secret_is_401_with_a_challenge_where_basic_was_used(harness: Harness, secret: str) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "gp_rt_x"}
    in_header = await harness.register(method="client_secret_basic", secret="s")
    credentials = base64.b64encode(f"{in_header.client_id}:{quote(secret)}".encode()).decode()
    answer = await harness.post(form, headers={"Authorization": f"Basic {credentials}"})
    assert refusal(answer) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic")

    in_body = await harness.register(method="client_secret_post", secret="s")
    answer = await harness.post({**form, "client_id": in_body.client_id, "client_secret": secret})
    assert answer.status_code in {400, 401}
    assert answer.json()["error"] == "invalid_client"


async def test_two_clients_in_one_request_are_none(harness: Harness) -> None:
    mine = await harness.register(method="client_secret_basic", secret="s")
    other = await harness.register()
    credentials = base64.b64encode(f"{mine.client_id}:s".encode()).decode()
    form = {"grant_type": "refresh_token", "refresh_token": "gp_rt_x"}
    for more in ({"client_id": other.client_id}, {"client_id": mine.client_id, "client_secret": "s"}):
        answer = await harness.post({**form, **more}, headers={"Authorization": f"Basic {credentials}"})
        assert answer.status_code in {400, 401}
        assert answer.json()["error"] in {"invalid_request", "invalid_client"}


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "application/json"}, '{"grant_type": "refresh_token"}'),
        ({"Content-Type": "multipart/form-data; boundary=x"}, "--x--"),
        ({"Content-Type": "text/plain"}, "grant_type=refresh_token"),
        ({}, "grant_type=refresh_token"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "grant_type=refresh_token&grant_type=refresh_token"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "grant_type=refresh_token&%67rant_type=x"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "grant_type=%ff"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, ""),
    ],
)
async def test_whatever_is_sent_no_answer_is_kept_by_a_cache(
    harness: Harness, headers: dict[str, str], body: str
) -> None:
    answer = checked(await harness.http.post("/oauth/token", content=body, headers=headers))
    assert answer.status_code in {400, 401}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
async def test_parameters_in_a_url_are_refused_and_not_kept(harness: Harness, method: str) -> None:
    client = await harness.register()
    code = await harness.approve(client)
    query = {"grant_type": "authorization_code", "code": code, "client_id": client.client_id, "code_verifier": VERIFIER}
    answer = await harness.http.request(method, "/oauth/token", params=query)
    assert (answer.status_code, answer.headers["cache-control"]) == (405, "no-store")
    posted = await harness.http.post("/oauth/token", params=query, headers={"Content-Type": FORM})
    assert checked(posted).status_code in {400, 401}
    assert (await harness.redeem(client, code)).status_code == 200


async def test_who_uses_an_old_refresh_token_after_its_successor_ends_the_family(harness: Harness) -> None:
    client = await harness.register()
    first = await harness.begin(client)
    second = (await harness.refresh(client, first["refresh_token"])).json()
    # The answer was lost: the same successor, however often, as long as nobody has used it.
    for _ in range(3):
        assert (await harness.refresh(client, first["refresh_token"])).json() == second
    third = (await harness.refresh(client, second["refresh_token"])).json()

    assert refusal(await harness.refresh(client, first["refresh_token"])) == INVALID_GRANT

    for tokens in (first, second, third):
        assert not await harness.is_alive(tokens["access_token"])
        assert refusal(await harness.refresh(client, tokens["refresh_token"])) == INVALID_GRANT


async def test_once_the_window_is_over_an_old_refresh_token_ends_the_family(harness: Harness) -> None:
    client = await harness.register()
    first = await harness.begin(client)
    second = (await harness.refresh(client, first["refresh_token"])).json()
    harness.now += LIFETIMES.refresh_window + 1
    assert refusal(await harness.refresh(client, first["refresh_token"])) == INVALID_GRANT
    assert not await harness.is_alive(second["access_token"])
    assert refusal(await harness.refresh(client, second["refresh_token"])) == INVALID_GRANT


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"scope": "notes:read notes:write admin"}, "invalid_scope"),
        ({"scope": "mail:read"}, "invalid_scope"),
        ({"scope": "notes:read admin"}, "invalid_scope"),
        ({"resource": MAIL.identifier}, "invalid_target"),
        ({"resource": "https://evil.example/mcp"}, "invalid_target"),
    ],
)
async def test_whoever_asks_for_more_at_a_refresh_gets_nothing_and_loses_nothing(
    harness: Harness, changes: dict[str, Any], error: str
) -> None:
    client = await harness.register()
    tokens = await harness.begin(client)

    assert refusal(await harness.refresh(client, tokens["refresh_token"], **changes)) == (400, error)

    # It was not spent: after the window it is still no reuse.
    harness.now += LIFETIMES.refresh_window + 1
    assert (await harness.refresh(client, tokens["refresh_token"])).status_code == 200
    assert await harness.is_alive(tokens["access_token"])


async def test_a_narrowed_refresh_cannot_be_widened_past_the_grant(harness: Harness) -> None:
    client = await harness.register()
    tokens = await harness.begin(client)
    narrow = (await harness.refresh(client, tokens["refresh_token"], scope="notes:read")).json()
    assert narrow["scope"] == "notes:read"
    wide = await harness.refresh(client, narrow["refresh_token"], scope="notes:read notes:write")
    assert wide.json()["scope"] == "notes:read notes:write"
    more = await harness.refresh(client, wide.json()["refresh_token"], scope="notes:read notes:write mail:read")
    assert refusal(more) == (400, "invalid_scope")


async def test_a_stolen_refresh_token_is_nothing_to_another_client(harness: Harness) -> None:
    owner, thief = await harness.register(), await harness.register()
    tokens = await harness.begin(owner)
    assert refusal(await harness.refresh(thief, tokens["refresh_token"])) == INVALID_GRANT
    second = (await harness.refresh(owner, tokens["refresh_token"])).json()
    # Nor can the thief end the family by what would be reuse if the owner did it.
    await harness.refresh(owner, second["refresh_token"])
    assert refusal(await harness.refresh(thief, tokens["refresh_token"])) == INVALID_GRANT
    assert await harness.is_alive(second["access_token"])


@pytest.mark.parametrize("scope", ["openid email profile", "* ../admin", "offline_access notes:read notes:write"])
async def test_scopes_that_nobody_knows_gain_and_lose_nothing_at_a_refresh(harness: Harness, scope: str) -> None:
    client = await harness.register()
    tokens = await harness.begin(client)

    refreshed = (await harness.refresh(client, tokens["refresh_token"], scope=scope)).json()

    assert refreshed["scope"] == "notes:read notes:write"
