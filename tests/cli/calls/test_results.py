"""Results as `gatepost call` shows and saves them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from gatepost.cli.calls.results import Shown
from gatepost.cli.terminal import CommandRefused

PNG = base64.b64encode(b"\x89PNG....").decode()


def shown(*content: Any, structured: Any = None, name: str = "draw", folder: Path | None = None) -> list[str]:
    return Shown(name, folder).result(CallToolResult(content=[*content], structured_content=structured))


def text(said: str) -> TextContent:
    return TextContent(text=said)


def test_text_is_plain_and_moves_no_cursor() -> None:
    assert shown(text("one\r\ntwo\tthree"), text("\x1b]0;title\x07 \u202ex")) == [
        "one\ntwo\tthree",
        "\ufffd]0;title\ufffd \ufffdx",
    ]


def test_structured_content_is_indented_json_and_said_once() -> None:
    assert shown(text('{"sum":3}'), structured={"sum": 3}) == ['{\n  "sum": 3\n}']
    assert shown(text("It is three."), structured={"sum": 3}) == ["It is three.", '{\n  "sum": 3\n}']


def test_a_value_that_was_wrapped_for_the_protocol_is_shown_as_the_text_has_it() -> None:
    assert shown(text("3"), structured={"result": 3}) == ["3"]
    assert shown(text("milk"), structured={"result": "milk"}) == ["milk"]
    assert shown(structured={"result": 3}) == ['{\n  "result": 3\n}']


def test_what_is_no_text_is_named_with_its_size() -> None:
    blob = BlobResourceContents(uri="file:///a.zip", mime_type="application/zip", blob=PNG)
    assert shown(
        ImageContent(data=PNG, mime_type="image/png"),
        AudioContent(data="*", mime_type="audio/wav"),
        EmbeddedResource(resource=blob),
        EmbeddedResource(resource=TextResourceContents(uri="file:///a.txt", text="inside")),
        ResourceLink(name="notes", uri="notes://all"),
    ) == [
        "[image: image/png, 8 bytes; --save FOLDER keeps it]",
        "[audio: audio/wav, which is not base64]",
        "[file:///a.zip: application/zip, 8 bytes; --save FOLDER keeps it]",
        "inside",
        "[link: notes notes://all]",
    ]


def test_it_is_saved_under_names_of_our_own_and_replaces_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    image = ImageContent(data=PNG, mime_type="image/png")
    assert shown(image, image, name="../draw/me", folder=folder) == [
        f"[image: image/png, 8 bytes, saved as {folder}/draw-me-1.png]",
        f"[image: image/png, 8 bytes, saved as {folder}/draw-me-2.png]",
    ]
    odd = ImageContent(data=PNG, mime_type="image/../../x")
    assert shown(odd, name="…", folder=folder) == [f"[image: image/../../x, 8 bytes, saved as {folder}/result-1.bin]"]
    assert sorted(path.name for path in folder.iterdir()) == ["draw-me-1.png", "draw-me-2.png", "result-1.bin"]
    assert (folder / "draw-me-1.png").read_bytes() == b"\x89PNG...."


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandRefused, match="Nothing can be saved in"):
        shown(ImageContent(data=PNG, mime_type="image/png"), folder=tmp_path / "file" / "x")
