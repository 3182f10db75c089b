"""Who may enter, of all for whom a login provider vouches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gatepost import Server
from gatepost.assembly.installation import install
from gatepost.configuration.settings import SettingsError, load_settings
from gatepost.identity import entry as entry_module
from gatepost.identity.asking import LoginProviderFailed
from gatepost.identity.entry import ANYBODY, EntryRefused, entry_of
from gatepost.identity.github import GitHub
from gatepost.identity.provider import Identity, LoginRefused, LoginUnavailable
from gatepost.identity.several_logins import SeveralLogins
from gatepost.identity.single_user import OPERATOR
from gatepost.resource.profile import Profile
from gatepost.stores.contract.users import LOCAL, Person, User

ISSUER = "https://id.example.com"
ADA = Identity("1", "Ada", ISSUER, email="ada@example.com", email_verified=True, groups=("staff",))
USER = User("user_1", ISSUER, "1", 5, display_name="Ada", profile=Profile("ada@example.com", True, ("staff",)))


def person(user: User) -> Person:
    return Person(
        user.issuer,
        user.external_subject,
        user.username,
        user.display_name,
        user.profile.to_text(),
        user.roles,
        user.profile_issuer,
        user.profile_subject,
    )


@pytest.mark.parametrize("allow", ["@example.com", ["group:staff"], "group:other subject:1"])
async def test_whom_a_word_names_may_enter_and_go_on(allow: str | list[str]) -> None:
    entry = entry_of(allow)
    await entry.check(ADA)
    assert await entry.still_admits(USER)
    assert await entry.still_admits(person(USER))


async def test_whom_no_word_names_is_refused_and_may_not_go_on() -> None:
    entry = entry_of("group:admins @example.org")
    with pytest.raises(EntryRefused, match="this account is not among those"):
        await entry.check(ADA)
    assert not await entry.still_admits(USER)
    assert not await entry.still_admits(person(USER))


async def test_a_person_whom_a_provider_knows_already_is_judged_as_well() -> None:
    await entry_of("group:staff").check_again(USER)
    await entry_of("group:admins").check_again(replace(USER, issuer=LOCAL, username="ada"))
    with pytest.raises(EntryRefused, match="this account is not among those"):
        await entry_of("group:admins").check_again(USER)


async def test_who_has_an_address_that_is_not_verified_is_told_so() -> None:
    unverified = replace(ADA, email_verified=False)
    with pytest.raises(EntryRefused, match=r"https://id\.example\.com does not say that it is verified"):
        await entry_of("@example.com").check(unverified)


@pytest.mark.parametrize("issuer", [LOCAL, OPERATOR])
async def test_whom_the_operator_let_in_one_by_one_is_not_judged(issuer: str) -> None:
    entry = entry_of("@example.org")
    await entry.check(Identity("owner", issuer=issuer))
    assert await entry.still_admits(User("user_1", issuer, "user_1", 5, username="ada"))


async def test_a_local_account_is_not_judged_by_a_login_that_was_linked_to_it() -> None:
    linked = replace(USER, issuer=LOCAL, username="ada", profile_issuer=ISSUER, profile_subject="1")
    entry = entry_of("group:admins")
    assert await entry.still_admits(linked)
    assert not entry.shuts_out(person(linked))


async def test_who_has_several_logins_is_judged_by_the_one_that_spoke_last() -> None:
    linked = replace(USER, issuer="https://first.example", external_subject="7", profile_issuer=ISSUER)
    linked = replace(linked, profile_subject="1")
    assert await entry_of(f"subject:1&issuer:{ISSUER}").still_admits(linked)
    for word in ("subject:7", "issuer:https://first.example"):
        assert not await entry_of(word).still_admits(linked)
        assert entry_of(word).shuts_out(person(linked))


def test_where_tokens_are_checked_words_are_judged_and_functions_not_asked() -> None:
    assert entry_of("group:admins").shuts_out(person(USER))
    assert not entry_of("group:staff").shuts_out(person(USER))
    assert not entry_of("*").shuts_out(person(USER))
    assert not entry_of("group:admins").shuts_out(None)
    assert not entry_of(lambda _: False).shuts_out(person(USER))
    assert not ANYBODY.shuts_out(person(USER))


async def test_without_a_rule_everybody_may_enter() -> None:
    await ANYBODY.check(ADA)
    assert await ANYBODY.still_admits(USER)


def functions(answer: bool | Exception, seen: list[Identity]) -> list[Callable[[Identity], Any]]:
    """Return one way of each to say `answer`: plain, async, and an object."""

    def plain(identity: Identity) -> bool:
        seen.append(identity)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def asynchronous(identity: Identity) -> bool:
        return plain(identity)

    class Company:
        async def __call__(self, identity: Identity) -> bool:
            return plain(identity)

    return [plain, asynchronous, Company()]


@pytest.mark.parametrize("kind", range(3))
async def test_a_function_is_asked_at_logins_and_afterwards_about_the_same(kind: int) -> None:
    seen: list[Identity] = []
    entry = entry_of(functions(True, seen)[kind])
    await entry.check(ADA)
    assert await entry.still_admits(USER)
    assert await entry.still_admits(person(USER))
    assert seen == [replace(ADA, claims={})] * 3

    entry = entry_of(functions(False, seen)[kind])
    with pytest.raises(EntryRefused):
        await entry.check(ADA)
    assert not await entry.still_admits(USER)


@pytest.mark.parametrize("kind", range(3))
async def test_a_function_may_refuse_in_words_of_its_own(kind: int) -> None:
    entry = entry_of(functions(LoginRefused("Your contract is over."), [])[kind])
    with pytest.raises(LoginRefused, match="contract"):
        await entry.check(ADA)
    assert not await entry.still_admits(USER)


@pytest.mark.parametrize("error", [LoginUnavailable("later"), LoginProviderFailed("so")])
async def test_what_cannot_be_judged_is_no_refusal(error: Exception) -> None:
    entry = entry_of(functions(error, [])[1])
    with pytest.raises(type(error)):
        await entry.check(ADA)
    with pytest.raises(type(error)):
        await entry.still_admits(USER)


@pytest.mark.parametrize("answer", [None, 1, "yes"])
async def test_an_answer_of_another_type_lets_nobody_in_and_says_where(answer: Any) -> None:
    with pytest.raises(LoginProviderFailed, match=r"<lambda> .* has to be bool"):
        await entry_of(lambda _: answer).check(ADA)


async def test_an_error_of_a_function_says_where_and_lets_nobody_in() -> None:
    with pytest.raises(LoginProviderFailed, match=r"plain .* raised KeyError"):
        await entry_of(functions(KeyError("x"), [])[0]).still_admits(USER)


async def test_a_function_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_module, "_SECONDS", 0)

    async def hangs(_: Identity) -> bool:
        await asyncio.Event().wait()
        return True

    with pytest.raises(LoginProviderFailed, match="did not answer within 0 seconds"):
        await entry_of(hangs).check(ADA)


def test_a_wrong_rule_says_what_it_takes() -> None:
    with pytest.raises(SettingsError, match=r"OAUTH_ALLOWED_USERS takes words, .*login:octocat"):
        load_settings({"OAUTH_ALLOWED_USERS": "octocat"}, env_file=None)


MEMORY = {"MCP_STORAGE_URL": "memory:"}


@pytest.mark.parametrize(
    ("allow", "told"),
    [("octocat", "allow= takes a function, or words"), ((), "allow= names nobody"), ("*", "leave one of the two out")],
)
def test_a_wrong_rule_in_code_does_not_start(allow: str | tuple[str, ...], told: str) -> None:
    variables = {**MEMORY, "OAUTH_ALLOWED_USERS": "*"} if allow == "*" else MEMORY
    with pytest.raises(SettingsError, match=told):
        install(Server("notes"), load_settings(variables, env_file=None), allow=allow)


@pytest.mark.parametrize("several", [False, True])
def test_a_login_elsewhere_does_not_start_without_a_word_on_who_may_enter(*, several: bool) -> None:
    """Everybody in the world may have an account at GitHub."""
    github = GitHub("client", "secret")
    provider = SeveralLogins([github]) if several else github
    settings = load_settings(MEMORY, env_file=None)
    with pytest.raises(SettingsError, match="OAUTH_ALLOWED_USERS has to say who may enter"):
        install(Server("notes"), settings, provider=provider)
    install(Server("notes"), settings, provider=provider, allow=lambda _: True)
    named = load_settings({**MEMORY, "OAUTH_ALLOWED_USERS": "login:octocat"}, env_file=None)
    install(Server("notes"), named, provider=provider)
