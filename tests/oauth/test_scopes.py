from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.oauth.errors import InvalidScope
from gatepost.oauth.reasons import Reason
from gatepost.oauth.scopes import (
    MAX_SCOPE_LENGTH,
    is_scope_token,
    narrow_scopes,
    parse_scope,
    select_scopes,
    split_scopes,
)

KNOWN = ("notes:read", "notes:write", "admin")
TOKENS = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"], exclude_characters='"\\'), min_size=1)


@given(st.lists(TOKENS, unique=True, max_size=20), st.integers(0, 3), st.integers(1, 3))
def test_scopes_are_read_in_order_whatever_the_spaces(scopes: list[str], around: int, between: int) -> None:
    text = " " * around + (" " * between).join(scopes) + " " * around
    assert parse_scope(text) == tuple(scopes)


def test_a_scope_named_twice_counts_once() -> None:
    assert parse_scope("b a b") == ("b", "a")


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\tb", "a\nb", "é", "a\x7f", "\u00a0", "a\x00"])
def test_a_character_that_no_scope_can_have_is_refused(text: str) -> None:
    assert not is_scope_token(text)
    with pytest.raises(InvalidScope) as refusal:
        parse_scope(f"notes:read {text}")
    assert refusal.value.reason is Reason.PARAMETER_MALFORMED


def test_the_length_is_bounded() -> None:
    assert MAX_SCOPE_LENGTH == 8_192
    assert parse_scope("a" * MAX_SCOPE_LENGTH) == ("a" * MAX_SCOPE_LENGTH,)
    with pytest.raises(InvalidScope) as refusal:
        parse_scope("a" * (MAX_SCOPE_LENGTH + 1))
    assert refusal.value.reason is Reason.PARAMETER_MALFORMED
    assert refusal.value.description == "scope is longer than 8192 characters."


@pytest.mark.parametrize(
    ("requested", "selected"),
    [
        (None, ("notes:read",)),
        ("", ("notes:read",)),
        ("   ", ("notes:read",)),
        ("admin", ("admin",)),
        (" notes:write", ("notes:write",)),
        ("notes:write  notes:read", ("notes:write", "notes:read")),
        ("openid notes:read offline_access", ("notes:read",)),
        ("notes:read admin notes:write", ("notes:read", "admin", "notes:write")),
        ("openid", ("notes:read",)),
        ("openid email profile", ("notes:read",)),
        ("Notes:Read notes notes:*", ("notes:read",)),
    ],
)
def test_unknown_scopes_are_dropped_and_none_means_the_default(
    requested: str | None, selected: tuple[str, ...]
) -> None:
    assert select_scopes(requested, known=KNOWN, default=("notes:read",)) == selected


@given(
    st.lists(st.sampled_from(KNOWN)),
    st.lists(st.sampled_from(("openid", "email", "offline_access", "x"))),
    st.randoms(),
)
def test_adding_unknown_scopes_never_changes_the_outcome(known: list[str], unknown: list[str], order: Random) -> None:
    mixed = known + unknown
    order.shuffle(mixed)
    asked = " ".join(scope for scope in mixed if scope in KNOWN)

    assert select_scopes(" ".join(mixed), known=KNOWN, default=("admin",)) == select_scopes(
        asked, known=KNOWN, default=("admin",)
    )


@pytest.mark.parametrize(("requested", "narrowed"), [("gone", ("gone",)), ("notes:read gone", ("notes:read", "gone"))])
def test_a_scope_that_was_granted_may_be_asked_for_when_no_resource_has_it_any_more(
    requested: str, narrowed: tuple[str, ...]
) -> None:
    assert narrow_scopes(requested, granted=("notes:read", "gone"), known=KNOWN) == narrowed


def test_a_server_without_scopes_grants_the_empty_set() -> None:
    assert select_scopes(None, known=(), default=()) == ()


@given(st.one_of(st.none(), st.lists(st.sampled_from((*KNOWN, "openid", "x"))).map(" ".join)))
def test_nothing_unknown_is_ever_selected(requested: str | None) -> None:
    selected = select_scopes(requested, known=KNOWN, default=("notes:read",))
    assert set(selected) <= set(KNOWN)
    assert selected == ("notes:read",) or set(selected) <= set((requested or "").split())


@pytest.mark.parametrize(
    ("requested", "narrowed"),
    [
        (None, ("notes:read", "admin")),
        (" ", ("notes:read", "admin")),
        ("admin", ("admin",)),
        ("admin notes:read", ("notes:read", "admin")),
        ("openid", ("notes:read", "admin")),
        ("admin openid", ("admin",)),
    ],
)
def test_a_refresh_may_ask_for_less(requested: str | None, narrowed: tuple[str, ...]) -> None:
    assert narrow_scopes(requested, granted=("notes:read", "admin"), known=KNOWN) == narrowed


@pytest.mark.parametrize("requested", ["notes:write", "admin notes:write", "openid notes:write"])
def test_a_refresh_may_not_ask_for_more(requested: str) -> None:
    with pytest.raises(InvalidScope) as refusal:
        narrow_scopes(requested, granted=("notes:read", "admin"), known=KNOWN)
    assert refusal.value.reason is Reason.SCOPE_WIDER_THAN_GRANTED


def test_scopes_that_somebody_types_are_parted_by_blanks_or_commas_unless_one_has_a_comma() -> None:
    assert split_scopes(" b, a\tb,,c ", known=()) == ("b", "a", "c")
    assert split_scopes("a,b a,c", known=("a,b",)) == ("a,b", "a", "c")
    assert split_scopes(" , ", known=()) == ()
