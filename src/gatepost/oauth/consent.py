"""What a person allows, and what is remembered of it (RFC 6749 section 10.2, RFC 8252 section 8.6, RFC 9700 4.7).

An approval is remembered for one user, client, redirect URI, resource and set of scopes. When the same or less is asked
for, the consent page says so and asks all the same: nothing that a browser sends proves that the person meant to begin
the request. `Sec-Fetch-Site: none` says only that no page did; a link in a chat program and a malicious server's
redirect, opened by an honest app, arrive so too.

An answer that stays on the device is not remembered. Any program there can register a loopback port or a private-use
scheme, under any name, so the client's identity is not assured (RFC 8252 section 8.6).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gatepost.late_dataclass import dataclass
from gatepost.oauth.records import AuthorizationTransaction
from gatepost.oauth.redirect_uris import is_loopback


@dataclass(frozen=True, slots=True)
class Consent:
    """One approval that is remembered. Its key is all but scopes and times."""

    subject: str
    client_id: str
    redirect_uri: str
    resource: str
    scopes: tuple[str, ...]
    created_at: int
    expires_at: int
    """Seconds UTC; from then on it is forgotten."""


def can_be_remembered(redirect_uri: str) -> bool:
    """Say whether it is assured who gets the answer at this redirect URI (RFC 8252 section 8.6)."""
    is_https = redirect_uri.startswith("https:")
    return is_https and not is_loopback("http:" + redirect_uri.removeprefix("https:"))


def is_covered(transaction: AuthorizationTransaction, consent: Consent) -> bool:
    """Say whether a request asks for no more than what is remembered of its user, client, URI and resource."""
    return can_be_remembered(transaction.redirect_uri) and set(transaction.scopes) <= set(consent.scopes)


def remembered(transaction: AuthorizationTransaction, *, subject: str, now: int, lifetime: int) -> Consent | None:
    """Return what to remember of an approval, or None when nothing is.

    `transaction` has the scopes that were approved; a `lifetime` of 0 seconds remembers nothing.
    """
    if lifetime == 0 or not can_be_remembered(transaction.redirect_uri):
        return None
    return Consent(
        subject=subject,
        client_id=transaction.client_id,
        redirect_uri=transaction.redirect_uri,
        resource=transaction.resource,
        scopes=transaction.scopes,
        created_at=now,
        expires_at=now + lifetime,
    )


def choices(asked: Sequence[str], *, required: Collection[str]) -> tuple[str, ...]:
    """Return the scopes of a request that the person may take out.

    Those that every request to the MCP endpoint needs are none, and of a single one there is nothing to choose: to
    refuse it is to deny the request.
    """
    free = tuple(scope for scope in asked if scope not in required)
    return free if len(asked) > 1 else ()


def narrowed(asked: Sequence[str], *, required: Collection[str], ticked: Collection[str]) -> tuple[str, ...]:
    """Return the scopes that are left of a request; empty only when nothing is, which is a denial.

    Only what was asked for counts, so a form that was tampered with cannot widen anything, and none of the `required`
    scopes can be taken out. `ticked` are those that the person left ticked.
    """
    free = choices(asked, required=required)
    return tuple(scope for scope in asked if scope not in free or scope in ticked)
