"""What is sent, in both eras, and what a right answer to it is."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

MCP_PATH: Final = "/mcp"
_TIMEOUT_SECONDS: Final = 10
_SENTENCE: Final = re.compile(r"The sum of \d+ and \d+ is (\d+)\.")
"""How the reference server for Node says it."""
META: Final = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "benchmark", "version": "1.0.0"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Era(StrEnum):
    """The two ways of speaking MCP, each by the newest revision that has it."""

    MODERN = "2026-07-28"
    HANDSHAKE = "2025-11-25"


class WrongAnswer(Exception):
    """An answer is not what it has to be; nothing of this server may be timed."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request and the sum that its answer has to hold, if it is a call of an adding tool."""

    headers: Mapping[str, str]
    body: bytes
    id: int
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends: a token, an era and, in the handshake era, the session that the server gave, if it did."""

    token: str
    era: Era
    session: str | None = None

    def call(self, tool: str, id_: int, a: int, b: int) -> Request:
        """Return a call of an adding tool."""
        params = {"name": tool, "arguments": {"a": a, "b": b}}
        return self._request("tools/call", params, id_, name=tool, total=a + b)

    def trigger(self, tool: str, id_: int) -> Request:
        """Return a call of a tool without arguments."""
        return self._request("tools/call", {"name": tool, "arguments": {}}, id_, name=tool)

    def list_tools(self, id_: int, cursor: str | None = None) -> Request:
        """Return a request for the first tools, or those at `cursor`."""
        return self._request("tools/list", {} if cursor is None else {"cursor": cursor}, id_)

    def listen(self, id_: int) -> Request:
        """Return a request for the stream of changes to the list of tools (modern era)."""
        return self._request("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, id_)

    def _request(
        self,
        method: str,
        params: dict[str, Any],
        id_: int,
        *,
        name: str | None = None,
        total: int | None = None,
    ) -> Request:
        headers = {**common_headers(self.token), "MCP-Protocol-Version": self.era.value}
        if self.era is Era.MODERN:
            params = {**params, "_meta": META}
            headers |= {"Mcp-Method": method} | ({} if name is None else {"Mcp-Name": name})
        elif self.session is not None:
            headers["Mcp-Session-Id"] = self.session
        message = {"jsonrpc": "2.0", "id": id_, "method": method, "params": params}
        # Without spaces, as both official clients write it.
        return Request(headers, json.dumps(message, separators=(",", ":")).encode(), id_, total)


def common_headers(token: str) -> dict[str, str]:
    """Return the headers of every request."""
    return {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }


class Connection:
    """One connection to a server on loopback, for the requests that are looked at rather than timed."""

    def __init__(self, port: int, path: str = MCP_PATH) -> None:
        self._path = path
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)

    def open_session(self, token: str) -> Caller:
        """Shake hands and return the caller for what follows.

        Raises:
            WrongAnswer: the server does not speak the handshake era.
        """
        params = {
            "protocolVersion": Era.HANDSHAKE.value,
            "capabilities": {},
            "clientInfo": {"name": "benchmark", "version": "1.0.0"},
        }
        hello = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
        status, headers, answer = self._post(common_headers(token), json.dumps(hello).encode())
        if status != http.client.OK or "result" not in (message := _message(headers, answer)):
            raise WrongAnswer(f"initialize: status {status}: {_shown(answer)}")
        if message["result"]["protocolVersion"] != Era.HANDSHAKE.value:
            raise WrongAnswer(f"initialize: {_shown(answer)}")
        caller = Caller(token, Era.HANDSHAKE, headers.get("mcp-session-id"))
        done = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        session = {} if caller.session is None else {"Mcp-Session-Id": caller.session}
        named = {**common_headers(token), **session, "MCP-Protocol-Version": Era.HANDSHAKE.value}
        self._post(named, json.dumps(done).encode())
        return caller

    def check(self, request: Request) -> dict[str, Any]:
        """Send a request, look at the answer, return its result.

        Raises:
            WrongAnswer: anything about it is not right.
        """
        status, headers, answer = self._post(request.headers, request.body)
        if status != http.client.OK:
            raise WrongAnswer(f"status {status}: {_shown(answer)}")
        message = _message(headers, answer)
        result = message.get("result")
        if message.get("id") != request.id or not isinstance(result, dict) or result.get("isError"):
            raise WrongAnswer(_shown(answer))
        if request.total is not None and _total(result) != request.total:
            raise WrongAnswer(f"not {request.total}: {_shown(answer)}")
        return result

    def pages(self, caller: Caller, count: int) -> list[str | None]:
        """Return the cursors of the pages that together list all `count` tools; the first has none.

        Raises:
            WrongAnswer: it is another number of tools, or a name comes twice.
        """
        cursors: list[str | None] = [None]
        names = []
        while True:
            result = self.check(caller.list_tools(1000 + len(cursors), cursors[-1]))
            names += [tool["name"] for tool in result["tools"]]
            if len(names) != len(set(names)) or len(names) > count:
                raise WrongAnswer(f"{len(names)} tools, {len(set(names))} names")
            if result.get("nextCursor") is None:
                break
            cursors.append(result["nextCursor"])
        if len(names) != count:
            raise WrongAnswer(f"{len(names)} tools, not {count}")
        return cursors

    def refuses(self, request: Request) -> bool:
        """Say whether the server answers this request with 401, as it must when the token is not one."""
        status, _, _ = self._post(request.headers, request.body)
        return status == http.client.UNAUTHORIZED

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _post(self, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        self._connection.request("POST", self._path, body=body, headers=dict(headers))
        response = self._connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return response.status, found, response.read()


def _message(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Return the JSON-RPC message of a body, or the last one of an event stream."""
    text = body.decode()
    if headers.get("content-type", "").startswith("text/event-stream"):
        text = [line for line in text.splitlines() if line.startswith("data:")][-1].removeprefix("data:")
    try:
        message: dict[str, Any] = json.loads(text)
    except ValueError:
        raise WrongAnswer(f"not JSON: {_shown(body)}") from None
    return message


def _total(result: dict[str, Any]) -> int | None:
    """Return the sum in a tool's result; servers differ in how they wrap a plain number."""
    structured = result.get("structuredContent")
    if isinstance(structured, dict) and "result" in structured:
        found = structured["result"]
    else:
        text = result["content"][0]["text"]
        said = _SENTENCE.fullmatch(text)
        found = json.loads(text) if said is None else int(said[1])
        found = found["result"] if isinstance(found, dict) else found
    return found if isinstance(found, int) else None


def _shown(body: bytes) -> str:
    return body[:300].decode(errors="replace")
