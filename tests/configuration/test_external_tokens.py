"""The settings of an issuer elsewhere: what each means, what is only said, and what stops the start."""

from __future__ import annotations

from typing import Any

import pytest

from gatepost.configuration.external_tokens import issuer_of_settings, open_doors, remarks_on_external_tokens
from gatepost.configuration.sections import ExternalTokenSettings
from gatepost.configuration.settings import SettingsError, load_settings
from gatepost.outbound.external_issuer import ExternalIssuer
from gatepost.outbound.introspected_issuer import IntrospectedIssuer

ISSUER = "https://id.example.com/"
SECRET = "0123456789abcdef0123456789abcdef"


def section(**variables: str) -> ExternalTokenSettings:
    return load_settings(variables, env_file=None).external


def issuer(*, is_public: bool = False, **variables: str) -> ExternalIssuer:
    found = issuer_of_settings(section(OAUTH_ISSUER=ISSUER, **variables), is_public=is_public)
    assert isinstance(found, ExternalIssuer)
    return found


CLIENT = {"OAUTH_ISSUER_CLIENT_ID": "notes", "OAUTH_ISSUER_CLIENT_SECRET": "hush"}


@pytest.mark.parametrize(
    ("flag", "is_public", "verifies"), [("true", False, True), ("false", True, True), ("false", False, False)]
)
def test_with_a_client_there_the_issuer_is_asked_about_each_token(
    flag: str, *, is_public: bool, verifies: bool
) -> None:
    variables = {**CLIENT, "OAUTH_ISSUER_INTROSPECTION_URI": "https://id.example.com/asked?v=2"}
    found = issuer_of_settings(
        section(OAUTH_ISSUER=ISSUER, OAUTH_AUDIENCE="api://one", OAUTH_VERIFY_AUDIENCE=flag, **variables),
        is_public=is_public,
    )
    assert isinstance(found, IntrospectedIssuer)
    assert found.issuer == ISSUER
    assert found.rules.audience == {"api://one"}
    assert found.rules.verifies_audience is verifies


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OAUTH_ISSUER_CLIENT_ID": "notes"}, "go together"),
        ({"OAUTH_ISSUER_CLIENT_SECRET": "hush"}, "go together"),
        ({"OAUTH_ISSUER_INTROSPECTION_URI": "https://id.example.com/asked"}, "needs OAUTH_ISSUER_CLIENT_ID"),
        ({**CLIENT, "OAUTH_JWKS_URI": "https://id.example.com/keys"}, "leave one of the two out"),
        ({**CLIENT, "OAUTH_ALGORITHM": "HS256", "JWT_SECRET": SECRET}, "leave one of the two out"),
    ],
)
def test_half_of_what_asking_needs_and_what_checks_tokens_here_are_refused_beside_it(
    variables: dict[str, str], said: str
) -> None:
    (sentence,) = problems(is_public=False, **variables)
    assert said in sentence


def remarks(*, is_public: bool = False, **variables: str) -> list[str]:
    return [*remarks_on_external_tokens(section(**variables), is_public=is_public)]


def problems(*, is_public: bool = True, **variables: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refused:
        issuer(is_public=is_public, **variables)
    return refused.value.sentences


def checks(found: ExternalIssuer) -> tuple[bool, bool, bool]:
    return found.rules.verifies_issuer, found.rules.verifies_audience, found.rules.verifies_expiry


def test_without_an_issuer_there_is_none_whatever_else_is_set() -> None:
    assert issuer_of_settings(section(), is_public=True) is None
    assert issuer_of_settings(section(JWT_SECRET="x", OAUTH_VERIFY_SIGNATURE="false"), is_public=True) is None


def test_an_issuer_alone_has_everything_checked() -> None:
    found = issuer(is_public=True)
    assert (found.issuer, found.rules.audience, checks(found)) == (ISSUER, frozenset(), (True, True, True))


def test_the_settings_say_what_is_asked_of_a_token() -> None:
    found = issuer(OAUTH_AUDIENCE="api://one api://two", OAUTH_JWKS_URI="https://id.example.com/keys")
    assert found.rules.audience == {"api://one", "api://two"}


@pytest.mark.parametrize(
    "variables",
    [
        {"OAUTH_ALGORITHM": "RS256"},
        {"OAUTH_VERIFY_SIGNATURE": "true", "OAUTH_VERIFY_EXP": "true"},
        {"OAUTH_VERIFY_AUDIENCE": "false", "OAUTH_VERIFY_ISSUER": "false"},
    ],
)
def test_what_older_systems_have_as_defaults_stops_no_start_and_without_an_issuer_is_no_remark(
    variables: dict[str, Any],
) -> None:
    assert remarks(is_public=True, **variables) == []
    issuer(is_public=True, **variables)


def test_what_is_set_to_nothing_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "OAUTH_ISSUER",
        "OAUTH_AUDIENCE",
        "OAUTH_JWKS_URI",
        "OAUTH_ALGORITHM",
        "OAUTH_VERIFY_EXP",
        "JWT_SECRET",
    ):
        monkeypatch.setenv(name, "")
    assert load_settings(env_file=None).external == section()


def test_issuer_and_audience_go_unchecked_where_that_is_said_and_never_in_public() -> None:
    off: dict[str, Any] = {"OAUTH_VERIFY_AUDIENCE": "false", "OAUTH_VERIFY_ISSUER": "false"}
    assert checks(issuer(**off)) == (False, False, True)
    assert checks(issuer(is_public=True, **off)) == (True, True, True)
    assert remarks(OAUTH_ISSUER=ISSUER, **off) == []
    assert remarks(is_public=True, OAUTH_ISSUER=ISSUER, **off) == [
        "OAUTH_VERIFY_AUDIENCE=false does not count on a public server: the audience of a token is always checked.",
        "OAUTH_VERIFY_ISSUER=false does not count on a public server: the issuer of a token is always checked.",
    ]


@pytest.mark.parametrize(
    "variables",
    [
        {"JWT_SECRET": "of another program"},
        {"OAUTH_AUDIENCE": "api"},
        {"OAUTH_JWKS_URI": "https://id.example.com/keys"},
        {"OAUTH_VERIFY_SIGNATURE": "false"},
        {"OAUTH_ALGORITHM": "HS256"},
    ],
)
def test_what_counts_only_beside_an_issuer_is_said_without_its_value(variables: dict[str, Any]) -> None:
    (name,) = variables
    assert remarks(is_public=True, **variables) == [
        f"{name} is about tokens of an issuer elsewhere and counts only beside OAUTH_ISSUER: it is ignored."
    ]


def test_a_secret_that_is_not_asked_for_is_ignored_and_said_to_be() -> None:
    issuer(is_public=True, JWT_SECRET="x")
    assert remarks(OAUTH_ISSUER=ISSUER, JWT_SECRET="x") == [
        "JWT_SECRET is ignored: it counts where OAUTH_ALGORITHM is HS256, HS384 or HS512."
    ]


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"OAUTH_VERIFY_SIGNATURE": "false"}, "OAUTH_VERIFY_SIGNATURE=false lets everybody write tokens"),
        ({"OAUTH_VERIFY_EXP": "false"}, "OAUTH_VERIFY_EXP=false has tokens count for ever"),
        ({"OAUTH_ALGORITHM": "HS256", "JWT_SECRET": SECRET[1:]}, "JWT_SECRET is shorter than 32 bytes"),
        ({"OAUTH_ALGORITHM": "HS512", "JWT_SECRET": SECRET}, "JWT_SECRET is shorter than 64 bytes"),
    ],
)
def test_what_is_unsafe_in_public_stops_the_start_there_alone(variables: dict[str, Any], sentence: str) -> None:
    (said,) = problems(**variables)
    assert said.startswith(sentence)
    issuer(**variables)


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"OAUTH_ALGORITHM": "HS256"}, "OAUTH_ALGORITHM=HS256 needs the secret"),
        ({"OAUTH_ALGORITHM": "RS256 HS256", "JWT_SECRET": SECRET}, "OAUTH_ALGORITHM takes algorithms of one kind"),
        (
            {"OAUTH_ALGORITHM": "HS256", "JWT_SECRET": SECRET, "OAUTH_JWKS_URI": "https://id.example.com/keys"},
            "OAUTH_JWKS_URI has public keys",
        ),
        (
            {"OAUTH_ALGORITHM": "HS256", "JWT_SECRET": "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----"},
            "JWT_SECRET holds a key that may be public",
        ),
    ],
)
def test_what_contradicts_itself_stops_every_start(variables: dict[str, Any], sentence: str) -> None:
    for is_public in (False, True):
        (said,) = problems(is_public=is_public, **variables)
        assert said.startswith(sentence)


@pytest.mark.parametrize(
    "variables",
    [
        {"OAUTH_ISSUER": "http://id.example.com"},
        {"OAUTH_ISSUER": "my issuer"},
        {"OAUTH_JWKS_URI": "http://id.example.com/keys"},
        {"OAUTH_ALGORITHM": "none"},
        {"OAUTH_VERIFY_SIGNATURE": "perhaps"},
    ],
)
def test_a_value_that_cannot_be_one_is_refused(variables: dict[str, Any]) -> None:
    (name,) = variables
    with pytest.raises(SettingsError, match=f"^{name} takes "):
        load_settings(variables, env_file=None)


def test_what_is_off_is_said_to_be_open() -> None:
    off = {"OAUTH_VERIFY_SIGNATURE": "false", "OAUTH_VERIFY_EXP": "false"}
    assert [*open_doors(section(**off))] == []
    assert [sentence.partition(":")[0] for sentence in open_doors(section(OAUTH_ISSUER=ISSUER, **off))] == [
        "OAUTH_VERIFY_SIGNATURE is false",
        "OAUTH_VERIFY_EXP is false",
    ]


def test_the_secret_shows_nowhere() -> None:
    assert SECRET not in repr(section(JWT_SECRET=SECRET))
