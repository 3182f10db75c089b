import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import unescape
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest

from gatepost.oauth.authorization import MAX_QUERY
from gatepost.oauth.policy import AuthorizationServer, Lifetimes
from gatepost.oauth.records import AuthorizationTransaction, Client
from gatepost.resource.resources import ProtectedResource
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import memory_store
from gatepost.tokens.opaque import fingerprint
from gatepost.web.oauth.authorize import AuthorizeEndpoint
from gatepost.web.pages.browser_session import BrowserSessions
from gatepost.web.pages.decision import Decision
from gatepost.web.pages.linking import Linking
from gatepost.web.pages.login_completion import LoginCompletion
from gatepost.web.pages.rendering import Pages
from gatepost.web.site.audit import NO_AUDIT
from gatepost.web.site.routing import described
from tests.web.pages.pages_world import Accounts
from tests.web.served import Served

ISSUER = "https://mcp.example.com"
ENDPOINT = f"{ISSUER}/oauth/authorize"
CALLBACK = "https://client.example/cb?tenant=1"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
NOTES = ProtectedResource(
    identifier=f"{ISSUER}/mcp", path="/mcp", name="Notes", scopes={"notes:read": "Read", "notes:write": "Write"}
)
MAIL = ProtectedResource(identifier=f"{ISSUER}/mail", path="/mail", name="Mail", scopes={"mail:read": "Read mail"})
STATE = "a+b c/é=&%\U0001f511'\"<>"
GOOD = {
    "client_id": "client_1",
    "response_type": "code",
    "redirect_uri": CALLBACK,
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "state": STATE,
    "scope": " notes:read  openid",
    "resource": f"{ISSUER}/mcp",
}


def client_with(*redirect_uris: str, client_id: str = "client_1", scope: str | None = None) -> Client:
    return Client(
        client_id=client_id,
        client_name="Client",
        redirect_uris=redirect_uris,
        grant_types=("authorization_code", "refresh_token"),
        response_types=("code",),
        token_endpoint_auth_method="none",
        application_type="web",
        scope=scope,
        client_uri=None,
        logo_uri=None,
        jwks=None,
        jwks_uri=None,
        dpop_bound_access_tokens=False,
        secret_fingerprint=None,
        created_at=0,
    )


class Count:
    """Random bytes that are never the same twice."""

    def __init__(self) -> None:
        self.drawn = 0

    def __call__(self, count: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(count, "big")


@dataclass
class Front:
    store: Store
    http: httpx2.AsyncClient

    async def ask(self, extra: str = "", **changes: str | None) -> httpx2.Response:
        values = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
        return await self.http.get(f"{ENDPOINT}?{urlencode(values)}{extra}")

    async def begun(self, response: httpx2.Response) -> AuthorizationTransaction | None:
        """Return the transaction that the redirect to the login names."""
        login = urlsplit(response.headers["location"])
        assert (response.status_code, login.path) == (303, "/oauth/login")
        ((name, transaction_id),) = parse_qsl(login.query)
        assert name == "transaction"
        return await self.store.transactions.find_transaction(transaction_id, now=1000)


def front_endpoint(store: Store, *, resources: tuple[ProtectedResource, ...] = (NOTES,)) -> AuthorizeEndpoint:
    random_bytes = Count()
    provider = Accounts()
    pages = Pages(server_name="Notes", secure=True)
    browser_sessions = BrowserSessions(
        sessions=store.browser_sessions,
        provider=provider,
        secure=True,
        lifetime=3600,
        now=lambda: 1000,
        random_bytes=random_bytes,
    )
    decision = Decision(
        transactions=store.transactions,
        devices=store.device_authorizations,
        consents=store.consents,
        consent_lifetime=0,
        browser_sessions=browser_sessions,
        authorization_server=AuthorizationServer(ISSUER, Lifetimes()),
        pages=pages,
        audit=NO_AUDIT,
        now=lambda: 1000,
        random_bytes=random_bytes,
    )
    return AuthorizeEndpoint(
        clients=store.clients,
        pushed_requests=store.pushed_requests,
        transactions=store.transactions,
        resources=resources,
        browser_sessions=browser_sessions,
        completion=LoginCompletion(
            provider=provider,
            users=store.users,
            linking=Linking(logins=store.linked_logins, pages=pages, audit=NO_AUDIT, now=lambda: 1000),
            logins=store.logins,
            browser_sessions=browser_sessions,
            pages=pages,
            audit=NO_AUDIT,
            origin=ISSUER,
            now=lambda: 1000,
            random_bytes=random_bytes,
        ),
        decision=decision,
        pages=pages,
        transaction_lifetime=1800,
        now=lambda: 1000,
        random_bytes=random_bytes,
    )


def front_app(store: Store, *, resources: tuple[ProtectedResource, ...] = (NOTES,)) -> Served:
    return Served(front_endpoint(store, resources=resources).routes())


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    store = memory_store()
    await store.clients.register_client(client_with(CALLBACK))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=front_app(store))) as http:
        yield Front(store, http)


def sent_back(response: httpx2.Response, *, to: str = CALLBACK) -> list[tuple[str, str]]:
    """Return the parameters of a redirect to the client, those of its own query left out."""
    location = response.headers["location"]
    assert response.status_code == 303
    assert location.startswith(to)
    assert response.headers["cache-control"] == "no-store"
    return parse_qsl(location[len(to) :].lstrip("?&"), keep_blank_values=True, strict_parsing=True)


def assert_local_page(response: httpx2.Response, text: str, *, status: int = 400) -> None:
    assert response.status_code == status
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "location" not in response.headers
    assert "set-cookie" not in response.headers
    assert response.headers["x-frame-options"] == "DENY"
    assert text in unescape(response.text)


async def test_a_good_request_is_kept_for_this_browser_and_goes_on_to_the_login(front: Front) -> None:
    response = await front.ask()
    transaction = await front.begun(response)
    assert transaction is not None
    secret = response.cookies["__Host-gatepost"]
    found = await front.store.browser_sessions.find_session(fingerprint(secret), now=1000)
    assert found is not None
    assert found.user is None
    assert transaction == AuthorizationTransaction(
        transaction_id=transaction.transaction_id,
        browser_id=found.session.browser_id,
        client_id="client_1",
        redirect_uri=CALLBACK,
        redirect_uri_was_sent=True,
        scopes=("notes:read",),
        resource=f"{ISSUER}/mcp",
        code_challenge=CHALLENGE,
        client_state=STATE,
        created_at=1000,
        expires_at=2800,
        started_by_user=True,
    )
    assert transaction.transaction_id.startswith("transaction_")


async def test_a_second_request_of_the_same_browser_is_another_transaction_of_the_same_browser(front: Front) -> None:
    first = await front.begun(await front.ask())
    second = await front.begun(await front.ask())
    front.http.cookies.clear()
    elsewhere = await front.begun(await front.ask())
    assert first is not None
    assert second is not None
    assert elsewhere is not None
    assert first.transaction_id != second.transaction_id
    assert first.browser_id == second.browser_id
    assert first.browser_id != elsewhere.browser_id


async def test_what_may_be_left_out_may_be_left_out(front: Front) -> None:
    transaction = await front.begun(await front.ask(redirect_uri=None, scope=None, state=None, resource=None))
    assert transaction is not None
    assert (transaction.redirect_uri, transaction.redirect_uri_was_sent) == (CALLBACK, False)
    assert transaction.scopes == ("notes:read", "notes:write")
    assert transaction.resource == f"{ISSUER}/mcp"
    assert transaction.client_state is None


async def test_without_a_scope_a_client_asks_for_what_it_registered(front: Front) -> None:
    assert await front.store.clients.update_client(client_with(CALLBACK, scope="notes:write gone"))
    transaction = await front.begun(await front.ask(scope=None))
    assert transaction is not None
    assert transaction.scopes == ("notes:write",)


async def test_the_spellings_of_a_resource_come_to_its_canonical_one(front: Front) -> None:
    transaction = await front.begun(await front.ask(resource="https://MCP.example.com:443/mcp/"))
    assert transaction is not None
    assert transaction.resource == f"{ISSUER}/mcp"


async def test_on_loopback_the_port_is_the_clients(front: Front) -> None:
    assert await front.store.clients.update_client(client_with("http://127.0.0.1/cb", "http://localhost:1/cb"))
    transaction = await front.begun(await front.ask(redirect_uri="http://127.0.0.1:51234/cb"))
    assert transaction is not None
    assert transaction.redirect_uri == "http://127.0.0.1:51234/cb"


@pytest.mark.parametrize(
    ("extra", "changes", "text"),
    [
        ("", {"client_id": None}, "The parameter client_id is missing."),
        ("", {"client_id": ""}, "The parameter client_id is missing."),
        ("", {"client_id": "somebody"}, "This app is not known here"),
        ("", {"client_id": "client_1\n"}, "This app is not known here"),
        ("&client_id=client_1", {}, "The parameter client_id is sent more than once"),
        ("&client_id=%", {"client_id": None}, "The parameter client_id is malformed"),
        ("&redirect_uri=https://client.example/cb", {}, "The parameter redirect_uri is sent more than once"),
        ("&redirect_uri=", {}, "The parameter redirect_uri is sent more than once"),
        ("&redirect_uri=%zz", {"redirect_uri": None}, "The parameter redirect_uri is malformed"),
        ("", {"redirect_uri": "https://evil.example/cb"}, "is not one that this client registered"),
        ("", {"redirect_uri": CALLBACK + "&x=1"}, "is not one that this client registered"),
        ("", {"redirect_uri": CALLBACK + "#x"}, "has a fragment"),
        ("", {"redirect_uri": "javascript:alert(1)"}, "has a scheme that"),
        ("&" * 100, {}, "A parameter is malformed"),
        ("", {"state": "x" * MAX_QUERY}, f"The query is longer than {MAX_QUERY} bytes."),
    ],
)
async def test_as_long_as_client_and_redirect_uri_are_not_established_nothing_redirects(
    extra: str, changes: dict[str, str | None], text: str, front: Front
) -> None:
    # Everything else is wrong as well: the first half is judged first.
    response = await front.ask(extra, **{"response_type": "token", "code_challenge": None, **changes})
    assert_local_page(response, text)


async def test_a_client_with_two_redirect_uris_has_to_say_which(front: Front) -> None:
    assert await front.store.clients.update_client(client_with(CALLBACK, "https://client.example/other"))
    assert_local_page(await front.ask(redirect_uri=None), "The parameter redirect_uri is missing.")


async def test_localhost_and_127_0_0_1_are_told_apart_and_the_page_says_so(front: Front) -> None:
    assert await front.store.clients.update_client(client_with("http://127.0.0.1/cb"))
    response = await front.ask(redirect_uri="http://localhost:1455/cb")
    assert_local_page(response, "registered its redirect URI with 127.0.0.1 and now sends localhost")


async def test_a_local_page_repeats_nothing_of_the_request(front: Front) -> None:
    response = await front.ask(client_id="<script>alert('hunter2')</script>")
    assert_local_page(response, "This app is not known here")
    assert "hunter2" not in response.text


@pytest.mark.parametrize(
    ("extra", "changes", "error"),
    [
        ("", {"response_type": None}, "invalid_request"),
        ("", {"response_type": "token"}, "unsupported_response_type"),
        ("", {"response_mode": "form_post"}, "invalid_request"),
        ("", {"code_challenge": None}, "invalid_request"),
        ("", {"code_challenge": "too-short"}, "invalid_request"),
        ("", {"code_challenge_method": None}, "invalid_request"),
        ("", {"code_challenge_method": "plain"}, "invalid_request"),
        ("", {"scope": 'notes:read "'}, "invalid_scope"),
        ("", {"resource": "https://evil.example/mcp"}, "invalid_target"),
        ("", {"resource": f"{ISSUER}/mcp#x"}, "invalid_target"),
        ("", {"resource": ISSUER}, "invalid_target"),
        ("", {"prompt": "none"}, "login_required"),
        ("&resource=https://evil.example/mcp", {}, "invalid_target"),
        ("&scope=notes:read", {}, "invalid_request"),
        ("&code_challenge=x", {}, "invalid_request"),
        ("&unknown=1&unknown=2", {}, "invalid_request"),
        ("&scope=%", {"scope": None}, "invalid_request"),
        ("&%zz=1", {}, "invalid_request"),
    ],
)
async def test_every_other_error_goes_back_with_the_state_as_it_was_and_one_iss(
    extra: str, changes: dict[str, str | None], error: str, front: Front
) -> None:
    response = await front.ask(extra, **changes)
    (code, description, state, iss) = sent_back(response)
    assert code == ("error", error)
    assert description[0] == "error_description"
    assert description[1]
    assert state == ("state", STATE)
    assert iss == ("iss", ISSUER)
    assert "set-cookie" not in response.headers


async def test_an_error_without_a_state_adds_none(front: Front) -> None:
    names = [name for name, _ in sent_back(await front.ask(state=None, response_type="token"))]
    assert names == ["error", "error_description", "iss"]


async def test_of_two_states_neither_is_used(front: Front) -> None:
    answer = sent_back(await front.ask("&state=other"))
    assert answer == [
        ("error", "invalid_request"),
        ("error_description", "The parameter state is sent more than once; send it once."),
        ("iss", ISSUER),
    ]


async def test_a_private_use_scheme_gets_its_errors_too(front: Front) -> None:
    callback = "cursor://anysphere.cursor-retrieval/oauth/callback"
    assert await front.store.clients.update_client(client_with(callback))
    response = await front.ask(redirect_uri=callback, response_type="token")
    assert sent_back(response, to=callback)[0] == ("error", "unsupported_response_type")


async def test_where_there_are_several_resources_one_has_to_be_named() -> None:
    store = memory_store()
    await store.clients.register_client(client_with(CALLBACK))
    app = front_app(store, resources=(NOTES, MAIL))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app)) as http:
        front = Front(store, http)
        assert sent_back(await front.ask(resource=None))[0] == ("error", "invalid_target")
        transaction = await front.begun(await front.ask(resource=MAIL.identifier, scope=None))
        assert transaction is not None
        assert (transaction.resource, transaction.scopes) == (MAIL.identifier, ("mail:read",))
        # Scopes of another resource count as not sent.
        transaction = await front.begun(await front.ask(resource=MAIL.identifier, scope="notes:read"))
        assert transaction is not None
        assert transaction.scopes == ("mail:read",)


async def test_the_log_says_why_and_for_which_client_and_repeats_nothing(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gatepost")
    await front.ask(scope='"hunter2"')
    await front.ask(client_id="hunter2")
    await front.ask(redirect_uri="https://hunter2.example/")
    assert [vars(record)["reason"] for record in caplog.records] == [
        "parameter_malformed",
        "client_unknown",
        "redirect_uri_unregistered",
    ]
    assert vars(caplog.records[0])["client_id"] == "client_1"
    assert vars(caplog.records[0])["endpoint"] == "/oauth/authorize"
    assert "hunter2" not in caplog.text


async def test_a_store_that_is_down_is_a_503_page_and_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_client_id: str) -> Client | None:
        raise StoreUnavailable("down")

    store = memory_store()
    monkeypatch.setattr(store.clients, "find_client", fail)
    app = front_app(store)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app)) as http:
        response = await http.get(ENDPOINT, params=GOOD)
    assert_local_page(response, "Please try again", status=503)
    assert "retry-after" in response.headers


async def test_a_head_begins_nothing(front: Front) -> None:
    response = await front.http.head(ENDPOINT, params=GOOD)
    assert (response.status_code, response.content) == (200, b"")
    assert "set-cookie" not in response.headers
    assert "location" not in response.headers


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_only_get_is_answered(method: str, front: Front) -> None:
    response = await front.http.request(method, ENDPOINT, params=GOOD)
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")


def test_the_endpoint_is_documented() -> None:
    operation = described(front_endpoint(memory_store()).routes())["/oauth/authorize"]["get"]
    assert operation["summary"] == "Ask a user for access"
    assert [parameter["name"] for parameter in operation["parameters"]] == [
        "client_id",
        "request_uri",
        "response_type",
        "redirect_uri",
        "code_challenge",
        "code_challenge_method",
        "scope",
        "resource",
        "dpop_jkt",
        "state",
    ]
    assert set(operation["responses"]) == {"303", "400", "421", "429", "500", "503"}
    assert "content" not in operation["responses"]["303"]
