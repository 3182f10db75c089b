"""Pending authorization requests: the one that a page is about, if this browser began it (RFC 6749 section 10.12)."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from starlette.requests import Request

from gatepost.late_dataclass import dataclass
from gatepost.oauth.device_authorization import shown_user_code
from gatepost.oauth.parameters import parse_parameters
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import AuthorizationTransaction, TransactionState
from gatepost.stores.contract.transactions import TransactionStore
from gatepost.web.pages.browser_session import OpenSession
from gatepost.web.pages.rendering import PageRefusal
from gatepost.wording.phrase import Phrase

ACCOUNT: Final = "/oauth/account"
"""The account page, where a login leads that is for no authorization request."""


SECOND_STEP: Final = f"{ACCOUNT}/second-step"
"""Where a second step is set up, on the account page or as a step of a login."""
ADMIN: Final = "/oauth/admin"
"""The admin pages."""
DEVICE: Final = "/oauth/device"
"""Where the code of a device is typed in."""
AFTER_LOGIN: Final = MappingProxyType({"admin": ADMIN, "device": DEVICE})
"""Where a login may lead that is for no authorization request, by the name in the URL: there is no other way."""


def login_path(
    transaction_id: str | None = None,
    *,
    switch_account: bool = False,
    then_link: str | None = None,
    then: str | None = None,
    user_code: str | None = None,
) -> str:
    """Return the path of the login page, for an authorization request or by itself.

    With `switch_account` the page asks even if somebody is logged in; `then_link` names the provider on whose link page
    the person goes on; `then` names another place of `AFTER_LOGIN`, and `user_code` the code that is shown there.
    """
    parameters = [] if transaction_id is None else [f"transaction={quote(transaction_id, safe='')}"]
    if then_link is not None:
        parameters.append(f"link={quote(then_link, safe='')}")
    if then is not None:
        parameters.append(f"then={quote(then, safe='')}")
    if user_code is not None:
        parameters.append(f"user_code={quote(user_code, safe='')}")
    if switch_account:
        parameters.append("switch=1")
    return "/oauth/login" + ("?" + "&".join(parameters) if parameters else "")


def consent_path(transaction_id: str) -> str:
    """Return the path of the consent page of an authorization request."""
    return f"/oauth/consent?transaction={quote(transaction_id, safe='')}"


def device_path(user_code: str | None) -> str:
    """Return the path of the page for the code of a device, which shows `user_code` if there is one."""
    return DEVICE if user_code is None else f"{DEVICE}?user_code={quote(shown_user_code(user_code), safe='')}"


def query(request: Request) -> dict[str, str]:
    """Return the parameters of a page's URL, or refuse one that is sent twice or malformed."""
    return parse_parameters(request.scope["query_string"])


@dataclass(frozen=True, slots=True)
class PendingRequests:
    """The authorization requests that wait for login and consent."""

    transactions: TransactionStore
    now: Callable[[], int]
    """The clock, whole seconds UTC."""

    async def known_browser(self, session: OpenSession | None, transaction_id: str) -> OpenSession:
        """Return the session, or refuse: a browser without one has no authorization request that is open.

        On plain http it may have answered this one, and has left its session (`BrowserSessions.leave`).
        """
        if session is None:
            raise _over(await self.transactions.find_transaction(transaction_id, now=self.now()))
        return session

    async def find(
        self, session: OpenSession, transaction_id: str, *, may_be_answered: bool = False
    ) -> AuthorizationTransaction:
        """Return the request if it has not expired and the browser of `session` began it.

        Raises:
            PageRefusal: unknown, expired or another browser's, all with the same page: whether an identifier exists is
                nobody else's business. Or it was denied or its code used, unless it `may_be_answered`.
        """
        transaction = await self.transactions.find_transaction(transaction_id, now=self.now())
        if transaction is None or not hmac.compare_digest(
            session.record.browser_id.encode(), transaction.browser_id.encode()
        ):
            raise _over(transaction)
        if not may_be_answered and transaction.state in {TransactionState.DENIED, TransactionState.REDEEMED}:
            raise already_answered()
        return transaction


def already_answered() -> PageRefusal:
    """Return the refusal of a request that was approved and used, or denied, before."""
    return PageRefusal(
        Reason.TRANSACTION_FINISHED,
        status=409,
        title=Phrase("This has been answered already"),
        message=Phrase("You can close this window. To connect again, go back to your app and start there."),
    )


def account_disabled() -> PageRefusal:
    """Return the refusal of a person whose account administrators have disabled."""
    return PageRefusal(
        Reason.USER_DISABLED,
        status=403,
        title=Phrase("Your account is disabled"),
        message=Phrase("The people who run this server have disabled it. Ask them if you think that is a mistake."),
    )


def _over(transaction: AuthorizationTransaction | None) -> PageRefusal:
    """Return the refusal of a browser whose request `transaction` is not: one page, and only the log tells why."""
    reason = Reason.TRANSACTION_EXPIRED
    if transaction is not None:
        is_open = transaction.state is TransactionState.PENDING
        reason = Reason.TRANSACTION_OF_ANOTHER_BROWSER if is_open else Reason.TRANSACTION_FINISHED
    return PageRefusal(
        reason,
        told=Reason.TRANSACTION_EXPIRED,
        title=Phrase("This request is over"),
        message=Phrase(
            "It has been answered, or it has expired, or it was begun in another browser, or your session in this one "
            "has ended since, or this browser does not accept cookies. Go back to your app; if it is not connected, "
            "connect again."
        ),
    )
