"""A login provider that was written for a system that Gatepost replaces does its work here."""

# ruff: noqa: ARG002 - the arguments are those of the protocol
from __future__ import annotations

import json
import logging
import threading
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.requests import Request
from starlette.responses import Response

from gatepost import (
    AuthProvider,
    Context,
    Identity,
    IdentityProvider,
    Login,
    LoginRefused,
    LoginRoute,
    Server,
    create_app,
)
from gatepost.configuration.settings import load_settings
from gatepost.identity.auth_provider import AuthProviderLogin
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import memory_store
from tests.attacks.installed import CHALLENGE, ORIGIN
from tests.counted_store import count_operations
from tests.seeds.person import CALLBACK, person_at
from tests.seeds.upstream_login import UPSTREAM, UpstreamLogin, build_app
from tests.web.pages.pages_world import Form, heading

PASSWORD = "correct horse battery"


def app_with(provider: Any, *, store: Store | None = None, **variables: str) -> Any:
    server = Server("notes")

    @server.tool
    def whoami(ctx: Context) -> dict[str, Any]:
        """Say who calls."""
        user = ctx.user
        return {
            "subject": user.subject,
            "name": user.name,
            "email": [user.email, user.email_verified],
            "groups": list(user.groups),
            "issuer": user.issuer,
            "claims": dict(user.claims),
        }

    @server.tool
    async def nothing() -> str:
        """Ask for nothing."""
        return "done"

    settings = load_settings({"MCP_STORAGE_URL": "memory:", **variables}, env_file=None)
    return create_app(server, settings=settings, provider=provider, store=store, announce=lambda _: None)


class Asked(AuthProvider):
    """Has one password, and remembers what it was asked with."""

    answer: Any = "ada"

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.threads: set[int] = set()

    def authenticate(self, request: Request, credentials: dict[str, str]) -> Any:
        self.asked.append(credentials)
        self.threads.add(threading.get_ident())
        return self.answer if credentials.get("password") == PASSWORD else None


class Later(Asked):
    """The same, async."""

    async def authenticate(self, request: Request, credentials: dict[str, str]) -> Any:
        return super().authenticate(request, credentials)


async def test_a_program_that_asks_elsewhere_runs_with_its_imports_renamed() -> None:
    async with person_at(build_app(ORIGIN)) as person:
        sent_away = await person.arrive()
        assert sent_away.headers["location"].startswith(f"{UPSTREAM}?")
        query = parse_qs(urlsplit(sent_away.headers["location"]).query)
        back = f"{query['redirect_uri'][0]}?code=ada&state={query['state'][0]}"

        page = await person.http.get((await person.http.get(back)).headers["location"])
        token = await person.allow(page)

        assert await person.call(token, "whoami") == "ada: ['ada']"
        assert (await person.http.get(back)).status_code == 400


async def test_whoever_its_list_does_not_name_is_sent_away_again() -> None:
    async with person_at(build_app(ORIGIN)) as person:
        query = parse_qs(urlsplit((await person.arrive()).headers["location"]).query)
        back = await person.http.get(f"{query['redirect_uri'][0]}?code=eve&state={query['state'][0]}")
        assert (await person.http.get(back.headers["location"])).headers["location"].startswith(f"{UPSTREAM}?")


async def test_behind_a_proxy_that_ends_tls_the_way_back_is_the_public_url() -> None:
    class Somewhere:
        def url(self, path: str) -> str:
            return f"https://mcp.example.com/oauth/login/x/{path}"

    provider = UpstreamLogin(set(), "https://mcp.example.com")
    scope = {"type": "http", "scheme": "http", "path": "/oauth/login", "query_string": b"transaction=t", "headers": []}
    scope["headers"] = [(b"host", b"10.0.0.7:8000"), (b"cookie", b"a=b")]
    await AuthProviderLogin(provider).challenge(Request(scope), Somewhere())  # type: ignore[arg-type]  # no more is asked of it
    assert list(provider.pending.values()) == ["https://mcp.example.com/oauth/login?transaction=t"]


@pytest.mark.parametrize("kind", [Asked, Later])
async def test_credentials_hold_the_query_of_the_authorization_request_and_the_form(kind: type[Asked]) -> None:
    provider = kind()
    async with person_at(app_with(provider)) as person:
        page = await person.arrive(login_hint="a b&c", tenant="7")
        assert list(Form(page.text).fields) == ["csrf_token", "password"]
        refused = await person.submit(page, password="wrong horse battery")
        token = await person.allow(await person.submit(refused, password=PASSWORD))
        assert json.loads(await person.call(token, "whoami"))["subject"] == "ada"

    query = {
        "response_type": "code",
        "client_id": person.client_id,
        "redirect_uri": CALLBACK,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "state": "its own",
        "login_hint": "a b&c",
        "tenant": "7",
    }
    assert provider.asked[0] == query
    assert provider.asked[-1] == {**query, "password": PASSWORD}
    # What may block does so in a thread of its own.
    assert (threading.get_ident() in provider.threads) is (kind is Later)


async def test_a_password_in_the_url_is_not_looked_at_because_no_throttle_counts_it() -> None:
    provider = Asked()
    async with person_at(app_with(provider)) as person:
        page = await person.arrive(password=PASSWORD)
        assert heading(page) == "Log in"
        assert all("password" not in asked for asked in provider.asked)
        statuses = [(await person.submit(page, password=f"wrong {number}")).status_code for number in range(12)]
        assert statuses[0] == 403
        assert statuses[-1] == 429


SAID = Identity(
    "ada",
    "Ada Lovelace",
    email="ada@example.com",
    email_verified=True,
    groups=["staff", "ops"],
    claims={"locale": "en", "roles": [{"id": 7}]},
)
SHOWN = {
    "subject": "ada",
    "name": "Ada Lovelace",
    "email": ["ada@example.com", True],
    "groups": ["staff", "ops"],
    "issuer": "asked",
    "claims": {"locale": "en", "roles": [{"id": 7}]},
}


@pytest.mark.parametrize("token_format", ["opaque", "jwt"])
async def test_what_the_provider_says_is_there_in_tools_of_both_eras_from_one_look_up(token_format: str) -> None:
    provider, store = Asked(), memory_store()
    provider.answer = SAID
    async with person_at(app_with(provider, store=store, OAUTH_ACCESS_TOKEN_FORMAT=token_format)) as person:
        page = await person.arrive()
        token = await person.allow(await person.submit(page, password=PASSWORD))
        called = count_operations(store)
        assert json.loads(await person.call(token, "whoami")) == SHOWN
        # The one look-up that any call's token needs.
        assert called == ["grants.find_access_token"]
        await person.call(token, "nothing")
        assert called == ["grants.find_access_token"]
        assert json.loads(await person.call_in_session(token, "whoami")) == SHOWN
        assert "users.find_user_by_subject" not in called


async def test_each_login_says_it_anew() -> None:
    provider = Asked()
    async with person_at(app_with(provider)) as person:
        for answer, groups in ((SAID, ["staff", "ops"]), (Identity("ada", groups=("staff",)), ["staff"]), ("ada", [])):
            provider.answer = answer
            person.http.cookies.clear()
            token = await person.allow(await person.submit(await person.arrive(), password=PASSWORD))
            assert json.loads(await person.call(token, "whoami"))["groups"] == groups


@pytest.mark.parametrize("subject", ["anonymous", "api-key"])
async def test_nobody_has_a_subject_under_which_callers_without_a_person_are_known(subject: str) -> None:
    provider = Asked()
    provider.answer = subject
    async with person_at(app_with(provider)) as person:
        token = await person.allow(await person.submit(await person.arrive(), password=PASSWORD))
        assert json.loads(await person.call(token, "whoami"))["subject"].startswith("user_")


class Broken(IdentityProvider):
    """Whatever its author got wrong."""

    name = "broken"


class OneArgument(AuthProvider):
    def authenticate(self, request: Request) -> str:  # type: ignore[override]  # the mistake is the test
        return "ada"


class Raises(AuthProvider):
    def authenticate(self, request: Request, credentials: dict[str, str]) -> str:
        raise KeyError("a detail")


class LaterRaises(AuthProvider):
    async def authenticate(self, request: Request, credentials: dict[str, str]) -> str:
        raise RuntimeError("a detail")


class ChallengesWithAText(Asked):
    def challenge(self, request: Request, credentials: dict[str, str]) -> Any:
        return "/elsewhere"


class NotAnIdentity(Broken):
    async def authenticate(self, request: Request, credentials: Any) -> Any:
        return True


class PlainAndWrong(Broken):
    def authenticate(self, request: Request, credentials: Any) -> Any:
        return {"sub": "ada"}


class ChallengeOfTheOtherKind(Broken):
    async def challenge(self, request: Request) -> Response:  # type: ignore[override]  # the mistake is the test
        return Response()


def returning(answer: Any) -> AuthProvider:
    class Returns(AuthProvider):
        def authenticate(self, request: Request, credentials: dict[str, str]) -> Any:
            return answer

    return Returns()


WRONG: list[tuple[Any, str]] = [
    (OneArgument(), "OneArgument.authenticate ({file}:{line}) cannot be called with 2 arguments"),
    (Raises(), "Raises.authenticate ({file}:{line}) raised KeyError"),
    (LaterRaises(), "LaterRaises.authenticate ({file}:{line}) raised RuntimeError"),
    (ChallengesWithAText(), "ChallengesWithAText.challenge ({file}:{line}) returned a value of type str"),
    (NotAnIdentity(), "NotAnIdentity.authenticate ({file}:{line}) returned a value of type bool"),
    (PlainAndWrong(), "PlainAndWrong.authenticate ({file}:{line}) returned a value of type dict"),
    (ChallengeOfTheOtherKind(), "ChallengeOfTheOtherKind.challenge ({file}:{line}) cannot be called with 2 arguments"),
    (returning(7), "returned a value of type int; it has to be str or Identity or None"),
    (returning(b"ada"), "returned a value of type bytes"),
    (returning(""), "the subject has to be a text of 1 to 255 printable characters"),
    (returning("a\nb"), "the subject has to be a text of 1 to 255 printable characters"),
    (returning(Identity(7)), "the subject has to be"),  # type: ignore[arg-type]  # the mistake is the test
    (returning(Identity("ada", issuer="local")), "nobody but their own provider"),
    (returning(Identity("ada", groups="staff")), "the groups have to be a list of texts"),
    (returning(Identity("ada", groups=[1])), "the groups have to be a list of texts"),  # type: ignore[list-item]  # the mistake is the test
    (returning(Identity("ada", email=["a@b"])), "texts"),  # type: ignore[arg-type]  # the mistake is the test
    (returning(Identity("ada", claims={"at": object()})), "JSON"),
    (returning(Identity("ada", claims={"n": "x" * 20_000})), "more than 16384 bytes"),
]


@pytest.mark.parametrize(
    ("provider", "sentence"), WRONG, ids=lambda value: value[:40] if isinstance(value, str) else ""
)
async def test_what_its_author_got_wrong_is_one_clear_error_and_a_page(
    provider: Any, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with person_at(app_with(provider)) as person:
        page = await person.arrive()

    assert (page.status_code, heading(page)) == (500, "The login of this server does not work")
    assert "login_provider_failed" in page.text
    (error,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    said = error.getMessage()
    method = type(provider).__dict__.get("challenge") or type(provider).__dict__["authenticate"]
    assert sentence.format(file=__file__, line=method.__code__.co_firstlineno) in said
    assert "a detail" not in page.text


async def test_what_a_provider_raises_is_in_the_log_with_the_author_s_own_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with person_at(app_with(Raises())) as person:
        await person.arrive()
    (error,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert error.exc_info is not None
    assert 'raise KeyError("a detail")' in str(error.exc_info[1])


async def test_a_refusal_is_told_to_the_person_in_the_author_s_words() -> None:
    class Refuses(AuthProvider):
        def authenticate(self, request: Request, credentials: dict[str, str]) -> str:
            raise LoginRefused("Only staff may log in.")

    async with person_at(app_with(Refuses())) as person:
        page = await person.arrive()
    assert (page.status_code, heading(page)) == (403, "You are not logged in")
    assert "Only staff may log in." in page.text


async def test_login_fields_of_another_type_are_refused_at_the_start() -> None:
    provider = Asked()
    provider.login_fields = ("password",)  # type: ignore[assignment]  # the mistake is the test
    with pytest.raises(ValueError, match=r"login_fields has to be a list of LoginField"):
        app_with(provider)


@pytest.mark.parametrize(("provider", "is_kept"), [(Asked(), True), (Broken(), False)])
async def test_the_query_is_kept_for_those_who_read_it_alone(provider: Any, is_kept: bool) -> None:
    store = memory_store()
    async with person_at(app_with(provider, store=store)) as person:
        page = await person.arrive(login_hint="ada")
        transaction_id = parse_qs(page.url.query.decode())["transaction"][0]
        transaction = await store.transactions.find_transaction(transaction_id, now=0)
    assert transaction is not None
    assert ("login_hint=ada" in (transaction.query or "")) is is_kept


async def test_a_way_back_that_fails_is_the_same_error(caplog: pytest.LogCaptureFixture) -> None:
    class ComesBack(Broken):
        @property
        def routes(self) -> list[LoginRoute]:
            return [LoginRoute("callback", self.callback)]

        async def callback(self, request: Request, login: Login) -> Response:
            return await login.finish(Identity("ada"))

    async with person_at(app_with(ComesBack())) as person:
        page = await person.http.get("/oauth/login/broken/callback")
    assert (page.status_code, heading(page)) == (500, "The login of this server does not work")
    assert "ComesBack.callback" in caplog.text


async def test_who_may_still_act_may_be_asked_of_a_plain_function() -> None:
    class Narrow(IdentityProvider):
        name = "narrow"
        allowed = True

        async def authenticate(self, request: Request, credentials: Any) -> Identity | None:
            return Identity("ada") if self.allowed else None

        def is_active(self, user: Any) -> bool:  # type: ignore[override]  # the mistake is the test
            return self.allowed

    provider = Narrow()
    async with person_at(app_with(provider)) as person:
        assert "/oauth/consent" in (await person.arrive()).headers["location"]
        provider.allowed = False
        assert heading(await person.arrive()) == "Log in"


def test_the_name_is_the_class_s_so_that_another_class_vouches_for_others() -> None:
    assert Asked().name == "asked"
    assert AuthProviderLogin(Later()).issuer == "later"
    assert type("Éà", (Asked,), {})().name == "auth"
