"""HTTP to servers on this machine: patient, without TLS, and without a look at the environment's proxies.

Otherwise httpx2 reads the machine's certificates for each client and each single request, which takes longer than the
request, and gives up after five seconds, which a busy machine may need.
"""

from __future__ import annotations

import ssl
from contextlib import AbstractContextManager
from typing import Any

import httpx2

PATIENCE = 180.0  # seconds; only ever reached when something is broken
_OPTIONS: dict[str, Any] = {
    "timeout": PATIENCE,
    "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),  # trusts nobody
    "trust_env": False,
}


def client(**options: Any) -> httpx2.Client:
    """Return a client; `options` are httpx2's."""
    return httpx2.Client(**{**_OPTIONS, **options})


def async_client(**options: Any) -> httpx2.AsyncClient:
    """Return an asynchronous client; `options` are httpx2's."""
    return httpx2.AsyncClient(**{**_OPTIONS, **options})


def get(url: str, **options: Any) -> httpx2.Response:
    """Send one request with a client of its own."""
    return httpx2.get(url, **{**_OPTIONS, **options})


def post(url: str, **options: Any) -> httpx2.Response:
    """Send one request with a client of its own."""
    return httpx2.post(url, **{**_OPTIONS, **options})


def delete(url: str, **options: Any) -> httpx2.Response:
    """Send one request with a client of its own."""
    return httpx2.delete(url, **{**_OPTIONS, **options})


def stream(method: str, url: str, **options: Any) -> AbstractContextManager[httpx2.Response]:
    """Send one request with a client of its own, and leave the body to be read as it comes."""
    return httpx2.stream(method, url, **{**_OPTIONS, **options})
