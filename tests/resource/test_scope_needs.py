from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.resource.scope_needs import ScopeNeeds, all_of, any_of, closure, groups_of, to_ask_for

SCOPES = st.frozensets(st.sampled_from("abcd"))
GROUPS = st.lists(st.lists(st.sampled_from("abcd"), min_size=1), min_size=1)


@given(GROUPS, SCOPES)
def test_one_scope_of_each_group_is_enough_and_less_is_not(groups: list[list[str]], granted: frozenset[str]) -> None:
    needs = all_of(*(any_of(*group) for group in groups))

    is_enough = all(any(scope in granted for scope in group) for group in groups)
    assert (needs <= granted) is is_enough
    assert (granted >= needs) is is_enough


@given(SCOPES, SCOPES)
def test_plain_scopes_stay_a_plain_set(needed: frozenset[str], granted: frozenset[str]) -> None:
    needs = all_of(*needed)

    assert type(needs) is frozenset
    assert needs == needed
    assert (needs <= granted) is needed.issubset(granted)


def test_one_of_several_beside_others() -> None:
    needs = all_of("read", any_of("admin", "editor"))

    assert set(needs) == {"read", "admin", "editor"}
    assert groups_of(needs) == (("read",), ("admin", "editor"))
    assert to_ask_for(needs) == {"read", "admin"}
    assert not needs <= {"read"}
    assert not needs <= {"admin", "editor"}
    assert needs <= {"read", "editor", "other"}
    assert repr(needs) == "ScopeNeeds((('read',), ('admin', 'editor')))"


def test_what_is_needed_in_other_groups_is_something_else() -> None:
    assert any_of("a", "b") == any_of("a", "b")
    assert hash(any_of("a", "b")) == hash(any_of("a", "b"))
    assert any_of("a", "b") != frozenset({"a", "b"})
    assert frozenset({"a", "b"}) != any_of("a", "b")
    assert any_of("a", "b") != any_of("b", "a")


def test_one_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="name at least one"):
        any_of()


def test_groups_of_one_are_plain_scopes() -> None:
    assert type(all_of(any_of("a"), "b")) is frozenset
    assert all_of(any_of("a"), "b") == {"a", "b"}
    assert groups_of(frozenset({"b", "a"})) == (("a",), ("b",))
    assert all_of() == frozenset()
    assert isinstance(all_of(ScopeNeeds([["a", "b"]])), ScopeNeeds)


def test_scopes_imply_others_by_any_number_of_steps() -> None:
    assert closure({"admin": ["write", "audit"], "write": ["read"], "a": ["b"], "b": ["a"]}) == {
        "admin": {"admin", "write", "audit", "read"},
        "write": {"write", "read"},
        "a": {"a", "b"},
        "b": {"a", "b"},
    }
    assert closure({}) == {}
