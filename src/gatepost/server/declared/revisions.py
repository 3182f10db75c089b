"""Protocol revisions: what each knows of tools and their results (MCP, schema of each revision).

               title  icons  outputSchema   structuredContent  resource links
    2025-03-26   -      -         -                 -                 -
    2025-06-18  yes     -    objects only     objects only           yes
    2025-11-25  yes    yes   objects only     objects only           yes
    2026-07-28  yes    yes       any               any               yes

Revisions are dates, so they compare as text; one that is newer than these gets what the newest gets.
"""

from __future__ import annotations

from typing import Any, Final

STRUCTURED_SINCE: Final = "2025-06-18"
"""Titles, output schemas, structured content, resource links and `_meta` of what is listed."""
ICONS_SINCE: Final = "2025-11-25"
ANY_JSON_SINCE: Final = "2026-07-28"
"""Output schemas and structured content of any type, not of objects only."""


def definition_in(revision: str, definition: dict[str, Any]) -> dict[str, Any]:
    """Return a tool, resource, template or prompt as `revision` lists it; `definition` itself when that is whole."""
    if revision >= ANY_JSON_SINCE:
        return definition
    unknown: set[str] = set()
    if definition.get("outputSchema", {}).get("type") != "object":
        unknown.add("outputSchema")
    if revision < ICONS_SINCE:
        unknown.add("icons")
    if revision < STRUCTURED_SINCE:
        unknown |= {"title", "outputSchema", "_meta"}
    if unknown.isdisjoint(definition):
        return definition
    kept = {key: value for key, value in definition.items() if key not in unknown}
    if "title" in unknown & definition.keys() and "inputSchema" in definition:
        # In the oldest revision the annotations of tools have a place for it.
        kept["annotations"] = {"title": definition["title"], **definition.get("annotations", {})}
    return kept


def result_in(revision: str, result: dict[str, Any]) -> dict[str, Any]:
    """Return a tool result without what `revision` does not know; `result` itself when it knows all of it.

    Nothing is lost to the reader: structured content is in the text, too, and a link becomes a text that names it.
    """
    if revision >= ANY_JSON_SINCE:
        return result
    if revision >= STRUCTURED_SINCE:
        if isinstance(result.get("structuredContent", {}), dict):
            return result
        return {key: value for key, value in result.items() if key != "structuredContent"}
    kept = {key: value for key, value in result.items() if key != "structuredContent"}
    kept["content"] = [_without_link(block) for block in result["content"]]
    return kept


def message_in(revision: str, message: dict[str, Any]) -> dict[str, Any]:
    """Return a prompt's message without what `revision` does not know: a link becomes a text that names it."""
    return message if revision >= STRUCTURED_SINCE else {**message, "content": _without_link(message["content"])}


def _without_link(block: dict[str, Any]) -> dict[str, Any]:
    if block["type"] != "resource_link":
        return block
    return {"type": "text", "text": f"{block.get('title') or block['name']}: {block['uri']}"}
