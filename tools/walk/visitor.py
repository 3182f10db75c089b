"""A person with a browser and the official Python client, on this machine or through a proxy with TLS."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata
from mcp_types import TextContent
from pydantic import AnyUrl

from tests.end_to_end.scripted_client import Person
from tests.end_to_end.test_official_client import Memory, Visits

ADDRESS = "127.0.0.2"  # loopback too, and not the proxy's, so it can be told from it
NAME = "My client"
_HEADING = re.compile(r"<h1>(.*?)</h1>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


@dataclass
class Visitor:
    """One person, whose client keeps its tokens.

    Args:
        origin: where the server is for clients.
        trusted: the certificates that browser and client trust; None for http.
    """

    origin: str
    trusted: ssl.SSLContext | None = None
    memory: Memory = field(default_factory=Memory)
    visits: Visits = field(init=False)

    def __post_init__(self) -> None:
        person = Person(self.origin, username="you")
        person.browser.close()
        transport = httpx2.HTTPTransport(local_address=ADDRESS, **self._verify())
        person.browser = httpx2.Client(base_url=self.origin, headers={"Accept": "text/html"}, transport=transport)
        self.visits = Visits(person)

    @property
    def headings(self) -> list[str]:
        """The headings of the pages that the browser has shown since the last look, each once."""
        pages, self.visits.person.pages = self.visits.person.pages, []
        found = [_TAG.sub("", heading[1]).strip() for page in pages if (heading := _HEADING.search(page))]
        return list(dict.fromkeys(found))

    def set_up(self, link: str) -> None:
        """Create the owner's account."""
        self.visits.person.set_up(link)

    def add_a_note(self, text: str) -> list[str]:
        """Have the client list the tools and call `add`; return the names, and the answer's text."""
        return asyncio.run(self._add(text))

    async def _add(self, text: str) -> list[str]:
        url = f"{self.origin}/mcp"
        provider = OAuthClientProvider(
            server_url=url,
            client_metadata=OAuthClientMetadata(
                client_name=NAME, redirect_uris=[AnyUrl("http://127.0.0.1:3030/callback")]
            ),
            storage=self.memory,
            redirect_handler=self.visits.open,
            callback_handler=self.visits.callback,
        )
        transport = httpx2.AsyncHTTPTransport(local_address=ADDRESS, **self._verify())
        async with (
            httpx2.AsyncClient(auth=provider, transport=transport, timeout=60) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            names = [tool.name for tool in (await client.list_tools()).tools]
            (block,) = (await client.call_tool("add", {"text": text})).content
        return [*names, block.text if isinstance(block, TextContent) else ""]

    def get(self, path: str) -> httpx2.Response:
        """Fetch something without the browser's cookies."""
        with httpx2.Client(transport=httpx2.HTTPTransport(local_address=ADDRESS, **self._verify())) as http:
            return http.get(self.origin + path)

    def close(self) -> None:
        """Close the browser."""
        self.visits.person.browser.close()

    def _verify(self) -> dict[str, Any]:
        return {} if self.trusted is None else {"verify": self.trusted}


@contextmanager
def known_here(name: str) -> Iterator[None]:
    """Resolve a name to this machine, in this process alone."""
    resolve = socket.getaddrinfo

    def look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        return resolve("127.0.0.1" if host in {name, name.encode()} else host, *arguments, **options)

    with patch("socket.getaddrinfo", look_up):
        yield
