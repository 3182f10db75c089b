"""The authorization endpoint, up to its login page: what each client asks for, and what is to be refused (RFC 6749)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

from gatepost.doctor.answers import ProbeAnswer, printable, split
from gatepost.doctor.authorization_server import advertises_documents
from gatepost.doctor.clients import CLIENTS
from gatepost.doctor.findings import Check, DoctorFinding, Step, fails, note
from gatepost.doctor.requester import Requester
from gatepost.doctor.seen import Registration, Seen
from gatepost.tokens.opaque import base64url

_BROWSER: Final = {"Accept": "text/html,*/*", "User-Agent": "Mozilla/5.0 (gatepost-doctor)"}
_NOWHERE: Final = "https://gatepost-doctor.invalid/callback"
"""Registered by nobody, and a name that leads nowhere (RFC 6761)."""
_OTHER_PORT: Final = 61_873
_CHECK_ISS: Final = ("codex", "claude-code", "mcp-python", "mcp-typescript")
_MOVE_PORTS: Final = {"127.0.0.1": "vscode", "localhost": "claude-code"}
"""Who comes back at another port than the registered one, by the host that it uses."""


async def observe(seen: Seen, requester: Requester) -> None:
    """Begin a login as each client, and as nobody should."""
    endpoint = seen.endpoint("authorization_endpoint")
    if endpoint is None:
        return

    async def begin(client_id: str, redirect_uri: str, **other: str | None) -> ProbeAnswer:
        query = {**_request(seen, client_id, redirect_uri), **other}
        given = {name: value for name, value in query.items() if value is not None}
        separator = "&" if split(endpoint).query else "?"
        return await requester.ask("GET", f"{endpoint}{separator}{urlencode(given)}", _BROWSER)

    answered: list[Registration] = []
    for registration in seen.registrations:
        if registration.is_made:
            client_id, redirect_uri = registration.client_id or "", registration.client.redirect_uri
            answer = await begin(client_id, redirect_uri)
            again = Registration(registration.client, registration.answer, answer)
            if refusal(answer, redirect_uri):
                without = await begin(client_id, redirect_uri, resource=None)
                again = Registration(registration.client, registration.answer, answer, without)
            answered.append(again)
        else:
            answered.append(registration)
    seen.registrations = answered
    for host in _MOVE_PORTS:
        if (player := _player(seen, host)) is not None:
            moved = await begin(player.client_id or "", _moved(player.client.redirect_uri))
            seen.other_ports = {**seen.other_ports, host: moved}
    if (player := _player(seen)) is not None:
        client_id, redirect_uri = player.client_id or "", player.client.redirect_uri
        seen.unregistered_redirect = await begin(client_id, _NOWHERE)
        seen.refused_authorization = await begin(client_id, redirect_uri, response_type="token")
    if advertises_documents(seen):
        seen.by_document = {
            client.id: await begin(client.document, client.redirect_uri) for client in CLIENTS if client.document
        }


def _request(seen: Seen, client_id: str, redirect_uri: str) -> dict[str, str | None]:
    challenge = base64url(hashlib.sha256(secrets.token_urlsafe(32).encode()).digest())
    return {
        "response_type": "code",
        "client_id": client_id,
        "state": secrets.token_urlsafe(16),
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "redirect_uri": redirect_uri,
        "scope": " ".join(seen.scopes) or None,
        "resource": seen.resource,
    }


def refusal(answer: ProbeAnswer, redirect_uri: str) -> str:
    """Return how a request was refused, for a report, or nothing: it may be answered by a page or a redirect to one."""
    if not answer.status or answer.status >= HTTPStatus.BAD_REQUEST:
        return answer.seen
    returned = returned_to(answer, redirect_uri)
    if "error" not in returned:
        return ""
    return f"{answer.seen.partition(' to ')[0]} back with error={printable(returned['error'])}"


def returned_to(answer: ProbeAnswer, redirect_uri: str) -> Mapping[str, str]:
    """Return the parameters with which an answer goes back to the client (RFC 6749 section 4.1.2), or none."""
    location = answer.header("location") or ""
    if not answer.is_redirect or not location.startswith(redirect_uri):
        return {}
    query = split(location).query
    return {name: values[0] for name, values in parse_qs(query[:8192]).items()}


def _player(seen: Seen, host: str = "127.0.0.1") -> Registration | None:
    """Return a registration on this machine whose request was taken: what differs from it is what is refused."""
    here = (each for each in seen.made if each.client.redirect_uri.startswith(f"http://{host}:"))
    return next((each for each in here if not refusal(each.authorization, each.client.redirect_uri)), None)


def _moved(redirect_uri: str) -> str:
    return redirect_uri.replace(f":{urlsplit(redirect_uri).port}", f":{_OTHER_PORT}")


def _refusals(seen: Seen) -> Iterable[tuple[Registration, str]]:
    for registration in seen.made:
        if said := refusal(registration.authorization, registration.client.redirect_uri):
            yield registration, said


def _is_about_resource(registration: Registration) -> bool:
    without = registration.without_resource
    return bool(without.method) and not refusal(without, registration.client.redirect_uri)


def _is_about_scope(registration: Registration) -> bool:
    returned = returned_to(registration.authorization, registration.client.redirect_uri)
    return not registration.client.names_scopes and returned.get("error") == "invalid_scope"


def _answers(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.made:
        return None
    return [
        finding
        for registration, said in _refusals(seen)
        if not _is_about_resource(registration) and not _is_about_scope(registration)
        for finding in fails(said, (registration.client.id,))
    ]


def _resource(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.made:
        return None
    concerned = [(each, said) for each, said in _refusals(seen) if _is_about_resource(each)]
    if not concerned:
        return []
    return fails(f"{concerned[0][1]}; taken without resource", tuple(each.client.id for each, _ in concerned))


def _scope(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.scopes or not any(not each.client.names_scopes for each in seen.made):
        return None
    return [
        finding
        for registration, said in _refusals(seen)
        if _is_about_scope(registration) and not _is_about_resource(registration)
        for finding in fails(said, (registration.client.id,))
    ]


def _other_ports(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.other_ports:
        return None
    refused: dict[str, str] = {}
    for host, answer in seen.other_ports.items():
        player = _player(seen, host)
        if player is not None and (said := refusal(answer, _moved(player.client.redirect_uri))):
            refused[host] = said
    if not refused:
        return []
    said = f"{next(iter(refused.values()))}, for another port of {' and '.join(refused)} than the registered one"
    return fails(said, tuple(_MOVE_PORTS[host] for host in refused))


def _unregistered(seen: Seen) -> Iterable[DoctorFinding] | None:
    answer = seen.unregistered_redirect
    if not answer.method:
        return None
    goes_there = answer.is_redirect and (answer.header("location") or "").startswith(_NOWHERE)
    return fails(answer.seen, ()) if goes_there else []


def _iss(seen: Seen) -> Iterable[DoctorFinding] | None:
    player = _player(seen)
    if player is None:
        return None
    returned = returned_to(seen.refused_authorization, player.client.redirect_uri)
    if "error" not in returned:
        return None
    document = seen.server_document or {}
    is_advertised = document.get("authorization_response_iss_parameter_supported") is True
    iss, issuer = returned.get("iss"), document.get("issuer")
    if iss is None:
        if is_advertised:
            return fails("the answer has no iss, though the metadata promises one", _CHECK_ISS)
        return note("the answer has no iss, and the metadata promises none")
    return [] if iss == issuer else fails(f"iss is {printable(iss)}, the issuer {printable(str(issuer))}", _CHECK_ISS)


def _documents(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.by_document:
        return None
    uris = {client.id: client.redirect_uri for client in CLIENTS if client.document}
    refused = {name: said for name, answer in seen.by_document.items() if (said := refusal(answer, uris[name]))}
    if len(refused) < len(seen.by_document):
        return [finding for name, said in refused.items() for finding in fails(said, (name,))]
    said = next(iter(refused.values()))
    return fails(f"{said}, for each client document that was tried", tuple(c.id for c in CLIENTS if c.uses_document))


STEP: Final = Step(
    "Beginning a login as each client does",
    (
        Check(
            id="authorize-answers",
            title="each client's authorization request is taken",
            why="A client that has registered sends people there; what they meet has to be a login (RFC 6749 section "
            "4.1.1).",
            change="The server's log says what it refused. Gatepost: docs/reasons.md.",
            look=_answers,
        ),
        Check(
            id="resource-parameter",
            title="resource is taken",
            why="Every current client names the MCP URL as resource (RFC 8707, MCP authorization).",
            change="Take the identifier of the metadata as resource, with and without a slash at the root. npm's "
            "oidc-provider: features.resourceIndicators. Entra: do not forward it.",
            look=_resource,
        ),
        Check(
            id="scope-after-registration",
            title="who registered without scopes may ask for them",
            why="Copilot CLI registers without scope and then asks for all that the 401 lists.",
            change="Take a registration without scope for one with all scopes that clients may have.",
            look=_scope,
        ),
        Check(
            id="loopback-port",
            title="on loopback the port is not compared",
            why="Programs listen on whatever port is free: VS Code registers 33418 and uses another where that is "
            "taken, Claude Code takes a free one of localhost at each login, and its document names none. The first "
            "login may go well, and a later one not (RFC 8252 section 7.3).",
            change="Leave the port out of the comparison where the host is 127.0.0.1, [::1] or localhost.",
            look=_other_ports,
        ),
        Check(
            id="redirect-unregistered",
            title="a redirect URI that nobody registered is refused on the server's own page",
            why="Whoever sends people a link would get their codes (RFC 9700 section 2.1).",
            change="Compare redirect URIs exactly, before anything else, and never redirect to others.",
            look=_unregistered,
        ),
        Check(
            id="iss-in-answer",
            title="the answer names its issuer",
            why="It keeps an answer of one server from being taken for another's; where the metadata promises it, "
            "codex, Claude Code and the official SDKs refuse an answer without it or with another (RFC 9207).",
            change="Add iss to every answer, success and error, exactly as in the metadata, and say so with "
            "authorization_response_iss_parameter_supported.",
            look=_iss,
        ),
        Check(
            id="client-documents",
            title="the server can fetch the documents of clients",
            why="Where documents are advertised, codex and Claude Code come with theirs and do not register when it "
            "fails.",
            change="Let the server reach chatgpt.com and claude.ai by https, or do not advertise documents. Gatepost: "
            "HTTPS_PROXY, OAUTH_CIMD_ENABLED=false, OAUTH_CIMD_ALLOWED_DOMAINS.",
            look=_documents,
        ),
    ),
)
