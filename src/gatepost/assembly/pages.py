"""The pages of the authorization server, at one origin: login, consent, account, set-up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gatepost.assembly.admin import admin_pages
from gatepost.assembly.core import Core
from gatepost.assembly.login_provider import second_steps_of
from gatepost.assembly.mcp import Resources
from gatepost.identity.passkeys import RelyingParty, relying_party_id
from gatepost.identity.provider import IdentityProvider
from gatepost.identity.roles import ADMIN
from gatepost.late_dataclass import dataclass
from gatepost.oauth.policy import AuthorizationServer, Devices
from gatepost.stores.contract.clients import ClientFinder
from gatepost.stores.contract.users import LOCAL, User
from gatepost.web.oauth.authorize import AuthorizeEndpoint
from gatepost.web.pages.account import AccountPage
from gatepost.web.pages.account_link import AccountLinkPage
from gatepost.web.pages.browser_session import BrowserSessions
from gatepost.web.pages.confirm import ConfirmPage
from gatepost.web.pages.consent import ConsentPage
from gatepost.web.pages.decision import Decision
from gatepost.web.pages.device import DevicePage
from gatepost.web.pages.link_login import LinkLoginPage
from gatepost.web.pages.linking import Linking
from gatepost.web.pages.login import LoginPage
from gatepost.web.pages.login_completion import LoginCompletion
from gatepost.web.pages.login_throttle import LoginThrottle
from gatepost.web.pages.owner_proof import OwnerProof
from gatepost.web.pages.passkey_ceremonies import PasskeyCeremonies
from gatepost.web.pages.passkey_login import PasskeyLogin
from gatepost.web.pages.passkeys import PasskeysPage
from gatepost.web.pages.password import PasswordPage
from gatepost.web.pages.pending_request import PendingRequests
from gatepost.web.pages.rendering import Pages
from gatepost.web.pages.required_second_step import RequiredSecondStep
from gatepost.web.pages.second_step import SecondStepPage
from gatepost.web.pages.setup import SetupPage
from gatepost.web.pages.upstream_access import UpstreamAccess
from gatepost.web.site.base_path import cookie_suffix, origin_of, path_of
from gatepost.web.site.routing import Route

if TYPE_CHECKING:
    from gatepost.identity.upstream_tokens import UpstreamTokens


@dataclass(frozen=True, slots=True)
class PageRoutes:
    """What people see of the authorization server, and the endpoint where their browsers arrive."""

    core: Core
    resources: Resources
    provider: IdentityProvider
    clients: ClientFinder
    rules: AuthorizationServer
    pages: Pages
    upstream_tokens: UpstreamTokens | None
    is_degraded: Mapping[str, Callable[[], bool]]
    """What may work worse and keeps nobody out, by name."""

    def build(self) -> tuple[Route, ...]:
        """Build the routes of every page."""
        core, store, rules, pages = self.core, self.core.store, self.rules, self.pages
        resources = self.resources.at(rules.issuer)
        requests = PendingRequests(store.transactions, core.now)
        decision = self._decision()
        browser_sessions = decision.browser_sessions
        completion = LoginCompletion(
            provider=self.provider,
            users=store.users,
            logins=store.logins,
            linking=Linking(logins=store.linked_logins, pages=pages, audit=core.audit, now=core.now),
            browser_sessions=browser_sessions,
            pages=pages,
            audit=core.audit,
            origin=rules.issuer,
            now=core.now,
            random_bytes=core.random_bytes,
            entry=core.entry,
            upstream_tokens=self.upstream_tokens,
        )
        authorize = AuthorizeEndpoint(
            clients=self.clients,
            pushed_requests=store.pushed_requests,
            transactions=store.transactions,
            resources=resources,
            browser_sessions=browser_sessions,
            completion=completion,
            decision=decision,
            pages=pages,
            transaction_lifetime=rules.lifetimes.transaction,
            now=core.now,
            random_bytes=core.random_bytes,
        )
        setup = SetupPage(
            users=store.users,
            browser_sessions=browser_sessions,
            resources=resources,
            pages=pages,
            origin=rules.issuer,
            now=core.now,
            random_bytes=core.random_bytes,
            audit=core.audit,
        )
        login = self._login(completion, requests)
        consent = ConsentPage(
            clients=self.clients,
            requests=requests,
            browser_sessions=browser_sessions,
            provider=self.provider,
            decision=decision,
            resources=resources,
            lifetimes=rules.lifetimes,
            required_scopes=core.settings.oauth.required_scope,
            pages=pages,
            origin=rules.issuer,
        )
        flow = (*authorize.routes(), *setup.routes(), *login.routes(), *consent.routes(), *self._device_routes(login))
        return (*flow, *self._account_routes(login))

    def _device_routes(self, login: LoginPage) -> tuple[Route, ...]:
        """Return where codes of devices are typed in, if clients may log people in by one."""
        core = self.core
        if self.rules.devices is Devices.NONE:
            return ()
        page = DevicePage(
            completion=login.completion,
            devices=core.store.device_authorizations,
            transactions=core.store.transactions,
            limits=core.limits,
            addresses=core.addresses,
            transaction_lifetime=self.rules.lifetimes.transaction,
            now=core.now,
            random_bytes=core.random_bytes,
        )
        return page.routes()

    def _login(self, completion: LoginCompletion, requests: PendingRequests) -> LoginPage:
        return LoginPage(
            requests=requests,
            completion=completion,
            resources=self.resources.at(self.rules.issuer),
            throttle=self._login_throttle(),
            offers_passkeys=self._party is not None,
        )

    def _account_routes(self, login: LoginPage) -> tuple[Route, ...]:
        """Return what people do once they are logged in."""
        logins, upstream = LinkLoginPage(completion=login.completion), UpstreamAccess(completion=login.completion)
        account = AccountPage(
            completion=login.completion,
            logins=logins,
            upstream=upstream,
            approvals=self.core.store.approvals,
            resources=login.resources,
            on_revocation=self.resources.forget_verified_tokens,
            has_passkeys=self._has_accounts,
            roles=self.core.roles,
        )
        password = PasswordPage(completion=login.completion, proof=self._owner_proof(login))
        second_step = SecondStepPage(
            completion=login.completion,
            proof=self._owner_proof(login),
            required=self._required(login),
            offers_passkeys=self._party is not None,
        )
        # Only their own login gives local accounts access.
        links = AccountLinkPage(completion=login.completion, links=self.core.store.account_links)
        of_accounts = (*links.routes(), *self._passkey_routes(login)) if self._has_accounts else ()
        own = (*account.routes(), *logins.routes(), *upstream.routes(), *password.routes(), *second_step.routes())
        admin = admin_pages(
            self.core,
            login.completion,
            has_accounts=self._has_accounts,
            on_revocation=self.resources.forget_verified_tokens,
            is_degraded=self.is_degraded,
        )
        return (*own, *of_accounts, *admin.routes())

    def _owner_proof(self, login: LoginPage) -> OwnerProof:
        return OwnerProof(
            second_steps=second_steps_of(self.core),
            audit=self.core.audit,
            throttle=login.throttle,
            attempts=login.attempts,
        )

    def _passkey_routes(self, login: LoginPage) -> tuple[Route, ...]:
        """Return what people do with passkeys, and what asks them again who they are."""
        completion, passkeys, party = login.completion, self.core.store.passkeys, self._party
        ceremonies = None
        if party is not None:
            ceremonies = PasskeyCeremonies(
                completion=completion, passkeys=passkeys, party=party, throttle=login.throttle
            )
        confirm = ConfirmPage(completion=completion, proof=self._owner_proof(login), ceremonies=ceremonies)
        required = self._required(login)
        page = PasskeysPage(completion=completion, passkeys=passkeys, ceremonies=ceremonies, required=required)
        by_passkey = () if ceremonies is None else PasskeyLogin(login=login, ceremonies=ceremonies).routes()
        return (*by_passkey, *confirm.routes(), *page.routes())

    def _required(self, login: LoginPage) -> RequiredSecondStep:
        # Who comes by an address of this machine has passkeys for its name, if any.
        host = "localhost" if self._party is None else self._party.rp_id
        return RequiredSecondStep(completion=login.completion, passkeys=self.core.store.passkeys, host=host)

    def _demands_second_step(self, user: User) -> bool:
        match self.core.settings.oauth.require_second_step:
            case "everybody":
                return True
            case "administrators":
                return ADMIN in self.core.roles.of(user)
            case _:
                return False

    @property
    def _has_accounts(self) -> bool:
        return self.provider.issuer == LOCAL

    @property
    def _party(self) -> RelyingParty | None:
        """Return for whom passkeys are made; None without local accounts, or where browsers have no passkeys."""
        origin = origin_of(self.rules.issuer)
        rp_id = relying_party_id(origin) if self._has_accounts else None
        return None if rp_id is None else RelyingParty(rp_id, origin, self.pages.server_name)

    def _decision(self) -> Decision:
        core, store, rules = self.core, self.core.store, self.rules
        browser_sessions = BrowserSessions(
            sessions=store.browser_sessions,
            provider=self.provider,
            secure=core.deployment.is_secure,
            lifetime=rules.lifetimes.browser_session,
            now=core.now,
            random_bytes=core.random_bytes,
            entry=core.entry,
            name_suffix=cookie_suffix(rules.issuer),
            demands_second_step=self._demands_second_step,
        )
        return Decision(
            transactions=store.transactions,
            devices=store.device_authorizations,
            consents=store.consents,
            consent_lifetime=core.settings.oauth.consent_days * 24 * 3600,
            browser_sessions=browser_sessions,
            authorization_server=rules,
            pages=self.pages,
            audit=core.audit,
            roles=core.roles,
            resources=self.resources.at(rules.issuer),
            now=core.now,
            random_bytes=core.random_bytes,
        )

    def _login_throttle(self) -> LoginThrottle:
        core = self.core
        is_secure = core.deployment.is_secure
        return LoginThrottle(
            limits=core.limits,
            addresses=core.addresses,
            key_ring=core.key_ring,
            now=core.now,
            random_bytes=core.random_bytes,
            cookie_name=("__Host-gatepost-known" if is_secure else "gatepost-known")
            + path_of(self.rules.issuer).replace("/", "+"),
            secure=is_secure,
        )
