"""`gatepost users logins` and `unlink` on the store that the server uses."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from gatepost.cli.main import main
from gatepost.cli.open_store import with_store
from gatepost.stores.contract.linked_logins import LinkedLogin
from gatepost.stores.contract.store import Store
from tests.web.pages.pages_world import PASSWORD

GITHUB = "https://github.com/login/oauth"
AT = 1_800_000_000


@pytest.fixture(autouse=True)
def _ada(own_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert own_store.exists()
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD))
    assert main(["users", "add", "ada", "--password-stdin"]) == 0

    async def link(store: Store) -> None:
        ada = await store.users.find_user("ada")
        assert ada is not None
        await store.linked_logins.link_login(LinkedLogin(GITHUB, "583231", ada.subject, AT, "octocat"))
        await store.users.recognise_user("operator", "owner", display_name=None, subjects=("owner",), now=AT)

    with_store(link)
    capsys.readouterr()


def rows(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    assert main(["users", "logins", "ada", "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_logins_of_an_account_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    password, github = rows(capsys)

    assert (password["issuer"], password["name_there"]) == ("local", "ada")
    assert github == {
        "issuer": GITHUB,
        "subject_there": "583231",
        "name_there": "octocat",
        "since": "2027-01-15T08:00:00Z",
    }
    assert main(["users", "logins", "owner"]) == 0
    assert "operator" in capsys.readouterr().out


def test_a_login_is_unlinked_and_that_is_in_the_audit_trail(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["users", "unlink", "ada", GITHUB]) == 0
    assert capsys.readouterr().out == "Unlinked a login of ada.\n"

    assert [row["issuer"] for row in rows(capsys)] == ["local"]
    main(["audit"])
    assert "login_unlinked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "issuer", "words"),
    [
        ("ada", "local", "ada has no login elsewhere of that issuer"),
        ("ada", "https://id.example", "ada has no login elsewhere of that issuer"),
        ("owner", "operator", "That is the only login of owner"),
        ("eve", GITHUB, "There is no account eve"),
    ],
)
def test_what_cannot_be_unlinked_is_refused(
    capsys: pytest.CaptureFixture[str], name: str, issuer: str, words: str
) -> None:
    assert main(["users", "unlink", name, issuer]) == 1
    assert words in capsys.readouterr().err
    assert len(rows(capsys)) == 2


def test_the_last_login_of_an_account_that_is_disabled_can_go(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["users", "disable", "owner"]) == 0
    assert main(["users", "unlink", "owner", "operator"]) == 0
    capsys.readouterr()

    assert main(["users", "logins", "owner"]) == 0
    assert capsys.readouterr().out == "This account has no login any more.\n"
