"""Where requests go: to addresses that the operator named, whatever a description says.

Whoever writes a description could otherwise have a server ask addresses of its own network, and be sent the headers and
tokens that go with each request. A description that lies at the API's own origin is the exception: the operator has
named that already.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from openapi_pydantic.v3.v3_1 import Server as ServerObject
from pydantic import ValidationError

from gatepost.late_dataclass import dataclass
from gatepost.openapi.documents import origin_of
from gatepost.openapi.errors import UnconfirmedServer, UnusableSchema

_VARIABLE: Final = re.compile(r"\{([^{}]+)\}")
_WEB: Final = frozenset({"http", "https"})
_ROOT: Final = ({"url": "/"},)
"""3.1.1, OpenAPI Object, "servers": what an absent or empty list means."""


@dataclass(frozen=True, slots=True)
class Servers:
    """The addresses to which requests go."""

    urls: tuple[str, ...]
    """Without a slash at the end; the first is that of operations that name none."""
    document: str
    """Where the description was; empty where it has no address."""
    variables: Mapping[str, str]
    """Values for variables in the addresses of a description."""

    def url_for(self, own: Any) -> str:
        """Return the address for an operation.

        Args:
            own: its own Server Objects, or those of its path; None where it has none.

        Raises:
            UnusableSchema: they are elsewhere.
        """
        if not own:
            return self.urls[0]
        url = server_url(own, self.document, self.variables)
        if origin_of(url) not in map(origin_of, self.urls):
            raise UnusableSchema(
                f"it is at another server, {url}; if requests with your headers may go there, name it as a second one "
                "in server_url=[…]"
            )
        return url


def read_servers(
    given: str | Sequence[str] | None, described: Any, document: str, variables: Mapping[str, str]
) -> Servers:
    """Return the addresses of an API.

    Args:
        given: what the operator says.
        described: the Server Objects of the description.
        document: where the description was; empty where it has no address.
        variables: values for variables in them.

    Raises:
        UnconfirmedServer: the operator says nothing, and the description names another origin than its own.
        ValueError: an address that the operator gave is none.
    """
    if given:
        urls = [given] if isinstance(given, str) else list(given)
        return Servers(tuple(map(_checked, urls)), document, variables)
    try:
        url = server_url(described or _ROOT, document, variables)
    except UnusableSchema as error:
        raise UnconfirmedServer(f"{error}; say where requests go: server_url=") from None
    if urlsplit(document).scheme not in _WEB or origin_of(url) != origin_of(document):
        raise UnconfirmedServer(
            f"the description names {url} as its server, which you have not named yet. If requests, with your headers "
            f'and tokens, may go there, say server_url="{url}"'
        )
    return Servers((url,), document, variables)


def server_url(described: Any, document: str, variables: Mapping[str, str]) -> str:
    """Return the address of the first Server Object, whole; raises UnusableSchema if there is none."""
    first = described[0] if isinstance(described, (list, tuple)) and described else None
    try:
        server = ServerObject.model_validate(first)
    except ValidationError:
        raise UnusableSchema("its servers are not as OpenAPI has them") from None
    known = {name: one.default for name, one in (server.variables or {}).items()} | dict(variables)

    def value_of(variable: re.Match[str]) -> str:
        name = variable[1]
        if name not in known:
            raise UnusableSchema(f"the address {server.url} has a variable {name!r} without a value")
        enum = (server.variables or {})[name].enum if name in (server.variables or {}) else None
        if enum and known[name] not in enum:
            raise UnusableSchema(f"the variable {name!r} of {server.url} is one of {', '.join(enum)}")
        return known[name]

    url = urljoin(document, _VARIABLE.sub(value_of, server.url))
    try:
        return _checked(url)
    except ValueError:
        raise UnusableSchema(
            f"the description names {url!r} as its server, which is no address of http or https"
        ) from None


def _checked(url: str) -> str:
    """Return an address without a slash at its end; raises ValueError if it is none to which a path is appended."""
    parts = urlsplit(url)
    scheme, host, port = origin_of(url)
    is_one = scheme in _WEB and host and port and parts.username is None and not parts.query and not parts.fragment
    if not is_one or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"{url!r} is no address of http or https to which paths are appended")
    return url.rstrip("/")
