"""Dynamic client registration: what a client says about itself, and what becomes of it (RFC 7591 sections 2 and 3).

The rule for what a client asks for and this server does not have: a list is cut to what is supported, and the answer
says so (RFC 7591 section 3.2.1 lets the server replace values); a single value that cannot be honoured is refused,
because a client that believes it has another would fail later and less clearly. Unknown members are ignored, and so is
what is only for showing, or of no use to this client, where it is not what it should be. A null, an empty string and an
empty list count as absent: clients write absence in all three ways.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NoReturn

from gatepost.oauth.authorization import RESPONSE_TYPES_SUPPORTED
from gatepost.oauth.client_authentication import METHODS_SUPPORTED
from gatepost.oauth.device_authorization import DEVICE_CODE
from gatepost.oauth.display_text import display_text
from gatepost.oauth.errors import InvalidClientMetadata, InvalidRedirectUri, InvalidScope
from gatepost.oauth.fetched_urls import url_problem
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client, ClientMetadata, ClientOrigin
from gatepost.oauth.redirect_uris import check_registrable, is_https_url, is_web
from gatepost.oauth.scopes import parse_scope
from gatepost.tokens.client_keys import KeysInvalid, holds_private_keys, read_keys, unique_members

MAX_BODY = 16 * 1024
"""Bytes of one registration request, and so about of what is kept of one: strangers register, and it stays."""
MAX_REDIRECT_URIS = 16
MAX_ALL_REDIRECT_URIS = 8 * 1024
"""Characters of all redirect URIs of a client together; they are read at every authorization request."""
MAX_LIST = 32
"""Entries of any other list."""
MAX_NAME = 200
"""Characters of a client's name; pages show fewer."""
_MAX_RAW_NAME = 4 * MAX_NAME
"""Characters before anything is taken out. Composing marks takes time that grows with the square of their number."""
_MAX_MARKS = 8
"""Marks on one character; no script needs as many."""

DEFAULT_GRANT_TYPES = ("authorization_code", "refresh_token")
"""What clients may register for where nothing else is said."""
_BEGINNINGS = frozenset({"authorization_code", DEVICE_CODE})
"""Grant types that a person answers; nothing else begins a grant that a client can register for by itself."""
_APPLICATION_TYPES = ("native", "web")
_NAMELESS = "Unnamed client"
_REQUIRES_PUSHED_REQUESTS = "require_pushed_authorization_requests"


def parse_metadata(raw: bytes) -> dict[str, object]:
    """Return the JSON object in `raw`.

    Raises:
        InvalidClientMetadata: it is not a JSON object in UTF-8, is nested too deeply, or names a member twice.
    """
    try:
        # A byte order mark is passed over, as RFC 8259 section 8.1 lets a reader do.
        document = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=unique_members, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        _refuse("The body must be one JSON object in UTF-8, no member twice, not deeply nested (RFC 7591 section 3.1).")
    return document


def read_metadata(
    document: Mapping[str, object],
    *,
    known_scopes: Collection[str],
    grant_types: Sequence[str] = DEFAULT_GRANT_TYPES,
    auth_methods: Sequence[str] = METHODS_SUPPORTED,
    most_redirect_uris: int = MAX_REDIRECT_URIS,
) -> ClientMetadata:
    """Return what a registration request, or a client's document about itself, comes to.

    `known_scopes` are those of all resources of this server; `grant_types` and `auth_methods` are what it supports.
    There may be `most_redirect_uris`, and for each as many characters as a registration has on average.

    Raises:
        InvalidRedirectUri: a redirect URI is missing or cannot be registered (RFC 7591 section 3.2.2).
        InvalidClientMetadata: something else is malformed, contradicts itself or cannot be honoured.
    """
    kept_grant_types = _grant_types(document, grant_types)
    redirects = "authorization_code" in kept_grant_types
    redirect_uris = _redirect_uris(document, most_redirect_uris, are_needed=redirects)
    auth_method = _auth_method(document, auth_methods)
    jwks, jwks_uri = _keys(document, auth_method)
    return ClientMetadata(
        client_name=_client_name(document),
        redirect_uris=redirect_uris,
        grant_types=kept_grant_types,
        response_types=_response_types(document) if redirects else (),
        token_endpoint_auth_method=auth_method,
        application_type=_application_type(document, redirect_uris),
        scope=_scope(document, known_scopes),
        client_uri=_shown_url(document, "client_uri"),
        logo_uri=_shown_url(document, "logo_uri"),
        jwks=jwks,
        jwks_uri=jwks_uri,
        dpop_bound_access_tokens=_flag(document, "dpop_bound_access_tokens"),
    )


def requires_pushed_requests(document: Mapping[str, object]) -> bool:
    """Return whether a client's authorization requests are to count only if they were pushed (RFC 9126 section 6).

    Raises:
        InvalidClientMetadata: it says neither yes nor no.
    """
    said = document.get(_REQUIRES_PUSHED_REQUESTS)
    if said is not None and not isinstance(said, bool):
        _refuse(f"{_REQUIRES_PUSHED_REQUESTS} must be true or false.")
    return bool(said)


def new_client(
    metadata: ClientMetadata,
    *,
    client_id: str,
    secret_fingerprint: bytes | None,
    now: int,
    origin: ClientOrigin = ClientOrigin.DYNAMIC,
    registration_token_fingerprint: bytes | None = None,
    refresh_reuse: int | None = None,
    requires_pushed_requests: bool = False,
    exchange_from: tuple[str, ...] = (),
    exchange_to: tuple[str, ...] = (),
) -> Client:
    """Return the record of a new client.

    It has a `secret_fingerprint` exactly when `metadata.needs_secret`, and a registration access token if it may manage
    its registration (RFC 7592).
    """
    return Client(
        **metadata.metadata(),
        client_id=client_id,
        secret_fingerprint=secret_fingerprint,
        created_at=now,
        origin=origin,
        registration_token_fingerprint=registration_token_fingerprint,
        refresh_reuse=refresh_reuse,
        requires_pushed_requests=requires_pushed_requests,
        exchange_from=exchange_from,
        exchange_to=exchange_to,
    )


def client_information(
    client: Client,
    *,
    client_secret: str | None,
    registration_access_token: str | None = None,
    registration_client_uri: str | None = None,
) -> dict[str, Any]:
    """Return the answer to a registration: what was registered, not what was asked for (RFC 7591 section 3.2.1).

    The secret is shown this once; with the registration access token the client manages its registration, at its own
    URI (RFC 7592 section 3). What it has not is None.
    """
    registered = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in client.metadata().items()
        if value is not None and value is not False
    }
    if client.jwks is not None:
        registered["jwks"] = json.loads(client.jwks)
    if client.requires_pushed_requests:
        registered[_REQUIRES_PUSHED_REQUESTS] = True
    information = {"client_id": client.client_id, "client_id_issued_at": client.created_at, **registered}
    if client_secret is not None:
        # 0 means that it does not expire (RFC 7591 section 3.2.1); required beside a secret.
        information |= {"client_secret": client_secret, "client_secret_expires_at": 0}
    if registration_access_token is not None:
        information |= {
            "registration_access_token": registration_access_token,
            "registration_client_uri": registration_client_uri,
        }
    return information


def _redirect_uris(document: Mapping[str, object], most: int, *, are_needed: bool) -> tuple[str, ...]:
    """Return the redirect URIs; a client that only logs in by device needs none (RFC 7591 section 2)."""
    uris = document.get("redirect_uris")
    if not are_needed and not uris:
        return ()
    if not isinstance(uris, list) or not 0 < len(uris) <= most:
        _refuse_redirect_uri(f"redirect_uris must be a list of 1 to {most} redirect URIs.")
    for position, uri in enumerate(uris):
        if not isinstance(uri, str):
            _refuse_redirect_uri(f"redirect_uris[{position}] must be a string.")
        try:
            check_registrable(uri)
        except InvalidRedirectUri as error:
            raise InvalidRedirectUri(error.reason, f"redirect_uris[{position}]: {error.description}") from None
    longest = MAX_ALL_REDIRECT_URIS * most // MAX_REDIRECT_URIS
    if sum(map(len, uris)) > longest:
        _refuse_redirect_uri(f"redirect_uris are longer than {longest} characters together; register fewer.")
    return tuple(dict.fromkeys(uris))


def _client_name(document: Mapping[str, object]) -> str:
    """Return the name without control, format (bidirectional, zero-width), private and unassigned characters.

    They are taken out, not refused: emoji joined by zero-width joiners stand in the names of honest clients. Marks
    heaped on one character go too.
    """
    text = _text(document, "client_name") or ""
    if len(text) > _MAX_RAW_NAME:
        _refuse(f"client_name is longer than {MAX_NAME} characters.")
    name = unicodedata.normalize("NFC", _without_heaps(text))
    visible = (character for character in name if unicodedata.category(character)[0] != "C")
    clean = " ".join("".join(visible).split())  # at blanks of every script
    if len(clean) > MAX_NAME:
        _refuse(f"client_name is longer than {MAX_NAME} characters.")
    return clean or _NAMELESS


def claimed_name(client_name: str | None) -> str:
    """Return what a client calls itself, as pages show it; empty for one that gives no name."""
    return "" if client_name is None or client_name == _NAMELESS else display_text(client_name)


def _without_heaps(text: str) -> str:
    """Return `text` with at most `_MAX_MARKS` combining marks in a row."""
    kept: list[str] = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character)[0] == "M" else 0
        if marks <= _MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def _auth_method(document: Mapping[str, object], supported: Sequence[str]) -> str:
    """Return how the client authenticates. Absent means a public client.

    RFC 7591 section 2 would have it mean `client_secret_basic`; clients that leave it out are public ones in practice,
    and a secret that nobody keeps protects nothing. The answer says which it is.
    """
    method = _text(document, "token_endpoint_auth_method") or "none"
    if method not in supported:
        _refuse(f"token_endpoint_auth_method is not supported here; choose one of these: {', '.join(supported)}.")
    return method


def _grant_types(document: Mapping[str, object], supported: Sequence[str]) -> tuple[str, ...]:
    """Return the grant types. Absent means `DEFAULT_GRANT_TYPES`; what comes to be supported beside is for who asks.

    RFC 7591 section 2 would have it mean `authorization_code` alone, and a client that said nothing would be logged out
    whenever its access token ends.
    """
    asked = _list(document, "grant_types") or DEFAULT_GRANT_TYPES
    kept = tuple(grant_type for grant_type in supported if grant_type in asked)
    if not _BEGINNINGS & {*kept}:
        beginnings = " or ".join(grant_type for grant_type in supported if grant_type in _BEGINNINGS)
        _refuse(f"grant_types must include {beginnings}, which begins every grant of this server.")
    return kept


def _response_types(document: Mapping[str, object]) -> tuple[str, ...]:
    """Return the response types of a client with the code grant; `code` has to be among them (section 2.1)."""
    asked = _list(document, "response_types") or RESPONSE_TYPES_SUPPORTED
    kept = tuple(response_type for response_type in RESPONSE_TYPES_SUPPORTED if response_type in asked)
    if not kept:
        _refuse("response_types must include code, which the authorization_code grant type needs.")
    return kept


def _application_type(document: Mapping[str, object], redirect_uris: Sequence[str]) -> str:
    """Return `native` or `web` (OpenID Connect Dynamic Client Registration section 2).

    A client with a redirect URI on its user's device is native whatever it says, and the answer tells it so. Many
    clients leave the type out, where OpenID Connect would have it mean `web`, or say `web` with a loopback URI;
    refusing those would keep them out for a value that decides nothing here. A native client may have https URIs
    (RFC 8252 section 7.2).
    """
    stated = _text(document, "application_type")
    if stated is not None and stated not in _APPLICATION_TYPES:
        _refuse("application_type must be native or web.")
    leads_to_web = bool(redirect_uris) and all(map(is_web, redirect_uris))
    return stated if stated == "native" else "web" if leads_to_web else "native"


def _scope(document: Mapping[str, object], known_scopes: Collection[str]) -> str | None:
    """Return the known part of the scope, or None when nothing is left: the client then asks for the default set."""
    try:
        asked = parse_scope(_text(document, "scope") or "")
    except InvalidScope as error:
        _refuse(error.description)
    return " ".join(scope for scope in asked if scope in known_scopes) or None


def _shown_url(document: Mapping[str, object], name: str) -> str | None:
    """Return a URL that is only for showing, or None where it is not one that may be shown."""
    url = document.get(name)
    return url if isinstance(url, str) and is_https_url(url) else None


def _keys(document: Mapping[str, object], auth_method: str) -> tuple[str | None, str | None]:
    """Return `jwks` as JSON text and `jwks_uri`; both None unless the client authenticates with a key.

    Others may say there what they like, but for a private key: that is there by mistake and should not go unnoticed.
    """
    if auth_method != "private_key_jwt":
        if holds_private_keys(document.get("jwks")):
            _refuse("jwks holds a private or symmetric key; whoever can read it can pose as the client.")
        return None, None
    jwks, jwks_uri = document.get("jwks"), _text(document, "jwks_uri")
    if jwks is not None and jwks_uri is not None:
        _refuse("jwks and jwks_uri exclude each other (RFC 7591 section 2).")
    # Whether this server may connect to that place is decided when it does.
    problem = None if jwks_uri is None else url_problem(jwks_uri, allow_loopback=True, allow_query=True)
    if problem is not None:
        _refuse(f"jwks_uri {problem}.")
    try:
        keys = None if jwks is None else read_keys(jwks)
    except KeysInvalid as error:
        _refuse(f"jwks {error}.")
    if keys is None and jwks_uri is None:
        _refuse("private_key_jwt needs jwks or jwks_uri, so that there are keys to check with.")
    kept = None if keys is None else json.dumps({"keys": keys})
    if kept is not None and len(kept) > MAX_BODY:
        _refuse(f"jwks is longer than {MAX_BODY} characters.")
    return kept, jwks_uri


def _text(document: Mapping[str, object], name: str) -> str | None:
    value = document.get(name)
    if value is not None and not isinstance(value, str):
        _refuse(f"{name} must be a string.")
    return value or None


def _flag(document: Mapping[str, object], name: str) -> bool:
    value = document.get(name)
    if value is not None and not isinstance(value, bool):
        _refuse(f"{name} must be true or false.")
    return value or False


def _list(document: Mapping[str, object], name: str) -> list[str]:
    value = document.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > MAX_LIST or not all(isinstance(entry, str) for entry in value):
        _refuse(f"{name} must be a list of at most {MAX_LIST} strings.")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _refuse(description: str) -> NoReturn:
    raise InvalidClientMetadata(Reason.CLIENT_METADATA_INVALID, description)


def _refuse_redirect_uri(description: str) -> NoReturn:
    raise InvalidRedirectUri(Reason.REDIRECT_URI_INVALID, description)
