"""One of the servers that are merged: what it is called, whether it answers, and how it is asked."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

from gatepost.fronts.backend import BackendLost, BackendUnavailable
from gatepost.fronts.target import FrontTarget
from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import ApplicationError, InternalError
from gatepost.protocol.messages import Request
from gatepost.protocol.versions import Revision
from gatepost.server.calls.exchange import Exchange
from gatepost.server.errors import InsufficientScope
from gatepost.server.target import Result, SessionTarget, Target
from gatepost.telemetry.request_ids import incident_id
from gatepost.tokens.opaque import RandomBytes

_MOST_NOTED: Final = 100

logger = logging.getLogger("gatepost.front")


class PartUnavailable(InternalError):
    """One of the servers has no answer; the message names it, and an incident that the log explains."""


@dataclass(slots=True, eq=False, kw_only=True)
class Part:
    """One of the servers.

    While it does not answer, that is in the log once: whoever asks for it meanwhile is told of that incident.
    """

    target: Target
    """A front is one that raises outages."""
    prefix: str
    """What its names begin with; of several of our own, that of the first of them."""
    label: str
    """How it is called in errors and in the log."""
    random_bytes: RandomBytes
    """Where incident ids come from."""
    is_own: bool = False
    """Whether it is of our own: its names have their prefixes already, and it declares its scopes."""
    introduction: Mapping[str, Any] | None = None
    """What it said of itself last, as an `InitializeResult` or a `DiscoverResult`.

    None until it has; of one that may say something else to each caller, what it said to nobody.
    """
    offers: set[str] | None = None
    """Which capabilities it has declared to any client; None until it has declared some."""
    incident: str | None = field(default=None, init=False)
    """Under which the log explains why it does not answer now; None while it does."""
    session_target: SessionTarget | None = field(init=False)
    """What keeps something for each session; None for a server that keeps nothing."""
    _noted: set[str] = field(default_factory=set[str], init=False)

    def __post_init__(self) -> None:
        # Asking whether it is one goes through all that such a target has, which is long for each call.
        self.session_target = self.target if isinstance(self.target, SessionTarget) else None

    @property
    def is_same_for_all(self) -> bool:
        """Whether it says the same of itself whoever asks."""
        return not isinstance(self.target, FrontTarget) or self.target.backend.is_same_for_all

    async def ask(self, request: Request, revision: Revision, exchange: Exchange) -> Result:
        """Have it answer a request, by the names that it has itself.

        Raises:
            PartUnavailable: it has no answer.
            Exception: as `Target.answer` otherwise.
        """
        try:
            result = await self.target.answer(request, revision, exchange)
        except BackendUnavailable as error:
            wait = None if error.retry_after is None else {"retryAfter": error.retry_after}
            raise self._unavailable(self.away(str(error)), wait) from None
        except BackendLost as error:
            # That is over with the request, or there will be no connection next time.
            raise self._unavailable(self._explain(str(error)), None) from None
        except (ApplicationError, InsufficientScope):
            self._answered()
            raise
        self._answered()
        return result

    def introduced(self, result: Mapping[str, Any]) -> None:
        """Take what it answered `initialize` or `server/discover` with."""
        capabilities = result.get("capabilities")
        if self.is_same_for_all:
            self.introduction = result
        self.offers = (self.offers or set()) | set(capabilities if type(capabilities) is dict else ())

    def may_offer(self, capability: str) -> bool:
        """Say whether it has, or may have, a capability."""
        # Of our own, anything may be declared at any time.
        return self.is_own or self.offers is None or capability in self.offers

    def silent(self, seconds: float) -> PartUnavailable:
        """Note that it did not answer for so long what others were asked, too; return that as an error."""
        return self._unavailable(self.away(f"It did not answer within {seconds:g} seconds."), None)

    def note(self, text: str) -> None:
        """Log something that is so until somebody changes it, once."""
        if text not in self._noted and len(self._noted) < _MOST_NOTED:
            self._noted.add(text)
            logger.warning("%s behind: %s", self.label, text)

    def _answered(self) -> None:
        if self.incident is not None:
            logger.info("%s behind answers again (incident %s)", self.label, self.incident)
            self.incident = None

    def away(self, why: str) -> str:
        """Note that it does not answer; return the incident that the log explains."""
        self.incident = self.incident or self._explain(why)
        return self.incident

    def _explain(self, why: str) -> str:
        incident = incident_id(self.random_bytes)
        words = self.target.backend.last_words() if isinstance(self.target, FrontTarget) else ""
        logger.error(
            "incident %s: %s behind has no answer: %s%s",
            incident,
            self.label,
            why,
            f"\n{words}" if words else "",
            extra={"incident": incident},
        )
        return incident

    def _unavailable(self, incident: str, data: Mapping[str, Any] | None) -> PartUnavailable:
        return PartUnavailable(
            f"{self.label} behind has no answer; the log explains it as incident {incident}.", data=data
        )
