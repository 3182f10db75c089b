"""The metadata of the authorization server (RFC 8414): where clients look, and whether they can use what it says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from gatepost.doctor.answers import printable, split
from gatepost.doctor.clients import CLIENTS
from gatepost.doctor.findings import Check, DoctorFinding, Step, degraded, fails, note
from gatepost.doctor.requester import Requester
from gatepost.doctor.seen import Seen, found, list_of

_OAUTH: Final = "/.well-known/oauth-authorization-server"
_OPENID: Final = "/.well-known/openid-configuration"
DISCOVERY_SECONDS: Final = 10.0
"""How long claude.ai waits."""
_ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint")
_COMPARE_ISSUERS: Final = ("mcp-python", "mcp-typescript", "mcp-go")
DOCUMENTS: Final = "client_id_metadata_document_supported"


def addresses(issuer: str) -> Sequence[str]:
    """Return the addresses that clients try for an issuer, in the order of MCP authorization."""
    parts = split(issuer)
    path = parts.path.rstrip("/")
    paths = [f"{_OAUTH}{path}", f"{_OPENID}{path}"]
    if path:
        paths.append(f"{path}{_OPENID}")
    return [urlunsplit((parts.scheme, parts.netloc, each, "", "")) for each in paths]


async def observe(seen: Seen, requester: Requester) -> None:
    """Ask at every address. Where the resource names no server, its own origin is asked, as before RFC 9728."""
    if not seen.wants_login:
        return
    origin = urlunsplit((*urlsplit(seen.url)[:2], "", "", ""))
    headers = {"Accept": "application/json", "MCP-Protocol-Version": "2025-11-25"}
    tried = addresses(seen.reachable(seen.issuer or origin))
    seen.server_metadata = [await requester.ask("GET", address, headers) for address in tried]
    if seen.server_answer is not None:
        seen.server_metadata_bare = await requester.ask("GET", seen.server_answer.url, {"User-Agent": ""})


def _metadata(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.wants_login or not (seen.issuer or seen.server_metadata):
        return None
    if seen.server_document is None:
        said = "; ".join(answer.seen for answer in seen.server_metadata)
        return fails(said or f"authorization_servers has {printable(seen.issuer or '')}")
    first = seen.server_metadata[0]
    return [] if found(first) else note(f"{first.seen}; the document is at another address")


def _as_json(seen: Seen) -> Iterable[DoctorFinding] | None:
    answer = seen.server_answer
    if answer is None:
        return None
    return [] if answer.media_type == "application/json" else degraded(answer.seen)


def _issuer(seen: Seen) -> Iterable[DoctorFinding] | None:
    document, expected = seen.server_document, seen.issuer
    if document is None or expected is None:
        return None
    issuer = document.get("issuer")
    if not isinstance(issuer, str):
        return fails("there is no issuer in the metadata", _COMPARE_ISSUERS)
    if seen.reachable(issuer) == seen.reachable(expected):
        return []
    is_slash = seen.reachable(expected) == f"{seen.reachable(issuer)}/"
    who = tuple(client for client in _COMPARE_ISSUERS if client != "mcp-typescript" or not is_slash)
    return fails(f"issuer is {printable(issuer)}, authorization_servers names {printable(expected)}", who)


def _scheme(seen: Seen) -> Iterable[DoctorFinding] | None:
    """Look at every URL that clients are told."""
    if urlsplit(seen.url).scheme != "https" or not seen.wants_login:
        return None
    document = seen.server_document or {}
    told = {
        "resource_metadata of the challenge": seen.challenge.get("resource_metadata"),
        "resource": (seen.resource_document or {}).get("resource"),
        "authorization_servers": seen.issuer,
        **{name: document.get(name) for name in ("issuer", *_ENDPOINTS, "registration_endpoint")},
    }
    wrong = [
        f"{name} {printable(url)}" for name, url in told.items() if isinstance(url, str) and seen.reachable(url) != url
    ]
    return fails("; ".join(wrong)) if wrong else []


def _endpoints(seen: Seen) -> Iterable[DoctorFinding] | None:
    if seen.server_document is None:
        return None
    missing = [name for name in _ENDPOINTS if not (seen.endpoint(name) or "").startswith(("https://", "http://"))]
    return fails(f"there is no URL at {' and '.join(missing)}") if missing else []


def _pkce(seen: Seen) -> Iterable[DoctorFinding] | None:
    if seen.server_document is None:
        return None
    methods = list_of(seen.server_document, "code_challenge_methods_supported")
    if methods is None:
        return fails("there is no code_challenge_methods_supported", ("claude-ai", "mcp-go"))
    return [] if "S256" in methods else fails(f"code_challenge_methods_supported is {printable(', '.join(methods))}")


def _response_type(seen: Seen) -> Iterable[DoctorFinding] | None:
    types = list_of(seen.server_document, "response_types_supported")
    if types is None:
        return None
    return [] if "code" in types else fails(f"response_types_supported is {printable(', '.join(types))}")


def _refresh(seen: Seen) -> Iterable[DoctorFinding] | None:
    types = list_of(seen.server_document, "grant_types_supported")
    if types is None:
        return None
    return [] if "refresh_token" in types else degraded(f"grant_types_supported is {printable(', '.join(types))}")


def advertises_documents(seen: Seen) -> bool:
    """Say whether clients may come with a metadata document in place of a registration."""
    return (seen.server_document or {}).get(DOCUMENTS) is True


def _ways_in(seen: Seen) -> Iterable[DoctorFinding] | None:
    if seen.server_document is None:
        return None
    if seen.endpoint("registration_endpoint"):
        return []
    if not advertises_documents(seen):
        return fails(f"neither registration_endpoint nor {DOCUMENTS}")
    others = tuple(client.id for client in CLIENTS if client.redirect_uris and not client.uses_document)
    return fails("there is no registration_endpoint", others)


def _public_clients(seen: Seen) -> Iterable[DoctorFinding] | None:
    if seen.server_document is None:
        return None
    methods = list_of(seen.server_document, "token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    if "none" in methods:
        return []
    said = f"token_endpoint_auth_methods_supported is {printable(', '.join(methods))}"
    if not advertises_documents(seen):
        return note(said)
    has_registration = seen.endpoint("registration_endpoint") is not None
    return degraded(said, ("claude-ai",)) if has_registration else fails(said, ("claude-ai",))


def _in_time(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.initialize.status:
        return None
    document = next((answer for answer in seen.resource_metadata.values() if found(answer)), None)
    steps = [step for step in (seen.initialize, document, seen.server_answer) if step is not None]
    seconds = sum(step.seconds for step in steps)
    if seconds <= DISCOVERY_SECONDS:
        return []
    return fails(f"{seconds:.1f} s for {len(steps)} answers", ("claude-ai",))


STEP: Final = Step(
    "The metadata of the authorization server",
    (
        Check(
            id="server-metadata",
            title="the authorization server has metadata where clients look first",
            why="It names the endpoints. Every client that was recorded asks oauth-authorization-server first, with "
            "the path of the issuer behind it; openid-configuration comes after that (RFC 8414 section 3.1).",
            change="Serve the document at /.well-known/oauth-authorization-server followed by the path of the issuer.",
            look=_metadata,
        ),
        Check(
            id="server-metadata-as-json",
            title="it is application/json",
            why="It has to be (RFC 8414 section 3.2); strict clients take nothing else.",
            change="Send Content-Type: application/json.",
            look=_as_json,
        ),
        Check(
            id="issuer",
            title="its issuer is the string that the resource names",
            why="Metadata of another issuer must not be used (RFC 8414 section 3.3). The official SDKs compare the "
            "strings as they are, with the slash at their end; that of TypeScript forgives one in the resource's.",
            change="Write the issuer in one way in both documents; pydantic's AnyHttpUrl adds a slash. Gatepost: "
            "MCP_PUBLIC_URL, or OAUTH_ISSUER as the issuer itself writes it.",
            look=_issuer,
        ),
        Check(
            id="scheme",
            title="every URL that clients are told is https, as the one that was given",
            why="A server behind a proxy that ends TLS takes itself for http; clients then send tokens in clear, or "
            "refuse, or take it for another server.",
            change="Tell the server its public URL, or have the proxy say the scheme and the server believe it. "
            "Gatepost: MCP_PUBLIC_URL=https://….",
            look=_scheme,
        ),
        Check(
            id="endpoints",
            title="it names the authorization and the token endpoint",
            why="No login is possible without them (RFC 8414 section 2).",
            change="Add authorization_endpoint and token_endpoint, as whole URLs.",
            look=_endpoints,
        ),
        Check(
            id="pkce",
            title="it says code_challenge_methods_supported: S256",
            why="MCP clients must refuse a server that does not say so; claude.ai and the official Go SDK do (MCP "
            "authorization, Authorization Code Protection).",
            change="Support PKCE with S256, and say so.",
            look=_pkce,
        ),
        Check(
            id="response-type-code",
            title="it supports the response type code",
            why="It is the only one that MCP clients use (OAuth 2.1).",
            change="Add code to response_types_supported.",
            look=_response_type,
        ),
        Check(
            id="refresh-tokens",
            title="it issues refresh tokens",
            why="People have to log in again each time that an access token ends.",
            change="Issue refresh tokens and add refresh_token to grant_types_supported.",
            look=_refresh,
        ),
        Check(
            id="ways-to-become-known",
            title="clients can become known: by registration, or by a metadata document",
            why="A client that is not known cannot ask for anything; most register (RFC 7591), some prefer documents.",
            change="Offer registration_endpoint. Gatepost: OAUTH_REGISTRATION_ENABLED=true. Otherwise people have to "
            "be given a client_id, and their client has to take one.",
            look=_ways_in,
        ),
        Check(
            id="public-clients",
            title="it takes clients without a secret: none among the authentication methods",
            why="All clients that were recorded register with none; claude.ai chooses a metadata document only where "
            "the metadata lists it.",
            change="Add none to token_endpoint_auth_methods_supported.",
            look=_public_clients,
        ),
        Check(
            id="discovery-in-ten-seconds",
            title="the 401 and both documents come within ten seconds together",
            why="claude.ai waits no longer for discovery.",
            change="Keep an instance warm: a server that sleeps takes its start out of the ten seconds.",
            look=_in_time,
        ),
    ),
)
