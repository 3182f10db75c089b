"""Login providers that variables name, and what is refused at the start."""

from __future__ import annotations

import pytest

from gatepost import Server, SingleUserProvider, StaticPasswordProvider
from gatepost.assembly.installation import install
from gatepost.configuration.settings import SettingsError, load_settings
from gatepost.configuration.upstreams import upstream_logins
from gatepost.identity.github import GitHub
from gatepost.identity.local_accounts import LocalAccounts
from gatepost.identity.openid_connect import OpenIDConnect
from gatepost.identity.provider import IdentityProvider
from gatepost.stores.contract.users import LOCAL, User
from gatepost.stores.sql.sqlite import memory_store

RIGHT = {
    "OAUTH_UPSTREAM_MY_COMPANY_ISSUER": "https://id.example.com/tenant",
    "OAUTH_UPSTREAM_MY_COMPANY_CLIENT_ID": "gatepost",
}
NO_GITHUB = (None, None)


@pytest.fixture(autouse=True)
def _everybody_may_enter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTH_ALLOWED_USERS", "*")


def sentences(variables: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as refused:
        upstream_logins(variables, NO_GITHUB)
    return str(refused.value)


def chosen(provider: IdentityProvider | None = None) -> IdentityProvider:
    settings = load_settings({"MCP_STORAGE_URL": "memory:"}, env_file=None)
    oauth = install(Server("notes"), settings, provider=provider).oauth
    assert oauth is not None
    return oauth.provider


def test_issuer_and_client_id_are_enough() -> None:
    [provider] = upstream_logins(RIGHT, NO_GITHUB)
    assert isinstance(provider, OpenIDConnect)
    assert (provider.name, provider.issuer) == ("my-company", "https://id.example.com/tenant")
    assert [route.path for route in provider.routes] == ["callback"]


def test_without_them_people_have_local_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(chosen(), LocalAccounts)
    for name, value in RIGHT.items():
        monkeypatch.setenv(name, value)
    assert isinstance(chosen(), OpenIDConnect)
    assert load_settings().warnings == ()


def test_two_login_providers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in RIGHT.items():
        monkeypatch.setenv(name, value)
    for provider, password in ((SingleUserProvider(), None), (None, "correct horse battery staple")):
        monkeypatch.setenv("ADMIN_PASSWORD", password or "")
        with pytest.raises(SettingsError, match=r"each name a login provider: leave one of them out\."):
            chosen(provider)


@pytest.mark.parametrize("missing", list(RIGHT))
def test_half_a_provider_is_refused(missing: str) -> None:
    half = {name: value for name, value in RIGHT.items() if name != missing}
    assert sentences(half) == f"{missing} is missing; a login provider needs it."


def test_a_secret_alone_names_what_is_missing() -> None:
    assert sentences({"OAUTH_UPSTREAM_X_CLIENT_SECRET": "s3cret"}) == (
        "OAUTH_UPSTREAM_X_ISSUER is missing; a login provider needs it.\n"
        "OAUTH_UPSTREAM_X_CLIENT_ID is missing; a login provider needs it."
    )


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("OAUTH_UPSTREAM_MY_COMPANY_ISSUER", "http://id.example.com", "MY_COMPANY_ISSUER takes an https URL"),
        (
            "OAUTH_UPSTREAM_MY_COMPANY_TOKEN_ENDPOINT_AUTH_METHOD",
            "s3cret",
            "takes client_secret_basic or client_secret",
        ),
        ("OAUTH_UPSTREAM_MY_COMPANY_ISSUR", "s3cret", "MY_COMPANY_ISSUR is not a setting"),
        ("OAUTH_UPSTREAM_ISSUER", "https://id.example.com", "OAUTH_UPSTREAM_ISSUER is not a setting"),
        ("OAUTH_UPSTREAM_my_ISSUER", "https://id.example.com", "OAUTH_UPSTREAM_my_ISSUER is not a setting"),
        ("OAUTH_UPSTREAM_OTHER_ISSUER", "https://x.example", "OAUTH_UPSTREAM_OTHER_CLIENT_ID is missing"),
    ],
)
def test_what_is_wrong_is_said_and_no_value_repeated(variable: str, value: str, sentence: str) -> None:
    said = sentences({**RIGHT, variable: value})
    assert sentence in said
    assert value not in said


def test_scopes_secret_and_method_are_taken() -> None:
    prefix = "OAUTH_UPSTREAM_MY_COMPANY_"
    given = {
        f"{prefix}CLIENT_SECRET": "s3cret",
        f"{prefix}SCOPES": "email groups",
        f"{prefix}TOKEN_ENDPOINT_AUTH_METHOD": "client_secret_post",
    }
    [provider] = upstream_logins(RIGHT | given, NO_GITHUB)
    assert vars(provider).items() >= {
        ("_client_secret", "s3cret"),
        ("_scopes", ("openid", "email", "groups")),
        ("_wanted_method", "client_secret_post"),
    }


def test_a_client_id_and_a_secret_are_enough_for_github(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_CLIENT_ID", "Iv1.0123")
    with pytest.raises(SettingsError, match=r"^GITHUB_CLIENT_SECRET is missing; a login at GitHub needs both\.$"):
        chosen()
    monkeypatch.setenv("GITHUB_CLIENT_SECRET", "s3cret")
    assert isinstance(chosen(), GitHub)
    assert chosen(given := GitHub("Iv1.0123", "s3cret")) is given
    monkeypatch.setenv("ADMIN_PASSWORD", "correct horse battery staple")
    with pytest.raises(SettingsError, match=r"^GITHUB_CLIENT_ID and .* leave one of them out\.$"):
        chosen()


async def test_the_banner_says_who_comes_in_and_who_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in RIGHT.items():
        monkeypatch.setenv(name, value)
    store = memory_store()
    settings = load_settings({"MCP_STORAGE_URL": "memory:"}, env_file=None)
    installation = install(Server("notes"), settings, store=store)
    await store.open()
    await store.users.add_user(User("user_ada", LOCAL, "user_ada", 1, username="ada", password_hash="$argon2id$"))
    await installation.open()
    banner = installation.banner()
    await installation.close()
    assert "Whoever id.example.com lets in can log in here." in banner
    monkeypatch.setenv("OAUTH_ALLOWED_USERS", "@example.com")
    assert "Whom OAUTH_ALLOWED_USERS names and id.example.com lets in can log in here." in (
        install(Server("notes"), load_settings({"MCP_STORAGE_URL": "memory:"}, env_file=None), store=store).banner()
    )
    assert "The local account of this store cannot log in while people log in elsewhere and OAUTH_LOCAL" in banner


def test_without_the_authorization_server_nobody_logs_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in RIGHT.items():
        monkeypatch.setenv(name, value)
    variables = {"MCP_STORAGE_URL": "memory:", "OAUTH_ENABLED": "false", "MCP_API_KEY": "x" * 24}
    banner = install(Server("notes"), load_settings(variables, env_file=None)).banner()
    assert "Nobody logs in at id.example.com: the authorization server is off." in banner


def test_several_stand_side_by_side_with_local_accounts_if_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    other = {"OAUTH_UPSTREAM_A_ISSUER": "https://a.example", "OAUTH_UPSTREAM_A_CLIENT_ID": "gatepost"}
    for name, value in {**RIGHT, **other, "GITHUB_CLIENT_ID": "Iv1.0123", "GITHUB_CLIENT_SECRET": "s3cret"}.items():
        monkeypatch.setenv(name, value)
    provider = chosen()
    assert [each.name for each in provider.elsewhere] == ["a", "my-company", "github"]
    assert provider.login_fields == ()
    monkeypatch.setenv("OAUTH_LOCAL_ACCOUNTS", "true")
    beside = chosen()
    assert [each.label for each in beside.elsewhere] == ["a.example", "id.example.com", "GitHub"]
    assert [field.name for field in beside.login_fields] == ["username", "password"]
    monkeypatch.setenv("OAUTH_UPSTREAM_A_ISSUER", RIGHT["OAUTH_UPSTREAM_MY_COMPANY_ISSUER"])
    with pytest.raises(SettingsError, match=r"has a name and an issuer of its own"):
        chosen()


def test_local_accounts_stand_beside_logins_elsewhere_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTH_LOCAL_ACCOUNTS", "true")
    assert isinstance(chosen(), LocalAccounts)
    assert len(chosen(GitHub("Iv1.0123", "s3cret")).elsewhere) == 1
    for provider in (SingleUserProvider(), StaticPasswordProvider("correct horse battery staple")):
        with pytest.raises(SettingsError, match=r"^OAUTH_LOCAL_ACCOUNTS puts local accounts beside logins elsewhere"):
            chosen(provider)


@pytest.mark.parametrize("demanded", ["administrators", "everybody"])
def test_a_second_step_is_demanded_of_local_accounts_alone(monkeypatch: pytest.MonkeyPatch, demanded: str) -> None:
    monkeypatch.setenv("OAUTH_REQUIRE_SECOND_STEP", demanded)
    assert isinstance(chosen(), LocalAccounts)
    for provider in (
        SingleUserProvider(),
        StaticPasswordProvider("correct horse battery staple"),
        GitHub("Iv1.0123", "s3cret"),
    ):
        with pytest.raises(SettingsError, match=rf"^OAUTH_REQUIRE_SECOND_STEP={demanded} is about the passwords of"):
            chosen(provider)
    monkeypatch.setenv("OAUTH_LOCAL_ACCOUNTS", "true")
    assert len(chosen(GitHub("Iv1.0123", "s3cret")).elsewhere) == 1


@pytest.mark.parametrize(("said", "kept"), [("true", True), ("1", True), ("False", False), ("off", False)])
def test_tokens_are_kept_where_a_variable_says_so(monkeypatch: pytest.MonkeyPatch, said: str, *, kept: bool) -> None:
    [company] = upstream_logins({**RIGHT, "OAUTH_UPSTREAM_MY_COMPANY_KEEP_TOKENS": said}, NO_GITHUB)
    assert company.keeps_tokens is kept
    for name, value in {"GITHUB_CLIENT_ID": "a", "GITHUB_CLIENT_SECRET": "b", "GITHUB_KEEP_TOKENS": said}.items():
        monkeypatch.setenv(name, value)
    github = chosen()
    assert isinstance(github, GitHub)
    assert github.keeps_tokens is kept


def test_whether_tokens_are_kept_is_yes_or_no() -> None:
    wrong = {**RIGHT, "OAUTH_UPSTREAM_MY_COMPANY_KEEP_TOKENS": "maybe"}
    assert "OAUTH_UPSTREAM_MY_COMPANY_KEEP_TOKENS takes true or false." in sentences(wrong)
