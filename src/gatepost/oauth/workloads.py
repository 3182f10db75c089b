"""Workload identity: a platform says which workload it runs, and a rule of the operator says what that may.

MCP's workload identity federation; RFC 7523 section 2.1. There is no user and no secret: the subject of a token is the
client that the rule names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field
from typing import Any, Final

from gatepost.late_dataclass import dataclass
from gatepost.oauth.asserted_grants import JWT_BEARER, LONGEST_WORKLOAD, GrantAssertion, check_assertion
from gatepost.oauth.errors import InvalidGrant
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client, ClientOrigin
from gatepost.tokens.claims import found

TYPES: Final = frozenset({None, "JWT", "jwt"})
"""What `typ` of a platform's token may be: neither an access token's nor an identity assertion's (RFC 8725 3.11)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadKeys:
    """Where the keys of a platform are, if not where its metadata says."""

    jwks_uri: str | None = None
    public_key: str | None = None
    """The path of a file."""
    algorithms: tuple[str, ...] = ()
    """What the platform may sign with; any asymmetric algorithm that is taken where none is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadRule:
    """Which workloads are which client."""

    client_id: str
    name: str
    """For people."""
    issuer: str
    """The platform, byte for byte as `iss` says it."""
    claims: Mapping[str, tuple[str, ...]]
    """Each claim has to be one of these texts; the name may be a path with dots."""
    audience: str | None = None
    """What `aud` has to be; None for this authorization server, by its issuer identifier or its token endpoint."""
    scopes: tuple[str, ...] | None = None
    """The most that tokens can have; None for what the resource gives by default."""
    is_reusable: bool = False
    """Whether a platform's token counts until it ends, in place of once; for platforms that keep it in a file."""
    dpop_bound_access_tokens: bool = False
    """Whether tokens are bound to a key of the workload."""
    keys: WorkloadKeys = field(default_factory=WorkloadKeys)


def check_workload(
    claims: Mapping[str, Any], rule: WorkloadRule, *, audiences: Collection[str], now: int
) -> GrantAssertion:
    """Return what a platform says of a workload that is a rule's.

    Raises:
        InvalidGrant: it is not, or its token does not count here.
    """
    own = audiences if rule.audience is None else (rule.audience,)
    checked = check_assertion(claims, issuer=rule.issuer, audiences=own, now=now, longest=LONGEST_WORKLOAD)
    if not all(found(claims, name) in values for name, values in rule.claims.items()):
        raise not_allowed()
    return checked


def not_allowed() -> InvalidGrant:
    """Return the refusal of a workload that no rule names."""
    return InvalidGrant(
        Reason.WORKLOAD_NOT_ALLOWED, "No rule of this server names this workload; its operator writes the rules."
    )


def client_of(rule: WorkloadRule, *, now: int) -> Client:
    """Return the client that a rule makes of workloads; its platform's token is all that it proves itself with."""
    return Client(
        client_name=rule.name,
        redirect_uris=(),
        grant_types=(JWT_BEARER,),
        response_types=(),
        token_endpoint_auth_method="none",  # noqa: S106 - a method, not a password
        application_type="web",
        scope=None if rule.scopes is None else " ".join(rule.scopes),
        client_uri=None,
        logo_uri=None,
        jwks=None,
        jwks_uri=None,
        dpop_bound_access_tokens=rule.dpop_bound_access_tokens,
        client_id=rule.client_id,
        secret_fingerprint=None,
        created_at=now,
        origin=ClientOrigin.SETTINGS,
    )
