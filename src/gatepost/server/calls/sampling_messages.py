"""Messages for a client's model: each tool use is met with its result (client/sampling, "Tool Use and Result Balance").

Clients and the services behind them refuse conversations that are not so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def check_tool_results(messages: Sequence[Any]) -> None:
    """Check a conversation in the shape of the wire.

    Raises:
        ValueError: a tool use is not met with its result in the next message, or a result answers none, or it stands
            beside something else.
    """
    asked: list[str] = []
    for message in messages:
        blocks = list(_blocks(message))
        results = [str(block.get("toolUseId")) for block in blocks if block.get("type") == "tool_result"]
        if results and (_role(message) != "user" or len(results) != len(blocks)):
            raise ValueError("a sampling message with tool results is the user's and holds nothing else")
        if sorted(results) != sorted(asked):
            raise ValueError("each tool use of a sampling message is met with its result in the next one")
        asked = [str(block.get("id")) for block in blocks if block.get("type") == "tool_use"]
    if asked:
        raise ValueError("each tool use of a sampling message is met with its result in the next one")


def _blocks(message: Any) -> Iterator[Mapping[str, Any]]:
    content = message.get("content") if isinstance(message, Mapping) else None
    for block in content if isinstance(content, list) else [content]:
        yield block if isinstance(block, Mapping) else {}


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, Mapping) else None
