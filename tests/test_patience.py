"""A test that waits for what never comes fails, and does not hang."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import patience


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LONGEST_TEST", 0)


async def forever() -> None:
    await asyncio.Event().wait()


@given(st.none())
async def forever_with_examples(_example: None) -> None:
    await asyncio.Event().wait()


def collected(function: Any, request: pytest.FixtureRequest) -> Any:
    test = pytest.Function.from_parent(request.node.parent, name="forever", callobj=function)
    request.config.hook.pytest_itemcollected(item=test)
    return test.obj


def test_an_async_test_that_waits_for_ever_fails(request: pytest.FixtureRequest) -> None:
    with pytest.raises(TimeoutError):
        asyncio.run(collected(forever, request)())


def test_so_does_each_example_of_one_with_examples_however_often_it_is_collected(
    request: pytest.FixtureRequest,
) -> None:
    once = collected(forever_with_examples, request).hypothesis.inner_test
    again = collected(forever_with_examples, request).hypothesis.inner_test
    assert again is once
    with pytest.raises(TimeoutError):
        asyncio.run(once(None))
