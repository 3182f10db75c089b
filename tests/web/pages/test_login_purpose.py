"""What a login is for, and where it leads."""

from __future__ import annotations

import json

import pytest

from gatepost.web.pages.login_purpose import LinkLogin, LogIn, Purpose, from_json, to_json


@pytest.mark.parametrize("purpose", [LogIn(), LogIn("t"), LogIn(then_link="github"), LinkLogin("user_1", "a", True)])
def test_a_purpose_is_the_same_after_it_was_kept(purpose: Purpose) -> None:
    assert from_json(json.loads(json.dumps(to_json(purpose)))) == purpose


@pytest.mark.parametrize(
    ("purpose", "page", "goes_on"),
    [
        (LogIn(), "/oauth/login", None),
        (LogIn("a&b"), "/oauth/login?transaction=a%26b", "/oauth/consent?transaction=a%26b"),
        (LogIn(then_link="github"), "/oauth/login?link=github", "/oauth/account/link/github"),
    ],
)
def test_a_login_goes_on_to_what_waits(purpose: LogIn, page: str, goes_on: str | None) -> None:
    assert (purpose.page, purpose.goes_on) == (page, goes_on)


def test_another_account_is_asked_for_without_losing_what_waits() -> None:
    assert LogIn(then_link="github").page_of(switch_account=True) == "/oauth/login?link=github&switch=1"


def test_a_link_begins_again_where_it_began() -> None:
    pages = [LinkLogin("user_1", "github", returns).page for returns in (False, True)]
    assert pages == ["/oauth/account/link/github", "/oauth/account/link/github?from=account"]
