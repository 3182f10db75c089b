"""What cannot be served is refused at the start, by a sentence that says what it is and what to write."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, TypedDict

import pytest
from fastapi import FastAPI
from fastmcp import FastMCP
from mcp.server.lowlevel import Server as LowLevelServer

from gatepost import Server
from gatepost.server.objections import objection_to


class Message(TypedDict):
    method: str


class Handler:
    async def __call__(self, message: dict[str, Any]) -> None:
        """Answer nothing."""


class Application:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve nothing."""


def unknown(message: NotThere) -> None:  # type: ignore[name-defined]  # noqa: F821 - seen by type checkers only
    """Answer nothing."""


def typed(message: dict[str, Any], *, verbose: bool = False) -> None:
    """Answer nothing."""


def mapped(message: Mapping[str, Any]) -> None:
    """Answer nothing."""


def described(message: Message) -> None:
    """Answer nothing."""


def anything(message: Any) -> None:
    """Answer nothing."""


def keyed(*messages: Any) -> None:
    """Answer nothing."""


@pytest.mark.parametrize(
    "handler",
    [
        unknown,
        typed,
        mapped,
        described,
        keyed,
        anything,
        Handler(),
        functools.partial(typed, verbose=True),
        lambda message: message,
    ],
)
def test_a_function_of_one_message_is_a_handler_however_it_is_written(handler: Any) -> None:
    assert objection_to(handler) is None


def make() -> Server:
    return Server("made")


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Serve nothing."""


async def fetch(request_id: int, message: dict[str, Any]) -> None:
    """Take one too many."""


def tool(text: str) -> str:
    return text


def events(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield message


async def later(message: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    yield message


def keyword_only(*, message: dict[str, Any]) -> None:
    """Take none by position."""


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (None, "not NoneType"),
        ("notes:server", "not str"),
        (["notes"], "not list"),
        (Server, "it is a class, not what is made of it; write Server(...)"),
        (make, "it takes no argument; if it makes what is to be served, call it and name the result: server = make()"),
        (application, "it is served by gatepost.Protected(app, scopes=...)"),
        (Application(), "it is served by gatepost.Protected(app, scopes=...)"),
        (FastAPI(), "it is served by gatepost.Protected(app, scopes=...)"),
        (fetch, "it takes (request_id, message); a handler is a function of one JSON-RPC message"),
        (keyword_only, "it takes (message); a handler is a function of one JSON-RPC message"),
        (tool, "its parameter text is no dict; a handler is a function of one JSON-RPC message"),
        (events, "it is a generator function, which returns no answer"),
        (later, "it is a generator function, which returns no answer"),
        (events({}), "not generator"),
        (later({}), "not async_generator"),
        (FastMCP("notes"), "it is a server of the package fastmcp, which answers by itself"),
        (LowLevelServer("notes"), "it is a server of the package mcp, which answers by itself"),
    ],
)
def test_anything_else_is_named_with_what_to_write(target: Any, said: str) -> None:
    assert said in str(objection_to(target))


def test_a_forgotten_await_is_named_and_leaves_no_warning_behind() -> None:
    assert "was called and not awaited" in str(objection_to(fetch(1, {})))


@pytest.mark.parametrize(
    ("server", "method"), [(FastMCP("notes"), "http_app"), (LowLevelServer("n"), "streamable_http_app")]
)
def test_the_way_that_is_shown_for_the_servers_of_other_packages_is_there(server: Any, method: str) -> None:
    assert method in str(objection_to(server))
    assert callable(getattr(server, method))
