"""Roles that variables define."""

from __future__ import annotations

import pytest

from gatepost import Server
from gatepost.assembly.installation import install
from gatepost.configuration.roles import roles_of_settings
from gatepost.configuration.settings import SettingsError, load_settings
from gatepost.identity.roles import Role

MEMORY = {"MCP_STORAGE_URL": "memory:"}


def test_a_role_has_scopes_and_users_by_variables_of_its_name() -> None:
    assert roles_of_settings(
        {
            "OAUTH_ROLE_ADMIN_SCOPES": "*",
            "OAUTH_ROLE_ADMIN_USERS": "group:staff ada@example.com",
            "OAUTH_ROLE_NIGHT_SHIFT_SCOPES": "read  write",
            "OAUTH_ROLE_FRIEND_USERS": "*",
        }
    ) == {
        "admin": Role(scopes=["*"], users=["group:staff", "ada@example.com"]),
        "night-shift": Role(scopes=["read", "write"]),
        "friend": Role(users=["*"]),
    }


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("OAUTH_ROLE_ADMIN", "read", "is not a setting: OAUTH_ROLE_<NAME>_ is followed by SCOPES or USERS"),
        ("OAUTH_ROLE__USERS", "*", "is not a setting"),
        ("OAUTH_ROLE_2ND_USERS", "*", "is not a setting"),
        ("OAUTH_ROLE_ADMIN_SCOPE", "read", "is not a setting"),
        ("OAUTH_ROLE_ADMIN_SCOPES", 'a"b', "takes scope names separated by spaces"),
        ("OAUTH_ROLE_ADMIN_USERS", "s3cret", "takes words, separated by spaces"),
    ],
)
def test_what_is_wrong_is_told_without_the_value(variable: str, value: str, told: str) -> None:
    with pytest.raises(SettingsError, match=f"{variable} .*{told}") as refused:
        roles_of_settings({variable: value})
    assert "s3cret" not in str(refused.value)


def notes(monkeypatch: pytest.MonkeyPatch, roles: dict[str, Role] | None = None, **variables: str) -> list[str]:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    server = Server("notes")

    @server.tool(scopes=["read"])
    def read() -> str:
        return ""

    @server.tool(scopes=["write"])
    def write() -> str:
        return ""

    return install(server, load_settings(MEMORY, env_file=None), roles=roles).notes


def test_roles_that_leave_nothing_to_wonder_at_are_no_word_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    assert notes(monkeypatch) == []
    assert notes(monkeypatch, {"user": Role(scopes="read write")}) == []
    assert notes(monkeypatch, {"admin": Role(scopes="*"), "user": Role(scopes="read")}) == []
    assert notes(monkeypatch, {"admin": Role(users="*")}) == []


def test_scopes_that_no_role_has_or_that_nothing_asks_for_are_told_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert notes(monkeypatch, OAUTH_ROLE_USER_SCOPES="read wrte") == [
        "No role has the scope write: nobody can be given what needs it.",
        "Roles name the scope wrte, which nothing here asks for.",
    ]
    # What code says of a role beats the settings.
    assert notes(monkeypatch, {"user": Role(scopes="read write")}) == []


@pytest.mark.parametrize(
    ("roles", "told"),
    [
        ({"Admin": Role()}, "roles= is wrong: a role is called by a lower-case letter"),
        ({"admin": Role(users="octocat")}, "users= of a role in roles= takes a function, or words"),
    ],
)
def test_a_wrong_role_in_code_does_not_start(
    monkeypatch: pytest.MonkeyPatch, roles: dict[str, Role], told: str
) -> None:
    with pytest.raises(SettingsError, match=told):
        notes(monkeypatch, roles)
