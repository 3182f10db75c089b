"""The state that a request carries from one run to the next: who may bring it back, and for how long."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from gatepost.protocol.errors import InvalidParams
from gatepost.resource.principal import Principal
from gatepost.server.calls.context import Context
from tests.server.calls.asking_client import KEY, Client, accept, greet, several


async def refused(client: Client, state: Any) -> bool:
    try:
        await client.call({"user_name": accept(name="Ann")}, state)
    except InvalidParams as error:
        return "requestState" in str(error)
    return False


@pytest.mark.parametrize("state", ["x", "é", 5, {}, "-TAMPERED", ""])
async def test_a_state_that_is_none_of_ours_is_refused(state: Any) -> None:
    assert await refused(Client(greet), state)


async def test_every_altered_state_is_refused(principal: Principal) -> None:
    client = Client(greet)
    client.principal = principal
    state = (await client.call())["requestState"]
    raw = base64.urlsafe_b64decode(state)

    assert not await refused(client, state)
    assert await refused(client, state + "-TAMPERED")
    for position in range(len(raw)):
        altered = bytearray(raw)
        altered[position] ^= 1
        assert await refused(client, base64.urlsafe_b64encode(altered).decode())


async def test_a_state_is_good_for_ten_minutes() -> None:
    client = Client(greet)
    state = (await client.call())["requestState"]

    client.clock.time += 599
    assert not await refused(client, state)
    client.clock.time += 1
    assert await refused(client, state)


@pytest.mark.parametrize("change", [{"subject": "eve"}, {"issuer": "https://other.example"}, None])
async def test_a_state_of_another_caller_is_refused(principal: Principal, change: dict[str, str] | None) -> None:
    client = Client(greet)
    client.principal = principal
    state = (await client.call())["requestState"]

    client.principal = None if change is None else replace(principal, **change)  # type: ignore[arg-type] # all are texts

    assert await refused(client, state)


async def test_a_state_is_the_persons_by_whichever_app(principal: Principal) -> None:
    client = Client(greet)
    client.principal = principal
    state = (await client.call())["requestState"]

    client.principal = replace(principal, client_id="registered-anew")

    assert not await refused(client, state)


async def test_a_state_belongs_to_one_tool_and_its_arguments() -> None:
    async def other(ctx: Context, salutation: str = "") -> str:
        return await greet(ctx, salutation)

    client = Client(greet)
    client.server.add_tool(other)
    client.arguments = {"salutation": "Hi"}
    state = (await client.call())["requestState"]

    client.arguments = {"salutation": "Bye"}
    assert await refused(client, state)
    client.arguments = {"salutation": "Hi"}
    client.name = "other"
    assert await refused(client, state)
    client.name = "greet"
    assert not await refused(client, state)


async def test_a_state_is_looked_at_also_if_the_tool_asks_nothing() -> None:
    async def quiet() -> str:
        return "done"

    assert await refused(Client(quiet), "-TAMPERED")


async def test_a_state_opens_under_every_key_of_the_ring_and_under_no_other() -> None:
    client = Client(greet)
    state = (await client.call())["requestState"]

    client.use_key(KEY[::-1], KEY)
    assert not await refused(client, state)
    client.use_key(KEY[::-1])
    assert await refused(client, state)


async def test_what_is_in_a_state_cannot_be_read() -> None:
    client = Client(several)
    first = await client.call()
    second = await client.call({"elicit-1": accept(name="Annabel")}, first["requestState"])

    assert b"Annabel" not in base64.urlsafe_b64decode(second["requestState"])
