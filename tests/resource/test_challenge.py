from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from gatepost.resource.challenge import bearer_challenge, sanitised

METADATA = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"


def test_a_request_without_credentials_is_told_where_to_start_and_nothing_about_an_error() -> None:
    assert bearer_challenge(resource_metadata=METADATA, scopes=["notes:read", "notes:write"]) == (
        f'Bearer resource_metadata="{METADATA}", scope="notes:read notes:write"'
    )


def test_a_refused_token_is_told_why() -> None:
    assert bearer_challenge(
        resource_metadata=METADATA, scopes=["a"], error="invalid_token", error_description="It has expired."
    ) == (
        f'Bearer error="invalid_token", error_description="It has expired.", resource_metadata="{METADATA}", scope="a"'
    )


def test_a_resource_without_scopes_has_no_scope_attribute() -> None:
    assert bearer_challenge(resource_metadata=METADATA, scopes=()) == f'Bearer resource_metadata="{METADATA}"'


def test_a_resource_without_metadata_still_has_an_attribute_to_show() -> None:
    assert bearer_challenge(resource_metadata=None, scopes=()) == 'Bearer realm="mcp"'


def test_what_could_end_the_quotes_or_the_header_is_replaced() -> None:
    assert sanitised('a"b\\c\r\nSet-Cookie: d\u00e9\x00\x7f') == "a?b?c??Set-Cookie: d???"


@given(st.text(), st.lists(st.text()))
def test_no_text_breaks_out_of_its_attribute(description: str, scopes: list[str]) -> None:
    value = bearer_challenge(
        resource_metadata=METADATA, scopes=scopes, error="invalid_token", error_description=description
    )
    assert re.fullmatch(r'Bearer [a-z_]+="[ -!#-\[\]-~]*"(, [a-z_]+="[ -!#-\[\]-~]*")*', value)
