"""`gatepost users invite` and `gatepost users reset`: links on the store that the server uses."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from gatepost.cli.main import main
from gatepost.cli.open_store import with_store
from gatepost.stores.contract.account_links import AccountLink
from gatepost.stores.contract.store import Store
from gatepost.tokens.opaque import fingerprint
from tests.web.pages.pages_world import PASSWORD

BASE = "http://127.0.0.1:8000/oauth/account/link?token="


@pytest.fixture(autouse=True)
def _ada(own_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert own_store.exists()
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD))
    assert main(["users", "add", "ada", "--password-stdin"]) == 0
    capsys.readouterr()


def offered(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    """Return the token of the link that a command prints."""
    assert main(["users", *command]) == 0
    link = capsys.readouterr().out.strip()
    assert link.startswith(BASE + "gp_al_")
    return link.removeprefix(BASE)


def test_links_are_for_one_person_for_some_hours_and_kept_as_fingerprints(
    capsys: pytest.CaptureFixture[str], own_store: Path
) -> None:
    tokens = [
        offered(capsys, *command)
        for command in (["invite"], ["invite", "--name", "BOB", "--hours", "1"], ["reset", "Ada"])
    ]

    async def find(store: Store) -> list[AccountLink | None]:
        return [await store.account_links.find_link(fingerprint(token), now=0) for token in tokens]

    found = with_store(find)
    told = [link and (link.username, link.subject is not None, link.expires_at - link.created_at) for link in found]
    assert told == [(None, False, 86_400), ("bob", False, 3600), ("ada", True, 86_400)]
    stored = b"".join(path.read_bytes() for path in own_store.parent.iterdir())
    assert not any(token.encode() in stored for token in tokens)
    main(["audit"])
    events = capsys.readouterr().out
    assert (events.count("user_invited"), events.count("password_reset_offered")) == (2, 1)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["invite", "--name", "ada"], "There is an account ada already"),
        (["invite", "--name", "no name"], "A username has letters"),
        (["reset", "nobody"], "There is no account nobody"),
        (["reset", "ada"], "ada is disabled"),
    ],
)
def test_a_link_that_would_be_of_no_use_is_not_made(
    capsys: pytest.CaptureFixture[str], command: list[str], told: str
) -> None:
    if command == ["reset", "ada"]:
        main(["users", "disable", "ada"])
    assert main(["users", *command]) == 1
    assert told in capsys.readouterr().err


def roles(capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    capsys.readouterr()
    assert main(["users", "list", "--json"]) == 0
    return {user["name"]: user["roles"] for user in map(json.loads, capsys.readouterr().out.splitlines())}


def test_roles_are_given_with_the_account_or_later_and_taken_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD))
    assert main(["users", "add", "grace", "--password-stdin", "--role", "user", "--role", "admin"]) == 0
    assert main(["users", "role", "Ada", "add", "admin"]) == 0
    assert roles(capsys) == {"ada": ["admin"], "grace": ["admin", "user"]}

    assert main(["users", "role", "grace", "remove", "admin"]) == 0
    assert main(["users", "role", "nobody", "add", "admin"]) == 1
    assert capsys.readouterr().out.startswith("grace is not given the role admin any more")
    assert roles(capsys) == {"ada": ["admin"], "grace": ["user"]}

    main(["audit", "--json"])
    events = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert (events.count("role_given"), events.count("role_taken")) == (1, 1)


def test_what_cannot_be_a_role_is_refused_with_what_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["users", "role", "ada", "add", "Admin people"])
    assert "takes a lower-case letter" in capsys.readouterr().err
    assert roles(capsys) == {"ada": []}
