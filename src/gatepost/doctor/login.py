"""A login as a client does it: register, send the browser, take the code, refresh as clients do, and give back."""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Final
from urllib.parse import quote_plus, urlencode

from gatepost.doctor.answers import NOT_ASKED, ProbeAnswer, printable, split
from gatepost.doctor.clients import BY_ID, EVERYBODY
from gatepost.doctor.findings import Check, DoctorFinding, Step, degraded, fails
from gatepost.doctor.requester import Requester
from gatepost.doctor.seen import LoginSeen, Registration, Seen
from gatepost.doctor.token_endpoint import FORM
from gatepost.doctor.visit import BrowserVisit
from gatepost.resource.bearer import is_bearer_token
from gatepost.tokens.opaque import base64url

_REFRESH_WITH_SCOPE: Final = ("codex", "mcp-remote")
"""Recorded; the others leave it out."""
_REFRESH_WITHOUT_SCOPE: Final = tuple(client for client in EVERYBODY if client not in _REFRESH_WITH_SCOPE)


async def observe(seen: Seen, requester: Requester, visit: BrowserVisit) -> None:
    """Log in, and go on with what the login gave."""
    names = ("registration_endpoint", "authorization_endpoint", "token_endpoint")
    registering, authorizing, tokens = (seen.endpoint(name) for name in names)
    if registering is None or authorizing is None or tokens is None:
        return
    # 1. Registration.
    client = replace(BY_ID["copilot-cli"], name="itself", redirect_uris=(visit.redirect_uri,), names_scopes=True)
    body = json.dumps(client.registration(seen.scopes)).encode()
    answer = await requester.ask("POST", registering, {"Content-Type": "application/json", "Accept": "*/*"}, body)
    registration = Registration(client, answer)
    problem = await requester.refusal(authorizing)  # nor does a browser go where the doctor does not
    seen.login = LoginSeen(registration=registration, problem=problem)
    if problem or not registration.is_made:
        return
    # 2. The browser.
    verifier, state = secrets.token_urlsafe(32), secrets.token_urlsafe(16)
    query = {
        "response_type": "code",
        "client_id": registration.client_id,
        "redirect_uri": visit.redirect_uri,
        "state": state,
        "code_challenge": base64url(hashlib.sha256(verifier.encode()).digest()),
        "code_challenge_method": "S256",
        "scope": " ".join(seen.scopes) or None,
        "resource": seen.resource,
    }
    given = {name: value for name, value in query.items() if value is not None}
    try:
        returned = await visit.take(f"{authorizing}{'&' if split(authorizing).query else '?'}{urlencode(given)}", state)
    except TimeoutError:
        seen.login = replace(seen.login, problem="the browser did not come back")
        return
    seen.login = replace(seen.login, returned=returned)
    if "code" not in returned:
        return
    # 3. The code.
    form = {"grant_type": "authorization_code", "code": returned["code"], "code_verifier": verifier}
    exchanged = await _ask(seen, requester, tokens, {**form, "redirect_uri": visit.redirect_uri})
    seen.login = replace(seen.login, exchanged=exchanged)
    # 4. Refresh, without scope and with all that was granted.
    without = await _refresh(seen, requester, tokens, exchanged, scope=None)
    seen.login = replace(seen.login, refreshed_without_scope=without)
    before = without if _token(without, "refresh_token") else exchanged
    scope = _token(before, "scope") or " ".join(seen.scopes) or None
    last = await _refresh(seen, requester, tokens, before, scope=scope)
    seen.login = replace(seen.login, refreshed_with_scope=last)
    newest = [token for each in (last, without, exchanged) if (token := _token(each, "access_token"))]
    seen.token = newest[0] if newest and is_bearer_token(newest[0]) else None


async def revoke(seen: Seen, requester: Requester) -> None:
    """Give back what the login gave (RFC 7009), as Claude Code does."""
    url = seen.endpoint("revocation_endpoint")
    answers = (seen.login.refreshed_with_scope, seen.login.refreshed_without_scope, seen.login.exchanged)
    newest = next((token for each in answers if (token := _token(each, "refresh_token"))), None)
    if url is None or newest is None:
        return
    answer = await _ask(seen, requester, url, {"token": newest, "token_type_hint": "refresh_token"})
    seen.login = replace(seen.login, revoked=answer)


async def _refresh(
    seen: Seen, requester: Requester, url: str, before: ProbeAnswer, *, scope: str | None
) -> ProbeAnswer:
    token = _token(before, "refresh_token")
    if token is None:
        return NOT_ASKED
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return await _ask(seen, requester, url, form if scope is None else {**form, "scope": scope})


async def _ask(seen: Seen, requester: Requester, url: str, form: Mapping[str, str]) -> ProbeAnswer:
    """Post a form as the client that was registered, with its secret if it was given one (RFC 6749 section 2.3.1)."""
    registration = seen.login.registration
    document = (registration.answer.document or {}) if registration is not None else {}
    client_id, secret = _member(document, "client_id") or "", _member(document, "client_secret")
    sent = {**form, "resource": seen.resource}
    if secret is None:
        return await requester.ask("POST", url, FORM, urlencode({**sent, "client_id": client_id}).encode())
    if document.get("token_endpoint_auth_method") == "client_secret_post":
        sent |= {"client_id": client_id, "client_secret": secret}
        return await requester.ask("POST", url, FORM, urlencode(sent).encode())
    basic = b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()
    return await requester.ask("POST", url, {**FORM, "Authorization": f"Basic {basic}"}, urlencode(sent).encode())


def _member(document: Mapping[str, object], name: str) -> str | None:
    value = document.get(name)
    return value if isinstance(value, str) and value.isprintable() and value else None


def _token(answer: ProbeAnswer, name: str) -> str | None:
    return _member(answer.document or {}, name) if answer.status == HTTPStatus.OK else None


def _says(answer: ProbeAnswer) -> str:
    return f"{answer.seen}{f' {answer.error}' if answer.error else ''}"


def _comes_back(seen: Seen) -> Iterable[DoctorFinding] | None:
    login = seen.login
    if login.registration is None:
        return None
    if not login.registration.is_made:
        return fails(_says(login.registration.answer))
    if "code" in login.returned:
        return []
    error = printable(login.returned.get("error", ""))
    return fails(login.problem or f"back with error={error}")


def _iss(seen: Seen) -> Iterable[DoctorFinding] | None:
    document, login = seen.server_document or {}, seen.login
    if "code" not in login.returned or document.get("authorization_response_iss_parameter_supported") is not True:
        return None
    iss, issuer = login.returned.get("iss"), document.get("issuer")
    who = ("codex", "claude-code", "mcp-python", "mcp-typescript")
    return [] if iss == issuer else fails(f"iss is {printable(str(iss))}, the issuer {printable(str(issuer))}", who)


def _code(seen: Seen) -> Iterable[DoctorFinding] | None:
    answer = seen.login.exchanged
    if not answer.method:
        return None
    is_right = _token(answer, "access_token") and str((answer.document or {}).get("token_type")).lower() == "bearer"
    return [] if is_right else fails(_says(answer))


def _refresh_token(seen: Seen) -> Iterable[DoctorFinding] | None:
    answer = seen.login.exchanged
    if _token(answer, "access_token") is None:
        return None
    return [] if _token(answer, "refresh_token") else degraded(f"{answer.seen}, without refresh_token")


def _refreshed(answer: ProbeAnswer, clients: tuple[str, ...]) -> Iterable[DoctorFinding] | None:
    if not answer.method:
        return None
    return [] if _token(answer, "access_token") else fails(_says(answer), clients)


def _without_scope(seen: Seen) -> Iterable[DoctorFinding] | None:
    return _refreshed(seen.login.refreshed_without_scope, _REFRESH_WITHOUT_SCOPE)


def _with_scope(seen: Seen) -> Iterable[DoctorFinding] | None:
    return _refreshed(seen.login.refreshed_with_scope, _REFRESH_WITH_SCOPE)


def _revoked(seen: Seen) -> Iterable[DoctorFinding] | None:
    answer = seen.login.revoked
    if not answer.method:
        return None
    return [] if answer.status == HTTPStatus.OK else degraded(_says(answer), ("claude-code",))


STEP: Final = Step(
    "A login",
    (
        Check(
            id="login-comes-back",
            title="the browser comes back with a code",
            why="It is what a login is for (RFC 6749 section 4.1.2). A consent page whose Content-Security-Policy has "
            "form-action stops the redirect in Chrome, and then nothing comes back.",
            change="Leave form-action out of the policy of the page that sends people back. The server's log says the "
            "rest.",
            look=_comes_back,
        ),
        Check(
            id="login-iss",
            title="it comes back with the issuer that the metadata promises",
            why="codex, Claude Code and the official SDKs refuse an answer without it or with another (RFC 9207).",
            change="Add iss to the answer, exactly as in the metadata.",
            look=_iss,
        ),
        Check(
            id="code-exchanged",
            title="the code is exchanged for a Bearer token",
            why="RFC 6749 section 4.1.3, with PKCE, resource and client_id alone, as clients send them.",
            change="The server's log says what it refused. Gatepost: docs/reasons.md.",
            look=_code,
        ),
        Check(
            id="refresh-token-given",
            title="a refresh token comes with it",
            why="Without it people log in again each time that an access token ends; no client asks for offline_access "
            "unless the metadata lists it.",
            change="Issue refresh tokens to clients that registered the grant, whatever scope they ask for.",
            look=_refresh_token,
        ),
        Check(
            id="refresh-without-scope",
            title="it refreshes without scope",
            why="Claude Code and most others send none, which means all that was granted (RFC 6749 section 6).",
            change="Take a refresh without scope for one with the scopes of the grant.",
            look=_without_scope,
        ),
        Check(
            id="refresh-with-scope",
            title="it refreshes with the scopes that were granted, with the token that the refresh before gave",
            why="codex and mcp-remote repeat them (RFC 6749 section 6).",
            change="Take the scopes of the grant, or fewer.",
            look=_with_scope,
        ),
        Check(
            id="revocation",
            title="the token is revoked when the client asks for it",
            why="Claude Code revokes at logout; another answer leaves a token that goes on counting (RFC 7009).",
            change="Answer 200 to a client that revokes its own token, known by its client_id alone.",
            look=_revoked,
        ),
    ),
)
