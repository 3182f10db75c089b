"""What is kept of client sessions, and of what lists have said: within bounds."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gatepost.fronts.merging import sessions, uris
from gatepost.fronts.merging.names import Names
from gatepost.fronts.merging.uris import Uris, fits
from tests.fronts.merging.merging_world import Scripted, merging, stdio
from tests.patience import PATIENCE
from tests.web.mcp.sessions.session_world import request


async def test_a_client_that_says_more_than_is_kept_is_refused(tmp_path: Path) -> None:
    async with merging(tmp_path, {"a": Scripted({})}) as front:
        info = {"name": "x" * sessions.LARGEST_INTRODUCTION, "version": "1"}
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}

        assert (await front.send(request("initialize", params))).body["error"]["code"] == -32602


async def test_a_session_subscribes_to_so_much_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST_WATCHED", 2)
    async with merging(tmp_path, {"a": stdio(tmp_path / "a")}) as front:
        session = await front.begin()

        async def watch(uri: str, method: str = "resources/subscribe") -> Any:
            return (await front.send(request(method, {"uri": uri}), session=session)).body

        answers = [await watch(f"note://{number}") for number in (1, 2, 1, 3)]
        assert ["error" in answer for answer in answers] == [False, False, False, True]
        await watch("note://1", "resources/unsubscribe")
        assert "result" in await watch("note://3")


async def test_what_nobody_uses_is_forgotten_once_it_has_nothing_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_SWEEP_FROM", 1)
    monkeypatch.setattr(sessions, "LINGERING_SECONDS", -1.0)
    async with merging(tmp_path, {"a": Scripted({})}) as front:
        kept = front.front._sessions  # type: ignore[attr-defined]
        kept._sweep_at = 1
        for _ in range(3):
            await front.begin()

        assert len(kept._sessions) == 1


async def test_a_client_that_goes_before_it_has_its_session_leaves_nothing_behind(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    async with merging(tmp_path, {"a": stdio(tmp_path / "a", f"--waits-for={gate}")}) as front:
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
        connection = front.open(request("initialize", params))
        kept = front.front._sessions  # type: ignore[attr-defined]
        async with asyncio.timeout(PATIENCE):
            while not kept._joining:  # noqa: ASYNC110 - nothing sets an event
                await asyncio.sleep(0.005)
            connection.gone.set()
            await connection.finished()
            while kept._joining:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.005)

        assert not kept._unclaimed


def test_a_name_is_of_the_longest_prefix_that_it_begins_with() -> None:
    names = Names({"a": 1, "a_b": 2, "": 3, "own": 4}, frozenset({"own"}))

    found = {name: names.find(name) for name in ("a_x", "a_b_x", "a_bx", "ax", "own_x", "a_")}
    assert {name: (each.part, each.bare) for name, each in found.items() if each is not None} == {
        "a_x": (1, "x"),
        "a_b_x": (2, "x"),
        "a_bx": (1, "bx"),
        "ax": (3, "ax"),
        "own_x": (4, "own_x"),
        "a_": (1, ""),
    }
    assert Names({"a": 1}).find("x") is None


@pytest.mark.parametrize(
    ("template", "uri", "is_one"),
    [
        ("note://{id}", "note://1", True),
        ("note://{id}", "note://", True),
        ("note://{id}/x", "note://1/y", False),
        ("note://{id}/x", "note:///x", True),
        ("a{b}c{d}e", "acce", True),
        ("a{b}c{d}e", "ae", False),
        ("ab{x}ba", "aba", False),
        ("note://1", "note://1", True),
        ("note://1", "note://2", False),
        ("{+all}", "x:y", True),
    ],
)
def test_a_template_fits_where_its_fixed_texts_stand_in_order(template: str, uri: str, is_one: bool) -> None:
    assert fits(template, uri) is is_one


def test_what_lists_have_said_is_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uris, "MOST_OF_USER", 2)
    monkeypatch.setattr(uris, "MOST", 4)
    monkeypatch.setattr(uris, "LONGEST", 20)
    known: Uris[int] = Uris()
    for user in ("ann", "bob", "carl"):
        for number in range(3):
            known.claim(user, f"note://{number}", 1)
    known.claim("carl", "note://" + "x" * 20, 1)

    # The third of one user is not kept, and the first of three users not at all.
    assert [known.owner("carl", f"note://{number}") for number in range(3)] == [1, 1, None]
    assert [known.owner("ann", f"note://{number}") for number in range(3)] == [None, None, None]
    assert known.owner("carl", "note://" + "x" * 20) is None
    known.forget("carl", [1], are_templates=False)
    assert known.owner("carl", "note://0") is None
    assert known.claim("carl", "note://0", 2) == 2


def test_a_template_without_a_scheme_says_of_no_uri_whose_it_is() -> None:
    known: Uris[int] = Uris()
    known.claim_template("ann", "{+anything}", 1)
    known.claim_template("ann", "note:{+anything}", 2)

    assert known.owner("ann", "file:///a") is None
    assert known.owner("ann", "note:a") == 2


def test_what_another_server_has_stays_its_own_until_it_says_otherwise() -> None:
    known: Uris[int] = Uris()
    known.claim("ann", "note://1", 1)
    known.claim_template("ann", "note://{id}", 1)
    known.forget("ann", [2], are_templates=False)

    assert known.claim("ann", "NOTE://1", 2) == 1
    assert known.claim_template("ann", "note://{id}", 2) == 1
    known.learn("ann", "note://1", 2)
    assert known.owner("ann", "note://1") == 2
    assert known.owner("ann", "note://other") == 1
    assert known.owner("bob", "note://1") is None
