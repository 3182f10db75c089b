"""The revisions, as the specification has them."""

from __future__ import annotations

from dataclasses import asdict

from gatepost.protocol import versions
from gatepost.protocol.versions import ASSUMED, HANDSHAKE, LATEST_HANDSHAKE, MODERN, SUPPORTED

WHO_2025_03_26 = frozenset({"name", "version"})
WHO_2025_06_18 = frozenset({"name", "version", "title"})
WHO_2025_11_25 = frozenset({"name", "version", "title", "description", "icons", "websiteUrl"})


def test_each_revision_differs_in_what_it_says_it_does() -> None:
    assert [asdict(revision) for revision in (*MODERN.values(), *HANDSHAKE.values())] == [
        {
            "version": "2026-07-28",
            "implementation_fields": WHO_2025_11_25,
            "modern": True,
            "wrong_arguments_are_results": True,
            "primes_streams": False,
        },
        {
            "version": "2025-11-25",
            "implementation_fields": WHO_2025_11_25,
            "modern": False,
            "wrong_arguments_are_results": True,
            "primes_streams": True,
        },
        {
            "version": "2025-06-18",
            "implementation_fields": WHO_2025_06_18,
            "modern": False,
            "wrong_arguments_are_results": False,
            "primes_streams": False,
        },
        {
            "version": "2025-03-26",
            "implementation_fields": WHO_2025_03_26,
            "modern": False,
            "wrong_arguments_are_results": False,
            "primes_streams": False,
        },
    ]


def test_each_is_found_by_its_version() -> None:
    assert dict(MODERN) == {"2026-07-28": versions.REVISION_2026_07_28}
    assert dict(HANDSHAKE) == {
        "2025-11-25": versions.REVISION_2025_11_25,
        "2025-06-18": versions.REVISION_2025_06_18,
        "2025-03-26": versions.REVISION_2025_03_26,
    }
    assert SUPPORTED == ("2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26")


def test_what_is_assumed_is_the_last_revision_without_a_header_and_what_is_offered_the_newest() -> None:
    assert ASSUMED is versions.REVISION_2025_03_26
    assert LATEST_HANDSHAKE is versions.REVISION_2025_11_25
