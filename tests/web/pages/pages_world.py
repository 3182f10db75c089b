"""The pages over ASGI, with a store, a clock that stands still and browsers that keep their cookies apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.entry import ANYBODY, Allow, entry_of
from gatepost.identity.provider import Identity, IdentityProvider, Login, LoginField, LoginRoute, LoginStep
from gatepost.identity.roles import NO_ROLES, Roles
from gatepost.identity.token_holder import TokenHolder
from gatepost.identity.upstream_tokens import UpstreamTokens
from gatepost.oauth.policy import AuthorizationServer, AutoApprove, Lifetimes
from gatepost.oauth.records import AuthorizationTransaction, Client
from gatepost.resource.resources import ProtectedResource
from gatepost.stores.contract.browser_sessions import SessionView
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.users import User
from gatepost.stores.sql.database import Transaction
from gatepost.stores.sql.sqlite.memory import MemoryDatabase
from gatepost.stores.sql.store import sql_store
from gatepost.tokens.opaque import SecretKind, fingerprint, mint
from gatepost.tokens.sealing import KeyRing
from gatepost.web.oauth.authorize import AuthorizeEndpoint
from gatepost.web.pages.account import AccountPage
from gatepost.web.pages.account_link import AccountLinkPage
from gatepost.web.pages.browser_session import BrowserSessions
from gatepost.web.pages.consent import ConsentPage
from gatepost.web.pages.decision import Decision
from gatepost.web.pages.link_login import LinkLoginPage
from gatepost.web.pages.linking import Linking
from gatepost.web.pages.login import LoginPage
from gatepost.web.pages.login_completion import LoginCompletion
from gatepost.web.pages.login_throttle import LoginThrottle
from gatepost.web.pages.owner_proof import OwnerProof
from gatepost.web.pages.password import PasswordPage
from gatepost.web.pages.pending_request import PendingRequests
from gatepost.web.pages.rendering import Pages
from gatepost.web.pages.required_second_step import RequiredSecondStep
from gatepost.web.pages.second_step import SecondStepPage
from gatepost.web.pages.setup import SetupPage
from gatepost.web.pages.upstream_access import UpstreamAccess
from gatepost.web.site.audit import NO_AUDIT
from tests.identity.second_step_world import second_steps
from tests.web.served import Served

ORIGIN = "https://mcp.example.com"
NOTES = ProtectedResource(
    identifier=f"{ORIGIN}/mcp",
    path="/mcp",
    name="Notes",
    scopes={"notes:read": "Read your notes", "notes:write": "Change your notes", "raw": ""},
)
REDIRECT_URI = "https://app.example/callback"
LIFETIMES = Lifetimes(authorization_code=60, transaction=1800, browser_session=3600)
CONSENT_LIFETIME = 90 * 24 * 3600
PASSWORD = "correct horse battery"
ATTACK = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


class Counter:
    """Random bytes that are all different and the same in every run."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, length: int) -> bytes:
        self._count += 1
        return self._count.to_bytes(4, "big").rjust(length, b"\xa5")


@dataclass
class Accounts(IdentityProvider):
    """A provider that knows plain passwords, so that a test of pages need not hash any."""

    passwords: dict[str, str] = field(default_factory=lambda: {"ada": PASSWORD, "bob": "bobs own password"})
    disabled: set[str] = field(default_factory=set)
    known_without_asking: Identity | None = None
    asks_elsewhere: Response | None = None
    has_no_accounts: bool = False
    can_switch_account: bool = True
    challenges: list[tuple[str, bool]] = field(default_factory=list)
    name: str = "accounts"
    keeps_subjects: bool = True
    routes: Sequence[LoginRoute] = ()
    login_fields: tuple[LoginField, ...] = (
        LoginField("username", "Username", autocomplete="username"),
        LoginField("password", "Password", secret=True, autocomplete="current-password"),
    )

    async def authenticate(self, request: Request, credentials: Mapping[str, str]) -> Identity | LoginStep | None:
        del request
        if not credentials:
            return self.known_without_asking
        username = credentials["username"]
        if self.passwords.get(username) != credentials["password"] or f"user_{username}" in self.disabled:
            return None
        return Identity(f"user_{username}", username)

    async def is_active(self, user: User) -> bool:
        return user.subject not in self.disabled

    async def challenge(self, request: Request, login: Login) -> Response | None:
        self.challenges.append((str(request.url), login.switches_account))
        return self.asks_elsewhere

    async def awaits_setup(self) -> bool:
        return self.has_no_accounts


class Form(HTMLParser):
    """The one form of a page: its action, its fields and its buttons."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self.buttons: list[str | None] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "form":
            assert values["method"] == "post"
            self.action = values["action"]
        elif tag == "input":
            self.fields[values["name"] or ""] = values.get("value") or ""
        elif tag == "button":
            self.buttons.append(values.get("value"))


@dataclass
class World:
    """The pages and what is around them."""

    store: Store
    database: MemoryDatabase
    accounts: Accounts
    app: Served
    sessions: BrowserSessions
    random_bytes: Counter
    now: int = 1_000_000
    forgotten: list[int] = field(default_factory=list)
    """When verified tokens were to be forgotten."""
    browsers: list[httpx2.AsyncClient] = field(default_factory=list)

    def browser(self) -> httpx2.AsyncClient:
        """Return a browser that has never been here."""
        browser = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self.app), base_url=ORIGIN)
        self.browsers.append(browser)
        return browser

    async def register(self, **changes: Any) -> Client:
        """Register a client, or change its registration; `changes` replace the fields of an ordinary one."""
        values: dict[str, Any] = {
            "client_id": "client_1",
            "client_name": "Reading list",
            "redirect_uris": (REDIRECT_URI,),
            "grant_types": ("authorization_code",),
            "response_types": ("code",),
            "token_endpoint_auth_method": "none",
            "application_type": "web",
            "scope": None,
            "client_uri": None,
            "logo_uri": None,
            "jwks": None,
            "jwks_uri": None,
            "dpop_bound_access_tokens": False,
            "secret_fingerprint": None,
            "created_at": self.now,
        }
        client = Client(**{**values, **changes})
        if not await self.store.clients.update_client(client):
            await self.store.clients.register_client(client)
        return client

    async def begin(self, browser: httpx2.AsyncClient, **changes: Any) -> AuthorizationTransaction:
        """Begin an authorization request in this browser, in place of one with the same identifier."""
        response = Response()
        session = await self.sessions.current_or_new(self._request(browser))
        self.sessions.attach(response, session)
        browser.cookies.set(self.sessions.cookie_name, session.secret, domain="mcp.example.com", path="/")
        values: dict[str, Any] = {
            "transaction_id": "transaction_1",
            "browser_id": session.record.browser_id,
            "client_id": "client_1",
            "redirect_uri": REDIRECT_URI,
            "redirect_uri_was_sent": True,
            "scopes": ("notes:read", "raw"),
            "resource": NOTES.identifier,
            "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            "client_state": "st/a te&<",
            "created_at": self.now,
            "expires_at": self.now + LIFETIMES.transaction,
        }
        transaction = AuthorizationTransaction(**{**values, **changes})

        async def forget_earlier(open_transaction: Transaction) -> None:
            sql = "DELETE FROM authorization_transactions WHERE transaction_id = $1"
            await open_transaction.run(sql, transaction.transaction_id)

        await self.database.write(forget_earlier)
        await self.store.transactions.begin_transaction(transaction)
        return transaction

    async def log_in(
        self, browser: httpx2.AsyncClient, username: str = "ada", path: str = "/oauth/login"
    ) -> httpx2.Response:
        """Fill the login form at `path` in."""
        form = Form((await browser.get(path)).text)
        fields = {**form.fields, "username": username, "password": self.accounts.passwords[username]}
        return await browser.post(form.action or "", data=fields)

    async def session(self, browser: httpx2.AsyncClient) -> SessionView:
        """Return this browser's session."""
        found = await self.store.browser_sessions.find_session(fingerprint(self.secret(browser) or ""), now=self.now)
        assert found is not None
        return found

    async def rows(self, table: str, *columns: str) -> list[list[Any]]:
        """Return these columns of everything that a table holds."""

        async def select(open_transaction: Transaction) -> list[list[Any]]:
            rows = await open_transaction.all(f"SELECT * FROM {table}")  # noqa: S608 - a test's own word
            return [[row[column] for column in columns] for row in rows]

        return await self.database.read(select)

    def secret(self, browser: httpx2.AsyncClient) -> str | None:
        """Return what this browser's session cookie holds."""
        return browser.cookies.get(self.sessions.cookie_name)

    def _request(self, browser: httpx2.AsyncClient) -> Request:
        secret = self.secret(browser)
        cookie = [] if secret is None else [(b"cookie", f"{self.sessions.cookie_name}={secret}".encode())]
        return Request({"type": "http", "headers": cookie})


def upstream_tokens_of(
    provider: IdentityProvider, store: Store, *, now: Callable[[], int], random_bytes: Callable[[int], bytes]
) -> UpstreamTokens | None:
    """Return what keeps the tokens of those login providers that keep any."""
    every = [each for each in provider.every if isinstance(each, TokenHolder) and each.keeps_tokens]
    if not every:
        return None
    return UpstreamTokens(
        providers={each.name: each for each in every},
        store=store.upstream_tokens,
        key_ring=KeyRing(["a-key-of-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"]),
        note_end=lambda _subject: None,
        now=now,
        random_bytes=random_bytes,
    )


def make_world(
    *,
    auto_approve: AutoApprove = AutoApprove.NEVER,
    throttle: Callable[[World], LoginThrottle] | None = None,
    required_scopes: Collection[str] = (),
    secure: bool = True,
    provider: IdentityProvider | None = None,
    store_of: World | None = None,
    allowed: Allow = (),
    roles: Roles = NO_ROLES,
) -> World:
    """Return the pages with a fresh memory store.

    Args:
        auto_approve: when nobody is asked.
        throttle: counts guesses.
        required_scopes: those that cannot be unticked.
        secure: whether the cookies are those of https.
        provider: who logs people in; accounts with plain passwords when None.
        store_of: whose store is used; a fresh one when None.
        allowed: who may enter; empty for whoever the provider vouches for.
        roles: what may be granted to whom.
    """
    database = MemoryDatabase() if store_of is None else store_of.database
    store = sql_store(database)
    random_bytes = Counter()
    accounts = Accounts()
    provider = provider or accounts
    pages = Pages(server_name="Notes server", secure=True, random_bytes=bytes)
    app = Served()
    resources = (NOTES,)
    entry = entry_of(allowed) if allowed else ANYBODY

    def now() -> int:
        return world.now

    sessions = BrowserSessions(
        sessions=store.browser_sessions,
        provider=provider,
        secure=secure,
        lifetime=LIFETIMES.browser_session,
        now=now,
        random_bytes=random_bytes,
        entry=entry,
    )
    decision = Decision(
        transactions=store.transactions,
        devices=store.device_authorizations,
        consents=store.consents,
        consent_lifetime=CONSENT_LIFETIME,
        browser_sessions=sessions,
        authorization_server=AuthorizationServer(issuer=ORIGIN, lifetimes=LIFETIMES, auto_approve=auto_approve),
        pages=pages,
        audit=NO_AUDIT,
        now=now,
        random_bytes=random_bytes,
        roles=roles,
    )
    completion = LoginCompletion(
        provider=provider,
        users=store.users,
        logins=store.logins,
        linking=Linking(logins=store.linked_logins, pages=pages, audit=NO_AUDIT, now=now),
        browser_sessions=sessions,
        pages=pages,
        audit=NO_AUDIT,
        origin=ORIGIN,
        now=now,
        random_bytes=random_bytes,
        entry=entry,
        upstream_tokens=upstream_tokens_of(provider, store, now=now, random_bytes=random_bytes),
    )
    world = World(store, database, accounts, app, sessions, random_bytes)
    requests = PendingRequests(store.transactions, now)
    app.add(pages.static_files.routes())
    counted = None if throttle is None else throttle(world)
    app.add(LoginPage(requests=requests, completion=completion, resources=resources, throttle=counted).routes())
    logins, upstream = LinkLoginPage(completion=completion), UpstreamAccess(completion=completion)
    app.add((*logins.routes(), *upstream.routes()))
    app.add(
        AccountPage(
            completion=completion,
            logins=logins,
            upstream=upstream,
            approvals=store.approvals,
            resources=resources,
            on_revocation=lambda: world.forgotten.append(world.now),
        ).routes()
    )
    app.add(AccountLinkPage(completion=completion, links=store.account_links).routes())
    steps = second_steps(store, now=now, random_bytes=random_bytes)
    proof = OwnerProof(second_steps=steps, audit=completion.audit, throttle=counted)
    app.add(PasswordPage(completion=completion, proof=proof).routes())
    required = RequiredSecondStep(completion=completion, passkeys=store.passkeys, host="mcp.example.com")
    app.add(SecondStepPage(completion=completion, proof=proof, required=required).routes())
    app.add(
        ConsentPage(
            lifetimes=Lifetimes(),
            clients=store.clients,
            requests=requests,
            browser_sessions=sessions,
            provider=provider,
            decision=decision,
            resources=resources,
            pages=pages,
            origin=ORIGIN,
            required_scopes=required_scopes,
        ).routes()
    )
    app.add(
        AuthorizeEndpoint(
            clients=store.clients,
            pushed_requests=store.pushed_requests,
            transactions=store.transactions,
            resources=resources,
            browser_sessions=sessions,
            completion=completion,
            decision=decision,
            pages=pages,
            transaction_lifetime=LIFETIMES.transaction,
            now=now,
            random_bytes=random_bytes,
        ).routes()
    )
    app.add(
        SetupPage(
            users=store.users,
            browser_sessions=sessions,
            resources=resources,
            pages=pages,
            origin=ORIGIN,
            now=now,
            random_bytes=random_bytes,
        ).routes()
    )
    return world


async def offer_setup(world: World) -> str:
    """Print a set-up link, as the start of the server does; return its token."""
    token = mint(SecretKind.SETUP_LINK, world.random_bytes)
    await world.store.users.offer_setup(fingerprint(token), now=world.now, unless_since=world.now + 1)
    return token


def heading(response: httpx2.Response) -> str:
    """Return the text of a page's heading."""
    match = re.search(r"<h1>(.*?)</h1>", response.text, re.DOTALL)
    assert match is not None, response.text
    return match[1].strip()


def location_parameters(response: httpx2.Response) -> tuple[str, dict[str, list[str]]]:
    """Return where a redirect goes, without its query, and the query's parameters."""
    parts = urlsplit(response.headers["location"])
    return parts._replace(query="").geturl(), parse_qs(parts.query, strict_parsing=True)


def names(reason_records: list[Any]) -> list[str]:
    """Return the reasons that were logged."""
    return [record.reason for record in reason_records if hasattr(record, "reason")]
