"""People and the set-up link, on every backend."""

import asyncio
from dataclasses import replace

import pytest

from gatepost.resource.profile import LONGEST_PROFILE, Profile
from gatepost.stores.conformance.records import NOW, approve, client, find_grant, fp, grant, redeem, session, user
from gatepost.stores.contract.second_steps import SecondStep
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.users import User


async def test_a_set_up_link_is_open_until_the_first_account(store: Store) -> None:
    assert await store.users.setup_is_open(fp("link")) is False
    assert await store.users.offer_setup(fp("link"), now=NOW, unless_since=NOW) == NOW
    assert await store.users.setup_is_open(fp("link")) is True
    assert await store.users.setup_is_open(fp("another")) is False

    assert await store.users.create_first_user(fp("link"), user()) is True

    assert await store.users.setup_is_open(fp("link")) is False
    assert await store.users.list_users() == [user()]


async def test_a_newer_set_up_link_voids_the_older(store: Store) -> None:
    await store.users.offer_setup(fp("old"), now=NOW, unless_since=NOW)
    await store.users.offer_setup(fp("new"), now=NOW + 1, unless_since=NOW + 1)

    assert await store.users.setup_is_open(fp("old")) is False
    assert await store.users.create_first_user(fp("old"), user()) is False
    assert await store.users.list_users() == []
    assert await store.users.create_first_user(fp("new"), user()) is True


async def test_a_set_up_link_that_was_just_offered_stays_the_valid_one(store: Store) -> None:
    async def offer(link: str, now: int) -> int | None:
        return await store.users.offer_setup(fp(link), now=now, unless_since=now - 60)

    assert [await offer("first", NOW), await offer("second", NOW + 1), await offer("third", NOW + 60)] == [NOW] * 3
    assert await store.users.setup_is_open(fp("first")) is True
    assert await offer("later", NOW + 61) == NOW + 61
    assert await store.users.setup_is_open(fp("first")) is False
    assert await offer("after the clock was set back", NOW) == NOW
    assert await store.users.setup_is_open(fp("later")) is False


async def test_a_set_up_link_makes_one_account(store: Store) -> None:
    await store.users.offer_setup(fp("link"), now=NOW, unless_since=NOW)
    await store.users.create_first_user(fp("link"), user())

    assert await store.users.create_first_user(fp("link"), user("user-2", "bob")) is False
    assert await store.users.list_users() == [user()]


async def test_no_set_up_link_is_offered_once_an_account_exists(store: Store) -> None:
    await store.users.add_user(user())
    await store.users.disable_user("user-1", now=NOW)

    assert await store.users.offer_setup(fp("link"), now=NOW, unless_since=NOW) is None
    assert await store.users.setup_is_open(fp("link")) is False
    assert await store.users.create_first_user(fp("link"), user("user-2", "bob")) is False


async def test_adding_an_account_voids_the_set_up_link(store: Store) -> None:
    await store.users.offer_setup(fp("link"), now=NOW, unless_since=NOW)

    assert await store.users.add_user(user()) is True
    assert await store.users.setup_is_open(fp("link")) is False
    assert await store.users.create_first_user(fp("link"), user("user-2", "bob")) is False


async def test_a_username_is_given_once(store: Store) -> None:
    await store.users.add_user(user())

    assert await store.users.add_user(user("user-2")) is False
    assert await store.users.add_user(user(username="bob")) is False
    assert await store.users.list_users() == [user()]


async def test_an_account_is_found_by_username_and_by_subject(store: Store) -> None:
    await store.users.add_user(user())

    assert await store.users.find_user("ada") == user()
    assert await store.users.find_user_by_subject("user-1") == user()
    assert await store.users.find_user("user-1") is None
    assert await store.users.find_user_by_subject("ada") is None


async def test_accounts_are_listed_by_username(store: Store) -> None:
    for number, username in enumerate(("zoë", "bob", "ada", "Émile", "émile")):
        await store.users.add_user(user(f"user-{number}", username))

    assert [found.username for found in await store.users.list_users()] == ["ada", "bob", "zoë", "Émile", "émile"]


async def recognise(store: Store, issuer: str, name: str, *subjects: str, shown: str | None = None) -> User:
    return await store.users.recognise_user(issuer, name, display_name=shown, subjects=subjects, now=NOW)


async def test_a_person_is_added_at_the_first_login_and_known_at_the_next(store: Store) -> None:
    ada = await recognise(store, "https://idp.example", "4711", "user-9", shown="Ada")

    assert ada == User("user-9", "https://idp.example", "4711", NOW, display_name="Ada")
    assert await recognise(store, "https://idp.example", "4711", "user-10", shown="Ada") == ada
    assert await store.users.find_user_by_subject("user-9") == ada


async def test_a_new_name_is_kept_and_none_leaves_the_old_one(store: Store) -> None:
    await recognise(store, "https://idp.example", "4711", "user-9", shown="Ada")

    renamed = await recognise(store, "https://idp.example", "4711", "user-10", shown="Ada L.")

    assert renamed == User("user-9", "https://idp.example", "4711", NOW, display_name="Ada L.")
    assert await recognise(store, "https://idp.example", "4711", "user-10") == renamed
    assert await store.users.find_user_by_subject("user-9") == renamed


async def test_nobody_is_given_the_subject_of_a_client_that_may_act_for_itself(store: Store) -> None:
    await store.clients.register_client(client("reports"))
    assert (await recognise(store, "upstream", "reports", "reports", "user-9")).subject == "user-9"


async def test_what_the_issuer_says_takes_the_place_of_what_it_said_before(store: Store) -> None:
    async def said(profile: Profile) -> Profile:
        person = await store.users.recognise_user(
            "https://idp.example", "4711", display_name="Ada", subjects=("user-9",), now=NOW, profile=profile
        )
        kept = await store.users.find_user_by_subject("user-9")
        assert kept == person
        return person.profile

    verified = Profile("ada@example.com", email_verified=True, groups=("staff", "ops"), claims={"n": {"m": [1, None]}})
    for profile in (verified, Profile("ada@example.com", groups=("staff",)), Profile()):
        assert await said(profile) == profile


async def test_a_profile_of_any_length_is_not_kept(store: Store) -> None:
    for claims in ({"n": "x" * LONGEST_PROFILE}, {"n": float("nan")}):
        with pytest.raises(ValueError, match="."):
            await store.users.recognise_user(
                "issuer", "1", display_name=None, subjects=("user-1",), now=NOW, profile=Profile(claims=claims)
            )
    assert await store.users.list_users() == []


async def test_the_same_subject_of_two_issuers_is_two_people(store: Store) -> None:
    one = await recognise(store, "https://one.example", "4711", "user-8", shown="ada@example.com")
    two = await recognise(store, "https://two.example", "4711", "user-9", shown="ada@example.com")

    assert (one.subject, two.subject) == ("user-8", "user-9")


async def test_nobody_gets_a_subject_that_is_somebody_elses(store: Store) -> None:
    await store.users.add_user(user("owner", "ada"))

    person = await recognise(store, "operator", "owner", "owner", "user-9")

    assert person.subject == "user-9"
    assert (await recognise(store, "operator", "owner", "owner", "user-10")).subject == "user-9"
    assert await store.users.find_user("ada") == user("owner", "ada")


async def test_of_many_first_logins_at_once_one_adds_the_person(store: Store) -> None:
    people = await asyncio.gather(
        *(recognise(store, "https://idp.example", "4711", f"user-{number}") for number in range(20))
    )

    assert len({person.subject for person in people}) == 1
    assert await store.users.list_users() == [people[0]]


async def test_a_person_without_a_password_here_does_not_end_the_set_up(store: Store) -> None:
    await store.users.offer_setup(fp("link"), now=NOW, unless_since=NOW)
    await recognise(store, "operator", "owner", "owner")

    assert await store.users.setup_is_open(fp("link")) is True
    assert await store.users.create_first_user(fp("link"), user()) is True


async def test_people_of_all_providers_are_listed_and_disabled_alike(store: Store) -> None:
    await store.users.add_user(user("user-1", "zoe"))
    await recognise(store, "https://idp.example", "2", "user-2", shown="Bob")
    await recognise(store, "https://idp.example", "3", "user-3", shown="Ada")
    await recognise(store, "a-provider", "4", "user-4")
    await redeem(store, "2", subject="user-2")

    assert [one.subject for one in await store.users.list_users()] == ["user-1", "user-4", "user-3", "user-2"]
    assert await store.users.disable_user("user-2", now=NOW) is True

    assert (await recognise(store, "https://idp.example", "2", "user-9")).disabled_at == NOW
    token = await store.grants.find_access_token(fp("access 2"), now=NOW)
    assert token is not None
    assert (token.grant_revoked, token.user_disabled) == (True, True)
    assert await store.users.enable_user("user-2") is True
    assert (await recognise(store, "https://idp.example", "2", "user-9")).disabled_at is None


async def test_disabling_ends_sessions_codes_and_grants_of_this_account_alone(store: Store) -> None:
    await store.users.add_user(user())
    await store.users.add_user(user("user-2", "bob"))
    await store.clients.register_client(client())
    for subject in ("user-1", "user-2"):
        await store.browser_sessions.start_session(session(subject, subject=subject))
        await approve(store, f"open-{subject}", subject=subject)
        await redeem(store, subject, subject=subject)
    await store.browser_sessions.start_session(session("nobody", subject=None))

    assert await store.users.disable_user("user-1", now=NOW + 5) is True

    assert await store.users.find_user("ada") == user(disabled_at=NOW + 5)
    assert await store.browser_sessions.find_session(fp("user-1"), now=NOW) is None
    assert await store.grants.find_code(fp("code-open-user-1"), now=NOW) is None
    assert await store.grants.find_code(fp("code-user-1"), now=NOW) is not None
    revoked = grant("grant-user-1", revoked_at=NOW + 5, revoked_reason="user_disabled")
    assert await find_grant(store, "grant-user-1") == revoked
    judged = await store.grants.find_refresh(fp("refresh user-1"))
    assert judged is not None
    assert (judged.grant, judged.user_disabled) == (revoked, True)
    token = await store.grants.find_access_token(fp("access user-1"), now=NOW)
    assert token is not None
    assert (token.grant_revoked, token.user_disabled) == (True, True)

    assert await store.users.find_user("bob") == user("user-2", "bob")
    assert await store.browser_sessions.find_session(fp("user-2"), now=NOW) is not None
    assert await store.browser_sessions.find_session(fp("nobody"), now=NOW) is not None
    assert await store.grants.find_code(fp("code-open-user-2"), now=NOW) is not None
    untouched = grant("grant-user-2", subject="user-2")
    assert await find_grant(store, "grant-user-2") == untouched


async def test_disabling_twice_keeps_the_first_time_and_an_earlier_revocation_its_reason(store: Store) -> None:
    await store.users.add_user(user())
    await redeem(store)
    await store.grants.revoke_grant("grant-1", reason="asked", now=NOW)

    assert await store.users.disable_user("user-1", now=NOW + 1) is True
    assert await store.users.disable_user("user-1", now=NOW + 2) is True

    assert await store.users.find_user("ada") == user(disabled_at=NOW + 1)
    kept = await find_grant(store, "grant-1")
    assert kept is not None
    assert kept == grant(revoked_at=NOW, revoked_reason="asked")


async def test_enabling_lifts_the_mark_and_nothing_else(store: Store) -> None:
    await store.users.add_user(user())
    await redeem(store)
    await store.users.disable_user("user-1", now=NOW)

    assert await store.users.enable_user("user-1") is True

    assert await store.users.find_user("ada") == user()
    token = await store.grants.find_access_token(fp("access 1"), now=NOW)
    assert token is not None
    assert (token.grant_revoked, token.user_disabled) == (True, False)


async def test_changing_the_password_ends_the_sessions_and_keeps_the_grants(store: Store) -> None:
    await store.users.add_user(user())
    await store.users.add_user(user("user-2", "bob"))
    await store.browser_sessions.start_session(session())
    await store.browser_sessions.start_session(session("other", subject="user-2"))
    await redeem(store)

    assert await store.users.change_password("ada", "$argon2id$new") is True

    assert await store.users.find_user("ada") == replace(user(), password_hash="$argon2id$new")
    assert await store.browser_sessions.find_session(fp("session-1"), now=NOW) is None
    assert await store.browser_sessions.find_session(fp("other"), now=NOW) is not None
    kept = await find_grant(store, "grant-1")
    assert kept is not None
    assert kept == grant()


async def test_what_is_done_to_an_unknown_account_is_false(store: Store) -> None:
    await store.users.add_user(user())

    assert await store.users.disable_user("user-2", now=NOW) is False
    assert await store.users.enable_user("user-2") is False
    assert await store.users.change_password("bob", "$argon2id$new") is False
    assert await store.users.list_users() == [user()]


async def test_a_password_is_changed_in_place_of_the_one_that_was_checked(store: Store) -> None:
    await store.users.add_user(user())
    hashes = ["$new-1", "$new-2"]

    answers = await asyncio.gather(*(store.users.change_password("ada", new, of=user()) for new in hashes))

    assert sorted(answers) == [False, True]
    changed = await store.users.find_user("ada")
    assert changed is not None
    assert changed.password_hash == hashes[answers.index(True)]


async def test_a_password_that_was_checked_before_a_second_step_was_set_up_is_not_changed(store: Store) -> None:
    await store.users.add_user(user())
    assert await store.second_steps.set_up(SecondStep("user-1", "step-1", b"sealed", 1, NOW), recovery_codes=())

    assert await store.users.change_password("ada", "$new", of=user()) is False
    assert await store.users.change_password("ada", "$new", of=user(second_step="step-1")) is True


async def test_roles_are_given_and_taken_one_by_one(store: Store) -> None:
    await store.users.add_user(user(roles=("user",)))
    await store.users.add_user(user("user-2", "bob"))

    assert await store.users.give_role("user-1", "admin") is True
    assert await store.users.give_role("user-1", "admin") is True
    assert await store.users.take_role("user-2", "admin") is True
    assert await store.users.list_users() == [user(roles=("admin", "user")), user("user-2", "bob")]

    assert await store.users.take_role("user-1", "user") is True
    assert await store.users.find_user("ada") == user(roles=("admin",))
    assert [await store.users.give_role("nobody", "admin"), await store.users.take_role("nobody", "admin")] == [
        False
    ] * 2


async def test_two_roles_given_at_once_are_both_kept(store: Store) -> None:
    await store.users.add_user(user())

    await asyncio.gather(*(store.users.give_role("user-1", role) for role in ("a", "b", "c", "d")))

    assert await store.users.find_user("ada") == user(roles=("a", "b", "c", "d"))


async def test_a_login_keeps_the_roles_that_a_person_was_given(store: Store) -> None:
    async def log_in(name: str) -> User:
        return await store.users.recognise_user(
            "https://id.example", "1", display_name=name, subjects=("user-1",), now=NOW
        )

    assert (await log_in("Ada")).roles == ()
    await store.users.give_role("user-1", "admin")

    assert (await log_in("Ada")).roles == ("admin",)
    assert (await log_in("Countess")).roles == ("admin",)
