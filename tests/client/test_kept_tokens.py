"""The files of kept tokens: for their owner alone, whole or not at all, and one process at a time."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from gatepost.client.kept_tokens import RegisteredClient, TokenFiles, TokensOfServer, token_folder
from gatepost.client.refusals import CallRefused

URL = "https://mcp.example/mcp"
KEPT = TokensOfServer(
    url=URL,
    resource=URL,
    issuer="https://id.example",
    client=RegisteredClient(client_id="me", client_secret="hush", redirect_uri="http://127.0.0.1:5/callback"),
    access_token="access",
    refresh_token="refresh",
    expires_at=5,
    scopes=("a", "b"),
)


@pytest.fixture
def files(tmp_path: Path) -> TokenFiles:
    return TokenFiles(tmp_path / "state" / "gatepost" / "call")


def test_what_is_kept_is_read_again_and_can_be_forgotten(files: TokenFiles) -> None:
    assert files.read(URL) is None
    files.write(KEPT)
    assert files.read(URL) == KEPT
    assert files.read("https://other.example/mcp") is None
    files.forget(URL)
    files.forget(URL)
    assert files.read(URL) is None


def test_files_and_their_folder_are_for_their_owner_alone(files: TokenFiles) -> None:
    files.folder.mkdir(parents=True, mode=0o755)
    files.write(KEPT)
    assert files.folder.stat().st_mode & 0o777 == 0o700
    (file,) = files.folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert "mcp.example" not in file.name


def test_secrets_are_in_no_representation() -> None:
    assert not any(secret in repr(KEPT) for secret in ("access'", "refresh'", "hush"))


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"url": "https://other.example"}', '{"url": "https://mcp.example/mcp", "client": 5}']
)
def test_a_file_that_says_something_else_counts_as_none(files: TokenFiles, text: str) -> None:
    files.write(KEPT)
    files.path_of(URL).write_text(text)
    assert files.read(URL) is None


def test_a_file_under_another_servers_name_counts_as_none(files: TokenFiles) -> None:
    files.write(KEPT)
    files.path_of(URL).rename(files.path_of("https://other.example/mcp"))
    assert files.read("https://other.example/mcp") is None


def test_members_of_a_newer_version_are_passed_over(files: TokenFiles) -> None:
    files.write(KEPT)
    path = files.path_of(URL)
    said = json.loads(path.read_text())
    path.write_text(json.dumps({**said, "new": 1, "client": {**said["client"], "newer": 2}}))
    assert files.read(URL) == KEPT


def test_a_write_that_fails_leaves_what_was_there(files: TokenFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write(KEPT)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(CallRefused, match="No space left on device"):
        files.write(TokensOfServer(url=URL, resource=URL, issuer="x", client=KEPT.client))
    assert files.read(URL) == KEPT
    assert len([*files.folder.iterdir()]) == 1


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CallRefused, match="make it writable"):
        TokenFiles(tmp_path / "file" / "call").write(KEPT)


async def test_one_at_a_time_renews_the_tokens_of_a_server(files: TokenFiles) -> None:
    order: list[str] = []

    async def renew(name: str) -> None:
        async with files.alone(URL):
            order.append(f"{name} begins")
            await asyncio.sleep(0)
            order.append(f"{name} ends")

    async with files.alone(URL):
        one, other = asyncio.create_task(renew("one")), asyncio.create_task(renew("other"))
        async with files.alone("https://other.example/mcp"):
            pass
        assert order == []
    await asyncio.gather(one, other)
    assert [line.split()[1] for line in order] == ["begins", "ends", "begins", "ends"]


def test_tokens_are_state_by_the_directory_specification(tmp_path: Path) -> None:
    assert token_folder({"XDG_STATE_HOME": "/state"}, tmp_path) == Path("/state/gatepost/call")
    for environment in ({}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "relative"}):
        assert token_folder(environment, tmp_path) == tmp_path / ".local" / "state" / "gatepost" / "call"
