"""Where a description is read, and what its references may reach."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gatepost import Server
from gatepost.openapi import documents as documents_module
from gatepost.openapi.errors import (
    ForbiddenReference,
    UnreadableDescription,
    UnresolvableReference,
    UnsupportedVersion,
    UnusableDescription,
    UnusableOperation,
)
from tests.openapi.described import URL, description, json_answer, one

PET = {"type": "object", "properties": {"name": {"type": "string"}}}


def schema_of(source: Any, tool: str = "call") -> dict[str, Any]:
    server = Server.from_openapi(source, server_url=URL)
    return dict(server.tools[tool].output_schema or {})


def referring(reference: str) -> dict[str, Any]:
    return one({"responses": {"200": json_answer({"type": "object", "properties": {"pet": {"$ref": reference}}})}})


class Site(ThreadingHTTPServer):
    """A web server on loopback with documents by path: type and content, or an address that is elsewhere."""

    daemon_threads = True

    def __init__(self) -> None:
        self.documents: dict[str, tuple[str, bytes]] = {}
        self.moved: dict[str, str] = {}
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path in self.server.moved:
            self.send_response(302)
            self.send_header("Location", self.server.moved[self.path])
            self.end_headers()
            return
        media_type, content = self.server.documents.get(self.path, ("", b""))
        self.send_response(200 if media_type else 404)
        self.send_header("Content-Type", media_type or "text/plain")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - that of the standard library
        del format, args


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_a_file_is_json_or_yaml_whatever_it_is_called(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"pets{suffix}"
    path.write_text(json.dumps(one({})))
    assert list(Server.from_openapi(path, server_url=URL).tools) == ["call"]
    path.write_text(
        "\ufeffopenapi: 3.1.1\ninfo: {title: x, version: '1'}\npaths:\n  /a:\n    get:\n      responses: {200: {}}\n"
    )
    assert list(Server.from_openapi(str(path), server_url=URL).tools) == ["get_a"]


def test_python_values_may_have_numbers_as_keys_as_yaml_libraries_give_them() -> None:
    described = one({"responses": {200: json_answer(PET)}})
    assert "anyOf" in schema_of(described)


def test_references_lead_through_files_below_the_folder(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "pets.yaml").write_text(
        "get:\n  operationId: call\n  parameters: [{$ref: 'shared.json#/limit'}]\n  responses:\n"
        "    '200': {description: '', content: {application/json: {schema: {$ref: ../pet.json}}}}\n"
    )
    (tmp_path / "parts" / "shared.json").write_text(
        json.dumps(
            {"limit": {"name": "limit", "in": "query", "schema": {"$ref": "#/number"}}, "number": {"type": "integer"}}
        )
    )
    pet = {**PET, "properties": {"mother": {"$ref": "pet.json"}, "tag": {"$ref": "parts/shared.json#/number"}}}
    (tmp_path / "pet.json").write_text(json.dumps(pet))
    (tmp_path / "openapi.json").write_text(json.dumps(description({"/pets": {"$ref": "parts/pets.yaml"}})))
    server = Server.from_openapi(tmp_path / "openapi.json", server_url=URL)
    tool = server.tools["call"]
    assert tool.input_schema["properties"] == {"limit": {"$ref": "#/$defs/number"}}
    assert tool.input_schema["$defs"] == {"number": {"type": "integer"}}
    assert tool.output_schema is not None
    assert tool.output_schema["$defs"]["pet_json"]["properties"]["mother"] == {"$ref": "#/$defs/pet_json"}


@pytest.mark.parametrize(
    "reference",
    [
        "../secret.json",
        "/etc/hostname",
        "file:///etc/hostname",
        "http://127.0.0.1/x",
        "//host/share.json",
        "a/../../secret.json",
    ],
)
def test_a_file_leads_to_no_other_folder_and_fetches_nothing(tmp_path: Path, reference: str) -> None:
    (tmp_path / "secret.json").write_text('{"type": "object"}')
    folder = tmp_path / "api"
    folder.mkdir()
    (folder / "openapi.json").write_text(json.dumps(referring(reference)))
    with pytest.raises(UnusableOperation, match="leads out of the folder"):
        Server.from_openapi(folder / "openapi.json", server_url=URL)


def test_a_symbolic_link_leads_out_of_the_folder_no_more_than_a_path(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text('{"type": "object"}')
    folder = tmp_path / "api"
    folder.mkdir()
    (folder / "inside.json").symlink_to(tmp_path / "secret.json")
    (folder / "openapi.json").write_text(json.dumps(referring("inside.json")))
    with pytest.raises(UnusableOperation, match="leads out of the folder"):
        Server.from_openapi(folder / "openapi.json", server_url=URL)


def test_an_address_is_fetched_with_its_parts_also_where_an_event_loop_runs(site: Site) -> None:
    site.documents["/v1/openapi.json"] = ("application/json", json.dumps(referring("parts/pet.yaml#/Pet")).encode())
    site.documents["/v1/parts/pet.yaml"] = ("text/plain", b"Pet: {type: object, properties: {name: {type: string}}}")

    async def within_a_loop() -> dict[str, Any]:
        return schema_of(f"{site.url}/v1/openapi.json")

    assert asyncio.run(within_a_loop())["$defs"] == {"Pet": PET}
    assert site.asked == ["/v1/openapi.json", "/v1/parts/pet.yaml"]


def test_a_description_from_the_web_reads_no_file_and_no_other_origin(site: Site, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"type": "object"}')
    for reference in (
        secret.as_uri(),
        "http://127.0.0.1:1/x.json",
        "https://127.0.0.1/x.json",
        "//other.example/x.json",
    ):
        site.documents["/openapi.json"] = ("application/json", json.dumps(referring(reference)).encode())
        with pytest.raises(UnusableOperation, match="leads out of http://127.0.0.1"):
            Server.from_openapi(f"{site.url}/openapi.json", server_url=URL)
    assert set(site.asked) == {"/openapi.json"}


def test_a_description_that_was_given_as_values_reads_nothing_at_all(tmp_path: Path) -> None:
    other = tmp_path / "x.json"
    other.write_text("{}")
    for reference in (other.as_uri(), "x.json", "http://127.0.0.1/x"):
        with pytest.raises(UnusableOperation, match="which was given without an address"):
            Server.from_openapi(referring(reference), server_url=URL)


def test_a_redirect_of_a_description_is_named_and_not_followed(site: Site) -> None:
    site.moved["/openapi.json"] = "http://169.254.169.254/latest"
    with pytest.raises(UnreadableDescription, match="leads on to http://169.254.169.254/latest, which is not followed"):
        Server.from_openapi(f"{site.url}/openapi.json", server_url=URL)
    with pytest.raises(UnreadableDescription, match="answers 404"):
        Server.from_openapi(f"{site.url}/nothing", server_url=URL)


def test_what_cannot_be_had_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnreadableDescription, match="nothing.json: No such file"):
        Server.from_openapi(tmp_path / "nothing.json")
    with pytest.raises(UnreadableDescription, match="cannot be fetched"):
        Server.from_openapi("http://127.0.0.1:9/openapi.json")
    with pytest.raises(UnreadableDescription, match="no name or password"):
        Server.from_openapi("https://user:secret@127.0.0.1/openapi.json")
    broken = tmp_path / "broken.json"
    broken.write_text('{"openapi": "3.1.1",\n "paths": }')
    with pytest.raises(UnreadableDescription, match="broken.json, line 2"):
        Server.from_openapi(broken)
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(UnreadableDescription, match="not in UTF-8"):
        Server.from_openapi(broken)
    broken.write_text("a: [")
    with pytest.raises(UnreadableDescription, match="broken.json, line"):
        Server.from_openapi(broken)
    with pytest.raises(UnreadableDescription, match="cannot be JSON"):
        Server.from_openapi({"openapi": object()})


def test_documents_have_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.json").write_text('{"type": "object"}')
    (tmp_path / "openapi.json").write_text(json.dumps(referring("a.json")))
    with monkeypatch.context() as patched:
        patched.setattr(documents_module, "MOST_FILES", 1)
        with pytest.raises(UnreadableDescription, match="more than 1 documents"):
            Server.from_openapi(tmp_path / "openapi.json", server_url=URL)
    with monkeypatch.context() as patched:
        patched.setattr("gatepost.openapi.reading.LARGEST_DOCUMENT", 20)
        with pytest.raises(UnreadableDescription, match="more than 20 bytes"):
            Server.from_openapi(tmp_path / "openapi.json", server_url=URL)


@pytest.mark.parametrize("reference", ["#/components/schemas/Nobody", "#anchor", "#/paths/~1call/get/operationId/x"])
def test_a_reference_to_nothing_names_its_operation(reference: str) -> None:
    with pytest.raises(UnusableOperation, match="GET /call: .*leads to nothing"):
        Server.from_openapi(referring(reference), server_url=URL)


def test_references_in_a_circle_end() -> None:
    circle = {"parameters": {"a": {"$ref": "#/components/parameters/b"}, "b": {"$ref": "#/components/parameters/a"}}}
    with pytest.raises(UnusableOperation, match="leads in a circle"):
        Server.from_openapi(
            one({"parameters": [{"$ref": "#/components/parameters/a"}]}, components=circle), server_url=URL
        )


@pytest.mark.parametrize(
    ("described", "sentence"),
    [
        ({"swagger": "2.0", "paths": {}}, "npx swagger2openapi"),
        ({"openapi": "2.1.0"}, "3.0 and 3.1 are read here"),
        ({"openapi": "3.2.0"}, "3.0 and 3.1 are read here"),
        ({"openapi": 3.1}, "does not begin with"),
        ({"asyncapi": "3.0.0"}, "does not begin with"),
    ],
)
def test_other_versions_are_refused_with_what_to_do(described: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UnsupportedVersion, match=sentence):
        Server.from_openapi(described)


@pytest.mark.parametrize(
    "described",
    [
        [],
        {"openapi": "3.1.1", "paths": []},
        {"openapi": "3.1.1", "paths": {"/a": []}},
        {"openapi": "3.1.1", "paths": {"/a": {"get": []}}},
        {"openapi": "3.1.1", "paths": {"/a": {"$ref": "#/openapi"}}},
        {"openapi": "3.1.1", "paths": {"/a": {"$ref": 5}}},
        {"openapi": "3.1.1"},
    ],
)
def test_what_is_no_description_is_an_error_of_its_own(tmp_path: Path, described: Any) -> None:
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(described))
    with pytest.raises(UnusableDescription):
        Server.from_openapi(path, server_url=URL)


def test_errors_of_references_are_told_apart() -> None:
    assert not issubclass(ForbiddenReference, UnresolvableReference)
