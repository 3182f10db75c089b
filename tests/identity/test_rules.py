"""Rules about people in words: every kind of word, from both sides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gatepost.identity.github import ISSUER as GITHUB
from gatepost.identity.provider import Identity
from gatepost.identity.rules import NotARule, identity_of, is_rule, read_rule
from gatepost.stores.contract.users import LOCAL, Person, User

ISSUER = "https://id.example.com"
ADA = Identity(
    "aB-1",
    "Ada",
    ISSUER,
    email="Ada@Example.com",
    email_verified=True,
    groups=("Staff", "Domain Users", "R&D"),
    claims={
        "department": "Research and development",
        "level": 3,
        "contractor": False,
        "offices": ["Paris", "Zürich"],
        "realm_access": {"roles": ["operator"]},
        "https://example.com/plan": "gold",
        "nothing": None,
        "ratio": 0.5,
        "login": "octocat",
        "organizations": ["acme"],
    },
)
OCTOCAT = Identity(
    "583231",
    "octocat",
    GITHUB,
    claims={"login": "OctoCat", "organizations": ["Acme", "other"], "teams": ["Acme/Platform"]},
)


@pytest.mark.parametrize(
    "word",
    [
        "*",
        "ada@example.com",
        "ADA@example.COM",
        "@EXAMPLE.com",
        "group:Staff",
        "group:Domain%20Users",
        "group:R%26D",
        "subject:aB-1",
        f"issuer:{ISSUER}",
        "claim:department=Research%20and%20development",
        "claim:level=3",
        "claim:contractor=false",
        "claim:offices=Paris",
        "claim:offices=Zu\N{COMBINING DIAERESIS}rich",
        "claim:realm_access.roles=operator",
        "claim:https://example.com/plan=gold",
        f"group:Staff&issuer:{ISSUER}",
    ],
)
def test_a_word_names_who_fits(word: str) -> None:
    assert read_rule(word).names(ADA)
    assert read_rule(["nobody@example.org", word] if word != "*" else word).names(ADA)


@pytest.mark.parametrize(
    "word",
    [
        "ada@example.org",
        "da@example.com",
        "@ample.com",
        "@sub.example.com",
        "@com",
        "group:staff",
        "group:Staf",
        "group:Domain",
        "subject:ab-1",
        "subject:Ada",
        "issuer:https://id.example.com/",
        "claim:department=Research",
        "claim:level=03",
        "claim:contractor=False",
        "claim:contractor=0",
        "claim:offices=paris",
        "claim:nothing=None",
        "claim:ratio=0.5",
        "claim:realm_access=operator",
        "claim:department.name=x",
        "claim:missing=x",
        "account:ada",
        f"group:staff&issuer:{ISSUER}",
        "group:Staff&issuer:https://other.example",
    ],
)
def test_a_word_that_is_nearly_right_names_nobody(word: str) -> None:
    assert not read_rule(word).names(ADA)


@pytest.mark.parametrize("word", ["login:octocat", "org:acme", "team:acme/platform", "org:ACME", "team:Acme/platform"])
def test_logins_organizations_and_teams_are_those_of_github(word: str) -> None:
    assert read_rule(word).names(OCTOCAT)
    # Another provider may let people say of themselves what they like under these names.
    assert not read_rule(word).names(replace(OCTOCAT, issuer=ISSUER))
    assert not read_rule(word).names(replace(OCTOCAT, claims={}))


@pytest.mark.parametrize(
    "word", ["login:octo", "org:acm", "team:acme/plat", "team:other/platform", "org:acme/platform"]
)
def test_other_logins_organizations_and_teams_are_none(word: str) -> None:
    assert not read_rule(word).names(OCTOCAT)


@pytest.mark.parametrize("claims", [{"login": 1}, {"login": ["1"]}, {"organizations": "1"}, {"teams": [1, None]}])
def test_claims_of_other_types_name_nobody(claims: dict[str, object]) -> None:
    person = replace(OCTOCAT, claims=claims)
    assert not any(read_rule(word).names(person) for word in ("login:1", "org:1", "team:1/1"))


@pytest.mark.parametrize("verified", [False, 0, None, "true", 1])
def test_an_address_that_is_not_verified_names_nobody(verified: Any) -> None:
    person = replace(ADA, email_verified=verified)
    assert not any(read_rule(word).names(person) for word in ("ada@example.com", "@example.com"))
    assert not read_rule("@example.com").names(replace(ADA, email=None))


def test_a_local_account_is_named_by_its_name_and_by_no_claim() -> None:
    ada = User("user_1", LOCAL, "user_1", 5, username="ada")
    person = Person(LOCAL, "user_1", "ada", None, None, ())
    for known in (ada, person):
        assert read_rule("account:ADA").names(identity_of(known))
        assert not read_rule("account:bob").names(identity_of(known))
    elsewhere = Identity("1", issuer=ISSUER, claims={"preferred_username": "ada"})
    assert not read_rule("account:ada").names(elsewhere)
    assert read_rule("claim:preferred_username=ada").names(elsewhere)


def test_of_what_is_kept_the_same_identity_is_made() -> None:
    profile = '["ada@example.com",true,["staff"],{"level":3}]'
    person = Person(ISSUER, "1", None, "Ada", profile, ())
    assert identity_of(person) == Identity(
        "1", "Ada", ISSUER, email="ada@example.com", email_verified=True, groups=("staff",), claims={"level": 3}
    )


def test_a_github_enterprise_is_a_github() -> None:
    there = replace(OCTOCAT, issuer="https://github.example.com/login/oauth")
    assert read_rule("team:acme/platform").names(there)
    assert not read_rule(f"team:acme/platform&issuer:{GITHUB}").names(there)
    for issuer in (
        None,
        "",
        "http://github.com/login/oauth",
        "https://github.com/login/oauth/",
        "https:///login/oauth",
    ):
        assert not read_rule("team:acme/platform").names(replace(OCTOCAT, issuer=issuer))


def test_words_say_which_organizations_github_is_asked_about() -> None:
    assert read_rule("org:ACME team:other/platform @example.com").organizations == {"acme", "other"}
    assert read_rule("group:x&team:a%2Fb/c org:acme&issuer:x".replace("a%2Fb/c", "a/b")).organizations == {"a", "acme"}
    assert read_rule("login:octocat claim:organizations=acme group:org").organizations == frozenset()


@pytest.mark.parametrize(
    "words",
    [
        ["ada"],
        ["login:"],
        ["name:ada"],
        ["*", "@example.com"],
        ["*&@example.com"],
        ["a@b@c"],
        ["@"],
        ["@exa mple.com"],
        ["@example..com"],
        ["@\N{FULLWIDTH LATIN SMALL LETTER E}xample.com"],
        ["team:acme"],
        ["team:acme/a/b"],
        ["claim:department"],
        ["claim:=x"],
        ["claim:department="],
        ["group:50%"],
        ["group:%ff"],
        ["group:sta\N{ZERO WIDTH SPACE}ff"],
        ["account:a/b"],
        ["group:a&"],
        ["&"],
        [""],
    ],
)
def test_other_words_are_none_of_a_rule(words: list[str]) -> None:
    assert not is_rule(words)
    with pytest.raises(NotARule):
        read_rule(words)
