"""`gatepost keys` and minted signed tokens, with the keys that a server makes."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from gatepost.cli.main import main
from gatepost.cli.open_store import with_store
from gatepost.stores.conformance.records import user
from gatepost.stores.contract.second_steps import SecondStep
from gatepost.stores.contract.store import Store
from gatepost.tokens.sealing import key_id
from tests.cli.test_grants import live
from tests.cli.test_store import Terminal

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


def test_resealing_brings_all_under_the_first_key_and_the_others_can_go(
    monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    old, new = (f"{name}-0123456789abcdefghijklmnopqrstuvwxyzABCDEF" for name in ("old", "new"))
    monkeypatch.setenv("MCP_SEALING_KEYS", old)
    token = printed(capsys, "token", "mint", "--subject", "svc").strip()
    monkeypatch.setenv("MCP_SEALING_KEYS", f"{new} {old}")

    said = [line.split() for line in printed(capsys, "keys", "reseal").splitlines()]
    assert said[1] == ["signing", "keys", "1", "1", "0"]
    assert said[-1] == ["Everything", "is", "sealed", "under", f"{key_id(new)}."]
    again = [line.split() for line in printed(capsys, "keys", "reseal").splitlines()]
    assert again[1] == ["signing", "keys", "1", "0", "0"]

    monkeypatch.setenv("MCP_SEALING_KEYS", new)
    assert live(token) is not None
    monkeypatch.setenv("MCP_SEALING_KEYS", old)
    assert f"The store was sealed with the key {key_id(new)}" in printed(capsys, "keys", "reseal", code=2)


def test_resealing_says_what_does_not_open_and_makes_no_key(
    own_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    assert "There is no sealing key: MCP_SEALING_KEYS is not set" in printed(capsys, "keys", "reseal", code=1)
    assert not own_store.with_suffix(".key").exists()
    monkeypatch.setenv("MCP_SEALING_KEYS", "old-0123456789abcdefghijklmnopqrstuvwxyzABCDEF")
    printed(capsys, "token", "mint", "--subject", "svc")

    async def alter(store: Store) -> None:
        await store.users.add_user(user())
        assert await store.second_steps.set_up(SecondStep("user-1", "step", b"altered", 1, 1), recovery_codes=[])

    with_store(alter)

    assert "What is not opened was altered" in printed(capsys, "keys", "reseal", code=1)


def test_a_terminal_sees_what_is_being_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_SEALING_KEYS", "old-0123456789abcdefghijklmnopqrstuvwxyzABCDEF")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    assert main(["keys", "reseal"]) == 0

    assert "\rsecond steps: 0" in terminal.getvalue()
    assert terminal.getvalue().endswith("\n")
