"""Pictures that an operator gives, such as a logo: which kind they are is seen from what is in them.

Browsers show them as `<img>`, where no script of an SVG runs. It is a document of ours all the same when somebody opens
its address, so what could do something there is refused at the start.
"""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from gatepost.late_dataclass import dataclass

LARGEST: Final = 256 * 1024
"""Bytes."""
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_DATA: Final = re.compile(r"data:image/(?:png|svg\+xml)(?P<base64>;base64)?,(?P<content>.*)", re.DOTALL)
_SVG: Final = "http://www.w3.org/2000/svg svg"
_ACTIVE: Final = frozenset({"script", "foreignobject", "handler", "iframe"})


class PictureRefused(ValueError):
    """It cannot be shown; the message says why."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that can be served."""

    content: bytes
    media_type: str
    suffix: str
    """Of its file name, with the dot."""


def read_picture(given: str) -> Picture:
    """Return the picture at a path, or of a `data:` URL.

    Raises:
        PictureRefused: there is none, it is too large, it is neither SVG nor PNG, or it does more than be looked at.
    """
    match = _DATA.fullmatch(given)
    if match is None:
        try:
            with Path(given).expanduser().open("rb") as file:
                return picture_of(file.read(LARGEST + 1))
        except OSError as error:
            raise PictureRefused(f"{given} cannot be read: {error.strerror or type(error).__name__}") from None
    try:
        encoded = match["content"]
        return picture_of(base64.b64decode(encoded, validate=True) if match["base64"] else unquote_to_bytes(encoded))
    except binascii.Error:
        raise PictureRefused("what follows base64, in the data: URL is not Base64") from None


def picture_of(content: bytes) -> Picture:
    """Return the picture that `content` is.

    Raises:
        PictureRefused: as `read_picture`.
    """
    if len(content) > LARGEST:
        raise PictureRefused(f"it is larger than {LARGEST // 1024} KiB")
    if content.startswith(_PNG):
        return Picture(content, "image/png", ".png")
    _check_svg(content)
    return Picture(content, "image/svg+xml", ".svg")


def _check_svg(content: bytes) -> None:
    from xml.parsers import expat  # noqa: PLC0415 - only where there is a picture of the operator's

    elements: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if not elements and name != _SVG:
            raise PictureRefused("it is neither an SVG nor a PNG picture")
        elements.append(name)
        local = name.rpartition(" ")[2].lower()
        if local in _ACTIVE or any(_is_active(*attribute) for attribute in attributes.items()):
            raise PictureRefused(f"it is an SVG that does more than be looked at: see its <{local}>")

    def declare(*_: Any) -> None:
        raise PictureRefused("it is an SVG that declares entities")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.EntityDeclHandler = declare
    try:
        parser.Parse(content, True)  # noqa: FBT003 - pyexpat takes it by its place
    except expat.ExpatError as error:
        if not elements:
            raise PictureRefused("it is neither an SVG nor a PNG picture") from None
        raise PictureRefused(f"it is an SVG that cannot be read: {error}") from None


def _is_active(name: str, value: str) -> bool:
    local = name.rpartition(" ")[2].lower()
    return local.startswith("on") or "javascript:" in re.sub(r"\s", "", value).lower()
