"""Further logins of a person, on every backend."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

from gatepost.resource.profile import Profile
from gatepost.stores.conformance.records import NOW, fp, redeem, session, user
from gatepost.stores.contract.linked_logins import LinkedLogin, LinkOutcome, LoginKey, UnlinkOutcome
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.upstream_tokens import KeptTokens
from gatepost.stores.contract.users import LOCAL, NOBODY, Person, User

GITHUB, COMPANY = "https://github.example", "https://id.example"
OCTOCAT, ADA = LoginKey(GITHUB, "583231"), LoginKey(COMPANY, "4711")
PASSWORD = LoginKey(LOCAL, "user-1")
SAID = Profile("ada@example.com", email_verified=True, groups=("staff",))


def login(key: LoginKey = OCTOCAT, subject: str = "user-1", **changes: Any) -> LinkedLogin:
    values: dict[str, Any] = {"linked_at": NOW, "display_name": "octocat", **changes}
    return LinkedLogin(*key, subject, **values)


async def link(store: Store, key: LoginKey = OCTOCAT, subject: str = "user-1", **changes: Any) -> LinkOutcome:
    return await store.linked_logins.link_login(login(key, subject, **changes))


async def unlink(store: Store, key: LoginKey, *keeps: LoginKey, subject: str = "user-1") -> UnlinkOutcome:
    return await store.linked_logins.unlink_login(subject, key, keeps=keeps)


async def come_by(
    store: Store, key: LoginKey, *, name: str | None = None, profile: Profile = SAID, subject: str = "new"
) -> User:
    return await store.users.recognise_user(*key, display_name=name, subjects=(subject,), now=NOW, profile=profile)


async def keys(store: Store, subject: str = "user-1") -> list[LoginKey]:
    return [one.key for one in await store.linked_logins.list_logins(subject)]


async def test_a_linked_login_leads_to_the_person(store: Store) -> None:
    await store.users.add_user(user(display_name=None))

    assert await link(store) is LinkOutcome.LINKED

    came = await come_by(store, OCTOCAT, name="octocat")
    assert came == user(
        display_name=None, profile=SAID, profile_issuer=GITHUB, profile_subject=OCTOCAT.external_subject
    )
    assert await store.users.find_user_by_subject("user-1") == came
    assert len(await store.users.list_users()) == 1


async def test_a_person_is_found_by_each_of_their_logins(store: Store) -> None:
    assert await store.users.find_user_by_login(*OCTOCAT) is None
    began = await come_by(store, ADA, subject="user-1")
    assert await store.users.find_user_by_login(*ADA) == began
    await link(store)
    assert await store.users.find_user_by_login(*OCTOCAT) == began
    await store.users.disable_user("user-1", now=NOW)
    found = await store.users.find_user_by_login(*OCTOCAT)
    assert found == replace(began, disabled_at=NOW)


async def test_rules_judge_the_login_that_spoke_last_by_its_issuer_and_subject(store: Store) -> None:
    await come_by(store, ADA, subject="user-1")
    await link(store)
    await redeem(store)

    async def judged() -> list[Person | None]:
        refresh = await store.grants.find_refresh(fp("refresh 1"))
        access = await store.grants.find_access_token(fp("access 1"), now=NOW)
        assert refresh is not None
        assert access is not None
        return [refresh.person, access.person]

    await come_by(store, OCTOCAT)
    person = Person(*ADA, None, None, SAID.to_text(), ())
    assert await judged() == [replace(person, profile_issuer=GITHUB, profile_subject=OCTOCAT.external_subject)] * 2
    known = await store.users.find_user_by_subject("user-1")
    assert known is not None
    assert (known.profile, LoginKey(known.profile_issuer or "", known.profile_subject or "")) == (SAID, OCTOCAT)

    await come_by(store, ADA)
    assert await judged() == [person] * 2
    await come_by(store, OCTOCAT)
    await unlink(store, OCTOCAT, ADA)
    assert await judged() == [replace(person, profile=None)] * 2


async def test_logins_are_listed_with_the_one_that_the_account_began_with_first(store: Store) -> None:
    await store.users.add_user(user())
    await link(store, ADA, linked_at=NOW + 9, display_name=None)
    await link(store, linked_at=NOW + 5)

    assert await store.linked_logins.list_logins("user-1") == [
        LinkedLogin(LOCAL, "user-1", "user-1", NOW, "ada"),
        login(linked_at=NOW + 5),
        login(ADA, linked_at=NOW + 9, display_name=None),
    ]
    assert await store.linked_logins.list_logins("nobody") == []


async def test_the_account_keeps_its_name_and_the_link_follows_the_issuers(store: Store) -> None:
    await come_by(store, ADA, name="Ada", subject="user-1")
    await link(store)

    assert (await come_by(store, OCTOCAT, name="octocat-2")).display_name == "Ada"
    assert (await come_by(store, OCTOCAT)).display_name == "Ada"

    assert [one.display_name for one in await store.linked_logins.list_logins("user-1")] == ["Ada", "octocat-2"]


async def test_what_is_said_of_a_person_is_what_the_last_login_says_with_who_says_so(store: Store) -> None:
    await come_by(store, ADA, subject="user-1")
    await link(store)
    await redeem(store, "1", subject="user-1")

    async def of_the_call() -> tuple[str | None, str | None]:
        token = await store.grants.find_access_token(fp("access 1"), now=NOW)
        assert token is not None
        return token.user_issuer, token.profile

    other = Profile("octocat@example.com")
    assert await of_the_call() == (COMPANY, SAID.to_text())
    await come_by(store, OCTOCAT, profile=other)
    assert await of_the_call() == (GITHUB, other.to_text())
    # The same words of another issuer are not the same.
    await come_by(store, ADA, profile=other)
    assert await of_the_call() == (COMPANY, other.to_text())
    await store.users.forget_profile("user-1")
    assert await of_the_call() == (COMPANY, other.to_text())
    await come_by(store, OCTOCAT, profile=other)
    await store.users.forget_profile("user-1")
    assert await of_the_call() == (COMPANY, None)


async def test_what_leads_to_somebody_else_stays_theirs(store: Store) -> None:
    await store.users.add_user(user())
    began = await come_by(store, OCTOCAT, subject="user-2")
    await store.users.add_user(user("user-3", "eve"))
    await link(store, ADA, "user-3")

    assert [await link(store, key) for key in (OCTOCAT, ADA)] == [LinkOutcome.OF_ANOTHER] * 2

    assert await come_by(store, OCTOCAT) == began
    assert (await come_by(store, ADA)).subject == "user-3"
    assert await keys(store) == [PASSWORD]


async def test_linking_again_changes_nothing_but_the_name(store: Store) -> None:
    await come_by(store, ADA, name="Ada", subject="user-1")
    await link(store)

    assert [await link(store, key, display_name="new", linked_at=NOW + 5) for key in (ADA, OCTOCAT)] == [
        LinkOutcome.OWN
    ] * 2

    first, second = await store.linked_logins.list_logins("user-1")
    assert (first.display_name, second) == ("Ada", login(display_name="new"))


async def test_a_person_has_one_login_of_an_issuer(store: Store) -> None:
    await come_by(store, ADA, subject="user-1")
    await link(store)

    assert [await link(store, LoginKey(issuer, "another")) for issuer in (GITHUB, COMPANY)] == [
        LinkOutcome.ONE_THERE
    ] * 2


async def test_nobody_links_to_who_is_not_there_or_disabled(store: Store) -> None:
    await store.users.add_user(user())
    await store.users.disable_user("user-1", now=NOW)

    assert [await link(store, subject=subject) for subject in ("user-1", "nobody")] == [LinkOutcome.NO_PERSON] * 2


async def test_a_linked_login_of_who_is_disabled_leads_to_them_and_to_nobody_new(store: Store) -> None:
    await store.users.add_user(user())
    await link(store)
    await store.users.disable_user("user-1", now=NOW + 5)

    came = await come_by(store, OCTOCAT)

    assert (came.subject, came.disabled_at) == ("user-1", NOW + 5)
    assert await link(store, subject="user-1") is LinkOutcome.NO_PERSON


async def test_of_many_who_link_one_login_at_once_one_has_it(store: Store) -> None:
    people = [f"user-{number}" for number in range(20)]
    for subject in people:
        await store.users.add_user(user(subject, subject))

    outcomes = await asyncio.gather(*(link(store, subject=subject) for subject in people))

    assert sorted(outcome.name for outcome in outcomes) == ["LINKED"] + ["OF_ANOTHER"] * 19
    winner = people[outcomes.index(LinkOutcome.LINKED)]
    assert (await come_by(store, OCTOCAT)).subject == winner


async def test_a_login_that_is_linked_and_used_for_the_first_time_at_once_leads_to_one_person(store: Store) -> None:
    for number in range(20):
        key, subject = LoginKey(GITHUB, str(number)), f"user-{number}"
        await store.users.add_user(user(subject, subject))
        came, outcome = await asyncio.gather(
            come_by(store, key, subject=f"new-{number}"), link(store, key, subject=subject)
        )
        is_linked = outcome is LinkOutcome.LINKED
        assert came.subject == (subject if is_linked else f"new-{number}")
        assert (await come_by(store, key)).subject == came.subject


async def test_unlinking_ends_what_the_login_began_and_said(store: Store) -> None:
    await store.users.add_user(user())
    await link(store)
    await come_by(store, OCTOCAT)
    for name, (issuer, external_subject) in (("by-github", OCTOCAT), ("by-password", PASSWORD)):
        await store.browser_sessions.start_session(
            session(name, subject="user-1", issuer=issuer, external_subject=external_subject)
        )

    assert await unlink(store, OCTOCAT, PASSWORD) is UnlinkOutcome.UNLINKED

    assert await keys(store) == [PASSWORD]
    assert await store.users.find_user("ada") == user()
    found = [await store.browser_sessions.find_session(fp(name), now=NOW) for name in ("by-github", "by-password")]
    assert [one is not None for one in found] == [False, True]
    assert (await come_by(store, OCTOCAT)).subject == "new"


async def test_what_another_login_said_is_not_forgotten(store: Store) -> None:
    await store.users.add_user(user())
    await link(store)
    await link(store, ADA)
    await come_by(store, ADA)

    await unlink(store, OCTOCAT, PASSWORD)

    known = await store.users.find_user("ada")
    assert known is not None
    assert (known.profile, known.profile_issuer, known.profile_subject) == (SAID, *ADA)


async def test_nothing_is_unlinked_unless_something_is_left(store: Store) -> None:
    await come_by(store, ADA, subject="user-1")
    await link(store)

    for keeps in ((), (OCTOCAT,), (PASSWORD,)):
        assert await unlink(store, OCTOCAT, *keeps) is UnlinkOutcome.LAST
    assert await keys(store) == [ADA, OCTOCAT]


async def test_of_two_that_are_unlinked_at_once_one_stays(store: Store) -> None:
    await come_by(store, ADA, subject="user-1")
    await link(store)

    outcomes = await asyncio.gather(unlink(store, OCTOCAT, ADA), unlink(store, ADA, OCTOCAT))

    assert sorted(outcome.name for outcome in outcomes) in (["LAST", "UNLINKED"], ["UNKNOWN", "UNLINKED"])
    assert len(await keys(store)) == 1


async def test_only_ones_own_is_unlinked_and_never_the_password(store: Store) -> None:
    await store.users.add_user(user())
    await store.users.add_user(user("user-2", "bob"))
    await link(store, subject="user-2")
    await link(store, ADA)

    for key in (OCTOCAT, PASSWORD, LoginKey(GITHUB, "unknown")):
        assert await unlink(store, key, ADA) is UnlinkOutcome.UNKNOWN
    assert await unlink(store, ADA, PASSWORD, subject="nobody") is UnlinkOutcome.UNKNOWN
    assert await keys(store, "user-2") == [LoginKey(LOCAL, "user-2"), OCTOCAT]


async def test_another_takes_the_place_of_the_login_that_the_account_began_with(store: Store) -> None:
    await come_by(store, ADA, name="Ada", subject="user-1")
    await link(store)
    await store.browser_sessions.start_session(session("old", subject="user-1"))

    assert await unlink(store, ADA, OCTOCAT) is UnlinkOutcome.UNLINKED

    assert await store.users.find_user_by_subject("user-1") == User("user-1", *OCTOCAT, NOW, display_name="octocat")
    assert await store.browser_sessions.find_session(fp("old"), now=NOW) is None
    assert await keys(store) == [OCTOCAT]
    assert (await come_by(store, OCTOCAT, name="renamed")).name == "renamed"
    assert (await come_by(store, ADA)).subject == "new"


async def test_what_the_one_that_takes_its_place_said_stays_said(store: Store) -> None:
    await come_by(store, ADA, subject="user-1")
    await link(store)
    await come_by(store, OCTOCAT)

    await unlink(store, ADA, OCTOCAT)

    known = await store.users.find_user_by_subject("user-1")
    assert known is not None
    assert (known.profile, known.profile_issuer, known.profile_subject) == (SAID, None, None)


async def test_unlinking_forgets_the_tokens_of_that_account_there(store: Store) -> None:
    await store.users.add_user(user())
    await link(store)
    await link(store, ADA)
    for provider, (issuer, external_subject) in (("github", OCTOCAT), ("company", ADA)):
        kept = KeptTokens("user-1", provider, issuer, external_subject, (), b"sealed", "1", True, NOW, NOW, None, None)
        await store.upstream_tokens.keep_tokens(kept, replaces=None)

    await unlink(store, OCTOCAT, PASSWORD)

    assert [one.provider for one in await store.upstream_tokens.list_tokens("user-1", limit=9)] == ["company"]


async def test_the_last_login_of_who_is_disabled_can_be_somebody_elses(store: Store) -> None:
    await come_by(store, OCTOCAT, subject="user-2")
    await store.users.add_user(user())
    take = partial(store.linked_logins.unlink_login, "user-2", OCTOCAT, keeps=(), even_last=True)
    assert await take() is UnlinkOutcome.LAST
    await store.users.disable_user("user-2", now=NOW)

    assert await unlink(store, OCTOCAT, subject="user-2") is UnlinkOutcome.LAST
    assert await take() is UnlinkOutcome.UNLINKED

    assert await link(store) is LinkOutcome.LINKED
    assert (await come_by(store, OCTOCAT)).subject == "user-1"
    assert await store.users.find_user_by_subject("user-2") == User("user-2", NOBODY, "user-2", NOW, disabled_at=NOW)
    assert await keys(store, "user-2") == []
    assert await take() is UnlinkOutcome.UNKNOWN


async def test_of_several_logins_of_who_is_disabled_none_is_the_last(store: Store) -> None:
    await come_by(store, OCTOCAT, subject="user-1")
    await link(store, ADA)
    await store.users.disable_user("user-1", now=NOW)

    assert await store.linked_logins.unlink_login("user-1", OCTOCAT, keeps=(), even_last=True) is UnlinkOutcome.LAST
