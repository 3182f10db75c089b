"""Which URLs a server may name, by where it is itself."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gatepost.outbound.named_hosts import NamedHosts

PUBLIC, PRIVATE = "93.184.215.14", "10.1.2.3"
ADDRESSES = {
    "public.example": [PUBLIC],
    "other.example": [PUBLIC],
    "both.example": [PUBLIC, PRIVATE],
    "inside.example": [PRIVATE],
    "empty.example": [],
}


async def resolver(host: str) -> Sequence[str]:
    """Finds those addresses, and those that are addresses already."""
    if host.endswith(".example"):
        return ADDRESSES[host] if host in ADDRESSES else await _no_address()
    return ["127.0.0.1"] if host == "localhost" else [host]


async def _no_address() -> Sequence[str]:
    raise OSError


async def refusal_of(given: str, url: str) -> str:
    return await NamedHosts(given, resolver).refusal(url)


@pytest.mark.parametrize("given", ["https://public.example/mcp", "https://both.example/", "https://gone.example/"])
@pytest.mark.parametrize(
    "url",
    [
        "http://other.example/",
        "https://inside.example/",
        "https://both.example:8443@inside.example/",
        "https://empty.example/",
        "https://none.example/",
        "http://127.0.0.1:6379/",
        "https://localhost/",
        "https://10.1.2.3/",
        "https://[::1]/",
        "file:///etc/hosts",
        "https://h:x/",
    ],
)
async def test_a_server_on_the_internet_may_not_name_what_is_not(given: str, url: str) -> None:
    assert await refusal_of(given, url)


@pytest.mark.parametrize("given", ["https://public.example/mcp", "https://both.example/", "https://gone.example/"])
async def test_a_server_on_the_internet_may_name_another_by_https(given: str) -> None:
    assert await refusal_of(given, "https://other.example:8443/token") == ""


@pytest.mark.parametrize(
    ("given", "url", "is_refused"),
    [
        ("https://public.example/mcp", "https://public.example:8443/token", False),
        ("https://public.example/mcp", "http://public.example/token", True),
        ("https://public.example/mcp", "http://public.example:6379/", True),
        ("http://public.example/mcp", "http://public.example:80/token", False),
        ("http://public.example/mcp", "http://public.example:6379/", True),
        ("http://inside.example/mcp", "http://inside.example:8080/token", False),
    ],
)
async def test_a_server_on_the_internet_may_name_its_own_host_by_https_or_as_it_was_given(
    given: str, url: str, *, is_refused: bool
) -> None:
    assert bool(await refusal_of(given, url)) is is_refused


@pytest.mark.parametrize("given", ["http://localhost:8000/mcp", "http://127.0.0.1/mcp", "https://inside.example/mcp"])
@pytest.mark.parametrize("url", ["http://inside.example:8080/", "http://127.0.0.1:9000/", "https://other.example/"])
async def test_a_server_on_a_network_of_ones_own_may_name_any(given: str, url: str) -> None:
    assert await refusal_of(given, url) == ""


async def test_the_given_host_is_resolved_once() -> None:
    names: list[str] = []

    async def changing(host: str) -> Sequence[str]:
        names.append(host)
        return [PUBLIC] if names == ["public.example"] else [PRIVATE]

    hosts = NamedHosts("https://public.example/mcp", changing)

    assert await hosts.look()
    assert await hosts.refusal("https://inside.example/")
    assert await hosts.refusal("http://public.example:6379/")
    assert names == ["public.example", "inside.example"]


@pytest.mark.parametrize(
    ("url", "is_refused"),
    [
        ("https://id.example.com/", False),
        ("http://id.example.com/", True),
        ("https://router.lan/", True),
        ("https://localhost./", True),
        ("https://169.254.169.254/", True),
        ("https://93.184.215.14/", False),
    ],
)
async def test_where_a_proxy_resolves_hosts_are_judged_by_their_names(url: str, *, is_refused: bool) -> None:
    hosts = NamedHosts("https://mcp.example.com/mcp", None)

    assert bool(await hosts.refusal(url)) is is_refused
