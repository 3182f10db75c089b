"""Conversations with tool uses and their results."""

from __future__ import annotations

from typing import Any

import pytest

from gatepost.server.calls.client_requests import Sample

HELLO = {"role": "user", "content": {"type": "text", "text": "Hi"}}


def uses(*names: str) -> dict[str, Any]:
    blocks = [{"type": "tool_use", "id": name, "name": "look", "input": {}} for name in names]
    return {"role": "assistant", "content": [{"type": "text", "text": "Let me look."}, *blocks]}


def results(*names: str, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": [{"type": "tool_result", "toolUseId": name, "content": []} for name in names]}


ALONE = {"role": "user", "content": {"type": "tool_result", "toolUseId": "a", "content": []}}
MIXED = {"role": "user", "content": [*results("a")["content"], {"type": "text", "text": "and this"}]}


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [HELLO],
        [HELLO, uses("a"), results("a")],
        [HELLO, uses("a"), ALONE, uses("b", "c"), results("c", "b"), HELLO],
        [HELLO, "odd", {"role": "user", "content": ["odd"]}],
    ],
)
def test_tool_uses_that_are_met_with_their_results_are_sent(messages: list[Any]) -> None:
    assert Sample(messages).params()["messages"] == messages


@pytest.mark.parametrize(
    "messages",
    [
        [HELLO, uses("a")],
        [HELLO, uses("a"), HELLO, results("a")],
        [HELLO, uses("a", "b"), results("a")],
        [HELLO, uses("a"), results("b")],
        [HELLO, uses("a"), results("a", "a")],
        [HELLO, results("a")],
        [HELLO, uses("a"), results("a", role="assistant")],
        [HELLO, uses("a"), MIXED],
    ],
)
def test_a_tool_use_without_its_result_and_a_result_beside_other_content_are_refused(messages: list[Any]) -> None:
    with pytest.raises(ValueError, match="tool"):
        Sample(messages).params()
