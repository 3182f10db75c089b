"""GET /health and GET /healthz: is the process alive, and can it do its work.

Both are answered whatever the `Host`. Who does not know the server's name is told no more than the status: which public
server lies at an address, and what of its settings does not fit, is nobody's business who merely knocks there.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from gatepost.late_dataclass import dataclass
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.errors import StoreError
from gatepost.web.site import api_description as api
from gatepost.web.site.errors import scrubbed_traceback
from gatepost.web.site.responses import json_response
from gatepost.web.site.routing import Route

logger = logging.getLogger("gatepost.web")

Check = Callable[[], Awaitable[None]]
"""Raises `StoreError` when what it checks cannot be relied on now."""

_FRESH_SECONDS = 1.0
"""A check writes durably and anybody may ask: a flood of probes costs one check in this time."""


_PROBE_SECONDS = 5.0
"""For which a busy store is waited for; probes do not wait for long."""

PROBE_PATHS = frozenset({"/health", "/healthz"})
"""Answered whatever the `Host`: orchestrators and balancers probe by address, with any name, or with none."""

LIVENESS_PATHS = frozenset({"/health"})
"""Answered to other machines even by a server for its own machine only. That one is not ready for them, whatever the
store says: a roll-out without MCP_PUBLIC_URL stops at its first instance, which nobody restarts in a loop."""


class HealthChecks:
    """What the checks said last, asked again once that is `_FRESH_SECONDS` old, by one probe while the others wait.

    Args:
        checks: by the name under which each is reported, such as `{"store": store.check}`.
        monotonic: seconds that never go back.
    """

    def __init__(self, checks: Mapping[str, Check], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._checks = checks
        self._monotonic = monotonic
        self._asking = asyncio.Lock()
        self._last: tuple[float, dict[str, str]] | None = None

    async def outcomes(self) -> dict[str, str]:
        """Return `ok` or `failing` by the name of the check."""
        async with self._asking:
            if self._last is None or self._monotonic() - self._last[0] >= _FRESH_SECONDS:
                results = {
                    name: "ok" if await _passes(name, check) else "failing" for name, check in self._checks.items()
                }
                self._last = self._monotonic(), results
            return self._last[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthEndpoints:
    """The two probes. Both are open to everybody: yes or no, and to those who know the server's name what there is."""

    server_name: str
    checks: HealthChecks
    is_degraded: Mapping[str, Callable[[], bool]] = field(default_factory=dict)
    """What may be out of order while the server is ready all the same, by name."""
    issuer: str | None = None
    """The authorization server, by the name that was asked for, if there is one."""
    resources: Sequence[str] = ()
    """The URLs of the MCP endpoints there."""
    is_known_to: Callable[[Scope], bool] = lambda _scope: True
    """Says whether the sender of a request knows the server's name."""
    warnings: Callable[[], Sequence[str]] = tuple
    """What does not keep the server from its work, a sentence each that begins with the setting's name."""

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/health", self.get_alive, _ALIVE),
            Route("GET", "/healthz", self.get_ready, _READY, patience=_PROBE_SECONDS),
        )

    async def get_alive(self, request: Request) -> Response:
        if not self.is_known_to(request.scope):
            return json_response({"status": "ok"})
        said: dict[str, Any] = {"status": "ok", "server": self.server_name, "resources": list(self.resources)}
        return json_response(said if self.issuer is None else {**said, "issuer": self.issuer})

    async def get_ready(self, request: Request) -> Response:
        # 1. Ask everything, so that one answer names all that fails.
        results = await self.checks.outcomes()
        # 2. Answer; a balancer reads the status, a person the body.
        is_ready = "failing" not in results.values()
        status = 200 if is_ready else 503
        if not self.is_known_to(request.scope):
            return json_response({"status": "ok" if is_ready else "failing"}, status)
        degraded = {name: "degraded" for name, says in self.is_degraded.items() if says()}
        body: dict[str, Any] = {"status": "ok" if is_ready else "failing", "checks": {**results, **degraded}}
        if warnings := self.warnings():
            body["warnings"] = list(warnings)
        return json_response(body, status)


async def _passes(name: str, check: Check) -> bool:
    """Run one check. What went wrong is for the log, not for the internet."""
    try:
        await check()
    except StoreError as error:
        logger.error(  # noqa: TRY400 - the traceback is there, without what looks like a secret
            "the health check %s fails\n%s",
            name,
            scrubbed_traceback(error),
            extra={"reason": Reason.STORE_UNAVAILABLE.value, "endpoint": "/healthz"},
        )
        return False
    return True


_STATUS = {"type": "string", "enum": ["ok", "failing"]}
_CHECK = {"type": "string", "enum": ["ok", "degraded", "failing"]}
_CHECKED = api.record(
    {
        "status": _STATUS,
        "checks": {"type": "object", "additionalProperties": _CHECK},
        "warnings": {"type": "array", "items": api.TEXT},
    },
    required=["status"],
)
_ALIVE = api.Operation(
    "health",
    "Alive",
    tag="Health",
    responses={
        200: api.json_answer(
            "The process answers. What it serves is said to those who ask by its own name.",
            api.record(
                {"status": _STATUS, "server": api.TEXT, "resources": api.TEXTS, "issuer": api.URL},
                required=["status"],
            ),
        )
    },
)
_READY = api.Operation(
    "healthz",
    "Ready: the store can be read and written",
    tag="Health",
    responses={
        200: api.json_answer("Everything passes, or is degraded and keeps nobody out.", _CHECKED),
        503: api.json_answer("Something fails; `checks` names it.", _CHECKED),
    },
)
