"""Who may enter, of all for whom a login provider vouches: judged at each login, page and refresh.

At a login the provider has just said who it is; later it is what it said at the last login that counts, since nobody
asks it then. Who has an account of their own here is not judged, nor whom the operator has named in code or by a
password: the operator let them in one by one, and `gatepost users disable` shuts them out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from gatepost.identity.asking import LoginProviderFailed, ask
from gatepost.identity.provider import Identity, LoginRefused
from gatepost.identity.rules import Rule, identity_of, read_rule
from gatepost.identity.single_user import OPERATOR
from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.users import LOCAL, Person, User
from gatepost.wording.phrase import Phrase

Allow = str | Iterable[str] | Callable[[Identity], bool | Awaitable[bool]]
"""Words of a rule, or a function that is asked about an `Identity`; `LoginRefused` from it says why not."""
_NOT_JUDGED: Final = frozenset({LOCAL, OPERATOR})
_SECONDS: Final = 10
"""How long an asynchronous function has for its answer."""


class EntryRefused(LoginRefused):
    """The rule of who may enter does not name this person."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The rule of who may enter; by default there is none, and whoever the provider vouches for may."""

    rule: Rule | Callable[[Identity], object] | None = None

    @property
    def organizations(self) -> frozenset[str]:
        """Those at GitHub that the rule names; what a function looks at nobody knows."""
        return self.rule.organizations if isinstance(self.rule, Rule) else frozenset()

    @property
    def asks(self) -> bool:
        """Whether the operator's function is to be asked, which may wait for somebody."""
        return self.rule is not None and not isinstance(self.rule, Rule)

    async def check(self, identity: Identity) -> None:
        """Let somebody in, whose identity says its issuer.

        Raises:
            LoginRefused: not this one; the message is for the person.
            LoginUnavailable: the function says that it cannot know now.
            LoginProviderFailed: it failed, or took too long.
        """
        if not await self._admits(identity):
            raise EntryRefused(_why_not(identity))

    async def check_again(self, user: User) -> None:
        """Let somebody in whom the provider knows as a person of this server; as `check`, by what was said before."""
        if not await self.still_admits(user):
            raise EntryRefused(_why_not(identity_of(user)))

    async def still_admits(self, person: User | Person) -> bool:
        """Say whether somebody who has logged in before may go on, by what was said then.

        Raises:
            LoginUnavailable: as in `check`.
            LoginProviderFailed: likewise.
        """
        if self.rule is None or person.issuer in _NOT_JUDGED:
            return True
        try:
            return await self._admits(identity_of(person))
        except LoginRefused:
            return False

    def shuts_out(self, person: Person | None) -> bool:
        """Say whether words name somebody no more; a function is not asked here, where a token is checked."""
        rule = self.rule
        if person is None or not isinstance(rule, Rule) or rule.is_everybodys or person.issuer in _NOT_JUDGED:
            return False
        return not rule.names(identity_of(person))

    async def _admits(self, identity: Identity) -> bool:
        rule = self.rule
        if rule is None or identity.issuer in _NOT_JUDGED:
            return True
        if isinstance(rule, Rule):
            return rule.names(identity)
        try:
            async with asyncio.timeout(_SECONDS):
                admits: bool = await ask(rule, identity, returns=(bool,))
        except TimeoutError:
            raise LoginProviderFailed(f"allow= did not answer within {_SECONDS} seconds") from None
        return admits


ANYBODY: Final = Entry()
"""Whoever the provider vouches for."""


def entry_of(allow: Allow) -> Entry:
    """Return the rule of words or a function.

    Raises:
        NotARule: the words are none.
    """
    return Entry(allow if callable(allow) else read_rule(allow))


def _why_not(identity: Identity) -> Phrase:
    """Return why somebody is refused, without a word about whom the rule names."""
    if identity.email and identity.email_verified is not True:
        return Phrase(
            "The people who run this server say who may enter, and this account is not among those. Your e-mail "
            "address does not count, because %(issuer)s does not say that it is verified. Verify it there and log in "
            "again, ask the people who run this server, or log in with another account.",
            issuer=identity.issuer or "",
        )
    return Phrase(
        "The people who run this server say who may enter, and this account is not among those. Ask them, or log in "
        "with another account."
    )
