"""`gatepost users passkeys`: one person's passkeys on the store that the server uses."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatepost.cli.main import main
from gatepost.cli.open_store import with_store
from gatepost.stores.contract.passkeys import Passkey
from gatepost.stores.contract.store import Store
from tests.web.pages.pages_world import PASSWORD

Listed = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def _ada(own_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert own_store.exists()
    for name in ("ada", "bob"):
        monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD))
        assert main(["users", "add", name, "--password-stdin"]) == 0
    capsys.readouterr()

    async def add(store: Store) -> None:
        for name, credential_id, used in (("ada", b"1", None), ("ada", b"2", 1_700_000_060), ("bob", b"3", None)):
            user = await store.users.find_user(name)
            assert user is not None
            called = f"Passkey {credential_id.decode()}"
            passkey = Passkey(
                credential_id, user.subject, b"handle", "localhost", called, b"key", 0, (), 1_700_000_000, used
            )
            await store.passkeys.add_passkey(passkey)

    with_store(add)


@pytest.fixture
def listed(capsys: pytest.CaptureFixture[str]) -> Listed:
    def run() -> list[dict[str, Any]]:
        capsys.readouterr()
        assert main(["users", "passkeys", "Ada", "list", "--json"]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def test_they_are_listed(listed: Listed, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = listed()
    assert first == {
        "passkey": "6b86b273ff34fce1",
        "name": "Passkey 1",
        "host": "localhost",
        "created": "2023-11-14T22:13:20Z",
        "last_used": None,
    }
    assert (second["name"], second["last_used"]) == ("Passkey 2", "2023-11-14T22:14:20Z")
    assert main(["users", "passkeys", "ada"]) == 0
    assert "Passkey 2" in capsys.readouterr().out


def test_one_is_renamed(listed: Listed) -> None:
    number = listed()[0]["passkey"]
    assert main(["users", "passkeys", "ada", "rename", number, "Old\u202e phone"]) == 0
    assert [row["name"] for row in listed()] == ["Old phone", "Passkey 2"]


def test_one_or_all_are_removed(listed: Listed, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["users", "passkeys", "ada", "remove", listed()[0]["passkey"]]) == 0
    assert "Removed 1 passkey;" in capsys.readouterr().out
    assert [row["name"] for row in listed()] == ["Passkey 2"]
    assert main(["users", "passkeys", "ada", "remove", "all"]) == 0
    assert listed() == []
    assert main(["users", "passkeys", "ada"]) == 0
    assert "ada has no passkeys." in capsys.readouterr().out
    assert main(["users", "passkeys", "bob"]) == 0
    assert "Passkey 3" in capsys.readouterr().out
    main(["audit"])
    assert capsys.readouterr().out.count("passkey_removed") == 2


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        (["nobody"], 1, "There is no account nobody"),
        (["ada", "remove", "0" * 16], 1, "ada has no such passkey"),
        (["ada", "rename", "all", "Mine"], 1, "ada has no such passkey"),
        (["ada", "rename", "6b86b273ff34fce1", "\u200b"], 1, "nothing in that name"),
        (["ada", "remove"], 2, "NAME remove PASSKEY (or all)"),
        (["ada", "remove", "all", "Mine"], 2, "NAME remove PASSKEY (or all)"),
        (["ada", "rename", "6b86b273ff34fce1"], 2, "NAME rename PASSKEY NEW-NAME"),
        (["ada", "list", "6b86b273ff34fce1"], 2, "NAME list"),
    ],
)
def test_what_cannot_be_done_is_said(
    command: list[str], code: int, told: str, listed: Listed, capsys: pytest.CaptureFixture[str]
) -> None:
    before = listed()
    assert main(["users", "passkeys", *command]) == code
    assert told in capsys.readouterr().err
    assert listed() == before


def test_another_person_s_passkey_is_none_of_theirs(listed: Listed) -> None:
    number = listed()[0]["passkey"]
    assert main(["users", "passkeys", "bob", "remove", number]) == 1
    assert len(listed()) == 2
