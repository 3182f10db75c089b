"""Which hosts a server may name to a program on somebody's machine, such as those where one logs in.

A server that is on the internet may name only hosts that are, by https, so that nobody's metadata leads into the
network of whoever asks. On a machine or a network of one's own, servers may name each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import SplitResult, urlsplit

from gatepost.outbound.addresses import is_local_name, is_public

Resolve = Callable[[str], Awaitable[Sequence[str]]]
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


async def resolve(host: str) -> Sequence[str]:
    """Return the addresses of a host. OSError when it has none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, proto=6)  # TCP
    return [str(entry[4][0]) for entry in found]


class NamedHosts:
    """Judges the URLs that a server names.

    Args:
        given: the URL of that server, as the person gave it.
        resolve: finds the addresses of hosts; None where a proxy does, so that a host is judged by its name.
    """

    def __init__(self, given: str, resolve: Resolve | None = resolve) -> None:
        self._given = urlsplit(given)
        self._resolve = resolve
        self._is_on_internet: bool | None = None
        self._refusals: dict[tuple[str, str], str] = {}

    async def look(self) -> bool:
        """Say whether the given server is on the internet.

        It is resolved once: call this before anything is asked of it, since whoever owns its name could answer
        differently later. One public address is enough, and so is having none that can be found.
        """
        if self._is_on_internet is None:
            try:
                self._is_on_internet = any(await self._public(self._given.hostname or ""))
            except (OSError, ValueError):  # a name that no name can be is a ValueError
                self._is_on_internet = True
        return self._is_on_internet

    async def refusal(self, url: str) -> str:
        """Return why a URL must not be asked, or nothing."""
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            return "this is no URL"
        if parts.scheme not in _DEFAULT_PORTS or not host or "@" in parts.netloc:
            return "this is no http or https URL of a server"
        if host == self._given.hostname:
            # By https the certificate says whom one has met; in the clear it may be anybody, at any port.
            if parts.scheme == "https" or _origin(parts) == _origin(self._given) or not await self.look():
                return ""
            return "a server on the internet names an address of its own without https"
        key = (parts.scheme, host)
        if key not in self._refusals:
            self._refusals[key] = await self._refusal_of_another(parts.scheme, host)
        return self._refusals[key]

    async def _refusal_of_another(self, scheme: str, host: str) -> str:
        if not await self.look():
            return ""
        if scheme != "https":
            return "a server on the internet names another host without https"
        try:
            public = await self._public(host)
        except (OSError, ValueError):  # as above
            return "a server on the internet names a host that has no address"
        return "" if public and all(public) else "a server on the internet names a host that is not"

    async def _public(self, host: str) -> Sequence[bool]:
        """Return of each address of a host whether it is public."""
        if self._resolve is None:
            return [is_public(host) or not is_local_name(host.removesuffix("."))]
        return [is_public(address) for address in await self._resolve(host)]


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
