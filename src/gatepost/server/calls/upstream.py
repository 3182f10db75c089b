"""What a call can ask for to act elsewhere as the person who makes it.

Whoever builds contexts gives them an `Upstream`, or None where nobody logs in elsewhere. What it raises, a tool may let
through: each of the errors says in words for the caller what to do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import orjson

from gatepost.resource.principal import Principal
from gatepost.server.errors import InvalidResult, ToolError

if TYPE_CHECKING:
    from gatepost.server.calls.exchange import Exchange


class NoPerson(ToolError):
    """The call is made for nobody who could have an account elsewhere."""


class NotLinked(ToolError):
    """The caller has to log in elsewhere first: they never did, or what they allowed there has ended."""

    def __init__(self, provider: str, url: str) -> None:
        self.provider = provider
        """What people call it."""
        self.url = url
        """Where the person does so, in a browser in which they are logged in here."""
        super().__init__(
            f"This needs your account at {provider}, which is not linked here, or not any more. Open {url} in a "
            "browser, link it there, and then try again."
        )


class UpstreamUnavailable(ToolError):
    """The caller's access token is over, and its provider gives no other now."""

    def __init__(self, provider: str, retry_after: int) -> None:
        self.provider = provider
        self.retry_after = retry_after
        """Seconds."""
        super().__init__(
            f"{provider} cannot be asked for access to your account just now. Nothing is lost: try again in "
            f"{retry_after} second{'' if retry_after == 1 else 's'}."
        )


class UnknownUpstream(LookupError):
    """No login provider of this name keeps tokens. The author's or the operator's fault."""


class CallersAccessToken(str):
    """An access token: a text that does not show where texts are shown as they are written."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<access token>"


class Upstream(Protocol):
    """Gives tokens of the person who calls."""

    async def access_token(self, provider: str, principal: Principal, *, refused: str | None) -> str:
        """Return an access token of the principal's.

        Args:
            provider: its name.
            principal: a person.
            refused: one that the provider's API has refused, if any; another one is returned.

        Raises:
            NotLinked: the person has to log in there.
            UpstreamUnavailable: the provider or the store does not answer.
            UnknownUpstream: no such provider keeps tokens.
        """
        ...

    async def once_linked(self, provider: str, principal: Principal, *, refused: str | None) -> str:
        """Return the token when the person has logged in there, for which they have a while. Raises as above."""
        ...


T = TypeVar("T")

SHOWN: Final = "it holds an access token of a login provider, which no app may see"
"""Why a result is not sent."""
_LONG: Final = 8


def shows(value: object, tokens: Iterable[str]) -> bool:
    """Say whether one of the tokens stands somewhere in a JSON value. A short one would stand there by chance."""
    text = orjson.dumps(value, default=str)
    return any(len(token) >= _LONG and orjson.dumps(token)[1:-1] in text for token in tokens)


def without_tokens(requests: T, tokens: Sequence[str]) -> T:
    """Return what is about to be asked of the client.

    Raises:
        InvalidResult: it holds one of the tokens, and is not sent.
    """
    if tokens and shows(requests, tokens):
        raise InvalidResult(SHOWN)
    return requests


async def token_of(
    upstream: Upstream | None,
    exchange: Exchange,
    provider: str,
    *,
    refused: str | None,
    lead: Callable[[NotLinked, str], Awaitable[bool]],
) -> CallersAccessToken:
    """Return a token of the caller's; `Context.upstream_token` says the rest.

    Args:
        upstream: gives it.
        exchange: that of the caller's request; it notes what was handed out.
        provider: its name.
        refused: see `Upstream.access_token`.
        lead: asks the person to link an account, under a key that the request is known by; says whether they agreed.
    """
    principal = exchange.principal
    # Somebody whom an issuer elsewhere vouches for has no account here, so nothing was ever linked to one.
    if principal is None or principal.user_issuer is None or principal.grant_id is None:
        raise NoPerson(
            f"This acts at {provider} as the person who calls it, and nobody has logged in for this call. Connect to "
            "this server over HTTP, and log in."
        )
    if upstream is None:
        raise UnknownUpstream(f"there is no login provider {provider!r}: nobody logs in elsewhere here")
    try:
        token = await upstream.access_token(provider, principal, refused=refused)
    except NotLinked as missing:
        # MCP client/elicitation, "Phishing": whoever opens the address links an account to the person who is logged in
        # there, so it says nothing about the caller, and is of no use when it is sent to somebody else.
        if not await lead(missing, f"upstream-{provider}"):
            raise
        # They agreed to go there; whether they have done so, the client does not know.
        token = await upstream.once_linked(provider, principal, refused=refused)
    exchange.handed_out = (*exchange.handed_out, token)
    return CallersAccessToken(token)
