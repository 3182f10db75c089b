from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.oauth.consent import Consent, can_be_remembered, choices, is_covered, narrowed, remembered
from gatepost.stores.conformance.records import NOW, RESOURCE, transaction

WEB = "https://app.example/callback"
REQUEST = transaction(redirect_uri=WEB, started_by_user=False)
CONSENT = Consent(
    subject="user-1",
    client_id="client-1",
    redirect_uri=WEB,
    resource=RESOURCE,
    scopes=("notes:read", "notes:write"),
    created_at=NOW,
    expires_at=NOW + 60,
)
SCOPES = st.sets(st.sampled_from("abcde"))


def test_an_approval_is_remembered_with_what_it_was_for() -> None:
    assert remembered(REQUEST, subject="user-1", now=NOW, lifetime=60) == CONSENT
    assert remembered(REQUEST, subject="user-1", now=NOW, lifetime=0) is None


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "http://127.0.0.1:4711/callback",
        "http://localhost/callback",
        "https://localhost/callback",
        "cursor://anysphere.mcp/callback",
        "com.example.app:/callback",
    ],
)
def test_an_approval_of_an_answer_that_stays_on_the_device_is_not_remembered(redirect_uri: str) -> None:
    """RFC 8252 section 8.6: any program there can receive it."""
    local = replace(REQUEST, redirect_uri=redirect_uri)

    assert not can_be_remembered(redirect_uri)
    assert remembered(local, subject="user-1", now=NOW, lifetime=60) is None
    assert not is_covered(local, replace(CONSENT, redirect_uri=redirect_uri))


def test_the_same_or_less_is_covered_and_more_is_not() -> None:
    assert is_covered(REQUEST, CONSENT)
    assert is_covered(replace(REQUEST, scopes=("notes:read",)), CONSENT)
    assert not is_covered(replace(REQUEST, scopes=(*REQUEST.scopes, "notes:delete")), CONSENT)


def test_required_scopes_and_a_single_one_are_no_choice() -> None:
    assert choices(("a", "b", "c"), required={"b"}) == ("a", "c")
    assert choices(("a",), required=()) == ()
    assert choices((), required=()) == ()


@given(asked=st.lists(st.sampled_from("abcde"), unique=True), required=SCOPES, ticked=SCOPES)
def test_narrowing_never_widens_and_keeps_what_must_be(asked: list[str], required: set[str], ticked: set[str]) -> None:
    left = narrowed(asked, required=required, ticked=ticked)

    assert [scope for scope in asked if scope in left] == list(left)
    assert required & set(asked) <= set(left)
    assert set(choices(asked, required=required)) & set(left) <= ticked
