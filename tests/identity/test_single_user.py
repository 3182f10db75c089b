from __future__ import annotations

from starlette.requests import Request

from gatepost.identity.provider import Identity, IdentityProvider
from gatepost.identity.single_user import OPERATOR, SingleUserProvider
from gatepost.stores.contract.users import User

REQUEST = Request({"type": "http", "headers": []})


async def test_everybody_is_the_owner() -> None:
    provider = SingleUserProvider()
    assert isinstance(provider, IdentityProvider)
    assert await provider.authenticate(REQUEST, {}) == Identity("owner", "owner")
    assert await provider.authenticate(REQUEST, {"username": "eve"}) == Identity("owner", "owner")


async def test_the_one_user_can_be_called_otherwise() -> None:
    provider = SingleUserProvider("user_1", display_name="Ada")
    assert await provider.authenticate(REQUEST, {}) == Identity("user_1", "Ada")
    assert await provider.is_active(User("user_1", OPERATOR, "user_1", 5))


async def test_a_session_of_one_who_was_called_otherwise_is_not_active() -> None:
    assert await SingleUserProvider().is_active(User("owner", OPERATOR, "owner", 5))
    assert not await SingleUserProvider().is_active(User("user_1", OPERATOR, "user_1", 5))


async def test_nothing_is_asked_and_nothing_has_to_be_set_up() -> None:
    provider = SingleUserProvider()
    assert provider.login_fields == ()
    assert not provider.can_switch_account
    assert not await provider.awaits_setup()
