"""Nobody enters by a likeness, stays when the rule names them no more, or gets more than their roles permit."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.requests import Request

from gatepost import AuthProvider, Context, Identity, Role, Server
from gatepost.identity.provider import LoginUnavailable
from gatepost.oauth.audit import AuditQuery
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import file_store, memory_store
from tests.attacks.installed import Installed, installed
from tests.counted_store import count_operations
from tests.seeds.person import Person
from tests.web.pages.pages_world import Form, heading

PASSWORD = "correct horse battery"
ADA = Identity("ada", "Ada", email="ada.kay@example.com", email_verified=True, groups=("staff",))
FORMATS = ("opaque", "jwt")
CACHED = 5
"""Seconds for which a verification counts (docs/roles.md)."""


class Company(AuthProvider):
    """Vouches for whoever a test says."""

    said: Identity = ADA

    def authenticate(self, request: Request, credentials: dict[str, str]) -> Identity | None:
        del request
        return self.said if credentials.get("password") == PASSWORD else None


def notes() -> Server:
    server = Server("notes")

    @server.tool(scopes=["read"])
    async def read(ctx: Context) -> str:
        """Say the roles of who reads."""
        return json.dumps(sorted(ctx.user.roles))

    @server.tool(scopes=["write"])
    async def write() -> str:
        """Write."""
        return "written"

    return server


@asynccontextmanager
async def company(
    said: Identity = ADA, *, store: Store | None = None, **options: Any
) -> AsyncIterator[tuple[Installed, Person, Company]]:
    """Serve notes to people of a company."""
    provider = Company()
    provider.said = said
    async with installed(target=notes(), store=store, provider=provider, **options) as gatepost:
        yield gatepost, Person(gatepost.http), provider


async def allow(person: Person) -> str:
    """Log in and allow all that is asked for; return the access token."""
    return await person.allow(await person.submit(await person.arrive(), password=PASSWORD))


async def status(gatepost: Installed, token: str, tool: str = "read") -> int:
    """Return how a call is answered."""
    params = {"name": tool, "arguments": {}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
    return (await gatepost.http.post("/mcp", json=message, headers=headers)).status_code


async def events(store: Store, event: str) -> list[tuple[str, str | None]]:
    found = await store.audit.list_events(AuditQuery(event=event), before=None, limit=9)
    return [(each.outcome.value, each.reason) for each in found]


@pytest.mark.parametrize(
    "said",
    [
        replace(ADA, email_verified=False),
        replace(ADA, email="ada.\N{KELVIN SIGN}ay@example.com"),
        replace(ADA, email="\N{FULLWIDTH LATIN SMALL LETTER A}da.kay@example.com"),
        replace(ADA, email="ada.kay@\N{FULLWIDTH LATIN SMALL LETTER E}xample.com"),
        replace(ADA, email="ada.kay@example.com@evil.example"),
        replace(ADA, email='"ada.kay@example.com"@evil.example'),
        replace(ADA, email="eve@evil.example, ada.kay@example.com"),
        replace(ADA, email="ada.kay@example.com.evil.example"),
        replace(ADA, email=None, groups=("Admins", "admin", "admins ", "adm\N{ZERO WIDTH SPACE}ins")),
        replace(ADA, email=None, claims={"login": "octocat", "organizations": ["acme"], "teams": ["acme/ops"]}),
        replace(ADA, email=None, claims={"email": "ada.kay@example.com", "email_verified": True, "groups": ["admins"]}),
        Identity("octocat", "ada.kay@example.com"),
    ],
)
async def test_nobody_enters_by_a_likeness(said: Identity) -> None:
    rule = "ada.kay@example.com group:admins login:octocat org:acme team:acme/ops subject:ada2 account:ada"
    async with company(said, OAUTH_ALLOWED_USERS=rule) as (gatepost, person, _):
        refused = await person.submit(await person.arrive(), password=PASSWORD)
        assert (refused.status_code, heading(refused)) == (403, "You may not enter here")
        assert "user_not_allowed" in refused.text
        assert await gatepost.store.users.list_users() == []
        await gatepost.installation.core.audit_trail.write_queue()
        assert await events(gatepost.store, "login") == [("refused", "user_not_allowed")]


async def test_what_an_address_is_called_at_the_login_does_not_make_it_verified_later() -> None:
    """The person whom another word let in must not come to pass a rule about addresses at a refresh."""
    said = replace(ADA, email_verified=False)
    rule = ["group:staff"]
    async with company(said, allow=lambda identity: _named(rule, identity)) as (_, person, _):
        await allow(person)
        rule[:] = ["@example.com"]
        assert (await person.refresh()).json()["error"] == "invalid_grant"


def _named(rule: list[str], identity: Identity) -> bool:
    from gatepost.identity.rules import read_rule  # noqa: PLC0415 - as an author's function would judge by words

    return read_rule(rule).names(identity)


@pytest.mark.parametrize("token_format", FORMATS)
async def test_whom_the_rule_does_not_name_any_more_is_refused_at_the_next_refresh(token_format: str) -> None:
    staff = {"ada"}
    options: dict[str, Any] = {
        "allow": lambda identity: identity.subject in staff,
        "OAUTH_ACCESS_TOKEN_FORMAT": token_format,
    }
    async with company(**options) as (gatepost, person, _):
        await allow(person)
        assert (await person.refresh()).status_code == 200
        token = person.tokens["access_token"]
        assert await status(gatepost, token) == 200
        staff.clear()

        refused = await person.refresh()

        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
        assert await status(gatepost, token) == 401
        await gatepost.installation.core.audit_trail.write_queue()
        assert await events(gatepost.store, "revocation") == [("ok", "user_not_allowed")]
        assert ("refused", "user_not_allowed") in await events(gatepost.store, "refresh")
        # Who is let in again logs in again: what was revoked stays so.
        staff.add("ada")
        assert (await person.refresh()).json()["error"] == "invalid_grant"
        person.http.cookies.clear()
        assert await status(gatepost, await allow(person)) == 200


async def test_a_spent_token_gives_its_successor_to_nobody_whom_the_rule_does_not_name() -> None:
    staff = {"ada"}
    async with company(allow=lambda identity: identity.subject in staff) as (_, person, _):
        await allow(person)
        spent = person.tokens
        assert (await person.refresh()).status_code == 200
        staff.clear()
        person.tokens = spent
        assert (await person.refresh()).json()["error"] == "invalid_grant"


async def test_a_rule_that_was_changed_holds_for_what_was_allowed_before(tmp_path: Path) -> None:
    async def restarted(rule: str, person: Person | None = None) -> tuple[Person, list[int]]:
        variables: dict[str, Any] = {"OAUTH_STORAGE_DIR": str(tmp_path), "OAUTH_ALLOWED_USERS": rule}
        async with company(store=file_store(tmp_path / "gatepost.db"), **variables) as (gatepost, here, _):
            if person is None:
                await allow(here)
                return here, []
            here.client_id, here.tokens = person.client_id, person.tokens
            called = await status(gatepost, here.tokens["access_token"])
            return here, [called, (await here.refresh()).status_code]

    person, _ = await restarted("group:staff")
    person, answered = await restarted("@example.com", person)
    assert answered == [200, 200]
    # Words are judged where the token is checked, too; what was allowed ends at the refresh.
    assert (await restarted("group:admins", person))[1] == [401, 400]
    assert (await restarted("group:staff", person))[1] == [401, 400]


async def test_a_rule_that_cannot_be_judged_takes_nothing_away() -> None:
    failures: list[Exception] = []

    async def asks_a_directory(_: Identity) -> bool:
        if failures:
            raise failures[0]
        return True

    async with company(allow=asks_a_directory) as (_, person, _):
        await allow(person)
        for failure in (KeyError("down"), LoginUnavailable("The directory does not answer.")):
            failures[:] = [failure]
            refused = await person.refresh()
            assert (refused.status_code, refused.json()["error"]) == (503, "temporarily_unavailable")
            assert int(refused.headers["retry-after"]) > 0
        failures.clear()
        assert (await person.refresh()).status_code == 200


@pytest.mark.parametrize("skips_consent", [False, True])
async def test_a_browser_that_is_logged_in_is_judged_too(*, skips_consent: bool) -> None:
    staff = {"ada"}
    options: dict[str, Any] = {"OAUTH_AUTO_APPROVE": str(skips_consent).lower()}
    async with company(allow=lambda identity: identity.subject in staff, **options) as (gatepost, person, _):
        page = await person.arrive()
        await person.submit(page, password=PASSWORD)
        assert (await gatepost.http.get("/oauth/account")).status_code == 200
        staff.clear()
        assert (await gatepost.http.get("/oauth/account")).headers["location"] == "/oauth/login"
        assert heading(await person.arrive()) == "Log in"


async def test_a_refresh_asks_the_store_for_no_more_than_without_rules() -> None:
    asked = []
    roles = {"user": Role(scopes="read write", users="group:staff")}
    judged: dict[str, Any] = {"OAUTH_ALLOWED_USERS": "@example.com", "roles": roles}
    for options in ({}, judged):
        store = memory_store()
        async with company(store=store, **options) as (_, person, _):
            await allow(person)
            called = count_operations(store)
            assert (await person.refresh()).status_code == 200
            asked.append([name for name in called if name.startswith(("grants.", "users.", "clients."))])
    assert asked[0] == asked[1] == ["grants.refresh_at_once"]


ROLES = {
    "admin": Role(scopes="*", users="group:admins"),
    "user": Role(scopes="read write", users="group:writers"),
    "guest": Role(scopes="read", users="*"),
}
GUEST = replace(ADA, groups=())


async def code_scopes(gatepost: Installed, location: str) -> tuple[str, ...]:
    from gatepost.tokens.opaque import fingerprint  # noqa: PLC0415 - for this look alone

    code = parse_qs(urlsplit(location).query)["code"][0]
    found = await gatepost.store.grants.find_code(fingerprint(code), now=gatepost.clock[0])
    assert found is not None
    return found.scopes


async def test_consent_shows_and_gives_what_the_roles_permit_whatever_the_form_says() -> None:
    async with company(GUEST, roles=ROLES) as (gatepost, person, _):
        logged_in = await person.submit(await person.arrive(scope="read write"), password=PASSWORD)
        consent = await gatepost.http.get(logged_in.headers["location"])
        assert "read" in consent.text
        assert "write" not in consent.text
        tampered = {f"scope_{number}": "yes" for number in range(3)}
        approved = await person.submit(
            consent, decision="approve", scope="read write", scopes="write", write="yes", **tampered
        )
        assert await code_scopes(gatepost, approved.headers["location"]) == ("read",)


async def test_a_role_that_is_taken_away_while_the_consent_page_is_open_is_not_approved() -> None:
    async with company(GUEST, roles={**ROLES, "guest": Role(scopes="read")}) as (gatepost, person, _):
        await person.submit(await person.arrive(), password=PASSWORD)
        [user] = await gatepost.store.users.list_users()
        for role in ("user", "guest"):
            await gatepost.store.users.give_role(user.subject, role)
        consent = await gatepost.http.get(await _transaction_page(person))
        await gatepost.store.users.take_role(user.subject, "user")
        approved = await person.submit(consent, decision="approve")
        assert await code_scopes(gatepost, approved.headers["location"]) == ("read",)
        # On plain http the browser was logged out when it was sent to the app.
        logged_in = await person.submit(await person.arrive(), password=PASSWORD)
        consent = await gatepost.http.get(logged_in.headers["location"])
        await gatepost.store.users.take_role(user.subject, "guest")
        refused = parse_qs(urlsplit((await person.submit(consent, decision="approve")).headers["location"]).query)
        assert refused["error"] == ["access_denied"]


async def _transaction_page(person: Person) -> str:
    """Return the consent page's path of a new request of a browser that is logged in."""
    page = await person.arrive(scope="read write")
    action = Form(page.text).action
    assert action is not None
    return action


async def test_to_whom_the_roles_permit_nothing_the_app_is_told_so() -> None:
    async with company(GUEST, roles={"user": Role(scopes="read", users="group:writers")}) as (gatepost, person, _):
        logged_in = await person.submit(await person.arrive(), password=PASSWORD)
        sent = await gatepost.http.get(logged_in.headers["location"])
        query = parse_qs(urlsplit(sent.headers["location"]).query)
        assert query["error"] == ["access_denied"]
        assert "roles of this account permit nothing" in query["error_description"][0]
        assert query["state"] == ["its own"]


async def test_no_question_asked_is_no_way_around_the_roles() -> None:
    async with company(GUEST, roles=ROLES, OAUTH_AUTO_APPROVE="true") as (gatepost, person, _):
        await person.submit(await person.arrive(), password=PASSWORD)
        asked = await gatepost.authorize(person.client_id)
        assert await code_scopes(gatepost, asked.headers["location"]) == ("read",)


@pytest.mark.parametrize("token_format", FORMATS)
async def test_a_role_that_is_taken_away_takes_its_scopes_along_and_gives_back_no_more_than_was_allowed(
    token_format: str,
) -> None:
    options: dict[str, Any] = {"roles": ROLES, "OAUTH_ACCESS_TOKEN_FORMAT": token_format}
    async with company(GUEST, **options) as (gatepost, person, _):
        await person.submit(await person.arrive(), password=PASSWORD)
        [user] = await gatepost.store.users.list_users()
        users = gatepost.store.users
        await users.give_role(user.subject, "user")
        person.http.cookies.clear()
        token = await allow(person)
        assert await person.call(token, "read") == '["guest", "user"]'
        assert await person.call(token, "write") == "written"

        await users.take_role(user.subject, "user")
        gatepost.clock[0] += CACHED
        # The old access token is worth no more than a new one, as soon as its verification is over.
        assert [await status(gatepost, token, tool) for tool in ("read", "write")] == [200, 403]
        assert await person.call(token, "read") == '["guest"]'
        assert (await person.refresh()).json()["scope"] == "read"
        # Apps name what they were granted; what is gone of it is left out, and alone it is refused.
        assert (await person.refresh(scope="read write")).json()["scope"] == "read"
        assert (await person.refresh(scope="write")).json()["error"] == "invalid_scope"

        await users.give_role(user.subject, "user")
        assert (await person.refresh()).json()["scope"] == "read write"
        assert await person.call(person.tokens["access_token"], "write") == "written"


async def test_a_role_that_is_given_later_adds_nothing_to_what_was_allowed() -> None:
    async with company(GUEST, roles=ROLES) as (gatepost, person, _):
        token = await allow(person)
        [user] = await gatepost.store.users.list_users()
        await gatepost.store.users.give_role(user.subject, "admin")
        gatepost.clock[0] += CACHED
        assert await status(gatepost, token, "write") == 403
        assert (await person.refresh()).json()["scope"] == "read"
        assert (await person.refresh(scope="read write")).json()["error"] == "invalid_scope"


async def test_whose_roles_leave_nothing_gets_no_token_and_keeps_the_approval() -> None:
    roles = {"user": Role(scopes="read", users="group:none")}
    async with company(GUEST, roles=roles) as (gatepost, person, _):
        await person.submit(await person.arrive(), password=PASSWORD)
        [user] = await gatepost.store.users.list_users()
        await gatepost.store.users.give_role(user.subject, "user")
        person.http.cookies.clear()
        await allow(person)
        await gatepost.store.users.take_role(user.subject, "user")
        assert (await person.refresh()).json()["error"] == "invalid_grant"
        await gatepost.store.users.give_role(user.subject, "user")
        assert (await person.refresh()).json()["scope"] == "read"


async def test_a_subject_with_the_name_of_a_role_or_an_account_is_nothing_of_the_kind() -> None:
    said = Identity("admin", "admin", groups=("local",), claims={"roles": ["admin"], "preferred_username": "ada"})
    roles = {**ROLES, "admin": Role(scopes="*", users="account:ada")}
    async with company(said, roles=roles) as (_, person, _):
        assert await person.call(await allow(person), "read") == '["guest"]'
