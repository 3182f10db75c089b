"""Clients that are web pages: what a browser lets them send and read (Fetch standard, cross-origin rules)."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from gatepost.doctor.answers import ProbeAnswer, printable
from gatepost.doctor.clients import IN_BROWSER
from gatepost.doctor.endpoint import ACCEPT, initialize
from gatepost.doctor.findings import Check, DoctorFinding, Step, fails
from gatepost.doctor.requester import Requester
from gatepost.doctor.seen import Seen, found

ORIGIN: Final = "http://localhost:6274"
"""The MCP Inspector's."""
_SENT: Final = ("authorization", "content-type", "mcp-protocol-version", "mcp-session-id", "mcp-method")
_READ: Final = ("www-authenticate", "mcp-session-id")


async def observe(seen: Seen, requester: Requester) -> None:
    """Ask as a page of the Inspector does, and as ChatGPT, which says its origin."""
    if not seen.is_locked:
        return
    headers = {"Content-Type": "application/json", "Accept": ACCEPT}
    seen.preflight = await requester.ask("OPTIONS", seen.url, _preflight(", ".join(_SENT)))
    seen.from_page = await requester.ask("POST", seen.url, {**headers, "Origin": ORIGIN}, initialize())
    seen.from_chatgpt = await requester.ask(
        "POST", seen.url, {**headers, "Origin": "https://chatgpt.com"}, initialize()
    )
    documents = [answer for answer in (*seen.resource_metadata.values(), *seen.server_metadata) if found(answer)]
    seen.documents_from_page = [
        await requester.ask("GET", url, {"Accept": "*/*", "Origin": ORIGIN})
        for url in dict.fromkeys(answer.url for answer in documents)
    ]
    named = (seen.endpoint(name) for name in ("registration_endpoint", "token_endpoint"))
    seen.preflights_of_endpoints = [
        await requester.ask("OPTIONS", url, _preflight("content-type")) for url in named if url is not None
    ]


def _preflight(headers: str) -> dict[str, str]:
    return {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": headers,
    }


def _names(answer: ProbeAnswer, header: str) -> set[str]:
    return {name.strip().lower() for name in (answer.header(header) or "").split(",") if name.strip()}


def _is_readable(answer: ProbeAnswer) -> bool:
    return answer.header("access-control-allow-origin") in {"*", ORIGIN}


def _lacks(answer: ProbeAnswer, sent: Iterable[str]) -> str:
    """Return what a preflight's answer lacks, for a report, or nothing."""
    if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return answer.seen
    if not _is_readable(answer):
        return f"{answer.seen}, without Access-Control-Allow-Origin for {ORIGIN}"
    allowed = _names(answer, "access-control-allow-headers")
    # An asterisk covers everything but Authorization (Fetch standard, CORS-preflight fetch).
    missing = [name for name in sent if name not in allowed and ("*" not in allowed or name == "authorization")]
    return f"{answer.seen}, Access-Control-Allow-Headers lacks {', '.join(missing)}" if missing else ""


def _preflights(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.preflight.method:
        return None
    said = _lacks(seen.preflight, _SENT)
    return fails(said, IN_BROWSER) if said else []


def _readable(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.from_page.method:
        return None
    if _is_readable(seen.from_page):
        return []
    allowed = printable(seen.from_page.header("access-control-allow-origin") or "none")
    return fails(f"{seen.from_page.seen}, Access-Control-Allow-Origin: {allowed}", IN_BROWSER)


def _exposed(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.from_page.method or not _is_readable(seen.from_page):
        return None
    exposed = _names(seen.from_page, "access-control-expose-headers")
    missing = [name for name in _READ if name not in exposed and "*" not in exposed]
    return fails(f"Access-Control-Expose-Headers lacks {', '.join(missing)}", IN_BROWSER) if missing else []


def _documents(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.documents_from_page:
        return None
    refused = [answer.seen for answer in seen.documents_from_page if not _is_readable(answer)]
    refused += [said for answer in seen.preflights_of_endpoints if (said := _lacks(answer, ("content-type",)))]
    return fails("; ".join(refused), IN_BROWSER) if refused else []


def _chatgpt(seen: Seen) -> Iterable[DoctorFinding] | None:
    if not seen.from_chatgpt.method:
        return None
    is_same = seen.from_chatgpt.status == seen.initialize.status
    return [] if is_same else fails(f"{seen.from_chatgpt.seen}, with Origin: https://chatgpt.com", ("chatgpt",))


_WHY: Final = "A page cannot see what the browser keeps from it, and then says that the server cannot be reached"
STEP: Final = Step(
    "Clients in a browser",
    (
        Check(
            id="preflight",
            title="the browser may send what MCP needs: OPTIONS is answered without a token",
            why=f"{_WHY}. A preflight never carries a token (Fetch standard).",
            change="Answer OPTIONS before the token is looked at, and allow authorization, content-type and mcp-* by "
            "name: an asterisk does not cover Authorization. Gatepost: MCP_ALLOWED_ORIGINS.",
            look=_preflights,
        ),
        Check(
            id="401-readable",
            title="the 401 can be read",
            why=f"{_WHY}; so nobody is asked to log in.",
            change="Put cross-origin rules outermost, around the guard, so that its refusals have the headers, too. "
            "Gatepost: MCP_ALLOWED_ORIGINS.",
            look=_readable,
        ),
        Check(
            id="cors-exposed-headers",
            title="WWW-Authenticate and Mcp-Session-Id can be read",
            why="Without the first a page does not find the metadata, without the second it loses its session.",
            change="Access-Control-Expose-Headers: WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version.",
            look=_exposed,
        ),
        Check(
            id="cors-discovery",
            title="metadata, registration and token endpoint can be read",
            why=f"{_WHY}.",
            change="Allow every origin at /.well-known/, registration and token endpoint; they look at no cookie.",
            look=_documents,
        ),
        Check(
            id="origin-accepted",
            title="a request that says Origin: https://chatgpt.com is treated as any other",
            why="ChatGPT says its origin, though it is no page; a guard against DNS rebinding refuses it.",
            change="Where a token is demanded, let the token decide, or add the origin to the list of those allowed. "
            "Gatepost: MCP_ALLOWED_ORIGINS.",
            look=_chatgpt,
        ),
    ),
)
