"""One-time codes are those of RFC 6238, within one step, once; recovery codes are long, and read as people type."""

from __future__ import annotations

import base64
import secrets
import subprocess
import sys
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from gatepost.identity.one_time_codes import (
    key_uri,
    matching_time_step,
    new_recovery_codes,
    recovery_fingerprint,
    secret_groups,
    typed_digits,
)
from tests.identity.one_time_app import App

RFC_SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("now", "code"),
    # RFC 6238 appendix B, of whose eight digits the last six are ours.
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_the_rfc(now: int, code: str) -> None:
    assert matching_time_step(RFC_SECRET, code, now=now, after=-1) == now // 30
    assert App(base64.b32encode(RFC_SECRET).decode()).code(now) == code


@pytest.mark.parametrize("second", [0, 29])
@pytest.mark.parametrize("drift", [-2, -1, 0, 1, 2])
def test_a_code_counts_one_time_step_before_and_after_its_own(drift: int, second: int) -> None:
    now = 30 * 40_000_000 + second
    code = App(base64.b32encode(RFC_SECRET).decode()).code(now + 30 * drift)
    step = now // 30 + drift
    assert matching_time_step(RFC_SECRET, code, now=now, after=-1) == (step if abs(drift) <= 1 else None)


def test_no_code_counts_of_the_last_time_step_or_before() -> None:
    now = 1_000_000_020
    step = now // 30
    codes = [App(base64.b32encode(RFC_SECRET).decode()).code(now + 30 * drift) for drift in (-1, 0, 1)]
    assert [matching_time_step(RFC_SECRET, code, now=now, after=step) for code in codes] == [None, None, step + 1]
    assert [matching_time_step(RFC_SECRET, code, now=now, after=step - 1) for code in codes] == [None, step, step + 1]


@pytest.mark.parametrize("code", ["", "28708", "2870822", "94287082", "abcdef"])
def test_what_is_no_six_digits_is_no_code(code: str) -> None:
    assert matching_time_step(RFC_SECRET, typed_digits(code), now=59, after=-1) is None


@pytest.mark.parametrize(
    ("typed", "digits"),
    [
        ("123456", "123456"),
        (" 123 456 ", "123456"),
        ("123-456", "123456"),
        ("12\u20133\u00a0456", "123456"),
        ("\u0661\u0662\u0663\u0664\u0665\u0666", "123456"),
        ("\uff11\uff12\uff13456", "123456"),
        ("12345\u00b2", ""),
        ("12345x", ""),
        ("123456\n", "123456"),
        ("1234\n56", ""),
        ("1" * 101, ""),
        ("", ""),
    ],
)
def test_digits_are_read_however_they_are_typed(typed: str, digits: str) -> None:
    assert typed_digits(typed) == digits


def test_recovery_codes_are_ten_different_ones_of_24_digits() -> None:
    codes = new_recovery_codes(secrets.token_bytes)
    assert len(set(codes)) == 10
    assert all(len(typed_digits(code)) == 24 and [len(group) for group in code.split()] == [4] * 6 for code in codes)
    assert new_recovery_codes(bytes)[0] == "0000 0000 0000 0000 0000 0000"


def test_a_recovery_code_is_kept_as_one_fingerprint_for_each_way_to_type_it_and_another_for_each_step() -> None:
    code = "1111 2222 3333 4444 5555 6666"
    kept = recovery_fingerprint("step-1", code)
    assert kept is not None
    assert recovery_fingerprint("step-1", code.replace(" ", "")) == kept
    assert recovery_fingerprint("step-1", code.replace(" ", "-")) == kept
    assert recovery_fingerprint("step-2", code) != kept
    assert recovery_fingerprint("step-1", code[:-1]) is None


def test_an_app_reads_the_uri_whatever_the_server_is_called() -> None:
    uri = urlsplit(key_uri(RFC_SECRET, account="ada:x@y ü", server_name="Notes: a & b?"))
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    issuer, _, account = uri.path.removeprefix("/").partition(":")
    assert (unquote(issuer), unquote(account)) == ("Notes  a & b?", "ada:x@y ü")
    assert parse_qs(uri.query) == {"secret": [base64.b32encode(RFC_SECRET).decode()], "issuer": ["Notes  a & b?"]}


def test_the_secret_is_typed_in_groups() -> None:
    assert secret_groups(RFC_SECRET) == "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"


def test_pyotp_and_segno_are_imported_when_they_are_used() -> None:
    words = (
        "import sys, gatepost, gatepost.identity.local_accounts, gatepost.web.pages.second_step;"
        "print([name for name in ('pyotp', 'segno') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", words], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
