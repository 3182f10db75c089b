"""Conditions of a call: what the author of a tool wants to hold for each, beside its scopes and its arguments."""

from __future__ import annotations

import functools
import inspect
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar

from gatepost.late_dataclass import dataclass
from gatepost.oauth.limits import Rate
from gatepost.server.calls.callers import ANONYMOUS
from gatepost.server.calls.context import Context
from gatepost.server.calls.exchange import Exchange
from gatepost.server.calls.rates import CallLimits, key_of, rate_of
from gatepost.server.calls.timeouts import CallTimedOut, run_within
from gatepost.server.calls.worker_threads import run_in_thread
from gatepost.server.declared.declaration import log_late_failure
from gatepost.server.errors import ToolDefinitionError, ToolError

T = TypeVar("T")

Authorize = Callable[[Context, Mapping[str, Any]], bool | Awaitable[bool]]

_log: Final = logging.getLogger("gatepost.tools")


@dataclass(frozen=True, slots=True)
class Conditions:
    """Those of one tool."""

    tool: str
    authorize: Authorize | None = None
    timeout: float | None = None
    """Seconds."""
    rate: Rate | None = None

    async def count(self, exchange: Exchange, limits: CallLimits) -> None:
        """Count a call of the one who makes it; raises as `CallLimits.admit` does."""
        if self.rate is not None:
            await limits.admit(key_of(self.tool, exchange.principal), self.rate)

    async def check(self, exchange: Exchange, context: Callable[[], Context], arguments: Mapping[str, Any]) -> None:
        """Raise ToolError unless the caller may make this call; nothing but True means that it may."""
        if self.authorize is None:
            return
        ask = functools.partial(self.authorize, context(), arguments)
        late_failure = functools.partial(log_late_failure, f"authorize of {self.tool}", exchange, tool=self.tool)
        is_async = inspect.iscoroutinefunction(self.authorize)
        answer = ask() if is_async else await run_in_thread(ask, late_failure)
        if inspect.isawaitable(answer):
            answer = await answer
        if answer is not True:
            raise ToolError(f"You may not call {self.tool} with these arguments.")

    async def run(self, work: Coroutine[Any, Any, T], exchange: Exchange) -> T:
        """Run what a call does, for as long as it may take; raises ToolError if it takes longer."""
        if self.timeout is None:
            return await work
        try:
            return await run_within(self.timeout, work)
        except CallTimedOut:
            subject = ANONYMOUS if exchange.principal is None else exchange.principal.subject
            marks = {"tool": self.tool, "subject": subject}
            _log.warning("tool %s took longer than %g s for %s", self.tool, self.timeout, subject, extra=marks)
            raise ToolError(f"{self.tool} was stopped: it may take {self.timeout:g} seconds.") from None


def conditions_of(
    tool: str,
    function: str,
    *,
    authorize: Authorize | None,
    timeout: float | None,
    rate: str | None,
    has_dependencies: bool,
) -> Conditions | None:
    """Check the conditions of a tool; None if it has none, nor dependencies. Errors name `function`."""
    if authorize is None and timeout is None and rate is None and not has_dependencies:
        return None
    is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if timeout is not None and not (is_number and 0 < timeout < math.inf):
        raise ToolDefinitionError(f"{function}: timeout is a number of seconds above 0, not {timeout!r}")
    try:
        parsed = None if rate is None else rate_of(rate)
    except (ValueError, AttributeError):
        raise ToolDefinitionError(f'{function}: rate is a text such as "10/minute", not {rate!r}') from None
    return Conditions(tool, authorize, timeout, parsed)
