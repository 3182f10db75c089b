"""Passkeys of local accounts (WebAuthn Level 3 section 4, credential record): public keys, and nothing secret."""

from __future__ import annotations

from enum import Enum, auto
from hashlib import sha256
from typing import Final, Protocol

from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.users import User

MOST_PASSKEYS: Final = 20
"""Of one person; each is shown, and sent to the browser when another is added."""


@dataclass(frozen=True, slots=True)
class Passkey:
    """One passkey."""

    credential_id: bytes
    """Chosen by the authenticator, at most 1023 bytes; it belongs to one person, whatever the host."""
    subject: str
    user_handle: bytes
    """What the authenticator knows the person by: random, and the same for all passkeys of a person at a host."""
    rp_id: str
    """The host name that it was made for; at another it does not work."""
    name: str
    """As its person calls it."""
    public_key: bytes
    """COSE_Key (RFC 9052 section 7)."""
    sign_count: int
    """How often it has signed, as it said itself the last time; many always say 0."""
    transports: tuple[str, ...]
    """How browsers may reach it, as they said when it was made."""
    created_at: int
    last_used_at: int | None = None

    @property
    def number(self) -> str:
        """What pages and the command line call it: short, and the same for good."""
        return sha256(self.credential_id).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class PasskeyView:
    """A passkey with its person."""

    passkey: Passkey
    user: User
    """Disabled or not."""


class PasskeyAddition(Enum):
    """The answer of `PasskeyStore.add_passkey`."""

    ADDED = auto()
    KNOWN = auto()
    """Somebody has it already, perhaps the same person. Nothing was written."""
    TOO_MANY = auto()
    """The person has as many as one may. Nothing was written."""
    NOT_FIRST = auto()
    """It had to be the first, and the person has another for the same host, or a second step. Nothing was written."""


class PasskeyUse(Enum):
    """The answer of `PasskeyStore.use_passkey`."""

    ACCEPTED = auto()
    UNKNOWN = auto()
    """It was removed. Nothing was written."""
    COUNTER_BACK = auto()
    """It had signed that often before, so there may be two of it. Nothing was written."""


class PasskeyStore(Protocol):
    """Passkeys of local accounts. Disabling an account leaves them, as it leaves the password."""

    async def add_passkey(
        self, passkey: Passkey, *, most: int = MOST_PASSKEYS, is_first: bool = False
    ) -> PasskeyAddition:
        """Keep a passkey, unless its credential id is known, whosever it is, or the person has `most`.

        With `is_first` only while the person has no other for its host and no second step: of several at once one.

        Repeated: `KNOWN`; `find_passkey` says whose it is.
        """

    async def find_passkey(self, credential_id: bytes) -> PasskeyView | None:
        """Return the passkey with its person."""

    async def list_passkeys(self, subject: str) -> list[Passkey]:
        """Return this person's passkeys, at whatever host; the oldest first."""

    async def use_passkey(self, credential_id: bytes, *, sign_count: int, now: int) -> PasskeyUse:
        """Keep that it signed just now, for the `sign_count`-th time; of several uses with one count one is accepted.

        Counts that stay 0 are accepted every time (WebAuthn Level 3 section 7.2, step 22). An earlier `now` than that
        of the last use changes no time.

        Repeated: `COUNTER_BACK` where it counts: a signature in doubt is not honoured, and its person shows it again.
        """

    async def rename_passkey(self, subject: str, credential_id: bytes, name: str) -> bool:
        """Call it otherwise; False, and nothing is written, when this person has no such passkey.

        Repeated: the same again, and the same answer.
        """

    async def remove_passkey(self, subject: str, credential_id: bytes, *, keeps_passkey_at: str | None = None) -> bool:
        """Forget it; False when this person has no such passkey.

        Also False when nothing would be left of the second step and the passkeys for the host `keeps_passkey_at`. Who
        has no second step and no passkey any more has no session any more that `has_second_factor`.

        Repeated: False.
        """
