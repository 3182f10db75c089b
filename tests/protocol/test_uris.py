"""URIs in one spelling (RFC 3986 section 6.2, RFC 3987 section 3.1)."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.protocol.uris import encoded, normal_form, with_lower_host


@pytest.mark.parametrize(
    ("given_as", "normal"),
    [
        ("notes://today", "notes://today"),
        # RFC 3986 section 6.2.2.1: scheme, host and the digits of escapes have no case; everything else has.
        ("NOTES://Today/A?B=C#D", "notes://today/A?B=C#D"),
        ("notes://Ada:Pass@Host:80/A", "notes://Ada:Pass@host:80/A"),
        ("notes:Today", "notes:Today"),
        ("urn:Example:A", "urn:Example:A"),
        ("notes://a/%c3%a9%2f", "notes://a/%C3%A9%2F"),
        ("notes://%C3%89/x", "notes://%C3%89/x"),
        ("files:///A/b", "files:///A/b"),
        ("http://[2001:DB8::1]:80/", "http://[2001:db8::1]/"),
        # Section 6.2.2.2: what needs no escape has none.
        ("notes://a/%41%7e%2D%5f%2E", "notes://a/A~-_."),
        ("notes://%54oday", "notes://today"),
        ("notes://a/%2541", "notes://a/%2541"),
        ("notes://a/%21%2B%20", "notes://a/%21%2B%20"),
        # Section 6.2.3, for http alone.
        ("HTTP://Example.com", "http://example.com/"),
        ("http:today", "http:today"),
        ("http://example.com:80?q", "http://example.com/?q"),
        ("http://example.com:/#f", "http://example.com/#f"),
        ("https://example.com:443/a", "https://example.com/a"),
        ("https://example.com:80/a", "https://example.com:80/a"),
        ("notes://example.com:80", "notes://example.com:80"),
        # RFC 3987 section 3.1.
        ("notes://a/caf\u00e9", "notes://a/caf%C3%A9"),
        ("notes://a/cafe\u0301", "notes://a/cafe%CC%81"),
        ("notes://a/\U0001f600", "notes://a/%F0%9F%98%80"),
        ("notes://a/my file+more", "notes://a/my%20file+more"),
        ('notes://a/"<>^`|\\', "notes://a/%22%3C%3E%5E%60%7C%5C"),
        ("notes://\u00c9t\u00e9", "notes://%C3%89t%C3%A9"),
        # Section 6.2.2.3 is not done, and a slash more is another path.
        ("notes://a/./b/../c/", "notes://a/./b/../c/"),
        ("notes://a/%2e%2e/c", "notes://a/../c"),
    ],
)
def test_every_spelling_has_one_normal_form(given_as: str, normal: str) -> None:
    assert normal_form(given_as) == normal
    assert normal_form(normal) == normal


@pytest.mark.parametrize(
    "text",
    [
        "", "today", "//today", "/today", "1a:b", ":a", "caf\u00e9://a", "a:%", "a:%4", "a:%zz", "a:100% b", "a:\n",
        "a:\x00", "a:\x7f", "a:\x9f", "a:\ud800", " a:b", "a b:c", "a://{b}", "http://a:80:80/",
        "http://a::",
    ],
)  # fmt: skip
def test_what_is_no_uri_has_none(text: str) -> None:
    assert normal_form(text) is None


@given(st.text(st.sampled_from("aA%/:@?#[]. \u00e9~42F{+")))
def test_a_normal_form_is_its_own(text: str) -> None:
    for uri in (normal_form(text), normal_form(f"a://{text}"), normal_form(f"http://{text}")):
        assert uri is None or (uri.isascii() and normal_form(uri) == uri)


def test_a_uri_has_a_bound() -> None:
    longest = "a:" + "b" * 8190
    assert normal_form(longest) == longest
    assert normal_form(longest + "b") is None


def test_only_unreserved_characters_lose_their_escape() -> None:
    unreserved = set(string.ascii_letters + string.digits + "-._~")
    for code in range(256):
        for escape in (f"%{code:02x}", f"%{code:02X}"):
            assert normal_form(f"a:{escape}") == f"a:{chr(code) if chr(code) in unreserved else escape.upper()}"


@given(st.text(max_size=20))
def test_lowering_the_host_leaves_every_other_character_where_it_is(text: str) -> None:
    uri = encoded(f"Notes://{text}")
    if uri is not None:
        lowered = with_lower_host(uri)
        assert len(lowered) == len(uri)
        assert lowered.lower() == uri.lower()
