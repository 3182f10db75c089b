"""Servers broken on purpose: exactly the fault is named, with those whom it keeps out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import quote

import pytest
from starlette.types import ASGIApp

from gatepost.doctor.clients import EVERYBODY, REGISTERING
from tests.doctor.broken_server import (
    API_KEY,
    ORIGIN,
    RESOURCE,
    Answered,
    Asked,
    Fault,
    GoOn,
    altered,
    answered,
    at,
    concerned,
    diagnosed,
    instead,
    named,
    oauth_error,
    our_app,
)

SERVER = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"
MCP = "/mcp"
NOT_FOUND = Answered(404, {"content-type": "text/html"}, b"<h1>Not found</h1>")
EVERY = set(EVERYBODY)
NO_METHOD = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "Method not found"}}


@pytest.fixture
async def app() -> AsyncIterator[ASGIApp]:
    """Our server, with nothing wrong."""
    async with our_app() as made:
        yield made


def without_token(asked: Asked) -> bool:
    return asked.path == MCP and "authorization" not in asked.headers


def listens(asked: Asked) -> bool:
    return "authorization" in asked.headers and asked.headers.get("mcp-method") == "subscriptions/listen"


def refuses_redirect_uris(*prefixes: str) -> Fault:
    async def fault(asked: Asked, go_on: GoOn) -> Answered:
        if at("/oauth/register", "POST")(asked) and any(
            uri.startswith(prefixes) for uri in asked.document["redirect_uris"]
        ):
            return oauth_error("invalid_redirect_uri")
        return await go_on(asked)

    return fault


async def compares_ports(asked: Asked, go_on: GoOn) -> Answered:
    if asked.path == "/oauth/authorize" and ":61873" in asked.query["redirect_uri"]:
        return Answered(400, {"content-type": "text/html"}, b"redirect_uri mismatch")
    return await go_on(asked)


async def compares_ports_of_names(asked: Asked, go_on: GoOn) -> Answered:
    """As a reading of RFC 8252 does that knows addresses alone."""
    if asked.path == "/oauth/authorize" and asked.query["redirect_uri"].startswith("http://localhost:61873"):
        return Answered(400, {"content-type": "text/html"}, b"redirect_uri mismatch")
    return await go_on(asked)


async def takes_itself_for_http(asked: Asked, go_on: GoOn) -> Answered:
    """As behind a proxy that ends TLS and does not say so: all it says of itself is http, and so is what it takes."""
    there, here = ORIGIN, ORIGIN.replace("https", "http")
    url = asked.url.replace(quote(here, safe=""), quote(there, safe=""))
    answer = await go_on(replace(asked, url=url, body=asked.body.replace(quote(here, safe="").encode(), b"")))
    headers = {
        name: value.replace(there, here).replace(quote(there, safe=""), quote(here, safe=""))
        for name, value in answer.headers.items()
        if name != "content-length"
    }
    return replace(answer, headers=headers, body=answer.body.replace(there.encode(), here.encode()))


async def refuses_resource(asked: Asked, go_on: GoOn) -> Answered:
    if asked.path == "/oauth/authorize" and "resource" in asked.query:
        return answered(400, {"error": "invalid_target"})
    return await go_on(asked)


async def wants_scopes_registered(asked: Asked, go_on: GoOn) -> Answered:
    query = asked.query
    if asked.path == "/oauth/authorize" and query["redirect_uri"] == "http://127.0.0.1:41853/" and "scope" in query:
        return Answered(302, {"location": f"{query['redirect_uri']}?error=invalid_scope&state=1"})
    return await go_on(asked)


async def forgets_iss(asked: Asked, go_on: GoOn) -> Answered:
    answer = await go_on(asked)
    location = answer.headers.get("location", "")
    return replace(answer, headers={**answer.headers, "location": location.partition("&iss=")[0]})


async def redirects_anywhere(asked: Asked, go_on: GoOn) -> Answered:
    if asked.path == "/oauth/authorize" and asked.query["redirect_uri"].endswith("invalid/callback"):
        return Answered(302, {"location": f"{asked.query['redirect_uri']}?error=access_denied"})
    return await go_on(asked)


async def blocks_node(asked: Asked, go_on: GoOn) -> Answered:
    if asked.headers.get("user-agent") in {"node", "undici"}:
        return Answered(403, {"content-type": "text/html"}, b"Attention required")
    return await go_on(asked)


async def blocks_the_nameless(asked: Asked, go_on: GoOn) -> Answered:
    if "/.well-known/" in asked.path and "user-agent" not in asked.headers:
        return Answered(403, {"content-type": "text/html"}, b"Attention required")
    return await go_on(asked)


async def refuses_origins(asked: Asked, go_on: GoOn) -> Answered:
    if asked.path == MCP and asked.headers.get("origin") == "https://chatgpt.com":
        return answered(403, {"error": "origin"})
    return await go_on(asked)


def unknown_client(asked: Asked) -> bool:
    return at("/oauth/token", "POST")(asked) and asked.form["client_id"] == "gatepost-doctor-is-unknown"


def known_client(asked: Asked) -> bool:
    return at("/oauth/token", "POST")(asked) and not unknown_client(asked)


def is_discovery(asked: Asked) -> bool:
    return "/.well-known/" in asked.path and "origin" in asked.headers


FAULTS: dict[str, tuple[Fault, dict[str, str], set[str]]] = {
    "metadata missing at the path": (
        instead(at(RESOURCE + MCP), NOT_FOUND),
        {"resource-metadata-at-path": "degraded"},
        set(),
    ),
    "metadata missing at the root": (instead(at(RESOURCE), NOT_FOUND), {"resource-metadata-at-root": "note"}, set()),
    "metadata missing everywhere, as when an app is mounted": (
        instead(lambda asked: asked.path.startswith(RESOURCE), NOT_FOUND),
        {"resource-metadata": "fails"},
        EVERY,
    ),
    "a page for every address, as single-page apps have": (
        instead(at(RESOURCE + MCP), Answered(200, {"content-type": "text/html"}, b"<!doctype html>")),
        {"resource-metadata-at-path": "degraded"},
        set(),
    ),
    "slash at the end of the issuer": (
        altered(
            lambda asked: asked.path.startswith(RESOURCE),
            lambda answer: answer.saying(authorization_servers=[f"{ORIGIN}/"]),
        ),
        {"issuer": "fails"},
        {"mcp-python", "mcp-go"},
    ),
    "an issuer without the path that the resource names": (
        altered(
            lambda asked: asked.path.startswith(RESOURCE),
            lambda answer: answer.saying(authorization_servers=[f"{ORIGIN}/mcp"]),
        ),
        {"issuer": "fails"},
        {"mcp-python", "mcp-typescript", "mcp-go"},
    ),
    "slash at the end of the resource": (
        altered(lambda asked: asked.path.startswith(RESOURCE), lambda answer: answer.saying(resource=f"{ORIGIN}/mcp/")),
        {"resource-identifier": "fails"},
        {"vscode"},
    ),
    "metadata of another resource": (
        altered(
            lambda asked: asked.path.startswith(RESOURCE),
            lambda answer: answer.saying(resource="https://other.example/mcp"),
        ),
        {"resource-identifier": "fails", "resource-parameter": "fails"},
        EVERY,
    ),
    "wrong scheme behind a proxy": (takes_itself_for_http, {"scheme": "fails"}, EVERY),
    "redirect to the slash": (
        instead(lambda asked: asked.path == MCP, Answered(307, {"location": f"{ORIGIN}/mcp/"})),
        {"no-redirect": "fails"},
        EVERY,
    ),
    "redirect from the slash": (
        instead(at("/mcp/"), Answered(307, {"location": f"{ORIGIN}/mcp"})),
        {"slash-variant": "degraded"},
        set(),
    ),
    "421 for the public host": (
        instead(at(MCP), Answered(421, {"content-type": "text/plain"}, b"Invalid Host header")),
        {"host-accepted": "fails"},
        EVERY,
    ),
    "403 for the public host, as the TypeScript SDK says it": (
        instead(at(MCP), answered(403, {"error": {"code": -32000, "message": "Invalid Host: mcp.example.com"}})),
        {"host-accepted": "fails"},
        EVERY,
    ),
    "no exposed headers": (
        altered(without_token, lambda answer: answer.without("access-control-expose-headers")),
        {"cors-exposed-headers": "fails"},
        {"inspector"},
    ),
    "guard outside of the cross-origin rules": (
        altered(
            lambda asked: without_token(asked) and asked.method != "OPTIONS",
            lambda answer: answer.without("access-control-allow-origin"),
        ),
        {"401-readable": "fails"},
        {"inspector"},
    ),
    "preflights need a token": (
        instead(at(MCP, "OPTIONS"), answered(401)),
        {"preflight": "fails"},
        {"inspector"},
    ),
    "an asterisk for Authorization": (
        altered(at(MCP, "OPTIONS"), lambda a: replace(a, headers={**a.headers, "access-control-allow-headers": "*"})),
        {"preflight": "fails"},
        {"inspector"},
    ),
    "metadata that pages cannot read": (
        altered(is_discovery, lambda answer: answer.without("access-control-allow-origin")),
        {"cors-discovery": "fails"},
        {"inspector"},
    ),
    "an Origin of a vendor is refused": (refuses_origins, {"origin-accepted": "fails"}, {"chatgpt"}),
    "cursor:// refused": (refuses_redirect_uris("cursor:"), {"redirect-of-an-app": "fails"}, {"cursor"}),
    "redirect URIs on loopback refused": (
        refuses_redirect_uris("http:"),
        {"redirect-on-loopback": "fails"},
        set(REGISTERING) - {"claude-ai", "chatgpt"},
    ),
    "redirect URIs of one vendor allowed": (
        refuses_redirect_uris("https://chatgpt.com/", "https://insiders.vscode.dev"),
        {"redirect-on-the-web": "fails"},
        {"chatgpt", "vscode"},
    ),
    "loopback port compared": (compares_ports, {"loopback-port": "fails"}, {"claude-code", "vscode"}),
    "port of localhost compared": (compares_ports_of_names, {"loopback-port": "fails"}, {"claude-code"}),
    "a secret for who asked for none": (
        altered(
            at("/oauth/register", "POST"),
            lambda answer: answer.saying(token_endpoint_auth_method="client_secret_basic", client_secret="s"),
        ),
        {"registration-auth-method": "degraded"},
        set(),
    ),
    "a method that needs a secret, and no secret": (
        altered(
            at("/oauth/register", "POST"),
            lambda answer: answer.saying(token_endpoint_auth_method="client_secret_basic"),
        ),
        {"registration-auth-method": "fails"},
        set(REGISTERING),
    ),
    "registration answers without redirect URIs": (
        altered(at("/oauth/register", "POST"), lambda answer: answer.saying(redirect_uris=None)),
        {"registration-answer": "degraded"},
        set(),
    ),
    "registration for those who have a token": (
        instead(at("/oauth/register", "POST"), oauth_error("invalid_token", 401)),
        {"registration-open": "fails"},
        EVERY,
    ),
    "registrations that cannot be removed": (
        altered(at("/oauth/register", "POST"), lambda answer: answer.saying(registration_client_uri=None)),
        {"registration-removed": "note"},
        set(),
    ),
    "401 without WWW-Authenticate": (
        altered(without_token, lambda answer: answer.without("www-authenticate")),
        {"challenge": "degraded"},
        set(),
    ),
    "401 that names no metadata": (
        altered(without_token, lambda a: replace(a, headers={**a.headers, "www-authenticate": 'Bearer realm="mcp"'})),
        {"challenge": "degraded"},
        set(),
    ),
    "challenge that leads nowhere": (
        altered(
            without_token,
            lambda a: replace(
                a, headers={**a.headers, "www-authenticate": f'Bearer resource_metadata="{ORIGIN}/gone"'}
            ),
        ),
        {"challenge-metadata": "degraded"},
        set(),
    ),
    "an error without a token": (
        altered(
            without_token,
            lambda a: replace(
                a,
                headers={
                    **a.headers,
                    "www-authenticate": a.headers.get("www-authenticate", "") + ', error="invalid_token"',
                },
            ),
        ),
        {"challenge-error": "note"},
        set(),
    ),
    "503 without a token": (
        instead(without_token, answered(503)),
        {"asks-for-login": "fails"},
        EVERY,
    ),
    "403 without a token": (
        instead(without_token, answered(403)),
        {"asks-for-login": "fails"},
        EVERY - {"vscode"},
    ),
    "GET is unguarded": (
        instead(lambda asked: without_token(asked) and asked.method == "GET", answered(405)),
        {"get-probe": "degraded"},
        set(),
    ),
    "HEAD breaks": (instead(at(MCP, "HEAD"), answered(500)), {"head-probe": "degraded"}, set()),
    "Accept before the token": (
        instead(
            lambda asked: without_token(asked) and asked.method == "POST" and "accept" not in asked.headers,
            answered(406),
        ),
        {"without-headers": "note"},
        set(),
    ),
    "the modern era breaks": (
        instead(lambda asked: without_token(asked) and "mcp-method" in asked.headers, answered(500)),
        {"modern-probe": "fails"},
        {"claude-code", "copilot-cli", "mcp-python"},
    ),
    "a firewall that knows node": (blocks_node, {"user-agents": "fails"}, {"gemini-cli", "mcp-remote"}),
    "a firewall against the nameless": (blocks_the_nameless, {"metadata-without-headers": "fails"}, {"mcp-python"}),
    "metadata as text": (
        altered(at(RESOURCE + MCP), lambda a: replace(a, headers={**a.headers, "content-type": "text/plain"})),
        {"resource-metadata-as-json": "degraded"},
        set(),
    ),
    "no authorization server named": (
        altered(lambda asked: asked.path.startswith(RESOURCE), lambda answer: answer.saying(authorization_servers=[])),
        {"authorization-servers": "fails"},
        EVERY,
    ),
    "no metadata of the authorization server": (
        instead(lambda asked: asked.path.startswith((SERVER, OPENID)), NOT_FOUND),
        {"server-metadata": "fails"},
        EVERY,
    ),
    "metadata at the OpenID address alone": (
        instead(lambda asked: asked.path.startswith(SERVER), NOT_FOUND),
        {"server-metadata": "note"},
        set(),
    ),
    "metadata of the authorization server as text": (
        altered(at(SERVER), lambda a: replace(a, headers={**a.headers, "content-type": "text/plain"})),
        {"server-metadata-as-json": "degraded"},
        set(),
    ),
    "no token endpoint": (
        altered(at(SERVER), lambda answer: answer.saying(token_endpoint=None)),
        {"endpoints": "fails"},
        EVERY,
    ),
    "PKCE is not said": (
        altered(at(SERVER), lambda answer: answer.saying(code_challenge_methods_supported=None)),
        {"pkce": "fails"},
        {"claude-ai", "mcp-go"},
    ),
    "PKCE is plain": (
        altered(at(SERVER), lambda answer: answer.saying(code_challenge_methods_supported=["plain"])),
        {"pkce": "fails"},
        EVERY,
    ),
    "another response type": (
        altered(at(SERVER), lambda answer: answer.saying(response_types_supported=["token"])),
        {"response-type-code": "fails"},
        EVERY,
    ),
    "no refresh tokens": (
        altered(at(SERVER), lambda answer: answer.saying(grant_types_supported=["authorization_code"])),
        {"refresh-tokens": "degraded"},
        set(),
    ),
    "nobody can become known": (
        altered(at(SERVER), lambda answer: answer.saying(registration_endpoint=None)),
        {"ways-to-become-known": "fails"},
        EVERY,
    ),
    "clients with secrets alone": (
        altered(at(SERVER), lambda answer: answer.saying(token_endpoint_auth_methods_supported=["client_secret_post"])),
        {"public-clients": "note"},
        set(),
    ),
    "resource refused": (refuses_resource, {"resource-parameter": "fails"}, set(REGISTERING)),
    "scopes not registered": (wants_scopes_registered, {"scope-after-registration": "fails"}, {"copilot-cli"}),
    "iss promised and missing": (
        forgets_iss,
        {"iss-in-answer": "fails"},
        {"codex", "claude-code", "mcp-python", "mcp-typescript"},
    ),
    "an open redirector": (redirects_anywhere, {"redirect-unregistered": "fails"}, set()),
    "authorization that breaks": (
        instead(at("/oauth/authorize"), answered(500)),
        {"authorize-answers": "fails"},
        set(REGISTERING),
    ),
    "the wrong error for a dead token": (
        instead(known_client, oauth_error("invalid_request")),
        {"refresh-refused": "degraded"},
        set(),
    ),
    "503 for a dead token": (instead(known_client, answered(503)), {"refresh-refused": "degraded"}, set()),
    "the wrong error for an unknown client": (
        instead(unknown_client, oauth_error("invalid_grant")),
        {"unknown-client": "degraded"},
        set(),
    ),
}


async def test_of_our_own_server_there_is_nothing_to_say(app: ASGIApp) -> None:
    diagnosis = await diagnosed(app)

    assert named(diagnosis) == {}
    assert not diagnosis.anything_fails
    assert concerned(diagnosis) == set()


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_broken_server_is_told_its_fault_and_no_other(app: ASGIApp, fault: str) -> None:
    breaks, expected, kept_out = FAULTS[fault]

    diagnosis = await diagnosed(app, breaks)

    assert named(diagnosis) == expected
    assert concerned(diagnosis) == kept_out
    assert diagnosis.anything_fails == ("fails" in expected.values())


DOCUMENTS = {"OAUTH_CIMD_ENABLED": "true", "OAUTH_CIMD_ALLOWED_DOMAINS": "nobody.example"}
"""A server that advertises documents, and takes those of nobody: none is fetched."""


async def test_documents_that_are_advertised_and_refused_keep_those_out_that_prefer_them() -> None:
    async with our_app(**DOCUMENTS) as app:
        diagnosis = await diagnosed(app)

    assert named(diagnosis) == {"client-documents": "fails"}
    assert concerned(diagnosis) == {"codex", "claude-code", "copilot-cli", "claude-ai", "chatgpt", "vscode"}


async def takes_documents(asked: Asked, go_on: GoOn) -> Answered:
    if asked.path == "/oauth/authorize" and asked.query["client_id"].startswith("https://"):
        return Answered(303, {"location": "/oauth/login?transaction=1"})
    return await go_on(asked)


async def takes_documents_of_claude(asked: Asked, go_on: GoOn) -> Answered:
    if asked.path == "/oauth/authorize" and asked.query["client_id"].startswith("https://chatgpt.com"):
        return await go_on(asked)
    return await takes_documents(asked, go_on)


async def test_a_document_that_is_refused_alone_keeps_out_its_client() -> None:
    async with our_app(**DOCUMENTS) as app:
        assert named(await diagnosed(app, takes_documents)) == {}
        diagnosis = await diagnosed(app, takes_documents_of_claude)

    assert named(diagnosis) == {"client-documents": "fails"}
    assert concerned(diagnosis) == {"codex"}


async def test_documents_without_none_are_not_chosen_by_claude_ai() -> None:
    async def secrets_alone(asked: Asked, go_on: GoOn) -> Answered:
        answer = await takes_documents(asked, go_on)
        methods = ["client_secret_post"]
        return answer.saying(token_endpoint_auth_methods_supported=methods) if at(SERVER)(asked) else answer

    async def nor_registration(asked: Asked, go_on: GoOn) -> Answered:
        answer = await secrets_alone(asked, go_on)
        return answer.saying(registration_endpoint=None) if at(SERVER)(asked) else answer

    async with our_app(**DOCUMENTS) as app:
        with_registration = await diagnosed(app, secrets_alone)
        without = await diagnosed(app, nor_registration)

    assert named(with_registration) == {"public-clients": "degraded"}
    assert concerned(with_registration) == set()
    assert named(without) == {"public-clients": "fails", "ways-to-become-known": "fails"}
    assert concerned(without) == {"claude-ai", "gemini-cli", "opencode", "mcp-remote", "cursor", "inspector"}


async def test_what_asks_nobody_to_log_in_is_spoken_to_without_a_token() -> None:
    async with our_app(MCP_REQUIRE_AUTH="false", OAUTH_ENABLED="false", MCP_API_KEY="") as app:
        diagnosis = await diagnosed(app, instead(lambda a: a.method == "GET" and a.path == MCP, answered(405)))

    assert named(diagnosis) == {"asks-for-login": "note"}
    results = {each.check.id: each.findings for step in diagnosis.steps for each in step.checked}
    assert results["tools-list"] == []


def in_session(asked: Asked, method: str) -> bool:
    return "mcp-session-id" in asked.headers and asked.method == "POST" and f'"{method}"'.encode() in asked.body


SESSIONS = EVERY - {"claude-code", "copilot-cli", "mcp-python"}
FAULTS_BEHIND: dict[str, tuple[Fault, dict[str, str], set[str]]] = {
    "the token does not count": (
        instead(lambda asked: "authorization" in asked.headers and asked.path == MCP, answered(401)),
        {"token-accepted": "fails"},
        EVERY,
    ),
    "no session begins": (
        instead(
            lambda asked: "authorization" in asked.headers and b'"initialize"' in asked.body,
            answered(400, {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "no"}}),
        ),
        {"handshake": "fails"},
        SESSIONS,
    ),
    "an old protocol version": (
        altered(
            lambda asked: "authorization" in asked.headers and b'"initialize"' in asked.body,
            lambda answer: answer.saying(result={**answer.document["result"], "protocolVersion": "2024-11-05"}),
        ),
        {"handshake": "fails"},
        SESSIONS,
    ),
    "notifications are refused": (
        instead(lambda asked: in_session(asked, "notifications/initialized"), answered(400)),
        {"handshake": "fails"},
        SESSIONS,
    ),
    "ping is unknown": (
        instead(
            lambda asked: in_session(asked, "ping") and not asked.headers["mcp-session-id"].startswith("gatepost"),
            answered(200, {"jsonrpc": "2.0", "id": 2, "error": {"code": -32601, "message": "no"}}),
        ),
        {"ping": "fails"},
        {"gemini-cli"},
    ),
    "tools cannot be listed": (
        instead(
            lambda asked: in_session(asked, "tools/list") and "mcp-protocol-version" in asked.headers,
            answered(200, {"jsonrpc": "2.0", "id": 3, "error": {"code": -32603, "message": "no"}}),
        ),
        {"tools-list": "fails"},
        EVERY,
    ),
    "the version header is demanded": (
        instead(
            lambda asked: "mcp-session-id" in asked.headers and "mcp-protocol-version" not in asked.headers,
            answered(400),
        ),
        {"without-version-header": "fails"},
        {"gemini-cli"},
    ),
    "an unknown session is a bad request": (
        instead(lambda asked: asked.headers.get("mcp-session-id") == "gatepost-doctor-has-none", answered(400)),
        {"unknown-session": "degraded"},
        set(),
    ),
    "the stream is not there": (
        instead(lambda asked: asked.method == "GET" and "mcp-session-id" in asked.headers, answered(404)),
        {"session-stream": "degraded"},
        set(),
    ),
    "server/discover breaks behind the lock": (
        instead(
            lambda asked: "authorization" in asked.headers and asked.headers.get("mcp-method") == "server/discover",
            answered(500),
        ),
        {"modern-era": "fails"},
        {"claude-code", "copilot-cli", "mcp-python"},
    ),
    "listening breaks": (instead(listens, answered(500)), {"listening": "degraded"}, set()),
    "listening is not known although changes are declared": (
        instead(listens, answered(404, NO_METHOD)),
        {"listening": "degraded"},
        set(),
    ),
    "the stream that was asked for ends after its acknowledgment": (
        altered(listens, lambda answer: replace(answer, stays_open=False)),
        {"listening": "degraded"},
        set(),
    ),
    "the stream that was asked for ends at once": (
        altered(listens, lambda answer: replace(answer, body=b"", stays_open=False)),
        {"listening": "degraded"},
        set(),
    ),
    "the stream begins with something else": (
        altered(
            listens, lambda answer: replace(answer, body=answer.body.replace(b"subscriptions/acknowledged", b"tools/x"))
        ),
        {"listening": "degraded"},
        set(),
    ),
    "the stream does not say of which subscription it is": (
        altered(listens, lambda answer: replace(answer, body=answer.body.replace(b"subscriptionId", b"x"))),
        {"listening": "degraded"},
        set(),
    ),
    "listening is answered with JSON": (
        instead(listens, answered(200, {"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete"}})),
        {"listening": "degraded"},
        set(),
    ),
    "the handshake era alone": (
        instead(
            lambda asked: "authorization" in asked.headers and "mcp-method" in asked.headers,
            answered(400, {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "no"}}),
        ),
        {"modern-era": "note"},
        set(),
    ),
}


async def test_behind_the_lock_of_our_own_server_there_is_nothing_to_say(app: ASGIApp) -> None:
    assert named(await diagnosed(app, token=API_KEY)) == {}


@pytest.mark.parametrize("fault", FAULTS_BEHIND)
async def test_a_fault_behind_the_lock_is_named_and_no_other(app: ASGIApp, fault: str) -> None:
    breaks, expected, kept_out = FAULTS_BEHIND[fault]

    diagnosis = await diagnosed(app, breaks, token=API_KEY)

    assert named(diagnosis) == expected
    assert concerned(diagnosis) == kept_out


async def test_an_acknowledgment_that_a_proxy_holds_back_is_named_with_the_setting_of_the_proxy(app: ASGIApp) -> None:
    collecting = altered(listens, lambda answer: replace(answer, body=b": hello\n\n"))

    diagnosis = await diagnosed(app, collecting, token=API_KEY, answer_seconds=0.5)

    ((check, finding),) = diagnosis.findings
    assert (check.id, finding.severity.value, set(finding.clients)) == (
        "listening",
        "degraded",
        {"claude-code", "copilot-cli"},
    )
    assert finding.seen == ("POST /mcp: 200 text/event-stream, for subscriptions/listen: no event within 0.5 s")
    assert "proxy_buffering off" in check.change


async def test_a_server_that_declares_no_changes_need_not_be_listened_to(app: ASGIApp) -> None:
    async def silent(asked: Asked, go_on: GoOn) -> Answered:
        if listens(asked):
            return answered(404, NO_METHOD)
        answer = await go_on(asked)
        if "authorization" in asked.headers and asked.headers.get("mcp-method") == "server/discover":
            return replace(answer, body=answer.body.replace(b'"listChanged":true', b'"listChanged":false'))
        return answer

    assert named(await diagnosed(app, silent, token=API_KEY)) == {"listening": "note"}


async def test_the_doctor_leaves_nothing_behind(app: ASGIApp) -> None:
    registered: list[str] = []
    removed: list[str] = []

    async def watching(asked: Asked, go_on: GoOn) -> Answered:
        answer = await go_on(asked)
        if at("/oauth/register", "POST")(asked):
            registered.append(json.loads(answer.body)["client_id"])
        if asked.method == "DELETE" and answer.status == 204:
            removed.append(asked.path.rpartition("/")[2])
        return answer

    await diagnosed(app, watching)

    assert len(registered) == len(REGISTERING)
    assert removed == registered
