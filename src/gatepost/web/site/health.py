"""GET /health and GET /healthz: is the process alive, and can it do its work."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.errors import StoreError
from gatepost.web.site.api_description import TEXT, Responses, json_answer, record
from gatepost.web.site.errors import scrubbed_traceback

logger = logging.getLogger("gatepost.web")

Check = Callable[[], Awaitable[None]]
"""Raises `StoreError` when what it checks cannot be relied on now."""

_FRESH_SECONDS = 1.0
"""A check writes durably and anybody may ask: a flood of probes costs one check in this time."""

_NO_STORE = {"Cache-Control": "no-store"}


class _Outcomes:
    """What the checks said last, asked again once that is `_FRESH_SECONDS` old, by one probe while the others wait."""

    def __init__(self, checks: Mapping[str, Check], monotonic: Callable[[], float]) -> None:
        self._checks = checks
        self._monotonic = monotonic
        self._asking = asyncio.Lock()
        self._last: tuple[float, dict[str, str]] | None = None

    async def current(self) -> dict[str, str]:
        """Return `ok` or `failing` by the name of the check."""
        async with self._asking:
            if self._last is None or self._monotonic() - self._last[0] >= _FRESH_SECONDS:
                results = {
                    name: "ok" if await _passes(name, check) else "failing" for name, check in self._checks.items()
                }
                self._last = self._monotonic(), results
            return self._last[1]


def health_router(
    *, server_name: str, checks: Mapping[str, Check], monotonic: Callable[[], float] = time.monotonic
) -> APIRouter:
    """Return the two probes. Both are open to everybody, so neither says more than yes or no.

    Args:
        server_name: the server's public name.
        checks: what `/healthz` asks, by the name under which it reports it, such as `{"store": store.check}`.
        monotonic: seconds that never go back.
    """
    outcomes = _Outcomes(checks, monotonic)
    router = APIRouter(tags=["Health"])
    alive = orjson.dumps({"status": "ok", "server": server_name})

    async def health() -> Response:
        return Response(alive, media_type="application/json", headers=_NO_STORE)

    async def healthz() -> Response:
        # 1. Ask everything, so that one answer names all that fails.
        results = await outcomes.current()
        # 2. Answer; a balancer reads the status, a person the body.
        is_ready = "failing" not in results.values()
        body = {"status": "ok" if is_ready else "failing", "checks": results}
        return Response(
            orjson.dumps(body), status_code=200 if is_ready else 503, media_type="application/json", headers=_NO_STORE
        )

    router.add_api_route("/health", health, methods=["GET"], summary="Alive", operation_id="health", responses=_ALIVE)
    router.add_api_route(
        "/healthz",
        healthz,
        methods=["GET"],
        summary="Ready: the store can be read and written",
        operation_id="healthz",
        responses=_READY,
    )
    for path, probe in (("/health", health), ("/healthz", healthz)):
        router.add_api_route(path, probe, methods=["HEAD"], include_in_schema=False)
    return router


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
_CHECKED = record(
    {"status": _STATUS, "checks": {"type": "object", "additionalProperties": _STATUS}}, required=["status", "checks"]
)
_ALIVE: Responses = {
    200: json_answer(
        "The process answers.", record({"status": _STATUS, "server": TEXT}, required=["status", "server"])
    ),
}
_READY: Responses = {
    200: json_answer("Everything passes.", _CHECKED),
    503: json_answer("Something fails; `checks` names it.", _CHECKED),
}
