"""Client authentication at the token endpoint (RFC 6749 sections 2.3 and 3.2.1, RFC 7591 section 2).

Two steps, with the client's look-up between them: read which client the request names and how it proves itself, then
check that against what the client registered. The registered method decides: a client that was given a secret cannot
do without it, and one without a secret cannot send one.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from urllib.parse import unquote_to_bytes

from gatepost.late_dataclass import dataclass
from gatepost.oauth.client_assertions import ASSERTION_TYPE, asserted_client
from gatepost.oauth.errors import InvalidClient, InvalidRequest, UnauthorizedClient
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client
from gatepost.tokens.opaque import matches

METHODS_SUPPORTED = ("none", "client_secret_basic", "client_secret_post", "private_key_jwt")
"""What `token_endpoint_auth_method` may be (RFC 7591 section 2)."""

_CLIENT_ID = re.compile(r"[\x20-\x7e]+")  # RFC 6749 appendix A.1


@dataclass(frozen=True, slots=True)
class PresentedClient:
    """The client that a request says it comes from, and its proof."""

    client_id: str
    method: str
    """One of `METHODS_SUPPORTED`."""
    secret: str | None = field(default=None, repr=False)
    assertion: str | None = field(default=None, repr=False)
    """With the method `private_key_jwt`, and with no other."""


def read_client(parameters: Mapping[str, str], authorization: Sequence[str]) -> PresentedClient:
    """Return which client a request names and how, by its body and the values of all `Authorization` headers.

    Raises:
        InvalidRequest: it names no client, or two, or uses more than one method (RFC 6749 section 2.3: must not).
        InvalidClient: it uses a method that is not supported, or its Basic credentials are malformed.
    """
    if len(authorization) > 1:
        raise InvalidRequest(
            Reason.AUTHORIZATION_HEADER_REPEATED, "There are several Authorization headers; send one, or none."
        )
    if "client_assertion" in parameters or "client_assertion_type" in parameters:
        return _read_assertion(parameters, has_header=bool(authorization))
    client_id = parameters.get("client_id")
    secret = parameters.get("client_secret")
    if authorization:
        return _read_basic(authorization[0], client_id=client_id, has_body_secret=secret is not None)
    if client_id is None:
        raise InvalidRequest(
            Reason.PARAMETER_MISSING, "client_id is missing; send it in the body, or use HTTP Basic authentication."
        )
    return PresentedClient(_checked(client_id), "none" if secret is None else "client_secret_post", secret)


def identified_client(client: Client | None, presented: PresentedClient) -> Client:
    """Return the client that a request names, of which nothing is proven yet, if it may prove itself in this way.

    `client` is what the store holds for `presented.client_id`.

    Raises:
        InvalidClient: it is unknown or disabled, or uses another method than it registered.
    """
    if client is None:
        raise InvalidClient(Reason.CLIENT_UNKNOWN, "The client is unknown here; register again to get a client_id.")
    if client.disabled_at is not None:
        raise InvalidClient(Reason.CLIENT_DISABLED, "This client is disabled; ask the operator of this server.")
    if presented.method != client.token_endpoint_auth_method:
        raise InvalidClient(
            Reason.CLIENT_AUTHENTICATION_METHOD_WRONG,
            f"This client is registered with token_endpoint_auth_method {client.token_endpoint_auth_method}, and this "
            f"request uses {presented.method}.",
        )
    return client


def authenticate_client(client: Client | None, presented: PresentedClient) -> Client:
    """Return the client if it is who it says it is, by its secret or because it has none.

    Assertions are judged elsewhere (`client_assertions.py`): their keys may have to be fetched.

    Raises:
        InvalidClient: as `identified_client`; or its secret is wrong, or it presents an assertion.
    """
    client = identified_client(client, presented)
    if presented.assertion is not None:
        raise InvalidClient(Reason.CLIENT_AUTHENTICATION_METHOD_WRONG, "This endpoint does not take client assertions.")
    if presented.secret is not None and not matches(presented.secret, client.secret_fingerprint):
        raise InvalidClient(Reason.CLIENT_AUTHENTICATION_FAILED, "The client secret is wrong.")
    return client


def check_grant_type(client: Client, grant_type: str) -> None:
    """Refuse a grant type that the client has not registered for (RFC 6749 section 5.2).

    Raises:
        UnauthorizedClient: it has not.
    """
    if grant_type not in client.grant_types:
        raise UnauthorizedClient(
            Reason.GRANT_TYPE_NOT_REGISTERED,
            "This client is not registered for this grant type; its grant_types list those it may use.",
        )


def _read_basic(header: str, *, client_id: str | None, has_body_secret: bool) -> PresentedClient:
    """Read HTTP Basic credentials, whose two halves are form-urlencoded first (RFC 6749 section 2.3.1)."""
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient(
            Reason.CLIENT_AUTHENTICATION_METHOD_WRONG,
            "The Authorization header of this endpoint takes the scheme Basic only; public clients send none.",
        )
    if has_body_secret:
        raise InvalidRequest(
            Reason.CLIENT_AUTHENTICATION_METHOD_WRONG,
            "The client authenticates in two ways; send the secret in the header or in the body, not in both.",
        )
    try:
        raw_id, colon, raw_secret = base64.b64decode(credentials.strip(" "), validate=True).partition(b":")
        basic_id, secret = _form_decoded(raw_id), _form_decoded(raw_secret)
    except (binascii.Error, ValueError):
        raise _malformed_basic() from None
    if not (colon and basic_id and secret):
        raise _malformed_basic()
    if client_id is not None and client_id != basic_id:
        # Some clients name themselves in both places (RFC 6749 section 3.2.1 lets them); it has to be the same name.
        raise InvalidRequest(
            Reason.PARAMETER_REPEATED, "client_id differs from the client in the Authorization header; send it once."
        )
    return PresentedClient(_checked(basic_id), "client_secret_basic", secret)


def _read_assertion(parameters: Mapping[str, str], *, has_header: bool) -> PresentedClient:
    """Read an assertion (RFC 7521 section 4.2). Its `sub` is the client; `client_id` may be left out."""
    if has_header or "client_secret" in parameters:
        raise InvalidRequest(
            Reason.CLIENT_AUTHENTICATION_METHOD_WRONG,
            "The client authenticates in two ways; send the client_assertion alone.",
        )
    if parameters.get("client_assertion_type") != ASSERTION_TYPE:
        raise InvalidClient(
            Reason.CLIENT_AUTHENTICATION_METHOD_WRONG, f"client_assertion_type must be {ASSERTION_TYPE}."
        )
    assertion = parameters.get("client_assertion")
    if assertion is None:
        raise InvalidRequest(Reason.PARAMETER_MISSING, "client_assertion is missing.")
    subject = asserted_client(assertion)
    if parameters.get("client_id", subject) != subject:
        raise InvalidClient(
            Reason.CLIENT_ASSERTION_INVALID, "client_id differs from the sub of the client_assertion (RFC 7521 4.2)."
        )
    return PresentedClient(_checked(subject), "private_key_jwt", assertion=assertion)


def _form_decoded(raw: bytes) -> str:
    """Decode one half. A client that forgot to encode still gets through, unless its text looks encoded."""
    return unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8")


def _malformed_basic() -> InvalidClient:
    return InvalidClient(
        Reason.CLIENT_AUTHENTICATION_FAILED,
        "The Basic credentials are malformed; send base64(client_id:client_secret), both form-urlencoded first.",
    )


def _checked(client_id: str) -> str:
    """Return `client_id` if any client could have it; the store is not asked for what cannot exist."""
    if _CLIENT_ID.fullmatch(client_id) is None:
        raise InvalidClient(Reason.CLIENT_UNKNOWN, "No client has this client_id: it may hold printable ASCII only.")
    return client_id
