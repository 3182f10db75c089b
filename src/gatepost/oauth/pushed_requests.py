"""Pushed authorization requests: a client sends them here first, and the browser only brings a reference (RFC 9126)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from gatepost.late_dataclass import dataclass
from gatepost.oauth.authorization import (
    REQUEST_CHECKS,
    AuthorizationRequest,
    check_prompt,
    establish_redirect_uri,
)
from gatepost.oauth.errors import InvalidRequest
from gatepost.oauth.parameters import Parameters
from gatepost.oauth.policy import AuthorizationServer
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client
from gatepost.tokens.opaque import RandomBytes, SecretKind, fingerprint, looks_like, mint

_PREFIX: Final = "urn:ietf:params:oauth:request_uri:"
"""Section 2.2."""
_OF_CLIENT_AUTHENTICATION: Final = frozenset({"client_secret", "client_assertion", "client_assertion_type"})
"""Relied upon to authenticate the client, and no part of the request (section 2.1)."""


@dataclass(frozen=True, slots=True)
class PushedRequest:
    """A request that was pushed and waits for a browser to bring its reference, once."""

    reference_fingerprint: bytes
    client_id: str
    query: str
    """Its parameters, as they would stand in the address of the authorization endpoint."""
    created_at: int
    expires_at: int


def check_pushed(client: Client, parameters: Mapping[str, str], *, dpop_jkt: str | None = None) -> AuthorizationRequest:
    """Return the request that an authenticated client pushes, if it could be sent to the authorization endpoint.

    Whether a person has to be asked is not known yet, so what is about that is judged there (section 2.3). `dpop_jkt`
    is the thumbprint of the key that the client proves to hold; it counts as if it had been sent (RFC 9449 10.1).

    Raises:
        OAuthError: it could not; or it names a `request_uri` itself (section 2.1), or another key than it proves.
    """
    if "request_uri" in parameters:
        raise InvalidRequest(
            Reason.REQUEST_URI_INVALID, "request_uri cannot be pushed; send the parameters themselves."
        )
    values = {name: value for name, value in parameters.items() if name not in _OF_CLIENT_AUTHENTICATION}
    # Who authenticates by a header or an assertion is named there.
    values["client_id"] = client.client_id
    if dpop_jkt is not None and values.setdefault("dpop_jkt", dpop_jkt) != dpop_jkt:
        raise InvalidRequest(
            Reason.DPOP_KEY_WRONG, "dpop_jkt is another key than the DPoP proof's; send one of the two, or the same."
        )
    asked = establish_redirect_uri(client, Parameters(values, frozenset(), frozenset()))
    for check in REQUEST_CHECKS:
        if check is not check_prompt:
            check(asked)
    return asked


def pushed_request(
    asked: AuthorizationRequest, *, now: int, lifetime: int, random_bytes: RandomBytes
) -> tuple[str, PushedRequest]:
    """Return the `request_uri` of a request, and what is kept under its fingerprint for `lifetime` seconds."""
    reference = mint(SecretKind.REQUEST_REFERENCE, random_bytes)
    query = "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in asked.parameters.values.items()
    )
    return _PREFIX + reference, PushedRequest(
        fingerprint(reference), asked.client.client_id, query, created_at=now, expires_at=now + lifetime
    )


def reference_of(request_uri: str) -> bytes | None:
    """Return the fingerprint of the reference in a `request_uri`; None where it is none of ours."""
    reference = request_uri.removeprefix(_PREFIX)
    is_ours = request_uri.startswith(_PREFIX) and looks_like(SecretKind.REQUEST_REFERENCE, reference)
    return fingerprint(reference) if is_ours else None


def check_was_pushed(asked: AuthorizationRequest, server: AuthorizationServer) -> None:
    """Refuse a request that stands in an address where the server, or its client, wants it pushed (section 4).

    Raises:
        InvalidRequest: it has to be pushed.
    """
    if server.requires_pushed_requests or asked.client.requires_pushed_requests:
        raise InvalidRequest(
            Reason.REQUEST_NOT_PUSHED,
            "Push this request to the pushed_authorization_request_endpoint of the metadata first (RFC 9126).",
        )
