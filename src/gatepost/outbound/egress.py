"""This server's own way out: telling its failures from those of documents, and noticing when it is gone.

While it is gone, clients that could register are better told that documents are not supported: of those that prefer
documents, many read the metadata anew at each login, and none falls back. What one process has noticed is its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import field
from typing import Final

from gatepost.late_dataclass import dataclass
from gatepost.oauth.reasons import Reason
from gatepost.outbound.fetching import Fault, Fetched, Fetcher, FetchFailed
from gatepost.outbound.proxy import ForwardProxy

FAILURES: Final = 5
"""After how many failures of our own, without a success between them, the way out counts as gone."""
LATELY: Final = 300
"""Seconds for which a server that was reached shows that there is a way out."""
PROBE_PAUSE: Final = 60
"""Seconds between two attempts while the way out is gone."""

_log = logging.getLogger("gatepost.outbound")


class EgressFailed(FetchFailed):
    """There is no document, and that is this server's fault or its network's."""


@dataclass(slots=True, kw_only=True)
class Egress:
    """`Fetcher` that raises `EgressFailed` where its own way out fails. For one event loop."""

    fetcher: Fetcher
    now: Callable[[], int]
    proxy: ForwardProxy | None = None
    """The one that `fetcher` uses."""
    note: Callable[[], None] = lambda: None
    """Is called at each failure of our own."""
    _failures: int = field(default=0, init=False)
    _reached_at: int | None = field(default=None, init=False)
    _tried_at: int = field(default=0, init=False)
    _probed: tuple[str, int] | None = field(default=None, init=False)
    """What a probe fetches, with its limit: what was fetched last, or else what could not be."""
    _probe: asyncio.Task[None] | None = field(default=None, init=False)

    async def fetch(self, url: str, *, limit: int) -> Fetched:
        """Fetch, and take note of how it went.

        Raises:
            EgressFailed: our own way out failed.
            FetchFailed: the document could not be had otherwise.
        """
        self._tried_at = self.now()
        try:
            fetched = await self.fetcher.fetch(url, limit=limit)
        except FetchFailed as failure:
            if failure.fault is Fault.ANSWER:
                self._reached()
            elif failure.fault is Fault.EGRESS or (failure.fault is Fault.CONNECTION and not self._reached_lately()):
                self._failed(failure.cause)
                if self._reached_at is None:
                    self._probed = url, limit
                raise EgressFailed(failure.cause, Fault.EGRESS) from None
            raise
        self._reached()
        self._probed = url, limit
        return fetched

    def is_gone(self) -> bool:
        """Say whether there seems to be no way out at all."""
        return self._failures >= FAILURES and not self._reached_lately()

    def serves(self) -> bool:
        """Say whether clients may count on their documents; somebody is about to log in.

        While they may not, once a minute such a question starts a fetch, since clients send no more documents then.
        Nobody waits for it.
        """
        if not self.is_gone():
            return True
        if self._probed is not None and not 0 <= self.now() - self._tried_at < PROBE_PAUSE:
            self._tried_at = self.now()
            self._probe = asyncio.create_task(self._fetch_again(*self._probed))
        return False

    async def _fetch_again(self, url: str, limit: int) -> None:
        with suppress(FetchFailed):
            await self.fetch(url, limit=limit)

    def _reached_lately(self) -> bool:
        return self._reached_at is not None and 0 <= self.now() - self._reached_at < LATELY

    def _reached(self) -> None:
        if self.is_gone():
            _log.warning("client metadata documents can be fetched again")
        self._failures, self._reached_at = 0, self.now()

    def _failed(self, cause: str) -> None:
        was_gone = self.is_gone()
        self._failures += 1
        self.note()
        if self.proxy is None:
            way = "without a proxy; HTTPS_PROXY would name one"
        elif self.proxy.resolves_names:
            way = f"through the proxy {self.proxy.address}, which {self.proxy.setting} names"
        else:
            way = (
                f"through the proxy {self.proxy.address}, which {self.proxy.setting} names; host names are resolved "
                "here, unless OAUTH_PROXY_RESOLVES_NAMES is set"
            )
        extra = {"reason": Reason.EGRESS_UNAVAILABLE.value, "cause": cause}
        _log.warning("this server cannot reach the web servers of clients: %s, %s", cause, way, extra=extra)
        if self.is_gone() and not was_gone:
            _log.warning("client metadata documents count as out of reach until one can be fetched", extra=extra)
