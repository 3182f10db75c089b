"""The audit trail: what was decided, about whom, and why.

One event for each decision that gives or takes access, and for each refusal that hints at an attack. An event holds
identifiers of ours and nothing that a stranger typed; no secret, and no name.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from gatepost.late_dataclass import dataclass
from gatepost.oauth.reasons import Reason


class AuditEvent(StrEnum):
    """What happened. A code, once published, keeps its meaning; `docs/audit.md` lists them."""

    SET_UP = "set_up"
    LOGIN = "login"
    LOGOUT = "logout"
    SESSIONS_ENDED = "sessions_ended"
    CONSENT = "consent"
    CODE_REDEMPTION = "code_redemption"
    REFRESH = "refresh"
    CLIENT_CREDENTIALS = "client_credentials"
    ENTERPRISE_GRANT = "enterprise_grant"
    WORKLOAD_GRANT = "workload_grant"
    GRANT_ASSERTION = "grant_assertion"
    DEVICE_LOGIN = "device_login"
    TOKEN_EXCHANGE = "token_exchange"
    CLIENT_AUTHENTICATION = "client_authentication"
    PROOF_OF_POSSESSION = "proof_of_possession"
    REVOCATION = "revocation"
    REGISTRATION = "registration"
    CLIENT_ADDED = "client_added"
    CLIENT_UPDATED = "client_updated"
    CLIENT_SECRET_ROTATED = "client_secret_rotated"
    CLIENT_DISABLED = "client_disabled"
    CLIENT_ENABLED = "client_enabled"
    CLIENT_REMOVED = "client_removed"
    EGRESS = "egress"
    LIMIT = "limit"
    USER_INVITED = "user_invited"
    PASSWORD_RESET_OFFERED = "password_reset_offered"
    USER_ADDED = "user_added"
    USER_DISABLED = "user_disabled"
    USER_ENABLED = "user_enabled"
    ROLE_GIVEN = "role_given"
    ROLE_TAKEN = "role_taken"
    PASSWORD_CHANGED = "password_changed"
    SECOND_STEP_SET_UP = "second_step_set_up"
    SECOND_STEP_TURNED_OFF = "second_step_turned_off"
    RECOVERY_CODES_MADE = "recovery_codes_made"
    RECOVERY_CODE_USED = "recovery_code_used"
    UPSTREAM_TOKENS_ENDED = "upstream_tokens_ended"
    LOGIN_LINKED = "login_linked"
    LOGIN_UNLINKED = "login_unlinked"
    IDENTITY_CONFIRMED = "identity_confirmed"
    PASSKEY_ADDED = "passkey_added"
    PASSKEY_RENAMED = "passkey_renamed"
    PASSKEY_REMOVED = "passkey_removed"
    TOKEN_MINTED = "token_minted"
    API_KEY_CREATED = "api_key_created"
    API_KEY_REVOKED = "api_key_revoked"
    SIGNING_KEY_ROTATED = "signing_key_rotated"
    SIGNING_KEY_RETIRED = "signing_key_retired"
    SESSION_OF_ANOTHER_APP = "session_of_another_app"
    ALL_REVOKED = "all_revoked"
    STORE_RESTORED = "store_restored"
    STORE_IMPORTED = "store_imported"

    @classmethod
    def _missing_(cls, value: object) -> AuditEvent | None:
        """Take an event of a newer version, which may serve beside this one or have served before, by its code."""
        if not isinstance(value, str):
            return None
        event = str.__new__(cls, value)
        event._name_, event._value_ = value.upper(), value
        return event


class Outcome(StrEnum):
    """How it came out."""

    OK = "ok"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One event."""

    event_id: str
    """Sorts by time; see `event_id`."""
    at: int
    """Seconds UTC."""
    event: AuditEvent
    outcome: Outcome
    reason: str | None = None
    """A code of `reasons.py`, or none when all is well."""
    subject: str | None = None
    client_id: str | None = None
    address: str | None = None
    """From where, or `terminal` for the command line."""
    grant_id: str | None = None
    actor: str | None = None
    """The subject of who did it to or for somebody else, an administrator or an actor; None where nobody else did."""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which events are asked for; None means any."""

    since: int = 0
    """Seconds UTC."""
    event: str | None = None
    outcome: str | None = None
    subject: str | None = None
    client_id: str | None = None
    address: str | None = None
    actor: str | None = None
    until: int | None = None
    """Seconds UTC; what happened in this second counts."""


def event_id(*, at: int, microsecond: int, random: bytes) -> str:
    """Return an identifier that sorts by second (UTC) and microsecond; `random`, 6 bytes, keeps processes apart."""
    return f"{at:010x}{microsecond:06x}{random.hex()}"


ISSUED: Final = frozenset(
    {
        AuditEvent.CODE_REDEMPTION,
        AuditEvent.REFRESH,
        AuditEvent.CLIENT_CREDENTIALS,
        AuditEvent.WORKLOAD_GRANT,
        AuditEvent.ENTERPRISE_GRANT,
        AuditEvent.DEVICE_LOGIN,
        AuditEvent.TOKEN_EXCHANGE,
    }
)
"""Those by which a client got tokens."""

REFUSALS: Final = {
    Reason.CLIENT_AUTHENTICATION_FAILED: AuditEvent.CLIENT_AUTHENTICATION,
    Reason.CLIENT_AUTHENTICATION_METHOD_WRONG: AuditEvent.CLIENT_AUTHENTICATION,
    Reason.CLIENT_ASSERTION_INVALID: AuditEvent.CLIENT_AUTHENTICATION,
    Reason.CLIENT_ASSERTION_AUDIENCE_WRONG: AuditEvent.CLIENT_AUTHENTICATION,
    Reason.CLIENT_ASSERTION_REPLAYED: AuditEvent.CLIENT_AUTHENTICATION,
    Reason.CLIENT_DISABLED: AuditEvent.CLIENT_AUTHENTICATION,
    Reason.DPOP_PROOF_REPLAYED: AuditEvent.PROOF_OF_POSSESSION,
    Reason.DPOP_KEY_WRONG: AuditEvent.PROOF_OF_POSSESSION,
    Reason.GRANT_ASSERTION_INVALID: AuditEvent.GRANT_ASSERTION,
    Reason.GRANT_ASSERTION_ISSUER_UNKNOWN: AuditEvent.GRANT_ASSERTION,
    Reason.GRANT_ASSERTION_AUDIENCE_WRONG: AuditEvent.GRANT_ASSERTION,
    Reason.GRANT_ASSERTION_OF_ANOTHER_CLIENT: AuditEvent.GRANT_ASSERTION,
    Reason.GRANT_ASSERTION_REPLAYED: AuditEvent.GRANT_ASSERTION,
    Reason.WORKLOAD_NOT_ALLOWED: AuditEvent.GRANT_ASSERTION,
    Reason.CODE_REPLAYED: AuditEvent.CODE_REDEMPTION,
    Reason.CODE_OF_ANOTHER_CLIENT: AuditEvent.CODE_REDEMPTION,
    Reason.CODE_REDIRECT_URI_MISMATCH: AuditEvent.CODE_REDEMPTION,
    Reason.CODE_VERIFIER_WRONG: AuditEvent.CODE_REDEMPTION,
    Reason.CODE_ATTEMPTS_EXHAUSTED: AuditEvent.CODE_REDEMPTION,
    Reason.DEVICE_CODE_REPLAYED: AuditEvent.DEVICE_LOGIN,
    Reason.DEVICE_CODE_OF_ANOTHER_CLIENT: AuditEvent.DEVICE_LOGIN,
    Reason.SUBJECT_TOKEN_OF_ANOTHER_RESOURCE: AuditEvent.TOKEN_EXCHANGE,
    Reason.ACTOR_TOKEN_INVALID: AuditEvent.TOKEN_EXCHANGE,
    Reason.EXCHANGE_TARGET_NOT_ALLOWED: AuditEvent.TOKEN_EXCHANGE,
    Reason.REFRESH_TOKEN_REUSED: AuditEvent.REFRESH,
    Reason.REFRESH_TOKEN_OF_ANOTHER_CLIENT: AuditEvent.REFRESH,
    Reason.GRANT_REVOKED: AuditEvent.REFRESH,
    Reason.USER_DISABLED: AuditEvent.REFRESH,
    Reason.USER_NOT_ALLOWED: AuditEvent.REFRESH,
    Reason.ROLES_PERMIT_NOTHING: AuditEvent.REFRESH,
}
"""The refusals of the token endpoint that are events. The others are mistakes of clients; the log has them."""
