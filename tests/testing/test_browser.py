"""`Browser`: a person's browser without JavaScript, through login and consent."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import mcp
import pytest
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from gatepost import OpenIDConnect, SingleUserProvider, StaticPasswordProvider
from gatepost.testing import Browser, RunningServer, UnexpectedPage
from tests.testing.notes_server import notes_server, text_of

CALLBACK = "http://127.0.0.1:7777/callback"
PASSWORD = "a few words in no order"


class Kept:
    """The official client's tokens and registration."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


async def authorization_url(running: RunningServer, redirect_uri: str = CALLBACK, **more: str) -> str:
    """Register an app, and return what it sends its person to."""
    registered = await running.http().post("/oauth/register", json={"redirect_uris": [redirect_uri]})
    query = {
        "response_type": "code",
        "client_id": registered.json()["client_id"],
        "redirect_uri": redirect_uri,
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
        "state": "its own",
        **more,
    }
    return f"{running.origin}/oauth/authorize?{urlencode(query)}"


def answer_of(location: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


@pytest.mark.parametrize("listens", [False, True])
async def test_the_official_client_goes_through_the_whole_flow(listens: bool) -> None:
    async with RunningServer(notes_server(), listen=listens) as running:
        browser = await running.browser("alice")
        auth = OAuthClientProvider(
            server_url=running.url,
            client_metadata=OAuthClientMetadata(client_name="app", redirect_uris=[AnyUrl(CALLBACK)]),
            storage=Kept(),
            redirect_handler=browser.redirect_handler,
            callback_handler=browser.callback_handler,
        )
        transport = None if listens else running.transport()
        async with (
            httpx2.AsyncClient(transport=transport, auth=auth, trust_env=False) as http,
            mcp.Client(streamable_http_client(running.url, http_client=http)) as client,
        ):
            assert text_of(await client.call_tool("add", {"text": "milk"})) == "alice noted: milk"


async def test_the_consent_page_is_read_and_scopes_are_left_out() -> None:
    async with RunningServer(notes_server()) as running:
        browser = await running.browser("alice")
        url = await authorization_url(running)

        page = await browser.consent_page(url)
        assert (page.status, page.scopes) == (200, ("notes:write", "notes:read"))
        assert page.title.startswith("Allow an app on this computer?")
        assert "Your account alice" in page.text
        with pytest.raises(
            ValueError, match="^The page does not ask for mail:read; it asks for notes:write, notes:read"
        ):
            await browser.approve(url, scopes=["mail:read"])

        code = answer_of(await browser.approve(url, scopes=["notes:read"]))["code"]
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            "client_id": answer_of(url)["client_id"],
        }
        assert (await running.http().post("/oauth/token", data=form)).json()["scope"] == "notes:read"


async def test_a_denial_goes_back_to_the_app_as_an_error() -> None:
    async with RunningServer(notes_server()) as running:
        answer = answer_of(await (await running.browser("alice")).deny(await authorization_url(running)))

    assert (answer["error"], answer["state"], "code" in answer) == ("access_denied", "its own", False)


async def test_a_browser_that_has_logged_in_is_not_asked_again() -> None:
    async with RunningServer(notes_server()) as running:
        browser = await running.browser("alice")
        await browser.log_in(await browser.open("/oauth/account"))

        page = await browser.open("/oauth/account")
        assert (page.url, page.status, "alice" in page.text) == (f"{running.origin}/oauth/account", 200, True)


async def test_the_redirect_is_delivered_to_an_app_that_listens() -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heard.put((await reader.readline()).decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with RunningServer(notes_server()) as running, await asyncio.start_server(answer, "127.0.0.1", 0) as app:
        port = app.sockets[0].getsockname()[1]
        url = await authorization_url(running, f"http://127.0.0.1:{port}/callback")
        location = await (await running.browser()).approve(url, delivers=True)

        assert await heard.get() == f"GET {location.removeprefix(f'http://127.0.0.1:{port}')} HTTP/1.1\r\n"


async def test_a_page_that_was_not_expected_is_told() -> None:
    async with RunningServer(notes_server()) as running:
        browser = await running.browser("alice")
        with pytest.raises(
            UnexpectedPage, match="came to /oauth/authorize .400., which says: .*is not known here"
        ) as told:
            await browser.approve(f"{running.origin}/oauth/authorize?client_id=nobody")
        assert told.value.page.status == 400

        browser.typed["password"] = "another one"
        with pytest.raises(UnexpectedPage, match="the page behind the login, and came to .*did not match"):
            await browser.approve(await authorization_url(running))
        del browser.typed["password"]
        with pytest.raises(UnexpectedPage, match="a login that asks for no password .typed= says what to type."):
            await browser.approve(await authorization_url(running))


async def test_an_account_with_a_password_logs_in_with_it() -> None:
    async with RunningServer(notes_server()) as running:
        alice = await running.user("alice", password=PASSWORD)
        browser = await running.browser("alice")

        assert (alice.password, browser.typed) == (PASSWORD, {"username": "alice", "password": PASSWORD})
        assert "code" in answer_of(await browser.approve(await authorization_url(running)))


async def test_a_static_password_is_typed() -> None:
    async with RunningServer(notes_server(), provider=StaticPasswordProvider(PASSWORD)) as running:
        browser = await running.browser(typed={"password": PASSWORD})

        assert "code" in answer_of(await browser.approve(await authorization_url(running)))


async def test_a_single_user_is_asked_nothing_by_an_app_on_this_computer() -> None:
    async with RunningServer(notes_server(), provider=SingleUserProvider()) as running:
        browser = await running.browser()

        assert (await browser.consent_page(await authorization_url(running))).location is not None


async def test_a_login_elsewhere_is_not_followed() -> None:
    provider = OpenIDConnect("https://id.example.com", "client", "a secret")
    async with RunningServer(notes_server(), provider=provider, settings={"OAUTH_ALLOWED_USERS": "*"}) as running:
        assert isinstance(await running.browser("alice"), Browser)
        with pytest.raises(ValueError, match="^Whoever logs in elsewhere has no password here"):
            await running.user("bob", password=PASSWORD)


async def test_the_official_client_gives_the_url_first() -> None:
    async with RunningServer(notes_server()) as running:
        with pytest.raises(RuntimeError, match="^No client has asked yet"):
            await (await running.browser()).callback_handler()
