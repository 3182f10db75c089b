"""The MCP URL as clients first meet it: without a token, with the headers that each of them leaves out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from gatepost.doctor.clients import BY_ID, CLIENTS, EVERYBODY, REMOTE
from gatepost.doctor.findings import Check, DoctorFinding, Step, degraded, fails, note
from gatepost.doctor.requester import Requester
from gatepost.doctor.seen import Seen
from gatepost.protocol.modern import CLIENT_CAPABILITIES, CLIENT_INFO, PROTOCOL_VERSION
from gatepost.protocol.versions import LATEST_HANDSHAKE, MODERN

MODERN_VERSION: Final = next(iter(MODERN))
ACCEPT: Final = "application/json, text/event-stream"
_JSON: Final = {"Content-Type": "application/json"}
_INFO: Final = {"name": "gatepost-doctor", "version": "1"}
_MODERN_CLIENTS: Final = ("claude-code", "copilot-cli", "mcp-python")
_BEGIN_WITH_GET: Final = ("codex", "mcp-remote")


def message(method: str, params: Mapping[str, Any] | None = None, *, identifier: int = 1) -> bytes:
    """Return a JSON-RPC request."""
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": identifier, "method": method}
    return json.dumps(body if params is None else {**body, "params": params}).encode()


def initialize(version: str = LATEST_HANDSHAKE.version) -> bytes:
    """Return the request that begins a session."""
    return message("initialize", {"protocolVersion": version, "capabilities": {}, "clientInfo": _INFO})


def modern(method: str, **params: Any) -> tuple[dict[str, str], bytes]:
    """Return headers and body of a request of the modern era, with these parameters."""
    meta = {PROTOCOL_VERSION: MODERN_VERSION, CLIENT_INFO: _INFO, CLIENT_CAPABILITIES: {}}
    headers = {**_JSON, "Accept": ACCEPT, "MCP-Protocol-Version": MODERN_VERSION, "Mcp-Method": method}
    return headers, message(method, {"_meta": meta, **params})


async def observe(seen: Seen, requester: Requester) -> None:
    """Ask as clients do before they have a token."""
    url = seen.url
    headers = {**_JSON, "Accept": ACCEPT}
    seen.initialize = await requester.ask("POST", url, headers, initialize())
    if not seen.initialize.status:
        return
    seen.variant = await requester.ask("POST", _variant(url), headers, initialize())
    if seen.initialize.is_redirect or seen.host_is_refused:
        return
    seen.bare = await requester.ask("POST", url, {**_JSON, "User-Agent": ""}, initialize())
    seen.discover = await requester.ask("POST", url, *modern("server/discover"))
    seen.get = await requester.ask("GET", url, {"Accept": "*/*", "MCP-Protocol-Version": "2024-11-05"})
    seen.head = await requester.ask("HEAD", url, {"Accept": "application/json"})
    agents = [client for client in CLIENTS if client.user_agent]
    seen.by_agent = {
        client.id: await requester.ask("POST", url, {**headers, "User-Agent": client.user_agent}, initialize())
        for client in agents
    }


def _variant(url: str) -> str:
    """Return the URL with a slash at its end, or without the one that it has."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/") if parts.path.endswith("/") and parts.path != "/" else f"{parts.path}/"
    return urlunsplit(parts._replace(path=path if parts.path.strip("/") else "/"))


def _reachable(seen: Seen) -> Iterable[DoctorFinding]:
    return [] if seen.initialize.status else fails(seen.initialize.seen)


def _https(seen: Seen) -> Iterable[DoctorFinding]:
    is_plain = urlsplit(seen.url).scheme == "http" and not seen.is_local
    return fails("the URL begins with http://", REMOTE) if is_plain else []


def _redirect(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.initialize.status:
        return None
    return fails(seen.initialize.seen) if seen.initialize.is_redirect else []


def _slash_variant(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.variant.status or seen.initialize.is_redirect:
        return None
    return degraded(seen.variant.seen) if seen.variant.is_redirect else []


def _host(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.initialize.status or seen.initialize.is_redirect:
        return None
    return fails(f"{seen.initialize.seen}, for Host: {urlsplit(seen.url).netloc}") if seen.host_is_refused else []


def _asks_for_login(seen: Seen) -> Iterable[DoctorFinding] | None:
    answer = seen.initialize
    if not answer.status or answer.is_redirect or seen.host_is_refused or seen.is_locked:
        return [] if seen.is_locked else None
    if answer.status == HTTPStatus.OK:
        return [] if seen.resource_document else note(f"{answer.seen}: it asks nobody to log in")
    if answer.status == HTTPStatus.FORBIDDEN:
        return fails(answer.seen, tuple(client for client in EVERYBODY if client != "vscode"))
    return fails(answer.seen)


def _get(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.is_locked:
        return None
    if seen.get.status == HTTPStatus.UNAUTHORIZED:
        return []
    is_broken = not seen.get.status or seen.get.is_server_error
    return fails(seen.get.seen, _BEGIN_WITH_GET) if is_broken else degraded(seen.get.seen, _BEGIN_WITH_GET)


def _head(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.is_locked:
        return None
    is_broken = not seen.head.status or seen.head.is_server_error or seen.head.is_redirect
    return degraded(seen.head.seen, ("gemini-cli",)) if is_broken else []


def _bare(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.is_locked:
        return None
    is_other = seen.bare.status != seen.initialize.status
    return note(f"{seen.bare.seen}, without Accept and User-Agent") if is_other else []


def _modern(seen: Seen) -> Iterable[DoctorFinding] | None:
    answer = seen.discover
    if not seen.is_locked:
        return None
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return []
    said = f"{answer.seen}, for server/discover"
    is_broken = not answer.status or answer.is_server_error
    return fails(said, _MODERN_CLIENTS) if is_broken else degraded(said, _MODERN_CLIENTS)


def _agents(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.by_agent:
        return None
    return [
        finding
        for identifier, answer in seen.by_agent.items()
        if answer.status != seen.initialize.status
        for finding in fails(
            f"{answer.seen}, with User-Agent: {BY_ID[identifier].user_agent}; {seen.initialize.status} with another",
            (identifier,),
        )
    ]


STEP: Final = Step(
    "The MCP URL, without a token",
    (
        Check(
            id="reachable",
            title="the server answers",
            why="Without an answer there is nothing to log in to.",
            change="Look at the name, the port, the certificate and the firewall; a private address cannot be reached "
            "by clients that run at their vendor's.",
            look=_reachable,
        ),
        Check(
            id="https",
            title="the URL is https, or on this machine",
            why="MCP authorization wants https everywhere but on loopback, and clients at their vendor's take nothing "
            "else (MCP authorization, Communication Security).",
            change="Put a proxy with TLS in front. Gatepost: MCP_PUBLIC_URL=https://…, docs/proxies.md.",
            look=_https,
        ),
        Check(
            id="no-redirect",
            title="the URL answers by itself and does not redirect",
            why="Clients drop the Authorization header or the body when they follow a redirect, and then log in again "
            "and again.",
            change="Serve the path with and without the slash at its end, or give people the URL that it leads to. "
            "Starlette and FastAPI: redirect_slashes=False, or mount at the exact path.",
            look=_redirect,
        ),
        Check(
            id="slash-variant",
            title="the other spelling of the URL, with or without a slash at its end, does not redirect",
            why="People type it either way; a client that follows the redirect drops the token.",
            change="Serve both spellings. Starlette and FastAPI: redirect_slashes=False and a route for each.",
            look=_slash_variant,
        ),
        Check(
            id="host-accepted",
            title="the server knows the host by which it is called",
            why="A guard against DNS rebinding refuses hosts that it was not told of.",
            change="Tell the server its public name. Gatepost: MCP_PUBLIC_URL, or MCP_ALLOWED_HOSTS for more names. "
            "Official SDKs: allowed hosts of the transport's security settings. Or let the proxy keep Host.",
            look=_host,
        ),
        Check(
            id="asks-for-login",
            title="a request without a token is answered 401",
            why="Clients begin a login at 401 and at nothing else; 403 is final for all but VS Code, 404 is taken for "
            "a wrong URL or an ended session, and after a 503 gemini-cli forgets its tokens and official Python "
            "clients open the browser (RFC 9728 section 5, RFC 6750 section 3.1).",
            change="Answer 401 with a challenge, and keep 5xx for faults. A firewall or a login page of a platform in "
            "front of the server answers like this, too: let the MCP path and /.well-known/ through.",
            look=_asks_for_login,
        ),
        Check(
            id="get-probe",
            title="GET without a token is answered 401, too",
            why="codex and mcp-remote begin with GET and look for the challenge there; without it they try the "
            "well-known addresses.",
            change="Guard every method of the MCP URL, before the method is looked at.",
            look=_get,
        ),
        Check(
            id="head-probe",
            title="HEAD is answered",
            why="gemini-cli begins its login with HEAD; 405 is fine, an error of the server is not.",
            change="Answer HEAD as GET, or 405.",
            look=_head,
        ),
        Check(
            id="without-headers",
            title="401 comes before anything is said about missing headers",
            why="A program that leaves out Accept is told that it has to log in, and not that a header is wrong; "
            "gemini-cli never sends MCP-Protocol-Version.",
            change="Look at the token before Accept and MCP-Protocol-Version.",
            look=_bare,
        ),
        Check(
            id="modern-probe",
            title="server/discover without a token is answered 401",
            why="Clients of 2026-07-28 begin with it; another answer makes them take the server for an older one, and "
            "costs a request at every start.",
            change="Look at the token before the method.",
            look=_modern,
        ),
        Check(
            id="user-agents",
            title="no client is turned away for its User-Agent",
            why="Firewalls in front of servers know the User-Agent of programs, and block some.",
            change="Exempt the MCP URL, /.well-known/ and the OAuth endpoints from bot protection.",
            look=_agents,
        ),
    ),
)
