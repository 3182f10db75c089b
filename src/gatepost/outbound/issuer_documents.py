"""What an issuer elsewhere serves as JSON: its metadata, its keys, its answers about tokens (RFC 8414, RFC 7517).

The operator names the issuer, so its addresses are reached as they are; what it answers is bounded, and no redirect is
followed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from gatepost.late_dataclass import dataclass
from gatepost.outbound.addresses import is_server_url
from gatepost.outbound.fetching import TOTAL_SECONDS, FetchFailed

if TYPE_CHECKING:
    import httpx2

_OK: Final = 200
_SERVER: Final = "/.well-known/oauth-authorization-server"
_OPENID: Final = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class IssuerSurroundings:
    """What an issuer needs of the installation that takes its tokens."""

    now: Callable[[], int]
    """The clock, whole seconds UTC."""
    transport: Transport
    """Returns the way to a URL that the operator names."""


Transport = Callable[[str], "httpx2.AsyncBaseTransport"]


class UnexpectedStatus(FetchFailed):
    """The server was reached, and its answer is of another status than 200."""

    def __init__(self, path: str, status: int) -> None:
        super().__init__(f"{path} answers {status}")
        self.status = status


async def metadata_of(issuer: str, transport: Transport) -> Mapping[str, Any]:
    """Return the metadata of an issuer, wherever it is (RFC 8414 section 3, OpenID Connect Discovery section 4).

    Raises:
        FetchFailed: it cannot be had, or is of another issuer.
    """
    origin, path = issuer[: len(issuer) - len(urlsplit(issuer).path)], urlsplit(issuer).path
    path = path.removesuffix("/")
    for url in dict.fromkeys((f"{origin}{path}{_OPENID}", f"{origin}{_SERVER}{path}", f"{origin}{_OPENID}{path}")):
        metadata, _ = await json_at(url, transport, may_be_absent=True)
        if metadata is None:
            continue
        # RFC 8414 section 3.3: else one issuer could speak for another.
        if not isinstance(metadata, dict) or metadata.get("issuer") != issuer:
            raise FetchFailed("its metadata is of another issuer than the one that is set, which counts byte for byte")
        return metadata
    raise FetchFailed("it serves no metadata; say where its endpoints are")


def server_url_in(metadata: Mapping[str, Any], name: str) -> str:
    """Return the URL that is a member of the metadata.

    Raises:
        FetchFailed: it is none that can be asked.
    """
    url = metadata.get(name)
    if not isinstance(url, str) or not is_server_url(url.partition("?")[0]):
        raise FetchFailed(f"its metadata has no {name} that can be asked")
    return url


async def json_at(
    url: str,
    transport: Transport,
    *,
    form: Mapping[str, str] | None = None,
    authorization: str | None = None,
    may_be_absent: bool = False,
) -> tuple[Any, Mapping[str, str]]:
    """Return the JSON at a URL, None where there is none and may be none, and the headers.

    Args:
        url: where it is.
        transport: returns the way there.
        form: what is posted; without it the URL is fetched.
        authorization: the header of that name.
        may_be_absent: whether an answer of 400 to 499 means that there is none.

    Raises:
        FetchFailed: it cannot be had.
    """
    import httpx2  # noqa: PLC0415 - nothing is fetched at the start

    path, headers = urlsplit(url).path, {"User-Agent": "gatepost", "Accept": "application/json"}
    if authorization is not None:
        headers["Authorization"] = authorization
    try:
        async with (
            asyncio.timeout(TOTAL_SECONDS),
            httpx2.AsyncClient(
                transport=transport(url), trust_env=False, timeout=TOTAL_SECONDS, headers=headers
            ) as http,
        ):
            response = await (http.get(url) if form is None else http.post(url, data=dict(form)))
            value = response.json() if response.status_code == _OK else None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, RecursionError) as error:
        raise FetchFailed(f"{path}: {type(error).__name__}") from None
    is_absent = may_be_absent and 400 <= response.status_code < 500  # noqa: PLR2004 - RFC 9110 section 15.5
    if response.status_code != _OK and not is_absent:
        raise UnexpectedStatus(path, response.status_code)
    return value, response.headers
