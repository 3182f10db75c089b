"""What a request is told that may not pass the bearer guard (RFC 6750 section 3, RFC 9449 section 7.1)."""

from __future__ import annotations

from gatepost.oauth.reasons import Reason
from gatepost.resource.bearer import Refusal

_UNAVAILABLE = 503
_RETRY_AFTER = 5


class BearerRefused(Exception):
    """A request that may not pass, with all that its answer needs."""

    def __init__(self, refusal: Refusal, *, www_authenticate: str, nonce: str | None = None) -> None:
        super().__init__(refusal.reason)
        self.status = refusal.status
        self.www_authenticate = www_authenticate
        """The value of the answer's `WWW-Authenticate` header; ASCII, without line breaks."""
        is_challenge = refusal.status != _UNAVAILABLE
        own = ("WWW-Authenticate", www_authenticate) if is_challenge else ("Retry-After", str(_RETRY_AFTER))
        self.headers = (own,) if nonce is None else (own, ("DPoP-Nonce", nonce))
        """The answer's own headers. What is not the client's fault is no challenge (RFC 9449 section 9)."""
        self.reason = Reason(refusal.reason)
        self.body: dict[str, str] = (
            # Without credentials there is no error to report (RFC 6750 section 3.1), only a way to begin.
            {"detail": refusal.description}
            if refusal.error is None
            else {"error": refusal.error, "error_description": refusal.description}
        )
        """The members of a JSON body."""
