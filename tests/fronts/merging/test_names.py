"""Entries of lists under other names: nothing else of them changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.fronts.merging.lists import with_name

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["name", "title", "a"]), inner),
    max_leaves=8,
)


@given(st.text(), st.dictionaries(st.sampled_from(["title", "inputSchema", "name2"]), VALUES), st.booleans())
def test_the_name_is_another_one_and_all_else_is_the_same(name: str, others: dict[str, Any], is_first: bool) -> None:
    entry = {"name": name, **others} if is_first else {**others, "name": name}
    for spelled in (json.dumps(entry), json.dumps(entry, ensure_ascii=False), json.dumps(entry, separators=(",", ":"))):
        renamed = with_name(spelled, name, "hub_" + name)

        assert json.loads(renamed) == {**entry, "name": "hub_" + name}


@pytest.mark.parametrize(
    ("spelled", "expected"),
    [
        (
            '{ "name" : "a", "own": 1.0, "b":"say \\"name\\": 1"}',
            '{ "name" : "hub_a", "own": 1.0, "b":"say \\"name\\": 1"}',
        ),
        ('{"own":1E2,"name":"a"}', '{"own":1E2,"name":"hub_a"}'),
        ('{"name":"a","inputSchema":{"name":"a"}}', '{"name":"hub_a","inputSchema":{"name":"a"}}'),
        ('{"n\\u0061me":"a","x":{"name":"a"}}', '{"name":"hub_a","x":{"name":"a"}}'),
        ('{"name":"\\u0061"}', '{"name":"hub_a"}'),
    ],
)
def test_what_is_spelled_otherwise_stays_so(spelled: str, expected: str) -> None:
    assert with_name(spelled, "a", "hub_a") == expected


@pytest.mark.parametrize(
    "spelled", ['{"name":"a","x":1,"name":"a"}', '{"name":"b","name":"a"}', '{"name":"a","n\\u0061me":"a"}']
)
def test_an_entry_that_has_two_names_is_none(spelled: str) -> None:
    # A client that takes the other one would take it for a tool of another server.
    with pytest.raises(ValueError):  # noqa: PT011 - that it is refused is all
        with_name(spelled, "a", "hub_a")
