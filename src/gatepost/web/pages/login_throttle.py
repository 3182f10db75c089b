"""How often somebody may try to log in (NIST SP 800-63B section 3.2.2; OWASP: device cookies).

A limit per account alone would let anybody lock its owner out. So the attacker's address is slowed first, and a browser
that has logged in to the account before carries a cookie that says so: it is counted by itself, and what strangers do
to the account never keeps it out. A new browser has to wait only while an attack from very many addresses is going on.

The cookie is sealed with the server's keys and opens nothing: whoever steals it may try ten passwords in ten minutes.
Every login makes another one, so who once knew a password may have any number: they are counted together, too.

A second step with one-time codes is a short secret: of a million codes three count at a time. Who knows the password
gets ten guesses a day at it, and a browser that has passed this very step before gets ten of its own, so that its owner
is not kept out. What is too long to be guessed, as recovery codes are, is not counted there.

On plain http browsers send cookies to every port of a host, so another program on this computer can get hold of it (RFC
6265 section 8.5). What it gains is those tries, which it has anyway as an address of its own; what it can take is the
tries of this one browser, for minutes, and a browser without the cookie is counted by its address.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import field
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.provider import LoginField
from gatepost.identity.usernames import UsernameRefused, canonical_username
from gatepost.late_dataclass import dataclass
from gatepost.oauth.limits import (
    LOGINS_OF_ACCOUNT,
    LOGINS_OF_ACCOUNT_FROM_ADDRESS,
    LOGINS_OF_ADDRESS,
    LOGINS_OF_KNOWN_BROWSER,
    SHORT_SECRETS,
    Rate,
)
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.tokens.opaque import RandomBytes
from gatepost.tokens.sealing import KeyRing, SealBroken
from gatepost.web.site.client_address import UNKNOWN, ClientAddresses, limit_key
from gatepost.web.site.limits import Limits, too_many_requests

AT_ONCE: Final = 2
"""How many attempts one browser may have under way; a double click is honest."""
_RETRY_AFTER: Final = 5
_PURPOSE: Final = "known-browser"
_LIFETIME: Final = 180 * 24 * 3600
_NAME_BYTES: Final = 16
_UNGUESSABLE: Final = 16
"""Letters and digits; what has as many is looked for among secrets of at least 48 bits."""
_TIME_BYTES: Final = 8


class AttemptsAtOnce:
    """Keeps one browser from filling the queue of attempts that wait for their password to be checked.

    It counts what is under way, for this process alone: so are the threads that it protects.
    """

    def __init__(self) -> None:
        self._under_way: dict[str, int] = {}

    @contextmanager
    def one_of(self, browser_id: str) -> Iterator[None]:
        """Count one attempt while it is under way, or refuse it."""
        count = self._under_way.get(browser_id, 0)
        if count >= AT_ONCE:
            raise too_many_requests(_RETRY_AFTER)
        self._under_way[browser_id] = count + 1
        try:
            yield
        finally:
            others = self._under_way.pop(browser_id) - 1
            if others:
                self._under_way[browser_id] = others


@dataclass(frozen=True, slots=True)
class StepAnswer:
    """What somebody answers at a further step of a login."""

    short_secret: str
    """See `LoginStep.short_secret`."""
    typed: Mapping[str, str] = field(repr=False)

    @property
    def is_guess(self) -> bool:
        """Say whether anything of it is short enough to be guessed right."""
        return any(sum(map(str.isalnum, text)) < _UNGUESSABLE for text in self.typed.values())


@dataclass(frozen=True, slots=True)
class _KnownBrowser:
    """What the cookie of a browser says that has logged in to the account before."""

    name: str
    secret: bytes
    """What stands for the short secret of the step that it passed; empty where there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginThrottle:
    """Counts the attempts to log in, and knows the browsers that have."""

    limits: Limits
    addresses: ClientAddresses
    key_ring: KeyRing
    now: Callable[[], int]
    random_bytes: RandomBytes
    cookie_name: str
    secure: bool
    """Whether the public URL is https."""

    async def admit(
        self, request: Request, account: str, answer: StepAnswer | None = None, *, owner: str | None = None
    ) -> None:
        """Count one attempt at an account (see `account_of`; nobody need have it), before the password is looked at.

        Or, with `answer`, at a further step of it. What is counted apart from the passwords of an account, such as a
        passkey, names its `owner`: browsers that have logged in to that account are known here, too.

        Raises:
            TooManyRequests: it is one too many.
            StoreUnavailable: it cannot be counted, so no password is checked.
        """
        await self.limits.admit_exactly(self._uses(request, account, answer, owner=owner))

    async def succeeded(
        self,
        request: Request,
        account: str,
        response: Response,
        answer: StepAnswer | None = None,
        *,
        earlier: int = 0,
        owner: str | None = None,
    ) -> None:
        """Take back the count of an attempt whose password was right, and know this browser from now on.

        With `answer` it was a further step, after `earlier` others that were right and were counted as this one is
        (`counted_as`): they are taken back as well.

        The attempt was counted before its password was looked at, or parallel guesses would all pass. What failed
        stays counted, so that nobody clears an address by logging in to an account of their own.
        """
        with suppress(StoreUnavailable):  # then it stays counted, and the login is good all the same
            await self.limits.give_back(self._uses(request, account, answer, owner=owner))
            for _ in range(earlier):
                await self.limits.give_back(self._uses(request, account))
        known = self._known_browser(request, owner or account)
        passed = b"" if known is None else known.secret
        self.remember(response, owner or account, passed if answer is None else _digest(answer.short_secret))

    def counted_as(self, request: Request, account: str) -> str:
        """Return what stands for all that an attempt at an account is counted under, from where it comes now."""
        return _named("\n".join(sorted(self._uses(request, account))))

    def _uses(
        self, request: Request, account: str, answer: StepAnswer | None = None, *, owner: str | None = None
    ) -> Mapping[str, Rate]:
        browser, named = self._known_browser(request, owner or account), _named(account)
        of_step = {} if answer is None or not answer.is_guess else {_step_key(answer, browser): SHORT_SECRETS}
        if browser is not None:
            of_browser = {f"login:browser:{browser.name}": LOGINS_OF_KNOWN_BROWSER}
            return of_browser | {f"login:browsers:{named}": LOGINS_OF_ACCOUNT} | of_step
        address = limit_key(self.addresses.of(request.scope))
        of_address = {
            f"login:address:{address}": LOGINS_OF_ADDRESS,
            f"login:account:{named}:{address}": LOGINS_OF_ACCOUNT_FROM_ADDRESS,
        }
        of_account = {f"login:account:{named}": LOGINS_OF_ACCOUNT}
        return (of_account if address == UNKNOWN else of_address | of_account) | of_step

    def knows(self, response: Response, account: str, short_secret: str) -> None:
        """Let this browser's next attempts at `account`, and at this step of it, count by themselves."""
        self.remember(response, account, _digest(short_secret))

    def remember(self, response: Response, account: str, passed: bytes = b"") -> None:
        """Let this browser's next attempt at `account` count by itself; after a login that succeeded.

        Likewise at a further step, of which it has passed what `passed` stands for.
        """
        end = (self.now() + _LIFETIME).to_bytes(_TIME_BYTES, "big")
        sealed = self.key_ring.seal(
            end + self.random_bytes(_NAME_BYTES) + passed,
            purpose=_PURPOSE,
            associated_data=account.encode(),
            random_bytes=self.random_bytes,
        )
        response.set_cookie(
            self.cookie_name,
            sealed.hex(),
            max_age=_LIFETIME,
            path="/",
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )

    def _known_browser(self, request: Request, account: str) -> _KnownBrowser | None:
        """Return what this browser's cookie says if it has logged in to `account` before."""
        try:
            sealed = bytes.fromhex(request.cookies.get(self.cookie_name, ""))
            opened = self.key_ring.open(sealed, purpose=_PURPOSE, associated_data=account.encode())
        except (ValueError, SealBroken):
            return None
        end = int.from_bytes(opened[:_TIME_BYTES], "big")
        name, secret = opened[_TIME_BYTES : _TIME_BYTES + _NAME_BYTES], opened[_TIME_BYTES + _NAME_BYTES :]
        return _KnownBrowser(name.hex(), secret) if end > self.now() else None


def account_of(credentials: Mapping[str, str], fields: Sequence[LoginField]) -> str:
    """Return the account that somebody means who typed `credentials`, in one spelling for all spellings of one."""
    return "\n".join(_spelt(credentials[field.name]) for field in fields if not field.secret)


def _spelt(typed: str) -> str:
    try:
        return canonical_username(typed)
    except UsernameRefused:
        return typed.strip().casefold()


def _digest(short_secret: str) -> bytes:
    return hashlib.sha256(short_secret.encode()).digest()[:_NAME_BYTES]


def _step_key(answer: StepAnswer, browser: _KnownBrowser | None) -> str:
    secret = _digest(answer.short_secret)
    has_passed = browser is not None and browser.secret == secret
    return f"login:step:{secret.hex()}" + (f":{browser.name}" if browser is not None and has_passed else "")


def _named(account: str) -> str:
    """Return what stands for an account in the limits, which keep nothing that somebody typed."""
    return hashlib.sha256(account.encode()).hexdigest()[:32]
