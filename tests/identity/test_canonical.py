"""What counts as the same in a rule: never two things that belong to two people."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatepost.identity.canonical import canonical_address, canonical_domain, canonical_name, canonical_text
from gatepost.identity.provider import Identity
from gatepost.identity.rules import read_rule

ADDRESS = "ada.kay@example.com"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("Ada.Kay@EXAMPLE.com", ADDRESS),
        ("ada+notes@b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example", "ada+notes@xn--bcher-kva.example"),
        ("ada@bu\N{COMBINING DIAERESIS}cher.example", "ada@xn--bcher-kva.example"),
        ("ada@XN--BCHER-KVA.example", "ada@xn--bcher-kva.example"),
        ("ada@fa\N{LATIN SMALL LETTER SHARP S}.de", "ada@xn--fa-hia.de"),
    ],
)
def test_spellings_of_one_address_are_one(text: str, canonical: str) -> None:
    assert canonical_address(text) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@example.com@evil.example",
        '"ada@example.com"@evil.example',
        "ada@example.com ",
        "ada <ada@example.com>",
        "ada@example.com,eve@evil.example",
        "ada(comment)@example.com",
        "ada@[127.0.0.1]",
        "ada@example.com.",
        "ada@example..com",
        "ada@ex\N{ZERO WIDTH SPACE}ample.com",
        "a\N{ZERO WIDTH JOINER}da@example.com",
        "ada\x00@example.com",
        "ada@\N{FULLWIDTH LATIN SMALL LETTER E}xample.com",
        "ada@example\N{IDEOGRAPHIC FULL STOP}com",
        "a" * 320 + "@example.com",
    ],
)
def test_an_address_that_is_read_in_more_ways_than_one_is_none(text: str) -> None:
    assert canonical_address(text) is None


@pytest.mark.parametrize(
    "lookalike",
    [
        "ada.\N{KELVIN SIGN}ay@example.com",
        "ada.\N{KELVIN SIGN}ay@EXAMPLE.com",
        "\N{FULLWIDTH LATIN SMALL LETTER A}da.kay@example.com",
        "\N{CYRILLIC SMALL LETTER A}da.kay@example.com",
        "\N{MATHEMATICAL BOLD SMALL A}da.kay@example.com",
        "ada\N{ONE DOT LEADER}kay@example.com",
        "adakay@example.com",
    ],
)
def test_an_address_that_looks_alike_is_another(lookalike: str) -> None:
    """Python's lower case, NFC and NFKC each make the first of them the very address, and NFKC three more."""
    person = Identity("1", email=lookalike, email_verified=True)
    assert not read_rule(ADDRESS).names(person)


spellings = st.lists(
    st.sampled_from([*"adAD.@", "kay", "KAY", "\N{KELVIN SIGN}ay", "example", "EXAMPLE", ".com", "\N{SOFT HYPHEN}"]),
    max_size=9,
).map("".join)


@example("ADA.KAY@EXAMPLE.com")
@given(spellings | st.text())
def test_whoever_a_rule_names_by_address_has_that_address_but_for_the_case_of_ascii_letters(text: str) -> None:
    assert (canonical_address(text) == ADDRESS) == (text.isascii() and text.lower() == ADDRESS)


letters = st.sampled_from("abkKsS\N{KELVIN SIGN}\N{LATIN SMALL LETTER LONG S}\N{LATIN SMALL LETTER DOTLESS I}iI.")


@given(st.text(letters, min_size=1), st.text(letters, min_size=1))
def test_two_local_parts_are_one_only_where_ascii_case_makes_the_difference(one: str, other: str) -> None:
    same = canonical_address(f"{one}@example.com") == canonical_address(f"{other}@example.com")
    upper = str.maketrans("abks", "ABKS")
    assert same == (one.replace("i", "I").translate(upper) == other.replace("i", "I").translate(upper))


@given(st.text())
def test_canonical_forms_are_stable(text: str) -> None:
    assert canonical_text(canonical_text(text)) == canonical_text(text)
    assert canonical_text(text) in {text, unicodedata.normalize("NFC", text)}
    assert canonical_name(canonical_name(text)) == canonical_name(text)
    address, domain = canonical_address(text), canonical_domain(text)
    assert address is None or canonical_address(address) == address
    assert domain is None or (canonical_domain(domain) == domain and domain.isascii())
