"""The pages of the authorization server, and what they and the authorization endpoint decide with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost.web.pages.consent import ConsentPage
from gatepost.web.pages.decision import Decision
from gatepost.web.pages.login import LoginPage
from gatepost.web.pages.pending_request import PendingRequests
from gatepost.web.pages.setup import SetupPage
from gatepost.web.pages.static_files import static_routes

if TYPE_CHECKING:
    from gatepost.assembly.installation import Installation
    from gatepost.oauth.policy import AuthorizationServer
    from gatepost.resource.resources import ProtectedResource
    from gatepost.web.pages.browser_session import BrowserSessions
    from gatepost.web.pages.rendering import Pages
    from gatepost.web.site.routing import Route


def decision_of(
    installation: Installation, rules: AuthorizationServer, browser_sessions: BrowserSessions, pages: Pages
) -> Decision:
    """Build what approves and denies at one origin."""
    return Decision(
        transactions=installation.store.transactions,
        consents=installation.store.consents,
        consent_lifetime=installation.settings.oauth.consent_days * 24 * 3600,
        browser_sessions=browser_sessions,
        authorization_server=rules,
        pages=pages,
        audit=installation.audit,
        now=installation.now,
        random_bytes=installation.random_bytes,
    )


def page_routes(
    installation: Installation, resources: tuple[ProtectedResource, ...], pages: Pages, decision: Decision
) -> tuple[Route, ...]:
    """Build the routes of set-up, login and consent at one origin."""
    origins = frozenset({decision.authorization_server.issuer})
    browser_sessions = decision.browser_sessions
    requests = PendingRequests(installation.store.transactions, installation.now)
    return (
        *static_routes(),
        *SetupPage(
            audit=installation.audit,
            users=installation.store.users,
            browser_sessions=browser_sessions,
            resources=resources,
            pages=pages,
            origins=origins,
            now=installation.now,
            random_bytes=installation.random_bytes,
        ).routes(),
        *LoginPage(
            audit=installation.audit,
            requests=requests,
            browser_sessions=browser_sessions,
            provider=installation.provider,
            resources=resources,
            pages=pages,
            origins=origins,
            throttle=installation.login_throttle(),
        ).routes(),
        *ConsentPage(
            clients=installation.client_finder,
            requests=requests,
            browser_sessions=browser_sessions,
            provider=installation.provider,
            decision=decision,
            resources=resources,
            required_scopes=installation.settings.oauth.required_scope,
            pages=pages,
            origins=origins,
        ).routes(),
    )
