"""The authorization request that a page is about, if it is this browser's own (RFC 6749 section 10.12)."""

from __future__ import annotations

import hmac
from typing import NoReturn

from starlette.requests import Request

from gatepost.oauth.parameters import parse_parameters
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import AuthorizationTransaction
from gatepost.stores.contract.transactions import TransactionStore
from gatepost.web.pages.browser_session import OpenSession
from gatepost.web.pages.rendering import PageRefusal


def query(request: Request) -> dict[str, str]:
    """Return the parameters of a page's URL.

    Raises:
        InvalidRequest: one is sent twice or malformed.
    """
    return parse_parameters(request.scope["query_string"])


def known_browser(session: OpenSession | None) -> OpenSession:
    """Return the session; a browser without one has not begun any authorization request.

    Raises:
        PageRefusal: there is none.
    """
    if session is None:
        _refuse(Reason.TRANSACTION_OF_ANOTHER_BROWSER)
    return session


async def own_transaction(
    transactions: TransactionStore, session: OpenSession, transaction_id: str, *, now: int
) -> AuthorizationTransaction:
    """Return the transaction if it has not expired and belongs to the browser of `session`.

    Raises:
        PageRefusal: unknown, expired or another browser's. The page is the same for all three: whether an identifier
            exists is nobody else's business.
    """
    transaction = await transactions.find_transaction(transaction_id, now=now)
    if transaction is None:
        _refuse(Reason.TRANSACTION_EXPIRED)
    if not hmac.compare_digest(session.record.browser_id.encode(), transaction.browser_id.encode()):
        _refuse(Reason.TRANSACTION_OF_ANOTHER_BROWSER)
    return transaction


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
