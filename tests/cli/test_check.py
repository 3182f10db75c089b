"""`gatepost check`: what it prints, its exit code, and that it changes nothing."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from gatepost.cli.main import main
from gatepost.stores.sql.sqlite import file_store
from tests.stores.care.filled import OLD, fill

SERVER = "from gatepost import Server\n\nserver = Server('shop')\n"
APP = "from gatepost import Server, create_app\n\napp = create_app(Server('shop'))\n"


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty directory to be in, and another for the data, which is not there yet."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("OAUTH_STORAGE_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MCP_PORT", "0")
    return tmp_path


def found(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[tuple[str, str]], str]:
    """Return the exit code, item and mark of each line, and all that it says."""
    code = main(["check", "--offline", "--json", *arguments])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return code, [(line["item"], line["mark"]) for line in lines], "\n".join(line["says"] for line in lines)


def everything_in(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        # Python keeps what it compiled, and SQLite the index of its log, which says nothing of its own.
        if "__pycache__" not in path.parts and path.suffix != ".db-shm"
    }


def test_before_a_first_start_nothing_is_wrong_and_nothing_is_made(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "here" / "shop.py").write_text(SERVER)
    before = everything_in(place)
    code, lines, said = found(capsys, "shop.py")
    assert code == 0
    assert lines == [
        ("settings", "ok"),
        ("deployment", "ok"),
        ("target", "ok"),
        ("store", "ok"),
        ("store files", "ok"),
        ("disk", "ok"),
        ("sealing keys", "ok"),
        ("address", "ok"),
        ("network", "skipped"),
        ("open files", "ok"),
    ]
    assert "2 variables are set, and each has a value that it takes." in said
    assert f"The first start makes one in {place}" in said.replace("the first start", "The first start")
    assert everything_in(place) == before


def test_people_read_a_line_for_each_item_and_one_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--offline"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ok       settings      2 variables are set, and each has a value that it takes."
    assert lines[2].startswith("skipped  target        No target was named")
    assert lines[-1] == "Nothing is wrong."


def test_all_settings_that_are_wrong_are_named_at_once_and_what_is_no_setting_as_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"MCP_PORT": "many", "OAUTH_ENABLED": "perhaps", "MCP_PROT": "1", "OAUTH_COLOUR": "red"}.items():
        monkeypatch.setenv(name, value)
    assert main(["check", "--offline"]) == 2
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "wrong    settings  MCP_PORT takes a port number from 0 to 65535.",
        "wrong    settings  OAUTH_ENABLED takes true or false.",
        "note     settings  MCP_PROT is not a setting and is ignored; did you mean MCP_PORT?",
        "note     settings  OAUTH_COLOUR is no setting of Gatepost and is ignored.",
        "skipped  the rest  Settings come first: mend them, and check again.",
    ]
    assert said.err == "gatepost: 2 things are wrong.\n"


def test_what_is_unsafe_in_public_hides_nothing_else_that_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OAUTH_AUTO_APPROVE", "true")
    monkeypatch.setenv("OAUTH_UPSTREAM_WORK_KIND", "carrier-pigeon")
    monkeypatch.setenv("HTTPS_PROXY", "socks://proxy.example")
    code, lines, said = found(capsys, "--public-url", "http://mcp.example.com", "nowhere:server")
    assert code == 2
    assert [line for line in lines if line[1] == "wrong"] == [
        ("deployment", "wrong"),
        ("deployment", "wrong"),
        ("deployment", "wrong"),
        ("settings", "wrong"),
        ("settings", "wrong"),
        ("target", "wrong"),
    ]
    for sentence in (
        "MCP_PUBLIC_URL must be https",
        "MCP_SEALING_KEYS is missing",
        "OAUTH_AUTO_APPROVE would hand a token",
        "OAUTH_UPSTREAM_WORK_KIND takes oidc",
        "HTTPS_PROXY (or the same in lower case) takes",
        "There is no module 'nowhere'",
    ):
        assert sentence in said


def test_what_fits_no_single_setting_is_found_by_building_what_would_be_served(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OAUTH_ENABLED", "false")
    code, lines, said = found(capsys)
    assert (code, [line for line in lines if line[1] == "wrong"]) == (2, [("settings", "wrong")])
    assert "Nobody could get in: MCP_REQUIRE_AUTH is true" in said


def test_secrets_are_never_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    secrets = {
        "MCP_API_KEY": "api-key-0123456789abcdefghijkl",
        "MCP_SEALING_KEYS": OLD,
        "ADMIN_PASSWORD": "correct horse battery staple",
        "MCP_STORAGE_URL": "postgresql://gatepost:hush-hush@127.0.0.1:1/gatepost",
        "HTTPS_PROXY": "http://me:whispered@proxy.example:3128",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    printed = ""
    for arguments in (["--json"], [], ["--public-url", "https://mcp.example.com"]):
        assert main(["check", "--offline", *arguments]) == 1
        said = capsys.readouterr()
        printed += said.out + said.err
    assert "postgresql" in printed.lower()
    for secret in (secrets["MCP_API_KEY"], OLD, secrets["ADMIN_PASSWORD"], "hush-hush", "whispered"):
        assert secret not in printed


def test_a_target_that_calls_create_app_itself_makes_no_key(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "here" / "shop.py").write_text(APP)
    before = everything_in(place)
    code, lines, _ = found(capsys, "shop.py:app")
    assert (code, ("target", "ok") in lines) == (0, True)
    assert everything_in(place) == before


def test_a_target_that_fails_is_named_with_the_line_and_everything_else_is_looked_at(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "here" / "shop.py").write_text("import gatepost\nraise RuntimeError('not today')\n")
    code, lines, said = found(capsys, "shop.py")
    assert (code, ("target", "wrong") in lines, ("store", "ok") in lines) == (2, True, True)
    assert "RuntimeError: not today" in said
    assert "line 2" in said


def test_bytes_of_a_store_that_a_killed_server_left_are_the_same_afterwards(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MCP_SEALING_KEYS", OLD)
    data = place / "data"

    async def make() -> None:
        store = file_store(place / "other" / "gatepost.db")
        await store.open()
        await fill(store)
        data.mkdir()
        for end in ("", "-wal"):  # as they are while a server runs, which then dies
            shutil.copy(place / "other" / f"gatepost.db{end}", data)
        await store.close()

    asyncio.run(make())
    before = everything_in(data)
    assert before["gatepost.db-wal"]
    code, lines, said = found(capsys)
    assert code == 0
    assert [line for line in lines if line[0] in {"store", "sealing keys"}] == [("store", "ok"), ("sealing keys", "ok")]
    assert "The key of MCP_SEALING_KEYS opens what the store keeps sealed: 3 values." in said
    assert everything_in(data) == before


def test_workers_that_cannot_share_a_store_in_memory_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MCP_STORAGE_URL", "memory:")
    assert found(capsys)[0] == 0
    code, lines, said = found(capsys, "--workers", "2")
    assert (code, ("workers", "wrong") in lines) == (2, True)
    assert "A store in memory (MCP_STORAGE_URL=memory:) is one process's own" in said
