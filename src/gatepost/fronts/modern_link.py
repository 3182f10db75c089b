"""A remote server that knows the modern era alone, as a connection of the handshake era (2026-07-28 basic/versioning).

It has no session: each request says who the client is, and what the server wants to know comes as the answer to one
(basic/patterns/mrtr). Towards the core it looks like any other server:

    initialize                 answered out of `server/discover`
    logging/setLevel           kept, and said with every request
    resources/subscribe        kept, and asked for in `subscriptions/listen`, as changes of lists are
    input_required             a question to the client for each input request, then the request again
    notifications/cancelled    the end of the request's stream
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from gatepost.fronts.backend import BackendLost, Outgoing, Receiver
from gatepost.fronts.calls_under_way import CallsUnderWay
from gatepost.fronts.event_stream import ReceivedEvents
from gatepost.fronts.raw_json import Answer, NotAMessage, ServerNotification, decoded, read_message
from gatepost.fronts.remote_answers import refusal
from gatepost.fronts.remote_http import (
    EVENT_STREAM,
    MESSAGE_LIMIT,
    RemoteHttp,
    content_type,
    refusal_body,
    whole_body,
)
from gatepost.protocol.errors import (
    ApplicationError,
    HeaderMismatch,
    InvalidParams,
    MethodNotFound,
    MissingRequiredClientCapability,
    RequestId,
    UnsupportedProtocolVersion,
)
from gatepost.protocol.header_values import encode_header_value, mirrors_of
from gatepost.protocol.json_encoding import encode
from gatepost.protocol.modern import (
    CLIENT_CAPABILITIES,
    CLIENT_INFO,
    LOG_LEVEL,
    NAMED_BY,
    PROTOCOL_VERSION,
    SERVER_INFO,
)
from gatepost.protocol.versions import LATEST_HANDSHAKE, REVISION_2026_07_28

if TYPE_CHECKING:
    from gatepost.fronts.mirrored_headers import HeaderAnnotations
    from gatepost.fronts.remote_backend import Waits
    from gatepost.outbound.streamed import StreamedAnswer
    from gatepost.protocol.header_values import MirroredArgument

REFUSALS: Final = frozenset(
    {
        HeaderMismatch.code,
        InvalidParams.code,
        MethodNotFound.code,
        MissingRequiredClientCapability.code,
        UnsupportedProtocolVersion.code,
    }
)
"""With what such servers refuse `initialize`; others do so too, so `server/discover` has to be answered as well."""
_VERSION: Final = REVISION_2026_07_28.version
_MOST_ROUNDS: Final = 20
_MOST_PAGES: Final = 100
_TAKEN: Final = range(200, 300)
_ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"

logger = logging.getLogger("gatepost.front")


class ModernLink:
    """The connection to such a server.

    Args:
        http: sends the requests; it has no session.
        receiver: takes what the server says, as one of the handshake era would.
        waits: how long is waited for what.
        client: the params of `initialize`.
        annotations: reads what tools say of headers; of all connections with the server.
    """

    def __init__(
        self,
        http: RemoteHttp,
        receiver: Receiver,
        waits: Waits,
        client: Mapping[str, Any],
        annotations: HeaderAnnotations,
    ) -> None:
        self._http = http
        self._receiver = receiver
        self._waits = waits
        self._client = client
        self._capabilities: Mapping[str, Any] = {}
        self._log_level: Any = None
        self._watched: set[str] = set()
        self._mirrored: dict[str, tuple[MirroredArgument, ...]] = {}
        self._annotations = annotations
        self._calls = CallsUnderWay()
        self._listening: asyncio.Task[None] | None = None
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._asked = 0

    async def begin(self, request_id: RequestId) -> bool:
        """Answer `initialize` if the server is of the modern era, and say whether it is."""
        self._http.version = _VERSION
        try:
            found = decoded((await self._sent("server/discover", {}, "discover", None)).result or b"{}")
        except Exception as error:  # noqa: BLE001 - then it is not, and what it said to `initialize` counts
            logger.debug("the server behind does not answer server/discover: %s", type(error).__name__)
            return False
        self._capabilities = found.get("capabilities") or {}
        meta, proposed = found.get("_meta"), self._client.get("protocolVersion", LATEST_HANDSHAKE.version)
        info = meta.get(SERVER_INFO) if type(meta) is dict else None
        said = {name: found[name] for name in ("instructions",) if name in found}
        result = {"protocolVersion": proposed, "capabilities": self._capabilities, "serverInfo": info or {}, **said}
        self._answer(request_id, result)
        return True

    async def send(self, message: Outgoing) -> None:
        """See `Link`."""
        method, request_id = message.method, message.id
        if method is None:
            waiting = self._answers.get(str(request_id))
            if waiting is not None and not waiting.done():
                waiting.set_result(decoded(message.data))
        elif request_id is None:
            if method == "notifications/cancelled":
                self._calls.end(message.params.get("requestId"))
            elif method == "notifications/initialized":
                self._listen_anew()
        elif method in ("ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"):
            self._keep(method, message.params)
            self._answer(request_id, {})
        else:
            self._calls.begin(request_id, self._ask(method, message.params, request_id))

    async def close(self) -> None:
        """See `Link`; who asked for the connection closes what sends its requests."""
        await self._calls.close(self._listening)

    def _keep(self, method: str, params: Mapping[str, Any]) -> None:
        uri = params.get("uri")
        if method == "logging/setLevel":
            self._log_level = params.get("level")
        elif type(uri) is str:
            before = set(self._watched)
            (self._watched.add if method == "resources/subscribe" else self._watched.discard)(uri)
            if self._watched != before:
                self._listen_anew()

    def _answer(self, request_id: RequestId, result: Mapping[str, Any]) -> None:
        self._receiver.take(encode({"jsonrpc": "2.0", "id": request_id, "result": result}))

    async def _ask(self, method: str, params: Mapping[str, Any], request_id: RequestId) -> None:
        """Send a request, and again with what the client answers meanwhile, until there is a result."""
        error: Exception = BackendLost("It asks its client again and again.")
        try:
            given: Mapping[str, Any] = {}
            for _ in range(_MOST_ROUNDS):
                answer = await self._mirroring(method, {**params, **given}, request_id)
                raw = answer.result or b"{}"
                result = decoded(raw) if b"input_required" in raw or method == "tools/list" else {}
                if result.get("resultType") != "input_required":
                    self._note_mirrors(result)
                    self._receiver.take(
                        b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (encode(request_id), raw), request_id
                    )
                    return
                given = {"inputResponses": await self._inputs(result.get("inputRequests") or {}, request_id)}
                if "requestState" in result:
                    given["requestState"] = result["requestState"]
        except Exception as other:  # noqa: BLE001 - whatever it is, somebody waits for an answer
            error = other
        self._receiver.failed(request_id, error)

    async def _mirroring(self, method: str, params: Mapping[str, Any], request_id: RequestId) -> Answer:
        """Send a request; if it lacks headers that mirror arguments, again when the tools' schemas are known."""
        try:
            return await self._sent(method, params, request_id, request_id)
        except ApplicationError as error:
            if method != "tools/call" or error.body()["code"] != HeaderMismatch.code:
                raise
        cursor: Mapping[str, Any] = {}
        for _ in range(_MOST_PAGES):
            page = decoded((await self._sent("tools/list", cursor, "tools", None)).result or b"{}")
            self._note_mirrors(page)
            if not page.get("nextCursor"):
                break
            cursor = {"cursor": page["nextCursor"]}
        return await self._sent(method, params, request_id, request_id)

    def _note_mirrors(self, result: Mapping[str, Any]) -> None:
        """Keep which arguments of tools are mirrored in headers (streamable-http, "Custom Headers")."""
        for tool in result.get("tools") or ():
            if type(tool) is dict and type(tool.get("name")) is str:
                self._mirrored[tool["name"]] = self._annotations.read(tool["name"], tool.get("inputSchema") or {})

    async def _inputs(self, requests: Mapping[str, Any], about: RequestId) -> dict[str, Any]:
        """Ask the client for everything that a call needs; raises ApplicationError: it answered with an error."""
        waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        for key, wanted in requests.items():
            self._asked += 1
            name = f"input-{self._asked}"
            waiting[key] = self._answers[name] = asyncio.get_running_loop().create_future()
            question = {"method": wanted["method"], "params": wanted.get("params") or {}}
            self._receiver.take(encode({"jsonrpc": "2.0", "id": name, **question}), about)
        try:
            responses = {key: await answer for key, answer in waiting.items()}
        finally:
            self._answers = {name: answer for name, answer in self._answers.items() if not answer.done()}
        for response in responses.values():
            if "error" in response:
                raise ApplicationError(response["error"])
        return {key: response["result"] for key, response in responses.items()}

    async def _sent(
        self, method: str, params: Mapping[str, Any], request_id: RequestId, about: RequestId | None
    ) -> Answer:
        """Send one request, and return its answer; what else comes on its stream is `about` the core's request.

        Raises:
            ApplicationError: the server's own error.
            Exception: see `refusal`, `RemoteHttp.asked`.
        """
        body, headers = self._request(method, params, request_id)
        async with self._http.asked("POST", body, headers=headers) as response:
            if response.status not in _TAKEN:
                text = await refusal_body(response)
                if self._http.shows_token(text):
                    text = b""
                raise refusal(response.status, response.headers, text, in_session=False)
            if content_type(response) != EVENT_STREAM:
                found = self._answer_in([await whole_body(response)], request_id, about)
            else:
                found = await self._answer_on(response, request_id, about)
        if found is None:
            raise BackendLost("Its answer ended before there was one.")
        if found.error is not None:
            raise ApplicationError(found.error)
        return found

    async def _answer_on(
        self, response: StreamedAnswer, request_id: RequestId, about: RequestId | None
    ) -> Answer | None:
        """Read a stream to its end, but not for long once the answer is there."""
        events, found, loop = ReceivedEvents(MESSAGE_LIMIT), None, asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None) as bound:
                async for chunk in response.chunks():
                    found = found or self._answer_in(events.feed(chunk), request_id, about)
                    if found is not None:
                        bound.reschedule(loop.time() + self._waits.end)
        return found

    def _answer_in(self, messages: list[bytes], request_id: RequestId, about: RequestId | None) -> Answer | None:
        """Hand on what comes, and return the answer to a request if it is among it."""
        for data in messages:
            if self._http.shows_token(data):
                raise BackendLost("It shows an access token, which no app may see.")
            try:
                message = read_message(data)
            except NotAMessage:
                logger.warning("the server behind sent what is no message (%d bytes)", len(data))
                continue
            if isinstance(message, Answer) and message.id == request_id:
                return message
            if isinstance(message, ServerNotification) and message.method != _ACKNOWLEDGED:
                self._receiver.take(data, about)
        return None

    def _request(self, method: str, params: Mapping[str, Any], request_id: RequestId) -> tuple[bytes, dict[str, str]]:
        """Return a request with its metadata, and the headers that mirror it (streamable-http, "Request Metadata")."""
        meta = {
            **(params.get("_meta") or {}),
            PROTOCOL_VERSION: _VERSION,
            CLIENT_CAPABILITIES: self._client.get("capabilities") or {},
        }
        if "clientInfo" in self._client:
            meta[CLIENT_INFO] = self._client["clientInfo"]
        if self._log_level is not None:
            meta[LOG_LEVEL] = self._log_level
        headers = {"Mcp-Method": method}
        name = params.get(NAMED_BY.get(method, ""))
        if type(name) is str:
            headers["Mcp-Name"] = encode_header_value(name)
            if method == "tools/call":
                headers |= mirrors_of(self._mirrored.get(name, ()), params.get("arguments") or {})
        body = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": {**params, "_meta": meta}}
        return encode(body), headers

    def _listen_anew(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
        wanted = self._wanted()
        self._listening = asyncio.get_running_loop().create_task(self._listen(wanted)) if wanted else None

    def _wanted(self) -> dict[str, Any]:
        """Return the filter of `subscriptions/listen`: all changes of lists, and the resources that are watched."""
        wanted: dict[str, Any] = {
            f"{kind}ListChanged": True
            for kind in ("tools", "prompts", "resources")
            if type(self._capabilities.get(kind)) is dict and self._capabilities[kind].get("listChanged")
        }
        return {**wanted, "resourceSubscriptions": sorted(self._watched)} if self._watched else wanted

    async def _listen(self, wanted: Mapping[str, Any]) -> None:
        """Keep a subscription open."""
        pause = self._waits.pause
        while True:
            try:
                await self._sent("subscriptions/listen", {"notifications": wanted}, "listen", None)
            except ApplicationError as error:
                logger.debug("the server behind refused a subscription: %d", error.body()["code"])
                return
            except Exception as error:  # noqa: BLE001 - the connection goes on without
                logger.debug("a subscription at the server behind broke: %s", type(error).__name__)
            await self._waits.sleep(pause)
            pause = min(pause * 2, self._waits.longest_pause)
