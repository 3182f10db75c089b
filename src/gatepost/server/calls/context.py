"""What a tool can ask about the call it serves, and what it can send to its client meanwhile."""

from __future__ import annotations

import inspect
import json
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_origin, overload

from pydantic import BaseModel

from gatepost.protocol.errors import MissingRequiredClientCapability
from gatepost.protocol.messages import is_progress_token
from gatepost.server.calls.callers import ANONYMOUS, CallingClient, CallingUser
from gatepost.server.calls.client_requests import (
    ClientRequest,
    Elicit,
    Elicited,
    ElicitURL,
    ListRoots,
    Root,
    Sample,
    Sampled,
    is_declared,
)
from gatepost.server.calls.context_log import ContextLogger
from gatepost.server.calls.exchange import Exchange, McpClient, Remembering
from gatepost.server.calls.trace_context import traceparent_of
from gatepost.server.calls.upstream import NotLinked, Upstream, token_of, without_tokens
from gatepost.server.calls.worker_threads import wait_in_thread
from gatepost.server.errors import UnknownState

if TYPE_CHECKING:
    # For the annotation alone: this package runs without a web framework, over stdio for instance.
    from starlette.requests import Request

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)

_NOTHING: Final[Mapping[str, Any]] = {}


class Context:
    """One tool call, as the tool sees it. Injected into any parameter annotated `Context`; never part of the schema.

    Everything is computed when it is asked for.

    Whoever asks the client (`elicit`, `sample`, `roots`, `request_all`) should know that in the modern era the call
    ends there, and that **the tool runs again from its beginning** when the client comes back with the answers; what
    was answered is then there at once. So ask before you change anything, or wrap what must not happen twice in `once`.

    The asynchronous methods belong to the event loop. A tool that is a plain function, and so runs in a thread, calls
    them through `wait`; everything else may be used there as it is.
    """

    __slots__ = (
        "_client",
        "_counts",
        "_exchange",
        "_keys",
        "_log",
        "_memory",
        "_params",
        "_progress",
        "_request",
        "_state",
        "_tool",
        "_upstream",
    )

    def __init__(
        self,
        exchange: Exchange | None = None,
        client: McpClient | None = None,
        *,
        params: Mapping[str, Any] = _NOTHING,
        state: Mapping[str, Any] = _NOTHING,
        tool: str = "",
        upstream: Upstream | None = None,
    ) -> None:
        """Prepare for one run of a tool. Gatepost does; a test of a tool may, as in `Context(state={"db": db})`.

        Args:
            exchange: that of the request; by default one of somebody without authentication.
            client: its client; None where it can be sent nothing before the result.
            params: the request's.
            state: what the server's lifespan yielded.
            tool: the tool's name, or what a prompt or resource is called in the log.
            upstream: gives tokens of login providers; None where nobody logs in at one.
        """
        self._exchange = Exchange() if exchange is None else exchange
        self._client = client
        self._params = params
        self._state = state
        self._tool = tool
        self._upstream = upstream
        self._request: Request | None = None
        self._progress = -math.inf
        self._counts: dict[str, int] = {}
        self._keys: set[str] = set()
        self._memory: MutableMapping[str, Any] | None = None
        self._log: ContextLogger | None = None

    @property
    def exchange(self) -> Exchange:
        """That of the request, for extensions of the protocol."""
        return self._exchange

    @property
    def user(self) -> CallingUser:
        """Who the call is made for."""
        caller = self._exchange.principal
        if caller is None:
            return CallingUser(ANONYMOUS, None)
        return CallingUser(caller.subject, caller.display_name, caller.user_issuer, caller.profile, caller.roles)

    @property
    def client(self) -> CallingClient:
        """Which application makes the call."""
        principal = self._exchange.principal
        if principal is None:
            return CallingClient(None, None)
        return CallingClient(principal.client_id, principal.client_name, principal.actors)

    @property
    def scopes(self) -> frozenset[str]:
        """What the caller's token allows; empty without authentication."""
        return self._exchange.granted or frozenset()

    @property
    def request(self) -> Request:
        """The request that carries this call: headers, address, and so on. Its body has been read.

        Raises RuntimeError: the call did not come with a request.
        """
        if self._request is None:
            self._request = self._exchange.http_request()
        if self._request is None:
            raise RuntimeError("this call did not come with a request")
        return self._request

    @property
    def traceparent(self) -> str | None:
        """The trace context of this call, for requests that it sends on: `headers={"traceparent": ctx.traceparent}`.

        That of the call's own span where the server traces (docs/observability.md), else what the client sent; None
        where there is neither. Libraries that OpenTelemetry instruments send it by themselves.
        """
        return traceparent_of(self._params, self._exchange.headers)

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody waits for the result any more. From any thread.

        The client cancelled the call or closed its response, the session was ended, or the server stops and the call
        has had its time. An async tool is then cancelled at its next `await`, too. A plain function is not stopped: one
        that takes long asks this now and then and returns; what it returns is dropped.
        """
        return self._exchange.is_closed

    @overload
    def state(self, key: str) -> Any: ...

    @overload
    def state(self, key: str, kind: type[T]) -> T: ...

    def state(self, key: str, kind: type[Any] | None = None) -> Any:
        """Return what the server's lifespan yielded under `key`, or that of an app around it (ASGI, "Lifespan State").

        Args:
            key: A key of the mapping that the lifespan yielded; the server's own goes first.
            kind: The type it must have, checked now; without it nothing is checked and the value is of type `Any`.

        Raises:
            UnknownState: No lifespan yielded such a key.
            TypeError: The value is of another type.
        """
        known = self._state if key in self._state else {**self._exchange.outer_state, **self._state}
        if key not in known:
            names = ", ".join(sorted(known)) or "none: the server's lifespan yielded nothing"
            raise UnknownState(f"there is no state {key!r}; known keys: {names}")
        value = known[key]
        # `dict[str, int]` is no class to check against; its origin is.
        if kind is not None and not isinstance(value, get_origin(kind) or kind):
            raise TypeError(f"the state {key!r} is of type {type(value).__name__}, not {kind}")
        return value

    @property
    def log(self) -> ContextLogger:
        """A standard logger, `gatepost.tools.<tool>`, that marks each record with user, client and tool.

        Clients that ask for log messages get them, too; so write nothing here that the caller must not read.
        """
        if self._log is None:
            logger = logging.getLogger(f"gatepost.tools.{self._tool}" if self._tool else "gatepost.tools")
            fields = {"subject": self.user.subject, "client_id": self.client.client_id, "tool": self._tool}
            self._log = ContextLogger(logger, fields, name=self._tool, exchange=self._exchange, client=self._client)
        return self._log

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Report progress to the client (MCP basic, "Progress"); nothing happens if it did not ask for that.

        Args:
            progress: How much is done. What is not more than before is not sent: progress only grows.
            total: How much there is, if that is known.
            message: What is going on, in words.

        Raises:
            ValueError: A number is infinite or none.
        """
        if not math.isfinite(progress) or not math.isfinite(total or 0):
            raise ValueError("progress takes finite numbers")
        meta = self._params.get("_meta")
        token = meta.get("progressToken") if type(meta) is dict else None
        is_asked_for = self._client is not None and is_progress_token(token)
        if not (is_asked_for or self._exchange.takes_progress) or progress <= self._progress:
            return
        self._progress = progress
        report = {"progressToken": token, "progress": progress, "total": total, "message": message}
        params = {name: value for name, value in report.items() if value is not None}
        await self._exchange.notify("notifications/progress", params)

    @property
    def client_capabilities(self) -> Mapping[str, Any]:
        """What the client can do, as it declares it: `"sampling" in ctx.client_capabilities`."""
        return _NOTHING if self._client is None else self._client.client_capabilities

    @overload
    async def elicit(self, message: str, form: type[Model], *, key: str | None = None) -> Elicited[Model]: ...

    @overload
    async def elicit(
        self, message: str, form: Mapping[str, Any], *, key: str | None = None
    ) -> Elicited[dict[str, Any]]: ...

    async def elicit(
        self, message: str, form: type[BaseModel] | Mapping[str, Any], *, key: str | None = None
    ) -> Elicited[Any]:
        """Ask the user to fill in a form. Never for passwords, keys and the like: see `elicit_url`.

        Args:
            message: What the user is told.
            form: A Pydantic model, or a schema, with texts, numbers, booleans and choices as its fields. Defaults are
                shown to the user.
            key: What the answer is known by on a second run; by default the order of the requests decides.

        Raises:
            MissingRequiredClientCapability: The client shows no forms. Let it through, or do without.
            InvalidAnswer: The client's answer does not fit the form.
            UnsupportedForm: The form has other fields than those.
        """
        return await self._send(Elicit(message, form), key)

    async def elicit_url(self, message: str, url: str, *, key: str | None = None) -> Elicited[None]:
        """Ask the user to visit a page, for what the client must not see. Raises as `elicit` does.

        Returns:
            Whether the user agreed; that they are done there is for the server to find out.
        """
        return await self._send(ElicitURL(message, url), key)

    async def upstream_token(self, provider: str, *, refused: str | None = None) -> str:
        """Return an access token with which to act at a login provider as the person who calls, and never as another.

        Where they have not linked their account there, a client that can is asked to lead them to the page for it, and
        the call goes on once they have done so; so ask before you change anything. The token is renewed when it is
        about to end. Keep it to yourself: whatever a tool returns or logs, its client may read.

        Args:
            provider: The provider's name, such as `github`; it has to keep tokens (`keep_tokens=True`).
            refused: A token from here that the provider's API has answered with 401; another one is returned.

        Raises:
            NotLinked: They have to go there first; the text says where. Let it through.
            UpstreamUnavailable: The provider has to be asked for a new token and does not answer. Let it through.
            NoPerson: The caller is nobody who logs in: an API key, a client for itself, anybody, or a local client.
            UnknownUpstream: No login provider of that name keeps tokens.
        """
        return await token_of(self._upstream, self._exchange, provider, refused=refused, lead=self._lead)

    async def sample(
        self,
        messages: str | Sequence[Any],
        *,
        max_tokens: int = 1000,
        system_prompt: str | None = None,
        temperature: float | None = None,
        stop_sequences: Sequence[str] = (),
        model_preferences: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Sampled:
        """Ask the client's model; the arguments are those of `Sample`, and `key` as for `elicit`.

        Raises as `elicit` does, and `ClientError` if the user forbids it.
        """
        request = Sample(messages, max_tokens, system_prompt, temperature, stop_sequences, model_preferences)
        return await self._send(request, key)

    async def roots(self, *, key: str | None = None) -> tuple[Root, ...]:
        """Ask which folders the user has opened in the client. Raises as `elicit` does."""
        return await self._send(ListRoots(), key)

    async def request_all(self, requests: Mapping[str, ClientRequest[Any]]) -> dict[str, Any]:
        """Send several requests to the client at once, which spares the modern era runs and the user waiting.

        Args:
            requests: `Elicit`, `ElicitURL`, `Sample` and `ListRoots` by key.

        Returns:
            What each of them gives, by key. Raises as `elicit` does.
        """
        client, declared = self._client, self.client_capabilities
        for request in requests.values():
            # 2026-07-28 basic/patterns/mrtr: a client is asked only what it declared that it can answer.
            if client is None or not is_declared(request.capability, declared):
                raise MissingRequiredClientCapability(request.capability)
        if client is None:
            return {}
        if used := self._keys & requests.keys():
            raise ValueError(f"the key {min(used)!r} stands for another request of this call already")
        self._keys.update(requests)
        asked = {key: {"method": request.method, "params": request.params()} for key, request in requests.items()}
        results = await client.request(without_tokens(asked, self._exchange.handed_out))
        return {key: request.read(results[key]) for key, request in requests.items()}

    @overload
    async def once(self, key: str, function: Callable[[], Awaitable[T]]) -> T: ...

    @overload
    async def once(self, key: str, function: Callable[[], T]) -> T: ...

    async def once(self, key: str, function: Callable[[], Any]) -> Any:
        """Run `function` and return what it returns; on a second run of the call return that without running it again.

        For what must not happen twice because the call asks its client something afterwards: writing, paying, drawing
        a random number. What it returned travels with the client in between, sealed.

        Args:
            key: What the value is known by; unique within the call.
            function: Takes nothing and returns JSON; sync or async. A sync one runs right here.

        Raises:
            TypeError: It returned something that is not JSON.
        """
        client: object = self._client
        memory = self._memory
        if memory is None:
            # Where every request runs once, nothing has to outlast the run.
            memory = self._memory = client.memory if isinstance(client, Remembering) else {}
        if key not in memory:
            value = function()
            # Through JSON on the first run too, so that both runs see the same.
            memory[key] = json.loads(json.dumps(await value if inspect.isawaitable(value) else value))
            if isinstance(client, Remembering):
                await client.keep(key)
        return memory[key]

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run one of the asynchronous methods from a tool that is a plain function: `ctx.wait(ctx.progress(1, 2))`.

        Raises:
            concurrent.futures.CancelledError: The call was cancelled; nobody waits for the tool any more.
            RuntimeError: This is not such a tool's thread.
            BaseException: Whatever `work` raises.
        """
        return wait_in_thread(work)

    async def close_stream(self) -> None:
        """End the HTTP response of this call early, so that a long call holds no connection; the client polls for more.

        Only the streams of sessions can be resumed; elsewhere nothing happens.
        """
        await self._exchange.close_stream()

    async def _lead(self, missing: NotLinked, key: str) -> bool:
        """Ask the person to link an account, once in a run; False where they were not asked, or said no."""
        if key in self._keys:
            return True
        if not is_declared(ElicitURL.capability, self.client_capabilities):
            return False
        message = f"To go on, link your account at {missing.provider}."
        return (await self.elicit_url(message, missing.url, key=key)).accepted

    async def _send(self, request: ClientRequest[T], key: str | None) -> T:
        if key is None:
            self._counts[request.kind] = count = self._counts.get(request.kind, 0) + 1
            key = f"{request.kind}-{count}"
        results = await self.request_all({key: request})
        result: T = results[key]
        return result
