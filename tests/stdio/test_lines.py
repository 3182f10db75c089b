"""Lines, and none held beyond the limit."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.stdio.streams import LineSplitter


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=5))
def test_lines_do_not_depend_on_how_the_bytes_come(data: bytes, cuts: list[int]) -> None:
    splitter = LineSplitter(limit=8)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    found = [
        line for start, end in itertools.pairwise(places) for line in splitter.feed(data[start:end])
    ] + splitter.end()
    expected = [line if len(line) <= 8 else None for line in data.split(b"\n")]
    assert found == (expected if expected[-1] != b"" else expected[:-1])


def test_a_line_beyond_the_limit_is_told_at_once_and_not_kept() -> None:
    splitter = LineSplitter(limit=4)
    assert splitter.feed(b"12345") == [None]
    assert splitter.feed(b"6" * 1000) == []
    assert len(splitter._begun) == 0
    assert splitter.feed(b"7\nok\n") == [b"ok"]


@pytest.mark.parametrize(("rest", "lines"), [(b"", []), (b"last", [b"last"])])
def test_what_stands_behind_the_last_newline_counts(rest: bytes, lines: list[bytes]) -> None:
    splitter = LineSplitter()
    splitter.feed(b"first\n" + rest)
    assert splitter.end() == lines
