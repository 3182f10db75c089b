"""Identity assertion JWT authorization grants: an identity provider says for whom a client acts.

draft-ietf-oauth-identity-assertion-authz-grant sections 3 and 4.4; MCP's enterprise-managed authorization, section 5.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from gatepost.late_dataclass import dataclass
from gatepost.oauth.asserted_grants import LONGEST_ID_JAG, GrantAssertion, check_assertion, invalid
from gatepost.oauth.dpop import key_wrong
from gatepost.oauth.errors import InvalidGrant, InvalidScope, InvalidTarget, UnauthorizedClient
from gatepost.oauth.policy import Lifetimes
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client, Grant
from gatepost.oauth.scopes import parse_scope, select_scopes
from gatepost.tokens.opaque import RandomBytes, identifier

TYPE: Final = "oauth-id-jag+jwt"
"""`typ` of the header (RFC 8725 section 3.11)."""
PROFILE: Final = "urn:ietf:params:oauth:grant-profile:id-jag"
"""What the metadata calls it, in `authorization_grant_profiles_supported`."""
_NOT_UNDERSTOOD: Final = ("tenant", "aud_tenant", "authorization_details")
"""Claims that narrow for whom or what an assertion is, in ways that this server cannot honour."""


@dataclass(frozen=True, slots=True)
class IdJag:
    """What an identity provider asserts."""

    assertion: GrantAssertion
    resources: tuple[str, ...]
    """What it is for, as the provider spells it; empty where that is not said."""
    scopes: tuple[str, ...] | None
    """What may be granted at most; None where that is not said."""


def check_confidential(client: Client) -> None:
    """Refuse a client that cannot prove who it is: the provider's word is for this client and no other.

    Raises:
        UnauthorizedClient: it is a public one (section 8.1 of the draft).
    """
    if client.token_endpoint_auth_method == "none":
        raise UnauthorizedClient(
            Reason.GRANT_TYPE_NOT_REGISTERED,
            "This grant is for clients that authenticate; public ones send their user through authorization.",
        )


def check_id_jag(
    claims: Mapping[str, Any], *, issuer: str, audience: str, client_id: str, dpop_jkt: str | None, now: int
) -> IdJag:
    """Return what an assertion of `issuer` says that is for `audience`, this authorization server.

    `client_id` has authenticated; `dpop_jkt` is the thumbprint of the key that it proves to hold.

    Raises:
        InvalidGrant: it does not count, or is another client's, or bound to a key that is not proven.
    """
    if claims.get("client_id") != client_id:
        raise InvalidGrant(
            Reason.GRANT_ASSERTION_OF_ANOTHER_CLIENT, "client_id of the assertion is not the client that sends it."
        )
    checked = check_assertion(claims, issuer=issuer, audiences=(audience,), now=now, longest=LONGEST_ID_JAG)
    if unknown := next((name for name in _NOT_UNDERSTOOD if name in claims), None):
        raise invalid(f"The assertion has a claim that this server does not understand: {unknown}.")
    if "cnf" in claims:
        _check_key(claims["cnf"], dpop_jkt)
    return IdJag(checked, _resources(claims.get("resource")), _scopes(claims.get("scope")))


def resource_asked_for(id_jag: IdJag, requested: str | None) -> str | None:
    """Return the resource that the token is to be for; None leaves that to the server, which may have one only.

    Raises:
        InvalidTarget: the request names another one than the assertion, or has to say which of several.
    """
    if not id_jag.resources:
        return requested
    if requested is None and len(id_jag.resources) > 1:
        raise InvalidTarget(Reason.RESOURCE_UNKNOWN, "The assertion is for several resources; send resource.")
    return requested or id_jag.resources[0]


def granted_scopes(
    id_jag: IdJag, requested: str | None, *, known: Collection[str], default: Sequence[str], ceiling: str | None
) -> tuple[str, ...]:
    """Return the scopes of the token: what is asked for, inside what the assertion says (MCP's profile, section 7.2.1).

    `known` and `default` are the resource's; `ceiling` is what the client is registered for, None for anything.

    Raises:
        InvalidScope: nothing of what is asked for may be granted.
    """
    asserted = None if id_jag.scopes is None else tuple(scope for scope in id_jag.scopes if scope in known)
    named = select_scopes(requested, known=known, default=default if asserted is None else asserted)
    limits = [each for each in (asserted, None if ceiling is None else ceiling.split()) if each is not None]
    selected = tuple(scope for scope in named if all(scope in limit for limit in limits))
    if not selected and known:
        raise InvalidScope(Reason.SCOPE_WIDER_THAN_GRANTED, "The assertion allows none of these scopes here.")
    return selected


def person_grant(
    client: Client,
    *,
    subject: str,
    resource: str,
    scopes: tuple[str, ...],
    now: int,
    lifetimes: Lifetimes,
    random_bytes: RandomBytes,
) -> Grant:
    """Return the grant behind one token, which ends with it: another assertion takes the place of a refresh token."""
    return Grant(
        grant_id=identifier("grant_", random_bytes),
        subject=subject,
        client_id=client.client_id,
        resource=resource,
        scopes=scopes,
        created_at=now,
        expires_at=now + lifetimes.access_token,
    )


def _check_key(confirmation: object, dpop_jkt: str | None) -> None:
    bound_to = confirmation.get("jkt") if isinstance(confirmation, dict) else None
    if not isinstance(bound_to, str):
        raise invalid("cnf of the assertion has no jkt, the only way here to prove a key.")
    if dpop_jkt is None:
        raise InvalidGrant(
            Reason.DPOP_PROOF_MISSING, "The assertion is bound to a key; send a DPoP proof that is signed with it."
        )
    if dpop_jkt != bound_to:
        raise key_wrong("The assertion is bound to another key than the DPoP proof's.")


def _resources(value: object) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(each, str) for each in listed) or (value is not None and not listed):
        raise invalid("resource of the assertion is a URL, or a list of them.")
    return tuple(listed)


def _scopes(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise invalid("scope of the assertion is a text, with blanks between scopes.")
    try:
        return tuple(parse_scope(value))
    except InvalidScope:
        raise invalid("scope of the assertion is malformed (RFC 6749 section 3.3).") from None
