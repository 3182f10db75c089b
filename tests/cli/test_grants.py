"""`gatepost grants` and `gatepost token mint` on a store of their own."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from gatepost.cli.main import main
from gatepost.oauth.records import Grant
from gatepost.stores.conformance.records import client, grant, tokens
from gatepost.stores.contract.endpoints import ServedEndpoint
from gatepost.stores.contract.grants import LiveAccessToken
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import file_store
from gatepost.tokens.opaque import fingerprint

Answer = TypeVar("Answer")
Capsys = pytest.CaptureFixture[str]


pytestmark = pytest.mark.usefixtures("own_store")


@pytest.fixture
def ada(own_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys) -> None:
    del own_store
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse battery staple\n"))
    assert main(["users", "add", "ada", "--password-stdin"]) == 0
    capsys.readouterr()


def with_store(operation: Callable[[Store], Awaitable[Answer]]) -> Answer:
    async def run() -> Answer:
        store = file_store(Path("data/gatepost.db"))
        await store.open()
        try:
            return await operation(store)
        finally:
            await store.close()

    return asyncio.run(run())


def give(*grants: Grant) -> None:
    async def operation(store: Store) -> None:
        for given in grants:
            await store.approvals.give_grant(given, tokens(given.grant_id, given.grant_id))

    with_store(operation)


def serve(*scopes: str) -> None:
    """Note what a server serves."""
    with_store(lambda store: store.endpoints.note_endpoints([ServedEndpoint("/mcp", scopes)]))


def printed(capsys: Capsys, *arguments: str, code: int = 0) -> str:
    assert main(arguments) == code
    output = capsys.readouterr()
    return output.out if code == 0 else output.err


def live(token: str) -> LiveAccessToken | None:
    return with_store(lambda store: store.grants.find_access_token(fingerprint(token), now=int(time.time())))


@pytest.mark.usefixtures("ada")
def test_a_minted_token_is_its_users_and_counts_until_it_is_revoked(capsys: Capsys) -> None:
    token = printed(capsys, "token", "mint", "--user", "ADA", "--scope", "notes:read notes:write").strip()
    found = live(token)
    assert found is not None
    assert (found.display_name, found.client_id, found.scopes, found.resource) == (
        "ada",
        "gatepost-cli",
        ("notes:read", "notes:write"),
        "http://127.0.0.1:8000/mcp",
    )
    header, row = printed(capsys, "grants", "list").splitlines()
    assert header.split() == ["GRANT", "USER", "CLIENT", "RESOURCE", "SCOPES", "CREATED", "STATE"]
    assert row.split()[:3] == [found.grant_id, "ada", "gatepost-cli"]
    assert token not in row

    assert printed(capsys, "grants", "revoke", found.grant_id) == "Revoked 1 grant.\n"

    found = live(token)
    assert found is not None
    assert found.grant_revoked
    assert printed(capsys, "grants", "list").startswith("There are no such grants in ")
    assert "operator_revoked" in printed(capsys, "grants", "list", "--all")


@pytest.mark.usefixtures("ada")
def test_a_minted_token_says_for_which_url_it_is_where_nobody_named_one(capsys: Capsys) -> None:
    """A server that was started with `--port` refuses it, and its log says why to somebody else."""
    assert main(["token", "mint", "--user", "ada"]) == 0
    assert capsys.readouterr().err == (
        "gatepost: The token is for http://127.0.0.1:8000/mcp; --resource makes one for a server at another address or "
        "port.\n"
    )
    assert main(["token", "mint", "--user", "ada", "--resource", "http://127.0.0.1:9000/mcp"]) == 0
    assert capsys.readouterr().err == ""


def test_a_token_can_be_for_any_subject_resource_and_time(capsys: Capsys) -> None:
    arguments = ["--subject", "svc", "--resource", "HTTPS://mcp.example.com:443/mail/mcp/", "--lifetime", "60"]
    before = int(time.time())
    found = live(printed(capsys, "token", "mint", *arguments).strip())
    assert found is not None
    assert (found.subject, found.scopes, found.resource) == ("svc", (), "https://mcp.example.com/mail/mcp")
    assert before + 60 <= found.expires_at <= int(time.time()) + 60


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--user", "nobody"], 1, "There is no account nobody"),
        (["--user", "no/body"], 1, "There is no account no/body"),
        (["--subject", "a", "--scope", 'quo"ted'], 2, "printable ASCII without quotes"),
        (["--subject", "a", "--resource", "mail"], 2, "--resource takes the URL"),
        (["--subject", "a", "--lifetime", "0"], 2, "--lifetime takes"),
    ],
)
def test_what_cannot_be_minted_is_told(arguments: list[str], code: int, words: str, capsys: Capsys) -> None:
    assert words in printed(capsys, "token", "mint", *arguments, code=code)


@pytest.mark.parametrize(
    ("option", "scopes"),
    [
        ("--scopes=mcp:read,mcp:tools", ("mcp:read", "mcp:tools")),
        ("--scopes=mcp:read mcp:tools", ("mcp:read", "mcp:tools")),
        ("--scope=mcp:tools, mcp:read,", ("mcp:tools", "mcp:read")),
        ("--scopes=", ()),
    ],
)
def test_scopes_are_parted_by_blanks_or_commas(option: str, scopes: tuple[str, ...], capsys: Capsys) -> None:
    serve("mcp:read", "mcp:tools")
    found = live(printed(capsys, "token", "mint", "--subject", "svc", option).strip())
    assert found is not None
    assert found.scopes == scopes


def test_a_scope_that_there_is_not_is_refused_with_those_that_there_are(capsys: Capsys) -> None:
    serve("mcp:read", "mcp:tools")
    said = printed(capsys, "token", "mint", "--subject", "svc", "--scopes", "mcp:read,mcp:all", code=2)
    assert said == "gatepost: Unknown: mcp:all. The scopes are: mcp:read, mcp:tools.\n"
    assert printed(capsys, "grants", "list").startswith("There are no such grants in ")


def test_where_nobody_knows_the_scopes_a_token_is_made_and_that_is_said(capsys: Capsys) -> None:
    assert main(["token", "mint", "--subject", "svc", "--scopes", "a"]) == 0
    assert "nobody can say whether the scopes exist" in capsys.readouterr().err


@pytest.mark.usefixtures("ada")
def test_a_disabled_account_gets_no_token(capsys: Capsys) -> None:
    printed(capsys, "users", "disable", "ada")
    assert "not disabled" in printed(capsys, "token", "mint", "--user", "ada", code=1)


def test_grants_are_narrowed_by_user_and_client_and_a_name_cannot_turn_the_line_around(capsys: Capsys) -> None:
    now = int(time.time())
    sent = {"created_at": now, "expires_at": now + 1000}
    give(
        grant("grant_1", subject="a", client_id="x", **sent),
        grant("grant_2", subject="a", client_id="y", **sent),
        grant("grant_3", subject="b/b", client_id="x", created_at=now - 9, expires_at=now - 1),
    )
    with_store(lambda store: store.clients.register_client(client("x", client_name="Evil\u202e\x1b[2J")))

    def ids(*arguments: str) -> list[str]:
        return [line.split()[0] for line in printed(capsys, "grants", "list", *arguments).splitlines()[1:]]

    assert ids() == ["grant_1", "grant_2"]
    assert ids("--all") == ["grant_1", "grant_2", "grant_3"]
    assert ids("--user", "a", "--client", "y") == ["grant_2"]
    assert ids("--user", "b/b", "--all") == ["grant_3"]
    listing = printed(capsys, "grants", "list", "--all")
    assert "Evil" in listing
    assert "\u202e" not in listing
    assert "\x1b" not in listing
    assert "over" in listing


def test_all_grants_of_a_user_or_client_are_revoked_however_many(
    monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    monkeypatch.setattr("gatepost.cli.grants._MOST", 2)
    now = int(time.time())
    give(*(grant(f"grant_{n}", subject="a", created_at=now, expires_at=now + 1000) for n in range(5)))
    give(grant("grant_other", subject="b", created_at=now, expires_at=now + 1000))
    assert printed(capsys, "grants", "revoke", "--user", "a") == "Revoked 5 grants.\n"
    assert "grant_other" in printed(capsys, "grants", "list")
    assert printed(capsys, "grants", "revoke", "--client", "client-1") == "Revoked 1 grant.\n"


def test_what_is_not_named_or_not_there_is_told(capsys: Capsys) -> None:
    assert "Name what to revoke" in printed(capsys, "grants", "revoke", code=2)
    assert main(["grants", "revoke", "nothing"]) == 1
    assert capsys.readouterr() == ("", "gatepost: There is no grant nothing that counts; see gatepost grants list.\n")


def test_a_revocation_says_whose_grant_it_was_and_which_client_had_it(capsys: Capsys) -> None:
    now = int(time.time())
    for name in ("one", "two", "three"):
        give(grant(f"grant_{name}", subject="a", client_id=f"app-{name}", created_at=now, expires_at=now + 1000))

    printed(capsys, "grants", "revoke", "grant_one")
    printed(capsys, "grants", "revoke", "--client", "app-two")
    printed(capsys, "grants", "revoke", "--user", "a")

    events = [json.loads(line) for line in printed(capsys, "audit", "--json", "--event", "revocation").splitlines()]
    assert [(each["grant_id"], each["subject"], each["client_id"]) for each in events] == [
        (f"grant_{name}", "a", f"app-{name}") for name in ("three", "two", "one")
    ]


def test_a_grant_that_has_ended_is_not_revoked_again(capsys: Capsys) -> None:
    now = int(time.time())
    give(grant("grant_1", subject="a", created_at=now, expires_at=now + 1000))
    printed(capsys, "grants", "revoke", "grant_1")

    assert "There is no grant grant_1 that counts" in printed(capsys, "grants", "revoke", "grant_1", code=1)
    assert len(printed(capsys, "audit", "--event", "revocation").splitlines()) == 2
