"""A response that a client was told is kept reaches its call, whatever becomes of the store's answers."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import pytest

from gatepost.protocol.messages import Response
from gatepost.server.calls.exchange import Exchange, SendMessage
from gatepost.server.calls.pending_client_requests import PendingClientRequests
from gatepost.server.calls.waiters import Pace, Waiters
from gatepost.stores.conformance.behaviour.mcp_streams import SESSION
from gatepost.stores.conformance.records import NOW
from gatepost.stores.contract.errors import StoreBusy, StoreUnavailable
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import memory_store

KEY = SESSION.session_fingerprint


@dataclass
class Cut:
    """Client requests whose store does what it is asked for, and fails to say so."""

    kept: Any
    fault: Callable[[str], Exception]
    cut: set[str] = field(default_factory=set)
    """The operations that fail the next time."""

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self.kept, name)

        async def cut_off(*args: Any, **kwargs: Any) -> Any:
            answer = await operation(*args, **kwargs)
            if name in self.cut:
                self.cut.remove(name)
                raise self.fault("the connection was cut")
            return answer

        return cut_off


def pending_over(store: Any) -> PendingClientRequests:
    return PendingClientRequests(
        store=store, waiters=Waiters(), now=lambda: NOW, random_bytes=secrets.token_bytes, pace=Pace(0.01)
    )


class Stream(Exchange):
    """A stream whose client answers each request at once, at another process."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.sent: list[dict[str, Any]] = []

    def sink(self) -> SendMessage | None:
        async def send(message: bytes) -> None:
            request = orjson.loads(message)
            self.sent.append(request)
            if "id" in request:
                elsewhere = pending_over(self.store.mcp_client_requests)
                assert await elsewhere.respond(KEY, Response(request["id"], {"roots": []}, None))

        return send


@pytest.mark.parametrize("fault", [StoreBusy, StoreUnavailable])
@pytest.mark.parametrize("cut", ["find_response", "withdraw"])
async def test_a_kept_response_is_had_though_the_store_is_cut_off(fault: Callable[[str], Exception], cut: str) -> None:
    store = memory_store()
    await store.mcp_sessions.start_session(replace(SESSION), most=9, makes_room=True)
    shaky = Cut(store.mcp_client_requests, fault, {cut})
    stream = Stream(store)

    results = await pending_over(shaky).request(KEY, stream, {"one": {"method": "roots/list", "params": {}}})

    assert results == {"one": {"roots": []}}
    assert shaky.cut == set()
    assert [message["method"] for message in stream.sent] == ["roots/list"]
