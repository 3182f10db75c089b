"""What `run()` says when it cannot serve: the setting to change, and to what."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gatepost import Server, run
from gatepost.configuration.settings import Settings, load_settings

ELSEWHERE = "192.0.2.1"
"""No machine has this address (RFC 5737), so nothing can listen on it."""


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def settings(**variables: str) -> Settings:
    return load_settings({"MCP_STORAGE_URL": "memory:", **variables}, env_file=None)


@pytest.fixture
def sentence(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return what calls `run`, which ends the program, and returns the one line that it leaves."""

    def run_and_read(target: Any = None, *, code: int = 2, **arguments: Any) -> str:
        with pytest.raises(SystemExit) as ended:
            run(target or Server("Notes"), **arguments)
        assert ended.value.code == code
        (line,) = capsys.readouterr().err.splitlines()
        prefix, said = line.split(": ", 1)
        assert prefix == "gatepost"
        return said

    return run_and_read


def test_a_server_runs_itself(taken: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        Server("Notes").run(port=taken, title="Ours", settings=settings())

    assert ended.value.code == 2
    assert f"MCP_PORT={taken} cannot be listened on" in capsys.readouterr().err


def test_a_taken_port_names_the_port_s_setting(taken: int, sentence: Callable[..., str]) -> None:
    said = sentence(port=taken)

    assert said == (
        f"MCP_HOST=127.0.0.1 MCP_PORT={taken} cannot be listened on (Address already in use). Another server may be "
        "running there: set MCP_PORT, or --port, to another port, or to 0 for any free one."
    )


@pytest.mark.parametrize("host", [ELSEWHERE, "no such host"])
def test_an_address_of_no_machine_of_ours_names_the_address_s_setting(host: str, sentence: Callable[..., str]) -> None:
    said = sentence(host=host, port=0, settings=settings(MCP_PUBLIC_URL="https://mcp.example.com"))

    assert said.startswith(f"MCP_HOST={host} MCP_PORT=0 cannot be listened on")
    assert "Set MCP_HOST to an address of this machine" in said
    assert "another port" not in said


def test_host_and_port_beat_settings_that_are_given(taken: int, sentence: Callable[..., str]) -> None:
    said = sentence(host="127.0.0.1", port=taken, settings=settings(MCP_HOST=ELSEWHERE, MCP_PORT="0"))

    assert said.startswith(f"MCP_HOST=127.0.0.1 MCP_PORT={taken} ")


async def test_within_an_event_loop_it_says_what_to_call_instead() -> None:
    with pytest.raises(RuntimeError, match=r"create_app\(\)"):
        run(Server("Notes"), port=0, settings=settings())


def test_what_cannot_be_served_is_one_line(sentence: Callable[..., str]) -> None:
    assert sentence(object(), port=0, settings=settings()).startswith("object cannot be served at /mcp")


def test_a_wrong_variable_is_one_line_by_the_name_it_is_set_as(
    sentence: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "eighty")
    assert sentence() == "PORT takes a port number from 0 to 65535."
    monkeypatch.setenv("MCP_PORT", "eighty")
    assert sentence() == "MCP_PORT takes a port number from 0 to 65535."


def test_a_store_that_cannot_be_opened_is_one_line(sentence: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "gatepost.db").write_text(
        "no database, but as long as the header of one would be, and longer than that"
    )
    options = {"port": 0, "settings": settings(MCP_STORAGE_URL=f"sqlite:///{tmp_path}/gatepost.db"), "code": 1}
    assert str(tmp_path) in sentence(**options)


@pytest.mark.parametrize("middleware", [object(), [object()], "gzip"])
def test_middleware_has_to_be_starlettes(sentence: Callable[..., str], middleware: Any) -> None:
    said = sentence(middleware=middleware)
    assert said.startswith("middleware= takes a list of Middleware(...) of starlette.middleware; a ")


def test_where_listeners_cannot_be_shared_there_are_no_workers(
    sentence: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatepost.app.os", SimpleNamespace(name="nt", environ={}))
    said = sentence(workers=2, port=0, settings=settings())
    assert said.startswith("Workers share a listener in a way that this system does not have: leave --workers ")


@pytest.mark.parametrize("workers", [0, 129, "two", True])
def test_the_number_of_workers_has_to_be_one(sentence: Callable[..., str], workers: Any) -> None:
    assert sentence(workers=workers, port=0, settings=settings()).startswith("workers= takes how many processes serve")


def test_the_platforms_port_counts_where_ours_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "8123")
    assert load_settings(env_file=None).server.port == 8123
    monkeypatch.setenv("MCP_PORT", "9000")
    assert load_settings(env_file=None).server.port == 9000
