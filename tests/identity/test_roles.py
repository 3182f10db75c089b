"""Roles of people."""

from __future__ import annotations

import pytest

from gatepost.identity.roles import Roles, is_role_name
from gatepost.identity.single_user import OPERATOR
from gatepost.stores.contract.users import LOCAL, User

ADA = User("user_1", LOCAL, "user_1", 5, username="ada", roles=("user",))


def test_people_have_the_roles_that_they_were_given() -> None:
    assert Roles().of(ADA) == {"user"}


def test_whom_the_operator_names_is_an_administrator() -> None:
    assert Roles().of(User("owner", OPERATOR, "owner", 5)) == {"admin"}


@pytest.mark.parametrize("name", ["admin", "a", "team-2_x", "a" * 32])
def test_a_role_has_a_short_plain_name(name: str) -> None:
    assert is_role_name(name)


@pytest.mark.parametrize("name", ["", "Admin", "2nd", "a b", "a" * 33, "rôle", "admin\n"])
def test_other_texts_are_no_name_of_a_role(name: str) -> None:
    assert not is_role_name(name)
