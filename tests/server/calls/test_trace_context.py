"""What of a trace context is as the specifications have it, and how little work it is to judge it."""

from __future__ import annotations

import pytest

from gatepost.server.calls.trace_context import well_formed

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    "state",
    ["a=b", "a=b,c=d", "a=b , c=d\t,,", "a=b c", "1/x@y=!", ",".join(f"k{number}=v" for number in range(32)), " , "],
)
def test_a_tracestate_of_the_specification_is_kept_as_it_is(state: str) -> None:
    assert well_formed({"traceparent": TRACEPARENT, "tracestate": state}) == {
        "traceparent": TRACEPARENT,
        "tracestate": state,
    }


@pytest.mark.parametrize(
    "state",
    ["", "a", "A=b", "a=", "a=b\nc=d", "a=b,\xa0", ",".join(f"k{number}=v" for number in range(33))],
)
def test_another_tracestate_is_passed_over(state: str) -> None:
    assert well_formed({"traceparent": TRACEPARENT, "tracestate": state}) == {"traceparent": TRACEPARENT}


def test_a_blank_list_with_a_fault_at_its_end_is_judged_at_once() -> None:
    state = "  ,  " * 16 + "!"
    assert well_formed({"traceparent": TRACEPARENT, "tracestate": state}) == {"traceparent": TRACEPARENT}


def test_no_more_members_of_a_tracestate_are_judged_than_a_list_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[str] = []

    class Counting:
        @staticmethod
        def fullmatch(member: str) -> bool:
            judged.append(member)
            return True

    monkeypatch.setattr("gatepost.server.calls.trace_context._MEMBER", Counting)
    well_formed({"traceparent": TRACEPARENT, "tracestate": ",".join(["a=b"] * 32)})
    assert judged == ["a=b"] * 32
    judged.clear()
    well_formed({"traceparent": TRACEPARENT, "tracestate": ",".join(["a=b"] * 100)})
    well_formed({"traceparent": TRACEPARENT, "tracestate": " \t," * 31})
    assert judged == []


def test_of_blanks_in_a_row_in_baggage_one_is_left() -> None:
    assert well_formed({"baggage": "a=1" + " \t" * 100 + ", b=2;c" + " " * 100}) == {"baggage": "a=1 , b=2;c"}


@pytest.mark.parametrize("baggage", ["", "a=\u00e9", "a=1\n", "a" * 8193])
def test_other_baggage_is_passed_over(baggage: str) -> None:
    assert well_formed({"baggage": baggage}) == {}
