from __future__ import annotations

import pytest

from gatepost.protocol import eras
from gatepost.protocol.errors import UnsupportedProtocolVersion
from gatepost.protocol.messages import Request
from gatepost.protocol.modern import PROTOCOL_VERSION
from gatepost.protocol.versions import (
    REVISION_2025_03_26,
    REVISION_2025_06_18,
    REVISION_2026_07_28,
    SUPPORTED,
    Revision,
)


@pytest.mark.parametrize(
    ("header", "version"),
    [
        (None, None),
        (b"2026-07-28", "2026-07-28"),
        (b"2025-03-26", "2025-03-26"),
        (b" 2025-11-25 ", "2025-11-25"),
        (b"v999", "v999"),
        (b"", ""),
        (b"\xff\xfe", ""),
    ],
)
def test_the_version_header_is_read(header: bytes | None, version: str | None) -> None:
    assert eras.version_in_header(header) == version


@pytest.mark.parametrize(
    ("version", "header", "method", "is_modern"),
    [
        ("2026-07-28", "2026-07-28", "tools/list", True),
        ("2026-07-28", None, "tools/list", True),
        ("2026-07-28", "2025-11-25", "tools/list", True),
        ("2026-07-28", None, "initialize", True),
        ("v999", "v999", "tools/list", True),
        ("v999", None, "initialize", True),
        (5, None, "tools/list", True),
        (["2025-11-25"], None, "tools/list", True),
        ({}, None, "tools/list", True),
        ("2025-11-25", "2026-07-28", "tools/list", True),
        ("2025-11-25", "2025-11-25", "tools/list", False),
        ("2025-11-25", None, "initialize", False),
        (None, "2026-07-28", "tools/list", True),
        (None, "2026-07-28", "initialize", False),
        (None, "2025-11-25", "tools/list", False),
        (None, "v999", "tools/list", False),
        (None, None, "tools/list", False),
        (None, None, "initialize", False),
    ],
)
def test_the_era_follows_from_metadata_header_and_method(
    version: object, header: str | None, method: str, *, is_modern: bool
) -> None:
    params = {} if version is None else {"_meta": {PROTOCOL_VERSION: version}}

    assert eras.is_modern(Request(1, method, params), header) is is_modern


@pytest.mark.parametrize("meta", ["text", [], 5, None, {}])
def test_metadata_of_another_shape_names_no_version(meta: object) -> None:
    assert eras.is_modern(Request(1, "tools/list", {"_meta": meta}), None) is False


@pytest.mark.parametrize(
    ("header", "revision"),
    [
        (None, REVISION_2025_03_26),
        ("2025-06-18", REVISION_2025_06_18),
        ("2026-07-28", REVISION_2026_07_28),
    ],
)
def test_the_header_alone_decides_about_messages_without_an_answer(header: str | None, revision: Revision) -> None:
    assert eras.revision_of_one_way(header) is revision


@pytest.mark.parametrize("header", ["", "v999", "2024-11-05"])
def test_a_message_in_an_unknown_revision_is_refused(header: str) -> None:
    with pytest.raises(UnsupportedProtocolVersion) as caught:
        eras.revision_of_one_way(header)

    assert caught.value.data == {"supported": list(SUPPORTED), "requested": header}
