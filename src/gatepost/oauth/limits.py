"""Limits: how often somebody may ask (RFC 6585 section 4).

The rule is the generic cell rate algorithm. Of each key one number is kept: until when its allowance is spent. A use
moves that moment by `period / uses`; one that would move it further than `period` from now is refused. So a burst of
`uses` is fine, after it one more every `period / uses` seconds, nobody is shut out for longer than that, and a key
whose moment has passed is the same as one never seen and need not be kept. A moment further away than `period` was kept
before the clock stepped back, and counts as `period` from now.
"""

from __future__ import annotations

from typing import Final

from gatepost.late_dataclass import dataclass

MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `uses` at once, and as many again in `period` seconds."""

    uses: int
    period: int

    def times(self, factor: int) -> Rate:
        """Return a rate of `factor` times as many uses."""
        return Rate(self.uses * factor, self.period)


@dataclass(frozen=True, slots=True)
class Use:
    """One use, or several at once, of what a key allows."""

    key: str
    rate: Rate
    count: int = 1

    @property
    def microseconds(self) -> int:
        """By how much it moves the moment until which the allowance is spent."""
        return self.count * self.rate.period * MICROSECONDS // self.rate.uses


@dataclass(frozen=True, slots=True)
class Taken:
    """What one use comes to."""

    spent_until: int
    """Until when the allowance is spent now, microseconds UTC."""
    wait: int
    """0 when the use is allowed; else the whole seconds after which it would be, at least 1."""


def take(spent_until: int | None, use: Use, *, now: int) -> Taken:
    """Return what a use, of no more than its rate's `uses`, comes to.

    `spent_until` is what is kept of the key (microseconds UTC; None when nothing is), `now` is seconds UTC.
    """
    begin, present = _begin(spent_until, use.rate, now=now)
    end = begin + use.microseconds
    excess = end - present - use.rate.period * MICROSECONDS
    if excess > 0:
        return Taken(begin, wait=-(-excess // MICROSECONDS))
    return Taken(end, wait=0)


def give_back(spent_until: int | None, use: Use, *, now: int) -> int:
    """Return until when the allowance is spent, microseconds UTC, once a use is given back that turned out to be none.

    Args:
        spent_until: what is kept of the key, microseconds UTC; None when nothing is.
        use: what had been taken.
        now: seconds UTC.
    """
    begin, present = _begin(spent_until, use.rate, now=now)
    return max(begin - use.microseconds, present)


def _begin(spent_until: int | None, rate: Rate, *, now: int) -> tuple[int, int]:
    """Return the moment from which on a use is counted, and the present, both microseconds UTC."""
    present = now * MICROSECONDS
    kept = present if spent_until is None else spent_until
    return min(max(kept, present), present + rate.period * MICROSECONDS), present


# The numbers. Clients of one big vendor share a few dozen addresses, and a company reaches us from one; the limits are
# for floods, so each is several times what ten thousand honest users behind one address come to.

REGISTRATIONS: Final = Rate(120, 600)
"""Per address. Some clients register twice per connection: sixty people behind one address, all at once, and one every
ten seconds after them. A 25th of what all addresses together may."""
REGISTRATIONS_OF_ALL: Final = Rate(3000, 600)
"""All addresses together: registrations, and as many changes of them."""
PAGES: Final = Rate(600, 600)
"""Per address: authorization requests, login and set-up pages. An office behind one address, all at once."""
TOKEN_REQUESTS: Final = Rate(6000, 600)
"""Per address: tokens and revocations. Ten thousand users who refresh every hour are 1,700 in ten minutes."""
INTROSPECTIONS: Final = Rate(60_000, 600)
"""Per address: a resource server may ask once per call."""

TOKENS_OF_CLIENT: Final = Rate(12_000, 600)
"""Per client, all its users together: with Client ID Metadata Documents all users of an app are one client. What counts
is a request that has proved to be the client's own by a code, a token or a secret; what strangers send under its name
is counted by their address."""

PUSHED_REQUESTS: Final = Rate(6000, 600)
"""Per address: authorization requests that are pushed, by the server of an app for all of its users."""
DEVICE_AUTHORIZATIONS: Final = Rate(600, 600)
"""Per address: requests of devices, which a person has to answer."""
USER_CODES_OF_ADDRESS: Final = Rate(60, 600)
"""User codes per address that no device shows. Those that one shows are not counted."""
USER_CODES_OF_PERSON: Final = Rate(20, 24 * 3600)
"""The same per person. Of 20^8 codes `MOST_BEGUN` are in use at most, so a person who guesses for a year finds one with
a chance of 3 %; of the ten that are in use on an ordinary day, with one of three in a million."""

LOGINS_OF_ADDRESS: Final = Rate(60, 600)
"""Login attempts per address; each costs us a password hash."""
LOGINS_OF_ACCOUNT_FROM_ADDRESS: Final = Rate(10, 600)
"""Attempts at one account from one address. This is what stops an ordinary guesser, and nobody else."""
LOGINS_OF_ACCOUNT: Final = Rate(100, 3600)
"""Attempts at one account from everywhere, by browsers that have never logged in to it: a botnet gets 2,400 guesses a
day. The owner's own browser is not counted with them, so they never shut it out. Browsers that have logged in to it
have as many among themselves."""
LOGINS_OF_KNOWN_BROWSER: Final = Rate(10, 600)
"""Attempts at one account from a browser that has logged in to it before, whatever others do."""
SHORT_SECRETS: Final = Rate(10, 24 * 3600)
"""Guesses at the one-time codes of a second step by those who know the password: all browsers that have never passed
it together, and each that has by itself. Three codes of a million count at a time, so ten guesses a day for a year find
one with a chance of 1.1 %. The right ones are not counted, and recovery codes, too long to guess, neither."""


MOST_BEGUN: Final = 100_000
"""Authorization requests that nobody has approved, those of devices likewise, those that were pushed, logins under way,
and browser sessions in which nobody is logged in: of each the newest so many are kept, whatever the addresses."""


@dataclass(frozen=True, slots=True)
class RegistrationBudget:
    """What all strangers together may register, whatever their addresses.

    A client that was never used, which is to say that nobody has ever allowed it anything, makes room for a new one
    once `most_unused` have been registered from it on. One that was used never does.
    """

    rate: Rate = REGISTRATIONS_OF_ALL
    most_unused: int = 50_000
    """At 3,000 in ten minutes, what almost three hours fill, and less than a gigabyte."""
    spared_seconds: int = 3600
    """For so long after its registration nobody's client makes room: its user may be logging in."""

    def times(self, factor: int) -> RegistrationBudget:
        """Return a budget of `factor` times as much."""
        return RegistrationBudget(self.rate.times(factor), self.most_unused * factor, self.spared_seconds)
