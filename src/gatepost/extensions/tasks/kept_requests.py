"""What is kept of a call so that it can be run again by another process: what was asked, and who asked.

The caller's token is not: a run that is begun again acts for the same person with the same scopes, and the grant is
looked at first. All of it is sealed under the operator's keys, since the task's id is among it.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, Final

from gatepost.extensions.tasks.run import ResumedExchange, TaskExchange
from gatepost.protocol.json_encoding import encode
from gatepost.protocol.messages import Request
from gatepost.protocol.modern import CLIENT_CAPABILITIES, PROTOCOL_VERSION
from gatepost.protocol.versions import MODERN, Revision
from gatepost.resource.principal import Principal
from gatepost.stores.contract.tasks import Task
from gatepost.tokens.opaque import RandomBytes, fingerprint
from gatepost.tokens.sealing import KeyRing, SealBroken

_SETS: Final = ("scopes", "roles")
_PURPOSE: Final = "task-request"


def written(
    task_id: str,
    request: Request,
    revision: Revision,
    exchange: TaskExchange,
    *,
    key_ring: KeyRing,
    random_bytes: RandomBytes,
) -> bytes:
    """Return a call as it is kept."""
    meta = request.params["_meta"]
    principal, granted = exchange.principal, exchange.granted
    who: dict[str, Any] | None = None
    if principal is not None:
        who = asdict(principal)
        who |= {name: sorted(who[name]) for name in _SETS}
        if not who["actors"]:
            del who["actors"]  # servers of the version before run what has none
    plaintext = encode(
        {
            "id": task_id,
            "version": revision.version,
            "name": request.params["name"],
            "arguments": request.params.get("arguments"),
            "capabilities": meta[CLIENT_CAPABILITIES],
            "principal": who,
            "granted": None if granted is None else sorted(granted),
        }
    )
    place = fingerprint(task_id)
    return key_ring.seal(plaintext, purpose=_PURPOSE, associated_data=place, random_bytes=random_bytes)


def read(task: Task, key_ring: KeyRing) -> tuple[str, Request, Revision, ResumedExchange]:
    """Return the id of a task, and its call; raises ValueError: this version or its keys cannot read it."""
    try:
        plaintext = key_ring.open(task.request or b"", purpose=_PURPOSE, associated_data=task.task_fingerprint)
    except SealBroken as error:
        raise ValueError(f"what was kept of its call does not open: {error}") from None
    kept = json.loads(plaintext)
    try:
        task_id, revision, who, granted = kept["id"], MODERN[kept["version"]], kept["principal"], kept["granted"]
        if who is not None:
            who |= {name: frozenset(who[name]) for name in _SETS}
            who["actors"] = tuple(who.get("actors", ()))
        principal = None if who is None else Principal(**who)
        meta = {PROTOCOL_VERSION: kept["version"], CLIENT_CAPABILITIES: kept["capabilities"]}
        params = {"name": kept["name"], "arguments": kept["arguments"] or {}, "_meta": meta}
    except (KeyError, TypeError) as error:
        raise ValueError("the task was begun by a version that kept something else") from error
    exchange = ResumedExchange(principal, granted=None if granted is None else frozenset(granted))
    return task_id, Request(0, "tools/call", params), revision, exchange
