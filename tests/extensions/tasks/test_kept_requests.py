"""A call that is kept, and run again by another process, is the same caller's."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gatepost.extensions.tasks import kept_requests
from gatepost.extensions.tasks.run import TaskExchange
from gatepost.protocol.messages import Request
from gatepost.protocol.modern import CLIENT_CAPABILITIES
from gatepost.protocol.versions import REVISION_2026_07_28
from gatepost.resource.principal import Principal
from gatepost.server.calls.exchange import Exchange
from gatepost.stores.contract.tasks import Task
from tests.extensions.tasks.task_world import ADA

REQUEST = Request(1, "tools/call", {"name": "pay", "arguments": {"much": 1}, "_meta": {CLIENT_CAPABILITIES: {}}})


def kept(principal: Principal | None) -> bytes:
    return kept_requests.written(REQUEST, REVISION_2026_07_28, TaskExchange(Exchange(principal)))


@pytest.mark.parametrize("principal", [None, ADA, replace(ADA, actors=("front", "gate"), roles=frozenset({"admin"}))])
def test_a_call_is_the_same_callers_who_acts_included(principal: Principal | None) -> None:
    task = Task(b"fingerprint", "/mcp", "owner", "person", "pay", 1, 601, 1000, "runner", request=kept(principal))
    request, revision, exchange = kept_requests.read(task)
    assert (request.params["name"], request.params["arguments"]) == ("pay", {"much": 1})
    assert revision is REVISION_2026_07_28
    assert exchange.principal == principal


def test_a_caller_for_whom_nobody_acts_is_kept_as_versions_before_read_them() -> None:
    assert "actors" not in json.loads(kept(ADA))["principal"]
