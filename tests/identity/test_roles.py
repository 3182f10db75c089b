"""Roles of people: given ones and those of rules, and what they permit."""

from __future__ import annotations

import logging

import pytest

from gatepost.identity.provider import Identity
from gatepost.identity.roles import NO_ROLES, Role, Roles, is_role_name
from gatepost.identity.rules import NotARule
from gatepost.identity.single_user import OPERATOR
from gatepost.resource.profile import Profile
from gatepost.stores.contract.users import LOCAL, Person, User

ADA = User("user_1", LOCAL, "user_1", 5, username="ada", roles=("user",))
GRACE = Person("https://id.example.com", "1", None, "Grace", Profile(groups=("staff",)).to_text(), ("guest",))
OWNER = User("owner", OPERATOR, "owner", 5)
SCOPES = ("read", "write", "delete")
ROLES = Roles(
    {
        "admin": Role(scopes="*", users="group:admins"),
        "user": Role(scopes="write read", users=["group:staff", "account:ada"]),
        "guest": Role(scopes=["read"]),
        "friend": Role(users="*"),
    }
)


def test_people_have_the_roles_that_they_were_given_and_those_whose_rule_names_them() -> None:
    assert NO_ROLES.of(ADA) == {"user"}
    assert NO_ROLES.of(GRACE) == {"guest"}
    assert ROLES.of(GRACE) == {"guest", "user", "friend"}
    assert ROLES.of(ADA) == {"user", "friend"}
    assert ROLES.of(User("user_2", LOCAL, "user_2", 5, username="bob")) == {"friend"}


def test_whom_the_operator_names_is_an_administrator_and_all_else() -> None:
    assert NO_ROLES.of(OWNER) == {"admin"}
    assert ROLES.of(OWNER) == {"admin", "user", "guest", "friend"}


@pytest.mark.parametrize(
    ("roles", "permitted"),
    [
        ((), ()),
        (("guest",), ("read",)),
        (("user",), ("read", "write")),
        (("guest", "user", "unknown"), ("read", "write")),
        (("admin",), SCOPES),
        (("friend",), ()),
    ],
)
def test_roles_permit_their_scopes_and_no_other(roles: tuple[str, ...], permitted: tuple[str, ...]) -> None:
    assert ROLES.permit(SCOPES, roles) == permitted


def test_a_role_permits_what_its_scopes_imply_and_not_what_they_are_implied_by() -> None:
    implied = {"write": frozenset({"read"}), "delete": frozenset({"write", "read"})}
    roles = Roles({"editor": Role(scopes="write"), "reader": Role(scopes="read")})
    assert roles.permit(SCOPES, ["editor"], implied) == ("read", "write")
    assert roles.permit(SCOPES, ["reader"], implied) == ("read",)
    assert roles.permit(SCOPES, [], implied) == ()


def test_scopes_are_permitted_to_people_by_all_their_roles() -> None:
    assert ROLES.permit_to(SCOPES, GRACE) == ("read", "write")
    assert ROLES.permit_to(SCOPES, None) == SCOPES  # no person behind it
    assert NO_ROLES.permit_to(SCOPES, ADA) == SCOPES


def test_roles_without_scopes_limit_nothing() -> None:
    roles = Roles({"admin": Role(users="group:staff")})
    assert roles.of(GRACE) == {"guest", "admin"}
    assert roles.permit_to(SCOPES, ADA) == SCOPES
    assert roles.scopes is None


def test_a_role_with_an_empty_set_of_scopes_permits_none() -> None:
    assert Roles({"guest": Role(scopes="")}).permit(SCOPES, ["guest"]) == ()


def test_the_scopes_of_all_roles_and_the_organizations_that_they_name_are_known() -> None:
    roles = Roles({"user": Role(scopes="a b", users="org:acme"), "guest": Role(scopes=["c"], users="team:a/b")})
    assert roles.scopes == frozenset("abc")
    assert roles.organizations == {"acme", "a"}


def test_a_function_says_who_has_a_role() -> None:
    roles = Roles({"night-shift": Role(users=lambda identity: identity.display_name == "Grace")})
    assert roles.of(GRACE) == {"guest", "night-shift"}
    assert roles.of(ADA) == {"user"}


def test_of_a_function_that_fails_nobody_has_a_role_and_the_log_says_which(caplog: pytest.LogCaptureFixture) -> None:
    def fails(identity: Identity) -> bool:
        raise KeyError(identity.subject)

    with caplog.at_level(logging.ERROR):
        assert Roles({"user": Role(users=fails)}).of(GRACE) == {"guest"}
    assert caplog.messages == ["users= of the role user raised KeyError; the person is without it"]
    assert Roles({"user": Role(users=lambda _: 1)}).of(GRACE) == {"guest"}  # type: ignore[arg-type,return-value] # the mistake


async def _later(_: Identity) -> bool:
    return True


@pytest.mark.parametrize(
    ("definitions", "told"),
    [
        ({"Admin": Role()}, "a role is called by a lower-case letter"),
        ({"user": Role(users=_later)}, "has to be a plain function"),  # type: ignore[arg-type]  # the wrong one is the test
    ],
)
def test_what_cannot_be_a_role_is_refused(definitions: dict[str, Role], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Roles(definitions)
    with pytest.raises(NotARule):
        Roles({"user": Role(users="octocat")})


@pytest.mark.parametrize("name", ["admin", "a", "team-2_x", "a" * 32])
def test_a_role_has_a_short_plain_name(name: str) -> None:
    assert is_role_name(name)


@pytest.mark.parametrize("name", ["", "Admin", "2nd", "a b", "a" * 33, "rôle", "admin\n"])
def test_other_texts_are_no_name_of_a_role(name: str) -> None:
    assert not is_role_name(name)
