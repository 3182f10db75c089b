from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from unittest.mock import Mock

import pytest
from argon2 import PasswordHasher
from starlette.requests import Request

from gatepost.identity import passwords
from gatepost.identity.local_accounts import LocalAccounts, new_user
from gatepost.identity.passwords import PasswordRefused, password_matches
from gatepost.identity.provider import IdentityProvider, Login
from gatepost.identity.usernames import UsernameRefused
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.users import User
from gatepost.stores.sql.sqlite import memory_store
from tests.identity.second_step_world import second_steps

PASSWORD = "correct horse battery"
REQUEST = Request({"type": "http", "headers": []})

pytestmark = pytest.mark.usefixtures("cheap_hashing")


def random_bytes(length: int) -> bytes:
    return b"\x01" * length


@pytest.fixture
def store() -> Store:
    return memory_store()


@pytest.fixture
async def ada(store: Store) -> User:
    user = new_user("Ada", PASSWORD, now=5, random_bytes=random_bytes)
    await store.users.add_user(user)
    return user


def test_a_new_user_has_a_canonical_name_a_hash_and_a_random_subject() -> None:
    user = new_user(" Ada ", PASSWORD, now=5, random_bytes=random_bytes)
    assert (user.username, user.subject, user.created_at) == ("ada", "user_AQEBAQEBAQEBAQEBAQEBAQ", 5)
    assert user.disabled_at is None
    assert password_matches(user.password_hash, PASSWORD)


def test_a_new_user_s_name_and_password_have_to_be_ones() -> None:
    with pytest.raises(UsernameRefused):
        new_user("a b", PASSWORD, now=5, random_bytes=random_bytes)
    with pytest.raises(PasswordRefused):
        new_user("ada", "short", now=5, random_bytes=random_bytes)
    with pytest.raises(PasswordRefused):
        new_user("Ada.Lovelace", "ADA.LOVELACE", now=5, random_bytes=random_bytes)


def test_it_is_a_provider_that_asks_for_username_and_password(store: Store) -> None:
    provider = LocalAccounts(users=store.users, second_steps=second_steps(store))
    assert isinstance(provider, IdentityProvider)
    assert [(field.name, field.secret, field.autocomplete) for field in provider.login_fields] == [
        ("username", False, "username"),
        ("password", True, "current-password"),
    ]
    assert provider.can_switch_account


@pytest.mark.parametrize("username", ["ada", "ADA", " Ada "])
async def test_username_and_password_open_the_account(store: Store, ada: User, username: str) -> None:
    provider = LocalAccounts(users=store.users, second_steps=second_steps(store))
    identity = await provider.authenticate(REQUEST, {"username": username, "password": PASSWORD})
    assert identity == ada


@pytest.mark.usefixtures("ada")
async def test_an_arrival_without_credentials_is_nobody_and_costs_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(passwords, "_hasher")
    assert await LocalAccounts(users=store.users, second_steps=second_steps(store)).authenticate(REQUEST, {}) is None


@pytest.mark.parametrize(
    "credentials",
    [
        {"username": "ada", "password": "wrong"},
        {"username": "ada", "password": ""},
        {"username": "ada"},
        {"username": "nobody", "password": PASSWORD},
        {"username": "not a name", "password": PASSWORD},
        {"username": "", "password": PASSWORD},
        {"password": PASSWORD},
        {"username": "disabled", "password": PASSWORD},
    ],
)
@pytest.mark.usefixtures("ada")
async def test_every_failure_is_one_answer_after_one_verification(
    store: Store, monkeypatch: pytest.MonkeyPatch, credentials: Mapping[str, str]
) -> None:
    disabled = new_user("disabled", PASSWORD, now=5, random_bytes=lambda length: b"\x02" * length)
    await store.users.add_user(disabled)
    await store.users.disable_user(disabled.subject, now=6)
    verifications: list[str | None] = []

    def counted(password_hash: str | None, password: str) -> bool:
        verifications.append(password_hash)
        return password_matches(password_hash, password)

    monkeypatch.setattr("gatepost.identity.local_accounts.password_matches", counted)
    assert (
        await LocalAccounts(users=store.users, second_steps=second_steps(store)).authenticate(REQUEST, credentials)
        is None
    )
    assert len(verifications) == 1


async def test_people_of_other_providers_are_no_accounts(store: Store) -> None:
    await store.users.recognise_user("operator", "owner", display_name=None, subjects=("owner",), now=5)
    assert await LocalAccounts(users=store.users, second_steps=second_steps(store)).awaits_setup()


async def test_set_up_is_awaited_until_an_account_exists_and_never_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = LocalAccounts(users=store.users, second_steps=second_steps(store))
    assert await provider.awaits_setup()
    await store.users.add_user(new_user("ada", PASSWORD, now=5, random_bytes=random_bytes))
    assert not await provider.awaits_setup()
    monkeypatch.setattr(store.users, "list_users", None)
    assert not await provider.awaits_setup()


async def test_nobody_is_asked_elsewhere(store: Store) -> None:
    provider = LocalAccounts(users=store.users, second_steps=second_steps(store))
    assert provider.routes == ()
    assert await provider.challenge(REQUEST, Mock(Login)) is None


async def test_a_hash_of_other_parameters_is_made_anew_at_the_login_and_logs_nobody_out(store: Store) -> None:
    provider = LocalAccounts(users=store.users, second_steps=second_steps(store))
    old = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
    ada = replace(new_user("ada", PASSWORD, now=5, random_bytes=random_bytes), password_hash=old)
    await store.users.add_user(ada)
    wrong = {"username": "ada", "password": "another one altogether"}
    assert await provider.authenticate(REQUEST, wrong) is None
    assert await store.users.find_user("ada") == ada

    logged_in = await provider.authenticate(REQUEST, {"username": "ada", "password": PASSWORD})

    kept = await store.users.find_user("ada")
    assert kept == logged_in
    assert kept is not None
    assert kept.password_hash is not None
    assert kept.password_hash != old
    assert passwords.is_hash_of_today(kept.password_hash)
    assert password_matches(kept.password_hash, PASSWORD)
    # And then it stays.
    assert await provider.authenticate(REQUEST, {"username": "ada", "password": PASSWORD}) == kept


async def test_a_password_that_is_changed_meanwhile_is_not_overwritten(store: Store, ada: User) -> None:
    assert not await store.users.rehash_password(ada.subject, "$newer", replaces="$other")
    assert await store.users.find_user("ada") == ada
