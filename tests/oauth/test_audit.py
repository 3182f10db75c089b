"""What is an event, and in which order events stand."""

import pytest

from gatepost.oauth.audit import REFUSALS, AuditEvent, Outcome, event_id
from gatepost.oauth.reasons import Reason


def test_an_event_id_sorts_by_second_and_microsecond() -> None:
    ids = [
        event_id(at=at, microsecond=microsecond, random=random)
        for at, microsecond, random in (
            (1_800_000_000, 0, b"\xff" * 6),
            (1_800_000_000, 15, b"\xff" * 6),
            (1_800_000_000, 16, bytes(6)),
            (1_800_000_000, 999_999, b"\xff" * 6),
            (1_800_000_001, 0, bytes(6)),
            (17_179_869_184, 0, bytes(6)),
        )
    ]
    assert ids == sorted(ids)
    assert ids[2] == "006b49d200000010000000000000"
    assert {len(one) for one in ids} == {28}


def test_each_event_and_outcome_is_its_name() -> None:
    assert [event.value for event in (*AuditEvent, *Outcome)] == [
        event.name.lower() for event in (*AuditEvent, *Outcome)
    ]


def test_the_refusals_that_hint_at_an_attack_are_events() -> None:
    by_event: dict[AuditEvent, set[Reason]] = {}
    for reason, event in REFUSALS.items():
        by_event.setdefault(event, set()).add(reason)
    assert by_event == {
        AuditEvent.CLIENT_AUTHENTICATION: {
            Reason.CLIENT_AUTHENTICATION_FAILED,
            Reason.CLIENT_AUTHENTICATION_METHOD_WRONG,
            Reason.CLIENT_ASSERTION_INVALID,
            Reason.CLIENT_ASSERTION_AUDIENCE_WRONG,
            Reason.CLIENT_ASSERTION_REPLAYED,
            Reason.CLIENT_DISABLED,
        },
        AuditEvent.PROOF_OF_POSSESSION: {Reason.DPOP_PROOF_REPLAYED, Reason.DPOP_KEY_WRONG},
        AuditEvent.GRANT_ASSERTION: {
            Reason.GRANT_ASSERTION_INVALID,
            Reason.GRANT_ASSERTION_ISSUER_UNKNOWN,
            Reason.GRANT_ASSERTION_AUDIENCE_WRONG,
            Reason.GRANT_ASSERTION_OF_ANOTHER_CLIENT,
            Reason.GRANT_ASSERTION_REPLAYED,
            Reason.WORKLOAD_NOT_ALLOWED,
        },
        AuditEvent.CODE_REDEMPTION: {
            Reason.CODE_REPLAYED,
            Reason.CODE_OF_ANOTHER_CLIENT,
            Reason.CODE_REDIRECT_URI_MISMATCH,
            Reason.CODE_VERIFIER_WRONG,
            Reason.CODE_ATTEMPTS_EXHAUSTED,
        },
        AuditEvent.DEVICE_LOGIN: {Reason.DEVICE_CODE_REPLAYED, Reason.DEVICE_CODE_OF_ANOTHER_CLIENT},
        AuditEvent.TOKEN_EXCHANGE: {
            Reason.SUBJECT_TOKEN_OF_ANOTHER_RESOURCE,
            Reason.ACTOR_TOKEN_INVALID,
            Reason.EXCHANGE_TARGET_NOT_ALLOWED,
        },
        AuditEvent.REFRESH: {
            Reason.REFRESH_TOKEN_REUSED,
            Reason.REFRESH_TOKEN_OF_ANOTHER_CLIENT,
            Reason.GRANT_REVOKED,
            Reason.USER_DISABLED,
            Reason.USER_NOT_ALLOWED,
            Reason.ROLES_PERMIT_NOTHING,
        },
    }


def test_an_event_of_a_newer_version_is_called_by_its_code_and_is_none_of_ours() -> None:
    """Servers of two versions may share a store, and a server may go back to the version before."""
    event = AuditEvent("of_tomorrow")

    assert (event, event.value, str(event), event.name) == ("of_tomorrow", "of_tomorrow", "of_tomorrow", "OF_TOMORROW")
    assert isinstance(event, AuditEvent)
    assert event == AuditEvent("of_tomorrow")
    assert "of_tomorrow" not in [known.value for known in AuditEvent]
    assert AuditEvent("login") is AuditEvent.LOGIN
    with pytest.raises(ValueError, match="5 is not a valid"):
        AuditEvent(5)  # type: ignore[arg-type] # what no column of text holds
