"""What is kept of a call so that it can be run again by another process: what was asked, and who asked.

The caller's token is not: a run that is begun again acts for the same person with the same scopes, and the grant is
looked at first.
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

_SETS: Final = ("scopes", "roles")


def written(request: Request, revision: Revision, exchange: TaskExchange) -> bytes:
    """Return a call as it is kept."""
    meta = request.params["_meta"]
    principal, granted = exchange.principal, exchange.granted
    who: dict[str, Any] | None = None
    if principal is not None:
        who = asdict(principal)
        who |= {name: sorted(who[name]) for name in _SETS}
        if not who["actors"]:
            del who["actors"]  # servers of the version before run what has none
    return encode(
        {
            "version": revision.version,
            "name": request.params["name"],
            "arguments": request.params.get("arguments"),
            "capabilities": meta[CLIENT_CAPABILITIES],
            "principal": who,
            "granted": None if granted is None else sorted(granted),
        }
    )


def read(task: Task) -> tuple[Request, Revision, ResumedExchange]:
    """Return the call of a task; raises ValueError: it is one that this version cannot run."""
    kept = json.loads(task.request or b"null")
    try:
        revision, who, granted = MODERN[kept["version"]], kept["principal"], kept["granted"]
        if who is not None:
            who |= {name: frozenset(who[name]) for name in _SETS}
            who["actors"] = tuple(who.get("actors", ()))
        principal = None if who is None else Principal(**who)
        meta = {PROTOCOL_VERSION: kept["version"], CLIENT_CAPABILITIES: kept["capabilities"]}
        params = {"name": kept["name"], "arguments": kept["arguments"] or {}, "_meta": meta}
    except (KeyError, TypeError) as error:
        raise ValueError("the task was begun by a version that kept something else") from error
    exchange = ResumedExchange(principal, granted=None if granted is None else frozenset(granted))
    return Request(0, "tools/call", params), revision, exchange
