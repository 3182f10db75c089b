"""`gatepost upstream`: whose tokens are kept, never what they are; and their end."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from gatepost.cli.main import main
from gatepost.stores.conformance.behaviour.upstream_tokens import kept
from gatepost.stores.conformance.records import user
from gatepost.stores.contract.linked_logins import LinkedLogin, LinkOutcome
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.upstream_tokens import KeptTokens
from gatepost.stores.sql.sqlite import file_store

Answer = TypeVar("Answer")
Capsys = pytest.CaptureFixture[str]
AT = 1_800_000_000

pytestmark = pytest.mark.usefixtures("own_store")


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each look is later than the last: events of two commands in one microsecond have no order.
    looks = itertools.count()
    monkeypatch.setattr(time, "time", lambda: AT + 100 + next(looks) / 1000)


def with_store(operation: Callable[[Store], Awaitable[Answer]]) -> Answer:
    async def run() -> Answer:
        store = file_store(Path("data/gatepost.db"))
        await store.open()
        try:
            return await operation(store)
        finally:
            await store.close()

    return asyncio.run(run())


def keep(*every: KeptTokens) -> None:
    async def operation(store: Store) -> None:
        await store.users.add_user(user())
        await store.users.add_user(user("user-2", "bob"))
        for tokens in every:
            linked = LinkedLogin(*tokens.login, tokens.subject, tokens.linked_at)
            assert await store.linked_logins.link_login(linked) in {LinkOutcome.LINKED, LinkOutcome.OWN}
            assert await store.upstream_tokens.keep_tokens(tokens, replaces=None)

    with_store(operation)


def printed(capsys: Capsys, *arguments: str, code: int = 0) -> str:
    assert main(arguments) == code
    output = capsys.readouterr()
    return output.out + output.err


def test_the_list_says_whose_tokens_there_are_and_never_what_they_are(capsys: Capsys) -> None:
    lasting = replace(
        kept(subject="user-2", external_subject="99"), expires_at=None, ends_at=None, is_refreshable=False
    )
    keep(kept(), replace(kept(provider="gitlab"), expires_at=AT, is_refreshable=False), lasting)
    listing = printed(capsys, "upstream", "list", "--json")
    assert [json.loads(line) for line in listing.splitlines()] == [
        {
            "user": "ada",
            "subject": "user-1",
            "provider": "github",
            "account": "583231",
            "scopes": ["read:user", "repo"],
            "linked": "2027-01-15T08:00:00Z",
            "state": "until 2027-01-15T16:00:00Z, renewed",
        },
        {
            "user": "ada",
            "subject": "user-1",
            "provider": "gitlab",
            "account": "583231",
            "scopes": ["read:user", "repo"],
            "linked": "2027-01-15T08:00:00Z",
            "state": "over 2027-01-15T08:00:00Z",
        },
        {
            "user": "bob",
            "subject": "user-2",
            "provider": "github",
            "account": "99",
            "scopes": ["read:user", "repo"],
            "linked": "2027-01-15T08:00:00Z",
            "state": "without an end",
        },
    ]
    assert "sealed" not in listing + printed(capsys, "upstream", "list")
    assert len(printed(capsys, "upstream", "list", "--user", "ada").splitlines()) == 3
    assert len(printed(capsys, "upstream", "list", "--user", "user-2").splitlines()) == 2


def test_an_operator_ends_them_by_person_and_provider_and_the_trail_says_so(capsys: Capsys) -> None:
    keep(kept(), kept(provider="gitlab"), kept(subject="user-2", external_subject="99"))
    assert printed(capsys, "upstream", "end", "ada", "--provider", "gitlab") == "Ended what was kept of gitlab.\n"
    assert "Nothing of that is kept" in printed(capsys, "upstream", "end", "ada", "--provider", "gitlab", code=1)
    assert printed(capsys, "upstream", "end", "user-2") == "Ended what was kept of github.\n"
    assert len(printed(capsys, "upstream", "list").splitlines()) == 2
    events = [json.loads(line) for line in printed(capsys, "audit", "--json").splitlines()]
    assert [(event["event"], event["reason"], event["subject"]) for event in events] == [
        ("upstream_tokens_ended", "operator_revoked", "user-2"),
        ("upstream_tokens_ended", "operator_revoked", "user-1"),
    ]


def test_who_is_disabled_has_none(capsys: Capsys) -> None:
    keep(kept())
    printed(capsys, "users", "disable", "ada")
    assert printed(capsys, "upstream", "list").startswith("There are no tokens of login providers in ")
