"""What the server has to reach, and by which it is reached: its public URL, login providers, issuers, the way out."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from gatepost.assembly.imported_later import is_upstream_login
from gatepost.cli.checks.finding import Finding
from gatepost.configuration.deployment import Deployment, host_and_port, is_loopback_host
from gatepost.configuration.forward_proxy import forward_proxy
from gatepost.configuration.settings import Settings
from gatepost.late_dataclass import dataclass
from gatepost.outbound.fetching import TOTAL_SECONDS, Fault, FetchFailed, system_trust

if TYPE_CHECKING:
    import httpx2

    from gatepost.assembly.installation import Installation
    from gatepost.assembly.oauth import OAuth

PUBLIC_URL: Final = "public URL"
_LOGIN: Final = "login provider"
_ISSUER: Final = "issuer"
_EGRESS: Final = "way out"
_SERVER_METADATA: Final = "/.well-known/oauth-authorization-server"
_RESOURCE_METADATA: Final = "/.well-known/oauth-protected-resource"
_OK: Final = 200
_GATEWAY: Final = (502, 503, 504)
"""What proxies say while nothing is behind them (RFC 9110 section 15.6)."""

DOCUMENTS: Final = (
    "https://claude.ai/oauth/claude-code-client-metadata",
    "https://chatgpt.com/oauth/codex/client.json",
)
"""Metadata documents that widely used clients have as their client ids (docs/clients.md)."""
_DOCUMENT_LIMIT: Final = 64 * 1024


Ask = Callable[[str, Settings | None, Mapping[str, str]], Awaitable["DocumentAnswer"]]
"""Sends a GET request; see `ask_past_the_guard`."""


@dataclass(frozen=True, slots=True)
class DocumentAnswer:
    """What a URL answered."""

    status: int
    document: Any
    """None where the body is no JSON object."""


async def runs_already(settings: Settings, deployment: Deployment) -> bool:
    """Say whether what listens at the server's own address is this server: it says that it is the same issuer."""
    server = settings.server
    if server.uds is not None or server.fd is not None or server.port == 0:
        return False
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(server.host, server.host)  # noqa: S104 - asked, not listened on
    base, document = _place(settings, deployment)
    # Without its own name a server answers to nobody.
    headers = {"Host": urlsplit(deployment.public_url).netloc}
    try:
        answer = await ask_past_the_guard(f"http://{host_and_port(host, server.port)}{document}", None, headers)
    except (FetchFailed, OSError):
        return False
    return _says(answer, base)


async def public_url_found(
    settings: Settings, deployment: Deployment, *, runs: bool, ask: Ask | None = None
) -> Finding:
    """Say whether the public URL leads to this server.

    Args:
        settings: of the server.
        deployment: under which URL it is known.
        runs: whether it is up.
        ask: sends the request; over the network when None.
    """
    ask = ask or ask_past_the_guard
    url = deployment.public_url
    if is_loopback_host(urlsplit(url).hostname or ""):
        said = f"{url} is this machine's own. Others reach it once MCP_PUBLIC_URL is its https address."
        return Finding(PUBLIC_URL, "skipped", said)
    _, document = _place(settings, deployment)
    address = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}{document}"
    try:
        answer = await ask(address, settings, {})
    except ssl.SSLError as error:
        why = getattr(error, "verify_message", "") or error
        said = f"The certificate at {url} is not trusted ({why}): clients refuse it. Renew or mend it."
        return Finding(PUBLIC_URL, "wrong", said)
    except FetchFailed as failure:
        if failure.fault is not Fault.DOCUMENT:
            return _silent(url, f"does not answer ({failure.cause})", runs=runs)
        said = f"{url} has no address that is known here ({failure.cause}): make its DNS record, or look at DNS."
        return Finding(PUBLIC_URL, "wrong", said)
    if answer.status in _GATEWAY:
        return _silent(url, f"answers {answer.status}", runs=runs)
    return _judged(answer, address, settings, deployment)


def _judged(answer: DocumentAnswer, address: str, settings: Settings, deployment: Deployment) -> Finding:
    """Say whose a document is."""
    base, document = _place(settings, deployment)
    if _says(answer, base):
        return Finding(PUBLIC_URL, "ok", f"{base} leads to this server, which says so itself at {document}.")
    name = "issuer" if settings.issues_tokens else "resource"
    if isinstance(answer.document, Mapping) and name in answer.document:
        said = f"{address} is another server's: it says another {name}, where {base} has to stand, byte for byte."
        return Finding(PUBLIC_URL, "wrong", f"{said} Set MCP_PUBLIC_URL to it, or lead that address here.")
    said = f"{address} answers {answer.status} and is none of ours: have the proxy pass on all paths, /.well-known too."
    return Finding(PUBLIC_URL, "wrong", said)


def _silent(url: str, how: str, *, runs: bool) -> Finding:
    if runs:
        said = f"{url} {how}, and this server runs: look at DNS, firewall and proxy (docs/proxies.md)."
        return Finding(PUBLIC_URL, "wrong", said)
    return Finding(PUBLIC_URL, "note", f"{url} {how}, and this server does not run yet: check again when it does.")


def _place(settings: Settings, deployment: Deployment) -> tuple[str, str]:
    """Return what a document of this server says of itself, and the path where it says so, from the origin."""
    if settings.issues_tokens:
        return deployment.public_url, f"{_SERVER_METADATA}{deployment.base_path}"
    return deployment.public_url, f"{_RESOURCE_METADATA}{deployment.base_path}"


def _says(answer: DocumentAnswer, base: str) -> bool:
    said = answer.document
    if not isinstance(said, Mapping) or answer.status != _OK:
        return False
    resource = str(said.get("resource"))
    return said.get("issuer") == base or resource == base or resource.startswith(f"{base}/")


async def ask_past_the_guard(url: str, settings: Settings | None, headers: Mapping[str, str]) -> DocumentAnswer:
    """Return what a URL answers; without settings past every proxy.

    Raises:
        ssl.SSLError: its certificate is not trusted.
        FetchFailed: there is no answer; the fault is DOCUMENT where the name has no address.
    """
    import socket  # noqa: PLC0415 - only where something is asked

    import httpx2  # noqa: PLC0415 - likewise

    from gatepost.outbound.transport import way_to  # noqa: PLC0415 - likewise

    way = way_to(url, None if settings is None else forward_proxy(settings), system_trust)
    given = {"User-Agent": "gatepost", "Accept": "application/json", **headers}
    try:
        async with (
            asyncio.timeout(TOTAL_SECONDS),
            httpx2.AsyncClient(transport=way, trust_env=False, timeout=TOTAL_SECONDS, headers=given) as http,
        ):
            response = await http.get(url)
            return DocumentAnswer(response.status_code, _json(response))
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        cause = _cause(error, ssl.SSLError)
        if cause is not None:
            raise cause from None
        name = _cause(error, socket.gaierror)
        fault = Fault.CONNECTION if name is None else Fault.DOCUMENT
        raise FetchFailed(str(name or error) or type(error).__name__, fault) from None


def _json(response: httpx2.Response) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _cause(error: BaseException | None, kind: type[OSError]) -> OSError | None:
    """Return what is of a kind among the causes of an error."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error


async def providers_found(oauth: OAuth | None) -> list[Finding]:
    """Say of each login provider elsewhere whether it can be reached."""
    if oauth is None:
        return []
    found = list[Finding]()
    for provider in oauth.provider.every:
        if is_upstream_login(provider):
            found.append(await _reached(_LOGIN, f"{provider.name} ({provider.issuer})", provider.reach))
    return found


async def issuers_found(installation: Installation) -> list[Finding]:
    """Say of each issuer whose tokens count whether what verifies them can be had."""
    callers = installation.resources.external
    found = list[Finding]()
    for source in () if callers is None else callers.sources:
        reach: Callable[[], Awaitable[bool]] | None = getattr(source.validator, "reach", None)
        if reach is None:
            found.append(Finding(_ISSUER, "skipped", f"{source.name} is checked by code of your own."))
        else:
            found.append(await _reached(_ISSUER, source.name, reach))
    return found


async def _reached(item: str, name: str, reach: Callable[[], Awaitable[object]]) -> Finding:
    try:
        was_asked = await reach()
    except (FetchFailed, TimeoutError) as failure:
        why = getattr(failure, "cause", "no answer in time")
        said = f"{name} cannot be used now: {why}. Look at its URL and credentials, and at HTTPS_PROXY."
        return Finding(item, "wrong", said)
    if was_asked is False:
        return Finding(item, "ok", f"{name} has given its keys beforehand, so nothing is fetched.")
    return Finding(item, "ok", f"{name} answers.")


async def egress_found(oauth: OAuth | None, settings: Settings) -> list[Finding]:
    """Say whether the documents of clients that are known by a URL can be fetched."""
    if oauth is None:
        return []
    if not settings.registration.documents_enabled:
        return [Finding(_EGRESS, "skipped", "OAUTH_CIMD_ENABLED is false, so no documents of clients are fetched.")]
    causes = list[str]()
    for url in DOCUMENTS:
        try:
            await oauth.egress.fetcher.fetch(url, limit=_DOCUMENT_LIMIT)
        except FetchFailed as failure:
            if failure.fault is Fault.ANSWER:
                return [_out(url)]
            causes.append(f"{urlsplit(url).hostname}: {failure.cause}")
        else:
            return [_out(url)]
    said = (
        f"Documents of clients cannot be fetched ({'; '.join(causes)}), so clients that are known by one, such as "
        "Claude Code and codex, cannot log in until this server has noticed and stops offering it. Let it out to port "
        "443, set HTTPS_PROXY, or set OAUTH_CIMD_ENABLED=false: then they register instead."
    )
    return [Finding(_EGRESS, "note", said)]


def _out(url: str) -> Finding:
    return Finding(_EGRESS, "ok", f"Documents of clients can be fetched: {urlsplit(url).hostname} was reached.")
