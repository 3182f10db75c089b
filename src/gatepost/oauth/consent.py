"""What a person allows, and when they are asked again (RFC 6749 section 10.2, RFC 8252 section 8.6, RFC 9700 4.7).

An approval is remembered for one user, client, redirect URI, resource and set of scopes, and answers a later request
only when all of that is the same or less, the person began the request, and the answer goes to a web address that the
client alone can read. Three requests are always put before the person:

* One that begins on another site. Whoever can make a browser navigate could otherwise have a code sent to the client
  unseen, and tie the person's account to a session of its own there. What a client app opens by itself begins nowhere
  (`Sec-Fetch-Site: none`), and so does an address that was typed.
* One whose answer stays on the device. Any program there can register a loopback port or a private-use scheme, under
  any name, so a client's identity is not assured (RFC 8252 section 8.6).
* One that says so (`prompt=consent`, OpenID Connect Core section 3.1.2.1).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

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
    """Seconds UTC; from then on the person is asked again."""


def can_be_remembered(redirect_uri: str) -> bool:
    """Say whether an approval of this redirect URI may answer a later request (RFC 8252 section 8.6)."""
    is_https = redirect_uri.startswith("https:")
    return is_https and not is_loopback("http:" + redirect_uri.removeprefix("https:"))


def may_go_unasked(transaction: AuthorizationTransaction) -> bool:
    """Say whether a request is of the kind that an earlier approval can answer."""
    return transaction.started_by_user and can_be_remembered(transaction.redirect_uri)


def is_covered(transaction: AuthorizationTransaction, consent: Consent | None) -> bool:
    """Say whether a request is answered by `consent`, what is remembered of its user, client, URI and resource."""
    if consent is None or not may_go_unasked(transaction):
        return False
    return set(transaction.scopes) <= set(consent.scopes)


def remembered(transaction: AuthorizationTransaction, *, subject: str, now: int, lifetime: int) -> Consent | None:
    """Return what to remember of an approval, or None when it must be asked for each time.

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
