"""Members of JSON objects by the names that an operator chooses."""

from __future__ import annotations

import pytest

from gatepost.tokens.claims import found, texts

CLAIMS = {
    "sub": "ada",
    "realm_access": {"roles": ["editor"], "deep": {"er": 1}},
    "https://example.com/groups": ["staff"],
    "a.b": "the name itself",
    "a": {"b": "the path"},
    "nothing": None,
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("sub", "ada"),
        ("realm_access.roles", ["editor"]),
        ("realm_access.deep.er", 1),
        ("https://example.com/groups", ["staff"]),
        ("a.b", "the name itself"),
        ("a", {"b": "the path"}),
    ],
)
def test_a_member_is_found_by_its_name_and_else_by_its_path(path: str, value: object) -> None:
    assert found(CLAIMS, path) == value


@pytest.mark.parametrize(
    "path", ["name", "realm_access.groups", "sub.length", "nothing", "nothing.x", "missing.roles", "", ".", "sub."]
)
def test_what_is_not_there_is_none(path: str) -> None:
    assert found(CLAIMS, path) is None


@pytest.mark.parametrize("value", [None, [], "sub", ["sub"], 7])
def test_what_is_no_object_has_no_members(value: object) -> None:
    assert found(value, "sub") is None


def test_of_a_list_the_texts_count_and_of_all_else_nothing() -> None:
    assert texts(["a", 1, None, "b", ["c"], {"d": "e"}]) == ("a", "b")
    assert texts([]) == ()
    for value in (None, "ab", ("a", "b"), {"a": "b"}, 7):
        assert texts(value) == ()
