import pytest

from gatepost.oauth.policy import AuthorizationServer, AutoApprove, Lifetimes


@pytest.mark.parametrize(
    ("auto_approve", "on_loopback", "elsewhere"),
    [
        (AutoApprove.NEVER, False, False),
        (AutoApprove.LOOPBACK_REDIRECTS, True, False),
        (AutoApprove.ALWAYS, True, True),
    ],
)
def test_consent_is_skipped_only_where_the_operator_said_so(
    auto_approve: AutoApprove, *, on_loopback: bool, elsewhere: bool
) -> None:
    rules = AuthorizationServer("https://mcp.example.com", Lifetimes(), auto_approve=auto_approve)
    assert rules.skips_consent(to_loopback=True) is on_loopback
    assert rules.skips_consent(to_loopback=False) is elsewhere


def test_consent_is_asked_by_default() -> None:
    assert AuthorizationServer("https://mcp.example.com", Lifetimes()).auto_approve is AutoApprove.NEVER
