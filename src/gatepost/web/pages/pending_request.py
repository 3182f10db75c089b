"""Pending authorization requests: the one that a page is about, if this browser began it (RFC 6749 section 10.12)."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import quote

from starlette.requests import Request

from gatepost.oauth.parameters import parse_parameters
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import AuthorizationTransaction, TransactionState
from gatepost.stores.contract.transactions import TransactionStore
from gatepost.web.pages.browser_session import OpenSession
from gatepost.web.pages.rendering import PageRefusal


def login_path(transaction_id: str | None = None, *, switch_account: bool = False) -> str:
    """Return the path of the login page, for an authorization request or by itself.

    With `switch_account` the page asks even if somebody is logged in.
    """
    parameters = [] if transaction_id is None else [f"transaction={quote(transaction_id, safe='')}"]
    if switch_account:
        parameters.append("switch=1")
    return "/oauth/login" + ("?" + "&".join(parameters) if parameters else "")


def consent_path(transaction_id: str) -> str:
    """Return the path of the consent page of an authorization request."""
    return f"/oauth/consent?transaction={quote(transaction_id, safe='')}"


def query(request: Request) -> dict[str, str]:
    """Return the parameters of a page's URL, or refuse one that is sent twice or malformed."""
    return parse_parameters(request.scope["query_string"])


@dataclass(frozen=True, slots=True)
class PendingRequests:
    """The authorization requests that wait for login and consent."""

    transactions: TransactionStore
    now: Callable[[], int]
    """The clock, whole seconds UTC."""

    async def find(
        self, session: OpenSession, transaction_id: str, *, to_be_shown: bool = False
    ) -> AuthorizationTransaction:
        """Return the request if it has not expired and the browser of `session` began it.

        Raises:
            PageRefusal: unknown, expired or another browser's, all with the same page: whether an identifier exists is
                nobody else's business. Or it was denied, and a page is `to_be_shown` for it.
        """
        transaction = await self.transactions.find_transaction(transaction_id, now=self.now())
        if transaction is None:
            _refuse(Reason.TRANSACTION_EXPIRED)
        if not hmac.compare_digest(session.record.browser_id.encode(), transaction.browser_id.encode()):
            _refuse(Reason.TRANSACTION_OF_ANOTHER_BROWSER)
        if to_be_shown and transaction.state is TransactionState.DENIED:
            raise already_answered()
        return transaction


def known_browser(session: OpenSession | None) -> OpenSession:
    """Return the session, or refuse: a browser without one has not begun any authorization request."""
    if session is None:
        _refuse(Reason.TRANSACTION_OF_ANOTHER_BROWSER)
    return session


def already_answered() -> PageRefusal:
    """Return the refusal of a request that was approved and used, or denied, before."""
    return PageRefusal(
        Reason.TRANSACTION_FINISHED,
        status=409,
        title="This has been answered already",
        message="You can close this window. To connect again, go back to your app and start there.",
    )


def _refuse(reason: Reason) -> NoReturn:
    raise PageRefusal(
        reason,
        title="This request is over",
        message=(
            "It has expired, or it was begun in another browser, or this browser does not accept cookies. "
            "Go back to your app and connect again."
        ),
    )
