"""ADMIN_PASSWORD: one password from the environment, and what a start says about it."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest

from gatepost import AuthProvider, Server, SingleUserProvider, StaticPasswordProvider, create_app
from gatepost.configuration.settings import SettingsError, load_settings
from gatepost.stores.conformance.records import user
from gatepost.stores.sql.sqlite import memory_store
from tests.seeds.person import person_at
from tests.web.pages.pages_world import Form, heading

PASSWORD = "four words in no order"
COUNTS = "Whoever knows ADMIN_PASSWORD logs in as the owner; no account has to be created."


class Somebody(AuthProvider):
    def authenticate(self, request: Any, credentials: Any) -> str | None:
        del request
        return "ada" if credentials.get("password") == "hers" else None


async def banner_of(provider: Any = None, *accounts: str, password: str = PASSWORD, **variables: str) -> str:
    store, banners = memory_store(), list[str]()
    settings = load_settings({"MCP_STORAGE_URL": "memory:", "ADMIN_PASSWORD": password, **variables}, env_file=None)
    app = create_app(Server("notes"), settings=settings, provider=provider, store=store, announce=banners.append)
    await store.open()
    for number, name in enumerate(accounts):
        await store.users.add_user(user(f"user-{number}", name))
    async with person_at(app):
        return " ".join("\n".join(banners).split())


async def test_in_public_the_owner_logs_in_with_it_and_guesses_are_throttled(tmp_path: Path) -> None:
    origin = "https://mcp.example.com"
    variables = {
        "MCP_PUBLIC_URL": origin,
        "MCP_STORAGE_URL": f"sqlite:///{tmp_path}/gatepost.db",
        "MCP_SEALING_KEYS": secrets.token_urlsafe(32),
        "ADMIN_PASSWORD": PASSWORD,
    }
    app = create_app(Server("notes"), settings=load_settings(variables, env_file=None), announce=lambda _: None)
    async with person_at(app, origin=origin) as person:
        page = await person.http.get("/oauth/login")
        assert list(Form(page.text).fields) == ["csrf_token", "password"]
        fields = {**Form(page.text).fields, "password": PASSWORD}
        right = await person.http.post("/oauth/login", data=fields, headers={"Origin": origin})
        assert right.status_code == 303
        assert heading(await person.http.get("/oauth/account")) == "Your account"

        person.http.cookies.clear()
        page = await person.http.get("/oauth/login")
        statuses = []
        for number in range(12):
            fields = {**Form(page.text).fields, "password": f"{PASSWORD} {number}"}
            statuses.append(
                (await person.http.post("/oauth/login", data=fields, headers={"Origin": origin})).status_code
            )
        assert (statuses[0], statuses[-1]) == (403, 429)


async def test_the_start_says_that_it_is_how_one_logs_in_and_offers_no_set_up_link() -> None:
    said = await banner_of()
    assert COUNTS in said
    assert "/oauth/setup" not in said
    assert PASSWORD not in said


@pytest.mark.parametrize(
    ("accounts", "sentence"),
    [
        (("ada",), "The local account of this store cannot log in while ADMIN_PASSWORD is set."),
        (("ada", "bob"), "The 2 local accounts of this store cannot log in while ADMIN_PASSWORD is set."),
    ],
)
async def test_the_start_says_who_cannot_log_in_because_of_it(accounts: tuple[str, ...], sentence: str) -> None:
    assert sentence in await banner_of(None, *accounts)


async def test_a_provider_in_code_beats_it_and_the_start_says_so() -> None:
    assert "ADMIN_PASSWORD is not used: the login provider is given in code." in await banner_of(Somebody(), "ada")
    assert "ADMIN_PASSWORD" not in await banner_of(StaticPasswordProvider(PASSWORD))


async def test_without_an_authorization_server_nobody_is_asked_for_it() -> None:
    said = await banner_of(OAUTH_ENABLED="false", MCP_API_KEY="k" * 24)
    assert "ADMIN_PASSWORD is not used: the authorization server is off." in said


async def test_a_start_that_would_ask_nobody_or_takes_a_weak_one_is_refused() -> None:
    with pytest.raises(SettingsError, match="In single-user mode nobody is asked for ADMIN_PASSWORD"):
        await banner_of(SingleUserProvider())
    for weak in ("short", "password1234"):
        with pytest.raises(SettingsError, match="ADMIN_PASSWORD cannot be used. ") as refused:
            await banner_of(password=weak)
        assert weak not in str(refused.value)
