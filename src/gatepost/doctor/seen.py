"""What came back from a server, and what follows from it at once; the checks look at nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from gatepost.doctor.answers import NOT_ASKED, ProbeAnswer, split
from gatepost.doctor.clients import PlayedClient
from gatepost.late_dataclass import dataclass
from gatepost.outbound.addresses import names_this_machine

RESOURCE_WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
"""RFC 9728 section 3."""
_MOST_SCOPES: Final = 100
"""More than any server needs; all of them have to fit into a URL."""
_PARAMETER: Final = re.compile(r'([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))')
_HOST_REFUSED: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.MISDIRECTED_REQUEST})


@dataclass(frozen=True, slots=True)
class Registration:
    """One client's registration, and what its authorization request was answered."""

    client: PlayedClient
    answer: ProbeAnswer
    authorization: ProbeAnswer = NOT_ASKED
    without_resource: ProbeAnswer = NOT_ASKED
    """The same without `resource`, where the first was refused."""

    @property
    def is_made(self) -> bool:
        """Whether there is a client now."""
        return self.answer.status in {200, 201} and self.client_id is not None

    @property
    def client_id(self) -> str | None:
        """The id that the server gave."""
        return _text(self.answer.document, "client_id")


@dataclass(frozen=True, slots=True)
class LoginSeen:
    """What a login was answered. None of it is printed but status and error."""

    registration: Registration | None = None
    returned: Mapping[str, str] = field(default_factory=dict)
    """The parameters with which the browser came back."""
    problem: str = ""
    """Why it did not."""
    exchanged: ProbeAnswer = NOT_ASKED
    refreshed_without_scope: ProbeAnswer = NOT_ASKED
    refreshed_with_scope: ProbeAnswer = NOT_ASKED
    revoked: ProbeAnswer = NOT_ASKED


@dataclass(frozen=True, slots=True)
class HandshakeSeen:
    """What a session of the handshake era answered, with a token."""

    initialize: ProbeAnswer = NOT_ASKED
    initialized: ProbeAnswer = NOT_ASKED
    ping: ProbeAnswer = NOT_ASKED
    tools: ProbeAnswer = NOT_ASKED
    tools_without_version: ProbeAnswer = NOT_ASKED
    stream: ProbeAnswer = NOT_ASKED
    unknown_session: ProbeAnswer = NOT_ASKED

    @property
    def is_open(self) -> bool:
        """Whether the server agreed to speak."""
        return isinstance((self.initialize.message or {}).get("result"), dict)


@dataclass(slots=True)
class Seen:
    """All that came back, in the order in which it was asked for."""

    url: str
    _: KW_ONLY
    token: str | None = None
    """What opens the lock; never printed."""

    # endpoint
    initialize: ProbeAnswer = NOT_ASKED
    bare: ProbeAnswer = NOT_ASKED
    discover: ProbeAnswer = NOT_ASKED
    get: ProbeAnswer = NOT_ASKED
    head: ProbeAnswer = NOT_ASKED
    variant: ProbeAnswer = NOT_ASKED
    by_agent: Mapping[str, ProbeAnswer] = field(default_factory=dict)
    # discovery
    resource_metadata: Mapping[str, ProbeAnswer] = field(default_factory=dict)
    """By `named`, `path` and `root`: named by the challenge, and where clients look by themselves."""
    resource_metadata_bare: ProbeAnswer = NOT_ASKED
    server_metadata: Sequence[ProbeAnswer] = ()
    """At each address that clients try, in their order."""
    server_metadata_bare: ProbeAnswer = NOT_ASKED
    # registration, authorization
    is_registration_tried: bool = False
    registrations: Sequence[Registration] = ()
    left_behind: int = 0
    """Registrations that could not be removed."""
    other_ports: Mapping[str, ProbeAnswer] = field(default_factory=dict)
    """To another port than the registered one, by host."""
    unregistered_redirect: ProbeAnswer = NOT_ASKED
    scopes_named_later: ProbeAnswer = NOT_ASKED
    refused_authorization: ProbeAnswer = NOT_ASKED
    """The answer to a request with a response type that nobody has, which goes back to the client."""
    by_document: Mapping[str, ProbeAnswer] = field(default_factory=dict)
    # the token endpoint
    dead_refresh_token: ProbeAnswer = NOT_ASKED
    unknown_client: ProbeAnswer = NOT_ASKED
    # browsers
    preflight: ProbeAnswer = NOT_ASKED
    from_page: ProbeAnswer = NOT_ASKED
    from_chatgpt: ProbeAnswer = NOT_ASKED
    documents_from_page: Sequence[ProbeAnswer] = ()
    preflights_of_endpoints: Sequence[ProbeAnswer] = ()
    # a login
    login: LoginSeen = field(default_factory=LoginSeen)
    # behind the lock
    handshake: HandshakeSeen = field(default_factory=HandshakeSeen)
    modern_discover: ProbeAnswer = NOT_ASKED
    modern_tools: ProbeAnswer = NOT_ASKED
    listening: ProbeAnswer = NOT_ASKED
    silence: ProbeAnswer = NOT_ASKED
    silence_seconds: float = 0.0

    @property
    def is_local(self) -> bool:
        """Whether the URL leads to this machine."""
        return names_this_machine(urlsplit(self.url).hostname or "")

    @property
    def path(self) -> str:
        """The path of the URL, without a slash at its end."""
        return urlsplit(self.url).path.rstrip("/")

    @property
    def host_is_refused(self) -> bool:
        """Whether the server said that it is not known by this host: 421, or what SDKs say in its place."""
        answer = self.initialize
        if answer.status == HTTPStatus.MISDIRECTED_REQUEST:
            return True
        return answer.status in _HOST_REFUSED and b"invalid host" in answer.body[:2000].lower()

    @property
    def is_locked(self) -> bool:
        """Whether the endpoint asks whoever comes without a token to log in."""
        return self.initialize.status == HTTPStatus.UNAUTHORIZED

    @property
    def wants_login(self) -> bool:
        """Whether clients will look for an authorization server."""
        return self.is_locked or bool(self.resource_document)

    @property
    def challenge(self) -> Mapping[str, str]:
        """The parameters of the Bearer challenge of the 401 (RFC 6750 section 3); empty without one."""
        return challenge_parameters(self.initialize)

    @property
    def scopes(self) -> Sequence[str]:
        """The scopes that the 401 lists, or else the metadata; clients ask for all of them."""
        named = self.challenge.get("scope")
        if named is not None:
            return named.split()[:_MOST_SCOPES]
        listed = (self.resource_document or {}).get("scopes_supported")
        return [scope for scope in listed if _plain(scope)][:_MOST_SCOPES] if isinstance(listed, list) else []

    @property
    def resource_document(self) -> Mapping[str, Any] | None:
        """The metadata of the resource, from the first place that has it."""
        return next((document for answer in self.resource_metadata.values() if (document := found(answer))), None)

    @property
    def resource(self) -> str:
        """The identifier that clients send as `resource` (RFC 8707)."""
        return _text(self.resource_document, "resource") or self.url

    @property
    def issuer(self) -> str | None:
        """The authorization server that clients go to: the first of the metadata."""
        named = (self.resource_document or {}).get("authorization_servers")
        return _plain(named[0]) if isinstance(named, list) and named else None

    @property
    def server_answer(self) -> ProbeAnswer | None:
        """The answer that has the metadata of the authorization server."""
        return next((answer for answer in self.server_metadata if found(answer)), None)

    @property
    def server_document(self) -> Mapping[str, Any] | None:
        """The metadata of the authorization server (RFC 8414), from the first address that has it."""
        answer = self.server_answer
        return None if answer is None else answer.document

    def endpoint(self, name: str) -> str | None:
        """Return the URL of an endpoint of the authorization server, with the scheme under which it can be asked."""
        url = _text(self.server_document, name)
        return None if url is None else self.reachable(url)

    def reachable(self, url: str) -> str:
        """Return `url` as it has to be asked: where only its scheme is wrong, the rest is looked at all the same."""
        given, named = split(self.url), split(url)
        if given.scheme == "https" and named.scheme == "http" and given.hostname == named.hostname:
            return urlunsplit(named._replace(scheme="https"))
        return url

    @property
    def made(self) -> Sequence[Registration]:
        """The registrations that were accepted."""
        return [registration for registration in self.registrations if registration.is_made]


def found(answer: ProbeAnswer) -> Mapping[str, Any] | None:
    """Return the document that a metadata address answered, or None."""
    return answer.document if answer.status == HTTPStatus.OK else None


def challenge_parameters(answer: ProbeAnswer) -> Mapping[str, str]:
    """Return the parameters of an answer's Bearer challenge (RFC 9110 section 11.6.1); empty without one."""
    for value in (value for name, value in answer.headers if name == "www-authenticate"):
        before, scheme, after = value.partition("Bearer")
        if scheme and not before.strip(" ,"):
            pairs = _PARAMETER.findall(after[:4096])
            return {name.lower(): quoted or plain for name, quoted, plain in pairs}
    return {}


def list_of(document: Mapping[str, Any] | None, name: str) -> Sequence[str] | None:
    """Return a member that is a list, its texts only; None without one."""
    value = (document or {}).get(name)
    return [item for item in value if _plain(item)] if isinstance(value, list) else None


def _text(document: Mapping[str, Any] | None, name: str) -> str | None:
    return _plain((document or {}).get(name))


def _plain(value: Any) -> str | None:
    """Return a text that can be sent on: without control characters and halves of surrogate pairs."""
    return value if isinstance(value, str) and value and value.isprintable() else None
