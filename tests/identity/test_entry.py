"""Who may enter, of all whom a login provider elsewhere lets in."""

from __future__ import annotations

import pytest

from gatepost import Server
from gatepost.assembly.installation import install
from gatepost.configuration.settings import SettingsError, load_settings
from gatepost.identity.entry import is_entry_rule, may_enter
from gatepost.identity.github import GitHub
from gatepost.identity.provider import Identity
from gatepost.identity.several_logins import SeveralLogins

ADA = Identity(
    "583231",
    "Ada",
    "https://id.example.com",
    email="Ada@Example.com",
    email_verified=True,
    groups=("Staff",),
    claims={"login": "Octocat"},
)


@pytest.mark.parametrize(
    "word",
    ["*", "ada@example.com", "ADA@example.COM", "@example.com", "login:octocat", "group:staff", "subject:583231"],
)
def test_a_word_names_a_person_whatever_its_case(word: str) -> None:
    assert is_entry_rule([word])
    assert may_enter(["nobody@example.org", word], ADA)


@pytest.mark.parametrize(
    "word",
    [
        "ada@example.org",
        "da@example.com",
        "@ample.com",
        "@sub.example.com",
        "login:octocat2",
        "login:ada",
        "group:staf",
        "subject:58323",
        "subject:octocat",
    ],
)
def test_a_word_that_is_nearly_right_names_nobody(word: str) -> None:
    assert is_entry_rule([word])
    assert not may_enter([word], ADA)


@pytest.mark.parametrize("word", ["ada@example.com", "@example.com"])
def test_an_address_that_is_not_verified_names_nobody(word: str) -> None:
    assert not may_enter([word], Identity("1", email="ada@example.com"))
    assert not may_enter([word], Identity("1"))


def test_a_login_that_is_no_text_names_nobody() -> None:
    assert not may_enter(["login:1"], Identity("1", claims={"login": 1}))


@pytest.mark.parametrize("words", [["ada"], ["login:"], ["name:ada"], ["*", "@example.com"], ["a@b@c"], ["@"]])
def test_other_words_are_none_of_a_rule(words: list[str]) -> None:
    assert not is_entry_rule(words)


def test_a_wrong_rule_says_what_it_takes() -> None:
    with pytest.raises(SettingsError, match=r"OAUTH_ALLOWED_USERS takes words, .*login:octocat"):
        load_settings({"OAUTH_ALLOWED_USERS": "octocat"}, env_file=None)


@pytest.mark.parametrize("several", [False, True])
def test_a_login_elsewhere_does_not_start_without_a_word_on_who_may_enter(*, several: bool) -> None:
    """Everybody in the world may have an account at GitHub."""
    github = GitHub("client", "secret")
    provider = SeveralLogins([github]) if several else github
    with pytest.raises(SettingsError, match="OAUTH_ALLOWED_USERS has to say who may enter"):
        install(Server("notes"), load_settings({"MCP_STORAGE_URL": "memory:"}, env_file=None), provider=provider)
    settings = load_settings({"MCP_STORAGE_URL": "memory:", "OAUTH_ALLOWED_USERS": "login:octocat"}, env_file=None)
    install(Server("notes"), settings, provider=provider)
