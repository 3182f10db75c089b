"""Tasks as clients see them (ext-tasks, "Tasks" and "Task Creation")."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import orjson

from gatepost.protocol.errors import InvalidJsonRpcRequest, InvalidParams
from gatepost.stores.contract.tasks import Task, TaskStatus, TaskView

NOTIFICATION: Final = "notifications/tasks"


class TooManyTasks(InvalidJsonRpcRequest):
    """The caller, or this process, has as many tasks as there may be."""

    modern_status = 429


def unknown_task() -> InvalidParams:
    """Return the error for a task that there is not, and for one of somebody else, which is no other."""
    return InvalidParams("There is no such task, or it has expired.")


def created(task: Task, task_id: str) -> dict[str, Any]:
    """Return the `CreateTaskResult`."""
    return {"resultType": "task", **_task(task, task_id)}


def detailed(view: TaskView, task_id: str) -> dict[str, Any]:
    """Return the `DetailedTask`; what is JSON already stands in it as that."""
    task = view.task
    described = _task(task, task_id)
    if task.status is TaskStatus.INPUT_REQUIRED:
        described["inputRequests"] = {key: orjson.Fragment(request) for key, request in view.open_requests.items()}
    elif task.outcome is not None:
        member = "result" if task.status is TaskStatus.COMPLETED else "error"
        described[member] = orjson.Fragment(task.outcome)
    return described


def _task(task: Task, task_id: str) -> dict[str, Any]:
    message = {} if task.status_message is None else {"statusMessage": task.status_message}
    return {
        "taskId": task_id,
        "status": task.status.value,
        **message,
        "createdAt": _time(task.created_at),
        "lastUpdatedAt": _time(task.updated_at),
        "ttlMs": (task.expires_at - task.created_at) * 1000,
        "pollIntervalMs": task.poll_interval,
    }


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
