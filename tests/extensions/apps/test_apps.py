"""Apps: pages that belong to tools, and tools that belong to pages, in both eras."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from gatepost import Server, Tool, any_of
from gatepost.extensions.apps.pages import needs_of_any
from gatepost.protocol.errors import InternalError
from gatepost.protocol.versions import REVISION_2025_03_26, REVISION_2025_11_25, REVISION_2026_07_28, Revision
from gatepost.resource.scope_needs import all_of
from gatepost.server.errors import InsufficientScope, ToolDefinitionError
from tests.extensions.asking import ask

MIME_TYPE = "text/html;profile=mcp-app"
KNOWS = {"io.modelcontextprotocol/ui": {"mimeTypes": [MIME_TYPE]}}
URI = "ui://weather/chart"
HTML = "<!DOCTYPE html><title>Chart</title>"
ERAS = pytest.mark.parametrize("revision", [REVISION_2025_11_25, REVISION_2026_07_28])


def a_server(**options: Any) -> Server:
    """A server with a page, a tool that shows it, and one for the page alone."""
    server = Server("weather")

    @server.ui(URI, **options)
    def chart() -> str:
        """Draw a chart."""
        return HTML

    @server.tool(ui=URI, scopes=["weather:read"])
    def forecast() -> dict[str, int]:
        return {"low": 3}

    @server.tool(ui={"resourceUri": URI, "visibility": ["app"]}, scopes=["weather:read"])
    def refresh() -> str:
        return "fresh"

    @server.tool
    def plain() -> str:
        return "plain"

    return server


async def names(server: Server, **options: Any) -> list[str]:
    return [tool["name"] for tool in (await ask(server, "tools/list", **options))["tools"]]


@pytest.mark.parametrize("method", ["server/discover", "initialize"])
async def test_both_eras_hear_of_apps(method: str) -> None:
    revision = REVISION_2026_07_28 if method == "server/discover" else REVISION_2025_11_25
    capabilities = (await ask(a_server(), method, revision=revision))["capabilities"]

    assert capabilities["extensions"] == {"io.modelcontextprotocol/ui": {"mimeTypes": [MIME_TYPE]}}
    assert "resources" in capabilities


async def test_a_server_without_apps_says_nothing_of_them() -> None:
    assert "extensions" not in (await ask(Server("weather"), "server/discover"))["capabilities"]


@ERAS
async def test_tools_say_which_page_shows_them_and_who_may_call_them(revision: Revision) -> None:
    listed = (await ask(a_server(), "tools/list", revision=revision, extensions=KNOWS))["tools"]

    assert {tool["name"]: tool.get("_meta") for tool in listed} == {
        "forecast": {"ui": {"resourceUri": URI}},
        "refresh": {"ui": {"resourceUri": URI, "visibility": ["app"]}},
        "plain": None,
    }


async def test_the_oldest_revision_has_no_meta_of_tools() -> None:
    listed = (await ask(a_server(), "tools/list", revision=REVISION_2025_03_26, extensions=KNOWS))["tools"]

    assert all("_meta" not in tool for tool in listed)


@ERAS
async def test_a_page_is_read_with_its_media_type_and_what_it_says_of_itself(revision: Revision) -> None:
    server = a_server(
        csp={"connectDomains": ["https://api.example.com"], "resourceDomains": ["https://*.example.com:8443"]},
        permissions=["camera", "clipboardWrite"],
        domain="www-example-com.oaiusercontent.com",
        prefers_border=False,
        title="Chart",
    )
    ui = {
        "csp": {"connectDomains": ["https://api.example.com"], "resourceDomains": ["https://*.example.com:8443"]},
        "permissions": {"camera": {}, "clipboardWrite": {}},
        "domain": "www-example-com.oaiusercontent.com",
        "prefersBorder": False,
    }

    (listed,) = (await ask(server, "resources/list", revision=revision))["resources"]
    (read,) = (await ask(server, "resources/read", {"uri": URI}, revision=revision))["contents"]

    assert listed == {
        "uri": URI,
        "name": "chart",
        "title": "Chart",
        "description": "Draw a chart.",
        "mimeType": MIME_TYPE,
        "_meta": {"ui": ui},
    }
    assert read == {"uri": URI, "mimeType": MIME_TYPE, "text": HTML, "_meta": {"ui": ui}}


async def test_a_page_that_says_nothing_of_itself_has_no_meta() -> None:
    server = a_server()

    assert "_meta" not in (await ask(server, "resources/list"))["resources"][0]
    assert "_meta" not in (await ask(server, "resources/read", {"uri": URI}))["contents"][0]


@ERAS
@pytest.mark.parametrize(
    ("extensions", "shown"),
    [
        (KNOWS, ["forecast", "refresh", "plain"]),
        ({"io.modelcontextprotocol/ui": {}}, ["forecast", "refresh", "plain"]),
        (None, ["forecast", "plain"]),
        ({}, ["forecast", "plain"]),
        ({"io.modelcontextprotocol/ui": {"mimeTypes": ["text/uri-list"]}}, ["forecast", "plain"]),
        ({"io.modelcontextprotocol/ui": {"mimeTypes": MIME_TYPE}}, ["forecast", "plain"]),
        ({"io.modelcontextprotocol/ui": True}, ["forecast", "plain"]),
        ({"com.example/ui": {}}, ["forecast", "plain"]),
    ],
)
async def test_tools_of_pages_are_listed_to_clients_that_show_pages(
    revision: Revision, extensions: Mapping[str, Any] | None, shown: list[str]
) -> None:
    assert await names(a_server(), revision=revision, extensions=extensions) == shown


@ERAS
async def test_tools_of_pages_are_called_as_any_others(revision: Revision) -> None:
    called = await ask(a_server(), "tools/call", {"name": "refresh", "arguments": {}}, revision=revision)

    assert called["content"] == [{"type": "text", "text": "fresh"}]


@ERAS
async def test_a_client_without_apps_gets_a_text_beside_what_is_structured(revision: Revision) -> None:
    called = await ask(a_server(), "tools/call", {"name": "forecast", "arguments": {}}, revision=revision)

    assert called["structuredContent"] == {"low": 3}
    assert called["content"] == [{"type": "text", "text": '{"low":3}'}]


@pytest.mark.parametrize("html", ["<p>Hello</p>", "", "text", {"a": 1}, ["a"], None, "<!doctype htmlx>"])
async def test_what_is_no_html_document_is_not_sent(html: Any) -> None:
    server = Server("weather")

    @server.ui(URI)
    def chart() -> Any:
        return html

    if html is None:
        with pytest.raises(Exception, match="not found"):
            await ask(server, "resources/read", {"uri": URI})
        return
    with pytest.raises(InternalError, match="whole HTML document"):
        await ask(server, "resources/read", {"uri": URI})


@pytest.mark.parametrize("html", ["<!doctype html>", "\ufeff<!DOCTYPE HTML>x", " \n<!-- by us --><!Doctype html >"])
async def test_a_document_may_begin_as_html_documents_do(html: str) -> None:
    server = Server("weather")

    def returning(content: Any) -> Callable[[], Any]:
        return lambda: content

    server.ui("ui://a/text", name="text")(returning(html))
    server.ui("ui://a/bytes", name="bytes")(returning(html.encode()))

    for uri in ("ui://a/text", "ui://a/bytes"):
        assert (await ask(server, "resources/read", {"uri": uri}))["contents"][0]["text"] == html


# Declaration.


def declared(**options: Any) -> None:
    @Server("weather").ui(URI, **options)
    def chart() -> str:
        return HTML


@pytest.mark.parametrize(
    "uri", ["https://example.com", "chart", "ui:", "ui://", "UI://weather", "ui:/weather", "ui://{name}", "ui://a b"]
)
def test_a_page_has_a_uri_of_its_scheme(uri: str) -> None:
    server = Server("weather")
    with pytest.raises(ToolDefinitionError):
        server.ui(uri)(lambda: HTML)
    assert server.registry.extensions == ()


def test_a_function_in_place_of_a_uri_is_refused_with_what_to_write() -> None:
    with pytest.raises(ToolDefinitionError, match="needs a URI"):
        Server("weather").ui(lambda: HTML)  # type: ignore[arg-type]  # the mistake


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "https:",
        "https://",
        "https://*",
        "example.com",
        "https://example.com/",
        "https://example.com/path",
        "https://user@example.com",
        "https://example.com; script-src *",
        "https://example.com https://evil.example",
        "'unsafe-eval'",
        "data:",
        "http://example.com",
        "ws://example.com",
        "https://exa*mple.com",
        "https://example.com\n",
        "https://-example.com",
        "",
    ],
)
@pytest.mark.parametrize("member", ["connectDomains", "frameDomains"])
def test_a_policy_is_made_of_origins_alone(member: str, origin: str) -> None:
    with pytest.raises(ToolDefinitionError, match="is no origin"):
        declared(csp={member: [origin]})


@pytest.mark.parametrize(
    "origin", ["http://localhost:5173", "ws://127.0.0.1:1", "wss://a.example:443", "https://a-b.example"]
)
def test_a_policy_may_name_this_machine_while_an_app_is_written(origin: str) -> None:
    declared(csp={"connectDomains": [origin]})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"csp": {"scriptDomains": []}}, "csp is not as the specification has it: scriptDomains"),
        ({"csp": {"connectDomains": "https://a.example"}}, "connectDomains: Input should be a valid list"),
        ({"csp": ["https://a.example"]}, "csp is not"),
        ({"permissions": ["usb"]}, "permissions is not"),
        ({"domain": "https://a.example"}, "domain is a host name"),
        ({"domain": 1}, "domain is not"),
        ({"prefers_border": "yes"}, "prefers_border is not"),
        ({"scopes": ["a"]}, "the scopes of the tools that show it"),
        ({"fresh_for": -1}, "not negative"),
        ({"mime_type": "text/html"}, "no option|multiple values"),
        ({"colour": "red"}, "no option 'colour'"),
    ],
)
def test_what_a_page_cannot_say_is_refused_at_once(options: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        declared(**options)


@pytest.mark.parametrize(
    ("ui", "said"),
    [
        ("ui://weather/other", r"there is no app 'ui://weather/other'; declare it with @server\.ui"),
        ("other://weather", "there is no app"),
        ({"resourceUri": "notes://today"}, "there is no app"),
        ({"resourceURI": URI}, "resourceURI: Extra inputs"),
        ({"visibility": ["user"]}, r"visibility\.0"),
        ({"visibility": "app"}, "visibility: Input should be a valid list"),
        ({"visibility": []}, "says nothing"),
        ({}, "says nothing"),
        ("", "there is no app"),
        (1, "ui is not"),
    ],
)
def test_what_a_tool_cannot_say_is_refused_at_once_and_the_tool_is_not_there(ui: Any, said: str) -> None:
    server = a_server()
    server.resource("notes://today")(lambda: "notes")
    before = list(server.tools)

    with pytest.raises(ToolDefinitionError, match=said):
        server.tool(name="wrong", ui=ui)(lambda: "x")
    assert list(server.tools) == before


async def test_a_tool_for_pages_needs_no_page_of_its_own() -> None:
    server = Server("weather")
    server.add_tool(Tool(lambda: "x", name="refresh", ui={"visibility": ["app"]}))

    assert await names(server) == []
    assert await names(server, extensions=KNOWS) == ["refresh"]


def test_a_uri_is_found_in_any_spelling() -> None:
    server = a_server()
    server.tool(name="other", ui="ui://WEATHER/%63hart")(lambda: "x")

    assert server.tools["other"].definition["_meta"] == {"ui": {"resourceUri": "ui://WEATHER/%63hart"}}


# Scopes: a page may be read by whoever may call one of its tools.


@ERAS
async def test_a_page_has_the_scopes_of_its_tool(revision: Revision) -> None:
    server = a_server()

    assert (await ask(server, "resources/list", granted=set(), revision=revision))["resources"] == []
    with pytest.raises(InsufficientScope) as caught:
        await ask(server, "resources/read", {"uri": URI}, granted={"other"}, revision=revision)
    assert caught.value.scopes == {"weather:read"}
    assert await ask(server, "resources/read", {"uri": URI}, granted={"weather:read"}, revision=revision)


def test_a_tool_that_cannot_be_added_opens_no_page() -> None:
    server = a_server()

    with pytest.raises(ToolDefinitionError, match="already"):
        server.tool(name="forecast", ui=URI)(lambda: "open to all")
    assert server.resources[URI].scopes == {"weather:read"}


async def test_a_page_of_several_tools_is_read_by_who_may_call_any() -> None:
    server = Server("weather")
    server.ui(URI, name="chart")(lambda: HTML)
    server.tool(name="one", ui=URI, scopes=["a", "b"])(lambda: "x")
    server.tool(name="two", ui=URI, scopes=["c"])(lambda: "x")

    for granted, may in (({"a"}, False), ({"a", "b"}, True), ({"c"}, True), ({"b", "d"}, False), (set(), False)):
        listed = (await ask(server, "resources/list", granted=granted))["resources"]
        assert bool(listed) is may
    server.tool(name="three", ui=URI)(lambda: "x")
    assert (await ask(server, "resources/list", granted=set()))["resources"]


@pytest.mark.parametrize(
    ("needs", "of_any"),
    [
        ([], frozenset()),
        ([frozenset({"a"})], frozenset({"a"})),
        ([frozenset({"a"}), frozenset({"a"})], frozenset({"a"})),
        ([frozenset({"a"}), frozenset()], frozenset()),
        ([frozenset({"a"}), frozenset({"a", "b"})], frozenset({"a"})),
        ([frozenset({"a"}), frozenset({"b"})], any_of("a", "b")),
        ([any_of("a", "b"), frozenset({"c"})], any_of("a", "b", "c")),
        ([frozenset({"a", "b"}), frozenset({"c"})], all_of(any_of("a", "c"), any_of("b", "c"))),
    ],
)
def test_needs_of_several_tools_hold_where_one_of_them_does(
    needs: list[frozenset[str]], of_any: frozenset[str]
) -> None:
    assert needs_of_any(needs) == of_any


def test_too_many_different_needs_are_refused() -> None:
    with pytest.raises(ToolDefinitionError, match="too many different scopes"):
        needs_of_any([frozenset(f"{name}{number}" for number in range(5)) for name in "abc"])


async def test_pages_and_tools_of_an_included_server_go_with_it_and_scopes_hold() -> None:
    outer, inner = Server("outer"), a_server()
    outer.include(inner, prefix="in")

    assert await names(outer, extensions=KNOWS, granted={"weather:read"}) == ["in_forecast", "in_refresh", "in_plain"]
    assert await names(outer, granted={"weather:read"}) == ["in_forecast", "in_plain"]
    with pytest.raises(InsufficientScope):
        await ask(outer, "resources/read", {"uri": URI}, granted=set())
    outer.tool(name="more", ui=URI, scopes=["more"])(lambda: "x")
    assert await ask(outer, "resources/read", {"uri": URI}, granted={"more"})


async def test_hooks_are_around_the_shorter_list_too() -> None:
    server = a_server()

    @server.around
    async def hide(call: Any, call_next: Any) -> Any:
        found = await call_next()
        return [tool for tool in found if tool.name != "plain"] if call.kind == "list" else found

    assert await names(server) == ["forecast"]
    assert await names(server, extensions=KNOWS) == ["forecast", "refresh"]
