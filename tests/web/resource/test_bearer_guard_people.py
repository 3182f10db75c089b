"""What the bearer guard makes of the person behind a token, and at which loopback names an operator's token counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gatepost.identity.entry import entry_of
from gatepost.identity.roles import Role, Roles
from gatepost.oauth.reasons import Reason
from gatepost.resource.principal import COMMAND_LINE_CLIENT
from gatepost.resource.resources import ProtectedResource
from gatepost.stores.contract.grants import LiveAccessToken
from gatepost.stores.contract.users import Person
from tests.web.resource.guard_world import ANN, LIVE, NOTES, World, bearer

ANN_HERSELF = Person("https://idp.example", "ann-there", None, "ann", None, ("reader",))
LIMITED = Roles({"reader": Role(scopes="notes:read"), "writer": Role(scopes="notes:write")})
LOCAL_NOTES = replace(NOTES, identifier="http://127.0.0.1:8000/mcp")
OPERATORS = replace(LIVE, client_id=COMMAND_LINE_CLIENT, resource="http://localhost:8000/mcp")


async def test_a_token_has_the_scopes_that_its_persons_roles_still_have() -> None:
    world = World(roles=LIMITED)
    live = replace(LIVE, scopes=("notes:write", "notes:read"), person=ANN_HERSELF)
    assert await world.verify(bearer(world.grants.issue(live))) == replace(
        ANN, scopes=frozenset({"notes:read"}), roles=frozenset({"reader"})
    )


async def test_roles_that_limit_no_scopes_are_said_all_the_same() -> None:
    world = World()
    principal = await world.verify(bearer(world.grants.issue(replace(LIVE, person=ANN_HERSELF))))
    assert principal == replace(ANN, roles=frozenset({"reader"}))


async def test_roles_say_nothing_of_a_token_behind_which_nobody_stands() -> None:
    world = World(roles=LIMITED)
    live = replace(LIVE, scopes=("notes:write", "notes:read"))
    assert await world.verify(bearer(world.grants.issue(live))) == replace(
        ANN, scopes=frozenset({"notes:write", "notes:read"})
    )


async def test_whoever_may_have_a_scope_may_have_what_it_opens() -> None:
    resource = replace(NOTES, implied_scopes={"notes:write": frozenset({"notes:read"})})
    world = World(resource=resource, roles=LIMITED)
    live = replace(LIVE, person=replace(ANN_HERSELF, roles=("writer",)))
    assert await world.verify(bearer(world.grants.issue(live))) == replace(ANN, roles=frozenset({"writer"}))


async def test_a_scope_that_was_granted_opens_what_it_implies() -> None:
    world = World(resource=replace(NOTES, implied_scopes={"notes:write": frozenset({"notes:read"})}))
    principal = await world.verify(bearer(world.grants.issue(replace(LIVE, scopes=("notes:write",)))))
    assert principal == replace(ANN, scopes=frozenset({"notes:write", "notes:read"}))


async def test_whom_the_words_of_entry_name_no_more_is_refused_and_never_remembered() -> None:
    world = World(entry=entry_of("subject:somebody-else"))
    header = bearer(world.grants.issue(replace(LIVE, person=ANN_HERSELF)))
    for _ in range(2):
        refused = await world.refused(header)
        assert (refused.status, refused.reason) == (401, Reason.USER_NOT_ALLOWED)
    assert world.guard.cached(header) is None
    assert world.grants.look_ups == 2


async def test_entry_says_nothing_of_a_token_behind_which_nobody_stands() -> None:
    world = World(entry=entry_of("subject:somebody-else"))
    assert await world.verify(bearer(world.grants.issue())) == ANN


async def test_a_token_that_the_operator_made_counts_at_every_loopback_name() -> None:
    world = World(resource=LOCAL_NOTES, any_loopback=True)
    assert await world.verify(bearer(world.grants.issue(OPERATORS))) == replace(
        ANN, client_id=COMMAND_LINE_CLIENT, resource="http://127.0.0.1:8000/mcp"
    )


@pytest.mark.parametrize(
    ("resource", "any_loopback", "live"),
    [
        pytest.param(LOCAL_NOTES, False, OPERATORS, id="a server of one name"),
        pytest.param(LOCAL_NOTES, True, replace(OPERATORS, client_id="client-1"), id="a token of another client"),
        pytest.param(
            LOCAL_NOTES, True, replace(OPERATORS, resource="http://localhost:8000/mail"), id="a token for another path"
        ),
        pytest.param(NOTES, True, OPERATORS, id="a name that is not loopback"),
    ],
)
async def test_any_other_token_stays_with_its_origin(
    resource: ProtectedResource, any_loopback: bool, live: LiveAccessToken
) -> None:
    world = World(resource=resource, any_loopback=any_loopback)
    refused = await world.refused(bearer(world.grants.issue(live)))
    assert (refused.status, refused.reason) == (401, Reason.TOKEN_OF_ANOTHER_RESOURCE)


async def test_by_default_no_token_counts_at_another_loopback_name() -> None:
    world = World(resource=LOCAL_NOTES)
    assert (await world.refused(bearer(world.grants.issue(OPERATORS)))).reason is Reason.TOKEN_OF_ANOTHER_RESOURCE
