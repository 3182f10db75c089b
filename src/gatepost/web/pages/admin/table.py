"""Paths, methods and descriptions of the admin pages, what they need, and who is let in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.account_links import AccountLinkOffers
from gatepost.identity.roles import ADMIN as ADMIN_ROLE
from gatepost.identity.roles import Roles
from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.administration import Administrator, NotAdministrator
from gatepost.stores.contract.keys import KeyStore, SealedSigningKey
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.users import LOCAL, User
from gatepost.web.pages.account import has_password
from gatepost.web.pages.account_form import submitted_form
from gatepost.web.pages.browser_session import OpenSession
from gatepost.web.pages.csrf import csrf_token
from gatepost.web.pages.login_completion import LoginCompletion
from gatepost.web.pages.pending_request import ACCOUNT, ADMIN, login_path
from gatepost.web.pages.recent_login import confirm_path, is_recent
from gatepost.web.pages.rendering import PageLink, PageRefusal
from gatepost.web.site import api_description as api
from gatepost.web.site.limits import PAGE_LIMIT
from gatepost.web.site.routing import Route
from gatepost.wording.phrase import Phrase

PURPOSE: Final = "admin"
PEOPLE: Final = f"{ADMIN}/people"
PERSON: Final = f"{ADMIN}/person"
LINK: Final = f"{ADMIN}/link"
CLIENTS: Final = f"{ADMIN}/clients"
CLIENT: Final = f"{ADMIN}/client"
SECRET: Final = f"{ADMIN}/secret"
API_KEYS: Final = f"{ADMIN}/api-keys"
GRANTS: Final = f"{ADMIN}/grants"
NEW_CLIENT: Final = f"{ADMIN}/new-client"
UPSTREAM: Final = f"{ADMIN}/upstream"
AUDIT: Final = f"{ADMIN}/audit"
KEYS: Final = f"{ADMIN}/keys"


@dataclass(frozen=True, slots=True)
class Visit:
    """An administrator at a browser, as of this request."""

    request: Request
    session: OpenSession
    user: User
    is_recent: bool
    """Whether they have shown who they are in the last minutes."""
    confirm: str
    """Where they show it again."""

    @property
    def administrator(self) -> Administrator:
        """Return in whose name a change is made."""
        return Administrator(self.user.subject, ADMIN_ROLE if ADMIN_ROLE in self.user.roles else None)


class KeyRotation(Protocol):
    """Adds a signing key."""

    async def __call__(self, keys: KeyStore, *, at_once: bool) -> SealedSigningKey:
        """Publish a new key, which signs at once or in a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminPages:
    """The admin pages."""

    completion: LoginCompletion
    """Sessions, provider, pages and audit trail are the login's."""
    store: Store
    roles: Roles
    links: AccountLinkOffers
    has_accounts: bool
    """Whether people have passwords here, so that there is somebody to invite."""
    on_revocation: Callable[[], None]
    """Called as soon as access has been taken away, so that no cache in this process answers for it."""
    health: Callable[[], Awaitable[Mapping[str, str]]]
    """Says of each check what `/healthz` says."""
    version: str
    """Ours."""
    rotate_key: KeyRotation | None
    """None where access tokens are opaque."""

    def routes(self) -> tuple[Route, ...]:
        """Return the routes; what answers is imported when it is first asked."""
        return self.completion.pages.routes(
            *(
                Route(method, path, partial(self._answer, name), operation, limit=PAGE_LIMIT)
                for method, path, name, operation in _TABLE
            )
        )

    async def _answer(self, name: str, request: Request) -> Response:
        from gatepost.web.pages.admin.handlers import HANDLERS  # noqa: PLC0415 - nearly no request is for these pages

        try:
            return await HANDLERS[name](self, request)
        except NotAdministrator:
            # The role was taken away between the look at it and the change, which was not made.
            raise self.refusal() from None

    async def visit(self, request: Request) -> Visit | Response:
        """Return who looks at a page, or where they log in.

        Raises:
            PageRefusal: whoever is logged in is no administrator.
        """
        session = await self.completion.browser_sessions.current(request)
        if session is None or session.user is None:
            return self.completion.pages.redirect(login_path(then="admin"))
        return self._admitted(request, session, session.user)

    async def submitted(self, request: Request) -> tuple[Visit, dict[str, str]] | Response:
        """Return who sends a form, and its fields; or where they log in, or show again who they are.

        Raises:
            PageRefusal: it is no fresh form of ours, or no administrator's.
        """
        submitted = await submitted_form(request, self.completion, purpose=PURPOSE, path=ADMIN)
        if isinstance(submitted, Response):
            return submitted
        session, user, form = submitted
        visit = self._admitted(request, session, user)
        return (visit, form) if visit.is_recent else self.completion.pages.redirect(visit.confirm)

    def store_of(self, visit: Visit) -> Store:
        """Return the store for changes by this administrator, each of which looks at them in the same step."""
        return self.store.in_name_of(visit.administrator)

    def links_of(self, visit: Visit) -> AccountLinkOffers:
        """Return what makes links in this administrator's name."""
        return replace(self.links, links=self.store_of(visit).account_links)

    def render(self, visit: Visit, template: str, **context: Any) -> Response:
        """Return a page with what all of them show."""
        return self.completion.pages.render(
            visit.request,
            template,
            csrf_token=csrf_token(visit.session, purpose=PURPOSE, transaction_id=None),
            admin=visit.user.name,
            confirm_path=None if visit.is_recent else visit.confirm,
            sections=_SECTIONS,
            here=visit.request.scope["path"],
            account_path=ACCOUNT,
            **context,
        )

    def redirect(self, path: str) -> Response:
        """Return the redirect to a page of ours."""
        return self.completion.pages.redirect(path)

    async def record(self, visit: Visit, event: AuditEvent, **details: Any) -> None:
        """Put what the administrator did in the audit trail."""
        await self.completion.audit.record(visit.request, event, actor=visit.user.subject, **details)

    def refusal(self) -> PageRefusal:
        """Return what somebody is told who is no administrator, or is none any more."""
        return PageRefusal(
            Reason.ADMIN_ROLE_MISSING,
            status=403,
            title=Phrase("These pages are for administrators"),
            message=Phrase(
                "Your account does not have the role admin. The people who run this server can give it to you."
            ),
            link=PageLink(ACCOUNT, Phrase("Your account")),
        )

    def _admitted(self, request: Request, session: OpenSession, user: User) -> Visit:
        request.state.subject = user.subject
        if ADMIN_ROLE not in self.roles.of(user):
            raise self.refusal()
        confirms_here = has_password(user) and self.completion.provider.issuer == LOCAL
        confirm = confirm_path("admin") if confirms_here else login_path(switch_account=True, then="admin")
        return Visit(request, session, user, is_recent(session, now=self.completion.now()), confirm)


_SECTIONS: Final = (
    PageLink(PEOPLE, Phrase("People")),
    PageLink(CLIENTS, Phrase("Apps")),
    PageLink(API_KEYS, Phrase("API keys")),
    PageLink(GRANTS, Phrase("Grants")),
    PageLink(UPSTREAM, Phrase("Tokens for tools")),
    PageLink(AUDIT, Phrase("Audit trail")),
    PageLink(KEYS, Phrase("Keys and health")),
)
_SHOWN: Final[api.Responses] = {
    200: api.page("The page."),
    303: api.moved("On to the login."),
    400: api.page("The URL is malformed."),
    403: api.page("Whoever is logged in does not have the role `admin`."),
    **api.PAGE_FLOODED,
    **api.PAGE_UNAVAILABLE,
}
_FOUND: Final[api.Responses] = {**_SHOWN, 404: api.page("There is no such person or app.")}
_DONE: Final[api.Responses] = {
    303: api.moved("Back to the page; or on to the login, or to show again who is there."),
    **api.PAGE_FORM_REFUSALS,
    404: api.page("There is no such person or app."),
    409: api.page("It cannot be done, and the page says why."),
    422: api.page("The form again, with what is wrong."),
    **api.PAGE_FLOODED,
}
_AFTER: Final = api.in_query("after", "The last one of the page before.")
_SEARCH: Final = api.in_query("search", "How the name begins; or a whole identifier.")
_ALL: Final = api.in_query("all", "`1` for those that have ended, too.")
_SUBJECT: Final = api.in_query("subject", "Whose.")
_CLIENT_ID: Final = api.in_query("client_id", "Of which app.")
_DO: Final = api.text("What is to be done.")


def _shows(name: str, summary: str, *parameters: api.Object, responses: api.Responses = _SHOWN) -> api.Operation:
    return api.Operation(name, summary, tag="Administration", parameters=parameters, responses=responses)


def _does(operation: str, summary: str, /, **fields: api.Object) -> api.Operation:
    body = api.page_form(fields)
    return api.Operation(operation, summary, tag="Administration", request_body=body, responses=_DONE)


_TABLE: Final = (
    ("GET", ADMIN, "start", _shows("show_administration", "Lead to the admin pages")),
    ("GET", PEOPLE, "people", _shows("list_people", "Show people by name", _SEARCH, _AFTER)),
    ("POST", PEOPLE, "invite", _does("invite_person", "Make an invitation", username=api.text("For whom; or absent."))),
    ("GET", PERSON, "person", _shows("show_person", "Show a person", _SUBJECT, responses=_FOUND)),
    (
        "POST",
        PERSON,
        "change_person",
        _does(
            "change_person",
            "Change what a person may do",
            subject=api.text("Who."),
            do=_DO,
            role=api.TEXT,
            issuer=api.text("Of the login that is unlinked."),
            passkey=api.text("Which is renamed or removed."),
            name=api.text("What it is called then."),
            provider=api.text("Where tools shall act as them no more."),
        ),
    ),
    (
        "GET",
        LINK,
        "link",
        _shows("show_account_link", "Show a link for one person, once", api.in_query("shown", "From the redirect.")),
    ),
    ("GET", CLIENTS, "clients", _shows("list_clients", "Show apps by name", _SEARCH, _AFTER)),
    ("GET", CLIENT, "client", _shows("show_client", "Show an app", _CLIENT_ID, responses=_FOUND)),
    (
        "POST",
        CLIENT,
        "change_client",
        _does(
            "change_client",
            "Shut an app out or let it in, or give it a new secret",
            client_id=api.TEXT,
            do=_DO,
            seconds=api.text("For how long its spent refresh tokens may be used."),
        ),
    ),
    ("GET", NEW_CLIENT, "new_client", _shows("show_new_client", "Show the form that registers an app")),
    (
        "POST",
        NEW_CLIENT,
        "add_client",
        _does(
            "add_client",
            "Register an app",
            name=api.TEXT,
            redirect_uris=api.text("One a line."),
            machine=api.text("`yes` where it gets tokens for itself."),
            **dict.fromkeys(("auth_method", "jwks", "jwks_uri", "scope", "refresh_reuse"), api.TEXT),
        ),
    ),
    (
        "GET",
        SECRET,
        "secret",
        _shows("show_secret", "Show a new secret, once", api.in_query("shown", "From the redirect.")),
    ),
    (
        "GET",
        API_KEYS,
        "api_keys",
        _shows("list_api_keys", "Show API keys, the newest first", _ALL, _AFTER),
    ),
    (
        "POST",
        API_KEYS,
        "change_api_keys",
        _does(
            "change_api_keys",
            "Make or revoke an API key",
            do=_DO,
            key=api.text("Which is revoked."),
            name=api.text("What the new one is called."),
            scopes=api.text("What it may do."),
            endpoint=api.text("The path of what it opens."),
            lifetime=api.text("How long it counts, such as `90d`."),
            whose=api.text("`administrator` where it stands for whoever makes it."),
        ),
    ),
    ("GET", GRANTS, "grants", _shows("list_grants", "Show grants, the newest first", _SUBJECT, _CLIENT_ID, _AFTER)),
    (
        "POST",
        GRANTS,
        "revoke",
        _does(
            "revoke_grants",
            "Revoke a grant, or all",
            grant=api.text("Which, and whose; or `all`."),
            subject=api.TEXT,
            client_id=api.TEXT,
        ),
    ),
    (
        "GET",
        AUDIT,
        "audit",
        _shows(
            "show_audit_trail",
            "Show the audit trail, the newest first",
            *(
                api.in_query(name, "A filter, as `gatepost audit` has it.")
                for name in ("event", "outcome", "subject", "client_id")
            ),
            *(api.in_query(name, "Likewise.") for name in ("address", "actor", "since", "until")),
            _AFTER,
        ),
    ),
    ("GET", KEYS, "keys", _shows("show_keys_and_health", "Show signing keys, health and versions")),
    (
        "POST",
        KEYS,
        "change_keys",
        _does(
            "change_signing_keys",
            "Add a key that replaces the others, or end one",
            do=_DO,
            newest=api.text("The newest that the page has shown."),
            key=api.text("Which ends."),
        ),
    ),
    ("GET", UPSTREAM, "upstream", _shows("list_upstream_tokens", "Show whose tokens are kept for tools", _AFTER)),
    (
        "POST",
        UPSTREAM,
        "change_upstream",
        _does("end_upstream_tokens", "End tokens that are kept for tools", do=_DO, subject=api.TEXT, provider=api.TEXT),
    ),
)
