from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path
from urllib.parse import quote

import pytest

from gatepost.web.pages.pictures import LARGEST, Picture, PictureRefused, picture_of, read_picture

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><path d="M0 0h1v1z"/></svg>'


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


PNG = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)) + chunk(b"IEND", b"")


def test_the_kind_is_seen_from_the_content(tmp_path: Path) -> None:
    (tmp_path / "logo.jpg").write_bytes(PNG)
    (tmp_path / "logo.png").write_bytes(SVG)
    assert read_picture(str(tmp_path / "logo.jpg")) == Picture(PNG, "image/png", ".png")
    assert read_picture(str(tmp_path / "logo.png")) == Picture(SVG, "image/svg+xml", ".svg")


@pytest.mark.parametrize(
    ("url", "picture"),
    [
        (f"data:image/png;base64,{base64.b64encode(PNG).decode()}", Picture(PNG, "image/png", ".png")),
        (f"data:image/svg+xml;base64,{base64.b64encode(SVG).decode()}", Picture(SVG, "image/svg+xml", ".svg")),
        (f"data:image/svg+xml,{quote(SVG)}", Picture(SVG, "image/svg+xml", ".svg")),
    ],
)
def test_a_picture_can_be_in_the_variable_itself(url: str, picture: Picture) -> None:
    assert read_picture(url) == picture


@pytest.mark.parametrize(
    "svg",
    [
        b'<?xml version="1.0" encoding="UTF-8"?>\n<!-- made by hand -->\n' + SVG,
        b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">' + SVG,
        b'<s:svg xmlns:s="http://www.w3.org/2000/svg"><s:style>s{fill:red}</s:style></s:svg>',
        b'<svg xmlns="http://www.w3.org/2000/svg"><a href="https://example.com"><text>on</text></a></svg>',
    ],
)
def test_what_drawing_programs_write_is_taken(svg: bytes) -> None:
    assert picture_of(svg).media_type == "image/svg+xml"


def svg_with(inside: str, attributes: str = "") -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}>{inside}</svg>'.encode()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is neither an SVG nor a PNG picture"),
        (b"GIF89a", "it is neither an SVG nor a PNG picture"),
        (b"<html><body>", "it is neither an SVG nor a PNG picture"),
        (b"<svg><path/></svg>", "it is neither an SVG nor a PNG picture"),
        (SVG[:-3], "it is an SVG that cannot be read: unclosed token: line 1, column 79"),
        (svg_with("<script>alert(1)</script>"), "it is an SVG that does more than be looked at: see its <script>"),
        (svg_with("<SCRIPT/>"), "it is an SVG that does more than be looked at: see its <script>"),
        (
            svg_with('<h:script xmlns:h="http://www.w3.org/1999/xhtml"/>'),
            "it is an SVG that does more than be looked at: see its <script>",
        ),
        (svg_with("<foreignObject/>"), "it is an SVG that does more than be looked at: see its <foreignobject>"),
        (svg_with("", 'onload="alert(1)"'), "it is an SVG that does more than be looked at: see its <svg>"),
        (svg_with('<a href="java\nscript:alert(1)"/>'), "it is an SVG that does more than be looked at: see its <a>"),
        (b'<!DOCTYPE svg [<!ENTITY a "b">]>' + SVG, "it is an SVG that declares entities"),
        (SVG.ljust(LARGEST + 1), "it is larger than 256 KiB"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_the_reason(content: bytes, why: str) -> None:
    with pytest.raises(PictureRefused) as refused:
        picture_of(content)
    assert str(refused.value) == why


def test_where_there_is_no_picture_is_said(tmp_path: Path) -> None:
    with pytest.raises(PictureRefused, match="missing.svg cannot be read: No such file or directory"):
        read_picture(str(tmp_path / "missing.svg"))
    with pytest.raises(PictureRefused, match="cannot be read: Is a directory"):
        read_picture(str(tmp_path))
    with pytest.raises(PictureRefused, match="is not Base64"):
        read_picture("data:image/png;base64,%%%")
    with pytest.raises(PictureRefused, match="cannot be read"):
        read_picture("data:text/html,<p>")
