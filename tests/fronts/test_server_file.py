"""The file in which clients name their servers: what its entries become, and what is said of those that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from gatepost.fronts.command import Command
from gatepost.fronts.merged import Merged
from gatepost.fronts.remote import Remote
from gatepost.fronts.server_file import ServerFileError, servers_in
from gatepost.server.errors import ToolDefinitionError
from gatepost.server.server import Server

VARIABLES = {"TOKEN": "secret", "EMPTY": "", "HOME": "/srv/ann"}


def of(entry: Any, **more: Any) -> Any:
    """The server that an entry becomes."""
    (server,) = servers_in({"mcpServers": {"one": entry}}, VARIABLES, **more).values()
    return server


@pytest.mark.parametrize("table", ["mcpServers", "servers"])
def test_commands_and_urls_are_what_clients_take_them_for(table: str) -> None:
    servers = servers_in(
        {
            "inputs": [],
            table: {
                "files": {"command": "npx", "args": ["-y", "files", 7], "env": {"A": "b", "N": 1}, "cwd": "/srv"},
                "hub": {"type": "http", "url": "https://x.example/mcp", "headers": {"Authorization": "Bearer t"}},
            },
        },
        VARIABLES,
    )

    files, hub = servers["files"], servers["hub"]
    assert isinstance(files, Command)
    assert (files.arguments, files.env, files.cwd) == (("npx", "-y", "files", "7"), {"A": "b", "N": "1"}, "/srv")
    assert isinstance(hub, Remote)
    assert (hub.url, hub.headers) == ("https://x.example/mcp", {"Authorization": "Bearer t"})


@pytest.mark.parametrize("member", ["url", "serverUrl", "httpUrl"])
@pytest.mark.parametrize("kind", [None, "http", "streamable-http", "streamableHttp"])
def test_a_url_has_the_names_that_clients_have_for_it(member: str, kind: str | None) -> None:
    entry = {member: "https://x.example/mcp", **({} if kind is None else {"type": kind})}

    assert of(entry).url == "https://x.example/mcp"


def test_places_stand_for_variables_and_for_defaults() -> None:
    command = of(
        {
            "command": "${HOME}/run",
            "args": ["--token=${env:TOKEN}", "${NONE:-default}", "${EMPTY:-default}", "$TOKEN", "memory-{user}.json"],
            "env": {"T": "${TOKEN}"},
        }
    )

    assert command.arguments == (
        "/srv/ann/run",
        "--token=secret",
        "default",
        "",
        "$TOKEN",
        "memory-{user}.json",
    )
    assert command.env == {"T": "secret"}
    assert of({"url": "https://x.example/${TOKEN}", "headers": {"X": "${TOKEN}"}}).headers == {"X": "secret"}


def test_what_is_disabled_is_left_out_and_names_become_prefixes() -> None:
    command = {"command": "x"}
    servers = servers_in(
        {"mcpServers": {"My Server!": command, "a.b/c": command, "off": {**command, "disabled": True}}}, VARIABLES
    )

    assert list(servers) == ["My_Server", "a_b_c"]


def test_options_count_for_all_but_where_an_entry_says_otherwise() -> None:
    options = {"share": "user", "most_processes": 3, "spares": 0}
    command = of({"command": "x", "gatepost": {"serial": True, "share": "session"}}, options=options)
    remote = of({"url": "https://x.example/mcp"}, options=options)

    assert (command.sharing.share, command.sharing.is_serial, command.sharing.most_sessions) == ("session", True, 3)
    assert (remote.sharing.share, remote.sharing.most_sessions) == ("user", 3)


def test_what_is_not_heeded_is_said() -> None:
    said: list[str] = []
    of({"command": "x", "timeout": 3, "autoApprove": []}, say=said.append)
    of({"command": "x", "icon": "y"}, say=said.append)

    assert said == ['"one": autoApprove, timeout are not heeded.', '"one": icon is not heeded.']


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ([], '"one" is no object.'),
        ({}, '"one" has to have a "command", or else a "url".'),
        ({"command": "x", "url": "https://x.example"}, '"one" has to have a "command", or else a "url".'),
        (
            {"type": "sse", "url": "https://x.example"},
            '"one" has the transport "sse", of 2024-11-05, which is not spoken here; name its URL for http.',
        ),
        ({"type": "ws", "url": "https://x.example"}, '"one" has a "type" that does not go with what it names.'),
        ({"type": "http", "command": "x"}, '"one" has a "type" that does not go with what it names.'),
        ({"command": "x", "args": "y"}, '"one" has "args" that are no list.'),
        ({"command": "x", "args": [{}]}, '"one" has something in "args" that is no text.'),
        ({"command": "x", "env": []}, '"one" has a "env" that is no object.'),
        ({"command": "x", "env": {"A": None}}, '"one" has something in "env" that is no text.'),
        ({"command": "x", "env": {"A": "${NONE}"}}, '"one" needs the variable NONE, for "env", which is not set.'),
        (
            {"command": "${workspaceFolder:x}"},
            '"one" has ${workspaceFolder:x} in "command", which nobody fills in here; a variable is ${NAME}.',
        ),
        (
            {"url": "https://x.example", "headers": {"A": "${input:token}"}},
            '"one" has ${input:token} in "headers", which nobody fills in here; a variable is ${NAME}.',
        ),
        ({"url": "http://x.example"}, '"one": an http address sends everything in the clear: use https, or allow it '),
        ({"command": ""}, "\"one\": name the command to run, such as Command('npx', '-y', 'some-server')."),
        ({"command": "x", "gatepost": {"nonsense": 1}}, '"one" has an option in "gatepost" that there is not, or '),
        ({"command": "x", "gatepost": {"idle_seconds": "1"}}, '"one" has an option in "gatepost" that there is not, '),
        ({"command": "x", "gatepost": {"share": "none"}}, '"one": share= takes one of session, user, all.'),
    ],
)
def test_what_cannot_be_meant_is_a_sentence_that_names_it(entry: Any, sentence: str) -> None:
    with pytest.raises(ServerFileError) as refused:
        of(entry)

    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({}, 'It names no servers: there is no object "mcpServers".'),
        ({"mcpServers": []}, 'It names no servers: there is no object "mcpServers".'),
        ({"mcpServers": {}}, "It names no server that is not disabled."),
        ({"mcpServers": {"a": {"command": "x", "enabled": False}}}, "It names no server that is not disabled."),
        (
            {"mcpServers": {"a b": {"command": "x"}, "a.b": {"command": "x"}}},
            '"a.b" needs another name: its tools would be called a_b_...',
        ),
        ({"mcpServers": {"??": {"command": "x"}}}, '"??" needs another name: its tools would be called _...'),
    ],
)
def test_a_file_without_servers_is_refused(document: Any, sentence: str) -> None:
    with pytest.raises(ServerFileError) as refused:
        servers_in(document, VARIABLES)

    assert str(refused.value) == sentence


def test_a_secret_is_in_no_sentence() -> None:
    for entry in ({"url": "secret"}, {"command": "x", "args": ["secret", {}]}, {"command": "secret", "type": "http"}):
        with pytest.raises(ServerFileError) as refused:
            of(entry)
        assert "secret" not in str(refused.value)


# In code.


def test_several_servers_of_such_a_file_are_merged_and_one_keeps_its_names() -> None:
    config = {"mcpServers": {"a": {"command": "x", "env": {"T": "${TOKEN}"}}, "b": {"command": "y"}}}
    several = Merged.from_config(config, environment=VARIABLES, title="Both", wait_seconds=1)
    single = Merged.from_config({"mcpServers": {"a": {"command": "x"}}})

    assert list(several.targets) == ["a", "b"]
    assert (several.title, several.wait_seconds) == ("Both", 1)
    assert several.targets["a"].env == {"T": "secret"}
    assert list(single.targets) == [""]


@pytest.mark.parametrize(
    ("targets", "sentence"),
    [
        ({}, "name what is to be merged, such as Merged({'files': Command('files-server')})"),
        ({"a b": Command("x")}, "'a b' is no prefix of names, which has letters, digits, _ and - only"),
        ({"x" * 65: Command("x")}, f"'{'x' * 65}' is no prefix of names, which has letters, digits, _ and - only"),
    ],
)
def test_a_prefix_that_is_none_is_refused(targets: Any, sentence: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the sentence is compared
        Merged(targets)

    assert str(refused.value) == sentence


def test_what_is_merged_is_not_merged_again_and_waits_for_some_time() -> None:
    with pytest.raises(TypeError, match="cannot be merged again"):
        Merged({"a": Merged({"b": Command("x")})})
    with pytest.raises(ValueError, match="greater than 0"):
        Merged({"a": Command("x")}, wait_seconds=0)


def test_servers_of_our_own_are_one_and_may_not_clash() -> None:
    def server(name: str) -> Server:
        made = Server(name)
        made.add_tool(shared)
        return made

    def shared() -> str:
        return ""

    alone = server("alone")
    both = Merged({"": server("x"), "b": server("y"), "c": Command("z")})

    assert Merged({"": alone, "c": Command("z")}).own is alone
    assert both.own is not None
    assert list(both.own.tools) == ["shared", "b_shared"]
    again = server("again")
    with pytest.raises(ToolDefinitionError, match="included already"):
        Merged({"a": again, "b": again})
