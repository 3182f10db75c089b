"""A call that is kept, and run again by another process, is the same caller's."""

from __future__ import annotations

import json
import secrets
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
from gatepost.tokens.opaque import SecretKind, fingerprint, mint
from gatepost.tokens.sealing import KeyRing
from tests.extensions.tasks.task_world import ADA

REQUEST = Request(1, "tools/call", {"name": "pay", "arguments": {"much": 1}, "_meta": {CLIENT_CAPABILITIES: {}}})


TASK_ID = mint(SecretKind.TASK, secrets.token_bytes)
KEY_RING = KeyRing([secrets.token_urlsafe(32)])


def kept(principal: Principal | None) -> Task:
    request = kept_requests.written(
        TASK_ID,
        REQUEST,
        REVISION_2026_07_28,
        TaskExchange(Exchange(principal)),
        key_ring=KEY_RING,
        random_bytes=secrets.token_bytes,
    )
    return Task(fingerprint(TASK_ID), "/mcp", "owner", "person", "pay", 1, 601, 1000, "runner", request=request)


@pytest.mark.parametrize("principal", [None, ADA, replace(ADA, actors=("front", "gate"), roles=frozenset({"admin"}))])
def test_a_call_is_the_same_callers_who_acts_included(principal: Principal | None) -> None:
    task_id, request, revision, exchange = kept_requests.read(kept(principal), KEY_RING)
    assert task_id == TASK_ID
    assert (request.params["name"], request.params["arguments"]) == ("pay", {"much": 1})
    assert revision is REVISION_2026_07_28
    assert exchange.principal == principal


def test_a_caller_for_whom_nobody_acts_is_kept_as_versions_before_read_them() -> None:
    task = kept(ADA)
    assert task.request is not None
    opened = KEY_RING.open(task.request, purpose="task-request", associated_data=task.task_fingerprint)
    assert "actors" not in json.loads(opened)["principal"]


def test_a_call_of_another_task_or_under_another_key_cannot_be_read() -> None:
    task = kept(ADA)
    for other, key_ring in (
        (replace(task, task_fingerprint=fingerprint(mint(SecretKind.TASK, secrets.token_bytes))), KEY_RING),
        (replace(task, request=None), KEY_RING),
        (task, KeyRing([secrets.token_urlsafe(32)])),
    ):
        with pytest.raises(ValueError, match="does not open"):
            kept_requests.read(other, key_ring)
