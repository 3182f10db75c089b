from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from gatepost.assembly.call_limits import SharedCallLimits
from gatepost.oauth.limits import Rate, Use
from gatepost.resource.principal import Principal
from gatepost.server.calls import rates
from gatepost.server.calls.rates import CallLimits, ProcessLimits, TooManyCalls, key_of, rate_of
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.sql.sqlite import memory_store
from gatepost.web.site.limits import Limits


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10/minute", Rate(10, 60)),
        (" 5 per second ", Rate(5, 1)),
        ("100/2 hours", Rate(100, 7200)),
        ("1000/day", Rate(1000, 86_400)),
        ("3 / 30 seconds", Rate(3, 30)),
    ],
)
def test_a_rate_is_read_as_people_write_it(text: str, rate: Rate) -> None:
    assert rate_of(text) == rate


@pytest.mark.parametrize(
    "text", ["", "10", "0/minute", "10/0 minutes", "-1/day", "1.5/minute", "10/week", "10/minute/2"]
)
def test_what_is_no_rate_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match=r'is no rate; write "10/minute"'):
        rate_of(text)


def test_each_person_is_counted_by_themselves_and_all_without_a_name_together(principal: Principal) -> None:
    keys = {
        key_of("add", principal),
        key_of("add", replace(principal, subject="bob")),
        key_of("add", replace(principal, issuer="https://other.example")),
        key_of("add", replace(principal, issuer="https://mcp.example.com\nalice", subject="")),
        key_of("other", principal),
    }

    assert len(keys) == 5
    assert not any("alice" in key for key in keys)
    assert key_of("add", replace(principal, client_id="another-app")) in keys
    assert key_of("add", None) == "add"


async def waits(limits: CallLimits, rate: Rate, count: int, *, key: str = "add") -> list[int]:
    """For how long each of so many calls has to wait; 0 for those that are admitted."""
    found = []
    for _ in range(count):
        try:
            await limits.admit(key, rate)
        except TooManyCalls as error:
            found.append(error.retry_after)
        else:
            found.append(0)
    return found


async def test_a_process_counts_by_itself_what_nobody_else_counts() -> None:
    now = 1_000.0
    limits = ProcessLimits(lambda: now)

    assert await waits(limits, Rate(2, 60), 3) == [0, 0, 30]
    assert await waits(limits, Rate(2, 60), 1, key="other") == [0]
    now += 30
    assert await waits(limits, Rate(2, 60), 2) == [0, 30]


async def test_a_process_remembers_so_many_and_forgets_who_called_least_lately(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_MOST_KEYS", 2)
    limits, once = ProcessLimits(lambda: 0), Rate(1, 60)

    for key in ("one", "two", "one", "three"):
        await waits(limits, once, 1, key=key)

    assert await waits(limits, once, 1, key="one") == [60]
    assert await waits(limits, once, 1, key="two") == [0]


async def test_processes_over_one_store_count_together_and_endpoints_apart() -> None:
    store = memory_store()
    one, other, elsewhere = (
        SharedCallLimits(Limits(store=store.limits, now=lambda: 1_000), path) for path in ("/mcp", "/mcp", "/b/mcp")
    )

    assert await waits(one, Rate(3, 60), 2) == [0, 0]
    assert await waits(other, Rate(3, 60), 2) == [0, 20]
    assert await waits(elsewhere, Rate(3, 60), 1) == [0]


async def test_a_store_that_cannot_count_is_a_fault_and_no_refusal() -> None:
    class Down:
        async def take(self, uses: Sequence[Use], *, now: int) -> int:
            raise StoreUnavailable(f"{uses} at {now}")

        async def give_back(self, uses: Sequence[Use], *, now: int) -> None: ...

        async def delete_limits(self, *, before: int, limit: int) -> int:
            return before + limit

    with pytest.raises(StoreUnavailable):
        await SharedCallLimits(Limits(store=Down(), now=lambda: 1_000), "/mcp").admit("add", Rate(1, 1))
