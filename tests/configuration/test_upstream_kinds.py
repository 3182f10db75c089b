"""Login providers of each kind, named by variables alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

import gatepost
from gatepost import Server
from gatepost.assembly.installation import install
from gatepost.configuration.settings import SettingsError, load_settings
from gatepost.configuration.upstreams import upstream_logins

TENANT = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"
BOTH = {"CLIENT_ID": "gatepost", "CLIENT_SECRET": "s3cret"}
URLS = {
    "AUTHORIZATION_ENDPOINT": "https://login.example.com/authorize",
    "TOKEN_ENDPOINT": "https://login.example.com/token",
    "USERINFO_ENDPOINT": "https://api.example.com/me",
}
KINDS: dict[str, tuple[str, dict[str, str], str]] = {
    "oidc": ("OpenIDConnect", {"ISSUER": "https://id.example.com"}, "https://id.example.com"),
    "google": ("Google", {"HOSTED_DOMAIN": "example.com"}, "https://accounts.google.com"),
    "entra": ("Entra", {"TENANT": TENANT}, f"https://login.microsoftonline.com/{TENANT}/v2.0"),
    "keycloak": ("Keycloak", {"ISSUER": "https://id.example.com/realms/x/"}, "https://id.example.com/realms/x"),
    "auth0": ("Auth0", {"ISSUER": "https://x.eu.auth0.com"}, "https://x.eu.auth0.com/"),
    "okta": ("Okta", {"ISSUER": "https://x.okta.com"}, "https://x.okta.com"),
    "gitlab": ("GitLab", {}, "https://gitlab.com"),
    "discord": ("Discord", {}, "https://discord.com"),
    "github": ("GitHub", {"HOST": "github.example.com"}, "https://github.example.com/login/oauth"),
    "oauth2": ("OAuth2", {**URLS, "SUBJECT": "id"}, "https://login.example.com"),
}
NO_GITHUB = (None, None)


def variables(name: str, members: dict[str, str]) -> dict[str, str]:
    return {f"OAUTH_UPSTREAM_{name}_{member}": value for member, value in members.items()}


def sentences(members: dict[str, str], name: str = "WORK") -> list[str]:
    with pytest.raises(SettingsError) as refused:
        upstream_logins(variables(name, members), NO_GITHUB)
    return str(refused.value).replace(f"OAUTH_UPSTREAM_{name}_", "").splitlines()


@pytest.mark.parametrize("kind", list(KINDS))
def test_each_kind_is_its_class_with_the_same_name(kind: str) -> None:
    class_name, members, issuer = KINDS[kind]
    [provider] = upstream_logins(variables("MY_WORK", {"KIND": kind, **BOTH, **members}), NO_GITHUB)
    assert type(provider) is getattr(gatepost, class_name)
    assert (provider.name, provider.issuer) == ("my-work", issuer)
    assert vars(provider).items() >= {("_client_id", "gatepost"), ("_client_secret", "s3cret")}


def test_all_of_them_stand_side_by_side() -> None:
    every = [variables(kind.upper(), {"KIND": kind, **BOTH, **KINDS[kind][1]}) for kind in KINDS if kind != "oauth2"]
    logins = upstream_logins({name: value for each in every for name, value in each.items()}, NO_GITHUB)
    assert [login.label for login in logins] == [
        "x.eu.auth0.com",
        "Discord",
        "Microsoft",
        "github.example.com",
        "GitLab",
        "Google",
        "id.example.com",
        "id.example.com",
        "x.okta.com",
    ]
    gatepost.SeveralLogins(logins)


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("google", "CLIENT_ID"),
        ("google", "CLIENT_SECRET"),
        ("entra", "TENANT"),
        ("entra", "CLIENT_SECRET"),
        ("keycloak", "ISSUER"),
        ("auth0", "ISSUER"),
        ("okta", "ISSUER"),
        ("gitlab", "CLIENT_ID"),
        ("discord", "CLIENT_ID"),
        ("github", "CLIENT_SECRET"),
        ("oauth2", "AUTHORIZATION_ENDPOINT"),
        ("oauth2", "TOKEN_ENDPOINT"),
        ("oauth2", "USERINFO_ENDPOINT"),
        ("oauth2", "SUBJECT"),
    ],
)
def test_what_a_kind_needs_is_named_when_it_is_missing(kind: str, missing: str) -> None:
    members = {"KIND": kind, **BOTH, **KINDS[kind][1]}
    del members[missing]
    assert sentences(members) == [f"{missing} is missing; a login provider of the kind {kind} needs it."]


@pytest.mark.parametrize(
    ("kind", "member"),
    [("google", "ISSUER"), ("google", "TENANT"), ("keycloak", "HOST"), ("discord", "GROUPS"), ("oidc", "SUBJECT")],
)
def test_what_a_kind_does_not_take_is_refused(kind: str, member: str) -> None:
    members = {"KIND": kind, **BOTH, **KINDS[kind][1], member: "https://id.example.com"}
    assert sentences(members) == [
        f"{member} is not for a login provider of the kind {kind}: remove it, or set KIND.",
    ]


@pytest.mark.parametrize(
    ("kind", "member", "value", "sentence"),
    [
        (
            "oidc",
            "KIND",
            "s3cret",
            "KIND takes oidc, google, entra, keycloak, auth0, okta, gitlab, discord, github or oauth2.",
        ),
        ("google", "HOSTED_DOMAIN", "s3cret", "…: The hosted domain is the primary domain of a Google Workspace"),
        ("entra", "TENANT", "s3cret", "…: The tenant is the tenant's id (Directory ID, such as 8eaef023"),
        ("entra", "HOST", "s3cret/x", "…: The host is a host name, such as login.microsoftonline.com."),
        ("github", "HOST", "s3cret/x", "…: The host is that of a GitHub Enterprise, such as github.example.com."),
        ("keycloak", "ISSUER", "https://s3cret.example", "…: The realm is the URL of a realm, such as https://"),
        ("okta", "ISSUER", "s3cret", "ISSUER takes an https URL without query and fragment"),
        ("oauth2", "USERINFO_ENDPOINT", "s3cret", "USERINFO_ENDPOINT takes an https URL without query and fragment"),
        ("oauth2", "TOKEN_ENDPOINT_AUTH_METHOD", "s3cret", "TOKEN_ENDPOINT_AUTH_METHOD takes client_secret_basic or"),
    ],
)
def test_what_is_wrong_is_one_sentence_without_the_value(kind: str, member: str, value: str, sentence: str) -> None:
    [said] = sentences({"KIND": kind, **BOTH, **KINDS[kind][1], member: value})
    assert said.startswith(sentence)
    assert "s3cret" not in said


def test_who_forgets_the_kind_reads_which_one_may_be_meant() -> None:
    assert sentences(BOTH, "GOOGLE") == ["ISSUER is missing; a login provider needs it. Or is KIND=google meant?"]
    assert sentences({**BOTH, "TENANT": TENANT}, "ENTRA") == [
        "ISSUER is missing; a login provider needs it. Or is KIND=entra meant?",
        "TENANT is not for a login provider of the kind oidc: remove it, or set KIND. Or is KIND=entra meant?",
    ]


def test_a_name_may_end_like_a_member() -> None:
    members = variables("MY_TOKEN_ENDPOINT", {"KIND": "oauth2", **BOTH, **KINDS["oauth2"][1], "EMAIL_VERIFIED": "ok"})
    [provider] = upstream_logins(members, NO_GITHUB)
    assert (provider.name, vars(provider)["_email_verified"]) == ("my-token-endpoint", "ok")


def test_lists_are_separated_by_spaces() -> None:
    more = {"KIND": "keycloak", "SCOPES": "email  groups", "GROUPS": "groups realm_access.roles"}
    [provider] = upstream_logins(variables("WORK", {**more, **BOTH, **KINDS["keycloak"][1]}), NO_GITHUB)
    assert vars(provider).items() >= {
        ("_scopes", ("openid", "email", "groups")),
        ("_groups", ("groups", "realm_access.roles")),
    }


RULES = [
    ({}, frozenset()),
    ({"OAUTH_ALLOWED_USERS": "login:octocat"}, frozenset()),
    ({"OAUTH_ALLOWED_USERS": "org:ACME team:other/platform&group:x"}, frozenset({"acme", "other"})),
    ({"OAUTH_ALLOWED_USERS": "*", "OAUTH_ROLE_ADMIN_USERS": "org:acme"}, frozenset({"acme"})),
]


@pytest.mark.parametrize(("rules", "asked"), RULES)
def test_github_is_asked_about_organizations_that_rules_name(
    rules: dict[str, str], asked: frozenset[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    named = variables("WORK", {"KIND": "github", **BOTH, "HOST": "github.example.com"})
    for name, value in {**named, "OAUTH_ALLOWED_USERS": "*", **rules}.items():
        monkeypatch.setenv(name, value)
    installation = install(Server("notes"), load_settings({"MCP_STORAGE_URL": "memory:"}, env_file=None))
    assert installation.oauth is not None
    scopes = ("read:user", "user:email", *(["read:org"] if asked else []))
    assert vars(installation.oauth.provider).items() >= {("_organizations", asked), ("_scopes", scopes)}


def test_only_what_is_named_is_imported() -> None:
    program = (
        "import sys\n"
        "from gatepost.configuration.upstreams import upstream_logins\n"
        f"upstream_logins({variables('A', {'KIND': 'google', **BOTH})!r}, (None, None))\n"
        "print(*sys.modules)"
    )
    imported = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    others = {f"gatepost.identity.{name}" for name in ("entra", "github", "oauth2", "openid_presets")}
    assert "gatepost.identity.google" in imported.stdout.split()
    assert not {*others, "authlib", "httpx2", "joserfc"} & set(imported.stdout.split())
