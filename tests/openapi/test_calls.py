"""A call through the whole path: an MCP client, the guard, arguments, the request, and the result of the answer."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import pytest
from mcp.types import AudioContent, EmbeddedResource, ImageContent, TextContent
from starlette.responses import JSONResponse, RedirectResponse, Response

from gatepost import Server
from gatepost.testing import Client
from tests.openapi.described import API, STRING, URL, Asked, body, description, json_answer, one, parameter

PET = {"type": "object", "required": ["name"], "properties": {"name": STRING, "age": {"type": "integer"}}}


async def call(server: Server, arguments: dict[str, Any] | None = None, tool: str = "call") -> Any:
    async with Client(server) as client:
        return await client.call_tool(tool, arguments or {})


def text(result: Any) -> str:
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


async def test_arguments_go_where_the_description_says() -> None:
    api = API()
    operation = {
        "parameters": [
            parameter("id", "path", {"type": "integer"}),
            parameter("tags", "query", {"type": "array", "items": STRING}),
            parameter("page[size]", "query", {"type": "integer"}),
            parameter("X-Trace", "header"),
            parameter("theme", "cookie"),
            parameter("where", "query", content={"application/json": {"schema": {"type": "object"}}}, schema=None),
        ],
        **body("application/json", PET),
    }
    operation["parameters"][-1].pop("schema")
    server = api.server(one(operation, method="put", path="/pets/{id}"))
    arguments = {
        "id": 7,
        "tags": ["a b", "c&d"],
        "page_size": 2,
        "X-Trace": "t-1",
        "theme": "dark; a=b",
        "where": {"n": 1},
        "body": {"name": "Rex"},
    }
    result = await call(server, arguments)
    assert not result.is_error
    (asked,) = api.asked
    assert asked.method == "PUT"
    assert asked.target == "/pets/7?tags=a%20b&tags=c%26d&page%5Bsize%5D=2&where=%7B%22n%22%3A1%7D"
    assert asked.headers["x-trace"] == "t-1"
    assert asked.headers["cookie"] == "theme=dark%3B%20a=b"
    assert asked.headers["content-type"] == "application/json"
    assert json.loads(asked.content) == {"name": "Rex"}


async def test_the_clients_own_token_and_headers_stay_here() -> None:
    api = API()
    server = api.server(one({"parameters": [parameter("Authorization", "header"), parameter("Host", "header")]}))
    assert server.tools["call"].input_schema["properties"] == {}
    async with Client(server) as client:
        await client.call_tool("call", {})
    (asked,) = api.asked
    assert set(asked.headers) == {"host", "accept", "accept-encoding", "connection", "user-agent"}
    assert asked.headers["host"] == "api.example"


async def test_parameters_of_the_same_name_are_told_apart_by_their_place() -> None:
    api = API()
    operation = {"parameters": [parameter("id", "path"), parameter("id", "query"), parameter("body", "query")]}
    server = api.server(one({**operation, **body("application/json", PET)}, method="post", path="/pets/{id}"))
    await call(server, {"id": "1", "id_query": "2", "body": "3", "body_2": {"name": "Rex"}})
    assert api.asked[0].target == "/pets/1?id=2&body=3"
    assert json.loads(api.asked[0].content) == {"name": "Rex"}


async def test_parameters_of_a_path_item_hold_for_its_operations_which_may_replace_them() -> None:
    api = API()
    path_item = {
        "parameters": [parameter("id", "path"), parameter("q", "query", {"type": "integer"})],
        "get": {"operationId": "call", "parameters": [parameter("q", "query", STRING)], "responses": {}},
    }
    await call(api.server(description({"/pets/{id}": path_item})), {"id": "a", "q": "b"})
    assert api.asked[0].target == "/pets/a?q=b"


@pytest.mark.parametrize(
    "value", ["..", ".", "a/../../admin", "%2e%2e", "%252e%252e/x", "..\\x", "..;x=1/y", "", "./x"]
)
async def test_no_value_leaves_its_place_in_the_path(value: str) -> None:
    api = API()
    server = api.server(one({"parameters": [parameter("id", "path")]}, path="/pets/{id}/toys"))
    result = await call(server, {"id": value})
    assert result.is_error
    assert text(result).startswith("Invalid arguments for call: id:")
    assert api.asked == []


async def test_two_values_make_no_step_together() -> None:
    api = API()
    parameters = [parameter("a", "path"), parameter("b", "path")]
    server = api.server(one({"parameters": parameters}, path="/pets/{a}{b}/toys"))
    assert (await call(server, {"a": ".", "b": "."})).is_error
    assert api.asked == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a/b", "/pets/a%2Fb"),
        ("a?b#c", "/pets/a%3Fb%23c"),
        ("ü €", "/pets/%C3%BC%20%E2%82%AC"),
        ("100%", "/pets/100%25"),
        ("%2f", "/pets/%252f"),
        ("...", "/pets/..."),
        ("a..b", "/pets/a..b"),
    ],
)
async def test_a_value_in_a_path_is_encoded_once(value: str, expected: str) -> None:
    api = API()
    await call(api.server(one({"parameters": [parameter("id", "path")]}, path="/pets/{id}")), {"id": value})
    assert api.asked[0].target == expected


async def test_a_header_has_no_line_breaks() -> None:
    api = API()
    server = api.server(one({"parameters": [parameter("X-Name", "header")]}))
    result = await call(server, {"X-Name": "a\r\nX-Admin: 1"})
    assert text(result) == "Invalid arguments for call: X-Name: is sent in a header, which has no line breaks."
    assert api.asked == []
    assert not (await call(server, {"X-Name": "Zoë"})).is_error


async def test_arguments_that_do_not_fit_are_refused_in_words_without_their_values() -> None:
    api = API()
    operation = {"parameters": [parameter("limit", "query", {"type": "integer", "maximum": 9}, required=True)]}
    server = api.server(one({**operation, **body("application/json", PET)}, method="post"))
    result = await call(server, {"limit": 10_000, "body": {"age": "secret"}, "colour": "secret"})
    said = text(result)
    assert result.is_error
    for part in (
        "limit: ",
        "body.name: is required",
        "body.age: should be of type integer",
        "colour: is not an argument",
    ):
        assert part in said
    assert said.endswith("It takes: limit (required), body (required).")
    assert "10000" not in said
    assert "secret" not in said
    assert api.asked == []


async def test_arguments_in_another_form_are_read_leniently_and_strictly_where_that_is_wanted() -> None:
    api = API()
    optional = {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    described = one(
        {
            "parameters": [
                parameter("limit", "query", {"type": "integer"}),
                parameter("page", "query", optional),
                parameter("q", "query"),
            ],
            **body("application/json", PET),
        },
        method="post",
    )
    sent = {"limit": "5", "page": "6", "q": None, "body": '{"name": "5"}'}
    result = await call(api.server(described), sent)
    assert not result.is_error
    assert api.asked[0].target == "/call?limit=5&page=6"
    assert api.asked[0].content == b'{"name":"5"}'
    refused = text(await call(api.server(described, strict_arguments=True), sent))
    assert "limit: should be of type integer, not string" in refused
    assert "page: should be of type integer or null, not string" in refused
    assert len(api.asked) == 1


async def test_a_form_with_files_is_sent_as_one() -> None:
    api = API()
    form = {
        "type": "object",
        "properties": {
            "file": {"type": "string", "format": "binary"},
            "more": {"type": "array", "items": {"type": "string", "format": "binary"}},
            "picture": {"type": "string", "format": "binary"},
            "meta": PET,
            "tags": {"type": "array", "items": STRING},
            "n": {"type": "integer"},
            "none": {"type": ["string", "null"]},
        },
    }
    encoding = {"picture": {"contentType": "image/png"}, "tags": {"contentType": "application/json"}}
    server = api.server(one(body("multipart/form-data", form, encoding=encoding), method="post"))
    files = [{"text": "b", "filename": 'b"\r\nX: y.csv'}, {"text": "c"}]
    value = {
        "file": {"base64": "AAH/", "filename": "a.bin"},
        "more": files,
        "picture": {"base64": "iVBORw=="},
        "meta": {"name": "Rex"},
        "tags": ["x"],
        "n": 5,
        "none": None,
    }
    result = await call(server, {"body": value})
    assert not result.is_error
    (asked,) = api.asked
    parts = _parts(asked)
    assert parts == [
        ('form-data; name="file"; filename="a.bin"', "application/octet-stream", b"\x00\x01\xff"),
        ('form-data; name="more"; filename="b%22%0D%0AX: y.csv"', "text/csv", b"b"),
        ('form-data; name="more"; filename="file"', "text/plain", b"c"),
        ('form-data; name="picture"; filename="file"', "image/png", b"\x89PNG"),
        ('form-data; name="meta"', "application/json", b'{"name":"Rex"}'),
        ('form-data; name="tags"', "application/json", b'["x"]'),
        ('form-data; name="n"', "text/plain; charset=utf-8", b"5"),
    ]


def _parts(asked: Asked) -> list[tuple[str, str, bytes]]:
    boundary = asked.headers["content-type"].partition("boundary=")[2].encode()
    parts = []
    for part in asked.content.split(b"--" + boundary)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        parts.append((fields["Content-Disposition"], fields.get("Content-Type", ""), content.removesuffix(b"\r\n")))
    return parts


@pytest.mark.parametrize(
    "file",
    [
        {"base64": "not base64!"},
        {"text": "a", "base64": "YQ=="},
        {},
        {"text": "a", "media_type": "text/html\r\nX: y"},
        {"text": "a", "path": "/etc/passwd"},
        "/etc/passwd",
    ],
)
async def test_a_file_is_what_the_client_sends_and_nothing_else(file: Any) -> None:
    api = API()
    form = {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
    result = await call(api.server(one(body("multipart/form-data", form), method="post")), {"body": {"file": file}})
    assert result.is_error
    assert api.asked == []


async def test_a_body_that_is_a_file_is_sent_as_its_bytes() -> None:
    api = API()
    described = one({"requestBody": {"content": {"application/octet-stream": {}}}}, method="post")
    await call(api.server(described), {"body": {"base64": "AAH_", "media_type": "image/gif"}})
    assert api.asked[0].content == b"\x00\x01\xff"
    assert api.asked[0].headers["content-type"] == "image/gif"
    described = one({"requestBody": {"content": {"image/*": {}}}}, method="post")
    await call(api.server(described), {"body": {"text": "<svg/>", "filename": "a.svg"}})
    assert api.asked[1].headers["content-type"] == "image/svg+xml"


async def test_a_plain_form_is_url_encoded_by_its_encodings() -> None:
    api = API()
    form = {
        "type": "object",
        "properties": {
            "name": STRING,
            "address": {"type": "object"},
            "tags": {"type": "array", "items": STRING},
            "meta": {"type": "object"},
        },
    }
    described = one(
        body(
            "application/x-www-form-urlencoded",
            form,
            encoding={"meta": {"style": "deepObject", "explode": True}},
        ),
        method="post",
    )
    value = {"name": "a b&c+", "address": {"zip": "9+1"}, "tags": ["x", "y"], "meta": {"k k": "v v"}}
    await call(api.server(described), {"body": value})
    (asked,) = api.asked
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.content.startswith(b"name=a+b%26c%2B&address=%7B%22zip%22")
    assert parse_qsl(asked.content.decode()) == [
        ("name", "a b&c+"),
        ("address", '{"zip":"9+1"}'),
        ("tags", "x"),
        ("tags", "y"),
        ("meta[k k]", "v v"),
    ]


async def test_texts_are_sent_as_such_and_json_comes_first() -> None:
    api = API()
    described = one({"requestBody": {"content": {"application/xml": {"schema": {"type": "object"}}}}}, method="post")
    await call(api.server(described), {"body": "<ü/>"})
    assert api.asked[0].content == "<ü/>".encode()
    assert api.asked[0].headers["content-type"] == "application/xml; charset=utf-8"
    several = {"application/xml": {}, "multipart/form-data": {}, "application/vnd.api+json": {"schema": PET}}
    await call(api.server(one({"requestBody": {"content": several}}, method="post")), {"body": {"name": "Rex"}})
    assert api.asked[1].headers["content-type"] == "application/vnd.api+json"
    await call(api.server(one({"requestBody": {"content": several}}, method="post")))
    assert api.asked[2].content == b""


async def test_an_object_is_structured_content_and_text() -> None:
    api = API(lambda _: JSONResponse({"name": "Rex", "age": 3}))
    result = await call(api.server(one({"responses": {"200": json_answer(PET)}})))
    assert result.structured_content == {"name": "Rex", "age": 3}
    assert json.loads(text(result)) == {"name": "Rex", "age": 3}
    assert api.asked[0].headers["accept"] == "application/json, */*;q=0.5"


@pytest.mark.parametrize(
    ("response", "expected", "undescribed"),
    [
        (JSONResponse({"age": "x"}), '{"age":"x"}', {"age": "x"}),
        (JSONResponse([1]), "[1]", [1]),
        (Response(status_code=204), "The API answered 204 No Content, without content.", None),
        (Response("hello", media_type="text/plain"), "hello", "hello"),
        (Response("{", media_type="application/json"), "{", "{"),
        (JSONResponse(0), "0", 0),
    ],
)
async def test_an_answer_that_is_not_as_described_fails_no_call(
    response: Response, expected: str, undescribed: Any
) -> None:
    """The official client, which is the one here, refuses results that lack what their tool's output schema says."""
    api = API(lambda _: response)
    result = await call(api.server(one({"responses": {"200": json_answer(PET)}})))
    assert not result.is_error
    assert text(result) == expected
    assert result.structured_content == {"status": response.status_code, "undescribed": undescribed}


async def test_each_status_has_its_own_schema() -> None:
    queued = {"type": "object", "required": ["job"], "properties": {"job": STRING}}
    responses = {"200": json_answer(PET), "2XX": json_answer(queued), "default": json_answer({"type": "object"})}
    answers = iter([JSONResponse({"name": "a"}), JSONResponse({"job": "1"}, 202), JSONResponse({"job": "1"}, 200)])
    api = API(lambda _: next(answers))
    async with Client(api.server(one({"responses": responses}))) as client:
        results = [await client.call_tool("call", {}) for _ in range(3)]
    assert results[0].structured_content == {"name": "a"}
    assert results[1].structured_content == {"job": "1"}
    assert results[2].structured_content == {"status": 200, "undescribed": {"job": "1"}}


async def test_lists_and_scalars_are_text_and_their_tools_have_no_output_schema() -> None:
    api = API(lambda _: JSONResponse([{"name": "Rex"}]))
    server = api.server(one({"responses": {"200": json_answer({"type": "array", "items": PET})}}))
    assert server.tools["call"].output_schema is None
    result = await call(server)
    assert (text(result), result.structured_content) == ('[{"name":"Rex"}]', None)


async def test_a_large_output_schema_is_left_out_and_all_of_them_on_demand() -> None:
    large = {**PET, "properties": {f"field_{number}": {"type": "string", "maxLength": number} for number in range(999)}}
    assert API().server(one({"responses": {"200": json_answer(large)}})).tools["call"].output_schema is None
    described = one({"responses": {"200": json_answer(PET)}})
    assert API().server(described, output_schemas=False).tools["call"].output_schema is None
    assert API().server(described).tools["call"].output_schema is not None


async def test_pictures_sound_and_bytes_come_as_what_they_are() -> None:
    answers = iter(
        [
            Response(b"\x89PNG", media_type="image/png"),
            Response(b"RIFF", media_type="audio/wav"),
            Response(b"%PDF\x00", media_type="application/pdf"),
            Response("<svg/>", media_type="image/svg+xml"),
            Response("é".encode("latin-1"), media_type="text/csv; charset=iso-8859-1"),
            Response(b"\x00\x01"),
            Response(b"plain"),
        ]
    )
    api = API(lambda _: next(answers))
    async with Client(api.server(one({}))) as client:
        blocks = [(await client.call_tool("call", {})).content[0] for _ in range(7)]
    picture, sound, file, svg, csv, unknown, plain = blocks
    assert isinstance(picture, ImageContent)
    assert (picture.mime_type, picture.data) == ("image/png", "iVBORw==")
    assert isinstance(sound, AudioContent)
    assert sound.mime_type == "audio/wav"
    assert isinstance(file, EmbeddedResource)
    assert file.resource.model_dump(by_alias=True, exclude_none=True) == {
        "uri": "answer://call",
        "mimeType": "application/pdf",
        "blob": "JVBERgA=",
    }
    assert [one.text for one in (svg, csv, plain) if isinstance(one, TextContent)] == ["<svg/>", "é", "plain"]
    assert isinstance(unknown, EmbeddedResource)
    assert unknown.resource.mime_type == "application/octet-stream"


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (JSONResponse({"error": "no such pet"}, 404), 'The API answered 404 Not Found: {"error":"no such pet"}'),
        (Response("gone", 410, media_type="text/plain"), "The API answered 410 Gone: gone"),
        (
            Response("<html>stack trace</html>", 500, media_type="text/html"),
            "The API answered 500 Internal Server Error.",
        ),
        (Response(b"\x00", 500), "The API answered 500 Internal Server Error."),
        (Response(status_code=304), "The API answered 304 Not Modified."),
        (
            Response(status_code=429, headers={"retry-after": "7"}),
            "The API answered 429 Too Many Requests. Try again in 7 seconds.",
        ),
        (Response(status_code=503, headers={"retry-after": "Mon"}), "The API answered 503 Service Unavailable."),
    ],
)
async def test_an_error_of_the_api_is_a_tool_error_with_its_status(response: Response, expected: str) -> None:
    result = await call(API(lambda _: response).server(one({"responses": {"200": json_answer(PET)}})))
    assert result.is_error
    assert text(result) == expected


async def test_what_an_api_says_of_an_error_is_bounded() -> None:
    result = await call(API(lambda _: Response("x" * 90_000 + "\x07", 400)).server(one({})))
    assert len(text(result)) < 2100
    assert text(result).endswith("…")


async def test_fixed_headers_and_parameters_go_along_and_are_no_arguments() -> None:
    api = API()
    operation = {"parameters": [parameter("X-API-Key", "header"), parameter("key", "query"), parameter("q", "query")]}
    server = api.server(one(operation), headers={"X-Api-Key": "sk-0123456789"}, query={"key": "k/0123456789"})
    assert list(server.tools["call"].input_schema["properties"]) == ["q"]
    await call(server, {"q": "a"})
    assert api.asked[0].target == "/call?q=a&key=k%2F0123456789"
    assert api.asked[0].headers["x-api-key"] == "sk-0123456789"


async def test_headers_may_depend_on_who_calls() -> None:
    api = API()

    async def tenant(ctx: Any) -> dict[str, str]:
        return {"X-Tenant": ctx.user.subject, "X-Trace": "ours"}

    server = api.server(one({"parameters": [parameter("X-Trace", "header")]}), headers=tenant)
    async with Client(server, user="alice") as client:
        await client.call_tool("call", {"X-Trace": "theirs"})
    assert api.asked[0].headers["x-tenant"]
    assert api.asked[0].headers["x-trace"] == "ours"


async def test_an_api_that_shows_what_it_was_sent_shows_no_secret() -> None:
    def echo(asked: Asked) -> Response:
        return JSONResponse(
            {"headers": dict(asked.headers), "target": asked.target}, 200 if "ok" in asked.target else 500
        )

    for path in ("/ok", "/fails"):
        api = API(echo)
        server = api.server(
            one({}, path=path),
            headers={"Authorization": "Bearer sk-0123456789", "X-Version": "2022-11-28"},
            query={"api_key": "k/0123456789"},
            client=api.client(headers={"X-Other-Token": "other-0123456789"}),
        )
        said = text(await call(server))
        assert "0123456789" not in said
        assert "Bearer" not in said.replace("***", "") or "***" in said
        assert "2022-11-28" in said


async def test_a_redirect_within_the_origin_is_followed_for_reading_alone() -> None:
    def answer(asked: Asked) -> Response:
        return RedirectResponse("/there?x=1", 307) if asked.target == "/call" else JSONResponse({"at": asked.target})

    api = API(answer)
    assert text(await call(api.server(one({}), headers={"X-Api-Key": "sk-0123456789"}))) == '{"at":"/there?x=1"}'
    assert api.asked[1].headers["x-api-key"] == "sk-0123456789"
    result = await call(API(answer).server(one({}, method="post")))
    assert text(result) == "The API leads on to another address, which is followed for GET alone."
    looping = API(lambda _: RedirectResponse("/call"))
    assert text(await call(looping.server(one({})))) == "The API leads on and on."
    assert len(looping.asked) == 5


@pytest.mark.parametrize(
    "target", ["https://evil.example/x?token=t", "http://api.example/x", "https://api.example:444/x"]
)
async def test_a_redirect_to_another_origin_is_not_followed(target: str) -> None:
    api = API(lambda _: RedirectResponse(target))
    result = await call(api.server(one({}), headers={"Authorization": "Bearer sk-0123456789"}))
    assert result.is_error
    assert text(result).startswith("The API leads on to another server, ")
    assert "token" not in text(result)
    assert len(api.asked) == 1


async def test_an_answer_has_a_limit() -> None:
    api = API(lambda asked: Response(b"x" * (101 if "more" in asked.target else 100), media_type="text/plain"))
    server = api.server(description({"/less": _get("less"), "/more": _get("more")}), largest_answer=100)
    async with Client(server) as client:
        assert not (await client.call_tool("less", {})).is_error
        result = await client.call_tool("more", {})
    assert result.is_error
    assert text(result).startswith("The API's answer has more than 100 bytes")


def _get(name: str) -> dict[str, Any]:
    return {"get": {"operationId": name, "responses": {}}}


async def test_an_api_that_is_away_is_named_without_its_address() -> None:
    def fail(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError(f"no route to {request.url}")

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(fail))
    server = Server.from_openapi(one({}), client=client, server_url=URL, query={"key": "k-0123456789"})
    result = await call(server)
    assert result.is_error
    assert text(result) == "The API cannot be reached just now (ConnectError)."


async def test_an_api_that_packs_its_answer_unasked_is_refused() -> None:
    api = API(lambda _: Response(b"\x1f\x8b", headers={"content-encoding": "gzip"}))
    assert text(await call(api.server(one({})))) == "The API sends its answer packed, though it was not asked to."
    assert api.asked[0].headers["accept-encoding"] == "identity"


async def test_cookies_of_one_call_are_not_sent_with_the_next() -> None:
    api = API(lambda _: Response("{}", headers={"set-cookie": "session=alice; Path=/"}))
    client = api.client(cookies={"fixed": "1"})
    async with Client(api.server(one({}), client=client)) as mcp:
        await mcp.call_tool("call", {})
        await mcp.call_tool("call", {})
    assert [asked.headers["cookie"] for asked in api.asked] == ["fixed=1", "fixed=1"]


async def test_a_path_may_have_a_query_of_its_own_and_a_fragment_that_is_not_sent() -> None:
    api = API()
    paths = {"/a?beta=true": _get("beta"), "/a#b": _get("fragment")}
    async with Client(api.server(description(paths))) as client:
        await client.call_tool("beta", {})
        await client.call_tool("fragment", {})
    assert [asked.target for asked in api.asked] == ["/a?beta=true", "/a"]
