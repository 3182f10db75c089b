"""What a login is for: it says where a browser goes on once somebody has logged in elsewhere or here.

A purpose is kept with what a login provider keeps, under its one-use `state`. So an answer is never used for anything
but what was asked: one to a login links nothing, and one to a link logs nobody in.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any, Final, TypeAlias

from gatepost.late_dataclass import dataclass
from gatepost.oauth.device_authorization import read_user_code
from gatepost.web.pages.pending_request import ACCOUNT, AFTER_LOGIN, consent_path, device_path, login_path

_LINK_PAGE: Final = f"{ACCOUNT}/link"


def link_page_path(provider: str) -> str:
    """Return the path of the page that links a login at the provider of this name; apps may lead people there."""
    return f"{_LINK_PAGE}/{provider}"


@dataclass(frozen=True, slots=True)
class LogIn:
    """To log this browser in."""

    transaction_id: str | None = None
    """The authorization request that waits, if any."""
    then_link: str | None = None
    """The name of the provider on whose link page the person goes on, where no authorization request waits."""
    then: str | None = None
    """The name of another page of ours where they go on; one of `AFTER_LOGIN`."""
    user_code: str | None = None
    """The code of a device that is shown there; with `then` being `device`, and with nothing else."""

    @property
    def page(self) -> str:
        """Return where it begins again."""
        return self.page_of()

    def page_of(self, *, switch_account: bool = False) -> str:
        """Return the path of its login page, which with `switch_account` asks also somebody who is logged in."""
        return login_path(
            self.transaction_id,
            switch_account=switch_account,
            then_link=self.then_link,
            then=self.then,
            user_code=self.user_code,
        )

    def at(self, path: str) -> str:
        """Return another page that is a step of this login, or its form."""
        return path + self.page.removeprefix(login_path())

    @property
    def goes_on(self) -> str | None:
        """Return the path that waits for somebody who is logged in; None when they only log in."""
        if self.transaction_id is not None:
            return consent_path(self.transaction_id)
        if self.then_link is not None:
            return link_page_path(self.then_link)
        if self.user_code is not None:
            return device_path(self.user_code)
        return None if self.then is None else AFTER_LOGIN[self.then]


@dataclass(frozen=True, slots=True)
class LinkLogin:
    """To give the person who asked for it one more login."""

    subject: str
    """Who asked; whoever else is logged in when the browser comes back gets nothing."""
    provider: str
    """The name of the provider that is asked."""
    returns_to_account: bool = False
    """Whether it was begun on the account page, and not by a link from an app."""

    @property
    def page(self) -> str:
        """Return where it begins again."""
        return link_page_path(self.provider) + (f"?{FROM_ACCOUNT}" if self.returns_to_account else "")


FROM_ACCOUNT: Final = "from=account"
"""The query of a link page to which the account page leads."""
Purpose: TypeAlias = LogIn | LinkLogin


def purpose_of(parameters: Mapping[str, str], *, linkable: Collection[str]) -> LogIn:
    """Return what the login of a URL with these parameters is for.

    `linkable` are the names of the providers that have a link page. A name of ours and nothing else counts: a login
    leads to no place that somebody else chose.
    """
    transaction_id, link = parameters.get("transaction"), parameters.get("link")
    if transaction_id is not None:
        return LogIn(transaction_id)
    if link in linkable:
        return LogIn(then_link=link)
    then = parameters.get("then")
    user_code = read_user_code(parameters.get("user_code", "")) if then == "device" else None
    return LogIn(then=then if then in AFTER_LOGIN else None, user_code=user_code)


def to_json(purpose: Purpose) -> list[Any]:
    """Return a purpose as it is kept."""
    return [type(purpose).__name__, asdict(purpose)]


def from_json(kept: Any) -> Purpose | None:
    """Return the purpose that was kept; None for one that only another version of Gatepost knows."""
    try:
        kind, members = kept
        return _KINDS[kind](**members)
    except (KeyError, TypeError, ValueError):
        return None


_KINDS: Final[dict[str, type[LogIn | LinkLogin]]] = {kind.__name__: kind for kind in (LogIn, LinkLogin)}
