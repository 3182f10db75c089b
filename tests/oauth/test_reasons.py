"""Reason codes: an operator searches the log for the name that the documentation gives."""

from gatepost.oauth.reasons import Reason


def test_each_code_is_its_name_and_names_one_reason() -> None:
    assert {reason.name: reason.value for reason in Reason} == {reason.name: reason.name.lower() for reason in Reason}
    assert list(Reason.__members__) == [reason.name for reason in Reason]
