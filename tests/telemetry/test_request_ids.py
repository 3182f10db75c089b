"""One id for a request: its log lines and its incident have it."""

from collections.abc import Iterator
from typing import Any

import pytest

from gatepost.telemetry.request_ids import CURRENT_REQUEST, RandomRequestIds, current_request_id, incident_id


class Bytes:
    """Random bytes, counted."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, count: int) -> bytes:
        self.calls += 1
        return bytes([self.calls] * count)


@pytest.fixture
def random_bytes() -> Iterator[Bytes]:
    yield Bytes()
    CURRENT_REQUEST.set(None)


def test_outside_of_requests_there_is_no_request_id_and_each_incident_has_its_own(random_bytes: Bytes) -> None:
    assert current_request_id() is None
    assert [incident_id(random_bytes), incident_id(random_bytes)] == ["01" * 8, "02" * 8]


def test_the_incident_of_a_request_is_its_id(random_bytes: Bytes) -> None:
    others = Bytes()
    CURRENT_REQUEST.set((RandomRequestIds(random_bytes), {}, None))
    assert {incident_id(others), incident_id(others), current_request_id()} == {"01" * 8}
    assert others.calls == 0


def test_a_request_of_which_nobody_asks_the_id_costs_no_random_bytes(random_bytes: Bytes) -> None:
    first: dict[str, Any] = {}
    second: dict[str, Any] = {}
    CURRENT_REQUEST.set((RandomRequestIds(random_bytes), first, None))
    CURRENT_REQUEST.set((RandomRequestIds(random_bytes), second, None))
    assert (first, second, random_bytes.calls) == ({}, {}, 0)
