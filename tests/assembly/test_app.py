"""What an app does between its start and its end."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gatepost.app import create_app, run
from gatepost.assembly.installation import install
from gatepost.configuration.settings import SettingsError, load_settings
from gatepost.server.server import Server
from gatepost.stores.sql.sqlite import file_store, memory_store
from gatepost.tokens.opaque import fingerprint


def names_of_tasks() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks()}


async def test_workers_that_start_together_print_one_set_up_link_that_works(tmp_path: Path) -> None:
    """Four workers of one server are four processes over one file, with the settings of one environment."""
    settings = load_settings({"OAUTH_STORAGE_DIR": str(tmp_path)}, env_file=None)
    clock = [1_800_000_000]

    async def start() -> str | None:
        installation = install(Server("Notes"), settings, now=lambda: clock[0])
        await installation.open()
        await installation.close()
        return installation.setup_token

    tokens = []
    for later in (0, 0, 1, 30):
        clock[0] += later
        tokens.append(await start())
    assert tokens[0] is not None
    assert tokens == [tokens[0]] * 4

    clock[0] += 60
    newer = await start()
    assert newer is not None
    assert newer not in tokens
    store = file_store(tmp_path / "gatepost.db")
    await store.open()
    assert [await store.users.setup_is_open(fingerprint(token)) for token in (tokens[0], newer)] == [False, True]
    await store.close()


async def test_set_up_links_of_servers_with_keys_of_their_own_differ(tmp_path: Path) -> None:
    tokens = []
    for name in ("one", "another"):
        settings = load_settings({"OAUTH_STORAGE_DIR": str(tmp_path / name)}, env_file=None)
        installation = install(Server("Notes"), settings, now=lambda: 1_800_000_000)
        await installation.open()
        await installation.close()
        tokens.append(installation.setup_token)
    assert None not in tokens
    assert len(set(tokens)) == 2


async def test_the_purge_runs_for_as_long_as_the_app() -> None:
    settings = load_settings(env_file=None)
    app = create_app(Server("Notes"), settings=settings, store=memory_store(), announce=lambda _: None)

    async with app.router.lifespan_context(app):
        assert "gatepost-purge" in names_of_tasks()

    assert "gatepost-purge" not in names_of_tasks()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"port": 70_000}, "port= takes a port number from 0 to 65535; 70000 was given."),
        ({"port": "http"}, "port= takes a port number from 0 to 65535; a str was given."),
        ({"port": True}, "port= takes a port number from 0 to 65535; True was given."),
        ({"host": ""}, "host= takes an address to listen on, such as 127.0.0.1; a str was given."),
        ({"title": b"x"}, "title= takes a text, the server's name for people; a bytes was given."),
        ({"settings": {}}, "settings= takes what load_settings() returns; a dict was given."),
        ({"provider": "ada"}, "provider= takes an IdentityProvider, such as SingleUserProvider(); a str was given."),
    ],
)
def test_an_argument_of_run_that_is_something_else_is_named(
    given: dict[str, Any], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(Server("Notes"), **given)
    assert capsys.readouterr().err == f"gatepost: {sentence}\n"


def test_a_store_that_is_a_url_is_refused_with_the_setting_that_takes_one() -> None:
    with pytest.raises(SettingsError, match="^store= takes a Store; for one by its URL, set MCP_STORAGE_URL"):
        create_app(Server("Notes"), store="sqlite:///notes.db")  # type: ignore[arg-type]  # the wrong value is the test


@pytest.mark.parametrize("is_given_settings", [False, True])
def test_host_and_port_of_run_beat_the_settings_wherever_those_come_from(
    monkeypatch: pytest.MonkeyPatch, is_given_settings: bool
) -> None:
    """Beside `settings=` they were passed over without a word."""
    listened: list[tuple[str, int]] = []
    monkeypatch.setenv("MCP_PORT", "8123")
    monkeypatch.setattr(
        "gatepost.listening.serving.serve", lambda _build, where, **_: listened.append((where.host, where.port))
    )
    settings = load_settings(env_file=None) if is_given_settings else None

    run(Server("Notes"), host="127.0.0.2", port=8124, settings=settings)
    run(Server("Notes"), settings=settings)

    assert listened == [("127.0.0.2", 8124), ("127.0.0.1", 8123)]
