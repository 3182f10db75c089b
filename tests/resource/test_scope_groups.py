from __future__ import annotations

import pytest

from gatepost.resource.scope_groups import ScopeGroup, in_groups

MAIL, FILES = ("mail:read", "mail:send", "mail:delete"), ("files:read", "files:write", "files:share")


def test_a_few_scopes_are_one_group_without_a_heading() -> None:
    assert in_groups(MAIL + FILES, {}) == (ScopeGroup(None, MAIL + FILES),)
    assert in_groups((), {}) == ()


def test_many_scopes_are_put_together_by_how_their_names_begin() -> None:
    asked = ("mail:read", "files:read", "profile", "mail:send", "mail:delete", "files:write", "files:share")
    assert in_groups(asked, {}) == (
        ScopeGroup("mail", MAIL),
        ScopeGroup("files", FILES),
        ScopeGroup(None, ("profile",)),
    )


@pytest.mark.parametrize(
    "asked", [tuple(f"area{number}:use" for number in range(12)), tuple(f"mail:{number}" for number in range(12))]
)
def test_groups_of_one_and_one_group_of_all_part_nothing(asked: tuple[str, ...]) -> None:
    assert in_groups(asked, {}) == (ScopeGroup(None, asked),)


def test_the_operator_names_groups_however_few_scopes_there_are() -> None:
    names = {"mail": "Your mail", "files": "Your files"}
    assert in_groups(("profile", "files:read", "mail:read"), names) == (
        ScopeGroup("Your files", ("files:read",)),
        ScopeGroup("Your mail", ("mail:read",)),
        ScopeGroup(None, ("profile",)),
    )


def test_where_every_scope_is_in_a_group_none_comes_last() -> None:
    assert in_groups(("files:read", "mail:read"), {"mail": "Your mail", "files": "Your files"}) == (
        ScopeGroup("Your files", ("files:read",)),
        ScopeGroup("Your mail", ("mail:read",)),
    )


def test_the_longest_beginning_counts_and_ends_where_a_part_of_the_name_does() -> None:
    names = {"mail": "Mail", "mail.admin": "Administration", "profile": "You", "fil": "Nothing"}
    assert in_groups(("mail/read", "mail.admin.all", "mail.admin", "mailing", "profile", "files"), names) == (
        ScopeGroup("Mail", ("mail/read",)),
        ScopeGroup("Administration", ("mail.admin.all", "mail.admin")),
        ScopeGroup("You", ("profile",)),
        ScopeGroup(None, ("mailing", "files")),
    )
