"""What `gatepost check` says of the address, of open files and of processors."""

from __future__ import annotations

import os
import resource
import socket
from pathlib import Path

import pytest

from gatepost.cli.checks.finding import Finding
from gatepost.cli.checks.process import address_found, limits_found
from gatepost.configuration.settings import load_settings


@pytest.fixture
def busy_port() -> int:
    """A port that is listened on for as long as the test lasts."""
    listener = socket.create_server(("127.0.0.1", 0))
    _held.append(listener)
    return int(listener.getsockname()[1])


_held: list[socket.socket] = []


@pytest.fixture(autouse=True)
def _close() -> object:
    yield
    while _held:
        _held.pop().close()


def said(*, serves_already: bool = False, **settings: object) -> Finding:
    given = {f"MCP_{name.upper()}": str(value) for name, value in settings.items()}
    return address_found(load_settings(given).server, serves_already=serves_already)


def test_a_port_is_free_taken_or_this_servers_own(busy_port: int) -> None:
    assert said(port=0) == Finding("address", "ok", "127.0.0.1 port 0 is free.")
    taken = said(port=busy_port)
    assert (taken.mark, taken.exit_code) == ("wrong", 2)
    assert "Another server may be running there: set MCP_PORT, or --port, to another port" in taken.says
    own = said(port=busy_port, serves_already=True)
    assert (own.mark, own.says) == ("ok", f"127.0.0.1 port {busy_port} is taken by this very server, which runs.")


def test_looking_at_a_port_lets_nobody_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("it listened")

    monkeypatch.setattr(socket.socket, "listen", refuse)
    assert said(port=0).mark == "ok"


def test_an_address_that_is_not_this_machines_is_wrong() -> None:
    assert said(host="203.0.113.7").mark == "wrong"


def test_a_port_beside_another_server_is_for_those_who_ask_for_it() -> None:
    first = socket.create_server(("127.0.0.1", 0), reuse_port=True)
    _held.append(first)
    port = first.getsockname()[1]
    assert (said(port=port).mark, said(port=port, reuse_port=True).mark) == ("wrong", "ok")


def test_a_path_for_a_unix_socket_is_free_taken_or_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "gatepost.sock"
    assert said(uds=path) == Finding("address", "ok", f"{path} is free.")
    assert not path.exists()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        assert said(uds=path).mark == "wrong"
        assert said(uds=path, reuse_port=True).mark == "ok"
    assert said(uds=tmp_path / "missing" / "gatepost.sock").says.startswith("MCP_UDS=")


def test_a_descriptor_that_somebody_gives_is_not_looked_at() -> None:
    assert said(fd=3).mark == "skipped"


@pytest.mark.parametrize(
    ("hard", "mark", "fits"), [(1000, "note", 744), (100_000, "ok", 13_000), (resource.RLIM_INFINITY, "ok", 13_000)]
)
def test_connections_are_counted_by_the_limit_that_a_start_raises_to(
    monkeypatch: pytest.MonkeyPatch, hard: int, mark: str, fits: int
) -> None:
    changed: list[object] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (256, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda *given: changed.append(given))
    found, *_ = limits_found(load_settings().server)
    assert (found.item, found.mark, found.says.startswith(f"{fits} connections fit under")) == (
        "open files",
        mark,
        True,
    )
    assert changed == []


def test_more_workers_than_processors_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert [finding.item for finding in limits_found(load_settings({"MCP_WORKERS": "2"}).server)] == ["open files"]
    *_, found = limits_found(load_settings({"MCP_WORKERS": "3"}).server)
    assert found == Finding(
        "workers", "note", "MCP_WORKERS=3, and this machine has 2 processors: more workers serve no more."
    )
