from __future__ import annotations

import contextvars
import logging
from dataclasses import replace
from typing import Any, assert_type, cast

import pytest
from starlette.requests import Request

from gatepost.resource.principal import Principal
from gatepost.resource.profile import Profile
from gatepost.server.calls.callers import CallingClient, CallingUser
from gatepost.server.calls.context import Context
from gatepost.server.calls.current_caller import get_current_sub, set_current_subject
from gatepost.server.calls.exchange import Exchange
from gatepost.server.errors import UnknownState


def test_user_client_and_scopes_are_those_of_the_token(principal: Principal) -> None:
    context = Context(Exchange(principal))
    assert context.user == CallingUser(subject="alice", display_name="Alice Example")
    assert context.client == CallingClient(client_id="gp_client", name="Inspector")
    assert context.scopes == {"notes:read", "notes:write"}


def test_what_the_issuer_says_of_the_person_is_read_from_the_token_s_look_up(principal: Principal) -> None:
    said = Profile("ada@example.com", email_verified=True, groups=("staff",), claims={"locale": "de", "roles": [1]})
    user = Context(Exchange(replace(principal, user_issuer="https://idp.example", profile=said.to_text()))).user
    assert (user.issuer, user.name) == ("https://idp.example", "Alice Example")
    assert (user.email, user.email_verified, user.groups, user.claims) == (
        said.email,
        said.email_verified,
        said.groups,
        said.claims,
    )
    cast("dict[str, object]", user.claims)["roles"] = "changed by a tool"
    assert user.claims == said.claims
    assert "ada@" not in repr(user)


def test_of_somebody_whom_no_issuer_vouches_for_nothing_is_said(principal: Principal) -> None:
    for user in (Context().user, Context(Exchange(principal)).user):
        assert (user.issuer, user.email, user.email_verified, user.groups, user.claims) == (None, None, False, (), {})
    assert Context().user.name == "anonymous"


def test_without_authentication_the_user_is_anonymous_and_has_no_scopes() -> None:
    context = Context()
    assert context.user == CallingUser(subject="anonymous", display_name=None)
    assert context.client == CallingClient(client_id=None, name=None)
    assert context.scopes == frozenset()


def test_the_request_is_built_once_and_only_when_asked_for() -> None:
    built: list[Request] = []

    class Built(Exchange):
        def http_request(self) -> Request:
            built.append(Request({"type": "http", "headers": [(b"x-name", b"value")]}))
            return built[-1]

    context = Context(Built())
    assert built == []
    assert context.request.headers["x-name"] == "value"
    assert context.request is context.request
    assert len(built) == 1


def test_a_call_without_a_request_says_so() -> None:
    with pytest.raises(RuntimeError, match="did not come with a request"):
        _ = Context().request


def test_state_is_typed_and_checked() -> None:
    context = Context(state={"count": 3, "names": {"a": 1}})
    assert_type(context.state("count", int), int)
    assert_type(context.state("names", dict[str, int]), dict[str, int])
    assert_type(context.state("count"), Any)
    assert context.state("count", int) == 3
    assert context.state("names", dict[str, int]) == {"a": 1}
    assert context.state("count") == 3


def test_state_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match=r"the state 'count' is of type int, not <class 'str'>"):
        Context(state={"count": 3}).state("count", str)


def test_unknown_state_names_the_known_keys() -> None:
    with pytest.raises(UnknownState) as raised:
        Context(state={"b": 1, "a": 2}).state("c", int)
    assert str(raised.value) == "there is no state 'c'; known keys: a, b"


def test_unknown_state_of_a_server_without_a_lifespan_says_so() -> None:
    with pytest.raises(KeyError) as raised:
        Context().state("c")
    assert str(raised.value) == "there is no state 'c'; known keys: none: the server's lifespan yielded nothing"


def test_log_records_carry_who_calls_what(principal: Principal, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="gatepost.tools")
    context = Context(Exchange(principal), tool="add")
    context.log.info("kept %d", 3, extra={"size": 4, "subject": "mallory"})
    (record,) = caplog.records
    fields = {name: getattr(record, name) for name in ("subject", "client_id", "tool", "size")}
    assert (record.name, record.getMessage()) == ("gatepost.tools.add", "kept 3")
    assert fields == {"subject": "alice", "client_id": "gp_client", "tool": "add", "size": 4}
    assert context.log is context.log


def test_log_works_outside_of_a_tool(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="gatepost.tools")
    Context().log.info("hello")
    assert [record.name for record in caplog.records] == ["gatepost.tools"]


def test_current_sub_is_that_of_the_request_being_served(principal: Principal) -> None:
    def serve(caller: Principal | None) -> str:
        set_current_subject(caller)
        return get_current_sub()

    assert contextvars.copy_context().run(serve, principal) == "alice"
    assert contextvars.copy_context().run(serve, None) == "anonymous"


def test_a_request_without_a_caller_does_not_see_the_one_before(principal: Principal) -> None:
    def serve() -> str:
        set_current_subject(principal)
        set_current_subject(None)
        return get_current_sub()

    assert contextvars.copy_context().run(serve) == "anonymous"


def test_current_sub_outside_of_a_request_is_an_error() -> None:
    with pytest.raises(LookupError, match="while a request is being served"):
        contextvars.Context().run(get_current_sub)
