"""What the store has of a task is sealed under the task's id, of which the store has the hash only.

So a copy of the store tells nothing of arguments, results, questions and answers, not even beside the operator's keys.
Whoever runs a task has its id, and its client brings it. A task that is to be run again by another process has its id
in what is kept of its call (`kept_requests`), and that is sealed under the operator's keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from gatepost.stores.contract.tasks import TaskEnding, TaskView
from gatepost.tokens.opaque import RandomBytes
from gatepost.tokens.sealing import derive_key, seal, unseal

_PURPOSE: Final = "task"
_OUTCOME: Final = b"outcome"
_PLAIN: Final = b"{"
"""What the error of a process that does not know the id begins with; it says nothing of the call."""


class TaskSeal:
    """Seals and opens what belongs to one task."""

    __slots__ = ("_key",)

    def __init__(self, task_id: str) -> None:
        self._key = derive_key(task_id.encode("ascii"), purpose=_PURPOSE)

    def sealed_ending(self, ending: TaskEnding, random_bytes: RandomBytes) -> TaskEnding:
        """Return an ending with its outcome sealed."""
        if ending.outcome is None:
            return ending
        return replace(ending, outcome=self._seal(ending.outcome, _OUTCOME, random_bytes))

    def opened_view(self, view: TaskView) -> TaskView:
        """Return a task as its client may see it; raises SealBroken: it was altered."""
        task, requests = view.task, view.open_requests
        if task.outcome is not None and not task.outcome.startswith(_PLAIN):
            task = replace(task, outcome=self._open(task.outcome, _OUTCOME))
        return TaskView(task, {key: self._open(request, _of("request", key)) for key, request in requests.items()})

    def sealed(self, what: str, values: Mapping[str, bytes], random_bytes: RandomBytes) -> dict[str, bytes]:
        """Return what stands under names sealed: `request`, `response` or `value`."""
        return {name: self._seal(value, _of(what, name), random_bytes) for name, value in values.items()}

    def opened(self, what: str, values: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return what `sealed` was given; raises SealBroken: it was altered, or stands under another name."""
        return {name: self._open(value, _of(what, name)) for name, value in values.items()}

    def _seal(self, plaintext: bytes, associated_data: bytes, random_bytes: RandomBytes) -> bytes:
        return seal(plaintext, key=self._key, associated_data=associated_data, random_bytes=random_bytes)

    def _open(self, sealed: bytes, associated_data: bytes) -> bytes:
        return unseal(sealed, key=self._key, associated_data=associated_data)


def _of(what: str, name: str) -> bytes:
    return f"{what} {name}".encode()
