from __future__ import annotations

from starlette.requests import Request

from gatepost.identity.provider import Identity, IdentityProvider
from gatepost.identity.single_user import SingleUserProvider

REQUEST = Request({"type": "http", "headers": []})


async def test_everybody_is_the_owner() -> None:
    provider = SingleUserProvider()
    assert isinstance(provider, IdentityProvider)
    assert await provider.authenticate(REQUEST, {}) == Identity("owner", "owner")
    assert await provider.authenticate(REQUEST, {"username": "eve"}) == Identity("owner", "owner")


async def test_the_one_user_can_be_called_otherwise() -> None:
    provider = SingleUserProvider("user_1", display_name="Ada")
    assert await provider.authenticate(REQUEST, {}) == Identity("user_1", "Ada")
    assert await provider.is_active("user_1")


async def test_a_session_of_another_provider_s_user_is_not_active() -> None:
    assert await SingleUserProvider().is_active("owner")
    assert not await SingleUserProvider().is_active("user_AQEBAQEBAQEBAQEBAQEBAQ")


async def test_nothing_is_asked_and_nothing_has_to_be_set_up() -> None:
    provider = SingleUserProvider()
    assert provider.login_fields == ()
    assert not provider.can_switch_account
    assert not await provider.awaits_setup()
