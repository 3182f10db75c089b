import httpx2
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp

from gatepost.web.site.loopback_names import LOOPBACK_HOST, LoopbackNames


class World:
    """A server on port 8000, and the sites that were built."""

    def __init__(self) -> None:
        self.built: list[str] = []
        self.app = LoopbackNames(PlainTextResponse("main"), own_host="127.0.0.1:8000", build_site=self.build)

    def build(self, origin: str) -> ASGIApp:
        self.built.append(origin)
        return PlainTextResponse(origin)

    async def get(self, host: str, path: str = "/mcp") -> str:
        transport = httpx2.ASGITransport(app=self.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
            return (await http.get(path, headers={"Host": host})).text


async def test_the_main_name_stays_with_the_main_site() -> None:
    world = World()
    assert await world.get("127.0.0.1:8000") == "main"
    assert world.built == []


async def test_each_other_name_gets_one_site_of_its_own() -> None:
    world = World()
    for _ in range(2):
        assert await world.get("LocalHost:8000") == "http://localhost:8000"
        assert await world.get("[::1]:8000") == "http://[::1]:8000"
        assert await world.get("localhost") == "http://localhost"
    assert world.built == ["http://localhost:8000", "http://[::1]:8000", "http://localhost"]


async def test_names_on_the_own_port_stay_however_many_tunnels_are_named() -> None:
    world = World()
    await world.get("localhost:8000")
    for port in range(1, 30):
        assert await world.get(f"localhost:{port}") == f"http://localhost:{port}"
    assert await world.get("localhost:8000") == "http://localhost:8000"
    assert world.built.count("http://localhost:8000") == 1


async def test_of_too_many_tunnels_the_one_used_least_recently_goes() -> None:
    world = World()
    for port in (1, 2, 3, 4, 5, 6, 7, 8, 1, 9):
        await world.get(f"localhost:{port}")
    world.built.clear()
    await world.get("localhost:1")
    await world.get("localhost:2")
    assert world.built == ["http://localhost:2"]


@pytest.mark.parametrize(
    "host", ["localhost:0", "localhost:99999", "localhost:65536", "localhost:08", "localhost:", "a"]
)
async def test_what_is_no_loopback_name_builds_nothing(host: str) -> None:
    world = World()
    assert LOOPBACK_HOST.fullmatch(host.encode()) is None
    assert await world.get(host) == "main"
    assert world.built == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:65535", "[::1]:60000", "localhost:9999"])
def test_every_port_there_can_be_is_one(host: str) -> None:
    assert LOOPBACK_HOST.fullmatch(host.encode())


async def test_what_is_not_http_passes_through() -> None:
    seen = []

    async def inner(scope: object, receive: object, send: object) -> None:  # noqa: ARG001 - the ASGI signature
        seen.append(scope)

    app = LoopbackNames(inner, own_host="x", build_site=World().build)
    await app({"type": "lifespan"}, None, None)  # type: ignore[arg-type]  # neither is used
    assert seen == [{"type": "lifespan"}]
