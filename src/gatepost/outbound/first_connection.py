"""A connection to a host, by the first of its addresses that answers (RFC 8305)."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Final, TypeVar

P = TypeVar("P", bound=asyncio.Protocol)

_STAGGER_SECONDS: Final = 0.25
"""After which the next address is tried as well (section 5)."""


async def first_connection(host: str, port: int, protocol: Callable[[], P]) -> P:
    """Return the protocol of a connection to the first of a host's addresses that answers.

    Raises OSError: none does.
    """
    loop = asyncio.get_running_loop()
    addresses = deque(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    trying: set[asyncio.Task[tuple[asyncio.Transport, P]]] = set()
    problem: OSError = OSError(f"{host} has no address")
    try:
        while addresses or trying:
            if addresses:
                family, _, number, _, address = addresses.popleft()
                connecting = loop.create_connection(protocol, str(address[0]), port, family=family, proto=number)
                trying.add(loop.create_task(connecting))
            wait = _STAGGER_SECONDS if addresses else None
            ended, trying = await asyncio.wait(trying, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            for each in ended:
                error = each.exception()
                if error is None:
                    trying |= ended - {each}
                    return each.result()[1]
                if not isinstance(error, OSError):
                    raise error
                problem = error
        raise problem
    finally:
        for each in trying:
            each.cancel()
            each.add_done_callback(_close_late)


def _close_late(done: asyncio.Task[tuple[asyncio.Transport, P]]) -> None:
    """Close a connection that was made when another one was taken already."""
    if not done.cancelled() and done.exception() is None:
        done.result()[0].abort()
