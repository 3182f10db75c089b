from __future__ import annotations

from typing import Any

import pytest

from gatepost.server.declared.revisions import definition_in, result_in

REVISIONS = ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28", "2027-01-01"]
OBJECT: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "integer"}}}
INPUT: dict[str, Any] = {"type": "object", "properties": {}}
TEXT = [{"type": "text", "text": "x"}]


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_plain_definition_is_the_same_in_every_revision(revision: str) -> None:
    definition = {"name": "a", "description": "A.", "inputSchema": INPUT, "annotations": {"readOnlyHint": True}}
    assert definition_in(revision, definition) is definition


def test_each_revision_gets_the_members_it_knows() -> None:
    definition = {"name": "a", "title": "A", "inputSchema": INPUT, "outputSchema": OBJECT, "icons": [{"src": "x"}]}
    assert {revision: definition_in(revision, definition).keys() for revision in REVISIONS} == {
        "2025-03-26": {"name", "inputSchema", "annotations"},
        "2025-06-18": {"name", "title", "inputSchema", "outputSchema"},
        "2025-11-25": {"name", "title", "inputSchema", "outputSchema", "icons"},
        "2026-07-28": {"name", "title", "inputSchema", "outputSchema", "icons"},
        "2027-01-01": {"name", "title", "inputSchema", "outputSchema", "icons"},
    }


def test_the_oldest_revision_gets_the_title_where_it_has_a_place_for_it() -> None:
    definition = {"name": "a", "title": "A", "inputSchema": INPUT}
    assert definition_in("2025-03-26", definition)["annotations"] == {"title": "A"}
    assert definition_in("2025-03-26", {**definition, "annotations": {"title": "B", "readOnlyHint": True}}) == {
        "name": "a",
        "inputSchema": INPUT,
        "annotations": {"title": "B", "readOnlyHint": True},
    }


def test_the_oldest_revision_has_no_place_for_the_title_of_a_resource() -> None:
    definition = {"uri": "notes://x", "name": "x", "title": "X", "annotations": {"priority": 1}}
    assert definition_in("2025-03-26", definition) == {
        "uri": "notes://x",
        "name": "x",
        "annotations": {"priority": 1},
    }
    assert definition_in("2025-06-18", definition) is definition


@pytest.mark.parametrize("schema", [{"type": "array"}, {"anyOf": [OBJECT, {"type": "null"}]}])
def test_an_output_schema_that_is_no_object_is_for_the_newest_revision_only(schema: dict[str, Any]) -> None:
    definition = {"name": "a", "inputSchema": INPUT, "outputSchema": schema}
    assert {revision: "outputSchema" in definition_in(revision, definition) for revision in REVISIONS} == {
        "2025-03-26": False,
        "2025-06-18": False,
        "2025-11-25": False,
        "2026-07-28": True,
        "2027-01-01": True,
    }


def test_a_text_result_is_the_same_in_every_revision() -> None:
    result = {"content": TEXT, "isError": False}
    assert [result_in(revision, result) for revision in REVISIONS] == [result] * len(REVISIONS)
    assert result_in("2025-06-18", result) is result


@pytest.mark.parametrize(
    ("structured", "getting_it"),
    [({"a": 1}, REVISIONS[1:]), ([1], REVISIONS[3:]), (None, REVISIONS[3:]), ("x", REVISIONS[3:])],
)
def test_structured_content_goes_to_the_revisions_that_can_carry_it(structured: Any, getting_it: list[str]) -> None:
    result = {"content": TEXT, "structuredContent": structured, "isError": False}
    for revision in REVISIONS:
        expected = result if revision in getting_it else {"content": TEXT, "isError": False}
        assert result_in(revision, result) == expected


def test_a_link_becomes_a_text_where_links_are_unknown() -> None:
    link = {"type": "resource_link", "uri": "file:///a", "name": "a"}
    result = {"content": [*TEXT, link, {**link, "title": "A"}], "isError": False}
    assert result_in("2025-06-18", result) is result
    assert result_in("2025-03-26", result) == {
        "content": [*TEXT, {"type": "text", "text": "a: file:///a"}, {"type": "text", "text": "A: file:///a"}],
        "isError": False,
    }
