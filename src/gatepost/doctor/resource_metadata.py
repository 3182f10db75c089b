"""From the 401 to the metadata of the resource: the challenge, and every address that clients try (RFC 9728)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from gatepost.doctor.answers import ProbeAnswer, printable, split
from gatepost.doctor.findings import Check, DoctorFinding, Step, degraded, fails, note
from gatepost.doctor.requester import Requester
from gatepost.doctor.seen import RESOURCE_WELL_KNOWN, Seen, found, list_of

_AS_CODEX: Final = {"Accept": "*/*", "MCP-Protocol-Version": "2024-11-05"}


async def observe(seen: Seen, requester: Requester) -> None:
    """Ask at every address."""
    parts = urlsplit(seen.url)
    root = urlunsplit((parts.scheme, parts.netloc, RESOURCE_WELL_KNOWN, "", ""))
    addresses = {"path": root + seen.path, "root": root}
    if named := seen.challenge.get("resource_metadata"):
        addresses = {"named": seen.reachable(named), **addresses}
    answers: dict[str, ProbeAnswer] = {}
    asked: dict[str, ProbeAnswer] = {}
    for place, url in addresses.items():
        if url not in asked:
            asked[url] = await requester.ask("GET", url, _AS_CODEX)
        answers[place] = asked[url]
    seen.resource_metadata = answers
    working = next((answer.url for answer in answers.values() if found(answer)), None)
    if working is not None:
        seen.resource_metadata_bare = await requester.ask("GET", working, {"User-Agent": ""})


def _challenge(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.is_locked:
        return None
    header = seen.initialize.header("www-authenticate")
    if header is None:
        return degraded(f"{seen.initialize.seen}, without WWW-Authenticate")
    if "resource_metadata" not in seen.challenge:
        return degraded(f"{seen.initialize.seen}, WWW-Authenticate: {printable(header)}")
    return []


def _challenge_metadata(seen: Seen) -> Iterable[DoctorFinding] | None:
    answer = seen.resource_metadata.get("named")
    if answer is None or seen.resource_document is None:
        return None
    if found(answer):
        return []
    # Where the challenge names the address that clients know anyway, that one is said to be missing, once.
    return None if answer is seen.resource_metadata["path"] else degraded(answer.seen)


def _challenge_error(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.challenge:
        return None
    error = seen.challenge.get("error")
    return note(f"the 401 says error={printable(error)}, though no token was sent") if error else []


def _anywhere(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.is_locked:
        return None
    return [] if seen.resource_document is not None else fails(_list(seen.resource_metadata.values()))


def _at_path(seen: Seen) -> Iterable[DoctorFinding] | None:
    if seen.resource_document is None or not seen.path:
        return None
    answer = seen.resource_metadata["path"]
    if found(answer):
        return []
    if found(seen.resource_metadata["root"]):
        return degraded(answer.seen)
    return fails(answer.seen, ("claude-code",))


def _at_root(seen: Seen) -> Iterable[DoctorFinding] | None:
    if seen.resource_document is None or not seen.path:
        return None
    answer = seen.resource_metadata["root"]
    return [] if found(answer) else note(answer.seen)


def _as_json(seen: Seen) -> Iterable[DoctorFinding] | None:
    documents = [answer for answer in seen.resource_metadata.values() if found(answer)]
    if not documents:
        return None
    other = [answer for answer in documents if answer.media_type != "application/json"]
    return degraded(_list(other)) if other else []


def _identifier(seen: Seen) -> Iterable[DoctorFinding] | None:
    document = seen.resource_document
    if document is None:
        return None
    resource = document.get("resource")
    if not isinstance(resource, str):
        return fails("there is no resource in the metadata")
    named, given = seen.reachable(resource), seen.url
    if named == given or (not seen.path and named.rstrip("/") == given.rstrip("/")):
        return []
    said = f"resource is {printable(resource)}, the URL is {printable(given)}"
    same_server = split(named)[:2] == split(given)[:2]
    is_above = f"{seen.path}/".startswith(f"{split(named).path.rstrip('/')}/")
    return fails(said, ("vscode",)) if same_server and is_above else fails(said)


def _servers(seen: Seen) -> Iterable[DoctorFinding] | None:
    if seen.resource_document is None:
        return None
    return [] if list_of(seen.resource_document, "authorization_servers") else fails("authorization_servers is empty")


def _bare(seen: Seen) -> Iterable[DoctorFinding] | None:
    answers = [answer for answer in (seen.resource_metadata_bare, seen.server_metadata_bare) if answer.method]
    if not answers:
        return None
    refused = [answer for answer in answers if answer.status != HTTPStatus.OK]
    return fails(f"{_list(refused)}, without User-Agent and Accept", ("mcp-python",)) if refused else []


def _list(answers: Iterable[ProbeAnswer]) -> str:
    said: Sequence[str] = list(dict.fromkeys(answer.seen for answer in answers))
    return "; ".join(said)


STEP: Final = Step(
    "From the 401 to the metadata of the resource",
    (
        Check(
            id="challenge",
            title="the 401 names the metadata: WWW-Authenticate: Bearer resource_metadata=…",
            why="It is where a client's discovery starts, and where it learns which scopes to ask for; without it "
            "clients guess at well-known addresses and scopes (RFC 9728 section 5.1, RFC 9110 section 15.5.2).",
            change="Send the header with every 401, and let no proxy take it out.",
            look=_challenge,
        ),
        Check(
            id="challenge-metadata",
            title="the address that the challenge names has the metadata",
            why="Clients ask there first; those that try no other address give up (RFC 9728 section 5.1).",
            change="Name the address at which the document is served from outside. Gatepost: MCP_PUBLIC_URL.",
            look=_challenge_metadata,
        ),
        Check(
            id="challenge-error",
            title="the challenge names no error where no token was sent",
            why="An error says that a token is wrong; there was none (RFC 6750 section 3.1).",
            change="Leave error and error_description out when the request has no Authorization header.",
            look=_challenge_error,
        ),
        Check(
            id="resource-metadata",
            title="the resource has metadata",
            why="It names the authorization server; every current client looks for it (RFC 9728, MCP authorization).",
            change=f"Serve {RESOURCE_WELL_KNOWN} followed by the path of the MCP URL, open to everybody. An app that "
            "is mounted inside another has to have its well-known routes at the root of the host.",
            look=_anywhere,
        ),
        Check(
            id="resource-metadata-at-path",
            title="the metadata is at the well-known address with the path of the MCP URL",
            why="`claude mcp login` begins there without asking the server, then at the root; others do so when a "
            "challenge does not lead further (RFC 9728 section 3.1).",
            change=f"Serve the document at {RESOURCE_WELL_KNOWN} followed by the path.",
            look=_at_path,
        ),
        Check(
            id="resource-metadata-at-root",
            title="the metadata is at the root of the host, too",
            why="It is the last address that clients try; none of those known here needs it.",
            change=f"Where there is one MCP server on the host, serve the document at {RESOURCE_WELL_KNOWN} as well.",
            look=_at_root,
        ),
        Check(
            id="resource-metadata-as-json",
            title="the metadata is application/json",
            why="It has to be (RFC 9728 section 3.2); strict clients take nothing else.",
            change="Send Content-Type: application/json.",
            look=_as_json,
        ),
        Check(
            id="resource-identifier",
            title="resource in the metadata is the MCP URL",
            why="Clients refuse metadata that speaks for another resource; VS Code wants the very string, the official "
            "SDKs the same origin and a path that is the same or above (RFC 9728 section 3.3).",
            change="Give people exactly the URL that the metadata names, or have the metadata name it. Gatepost: "
            "MCP_PUBLIC_URL.",
            look=_identifier,
        ),
        Check(
            id="authorization-servers",
            title="the metadata names an authorization server",
            why="Clients have nowhere to log in without it (MCP authorization, Authorization Server Location).",
            change="List the issuer in authorization_servers. Gatepost: OAUTH_ENABLE_AS, or OAUTH_ISSUER.",
            look=_servers,
        ),
        Check(
            id="metadata-without-headers",
            title="the metadata is there for those who send neither User-Agent nor Accept",
            why="The official Python client sends neither; firewalls take such requests for scans.",
            change="Exempt /.well-known/ from bot protection.",
            look=_bare,
        ),
    ),
)
