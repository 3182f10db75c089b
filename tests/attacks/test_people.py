"""Whoever vouches for a person, disabling them holds; and nobody is somebody else after a change of provider."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from gatepost.identity.single_user import OPERATOR, SingleUserProvider
from gatepost.identity.static_password import StaticPasswordProvider
from gatepost.oauth.audit import AuditQuery
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.users import LOCAL, User
from gatepost.stores.sql.sqlite import memory_store
from tests.attacks.installed import ORIGIN, VERIFIER, Installed, installed
from tests.web.pages.pages_world import Form, heading

CALLBACK = "http://127.0.0.1:9999/cb"
PASSWORD = "correct horse battery"


async def register(gatepost: Installed) -> str:
    answer = await gatepost.http.post("/oauth/register", json={"redirect_uris": [CALLBACK]})
    client_id: str = answer.json()["client_id"]
    return client_id


async def redeem(gatepost: Installed, client_id: str, location: str) -> dict[str, Any]:
    code = parse_qs(urlsplit(location).query)["code"][0]
    answer = await gatepost.token(
        grant_type="authorization_code",
        client_id=client_id,
        code=code,
        redirect_uri=CALLBACK,
        code_verifier=VERIFIER,
    )
    tokens: dict[str, Any] = answer.json()
    return tokens


async def call(gatepost: Installed, tokens: dict[str, Any]) -> int:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    headers = {"Authorization": f"Bearer {tokens['access_token']}", "Accept": "application/json, text/event-stream"}
    return (await gatepost.http.post("/mcp", json=message, headers=headers)).status_code


async def type_password(gatepost: Installed, password: str, path: str = "/oauth/login") -> httpx2.Response:
    form = Form((await gatepost.http.get(path)).text)
    data = {**form.fields, "password": password}
    return await gatepost.http.post(form.action or "", data=data, headers={"Origin": ORIGIN})


async def people(store: Store) -> list[tuple[str, str, str]]:
    return [(user.subject, user.issuer, user.external_subject) for user in await store.users.list_users()]


async def test_the_single_user_is_a_person_who_can_be_disabled() -> None:
    async with installed(provider=SingleUserProvider()) as gatepost:
        client_id = await register(gatepost)
        tokens = await redeem(gatepost, client_id, (await gatepost.authorize(client_id, CALLBACK)).headers["location"])
        assert await call(gatepost, tokens) == 200
        assert await people(gatepost.store) == [("owner", OPERATOR, "owner")]

        await gatepost.store.users.disable_user("owner", now=gatepost.clock[0])

        gatepost.clock[0] += 60  # a verification is remembered for seconds
        assert await call(gatepost, tokens) == 401
        for answer in (await gatepost.authorize(client_id, CALLBACK), await gatepost.http.get("/oauth/login")):
            assert (answer.status_code, heading(answer)) == (403, "Your account is disabled")


async def test_one_password_is_a_login_without_an_account_to_create() -> None:
    async with installed(provider=StaticPasswordProvider(PASSWORD)) as gatepost:
        assert gatepost.installation.setup_token is None
        client_id = await register(gatepost)
        login = (await gatepost.authorize(client_id, CALLBACK)).headers["location"]
        wrong = await type_password(gatepost, "a wrong one of some length", login)
        assert (wrong.status_code, heading(wrong)) == (403, "Log in")

        right = await type_password(gatepost, PASSWORD, login)

        page = await gatepost.http.get(right.headers["location"])
        assert heading(page) == "Allow this app?"
        form = Form(page.text)
        fields = {**form.fields, "decision": "approve"}
        approved = await gatepost.http.post(form.action or "", data=fields, headers={"Origin": ORIGIN})
        tokens = await redeem(gatepost, client_id, approved.headers["location"])
        assert await call(gatepost, tokens) == 200
        assert await people(gatepost.store) == [("owner", OPERATOR, "owner")]
        events = await gatepost.store.audit.list_events(AuditQuery(event="login"), before=None, limit=9)
        assert [(event.outcome.value, event.subject) for event in events] == [("ok", "owner"), ("refused", None)]


async def test_guesses_at_the_one_password_are_counted() -> None:
    async with installed(provider=StaticPasswordProvider(PASSWORD)) as gatepost:
        statuses = [(await type_password(gatepost, f"guess number {number}")).status_code for number in range(11)]

        assert statuses == [403] * 10 + [429]
        assert (await type_password(gatepost, PASSWORD)).status_code == 429


async def test_a_disabled_owner_and_a_wrong_password_are_one_answer() -> None:
    async with installed(provider=StaticPasswordProvider(PASSWORD)) as gatepost:
        await type_password(gatepost, PASSWORD)
        await gatepost.store.users.disable_user("owner", now=gatepost.clock[0])
        gatepost.http.cookies.clear()

        right = await type_password(gatepost, PASSWORD)
        wrong = await type_password(gatepost, "a wrong one of some length")

        assert right.status_code == wrong.status_code == 403
        assert Form(right.text).fields.keys() == Form(wrong.text).fields.keys() == {"csrf_token", "password"}


async def test_a_session_of_the_mode_without_a_login_opens_nothing_once_there_is_one() -> None:
    """The owner stays the same person, but has to prove it."""
    store = memory_store()
    async with installed(provider=SingleUserProvider(), store=store) as gatepost:
        assert heading(await gatepost.http.get("/oauth/login")) == "You are logged in"
        cookies = dict(gatepost.http.cookies)

    async with installed(provider=StaticPasswordProvider(PASSWORD), store=store) as gatepost:
        gatepost.http.cookies.update(cookies)
        assert heading(await gatepost.http.get("/oauth/login")) == "Log in"
        await type_password(gatepost, PASSWORD)
        assert await people(store) == [("owner", OPERATOR, "owner")]

    async with installed(store=store) as gatepost:
        gatepost.http.cookies.update(cookies)
        assert heading(await gatepost.http.get("/oauth/login")) == "Set up this server first"
        assert gatepost.installation.setup_token is not None


async def test_an_owner_by_name_is_not_the_account_of_that_subject() -> None:
    store = memory_store()
    await store.users.add_user(User("owner", LOCAL, "owner", 1, username="ada", password_hash="$argon2id$"))
    async with installed(provider=SingleUserProvider(), store=store) as gatepost:
        await gatepost.http.get("/oauth/login")

        (local, other) = await people(store)

        assert local == ("owner", LOCAL, "owner")
        assert other[1:] == (OPERATOR, "owner")
        assert other[0].startswith("user_")
