"""`Remote`: an MCP server on Streamable HTTP elsewhere, to put behind an endpoint, in code."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from gatepost.fronts.sharing import SHARES, Share, Sharing
from gatepost.outbound.addresses import names_this_machine

if TYPE_CHECKING:
    from gatepost.fronts.introduction import Introduction
    from gatepost.fronts.remote_backend import RemoteBackend
    from gatepost.outbound.streamed import StreamedWay
    from gatepost.resource.scope_map import ScopeMap
    from gatepost.server.calls.upstream import Upstream

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token of RFC 9110 section 5.6.2
_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")
_OURS: Final = re.compile(
    r"accept|accept-encoding|connection|content-.*|cookie|host|last-event-id|mcp-.*|te|transfer-encoding|upgrade",
    re.IGNORECASE,
)
"""Headers that the protocol gives a meaning."""


class Remote:
    """An MCP server elsewhere: `create_app(Remote("https://mcp.example.com/mcp"))`.

    It runs unchanged. Each client session has a session of its own there, and the client's token is never sent on.

    Args:
        url: the address of its MCP endpoint; https, or http on this machine.
        headers: sent with every request, such as `{"Authorization": "Bearer ..."}`.
        upstream: the name of a login provider whose access token for the caller is sent as `Authorization`, so that
            each person acts as themselves there.
        allow_http: whether an `http` address of another machine is taken, for networks that nobody listens in.
        share: who shares a session there: `"session"`, nobody but one client's session; `"user"`, what one user opens;
            `"all"`, everybody.
        serial: whether a session is asked one thing at a time.
        start_seconds: how long it may take until it has answered `initialize`.
        idle_seconds: how long a session lives without being used.
        most_sessions: how many there may be.
        most_per_user: how many of them may be one user's.
        scopes: what its tools, prompts and resources need; what MCP_SCOPES_FILE says when None.

    Raises:
        ValueError: the address or a header can never work, or a value cannot be meant.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        upstream: str | None = None,
        allow_http: bool = False,
        share: Share = "session",
        serial: bool = False,
        start_seconds: float = 30.0,
        idle_seconds: float = Sharing.idle_seconds,
        most_sessions: int = 1000,
        most_per_user: int = 100,
        scopes: ScopeMap | None = None,
    ) -> None:
        _check_url(url, allow_http=allow_http)
        given = dict(headers or {})
        for name, value in given.items():
            _check_header(name, value)
        if upstream is not None and any(name.lower() == "authorization" for name in given):
            raise ValueError("upstream= sends Authorization, so headers= cannot have one")
        if share not in SHARES:
            raise ValueError(f"share= takes one of {', '.join(SHARES)}")
        if share == "all" and upstream is not None:
            raise ValueError('upstream= is for each person their own, which share="all" has no place for')
        if min(start_seconds, idle_seconds, most_sessions, most_per_user) <= 0:
            raise ValueError("times and numbers of sessions are greater than 0")
        self.url = url
        self.headers = given
        self.upstream = upstream
        self.sharing = Sharing(
            share=share,
            is_serial=serial,
            start_seconds=start_seconds,
            idle_seconds=idle_seconds,
            most_sessions=most_sessions,
            most_per_user=most_per_user,
            spares=0,
        )
        self.scopes = scopes
        self.introduction: Introduction | None = None
        """What the server said when it was tried; None until then."""
        self.is_tried = False
        """Whether it has been tried already."""

    def backend(self, way: Callable[[str], StreamedWay], upstream: Upstream | None) -> RemoteBackend:
        """Return what begins sessions.

        Args:
            way: returns a way to an address, for streams.
            upstream: gives tokens of login providers; None where nobody logs in elsewhere.
        """
        from gatepost.fronts.credentials import CallersTokens, FixedHeaders  # noqa: PLC0415 - once it is served
        from gatepost.fronts.remote_backend import RemoteBackend  # noqa: PLC0415 - likewise

        if self.upstream is None:
            return RemoteBackend(url=self.url, credentials=FixedHeaders(self.headers), way=way)
        return RemoteBackend(url=self.url, credentials=CallersTokens(self.upstream, upstream, self.headers), way=way)


def _check_url(url: str, *, allow_http: bool) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("https", "http") or not host or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("name the address of an MCP endpoint, such as https://mcp.example.com/mcp")
    if "@" in parts.netloc:
        # It would be in every log that names the address.
        raise ValueError("credentials do not belong into an address: give them as a header")
    if parts.fragment:
        raise ValueError("an address with a # in it is none of a server")
    if parts.scheme == "http" and not allow_http and not names_this_machine(host):
        raise ValueError(
            "an http address sends everything in the clear: use https, or allow it for a network of your own"
        )


def _check_header(name: str, value: str) -> None:
    if _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
        # Without the value, which may be a secret.
        raise ValueError(f"the header {name!r} cannot be sent: names are tokens, and values visible ASCII characters")
    if _OURS.fullmatch(name):
        raise ValueError(f"the header {name} is the protocol's own")
