"""Extensions of the protocol: what one adds, who is told of it, and who may use it (MCP SEP-2133, SEP-3392)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gatepost.protocol.errors import HeaderMismatch, InvalidParams, MethodNotFound, MissingRequiredClientCapability
from gatepost.protocol.messages import Request, result_response
from gatepost.protocol.modern import CLIENT_CAPABILITIES
from gatepost.protocol.versions import REVISION_2025_11_25, REVISION_2026_07_28, Revision
from gatepost.server.calls.exchange import NO_HEADERS, Exchange
from gatepost.server.changes.subscriptions import Subscription
from gatepost.server.dispatch import ServerTarget
from gatepost.server.errors import ToolDefinitionError
from gatepost.server.extension import Extension
from gatepost.server.methods.served_server import Method, ServedServer
from gatepost.server.server import Server

ID = "com.example/weather"


class Weather(Extension):
    identifier = ID
    stage = "experimental"
    named_by = {"weather/forecast": "place"}  # noqa: RUF012 - as its authors write it

    def __init__(self, *places: str) -> None:
        self.places = list(places)
        self.opened: list[str] = []

    def settings(self) -> Mapping[str, Any]:
        return {"places": len(self.places)}

    def methods(self) -> Mapping[str, Method]:
        return {"weather/forecast": self.forecast}

    def wraps(self) -> Mapping[str, Any]:
        def counted(method: Method) -> Method:
            async def answer(*given: Any) -> Any:
                result: Any = await method(*given)
                return {**result, "_meta": {**result.get("_meta", {}), "com.example/counted": 1}}

            return answer

        return {"tools/call": counted}

    async def forecast(
        self, _served: ServedServer, request: Request, _revision: Revision, _exchange: Exchange
    ) -> dict[str, Any]:
        return {"rain": request.params["place"] in self.places}

    @asynccontextmanager
    async def lifespan(self, served: ServedServer) -> AsyncIterator[None]:
        self.opened.append(f"opened in {served.server.state['house']}")
        yield
        self.opened.append("closed")

    def include(self, other: Extension, prefix: str) -> None:
        assert isinstance(other, Weather)
        self.places += [prefix + place for place in other.places]


def a_server() -> Server:
    server = Server("notes")

    @server.tool
    async def add(a: int, b: int) -> int:
        return a + b

    return server


async def ask(
    target: ServerTarget,
    method: str,
    params: Mapping[str, Any] | None = None,
    *,
    revision: Revision = REVISION_2026_07_28,
    extensions: Any = None,
    headers: Mapping[bytes, bytes] = NO_HEADERS,
) -> dict[str, Any]:
    capabilities = {} if extensions is None else {"extensions": extensions}
    request = Request(1, method, {**(params or {}), "_meta": {CLIENT_CAPABILITIES: capabilities}})
    result = await target.answer(request, revision, Exchange(headers=headers))
    assert not isinstance(result, Subscription)
    read: dict[str, Any] = json.loads(result_response(1, result))["result"]
    return read


async def forecast(target: ServerTarget, **options: Any) -> dict[str, Any]:
    return await ask(target, "weather/forecast", {"place": "Oslo"}, **{"extensions": {ID: {}}, **options})


async def test_capabilities_say_which_extensions_a_server_uses_and_how() -> None:
    server = a_server()
    server.use(Weather("Oslo", "Quito"))

    capabilities = (await ask(ServerTarget(server), "server/discover"))["capabilities"]

    assert capabilities["extensions"] == {ID: {"places": 2}}
    assert capabilities["tools"] == {"listChanged": True}


async def test_a_server_that_uses_none_says_nothing_of_extensions() -> None:
    assert "extensions" not in (await ask(ServerTarget(a_server()), "server/discover"))["capabilities"]


async def test_initialize_has_those_that_work_in_the_handshake_era() -> None:
    class Older(Weather):
        identifier = "com.example/older"
        is_in_handshake = True

        def methods(self) -> Mapping[str, Method]:
            return {}

    server = a_server()
    server.use(Weather())
    server.use(Older())

    answer = await ask(ServerTarget(server), "initialize", revision=REVISION_2025_11_25)

    assert answer["capabilities"]["extensions"] == {"com.example/older": {"places": 0}}


async def test_its_method_answers_a_client_that_declares_it() -> None:
    server = a_server()
    server.use(Weather("Oslo"))

    answer = await forecast(ServerTarget(server))

    assert (answer["resultType"], answer["rain"]) == ("complete", True)
    assert answer["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "notes"


@pytest.mark.parametrize("extensions", [None, {}, {"com.example/other": {}}, {ID: None}, [ID], "all"])
async def test_a_client_that_does_not_declare_it_is_told_what_it_lacks(extensions: object) -> None:
    server = a_server()
    server.use(Weather("Oslo"))

    with pytest.raises(MissingRequiredClientCapability, match=ID) as caught:
        await forecast(ServerTarget(server), extensions=extensions)

    assert caught.value.data == {"requiredCapabilities": {"extensions": {ID: {}}}}


@pytest.mark.parametrize(("ours", "theirs"), [("2", None), (None, "2"), ("2", "3")])
async def test_peers_of_different_revisions_do_not_have_it(ours: str | None, theirs: str | None) -> None:
    class Revised(Weather):
        revision = ours

    server = a_server()
    server.use(Revised("Oslo"))
    said = {} if theirs is None else {"revision": theirs}

    with pytest.raises(MissingRequiredClientCapability):
        await forecast(ServerTarget(server), extensions={ID: said})


async def test_the_revision_of_an_extension_stands_in_its_settings() -> None:
    class Revised(Weather):
        revision = "2"

    server = a_server()
    server.use(Revised("Oslo"))
    target = ServerTarget(server)

    assert (await ask(target, "server/discover"))["capabilities"]["extensions"] == {ID: {"revision": "2", "places": 1}}
    assert (await forecast(target, extensions={ID: {"revision": "2"}}))["rain"] is True


async def test_a_method_may_answer_clients_that_declare_nothing() -> None:
    class Open(Weather):
        needs_client = False

    server = a_server()
    server.use(Open("Oslo"))

    assert (await forecast(ServerTarget(server), extensions=None))["rain"] is True


@pytest.mark.parametrize(("name", "is_right"), [(b"Oslo", True), (b"=?base64?T3Nsbw==?=", True), (b"Quito", False)])
async def test_the_header_that_mirrors_its_parameter_has_to_agree(name: bytes, *, is_right: bool) -> None:
    server = a_server()
    server.use(Weather("Oslo"))
    headers = {b"mcp-method": b"weather/forecast", b"mcp-name": name}

    if is_right:
        assert (await forecast(ServerTarget(server), headers=headers))["rain"] is True
    else:
        with pytest.raises(HeaderMismatch):
            await forecast(ServerTarget(server), headers=headers)


async def test_a_mirrored_header_may_not_be_missing_where_there_are_headers() -> None:
    server = a_server()
    server.use(Weather("Oslo"))
    headers = {b"mcp-method": b"weather/forecast"}

    with pytest.raises(HeaderMismatch):
        await forecast(ServerTarget(server), headers=headers)
    with pytest.raises(InvalidParams):
        await ask(ServerTarget(server), "weather/forecast", {"place": 1}, extensions={ID: {}}, headers=headers)


async def test_the_handshake_era_does_not_have_its_methods() -> None:
    server = a_server()
    server.use(Weather("Oslo"))

    with pytest.raises(MethodNotFound):
        await forecast(ServerTarget(server), revision=REVISION_2025_11_25)


async def test_it_may_stand_around_a_method_that_there_is() -> None:
    server = a_server()
    target = ServerTarget(server)
    call = {"name": "add", "arguments": {"a": 1, "b": 2}}
    assert "com.example/counted" not in (await ask(target, "tools/call", call))["_meta"]

    server.use(Weather())

    answer = await ask(target, "tools/call", call)
    assert (answer["structuredContent"], answer["_meta"]["com.example/counted"]) == (3, 1)


async def test_it_is_open_while_the_server_runs_inside_of_its_lifespan() -> None:
    @asynccontextmanager
    async def lifespan(_server: Server) -> AsyncIterator[Mapping[str, Any]]:
        weather.opened.append("server opened")
        yield {"house": "the barn"}
        weather.opened.append("server closed")

    weather = Weather()
    server = Server("notes", lifespan=lifespan)
    server.use(weather)

    async with ServerTarget(server).lifespan():
        assert weather.opened == ["server opened", "opened in the barn"]
    assert weather.opened[2:] == ["closed", "server closed"]


def test_using_it_again_returns_the_one_that_there_is_which_takes_in_the_other() -> None:
    server = a_server()
    first = server.use(Weather("Oslo"))

    assert server.use(Weather("Quito")) is first
    assert server.use(first) is first
    assert isinstance(first, Weather)
    assert first.places == ["Oslo", "Quito"]


async def test_an_included_server_brings_its_extensions_now_and_later() -> None:
    inner, outer = a_server(), Server("outer")
    inner.use(Weather("Oslo"))
    outer.include(inner, prefix="north")
    assert (await forecast(ServerTarget(outer)))["rain"] is True

    class Later(Weather):
        identifier = "com.example/later"

        def methods(self) -> Mapping[str, Method]:
            return {}

    inner.use(Later())
    found = (await ask(ServerTarget(outer), "server/discover"))["capabilities"]["extensions"]
    assert set(found) == {ID, "com.example/later"}


def test_of_an_extension_on_both_servers_the_outer_one_takes_in_the_inner_one_with_its_prefix() -> None:
    inner, outer = a_server(), Server("outer")
    weather = Weather("Quito")
    outer.use(weather)
    outer.include(inner, prefix="north")

    inner.use(Weather("Oslo"))

    assert weather.places == ["Quito", "north_Oslo"]


@pytest.mark.parametrize(
    "identifier",
    ["weather", "/weather", "com.example/", "com.example/a b", "com..example/weather", "1.example/x", "", 7],
)
def test_what_has_no_identifier_with_a_domain_is_refused(identifier: object) -> None:
    wrong = type("Wrong", (Extension,), {"identifier": identifier, "stage": "beta"})

    with pytest.raises(ToolDefinitionError, match=r"com\.example/weather"):
        a_server().use(wrong())


async def test_a_method_that_there_is_cannot_be_taken() -> None:
    class Greedy(Weather):
        def methods(self) -> Mapping[str, Method]:
            return {"tools/list": self.forecast}

    server = a_server()
    server.use(Greedy())

    with pytest.raises(ToolDefinitionError, match="tools/list"):
        async with ServerTarget(server).lifespan():
            pass


async def test_what_the_deployment_has_is_advertised_beside_it() -> None:
    server = a_server()
    server.use(Weather())

    class Deployed(Weather):
        identifier = "com.example/deployed"

    target = ServerTarget(server, extensions=(Deployed(),))

    assert set((await ask(target, "server/discover"))["capabilities"]["extensions"]) == {ID, "com.example/deployed"}
