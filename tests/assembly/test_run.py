"""What `run()` says when it cannot serve: the setting to change, and to what."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from gatepost import Server, run
from gatepost.configuration.settings import Settings, SettingsError, load_settings

ELSEWHERE = "192.0.2.1"
"""No machine has this address (RFC 5737), so nothing can listen on it."""


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def settings(**variables: str) -> Settings:
    return load_settings({"MCP_STORAGE_URL": "memory:", **variables}, env_file=None)


def sentence(**arguments: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        run(Server("Notes"), **arguments)
    return str(caught.value)


def test_a_taken_port_names_the_port_s_setting(taken: int) -> None:
    said = sentence(port=taken)

    assert said.startswith(f"MCP_HOST=127.0.0.1 MCP_PORT={taken} cannot be listened on")
    assert said.endswith("set MCP_PORT to another port, or to 0 for any free one.")


@pytest.mark.parametrize("host", [ELSEWHERE, "no such host"])
def test_an_address_of_no_machine_of_ours_names_the_address_s_setting(host: str) -> None:
    said = sentence(host=host, port=0, settings=settings(MCP_PUBLIC_URL="https://mcp.example.com"))

    assert said.startswith(f"MCP_HOST={host} MCP_PORT=0 cannot be listened on")
    assert "Set MCP_HOST to an address of this machine" in said
    assert "another port" not in said


def test_host_and_port_beat_settings_that_are_given(taken: int) -> None:
    said = sentence(host="127.0.0.1", port=taken, settings=settings(MCP_HOST=ELSEWHERE, MCP_PORT="0"))

    assert said.startswith(f"MCP_HOST=127.0.0.1 MCP_PORT={taken} ")


async def test_within_an_event_loop_it_says_what_to_call_instead() -> None:
    with pytest.raises(RuntimeError, match=r"create_app\(\)"):
        run(Server("Notes"), port=0, settings=settings())
