"""`gatepost.testing.Client`: the official client in the process of the test, at the real app and as a real user."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import httpx2

from gatepost.configuration.settings import Settings
from gatepost.testing.clock import Clock
from gatepost.testing.grants import HeldGrant
from gatepost.testing.own_task import HeldOpen
from gatepost.testing.people import SOMEBODY
from gatepost.testing.refusals import Refusals
from gatepost.testing.running_server import RunningServer

try:
    import mcp
    from mcp.client.streamable_http import streamable_http_client
except ModuleNotFoundError as error:
    raise ModuleNotFoundError('gatepost.testing.Client is the official client: pip install "gatepost[dev]".') from error

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

    from gatepost.identity.auth_provider import AuthProvider
    from gatepost.identity.provider import IdentityProvider

_MODES: Final[Mapping[str, Literal["auto", "legacy"]]] = {"modern": "auto", "handshake": "legacy"}


class InProcessClient(HeldOpen, mcp.Client):
    """The official client as a user of a server: `mcp.Client` with everything it has.

        async with Client(server, user="alice", scopes=["notes:write"]) as client:
            await client.call_tool("add", {"text": "milk"})

    The user exists, has approved, and the client sends the token that came of it. An answer 401 or 403 is an `MCPError`
    as of any client, and stands in `refusals`.

    Args:
        target: what `RunningServer` takes, which then runs as long as the client; or a `RunningServer`.
        user: whose client it is, by name; added where there is no such user. None for nobody: no token is sent.
        scopes: what the user has approved, a list or words; by default all that the user can be given.
        roles: what the user is given before that.
        path: of the endpoint, where there are several.
        token: is sent in place of a token that is made here: an API key, or a token of somebody else's.
        era: "modern" for 2026-07-28, where the server knows it; "handshake" for 2025-11-25, in a session.
        settings: as for `RunningServer`, and so are the two that follow; none where the target is one.
        clock: see above.
        provider: see above.
        options: of `mcp.Client`, such as `elicitation_callback`.

    Raises:
        ValueError: at `async with`, as `RunningServer.grant` raises it.
        MCPError: at `async with`, the server lets nobody in without a token.
    """

    running: RunningServer
    """The server, once the client is connected."""
    grant: HeldGrant | None
    """What the user has approved, once the client is connected; None where nobody has."""
    refusals: Refusals
    """The answers 401 and 403 so far, the last at the end."""

    def __init__(
        self,
        target: Any,
        *,
        user: str | None = SOMEBODY,
        scopes: str | Sequence[str] | None = None,
        roles: Sequence[str] = (),
        path: str | None = None,
        token: str | None = None,
        era: Literal["modern", "handshake"] = "modern",
        settings: Mapping[str, str] | Settings | None = None,
        clock: Clock | None = None,
        provider: IdentityProvider | AuthProvider | None = None,
        **options: Any,
    ) -> None:
        if era not in _MODES:
            raise ValueError('era is "modern" or "handshake".')
        given: dict[str, Any] = {"settings": settings, "clock": clock, "provider": provider}
        self._owns_server = not isinstance(target, RunningServer)
        if not self._owns_server and any(value is not None for value in given.values()):
            raise ValueError("The server runs already: give settings, clock and provider to RunningServer.")
        self.running = RunningServer(target, **given) if self._owns_server else target
        self.grant = None
        self.refusals = Refusals()
        self._user, self._scopes, self._roles, self._path = user, scopes, roles, path
        self._token = token
        super().__init__(self._connected(), mode=_MODES[era], **options)

    async def __aenter__(self) -> Self:
        try:
            return await super().__aenter__()
        except* mcp.MCPError as refused:
            # The task group of the transport wraps what the handshake came to.
            raise self._told(refused) from None

    def _told(self, refused: BaseExceptionGroup[mcp.MCPError]) -> mcp.MCPError:
        """Return the one error in a group, with what the server answered."""
        error: BaseException = refused
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        assert isinstance(error, mcp.MCPError)  # noqa: S101 - nothing else is in the group; tells mypy
        if self.refusals:
            error.add_note(f"The server answered {self.refusals[-1]}.")
        return error

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[None]:
        await mcp.Client.__aenter__(self)
        try:
            yield
        finally:
            await mcp.Client.__aexit__(self, None, None, None)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[TransportStreams]:
        """Run the server if it is ours, get a token, and connect."""
        async with AsyncExitStack() as stack:
            if self._owns_server:
                await stack.enter_async_context(self.running)
            running = self.running
            url = running.url_of(self._path)
            token = self._token
            if token is None and self._user is not None and running.needs_tokens:
                self.grant = await running.grant(self._user, self._scopes, roles=self._roles, path=self._path)
            http = await stack.enter_async_context(
                httpx2.AsyncClient(
                    transport=running.transport(),
                    auth=_Bearer(token if self.grant is None else self.grant),
                    event_hooks={"response": [self.refusals.note]},
                    timeout=None,  # the test may stand in a debugger
                )
            )
            yield await stack.enter_async_context(streamable_http_client(url, http_client=http))


class _Bearer(httpx2.Auth):
    """Sends a token, that of a grant as it is at the moment; none where there is none."""

    def __init__(self, token: str | HeldGrant | None) -> None:
        self._token = token

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        token = self._token.access_token if isinstance(self._token, HeldGrant) else self._token
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        yield request
