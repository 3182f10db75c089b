"""What the operator decided, as plain values (RFC 6749, RFC 9700). Lifetimes are seconds."""

from __future__ import annotations

from enum import Enum, StrEnum, auto
from typing import Final

from gatepost.late_dataclass import dataclass


class AutoApprove(Enum):
    """When the consent page is skipped, for requests that no site sent. Never on a public server."""

    NEVER = auto()
    LOOPBACK_REDIRECTS = auto()
    """For apps on this very computer: the single-user mode, where every local program is the owner's anyway."""
    ALWAYS = auto()
    """What OAUTH_AUTO_APPROVE sets."""


class Devices(StrEnum):
    """Which clients may log people in by a code that a device shows (RFC 8628)."""

    NONE = "none"
    OPERATOR = "operator"
    """Those that the operator registered for it."""
    EVERYBODY = "everybody"
    """Those that register themselves or describe themselves in a document as well."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long things live, in seconds."""

    access_token: int = 3600
    refresh_token: int = 30 * 24 * 3600
    """Idle lifetime: each rotation starts it anew."""
    grant: int = 365 * 24 * 3600
    """Absolute lifetime of one approval, whatever is refreshed."""
    authorization_code: int = 600
    transaction: int = 1800
    """How long a person may take to log in and decide."""
    pushed_request: int = 90
    """How long a pushed request waits for the browser that the client sends after it."""
    device_code: int = 600
    """How long a device waits for its person to type the code; short, since whoever is sent one has to hurry."""
    refresh_window: int = 120
    """For how long a rotated refresh token is answered again with the same successor."""
    refresh_reuse: int = 24 * 3600
    """For how long after its first use a refresh token still gets the newest of its family; 0 is never."""
    browser_session: int = 12 * 3600


@dataclass(frozen=True, slots=True)
class StaleTokens:
    """What becomes of a refresh token that was spent before and whose answer is not simply given again."""

    seconds: int
    """For how long after its first use it gets the newest of its family; later, or with 0, its use is a theft."""
    grant: int
    """For how many seconds the grant goes on, at most, from the first time that this happens."""


LONGEST_REUSE: Final = 30 * 24 * 3600
"""The most seconds that anybody may set."""

ALWAYS_THEFT: Final = StaleTokens(seconds=0, grant=0)
"""By the letter of RFC 9700 section 4.14.2."""


@dataclass(frozen=True, slots=True)
class AuthorizationServer:
    """The identity and the switches of this authorization server."""

    issuer: str
    """Origin without a trailing slash; the same string everywhere (RFC 8414 section 2, RFC 9207)."""
    lifetimes: Lifetimes
    registration_enabled: bool = True
    client_documents_enabled: bool = False
    """Whether clients may be known by a metadata document."""
    auto_approve: AutoApprove = AutoApprove.NEVER
    publishes_keys: bool = False
    """Whether access tokens are signed, and the keys to verify them published."""
    requires_pushed_requests: bool = False
    """Whether authorization requests count only if they were pushed (RFC 9126)."""
    devices: Devices = Devices.NONE
    """Which clients may log people in by a code that a device shows."""
    exchanges_tokens: bool = False
    """Whether clients that the operator lists may exchange tokens (RFC 8693)."""

    def skips_consent(self, *, to_loopback: bool) -> bool:
        """Say whether a request that no site sent is approved without asking.

        `to_loopback` says whether its redirect URI is on this computer.
        """
        if self.auto_approve is AutoApprove.LOOPBACK_REDIRECTS:
            return to_loopback
        return self.auto_approve is AutoApprove.ALWAYS
