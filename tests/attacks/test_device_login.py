"""Logins by device: what a device, the client of another, and people with codes can and cannot do (RFC 8628)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gatepost import Role
from gatepost.oauth.audit import AuditQuery
from gatepost.oauth.device_authorization import ALPHABET, DEVICE_CODE
from gatepost.oauth.records import ClientOrigin
from gatepost.tokens.opaque import fingerprint
from tests.attacks.device_world import DEVICES, Device, PersonElsewhere
from tests.attacks.installed import ORIGIN, Installed, installed
from tests.web.pages.pages_world import Accounts, Form, heading


def error(answer: tuple[int, dict[str, Any]]) -> tuple[int, str]:
    return answer[0], answer[1]["error"]


PENDING, SLOW_DOWN = (400, "authorization_pending"), (400, "slow_down")
INVALID_GRANT, DENIED, EXPIRED = (400, "invalid_grant"), (400, "access_denied"), (400, "expired_token")


async def allowed(gatepost: Installed, **more: str) -> Device:
    """Return a device whose person has just approved."""
    device = await Device(gatepost).register()
    await device.begin(**more)
    person = PersonElsewhere(gatepost)
    answered = await person.answer(await person.question(device.codes["user_code"]), "approve")
    assert (answered.status_code, heading(answered)) == (200, "Your device has access")
    return device


async def events(gatepost: Installed) -> list[tuple[str, str, str | None]]:
    await gatepost.installation.core.audit_trail.write_queue()
    found = await gatepost.store.audit.list_events(AuditQuery(event="device_login"), before=None, limit=99)
    return [(event.event, event.outcome, event.reason) for event in found]


async def test_a_device_gets_tokens_once_its_person_has_allowed_it() -> None:
    async with installed(provider=Accounts(), **DEVICES) as gatepost:
        device = await Device(gatepost).register()
        answer = await device.begin(scope="notes:read")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        codes = answer.json()
        half = f"[{ALPHABET}]{{4}}"
        assert re.fullmatch(f"{half}-{half}", codes["user_code"])
        assert codes["verification_uri"] == f"{ORIGIN}/oauth/device"
        assert codes["verification_uri_complete"] == f"{ORIGIN}/oauth/device?user_code={codes['user_code']}"
        assert (codes["expires_in"], codes["interval"]) == (600, 5)
        assert error(await device.poll()) == PENDING

        person = PersonElsewhere(gatepost)
        question = await person.question(codes["user_code"].lower().replace("-", " "))
        assert heading(question) == "Allow this device?"
        assert codes["user_code"] in question.text
        assert "Did you start “<bdi>Living room</bdi>” a moment ago, on a device of your own?" in question.text
        assert (await person.answer(question, "approve")).status_code == 200

        status, tokens = await device.poll()
        assert (status, tokens["scope"], tokens["token_type"]) == (200, "notes:read", "Bearer")
        live = await gatepost.store.grants.find_access_token(fingerprint(tokens["access_token"]), now=gatepost.clock[0])
        assert live is not None
        assert (live.subject, live.client_id, live.resource) == ("user_ada", "client-1", f"{ORIGIN}/mcp")
        refreshed = await gatepost.token(
            grant_type="refresh_token", client_id="client-1", refresh_token=tokens["refresh_token"]
        )
        assert refreshed.status_code == 200
        assert ("device_login", "ok", None) in await events(gatepost)


async def test_a_device_code_that_is_sent_again_revokes_what_it_gave() -> None:
    async with installed(provider=Accounts(), **DEVICES) as gatepost:
        device = await allowed(gatepost)
        _, tokens = await device.poll()

        assert error(await device.poll()) == INVALID_GRANT

        live = await gatepost.store.grants.find_access_token(fingerprint(tokens["access_token"]), now=gatepost.clock[0])
        assert live is not None
        assert live.grant_revoked
        assert ("device_login", "refused", "device_code_replayed") in await events(gatepost)


async def test_the_code_of_another_client_is_refused_and_stays_its_own() -> None:
    async with installed(provider=Accounts(), **DEVICES) as gatepost:
        device = await allowed(gatepost)
        thief = await Device(gatepost, "client-2").register()
        thief.codes = device.codes

        assert error(await thief.poll()) == INVALID_GRANT
        assert ("device_login", "refused", "device_code_of_another_client") in await events(gatepost)
        assert (await device.poll())[0] == 200


async def test_a_client_that_registered_otherwise_neither_begins_nor_ends_a_login_by_device() -> None:
    async with installed(provider=Accounts(), **DEVICES) as gatepost:
        device = await allowed(gatepost)
        await Device(gatepost, "client-2").register(grant_types=("authorization_code", "refresh_token"))
        other = Device(gatepost, "client-2", device.codes)
        assert (await other.begin()).json()["error"] == "unauthorized_client"
        assert error(await other.poll()) == (400, "unauthorized_client")


@pytest.mark.parametrize(
    ("devices", "origin", "status"),
    [
        ("none", ClientOrigin.PREREGISTERED, 404),
        ("operator", ClientOrigin.PREREGISTERED, 200),
        ("operator", ClientOrigin.SETTINGS, 200),
        ("operator", ClientOrigin.DYNAMIC, 400),
        ("everybody", ClientOrigin.DYNAMIC, 200),
    ],
)
async def test_the_operator_says_whose_clients_may_do_it(devices: str, origin: ClientOrigin, status: int) -> None:
    async with installed(provider=Accounts(), OAUTH_DEVICE_LOGIN=devices) as gatepost:
        device = await Device(gatepost).register(origin=origin)
        assert (await device.begin()).status_code == status
        page = await PersonElsewhere(gatepost).browser.get("/oauth/device")
        assert page.status_code == (404 if devices == "none" else 303)
        metadata = (await gatepost.http.get("/.well-known/oauth-authorization-server")).json()
        offers = devices != "none"
        assert ("device_authorization_endpoint" in metadata) is offers
        assert (DEVICE_CODE in metadata["grant_types_supported"]) is offers


async def test_only_where_everybody_may_a_client_registers_itself_for_it() -> None:
    asked = {"grant_types": [DEVICE_CODE, "refresh_token"], "client_name": "Lamp"}
    async with installed(OAUTH_DEVICE_LOGIN="operator") as gatepost:
        assert (await gatepost.http.post("/oauth/register", json=asked)).status_code == 400
    async with installed(**DEVICES) as gatepost:
        answer = await gatepost.http.post("/oauth/register", json=asked)
        assert answer.status_code == 201
        told = answer.json()
        assert set(told["grant_types"]) == {DEVICE_CODE, "refresh_token"}
        assert (told["redirect_uris"], told["response_types"], told["application_type"]) == ([], [], "native")
        begun = await gatepost.http.post("/oauth/device_authorization", data={"client_id": told["client_id"]})
        assert begun.status_code == 200
        # It has nowhere to be sent back to.
        page = await gatepost.authorize(told["client_id"])
        assert page.status_code == 400


async def test_who_polls_too_soon_is_told_to_slow_down_and_waits_longer_from_then_on() -> None:
    async with installed(provider=Accounts(), **DEVICES) as gatepost:
        device = await Device(gatepost).register()
        await device.begin()
        answers = []
        for seconds in (0, 1, 10, 8, 15, 15):
            gatepost.clock[0] += seconds
            answers.append(error(await device.poll()))
        # After the first refusal the interval is 10 seconds, after the second 15.
        assert answers == [PENDING, SLOW_DOWN, PENDING, SLOW_DOWN, PENDING, PENDING]


async def test_a_flood_of_polls_stops_writing_and_delays_nobody_who_has_been_allowed() -> None:
    async with installed(provider=Accounts(), **DEVICES) as gatepost:
        device = await Device(gatepost).register()
        await device.begin()
        await device.poll()
        assert {error(await device.poll()) for _ in range(30)} == {SLOW_DOWN}
        kept = await gatepost.store.device_authorizations.find_device_authorization(
            fingerprint(device.codes["device_code"])
        )
        assert kept is not None
        assert kept.poll_interval == 60

        person = PersonElsewhere(gatepost)
        await person.answer(await person.question(device.codes["user_code"]), "approve")
        assert (await device.poll())[0] == 200


async def test_a_device_is_told_no_and_told_when_its_time_is_over() -> None:
    async with installed(provider=Accounts(), **DEVICES) as gatepost:
        device = await Device(gatepost).register()
        await device.begin()
        person = PersonElsewhere(gatepost)
        question = await person.question(device.codes["user_code"])
        denied = await person.answer(question, "deny")
        assert heading(denied) == "Nothing was allowed"
        assert error(await device.poll()) == DENIED
        assert (await person.answer(question, "approve")).status_code == 409
        assert error(await device.poll()) == DENIED

        await device.begin()
        gatepost.clock[0] += 600
        assert error(await device.poll()) == EXPIRED
        device.codes["device_code"] = "gp_dc_unknown"
        assert error(await device.poll()) == INVALID_GRANT


async def test_what_was_allowed_and_not_fetched_in_time_is_lost() -> None:
    async with installed(provider=Accounts(), **DEVICES) as gatepost:
        device = await allowed(gatepost)
        gatepost.clock[0] += 600
        assert error(await device.poll()) == EXPIRED


async def test_the_address_with_the_code_shows_it_and_approves_nothing_by_itself() -> None:
    async with installed(provider=Accounts(), **DEVICES) as gatepost:
        device = await Device(gatepost).register()
        await device.begin()
        person = PersonElsewhere(gatepost)
        link = device.codes["verification_uri_complete"]

        sent_to_login = await person.browser.get(link)
        code = device.codes["user_code"].replace("-", "")
        assert sent_to_login.headers["location"] == f"/oauth/login?then=device&user_code={code}"
        logged_in = await person.log_in(sent_to_login.headers["location"])
        assert logged_in.headers["location"] == f"/oauth/device?user_code={device.codes['user_code']}"
        page = await person.browser.get(logged_in.headers["location"])
        assert "Does your device show this code?" in page.text
        assert device.codes["user_code"] in page.text
        assert error(await device.poll()) == PENDING  # nobody has said anything yet

        form = Form(page.text)
        typed = await person.browser.post("/oauth/device", data=form.fields)
        question = await person.browser.get(typed.headers["location"])
        assert heading(question) == "Allow this device?"
        gatepost.clock[0] += 5
        assert error(await device.poll()) == PENDING


@pytest.mark.parametrize("user_code", ["<script>alert(1)</script>", "AEIOUAEI", "BCDF-GHJ", "", "x" * 9000])
async def test_a_link_with_something_else_than_a_code_shows_the_empty_form(user_code: str) -> None:
    async with installed(provider=Accounts(), **DEVICES) as gatepost:
        person = PersonElsewhere(gatepost)
        await person.log_in()
        page = await person.browser.get("/oauth/device", params={"user_code": user_code})
        assert page.status_code == 200
        assert "alert(1)" not in page.text
        assert Form(page.text).fields["user_code"] == ""


async def test_strangers_cannot_try_codes_and_a_forged_form_does_nothing() -> None:
    async with installed(provider=Accounts(), **DEVICES) as gatepost:
        device = await Device(gatepost).register()
        await device.begin()
        code = device.codes["user_code"]
        stranger = PersonElsewhere(gatepost)
        assert (await stranger.browser.post("/oauth/device", data={"user_code": code})).status_code == 400
        await stranger.browser.get("/oauth/login")  # a session in which nobody is logged in
        assert (await stranger.browser.post("/oauth/device", data={"user_code": code})).status_code == 403

        person = PersonElsewhere(gatepost)
        await person.log_in()
        forged = await person.browser.post("/oauth/device", data={"user_code": code})
        assert forged.status_code == 403
        form = Form((await person.browser.get("/oauth/device")).text)
        foreign = await person.browser.post(
            "/oauth/device", data={**form.fields, "user_code": code}, headers={"Origin": "https://evil.example"}
        )
        assert foreign.status_code == 403
        assert await gatepost.store.device_authorizations.find_user_code(code.replace("-", ""), now=gatepost.clock[0])


async def test_guesses_are_counted_by_person_and_by_address_and_right_codes_are_not() -> None:
    async with installed(provider=Accounts(), **DEVICES) as gatepost:
        device = await Device(gatepost).register()
        await device.begin()
        guesser = PersonElsewhere(gatepost)
        await guesser.log_in()
        statuses = [(await guesser.type_code("BBBBBBBB")).status_code for _ in range(21)]
        assert statuses == [422] * 20 + [429]
        # Neither a right code nor another address helps who has guessed so often.
        assert (await guesser.type_code(device.codes["user_code"])).status_code == 429
        elsewhere = PersonElsewhere(gatepost, address="127.0.0.2")
        await elsewhere.log_in()
        assert (await elsewhere.type_code(device.codes["user_code"])).status_code == 429
        # Another person at the same address may go on.
        other = PersonElsewhere(gatepost, "bob")
        await other.log_in()
        for _ in range(25):
            assert (await other.type_code(device.codes["user_code"])).status_code == 303
        found = await events(gatepost)
        assert ("device_login", "refused", "user_code_unknown") in found
        assert ("device_login", "refused", "too_many_requests") in found


async def test_what_cannot_be_a_code_is_no_guess() -> None:
    async with installed(provider=Accounts(), **DEVICES) as gatepost:
        person = PersonElsewhere(gatepost)
        await person.log_in()
        assert {(await person.type_code("BCDF")).status_code for _ in range(30)} == {422}


async def test_the_question_is_its_browsers_own_and_decided_by_what_is_stored() -> None:
    async with installed(provider=Accounts(), **DEVICES) as gatepost:
        device = await Device(gatepost).register()
        await device.begin(scope="notes:read")
        person = PersonElsewhere(gatepost)
        question = await person.question(device.codes["user_code"])
        other = PersonElsewhere(gatepost, "bob")
        await other.log_in()
        assert (await other.browser.get(str(question.url))).status_code == 400
        assert (await other.answer(question, "approve")).status_code == 403
        widened = await person.answer(question, "approve", scope_7="yes", scope="other", client_id="client-9")
        assert widened.status_code == 200
        assert (await device.poll())[1]["scope"] == "notes:read"


async def test_the_first_person_who_approves_is_whose_access_it_is() -> None:
    async with installed(provider=Accounts(), **DEVICES) as gatepost:
        device = await Device(gatepost).register()
        await device.begin()
        ada, bob = PersonElsewhere(gatepost), PersonElsewhere(gatepost, "bob")
        for_ada = await ada.question(device.codes["user_code"])
        for_bob = await bob.question(device.codes["user_code"])
        assert (await ada.answer(for_ada, "approve")).status_code == 200
        assert (await bob.answer(for_bob, "approve")).status_code == 409
        assert (await bob.answer(for_bob, "deny")).status_code == 409
        assert (await bob.type_code(device.codes["user_code"])).status_code == 422
        _, tokens = await device.poll()
        live = await gatepost.store.grants.find_access_token(fingerprint(tokens["access_token"]), now=gatepost.clock[0])
        assert live is not None
        assert live.subject == "user_ada"


async def test_a_client_that_is_shut_out_meanwhile_gets_nothing() -> None:
    async with installed(provider=Accounts(), **DEVICES) as gatepost:
        device = await Device(gatepost).register()
        await device.begin()
        person = PersonElsewhere(gatepost)
        question = await person.question(device.codes["user_code"])
        await gatepost.store.clients.disable_client("client-1", now=gatepost.clock[0])
        assert (await person.answer(question, "approve")).status_code == 400
        assert error(await device.poll()) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("more", "refusal"),
    [
        ({"resource": "https://other.example/mcp"}, "invalid_target"),
        ({"scope": 'notes"read'}, "invalid_scope"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"client_secret": "guess"}, "invalid_client"),
    ],
)
async def test_a_wrong_request_begins_nothing(more: dict[str, str], refusal: str) -> None:
    async with installed(provider=Accounts(), **DEVICES) as gatepost:
        device = await Device(gatepost).register()
        answer = await device.begin(**more)
        assert answer.json()["error"] == refusal


async def test_a_parameter_that_is_sent_twice_begins_nothing() -> None:
    async with installed(provider=Accounts(), **DEVICES) as gatepost:
        await Device(gatepost).register()
        answer = await gatepost.http.post(
            "/oauth/device_authorization",
            content="client_id=client-1&scope=notes:read&scope=other",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_another_resource_at_the_token_endpoint_is_refused_and_spends_nothing() -> None:
    async with installed(provider=Accounts(), **DEVICES) as gatepost:
        device = await allowed(gatepost, resource=f"{ORIGIN}/mcp")
        assert error(await device.poll(resource="https://other.example/mcp")) == (400, "invalid_target")
        assert (await device.poll(resource=f"{ORIGIN}/mcp"))[0] == 200


async def test_neither_code_of_a_device_is_kept_where_a_token_could_be_made_of_it() -> None:
    async with installed(provider=Accounts(), **DEVICES) as gatepost:
        device = await Device(gatepost).register()
        await device.begin()
        secret = device.codes["device_code"]
        kept = await gatepost.store.device_authorizations.find_device_authorization(fingerprint(secret))
        assert kept is not None
        assert secret not in repr(kept)
        # The user code is no secret of the client's: it redeems nothing.
        device.codes["device_code"] = device.codes["user_code"]
        assert error(await device.poll()) == INVALID_GRANT


async def test_who_has_no_role_for_it_allows_a_device_nothing() -> None:
    roles = {"reader": Role(scopes="notes:read", users="group:readers")}
    async with installed(provider=Accounts(), roles=roles, **DEVICES) as gatepost:
        device = await Device(gatepost).register()
        await device.begin(scope="notes:read")
        person = PersonElsewhere(gatepost)
        refused = await person.question(device.codes["user_code"])
        assert (refused.status_code, heading(refused)) == (403, "Nothing was allowed")
        assert error(await device.poll()) == DENIED
