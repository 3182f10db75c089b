"""What the issuer says of a person, as a text that is kept and read again."""

from __future__ import annotations

from typing import Any

import pytest

from gatepost.resource.profile import LONGEST_PROFILE, NO_PROFILE, Profile

SAID = Profile("ada@example.com", email_verified=True, groups=("staff", "ops"), claims={"b": [1, None], "a": "é"})


def test_the_text_says_it_all_and_equal_profiles_have_one() -> None:
    """Pinned: stores hold it."""
    text = SAID.to_text()
    assert text == '["ada@example.com",true,["staff","ops"],{"a":"\\u00e9","b":[1,null]}]'
    same = Profile("ada@example.com", email_verified=True, groups=("staff", "ops"), claims={"a": "é", "b": [1, None]})
    assert same.to_text() == text
    assert Profile.from_text(text) == SAID
    assert type(Profile.from_text(text).groups) is tuple


def test_of_whom_nothing_was_said_nothing_is_kept() -> None:
    assert Profile().to_text() is None
    assert Profile.from_text(None) == Profile() == NO_PROFILE
    assert Profile.from_text(None) is not NO_PROFILE


@pytest.mark.parametrize(
    "profile", [Profile("a"), Profile(email_verified=True), Profile(groups=("a",)), Profile(claims={"a": 1})]
)
def test_whatever_was_said_is_kept(profile: Profile) -> None:
    assert Profile.from_text(profile.to_text()) == profile


def test_a_text_has_16_kib_at_most() -> None:
    around = len(Profile(groups=("",)).to_text() or "")
    longest = Profile(groups=("g" * (16_384 - around),))
    assert len(longest.to_text() or "") == LONGEST_PROFILE == 16_384
    with pytest.raises(ValueError, match=r"^groups and claims of one person take more than 16384 bytes$"):
        Profile(groups=("g" * (16_385 - around),)).to_text()


@pytest.mark.parametrize(("claims", "kind"), [({"a": {1}}, TypeError), ({"a": float("nan")}, ValueError)])
def test_claims_that_are_no_json_are_refused(claims: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        Profile(claims=claims).to_text()
