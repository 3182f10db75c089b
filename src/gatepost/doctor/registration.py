"""Registering as each client does (RFC 7591), and removing what was registered (RFC 7592)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from gatepost.doctor.answers import printable
from gatepost.doctor.authorization_server import advertises_documents
from gatepost.doctor.clients import CLIENTS, EVERYBODY, PlayedClient
from gatepost.doctor.findings import Check, DoctorFinding, Step, degraded, fails, note
from gatepost.doctor.requester import Requester
from gatepost.doctor.seen import Registration, Seen
from gatepost.outbound.addresses import names_this_machine

_SECRET_METHODS: Final = frozenset({"client_secret_basic", "client_secret_post", "client_secret_jwt"})


async def observe(seen: Seen, requester: Requester) -> None:
    """Register as each client, until the server has had enough."""
    url = seen.endpoint("registration_endpoint")
    if url is None:
        return
    seen.is_registration_tried = True
    headers = {"Content-Type": "application/json", "Accept": "*/*"}
    for client in CLIENTS:
        if not client.redirect_uris:
            continue
        body = json.dumps(client.registration(seen.scopes)).encode()
        answer = await requester.ask("POST", url, headers, body)
        seen.registrations = [*seen.registrations, Registration(client, answer)]  # one by one: all can be removed
        if answer.status in {0, HTTPStatus.TOO_MANY_REQUESTS}:
            break


async def remove(seen: Seen, requester: Requester) -> None:
    """Remove what was registered, where the server says how; count the rest."""
    own = seen.login.registration
    for registration in [*seen.made, *([own] if own is not None and own.is_made else [])]:
        document = registration.answer.document or {}
        url, token = document.get("registration_client_uri"), document.get("registration_access_token")
        if isinstance(url, str) and isinstance(token, str) and token.isascii() and token.isprintable():
            answer = await requester.ask("DELETE", seen.reachable(url), {"Authorization": f"Bearer {token}"})
            if answer.status in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
                continue
        seen.left_behind += 1


def _kinds(client: PlayedClient) -> Sequence[str]:
    """Return what kinds of redirect URIs a client registers together, the most usual first."""
    parts = [urlsplit(uri) for uri in client.redirect_uris]
    kinds = {
        "loopback": any(part.scheme == "http" and names_this_machine(part.hostname or "") for part in parts),
        "web": any(part.scheme == "https" for part in parts),
        "app": any(part.scheme not in {"http", "https"} for part in parts),
    }
    return [kind for kind, has_it in kinds.items() if has_it]


def _blamed(registration: Registration, refused: Sequence[Registration]) -> str:
    """Return the kind for which a registration was refused: one that is refused by itself too, or the least usual."""
    kinds = _kinds(registration.client)
    alone = {_kinds(each.client)[0] for each in refused if len(_kinds(each.client)) == 1}
    return next((kind for kind in kinds if kind in alone), kinds[-1])


def _refused(seen: Seen) -> Sequence[Registration]:
    limited = HTTPStatus.TOO_MANY_REQUESTS
    return [each for each in seen.registrations if not each.is_made and each.answer.status != limited]


def _said(registration: Registration) -> str:
    error = registration.answer.error
    uris = ", ".join(registration.client.redirect_uris)
    return f"{registration.answer.seen}{f' {error}' if error else ''}, for {uris}"


def _open(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.is_registration_tried:
        return None
    if any(each.answer.status == HTTPStatus.TOO_MANY_REQUESTS for each in seen.registrations):
        return note(f"429 after {len(seen.made)} registrations: the other clients were not tried")
    if seen.made:
        return []
    by_document = {client.id for client in CLIENTS if client.uses_document} if advertises_documents(seen) else set()
    return fails(_said(seen.registrations[0]), tuple(client for client in EVERYBODY if client not in by_document))


def _redirects(kind: str, seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.made:
        return None
    refused = _refused(seen)
    return [
        finding
        for registration in refused
        if _blamed(registration, refused) == kind
        for finding in fails(_said(registration), (registration.client.id,))
    ]


def _method(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.made:
        return None
    findings: list[DoctorFinding] = []
    for registration in seen.made:
        document = registration.answer.document or {}
        method = document.get("token_endpoint_auth_method", "none")
        if method == "none":
            continue
        has_secret = isinstance(document.get("client_secret"), str)
        said = f"none was asked for, {printable(str(method))} answered, {'with' if has_secret else 'without'} a secret"
        is_usable = has_secret and method in _SECRET_METHODS
        who = (registration.client.id,)
        findings += degraded(said, who) if is_usable else fails(said, who)
    return _joined(findings)


def _echo(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.made:
        return None
    findings: list[DoctorFinding] = []
    for registration in seen.made:
        answered = (registration.answer.document or {}).get("redirect_uris")
        if answered != list(registration.client.redirect_uris):
            said = "there are no redirect_uris in the answer" if answered is None else "redirect_uris are others"
            findings += degraded(said, (registration.client.id,))
    return _joined(findings)


def _removed(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.made and not seen.left_behind:
        return None
    if not seen.left_behind:
        return []
    return note(f'{seen.left_behind} registrations are left; their names begin with "gatepost doctor"')


def _joined(findings: Sequence[DoctorFinding]) -> Sequence[DoctorFinding]:
    """Return findings that say the same as one, with all who suffer."""
    joined: dict[tuple[str, str], DoctorFinding] = {}
    for finding in findings:
        key = (finding.severity, finding.seen)
        before = joined.get(key)
        joined[key] = finding if before is None else replace(before, clients=(*before.clients, *finding.clients))
    return list(joined.values())


STEP: Final = Step(
    "Registering as each client does",
    (
        Check(
            id="registration-open",
            title="clients may register",
            why="Clients without a metadata document register by themselves, with no credential of any kind (RFC 7591 "
            "section 3).",
            change="Let anybody register, with limits. Gatepost: OAUTH_REGISTRATION_ENABLED=true, and no "
            "OAUTH_INITIAL_ACCESS_TOKEN.",
            look=_open,
        ),
        Check(
            id="redirect-on-loopback",
            title="redirect URIs on this machine are accepted: http, 127.0.0.1 and localhost, any port and path",
            why="Programs on people's machines listen there for the answer (RFC 8252 section 7.3).",
            change="Accept http on loopback. FastMCP: allowed_client_redirect_uris.",
            look=partial(_redirects, "loopback"),
        ),
        Check(
            id="redirect-on-the-web",
            title="redirect URIs on the web are accepted, with a path for each connector and several at once",
            why="claude.ai, ChatGPT and VS Code come back to pages of their vendor; ChatGPT has a path for each "
            "connector, VS Code registers four URIs.",
            change="Accept https URIs, compared exactly later, or add these hosts to the list of what is allowed.",
            look=partial(_redirects, "web"),
        ),
        Check(
            id="redirect-of-an-app",
            title="redirect URIs with a scheme of an app's own are accepted",
            why="Cursor registers three URIs, one of them cursor://; refusing one refuses the registration (RFC 8252 "
            "section 7.1).",
            change="Accept private-use schemes by exact match, and refuse those that a browser runs, such as "
            "javascript:. Official Python SDK before that: redirect_uris are AnyHttpUrl.",
            look=partial(_redirects, "app"),
        ),
        Check(
            id="registration-auth-method",
            title="who asks for no secret gets none",
            why="Clients register with token_endpoint_auth_method none. Another method is the server's right, but a "
            "client that sends its client_id alone is then refused at the token endpoint (RFC 7591 section 3.2.1).",
            change="Answer with the method that was asked for, if it is supported.",
            look=_method,
        ),
        Check(
            id="registration-answer",
            title="the answer repeats the redirect URIs",
            why="It has to say all that was registered (RFC 7591 section 3.2.1); clients that validate it refuse an "
            "answer without.",
            change="Answer with all of the registered metadata, every string as it was sent.",
            look=_echo,
        ),
        Check(
            id="registration-removed",
            title="what was registered here is removed again",
            why="The doctor left clients that nobody uses.",
            change="Remove them, or let registrations that were never used expire. The next time: "
            "--without-registration. Servers that offer RFC 7592 are left as they were.",
            look=_removed,
        ),
    ),
)
