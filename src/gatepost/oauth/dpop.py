"""DPoP at the token endpoint: who has to prove that they hold a key, and which (RFC 9449 sections 5 and 10)."""

from __future__ import annotations

from gatepost.oauth.errors import InvalidDpopProof, InvalidGrant, InvalidRequest
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client
from gatepost.tokens.dpop import is_thumbprint


def check_proof_given(client: Client, *, is_given: bool, is_required: bool) -> None:
    """Refuse a token request without a proof where the client, or the operator, wants nothing but bound tokens.

    Raises:
        InvalidDpopProof: it has none.
    """
    if is_given or not (is_required or client.dpop_bound_access_tokens):
        return
    why = "This server issues" if is_required else "This client is registered for"
    raise InvalidDpopProof(
        Reason.DPOP_PROOF_MISSING,
        f"{why} tokens that are bound to a key alone; send a DPoP proof (RFC 9449 section 5).",
    )


def check_key(bound_to: str, proven: str | None, *, of: str = "The refresh token") -> None:
    """Refuse a token that is bound to another key than the one that the request proves to hold; `of` is its name.

    Raises:
        InvalidDpopProof: the request proves nothing. The token stays what it is.
        InvalidGrant: the keys differ, so its client has to begin anew.
    """
    if proven is None:
        raise InvalidDpopProof(
            Reason.DPOP_PROOF_MISSING, f"{of} is bound to a key; send a DPoP proof that is signed with it."
        )
    if proven != bound_to:
        raise key_wrong(f"{of} is bound to another key than the DPoP proof's; authorize again.")


def key_wrong(description: str) -> InvalidGrant:
    """Return the refusal of what is bound to another key than is proven."""
    return InvalidGrant(Reason.DPOP_KEY_WRONG, description)


def requested_thumbprint(dpop_jkt: str | None) -> str | None:
    """Return the key that a code is to be bound to; None where the client leaves that open (RFC 9449 section 10).

    Raises:
        InvalidRequest: it is no thumbprint, so no key could ever redeem the code.
    """
    if dpop_jkt is not None and not is_thumbprint(dpop_jkt):
        raise InvalidRequest(
            Reason.PARAMETER_MALFORMED, "dpop_jkt is the SHA-256 thumbprint of a JWK as base64url: 43 characters."
        )
    return dpop_jkt


def key_of_refresh_token(client: Client, proven: str | None) -> str | None:
    """Return the key that a new refresh token is bound to; None for none (RFC 9449 section 5).

    One of a client that authenticates is bound to that client anyway, which may change its key.
    """
    return proven if client.token_endpoint_auth_method == "none" else None
