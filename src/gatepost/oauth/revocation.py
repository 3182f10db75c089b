"""Revoking at a client's own wish (RFC 7009)."""

from __future__ import annotations

from gatepost.oauth.errors import InvalidGrant
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Grant
from gatepost.oauth.token_exchange import ExchangedToken


def check_revocation(grant: Grant | None, *, client_id: str) -> Grant | None:
    """Return the grant that a client's token ends with, or None when there is nothing left to end.

    Either token of a grant ends all of it: an access token that outlived its refresh token, or the other way round,
    would surprise whoever asked (RFC 7009 section 2.1 lets the server decide).

    Args:
        grant: the grant of the token that was sent; None when the token is unknown.
        client_id: the client that has authenticated, or has named itself if it is public.

    Raises:
        InvalidGrant: the token is another client's; it stays as it is (RFC 7009 section 2.1).
    """
    if grant is None:
        # What is not there needs no revoking, and the client could do nothing about an error (section 2.2).
        return None
    if grant.client_id != client_id:
        raise InvalidGrant(Reason.TOKEN_OF_ANOTHER_CLIENT, "The token was issued to another client.")
    return None if grant.revoked_at is not None else grant


def check_end_of_exchanged(token: ExchangedToken, *, client_id: str) -> None:
    """Refuse a client that gives back a token that another one was given for a token of somebody's (RFC 8693).

    Who may end it ends this token alone: what the person allowed was allowed to another app.

    Raises:
        InvalidGrant: the token is another client's; it stays as it is (RFC 7009 section 2.1).
    """
    if token.client_id != client_id:
        raise InvalidGrant(Reason.TOKEN_OF_ANOTHER_CLIENT, "The token was issued to another client.")
