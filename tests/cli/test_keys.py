"""`gatepost keys` and minted signed tokens, with the keys that a server makes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gatepost.cli.main import main
from tests.cli.test_grants import live

Capsys = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _signed_tokens(own_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del own_store
    monkeypatch.setenv("OAUTH_ACCESS_TOKEN_FORMAT", "jwt")


def printed(capsys: Capsys, *arguments: str, code: int = 0) -> str:
    assert main(arguments) == code
    output = capsys.readouterr()
    return output.out if code == 0 else output.err


def keys(capsys: Capsys) -> list[tuple[str, str]]:
    return [(line.split()[0], line.split()[-1]) for line in printed(capsys, "keys", "list").splitlines()[1:]]


def test_a_minted_token_is_signed_with_a_key_that_is_made_if_there_is_none(capsys: Capsys) -> None:
    assert "There are no signing keys" in printed(capsys, "keys", "list")
    token = printed(capsys, "token", "mint", "--subject", "svc", "--scope", "a b").strip()
    assert token.count(".") == 2
    found = live(token)
    assert found is not None
    assert found.scopes == ("a", "b")
    ((_, state),) = keys(capsys)
    assert state == "signs"


def test_a_rotation_publishes_first_and_a_key_that_signs_cannot_be_retired_before(capsys: Capsys) -> None:
    printed(capsys, "token", "mint", "--subject", "svc")
    ((old, _),) = keys(capsys)
    assert "Published " in printed(capsys, "keys", "rotate")
    (first, new) = keys(capsys)
    assert (first, new[1]) == ((old, "signs"), "published")
    assert "No other key would go on signing" in printed(capsys, "keys", "retire", old, code=1)
    printed(capsys, "keys", "rotate", "--now")
    assert [state for _, state in keys(capsys)] == ["verifies", "signs", "published"]
    signing = keys(capsys)[1][0]
    assert "No other key would go on signing" in printed(capsys, "keys", "retire", signing, code=1)
    assert printed(capsys, "keys", "retire", old).startswith(f"Retired {old}")
    assert old not in {name for name, _ in keys(capsys)}
    assert "There is no key" in printed(capsys, "keys", "retire", old, code=1)


def test_another_sealing_key_is_told(monkeypatch: pytest.MonkeyPatch, capsys: Capsys) -> None:
    printed(capsys, "keys", "rotate")
    monkeypatch.setenv("MCP_SEALING_KEYS", f"other-{time.time()}-0123456789abcdefghijklmnopqrstuvwxyz")
    assert "The store was sealed with the key" in printed(capsys, "keys", "rotate", code=2)
