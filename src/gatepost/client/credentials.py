"""The access token of one server: the one that is kept, a new one by refresh, or a login; in that order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import field, replace
from typing import Any, Final, Literal, Protocol, TypeGuard
from urllib.parse import urlsplit

from gatepost.client.browser_login import LoopbackAnswer, Open, code_by_browser, loopback_answer
from gatepost.client.device_login import Show, tokens_by_device
from gatepost.client.guarded_way import GuardedWay
from gatepost.client.kept_tokens import RegisteredClient, TokenFiles, TokensOfServer
from gatepost.client.protection import Challenge, Protection, protection_of
from gatepost.client.refusals import CallRefused
from gatepost.client.token_requests import RequestRefused, TokenRequests
from gatepost.late_dataclass import dataclass
from gatepost.outbound.issuer_documents import Transport
from gatepost.outbound.named_hosts import NamedHosts, Resolve, resolve

_LEEWAY: Final = 10
"""Seconds before its end at which a token is renewed, so that it is still good when it arrives."""
_NEVER_EXPIRES: Final = float("inf")
_LONGEST: Final = 1e10
"""Seconds, some three hundred years: what is said to last longer is nothing that a clock can be compared with."""


class TokenSource(Protocol):
    """What gives the token for a server."""

    async def token(self) -> str | None:
        """Return a token, if there is one already; nobody is asked."""

    async def renewed(self, refused: str | None, challenge: Challenge) -> str:
        """Return a token in place of the one that was refused, or of none.

        Raises:
            CallRefused: there is no other.
        """


@dataclass(frozen=True, slots=True)
class GivenToken:
    """A token that the person has given; there is no other."""

    value: str = field(repr=False)

    async def token(self) -> str | None:
        """See `TokenSource`."""
        return self.value

    async def renewed(self, refused: str | None, challenge: Challenge) -> str:
        """See `TokenSource`."""
        del refused
        why = challenge.description or challenge.error or "it says no more"
        raise CallRefused(f"The token that was given is refused: {why}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginWays:
    """How a person logs in."""

    by: Literal["browser", "device"] = "browser"
    open_url: Open
    show_code: Show
    scopes: Sequence[str] = ()
    """What is asked for; what the server asks for where it is empty."""
    client_id: str | None = None
    """Of a client that the operator has registered."""
    port: int = 0
    """Of the redirect URI; 0 for any free one."""
    seconds: float = 300.0
    """How long a browser is waited for."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    """Waits between two questions whether somebody has logged in on another device."""


@dataclass(slots=True, kw_only=True)
class KeptTokenSource:
    """Tokens that are kept in a file, renewed, and got by logging in, where the server may send anybody.

    `resolve` finds the addresses of hosts; it is None where a proxy does (`NamedHosts`).
    """

    url: str
    files: TokenFiles
    transport: Transport
    ways: LoginWays
    now: Callable[[], float] = time.time
    resolve: Resolve | None = resolve
    _hosts: NamedHosts = field(init=False)
    _way: GuardedWay = field(init=False)
    _has_refreshed: bool = field(default=False, init=False)
    """While answering one refusal; a second one of the new token is no reason to refresh again."""
    _has_logged_in: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._hosts = NamedHosts(self.url, self.resolve)
        self._way = GuardedWay(self.url, self._hosts, self.transport)

    async def token(self) -> str | None:
        """See `TokenSource`; one that has ended is refreshed if it can be."""
        await self._hosts.look()  # this comes before anything is asked
        kept = self.files.read(self.url)
        if kept is None or kept.access_token is None:
            return None
        ends = _NEVER_EXPIRES if kept.expires_at is None else kept.expires_at
        if self.now() < ends - _LEEWAY:
            return kept.access_token
        if kept.refresh_token is None:
            return None
        protection = await protection_of(self.url, Challenge(), self._way)
        return await self._refreshed(protection, kept.access_token)

    async def renewed(self, refused: str | None, challenge: Challenge) -> str:
        """See `TokenSource`; a refresh is tried before anybody is asked, unless more is needed than was granted."""
        protection = await protection_of(self.url, challenge, self._way)
        needs_more = challenge.error == "insufficient_scope"
        if not needs_more and not self._has_refreshed:
            token = await self._refreshed(protection, refused)
            if token is not None:
                self._has_refreshed = True
                return token
        if self._has_logged_in:
            why = challenge.description or challenge.error or "it says no more"
            raise CallRefused(f"{self.url} refuses the token that {protection.issuer} has just given: {why}")
        self._has_logged_in = True
        kept = self._of(protection)
        before = () if kept is None or not needs_more else kept.scopes
        scopes = self.ways.scopes or tuple(dict.fromkeys((*before, *(challenge.scopes or protection.scopes))))
        return await self._logged_in(protection, scopes)

    async def log_out(self) -> bool | None:
        """End what is kept at the server, and forget it; None where nothing is kept, False where it only forgot."""
        async with self.files.alone(self.url):
            kept = self.files.read(self.url)
            if kept is None:
                return None
            token = kept.refresh_token or kept.access_token
            is_ended = False
            if token is not None:
                protection = await protection_of(self.url, Challenge(), self._way)
                if self._of(protection) is not None:
                    kind = "access_token" if kept.refresh_token is None else "refresh_token"
                    requests = TokenRequests(protection, self._way)
                    is_ended = await requests.revoke(kept.client, token, kind)
            self.files.forget(self.url)
            return is_ended

    def _of(self, protection: Protection) -> TokensOfServer | None:
        """Return what is kept, if it is of this very issuer and for this resource: another one never sees it."""
        kept = self.files.read(self.url)
        if kept is None or (kept.issuer, kept.resource) != (protection.issuer, protection.resource):
            return None
        return kept

    async def _refreshed(self, protection: Protection, refused: str | None) -> str | None:
        """Return a newer token than the one that was refused; None where only a login can give one.

        Raises:
            ServerAway: the authorization server cannot answer now, so that nothing is known.
        """
        async with self.files.alone(self.url):
            kept = self._of(protection)
            if kept is None:
                return None
            if kept.access_token not in (None, refused):
                return kept.access_token  # another process was faster
            if kept.refresh_token is None:
                return None
            try:
                said = await TokenRequests(protection, self._way).tokens(
                    kept.client, "refresh_token", refresh_token=kept.refresh_token
                )
            except RequestRefused as refusal:
                if refusal.error == "invalid_client":
                    self.files.forget(self.url)  # a dead registration would be sent for ever
                else:
                    self.files.write(replace(kept, access_token=None, refresh_token=None))
                return None
            return self._keep(protection, kept.client, said, kept.scopes)

    async def _logged_in(self, protection: Protection, scopes: Sequence[str]) -> str:
        requests = TokenRequests(protection, self._way)
        async with AsyncExitStack() as stack:
            if self.ways.by == "device":
                said, client = await self._by_device(requests, scopes)
            else:
                await self._way.check(protection.endpoint("authorization_endpoint"))  # nor is the browser sent there
                kept = self._of(protection)
                before = None if kept is None else kept.client
                answer = await stack.enter_async_context(loopback_answer(self._ports(before)))
                client = await self._client(requests, before, answer)
                code = await code_by_browser(
                    protection,
                    client,
                    answer,
                    scopes=scopes,
                    open_url=self.ways.open_url,
                    seconds=self.ways.seconds,
                )
                said = await requests.tokens(
                    client,
                    "authorization_code",
                    code=code.code,
                    redirect_uri=answer.redirect_uri,
                    code_verifier=code.verifier,
                )
        async with self.files.alone(self.url):
            return self._keep(protection, client, said, scopes)

    async def _by_device(
        self, requests: TokenRequests, scopes: Sequence[str]
    ) -> tuple[Mapping[str, Any], RegisteredClient]:
        protection = requests.protection
        if not protection.offers("device_authorization_endpoint"):
            raise CallRefused(
                f"{protection.issuer} offers no login by device (RFC 8628): log in by browser, without --device, or "
                "give a token by --token-file."
            )
        kept = self._of(protection)
        if self.ways.client_id is not None:
            client = RegisteredClient(client_id=self.ways.client_id, devices=True)
        elif kept is not None and kept.client.devices:
            client = kept.client
        else:
            # Nobody is sent there; but registrations without a redirect URI are refused by many.
            client = await requests.register("http://127.0.0.1/callback", devices=True)
        said = await tokens_by_device(requests, client, scopes=scopes, show=self.ways.show_code, sleep=self.ways.sleep)
        return said, client

    def _ports(self, before: RegisteredClient | None) -> Sequence[int]:
        """Return at which ports to listen: many servers compare the port of a redirect URI, too (RFC 8252, 7.3)."""
        if self.ways.port:
            return (self.ways.port,)
        known = None if before is None or before.redirect_uri is None else urlsplit(before.redirect_uri).port
        return (0,) if known is None else (known, 0)

    async def _client(
        self, requests: TokenRequests, before: RegisteredClient | None, answer: LoopbackAnswer
    ) -> RegisteredClient:
        if self.ways.client_id is not None:
            return RegisteredClient(client_id=self.ways.client_id)
        if before is not None and before.redirect_uri == answer.redirect_uri:
            return before
        return await requests.register(answer.redirect_uri, devices=False)

    def _keep(
        self, protection: Protection, client: RegisteredClient, said: Mapping[str, Any], asked: Sequence[str]
    ) -> str:
        lasts, granted = said.get("expires_in"), said.get("scope")
        kept = TokensOfServer(
            url=self.url,
            resource=protection.resource,
            issuer=protection.issuer,
            client=client,
            access_token=said["access_token"],
            refresh_token=said.get("refresh_token"),
            expires_at=int(self.now() + lasts) if _is_time(lasts) else None,
            # RFC 6749 section 5.1: what is not said is as it was asked for.
            scopes=tuple(granted.split()) if isinstance(granted, str) else tuple(asked),
        )
        self.files.write(kept)
        return str(said["access_token"])


def _is_time(seconds: object) -> TypeGuard[float]:
    """Say whether these are seconds that can be reckoned with; JSON has numbers that are infinite here, or NaN."""
    return isinstance(seconds, int | float) and -_LONGEST <= seconds <= _LONGEST
