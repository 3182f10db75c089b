"""The page about talking to clients shows what happens."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from gatepost.server.calls.context import Context
from gatepost.server.server import Server
from tests.server.calls.asking_client import Client, accept, text

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "talking-to-clients.md").read_text(encoding="utf-8")


@pytest.fixture
def client() -> Client:
    """A client of the page's server."""
    blocks = re.findall(r"^( *)```python\n(.*?)^ *```$", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"__name__": "travel"}
    code = "\n".join(textwrap.dedent(block) for _, block in blocks)
    exec(compile(code, "talking-to-clients.md", "exec"), names)  # noqa: S102 - the page's own code
    server = names["server"]
    assert isinstance(server, Server)
    return Client(server)


def test_the_page_names_all_that_a_context_has() -> None:
    has = {name for name in vars(Context) if not name.startswith("_")}

    assert "ctx.sample" in PAGE
    assert {name for name in has if not re.search(rf"\bctx\.{name}\b", PAGE)} == set()


async def test_the_page_books_a_room(client: Client) -> None:
    client.name, client.arguments = "book", {"hotel": "Ritz"}
    first = await client.call()

    assert text(await client.call({"elicit-1": accept(name="Ann")}, first["requestState"])) == (
        "Ann stays 1 nights at Ritz."
    )
    assert text(await client.call({"elicit-1": {"action": "cancel"}}, first["requestState"])) == "Nothing was booked."


async def test_the_page_bids_once(client: Client) -> None:
    client.name, client.arguments = "auction", {"item": "clock"}
    first = await client.call()

    assert text(await client.call({"guest": accept(name="Ann")}, first["requestState"])) == "Ann made bid 1."
    assert "Bid 2 " in (await client.call())["inputRequests"]["guest"]["params"]["message"]


async def test_the_page_does_without_a_model(client: Client) -> None:
    client.name, client.arguments, client.capabilities = "describe", {"city": "Rome"}, {}

    assert text(await client.call()) == "Rome is a city."


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("search", {"city": "Rome"}), ("convert", {"files": 2}), ("count_words", {"pages": ["a b", "c"]})],
)
async def test_the_pages_other_tools_answer(client: Client, name: str, arguments: dict[str, Any]) -> None:
    client.name, client.arguments, client.meta = name, arguments, {"progressToken": 1}

    assert (await client.call())["isError"] is False
