"""Invocation of the functions behind declarations, and what becomes of their errors."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from gatepost.server.calls.callers import ANONYMOUS
from gatepost.server.calls.context import Context
from gatepost.server.calls.exchange import Exchange
from gatepost.server.calls.worker_threads import run_in_thread
from gatepost.server.declared.signature import Signature
from gatepost.server.errors import ToolError
from gatepost.tokens.opaque import RandomBytes

_INCIDENT_BYTES: Final = 8

_log: Final = logging.getLogger("gatepost.server")
_tools_log: Final = logging.getLogger("gatepost.tools")


MakeContext = Callable[[Exchange], Context]
"""Builds the context of a call; called for functions that take one."""


async def invoke(
    signature: Signature, keywords: Mapping[str, Any], exchange: Exchange, make_context: MakeContext
) -> Any:
    """Call a function: an async one here and a sync one in a worker thread, with the caller's context variables."""
    given = dict(keywords)
    if signature.context_parameter is not None:
        given[signature.context_parameter] = make_context(exchange)
    if signature.is_async:
        return await signature.func(**given)
    value = await run_in_thread(
        functools.partial(signature.func, **given), functools.partial(log_late_failure, signature.function, exchange)
    )
    # A sync function that hands out a coroutine, as decorators do.
    return await value if inspect.isawaitable(value) else value


def log_late_failure(what: str, exchange: Exchange, error: BaseException, *, tool: str | None = None) -> None:
    """Log what a plain function raised when its request had been cancelled already: nobody else will know."""
    # Its own words are an answer, and not a fault.
    level, trace = (logging.INFO, None) if isinstance(error, ToolError) else (logging.ERROR, error)
    logger, marks = _marked(exchange, tool)
    text = "%s failed for %s after the request was cancelled"
    logger.log(level, text, what, marks["subject"], exc_info=trace, extra=marks)


def failure_text(
    what: str, error: BaseException, exchange: Exchange, random_bytes: RandomBytes, *, tool: str | None = None
) -> str:
    """Return what the client hears of a function that raised: its own words, or an incident id that the log explains.

    `what` failed, such as `prompt review`, is said in the log: it comes from the server's author, not from a client.
    """
    if isinstance(error, ToolError):
        # A surrogate, from the name of a file for instance, must not make a second error of the first.
        return str(error).encode(errors="replace").decode()
    incident = random_bytes(_INCIDENT_BYTES).hex()
    logger, marks = _marked(exchange, tool)
    text = "%s failed for %s, incident %s"
    logger.error(text, what, marks["subject"], incident, exc_info=error, extra={"incident": incident, **marks})
    return f"The {'server failed at this' if tool is None else 'tool failed'}. Incident {incident}."


def _marked(exchange: Exchange, tool: str | None) -> tuple[logging.Logger, dict[str, str]]:
    """Return the logger, and the members of the record that say whose call it was."""
    subject = ANONYMOUS if exchange.principal is None else exchange.principal.subject
    return (_log, {"subject": subject}) if tool is None else (_tools_log, {"tool": tool, "subject": subject})
