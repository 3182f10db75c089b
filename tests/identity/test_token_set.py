"""Answers of token endpoints: what is a token, what it is good for, and how long."""

from __future__ import annotations

from typing import Any

import pytest

from gatepost.identity.token_set import TokenAnswerInvalid, TokenSet, read_token_set, retry_after_of

NOW = 1_800_000_000


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ({"access_token": "a"}, TokenSet("a")),
        (
            {"access_token": "a", "token_type": "bearer", "refresh_token": "r", "expires_in": 28800,
             "refresh_token_expires_in": 15897600, "scope": "read:user,repo"},
            TokenSet("a", "r", ("read:user", "repo"), 28800, 15897600),
        ),
        (
            {"access_token": "a", "expires_in": "3599", "scope": "openid  email"},
            TokenSet("a", None, ("openid", "email"), 3599),
        ),
        ({"access_token": "a", "expires_in": 60.0, "refresh_expires_in": 0}, TokenSet("a", None, None, 60)),
        ({"access_token": "a", "expires_in": -1, "refresh_token": "", "scope": ["x"]}, TokenSet("a")),
        ({"access_token": "a", "expires_in": True, "refresh_token": "a\nb"}, TokenSet("a")),
        ({"access_token": "a", "expires_in": float("nan")}, TokenSet("a")),
        ({"access_token": "a", "expires_in": None, "scope": ""}, TokenSet("a", None, ())),
    ],
)  # fmt: skip
def test_an_answer_is_read_as_far_as_it_makes_sense(answer: dict[str, Any], read: TokenSet) -> None:
    assert read_token_set(answer) == read


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"access_token": None},
        {"access_token": ["a"]},
        {"access_token": ""},
        {"access_token": "a b"},
        {"access_token": "a\r\nX-Evil: 1"},
        {"access_token": "ä"},
        {"access_token": "a" * 16385},
        {"access_token": "a", "token_type": "DPoP"},
        {"access_token": "a", "token_type": 1},
    ],
)
def test_what_no_header_can_carry_as_a_bearer_token_is_refused_and_not_repeated(answer: dict[str, Any]) -> None:
    with pytest.raises(TokenAnswerInvalid) as refused:
        read_token_set(answer)
    assert str(refused.value) in {"no access token", "an access token of another type"}


def test_tokens_do_not_show() -> None:
    shown = repr(TokenSet("secret-a", "secret-r", ("repo",)))
    assert "secret" not in shown
    assert "repo" in shown


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("30", 30),
        (" 0 ", 0),
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30),
        ("Fri, 15 Jan 2027 07:00:30 GMT", 0),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("99999999999", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(said: str, seconds: int | None) -> None:
    assert retry_after_of({"retry-after": said}, now=NOW) == seconds
    assert retry_after_of({}, now=NOW) is None
