from __future__ import annotations

import pytest
from starlette.requests import Request

from gatepost.identity.passwords import PasswordRefused
from gatepost.identity.provider import Identity, IdentityProvider
from gatepost.identity.single_user import OPERATOR
from gatepost.identity.static_password import StaticPasswordProvider
from gatepost.stores.contract.users import User

PASSWORD = "correct horse battery"
REQUEST = Request({"type": "http", "headers": []})


async def test_whoever_knows_the_password_is_the_owner() -> None:
    provider = StaticPasswordProvider(PASSWORD)
    assert isinstance(provider, IdentityProvider)
    assert await provider.authenticate(REQUEST, {"password": PASSWORD}) == Identity("owner", "owner")
    assert (provider.issuer, provider.keeps_subjects) == (OPERATOR, True)


@pytest.mark.parametrize(
    "credentials",
    [
        {},
        {"password": ""},
        {"password": PASSWORD.upper()},
        {"password": PASSWORD + " "},
        {"password": PASSWORD[:-1]},
        {"password": "\udcff" * 12},
        {"password": "a\u0315" * 5000},
        {"username": PASSWORD},
    ],
)
async def test_nobody_else_is(credentials: dict[str, str]) -> None:
    assert await StaticPasswordProvider(PASSWORD).authenticate(REQUEST, credentials) is None


async def test_a_composed_and_a_decomposed_letter_are_one() -> None:
    provider = StaticPasswordProvider("Zoe\u0308 likes horses")
    assert await provider.authenticate(REQUEST, {"password": "Zo\u00eb likes horses"}) is not None


@pytest.mark.parametrize("password", ["", "short", "a" * 257, "aaaaaaaaaaaaaaaa", "twelve\tcharacters"])
def test_a_password_that_is_easy_to_guess_is_refused_and_not_repeated(password: str) -> None:
    with pytest.raises(PasswordRefused) as refused:
        StaticPasswordProvider(password)
    assert not password or password not in str(refused.value)


async def test_the_owner_can_be_called_otherwise() -> None:
    provider = StaticPasswordProvider(PASSWORD, "ada", display_name="Ada")
    assert await provider.authenticate(REQUEST, {"password": PASSWORD}) == Identity("ada", "Ada")
    assert await provider.is_active(User("ada", OPERATOR, "ada", 5))
    assert not await provider.is_active(User("owner", OPERATOR, "owner", 5))


def test_it_asks_for_one_secret_and_shows_no_other_account() -> None:
    provider = StaticPasswordProvider(PASSWORD)
    assert [(field.name, field.secret) for field in provider.login_fields] == [("password", True)]
    assert not provider.can_switch_account


def test_the_password_is_not_shown_by_accident() -> None:
    assert PASSWORD not in repr(vars(StaticPasswordProvider(PASSWORD)))
