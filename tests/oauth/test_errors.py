"""What each refusal is on the wire (RFC 6749 section 5.2 and others)."""

from __future__ import annotations

from gatepost.oauth import errors
from gatepost.oauth.errors import InvalidGrant, OAuthError, TooManyRequests
from gatepost.oauth.reasons import Reason


def test_each_error_has_its_code_and_status() -> None:
    own = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, OAuthError) and value is not OAuthError
    ]
    assert {error.__name__: (error.error, error.status) for error in own} == {
        "InvalidRequest": ("invalid_request", 400),
        "InvalidClient": ("invalid_client", 401),
        "InvalidGrant": ("invalid_grant", 400),
        "UnauthorizedClient": ("unauthorized_client", 400),
        "UnsupportedGrantType": ("unsupported_grant_type", 400),
        "UnsupportedResponseType": ("unsupported_response_type", 400),
        "InvalidScope": ("invalid_scope", 400),
        "InvalidTarget": ("invalid_target", 400),
        "AccessDenied": ("access_denied", 400),
        "AuthorizationPending": ("authorization_pending", 400),
        "SlowDown": ("slow_down", 400),
        "ExpiredToken": ("expired_token", 400),
        "RegistrationDisabled": ("access_denied", 403),
        "LoginRequired": ("login_required", 400),
        "InvalidRedirectUri": ("invalid_redirect_uri", 400),
        "InvalidClientMetadata": ("invalid_client_metadata", 400),
        "InvalidToken": ("invalid_token", 401),
        "InvalidDpopProof": ("invalid_dpop_proof", 400),
        "UseDpopNonce": ("use_dpop_nonce", 400),
        "ServerError": ("server_error", 500),
        "TemporarilyUnavailable": ("temporarily_unavailable", 503),
        "TooManyRequests": ("temporarily_unavailable", 429),
    }


def test_a_refusal_says_code_sentence_and_reason() -> None:
    refusal = InvalidGrant(Reason.CODE_UNKNOWN, "The code is unknown.")
    assert str(refusal) == "invalid_grant: The code is unknown. [code_unknown]"
    assert (refusal.reason, refusal.description) == (Reason.CODE_UNKNOWN, "The code is unknown.")
    assert refusal.retry_after is None


def test_one_that_comes_too_often_is_told_when_to_come_again() -> None:
    first = TooManyRequests(Reason.TOO_MANY_REQUESTS, "Wait.", retry_after=7)
    assert str(first) == "temporarily_unavailable: Wait. [too_many_requests]"
    assert (first.retry_after, first.is_first) == (7, True)
    assert not TooManyRequests(Reason.TOO_MANY_REQUESTS, "Wait.", retry_after=7, is_first=False).is_first
