"""Where two parts of the identity work meet: what one of them changes holds in the other, too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from starlette.requests import Request

from gatepost import Identity, Role, Server
from gatepost.identity.provider import LoginUnavailable
from gatepost.stores.contract.linked_logins import LoginKey
from gatepost.stores.contract.users import LOCAL, User
from gatepost.stores.sql.users import SqlUserStore
from gatepost.web.pages import login_completion
from gatepost.web.pages.login_completion import LoginCompletion
from tests.attacks.installed import installed
from tests.attacks.test_entry_and_roles import ADA as ADA_OF_COMPANY
from tests.attacks.test_entry_and_roles import CACHED, PASSWORD, Company, company, status
from tests.seeds.person import Person
from tests.web.pages.linking_world import ACCOUNT, LinkingWorld, Locals, key_of, linking_world
from tests.web.pages.pages_world import heading

ADA = LoginKey(LOCAL, "user_ada")


@pytest.fixture
async def linking() -> AsyncIterator[LinkingWorld]:
    async with linking_world() as world:
        yield world


async def test_a_directory_that_does_not_answer_ends_no_login_and_is_no_fault_of_ours() -> None:
    """`allow=` is asked at each page of somebody who is logged in; that it cannot say is 503 there, as at a refresh."""
    failures: list[Exception] = []

    async def asks_a_directory(_: Identity) -> bool:
        if failures:
            raise failures[0]
        return True

    async with company(allow=asks_a_directory) as (gatepost, person, _):
        page = await person.arrive()
        await person.submit(page, password=PASSWORD)
        failures.append(LoginUnavailable("The directory does not answer."))

        refused = await gatepost.http.get("/oauth/account")

        assert (refused.status_code, heading(refused)) == (503, "You cannot be logged in just now")
        assert "The directory does not answer. Nothing is lost" in refused.text
        assert int(refused.headers["retry-after"]) > 0
        failures.clear()
        assert (await gatepost.http.get("/oauth/account")).status_code == 200


async def test_a_login_under_way_while_its_password_is_changed_opens_nothing(
    linking: LinkingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who knows the old password and tries it all the time must not come in behind the change that shuts them out."""
    judge = Locals.authenticate

    async def slow(self: Locals, *arguments: Any) -> User | None:
        user = await judge(self, *arguments)
        assert await linking.world.store.users.change_password("ada", "$argon2id$another")
        return user

    monkeypatch.setattr(Locals, "authenticate", slow)
    thief = linking.browser()

    assert (await linking.log_in(thief, "ada")).headers["location"] == "/oauth/login"
    assert await linking.who(thief) is None
    monkeypatch.undo()
    assert (await linking.log_in(thief, "ada")).headers["location"] == ACCOUNT


async def test_a_login_under_way_while_it_is_unlinked_opens_nothing(
    linking: LinkingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, elsewhere = linking.browser(), linking.browser()
    await linking.log_in(browser, "ada")
    await linking.link(browser, "a")
    recognise, logins = SqlUserStore.recognise_user, linking.world.store.linked_logins

    async def slow(self: SqlUserStore, *arguments: Any, **options: Any) -> User:
        user = await recognise(self, *arguments, **options)
        await logins.unlink_login("user_ada", key_of("a"), keeps=[ADA])
        return user

    monkeypatch.setattr(SqlUserStore, "recognise_user", slow)

    assert (await linking.come_by(elsewhere, "a")).headers["location"] == "/oauth/login"
    assert await linking.who(elsewhere) is None


async def test_who_logs_out_while_the_provider_is_asked_is_given_no_login(
    linking: LinkingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider may take seconds for its answer; a change of the password in that time has ended the session."""
    browser = linking.browser()
    await linking.log_in(browser, "ada")
    judged = LoginCompletion.judged

    async def slow(self: LoginCompletion, identity: Identity) -> Any:
        await linking.world.store.browser_sessions.end_sessions("user_ada")
        return await judged(self, identity)

    monkeypatch.setattr(LoginCompletion, "judged", slow)
    refused = await linking.link(browser, "a")

    assert (refused.status_code, heading(refused)) == (409, "Nothing was linked")
    assert "link_of_another_person" in refused.text
    assert await linking.logins("user_ada") == [ADA]


async def test_a_login_that_an_earlier_version_began_is_over(
    linking: LinkingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept of a login outlives an upgrade; what it was for is not guessed."""
    browser = linking.browser()
    monkeypatch.setattr(login_completion, "to_json", lambda _: None)
    answer = await linking.come_by(browser, "a")
    assert (answer.status_code, heading(answer)) == (400, "This login is over")
    monkeypatch.undo()
    assert (await linking.come_by(browser, "a")).headers["location"] == ACCOUNT


def layered() -> Server:
    """Return a server on which one scope implies another."""
    scopes = {"notes:read": "Read", "notes:write": "Write", "notes:admin": "All"}
    server = Server("notes", scopes=scopes, implied_scopes={"notes:admin": ["notes:write"]})

    @server.tool(scopes=["notes:write"])
    async def write() -> str:
        """Write."""
        return "written"

    return server


@pytest.mark.parametrize("token_format", ["opaque", "jwt"])
async def test_a_role_gives_what_its_scopes_imply_and_nothing_of_what_they_are_implied_by(token_format: str) -> None:
    """Who may allow `notes:admin` may allow the `notes:write` that it opens; `notes:write` opens no `notes:admin`."""
    provider = Company()
    roles = {"chief": Role(scopes="notes:admin", users="group:staff"), "author": Role(scopes="notes:write")}
    options: dict[str, Any] = {"target": layered(), "provider": provider, "roles": roles}
    async with installed(OAUTH_ACCESS_TOKEN_FORMAT=token_format, **options) as gatepost:
        person = Person(gatepost.http)
        page = await person.arrive(scope="notes:write")
        token = await person.allow(await person.submit(page, password=PASSWORD))
        assert person.tokens["scope"] == "notes:write"
        assert (await person.refresh()).json()["scope"] == "notes:write"
        assert await status(gatepost, token, "write") == 200

        # The other way round: what only the greater scope was allowed for ends with the role that permits that one.
        person.http.cookies.clear()
        page = await person.arrive(scope="notes:admin")
        token = await person.allow(await person.submit(page, password=PASSWORD))
        assert await status(gatepost, token, "write") == 200
        provider.said = replace(ADA_OF_COMPANY, groups=())
        person.http.cookies.clear()
        await person.submit(await person.arrive(), password=PASSWORD)
        [user] = await gatepost.store.users.list_users()
        await gatepost.store.users.give_role(user.subject, "author")
        gatepost.clock[0] += CACHED
        assert await status(gatepost, token, "write") == 403
        assert (await person.refresh()).json()["error"] == "invalid_grant"


class Operator(Company):
    """A provider whose class is called as the issuer of the operator is."""


class SaysOperator(Company):
    """A provider that says of its people who the issuer of the operator is."""

    def authenticate(self, request: Request, credentials: dict[str, str]) -> Identity | None:
        said = super().authenticate(request, credentials)
        return None if said is None else replace(said, issuer="operator")


async def test_no_provider_makes_its_people_the_operator_by_what_it_is_called() -> None:
    """Whoever has the issuer `operator` has every role and is judged by no rule."""
    with pytest.raises(ValueError, match="a login provider cannot be called operator"):
        async with installed(target=layered(), provider=Operator()):
            pass
    roles = {"chief": Role(scopes="notes:admin")}
    async with installed(target=layered(), provider=SaysOperator(), roles=roles, allow="group:nobody") as gatepost:
        person = Person(gatepost.http)
        refused = await person.submit(await person.arrive(), password=PASSWORD)
        assert (refused.status_code, heading(refused)) == (500, "The login of this server does not work")
        assert await gatepost.store.users.list_users() == []
