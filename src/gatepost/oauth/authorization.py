"""The authorization endpoint's rules and its answers (RFC 6749 section 4.1, RFC 7636, RFC 8707, RFC 9207).

A request is judged in two halves. Until the client and its redirect URI are established nothing may be redirected, so
those errors end in a local page; after that every refusal goes back to the client.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NoReturn
from urllib.parse import quote

from gatepost.late_dataclass import dataclass
from gatepost.oauth.dpop import requested_thumbprint
from gatepost.oauth.errors import (
    InvalidRequest,
    LoginRequired,
    OAuthError,
    UnauthorizedClient,
    UnsupportedResponseType,
)
from gatepost.oauth.parameters import Parameters, check_parameters
from gatepost.oauth.pkce import check_challenge
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import AuthorizationCode, AuthorizationTransaction, Client
from gatepost.oauth.redirect_uris import check_registrable, is_registered, why_unregistered
from gatepost.oauth.scopes import parse_scope, select_scopes

RESPONSE_TYPES_SUPPORTED = ("code",)
RESPONSE_MODES_SUPPORTED = ("query",)
MAX_QUERY = 16 * 1024
"""Bytes of a request, in an address or pushed. Clients put whole URLs and signed objects into `state`; this leaves room
for several."""
MAX_STATE = 4096
"""Bytes of `state` as it stands in a URL. It goes back in a `Location`, and proxies cut headers off at 8 KiB."""


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request whose client and redirect URI are established; all else is still to be judged."""

    client: Client
    redirect_uri: str
    redirect_uri_was_sent: bool
    parameters: Parameters

    @property
    def client_state(self) -> str | None:
        """The client's `state`; None when it sent none, or none that can be given back as it was."""
        state = self.parameters.values.get("state")
        return None if state is None or _is_too_long(state) else state


# --- The first half: failures must not redirect (RFC 6749 section 4.1.2.1). ---


def requested_client_id(parameters: Parameters) -> str:
    """Return the `client_id` that the request names.

    Raises:
        InvalidRequest: it is missing, sent twice or malformed.
    """
    return _sole_value(parameters, "client_id") or _missing("client_id")


def requested_uri(parameters: Parameters) -> str | None:
    """Return the `request_uri` that the request names in place of all else (RFC 9126 section 4), or None.

    Raises:
        InvalidRequest: it is sent twice or malformed.
    """
    own = {"request_uri"}
    check_parameters(Parameters({}, parameters.repeated & own, parameters.malformed & own))
    return parameters.values.get("request_uri")


def establish_redirect_uri(client: Client, parameters: Parameters) -> AuthorizationRequest:
    """Return the request with the redirect URI that its answer may go to.

    It may be absent only when the client has exactly one (RFC 6749 section 3.1.2.3).

    Raises:
        InvalidRequest: it is missing, sent twice, malformed or not registered.
    """
    requested = _sole_value(parameters, "redirect_uri")
    redirect_uri = requested or (client.redirect_uris[0] if len(client.redirect_uris) == 1 else None)
    if redirect_uri is None:
        _missing("redirect_uri")
    if not is_registered(redirect_uri, client.redirect_uris):
        raise InvalidRequest(Reason.REDIRECT_URI_UNREGISTERED, why_unregistered(redirect_uri, client.redirect_uris))
    return AuthorizationRequest(client, redirect_uri, requested is not None, parameters)


# --- The second half: failures redirect. ---


def check_client_may_ask(request: AuthorizationRequest) -> None:
    """Refuse a client that did not register for the authorization code grant (RFC 6749 section 4.1.2.1)."""
    if "authorization_code" not in request.client.grant_types:
        raise UnauthorizedClient(
            Reason.GRANT_TYPE_NOT_REGISTERED, "This client is not registered for the authorization_code grant type."
        )


def check_no_parameter_is_repeated(request: AuthorizationRequest) -> None:
    """Refuse parameters that are sent twice or malformed (RFC 6749 section 3.1).

    RFC 8707 section 2 would allow several `resource` parameters; a token of this server is for exactly one.
    """
    check_parameters(request.parameters)


def check_state(request: AuthorizationRequest) -> None:
    """Refuse a `state` that is too long to be sent back."""
    if _is_too_long(request.parameters.values.get("state", "")):
        raise InvalidRequest(Reason.PARAMETER_MALFORMED, f"state is longer than {MAX_STATE} bytes; send less.")


def check_response_type(request: AuthorizationRequest) -> None:
    """Refuse everything but `response_type=code` (RFC 6749 section 3.1.1, RFC 9700 section 2.1.2)."""
    response_type = request.parameters.values.get("response_type") or _missing("response_type")
    if response_type not in RESPONSE_TYPES_SUPPORTED:
        raise UnsupportedResponseType(Reason.RESPONSE_TYPE_UNSUPPORTED, "response_type must be code.")


def check_response_mode(request: AuthorizationRequest) -> None:
    """Refuse a `response_mode` that would be ignored: the code would travel in a way the client did not ask for."""
    if request.parameters.values.get("response_mode", "query") not in RESPONSE_MODES_SUPPORTED:
        raise InvalidRequest(Reason.RESPONSE_MODE_UNSUPPORTED, "response_mode must be query, or be left out.")


def check_code_challenge(request: AuthorizationRequest) -> None:
    """Refuse a request without PKCE S256 (RFC 7636 section 4.4.1, RFC 9700 section 2.1.1)."""
    values = request.parameters.values
    check_challenge(values.get("code_challenge"), values.get("code_challenge_method"))


def check_dpop_key(request: AuthorizationRequest) -> None:
    """Refuse a `dpop_jkt` that no key has (RFC 9449 section 10)."""
    requested_thumbprint(request.parameters.values.get("dpop_jkt"))


def check_prompt(request: AuthorizationRequest) -> None:
    """Refuse `prompt=none`: people are always asked here (OpenID Connect Core section 3.1.2.1). The rest is met."""
    if "none" in request.parameters.values.get("prompt", "").split():
        raise LoginRequired(Reason.LOGIN_REQUIRED, "This server always asks the user; leave prompt=none out.")


REQUEST_CHECKS: tuple[Callable[[AuthorizationRequest], None], ...] = (
    check_no_parameter_is_repeated,
    check_state,
    check_client_may_ask,
    check_response_type,
    check_response_mode,
    check_code_challenge,
    check_dpop_key,
    check_prompt,
)
"""What every request has to pass, in this order. Scope and resource follow: they depend on each other."""


def check_request(request: AuthorizationRequest) -> None:
    """Run `REQUEST_CHECKS`; each raises the `OAuthError` that the client gets."""
    for check in REQUEST_CHECKS:
        check(request)


def requested_scopes(
    request: AuthorizationRequest, *, known: Collection[str], default: Sequence[str]
) -> tuple[str, ...]:
    """Return the scopes that the request is about.

    A client that names none asks for those it registered, or for `default` if it registered none that exists. What it
    registered is not a ceiling: anybody can register anything, and a client that is told by a challenge to come back
    with one more scope has to be able to.

    Raises:
        InvalidScope: it names scopes and none of them is known, or is malformed.
    """
    return scopes_asked_by(request.client, request.parameters.values.get("scope"), known=known, default=default)


def scopes_asked_by(
    client: Client, requested: str | None, *, known: Collection[str], default: Sequence[str]
) -> tuple[str, ...]:
    """Return the scopes that `requested`, a `scope` parameter of the client, is about; see `requested_scopes`."""
    registered = tuple(scope for scope in parse_scope(client.scope or "") if scope in known)
    return select_scopes(requested, known=known, default=registered or default)


def begin_transaction(
    request: AuthorizationRequest,
    *,
    transaction_id: str,
    browser_id: str,
    scopes: tuple[str, ...],
    resource: str,
    now: int,
    lifetime: int,
    sent_by_no_site: bool = False,
    query: str | None = None,
) -> AuthorizationTransaction:
    """Return the transaction of a request that passed every check; it belongs to the browser from now on.

    Args:
        request: the request.
        transaction_id: a fresh random identifier.
        browser_id: of the browser.
        scopes: what it is about.
        resource: its canonical identifier.
        now: seconds UTC.
        lifetime: seconds in which the person has to decide.
        sent_by_no_site: whether no site made a browser send it.
        query: as it came, where the login provider reads it.
    """
    return AuthorizationTransaction(
        transaction_id=transaction_id,
        browser_id=browser_id,
        client_id=request.client.client_id,
        redirect_uri=request.redirect_uri,
        redirect_uri_was_sent=request.redirect_uri_was_sent,
        scopes=scopes,
        resource=resource,
        code_challenge=request.parameters.values["code_challenge"],
        client_state=request.client_state,
        created_at=now,
        expires_at=now + lifetime,
        # Every `prompt` that gets this far asks for a question (OpenID Connect Core section 3.1.2.1).
        started_by_user=sent_by_no_site and "prompt" not in request.parameters.values,
        query=query,
        dpop_jkt=requested_thumbprint(request.parameters.values.get("dpop_jkt")),
    )


# --- The answers. ---


def authorization_code(
    transaction: AuthorizationTransaction, *, subject: str, code_fingerprint: bytes, now: int, lifetime: int
) -> AuthorizationCode:
    """Return the code's record for a transaction that `subject` approved (RFC 6749 section 4.1.2).

    RFC 6749 recommends a lifetime of at most 600 seconds.
    """
    return AuthorizationCode(
        code_fingerprint=code_fingerprint,
        transaction_id=transaction.transaction_id,
        client_id=transaction.client_id,
        redirect_uri=transaction.redirect_uri,
        redirect_uri_was_sent=transaction.redirect_uri_was_sent,
        scopes=transaction.scopes,
        resource=transaction.resource,
        code_challenge=transaction.code_challenge,
        subject=subject,
        created_at=now,
        expires_at=now + lifetime,
        dpop_jkt=transaction.dpop_jkt,
    )


def success_redirect(transaction: AuthorizationTransaction, *, code: str, issuer: str) -> str:
    """Return where to send the browser after approval (RFC 6749 section 4.1.2, RFC 9207 section 2).

    Raises:
        InvalidRedirectUri: the stored redirect URI is one that may not be redirected to.
    """
    return _response_uri(transaction.redirect_uri, code=code, state=transaction.client_state, iss=issuer)


def error_redirect(redirect_uri: str, error: OAuthError, *, client_state: str | None, issuer: str) -> str:
    """Return where to send the browser with a refusal (RFC 6749 section 4.1.2.1, RFC 9207 section 2).

    `redirect_uri` was established as the client's.

    Raises:
        InvalidRedirectUri: it is one that may not be redirected to.
    """
    return _response_uri(
        redirect_uri, error=error.error, error_description=error.description, state=client_state, iss=issuer
    )


def _response_uri(redirect_uri: str, **parameters: str | None) -> str:
    """Return `redirect_uri` with the response's parameters added to its query, which it keeps (RFC 6749 3.1.2).

    Everything outside of RFC 3986's unreserved characters is escaped, the space too: `+` means a space to some readers
    and itself to others, and `state` has to come back as it was.
    """
    check_registrable(redirect_uri)
    pairs = [f"{name}={quote(value, safe='')}" for name, value in parameters.items() if value is not None]
    own_query = redirect_uri.partition("?")[2]
    separator = "&" if own_query and not own_query.endswith("&") else ""
    return redirect_uri + ("" if "?" in redirect_uri else "?") + separator + "&".join(pairs)


def _is_too_long(state: str) -> bool:
    return len(quote(state, safe="")) > MAX_STATE


def _sole_value(parameters: Parameters, name: str) -> str | None:
    """Return the one value of `name`, or None when it is absent; refuse it when there are two or it is malformed."""
    value = parameters.values.get(name)
    if value is None:
        # It may also be the one whose name cannot be decoded.
        check_parameters(Parameters({}, parameters.repeated & {name}, parameters.malformed & {name, ""}))
    return value


def _missing(name: str) -> NoReturn:
    raise InvalidRequest(Reason.PARAMETER_MISSING, f"The parameter {name} is missing.")
