"""Whose a task is, of several servers behind one endpoint (2025-11-25 basic/utilities/tasks)."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import field
from typing import Any, Final

from gatepost.fronts.merging.part import Part
from gatepost.fronts.raw_json import decoded
from gatepost.late_dataclass import dataclass
from gatepost.protocol.json_encoding import encode
from gatepost.protocol.messages import Request
from gatepost.server.calls.callers import user_of
from gatepost.server.calls.exchange import Exchange
from gatepost.server.changes.subscriptions import Subscription
from gatepost.server.target import Result

MOST: Final = 10_000
"""Of how many tasks it is known whose they are; those that were begun first go first."""
_LONGEST: Final = 256
_MARK: Final = b'"taskId"'


@dataclass(slots=True, eq=False)
class TaskOwners:
    """What is known of tasks, from the results of the calls that began them."""

    _parts: dict[tuple[Hashable, str], Part] = field(default_factory=dict[tuple[Hashable, str], Part], init=False)

    def note(self, part: Part, result: Result, exchange: Exchange) -> None:
        """Take the result of a call."""
        if isinstance(result, Subscription):
            return
        raw = encode(result)
        if _MARK not in raw:
            return
        said = decoded(raw)
        task = said.get("task")
        for identifier in (said.get("taskId"), task.get("taskId") if type(task) is dict else None):
            if type(identifier) is str and len(identifier) <= _LONGEST:
                self._parts[user_of(exchange.principal), identifier] = part
        while len(self._parts) > MOST:
            del self._parts[next(iter(self._parts))]

    def owner(self, request: Request, exchange: Exchange) -> Part | None:
        """Return whose the task is that a request is about; None where that is unknown, or it is about none."""
        identifier: Any = request.params.get("taskId")
        if not request.method.startswith("tasks/") or type(identifier) is not str:
            return None
        return self._parts.get((user_of(exchange.principal), identifier))
