"""The provider that replaces refresh tokens at each use, on a loopback port."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tests.end_to_end.running_server import free_port
from tests.identity.rotating_issuer import RotatingIssuer


class ServedIssuer(RotatingIssuer):
    """Those who come to `/meet` wait there for each other."""

    def __init__(self, port: int, redirect_uri: str) -> None:
        super().__init__(f"http://127.0.0.1:{port}", [int(time.time())])
        self.redirect_uri = redirect_uri
        self.expected = 0
        """How many meet."""
        self.met = 0
        self._all_there = asyncio.Event()
        self._paths["/meet"] = self._meet
        self._paths["/authorize"] = self._authorize
        for path in ("/meet", "/authorize"):
            self.app.router.add_route(path, self._answer)

    async def _authorize(self, request: Request) -> Response:
        """Log in whoever comes, at once."""
        self.clock[0] = int(time.time())
        return RedirectResponse(self.log_in(str(request.url)), 303)

    async def _meet(self, request: Request) -> Response:
        del request
        self.met += 1
        if self.met == self.expected:
            self._all_there.set()
        await asyncio.wait_for(self._all_there.wait(), 120)
        return Response()


@contextmanager
def served_issuer(redirect_uri: str) -> Iterator[ServedIssuer]:
    """Serve one in a thread."""
    issuer = ServedIssuer(free_port(), redirect_uri)
    port = int(issuer.issuer.rpartition(":")[2])
    config = uvicorn.Config(issuer.app, host="127.0.0.1", port=port, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    started = threading.Event()
    startup = server.startup

    async def tell(sockets: object = None) -> None:
        del sockets
        await startup()
        started.set()

    server.startup = tell  # type: ignore[method-assign] # to know when it listens
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert started.wait(60)
    yield issuer
    server.should_exit = True
    thread.join(60)
