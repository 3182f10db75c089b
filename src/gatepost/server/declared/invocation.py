"""Calling the functions behind resources, prompts and completions, and what becomes of their errors."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gatepost.protocol.errors import InternalError
from gatepost.server.calls.context import Context
from gatepost.server.calls.worker_threads import run_in_thread
from gatepost.server.declared.signature import Signature, describe_function
from gatepost.server.errors import ToolError
from gatepost.tokens.opaque import RandomBytes

_INCIDENT_BYTES: Final = 8

_log: Final = logging.getLogger("gatepost.server")


@dataclass(frozen=True, slots=True)
class Invocation:
    """A function and how it is called."""

    func: Callable[..., Any]
    is_async: bool
    context_parameter: str | None

    @classmethod
    def of(cls, func: Callable[..., Any], signature: Signature) -> Invocation:
        """Return the invocation of a function whose signature was read."""
        return cls(func, signature.is_async, signature.context_parameter)

    async def __call__(self, keywords: Mapping[str, Any], context: Callable[[], Context]) -> Any:
        """Call it: an async function here and a sync one in a worker thread, with the caller's context variables."""
        given = dict(keywords)
        if self.context_parameter is not None:
            given[self.context_parameter] = context()
        if self.is_async:
            return await self.func(**given)
        value = await run_in_thread(
            functools.partial(self.func, **given), functools.partial(self._late_failure, context)
        )
        # A sync function that hands out a coroutine, as decorators do.
        return await value if inspect.isawaitable(value) else value

    def _late_failure(self, context: Callable[[], Context], error: BaseException) -> None:
        """Write down what a plain function raised when its request had been cancelled already."""
        what, subject = describe_function(self.func), context().user.subject
        # Its own words are an answer, and not a fault.
        level, trace = (logging.INFO, None) if isinstance(error, ToolError) else (logging.ERROR, error)
        _log.log(
            level,
            "%s failed for %s after the request was cancelled",
            what,
            subject,
            exc_info=trace,
            extra={"subject": subject},
        )


def internal_error(
    what: str, error: BaseException, context: Callable[[], Context], random_bytes: RandomBytes
) -> InternalError:
    """Return the answer to a function that raised: its own words, or an id under which the log says why.

    Args:
        what: What failed, such as `prompt review`. It comes from the server's author, not from a client.
        error: What was raised.
        context: Builds the context of the call, to say in the log whose it was.
        random_bytes: Gives the incident id its bytes.
    """
    if isinstance(error, ToolError):
        # A surrogate, from the name of a file for instance, must not make a second error of the first.
        return InternalError(str(error).encode(errors="replace").decode())
    incident = random_bytes(_INCIDENT_BYTES).hex()
    subject = context().user.subject
    _log.error(
        "%s failed for %s, incident %s",
        what,
        subject,
        incident,
        exc_info=error,
        extra={"incident": incident, "subject": subject},
    )
    return InternalError(f"The server failed at this. Incident {incident}.")
