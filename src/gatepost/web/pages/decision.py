"""The decision on an authorization request and the answer to its client (RFC 6749 sections 4.1.2, 10.2; RFC 9700 4.7).

The one place for both ways there: the authorization endpoint, which decides at once when nobody has to log in or to be
asked, and the consent page. Whatever is decided is decided on the transaction, never on what a form sends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.roles import NO_ROLES, Roles
from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent, Outcome
from gatepost.oauth.authorization import AuthorizationRequest, authorization_code, error_redirect, success_redirect
from gatepost.oauth.consent import Consent, is_covered, remembered
from gatepost.oauth.errors import AccessDenied, OAuthError
from gatepost.oauth.policy import AuthorizationServer
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import AuthorizationCode, AuthorizationTransaction, Client
from gatepost.oauth.redirect_uris import is_loopback
from gatepost.resource.resources import ProtectedResource, implied_scopes_at
from gatepost.stores.contract.consents import ConsentStore
from gatepost.stores.contract.device_authorizations import DeviceAuthorizationStore
from gatepost.stores.contract.transactions import ApproveOutcome, TransactionStore
from gatepost.stores.contract.users import User
from gatepost.tokens.opaque import RandomBytes, SecretKind, fingerprint, mint
from gatepost.web.pages.browser_session import BrowserSessions
from gatepost.web.pages.pending_request import ACCOUNT, account_disabled, already_answered
from gatepost.web.pages.rendering import PageLink, PageRefusal, Pages
from gatepost.web.site.audit import Audit
from gatepost.wording.phrase import Phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Approves and denies authorization requests whose client, redirect URI and resource have been checked just now."""

    transactions: TransactionStore
    devices: DeviceAuthorizationStore
    consents: ConsentStore
    consent_lifetime: int
    """Seconds for which approvals are remembered; 0 remembers none."""
    browser_sessions: BrowserSessions
    authorization_server: AuthorizationServer
    pages: Pages
    audit: Audit
    now: Callable[[], int]
    random_bytes: RandomBytes
    roles: Roles = NO_ROLES
    """What may be granted to whom."""
    resources: Sequence[ProtectedResource] = ()
    """Which scopes imply others, at each."""

    def permitted(self, transaction: AuthorizationTransaction, user: User) -> AuthorizationTransaction:
        """Return the request with those of its scopes that the person's roles permit.

        Raises:
            AccessDenied: there are none.
        """
        implied = implied_scopes_at(self.resources, transaction.resource)
        scopes = self.roles.permit_to(transaction.scopes, user, implied)
        if transaction.scopes and not scopes:
            raise AccessDenied(
                Reason.ROLES_PERMIT_NOTHING,
                "The roles of this account permit nothing of what was asked for; the people who run the server give "
                "roles.",
            )
        return replace(transaction, scopes=scopes)

    async def at_once(
        self, request: Request, transaction: AuthorizationTransaction, user: User, client: Client
    ) -> Response | None:
        """Approve a request that has not begun yet and needs no question.

        None, and nothing is kept, when `client`, by which it was judged, or the user has been shut out in the meantime.
        """
        try:
            transaction = self.permitted(transaction, user)
        except AccessDenied as refused:
            return await self.refuse(request, transaction, refused)
        code, record = self._code(transaction, user)
        if not await self.transactions.approve_at_once(transaction, record, client):
            return None
        return await self._send_code(request, transaction, user, code)

    def needs_no_question(self, transaction: AuthorizationTransaction) -> bool:
        """Say whether the operator has decided on such a request already; never on a public server."""
        to_loopback = is_loopback(transaction.redirect_uri)
        return transaction.started_by_user and self.authorization_server.skips_consent(to_loopback=to_loopback)

    async def earlier_approval(self, transaction: AuthorizationTransaction, user: User) -> Consent | None:
        """Return what this user approved before, if the request asks for no more."""
        consent = await self.consents.find_consent(
            user.subject,
            client_id=transaction.client_id,
            redirect_uri=transaction.redirect_uri,
            resource=transaction.resource,
            now=self.now(),
        )
        return consent if consent is not None and is_covered(transaction, consent) else None

    async def approve(
        self, request: Request, transaction: AuthorizationTransaction, user: User, *, was_asked: bool = False
    ) -> Response:
        """Approve: send the browser to the client with a code. What the person was asked is remembered.

        A device elsewhere comes for its tokens itself, and nothing is remembered of it.

        Raises:
            AccessDenied: the person's roles permit nothing of it.
            PageRefusal: the request has been denied, its code has been redeemed, or it is over; or the person has been
                disabled in the meantime.
        """
        transaction = self.permitted(transaction, user)
        if transaction.device_code_fingerprint is not None:
            return await self._approve_device(request, transaction, user)
        now, lifetime = self.now(), self.consent_lifetime if was_asked else 0
        code, record = self._code(transaction, user)
        consent = remembered(transaction, subject=user.subject, now=now, lifetime=lifetime)
        outcome = await self.transactions.approve_transaction(record, now=now, consent=consent)
        if outcome is ApproveOutcome.USER_DISABLED:
            raise account_disabled()
        if outcome is not ApproveOutcome.APPROVED:
            raise already_answered()
        return await self._send_code(request, transaction, user, code)

    async def deny(self, request: Request, transaction: AuthorizationTransaction, user: User) -> Response:
        """Deny: send the browser to the client with `access_denied`.

        Raises:
            PageRefusal: the request has been approved, or is over.
        """
        of_device = transaction.device_code_fingerprint is not None
        deny = self.devices.deny_device if of_device else self.transactions.deny_transaction
        if not await deny(transaction.transaction_id, now=self.now()):
            raise already_answered()
        await self.audit.record(
            request,
            AuditEvent.CONSENT,
            Outcome.REFUSED,
            reason=Reason.USER_DENIED,
            subject=user.subject,
            client_id=transaction.client_id,
        )
        if of_device:
            return self._device_done(
                request,
                title=Phrase("Nothing was allowed"),
                message=Phrase("The device is told so. You can close this window."),
            )
        denied = AccessDenied(Reason.USER_DENIED, "The user denied the request.")
        return await self.refuse(request, transaction, denied)

    async def refuse(
        self, request: Request, asked: AuthorizationRequest | AuthorizationTransaction, error: OAuthError
    ) -> Response:
        """Send the browser to the client with an error (RFC 6749 section 4.1.2.1).

        Raises:
            PageRefusal: the client is on a device elsewhere, and is told when it asks.
        """
        if isinstance(asked, AuthorizationTransaction) and asked.device_code_fingerprint is not None:
            await self.devices.deny_device(asked.transaction_id, now=self.now())
            raise PageRefusal(
                error.reason,
                status=403,
                title=Phrase("Nothing was allowed"),
                message=Phrase("This server cannot give the device what it asks for, and tells it so."),
                detail=error.description,
            )
        issuer = self.authorization_server.issuer
        location = error_redirect(asked.redirect_uri, error, client_state=asked.client_state, issuer=issuer)
        return await self._send_back(request, location)

    async def _approve_device(self, request: Request, transaction: AuthorizationTransaction, user: User) -> Response:
        """Approve what a device asks for; it comes for its tokens (RFC 8628 section 3.4)."""
        outcome = await self.devices.approve_device(
            transaction.transaction_id, subject=user.subject, scopes=transaction.scopes, now=self.now()
        )
        if outcome is ApproveOutcome.USER_DISABLED:
            raise account_disabled()
        if outcome is not ApproveOutcome.APPROVED:
            raise already_answered()
        await self.audit.record(request, AuditEvent.CONSENT, subject=user.subject, client_id=transaction.client_id)
        return self._device_done(
            request,
            title=Phrase("Your device has access"),
            message=Phrase("It goes on by itself in a few seconds. You can close this window."),
        )

    def _device_done(self, request: Request, *, title: Phrase, message: Phrase) -> Response:
        link = PageLink(ACCOUNT, Phrase("Your account and the apps that you connected"))
        return self.pages.render(request, "done.html", title=title, message=message, link=link)

    def _code(self, transaction: AuthorizationTransaction, user: User) -> tuple[str, AuthorizationCode]:
        """Return a fresh code and its record."""
        code = mint(SecretKind.AUTHORIZATION_CODE, self.random_bytes)
        return code, authorization_code(
            transaction,
            subject=user.subject,
            code_fingerprint=fingerprint(code),
            now=self.now(),
            lifetime=self.authorization_server.lifetimes.authorization_code,
        )

    async def _send_code(
        self, request: Request, transaction: AuthorizationTransaction, user: User, code: str
    ) -> Response:
        await self.audit.record(request, AuditEvent.CONSENT, subject=user.subject, client_id=transaction.client_id)
        location = success_redirect(transaction, code=code, issuer=self.authorization_server.issuer)
        return await self._send_back(request, location)

    async def _send_back(self, request: Request, location: str) -> Response:
        """Redirect to the client; on plain http the browser goes there without its session."""
        response = self.pages.redirect(location)
        await self.browser_sessions.leave(request, response)
        return response
