"""Logins by device: it shows a code that its person types in elsewhere, and asks until they have answered (RFC 8628).

Two codes belong to a request. The device code is a secret of the client, kept as its fingerprint. The user code is
short and is shown on a screen; it is kept as it is, for the few minutes that it lives, because the pages show it to
whoever has typed it, to be compared. It opens nothing: what somebody can do with it is to give the device access to
their own account.
"""

from __future__ import annotations

import unicodedata
from enum import StrEnum
from typing import Final

from gatepost.late_dataclass import dataclass
from gatepost.oauth.errors import (
    AccessDenied,
    AuthorizationPending,
    ExpiredToken,
    InvalidGrant,
    InvalidTarget,
    SlowDown,
    UnauthorizedClient,
)
from gatepost.oauth.policy import Lifetimes
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import AuthorizationTransaction, Client, ClientOrigin, Grant
from gatepost.tokens.opaque import RandomBytes, identifier

DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"
"""The grant type (section 3.4)."""

ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""Of user codes (section 6.1): no vowels, so no words, and no digits that look like letters."""
USER_CODE_LENGTH: Final = 8
"""34.5 bits; section 5.1 has the sum for what guessing comes to."""

INTERVAL: Final = 5
"""Seconds between two questions of a client (section 3.2)."""
SLOWER: Final = 5
"""Seconds by which the interval grows for who asks too soon (section 3.5)."""
LONGEST_INTERVAL: Final = 60
"""Seconds; from there on asking too soon changes nothing more, and writes nothing."""
_EARLY: Final = 1
"""Second by which a question may come early: what the network did to the one before is no fault of the client."""


class DeviceState(StrEnum):
    """Where one request stands."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class DeviceAuthorization:
    """One request of a device (section 3.2)."""

    device_code_fingerprint: bytes
    user_code: str
    """In its canonical spelling: `USER_CODE_LENGTH` letters of `ALPHABET`."""
    client_id: str
    scopes: tuple[str, ...]
    """What was asked for; once it is approved, what was approved."""
    resource: str
    created_at: int
    expires_at: int
    poll_interval: int = INTERVAL
    """Seconds that the client has to wait between two questions."""
    polled_at: int | None = None
    """When it asked last, while nobody had answered."""
    state: DeviceState = DeviceState.PENDING
    subject: str | None = None
    """Who approved it."""
    grant_id: str | None = None
    """The grant that redeeming it created; None while it is unspent."""


class Poll(StrEnum):
    """What a question comes to while nobody has answered."""

    IN_TIME = "in_time"
    TOO_SOON = "too_soon"


def new_user_code(random_bytes: RandomBytes) -> str:
    """Return a new user code in its canonical spelling."""
    number = int.from_bytes(random_bytes(16), "big")  # 128 bits, so that the remainder favours nothing
    letters = []
    for _ in range(USER_CODE_LENGTH):
        number, place = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[place])
    return "".join(letters)


def shown_user_code(user_code: str) -> str:
    """Return a user code as screens and pages show it: `BCDF-GHJK`."""
    half = USER_CODE_LENGTH // 2
    return f"{user_code[:half]}-{user_code[half:]}"


def read_user_code(typed: str) -> str | None:
    """Return the user code that somebody means, or None if it can be none.

    Lower case counts, and blanks and punctuation, which people add or leave out, do not (section 6.1).
    """
    letters = "".join(character for character in typed.upper() if unicodedata.category(character)[0] not in "ZPC")
    is_code = len(letters) == USER_CODE_LENGTH and all(letter in ALPHABET for letter in letters)
    return letters if is_code else None


def check_may_use_devices(client: Client, *, for_everybody: bool) -> None:
    """Refuse a client that may not log people in by a code.

    Nothing on the page of a code proves which app asks, as a redirect URI does in the code flow: a name that somebody
    made up is all there is. So it may be for those clients alone that the operator registered.

    Raises:
        UnauthorizedClient: it did not register for the grant type, or is not the operator's and has to be.
    """
    is_of_operator = client.origin in {ClientOrigin.PREREGISTERED, ClientOrigin.SETTINGS}
    if DEVICE_CODE not in client.grant_types or not (for_everybody or is_of_operator):
        raise UnauthorizedClient(
            Reason.GRANT_TYPE_NOT_REGISTERED,
            "This client is not registered for logins by device; register it for the grant type of RFC 8628, if the "
            "metadata of this server lists it, or ask the operator.",
        )


def is_too_soon(request: DeviceAuthorization, *, now: int) -> bool:
    """Say whether a client that asks at `now` (seconds UTC) has not waited as long as it was told to.

    The first question is never too soon. A clock that was set back makes none too soon either.
    """
    if request.polled_at is None or now < request.polled_at:
        return False
    return now - request.polled_at < request.poll_interval - _EARLY


def slower(poll_interval: int) -> int:
    """Return the interval in seconds from now on, for a client that asked too soon."""
    return min(poll_interval + SLOWER, LONGEST_INTERVAL)


def check_device_code(
    found: DeviceAuthorization | None, *, client_id: str, resource: str | None, now: int
) -> DeviceAuthorization:
    """Return the request if its person has answered yes and this client may redeem it now, or if it still waits.

    `found` is what the store holds, over or not. `client_id` has authenticated; `resource` is what the token request
    names in its canonical spelling, or None. `Reason.DEVICE_CODE_REPLAYED` asks the caller to revoke the grant.

    Raises:
        InvalidGrant: the code is unknown, another client's, or was used before.
        ExpiredToken: it took too long (section 3.5).
        AccessDenied: the person said no.
        InvalidTarget: the code was issued for another resource.
    """
    if found is None:
        raise InvalidGrant(Reason.DEVICE_CODE_UNKNOWN, "The device_code is unknown; begin again.")
    if found.client_id != client_id:
        raise InvalidGrant(Reason.DEVICE_CODE_OF_ANOTHER_CLIENT, "The device_code was issued to another client.")
    if found.grant_id is not None:
        # Somebody has a copy, and it cannot be known who came first, as with authorization codes (RFC 6749 4.1.2).
        raise InvalidGrant(
            Reason.DEVICE_CODE_REPLAYED, "The device_code was used before; the tokens that it gave are revoked."
        )
    if found.expires_at <= now:
        raise ExpiredToken(Reason.DEVICE_CODE_EXPIRED, "Nobody has typed the code in time; begin again.")
    if found.state is DeviceState.DENIED:
        raise AccessDenied(Reason.USER_DENIED, "The user denied the request.")
    if resource is not None and resource != found.resource:
        raise InvalidTarget(
            Reason.DEVICE_CODE_RESOURCE_MISMATCH,
            "resource differs from the device authorization request; send the same one.",
        )
    return found


def still_waiting(poll: Poll) -> AuthorizationPending | SlowDown:
    """Return the refusal of a question that nobody has answered yet (section 3.5)."""
    if poll is Poll.TOO_SOON:
        return SlowDown(
            Reason.DEVICE_POLLED_TOO_SOON, f"Nobody has answered yet; wait {SLOWER} seconds more between two requests."
        )
    return AuthorizationPending(Reason.DEVICE_PENDING, "Nobody has answered yet; ask again after the interval.")


def device_transaction(
    request: DeviceAuthorization, *, transaction_id: str, browser_id: str, now: int, lifetime: int
) -> AuthorizationTransaction:
    """Return the question to the person who typed the code, as that of an authorization request.

    It belongs to their browser, and ends with the code at the latest; there is nowhere to send the browser afterwards.

    Args:
        request: what the device asked for.
        transaction_id: a fresh random identifier.
        browser_id: of the browser.
        now: seconds UTC.
        lifetime: seconds in which the person has to decide.
    """
    return AuthorizationTransaction(
        transaction_id=transaction_id,
        browser_id=browser_id,
        client_id=request.client_id,
        redirect_uri="",
        redirect_uri_was_sent=False,
        scopes=request.scopes,
        resource=request.resource,
        code_challenge="",
        client_state=None,
        created_at=now,
        expires_at=min(now + lifetime, request.expires_at),
        device_code_fingerprint=request.device_code_fingerprint,
        user_code=request.user_code,
    )


def begin_device_grant(
    request: DeviceAuthorization, *, subject: str, now: int, lifetimes: Lifetimes, random_bytes: RandomBytes
) -> Grant:
    """Return the grant that redeeming the device code of a request creates, which `subject` approved."""
    return Grant(
        grant_id=identifier("grant_", random_bytes),
        subject=subject,
        client_id=request.client_id,
        resource=request.resource,
        scopes=request.scopes,
        created_at=now,
        expires_at=now + lifetimes.grant,
    )
