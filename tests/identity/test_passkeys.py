"""The rules of passkeys, one wrong thing at a time."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import cbor2
import pytest

from gatepost.identity.passkeys import (
    PasskeyAssertion,
    PasskeyRefused,
    RelyingParty,
    check_assertion,
    check_creation,
    creation_options,
    read_assertion,
    relying_party_id,
    request_options,
)
from gatepost.stores.contract.passkeys import Passkey
from gatepost.stores.contract.users import User
from tests.identity.authenticator import BACKED_UP, BACKUP_ELIGIBLE, PRESENT, VERIFIED, Authenticator

ORIGIN = "https://mcp.example.com"
PARTY = RelyingParty("mcp.example.com", ORIGIN, "Notes server")
CHALLENGE, OTHER_CHALLENGE, HANDLE = b"c" * 32, b"d" * 32, b"h" * 64
ADA = User("user_ada", "local", "user_ada", 1, username="ada")


def creation(*known: Passkey, challenge: bytes = CHALLENGE) -> dict[str, Any]:
    return creation_options(PARTY, ADA, challenge=challenge, user_handle=HANDLE, known=known)


def made(device: Authenticator, **changes: Any) -> Passkey:
    """Make a passkey as the server would keep it."""
    new = check_creation(PARTY, device.create(creation(), **changes), challenge=CHALLENGE)
    return Passkey(
        new.credential_id, ADA.subject, HANDLE, PARTY.rp_id, "Phone", new.public_key, new.sign_count, new.transports, 1
    )


def asserted(device: Authenticator, **changes: Any) -> PasskeyAssertion:
    return read_assertion(device.get(request_options(PARTY, challenge=CHALLENGE), **changes))


@pytest.fixture
def device() -> Authenticator:
    return Authenticator(ORIGIN)


@pytest.mark.parametrize(
    ("origin", "rp_id"),
    [
        ("https://mcp.example.com", "mcp.example.com"),
        ("https://mcp.example.com:8443", "mcp.example.com"),
        ("http://localhost:8000", "localhost"),
        ("https://localhost", "localhost"),
        ("http://127.0.0.1:8000", None),
        ("http://[::1]:8000", None),
        ("https://192.0.2.7", None),
        ("https://[2001:db8::1]", None),
        ("http://mcp.example.com", None),
    ],
)
def test_passkeys_are_made_for_a_host_name(origin: str, rp_id: str | None) -> None:
    assert relying_party_id(origin) == rp_id


def test_a_browser_is_asked_for_a_passkey_that_it_finds_by_itself_and_that_verifies_its_user() -> None:
    known = Passkey(b"known", ADA.subject, HANDLE, PARTY.rp_id, "Phone", b"", 0, ("usb",), 1)
    assert creation(known) == {
        "rp": {"name": "Notes server", "id": "mcp.example.com"},
        "user": {"id": "aGho" * 21 + "aA", "name": "ada", "displayName": "ada"},
        "challenge": "Y2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2M",
        "pubKeyCredParams": [{"type": "public-key", "alg": number} for number in (-8, -7, -257)],
        "timeout": 300_000,
        "excludeCredentials": [{"id": "a25vd24", "type": "public-key", "transports": ["usb"]}],
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "required",
        },
        "attestation": "none",
    }
    assert request_options(PARTY, challenge=CHALLENGE) == {
        "challenge": "Y2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2M",
        "timeout": 300_000,
        "rpId": "mcp.example.com",
        "allowCredentials": [],
        "userVerification": "required",
    }


@pytest.mark.parametrize("is_eddsa", [False, True])
@pytest.mark.parametrize("counts", [False, True])
def test_a_passkey_is_made_and_signs(is_eddsa: bool, counts: bool) -> None:
    device = Authenticator(ORIGIN, is_eddsa=is_eddsa, counts=counts)
    passkey = made(device)
    assert (passkey.credential_id, passkey.public_key) == (device.credential_id, device.public_key)
    assert (passkey.sign_count, passkey.transports) == (0, ("internal", "hybrid"))
    for number in (1, 2):
        count = check_assertion(PARTY, asserted(device), passkey, challenge=CHALLENGE, needs_handle=True)
        assert count == (number if counts else 0)


def test_one_that_is_kept_in_several_places_is_as_good(device: Authenticator) -> None:
    synced = PRESENT | VERIFIED | BACKUP_ELIGIBLE | BACKED_UP
    passkey = made(device, flags=synced)
    assertion = asserted(device, flags=synced)
    assert check_assertion(PARTY, assertion, passkey, challenge=CHALLENGE, needs_handle=True) == 0


WRONG_ANYWHERE: dict[str, dict[str, Any]] = {
    "another kind of ceremony": {"type": "payment.get"},
    "another challenge": {"challenge": "ZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGQ"},
    "no challenge": {"challenge": ""},
    "another origin": {"origin": "https://mcp.example.com.evil.example"},
    "a neighbour's origin": {"origin": "https://example.com"},
    "another port": {"origin": "https://mcp.example.com:8443"},
    "plain http": {"origin": "http://mcp.example.com"},
    "another spelling of the origin": {"origin": "https://MCP.example.com"},
    "no text for an origin": {"origin": [ORIGIN]},
    "a frame": {"crossOrigin": True},
    "a frame that says so otherwise": {"crossOrigin": "true"},
    "a frame in a named page": {"topOrigin": "https://evil.example"},
    "another RP ID": {"rp_id": "example.com"},
    "nobody present": {"flags": VERIFIED},
    "nobody verified": {"flags": PRESENT},
    "backed up though it cannot be": {"flags": PRESENT | VERIFIED | BACKED_UP},
}


@pytest.mark.parametrize("wrong", WRONG_ANYWHERE.values(), ids=WRONG_ANYWHERE)
def test_what_is_made_wrongly_is_refused(device: Authenticator, wrong: dict[str, Any]) -> None:
    with pytest.raises(PasskeyRefused):
        made(device, **wrong)


@pytest.mark.parametrize("wrong", WRONG_ANYWHERE.values(), ids=WRONG_ANYWHERE)
def test_what_is_signed_wrongly_is_refused(device: Authenticator, wrong: dict[str, Any]) -> None:
    passkey = made(device)
    with pytest.raises(PasskeyRefused):
        check_assertion(PARTY, asserted(device, **wrong), passkey, challenge=CHALLENGE, needs_handle=True)


def test_one_ceremony_s_answer_is_none_to_another(device: Authenticator) -> None:
    with pytest.raises(PasskeyRefused):
        made(device, type="webauthn.get")
    with pytest.raises(PasskeyRefused):
        check_assertion(
            PARTY, asserted(device, type="webauthn.create"), made(device), challenge=CHALLENGE, needs_handle=True
        )


KEYS: dict[str, dict[int, Any]] = {
    "a point that is not on the curve": {1: 2, 3: -7, -1: 1, -2: b"\1" * 32, -3: b"\1" * 32},
    "a curve that nobody knows": {1: 2, 3: -7, -1: 99, -2: b"\1" * 32, -3: b"\1" * 32},
    "an algorithm that was not offered": {1: 2, 3: -35, -1: 2, -2: b"\1" * 48, -3: b"\1" * 48},
    "no algorithm": {1: 2, -1: 1, -2: b"\1" * 32, -3: b"\1" * 32},
    "no key": {},
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_key_that_verifies_nothing_is_refused_when_it_is_made(device: Authenticator, key: dict[int, Any]) -> None:
    with pytest.raises(PasskeyRefused):
        made(device, public_key=cbor2.dumps(key))


def test_attestation_that_nobody_asked_for_has_to_be_true(device: Authenticator) -> None:
    for fmt, statement in (("none", {"sig": b"x"}), ("packed", {"alg": -7, "sig": b"x"}), ("made-up", {})):
        with pytest.raises(PasskeyRefused):
            made(device, fmt=fmt, attestation=statement)


def test_a_credential_id_is_as_long_as_the_standard_lets_it_be() -> None:
    assert made(Authenticator(ORIGIN, credential_id=b"x" * 1023)).credential_id == b"x" * 1023
    for credential_id in (b"x" * 1024, b""):
        with pytest.raises(PasskeyRefused):
            made(Authenticator(ORIGIN, credential_id=credential_id))


def test_the_credential_id_that_is_said_is_the_one_that_was_made(device: Authenticator) -> None:
    sent = json.loads(device.create(creation()))
    sent["id"] = sent["rawId"] = "b3RoZXI"
    with pytest.raises(PasskeyRefused):
        check_creation(PARTY, json.dumps(sent), challenge=CHALLENGE)


def test_only_its_own_key_signs_for_a_passkey(device: Authenticator) -> None:
    passkey = made(device)
    with pytest.raises(PasskeyRefused):
        check_assertion(PARTY, asserted(device, break_signature=True), passkey, challenge=CHALLENGE, needs_handle=True)
    other = Authenticator(ORIGIN, credential_id=device.credential_id, user_handle=HANDLE)
    with pytest.raises(PasskeyRefused):
        check_assertion(PARTY, asserted(other), passkey, challenge=CHALLENGE, needs_handle=True)


def test_the_authenticator_says_whose_it_is_and_says_it_truly(device: Authenticator) -> None:
    passkey = made(device)
    for handle, needs_handle in ((b"h" * 63, True), (b"", True), (None, True), (b"h" * 63, False)):
        with pytest.raises(PasskeyRefused):
            check_assertion(
                PARTY, asserted(device, handle=handle), passkey, challenge=CHALLENGE, needs_handle=needs_handle
            )
    # Where it was named before, one that keeps no handle need not say any.
    assertion = asserted(device, handle=None)
    assert check_assertion(PARTY, assertion, passkey, challenge=CHALLENGE, needs_handle=False) == 0


def test_a_passkey_of_another_host_or_of_nobody_is_refused(device: Authenticator) -> None:
    for passkey in (None, replace(made(device), rp_id="old.example.com")):
        with pytest.raises(PasskeyRefused):
            check_assertion(PARTY, asserted(device), passkey, challenge=CHALLENGE, needs_handle=True)


def test_a_count_is_not_judged_before_the_store_does(device: Authenticator) -> None:
    device.counts = True
    passkey = replace(made(device), sign_count=9)
    assert check_assertion(PARTY, asserted(device), passkey, challenge=CHALLENGE, needs_handle=True) == 1


@pytest.mark.parametrize(
    "sent",
    ["", "null", "[]", "{}", '"text"', '{"id": 1}', "{" * 40, "[" * 8000, "\ud800", '{"id": "é", "rawId": "é"}'],
    ids=range(10),
)
def test_what_is_no_answer_at_all_is_refused(sent: str) -> None:
    with pytest.raises(PasskeyRefused):
        read_assertion(sent)
    with pytest.raises(PasskeyRefused):
        check_creation(PARTY, sent, challenge=CHALLENGE)


@pytest.mark.parametrize("name", ["clientDataJSON", "authenticatorData", "signature", "userHandle"])
@pytest.mark.parametrize("value", [None, 7, "", "AAAA", "!!!!", "A" * 9000, "e30", "W10", "bnVsbA"])
def test_an_answer_with_a_part_that_is_none_is_refused(device: Authenticator, name: str, value: Any) -> None:
    passkey = made(device)
    sent = json.loads(device.get(request_options(PARTY, challenge=CHALLENGE)))
    sent["response"][name] = value
    with pytest.raises(PasskeyRefused):
        check_assertion(PARTY, read_assertion(json.dumps(sent)), passkey, challenge=CHALLENGE, needs_handle=True)


def test_webauthn_is_imported_at_the_first_ceremony() -> None:
    words = (
        "import sys, gatepost, gatepost.assembly.pages, gatepost.web.pages.passkeys;"
        "print([name for name in ('webauthn', 'cbor2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", words], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_nothing_of_an_answer_is_shown() -> None:
    device = Authenticator(ORIGIN)
    made(device)
    assert "signature" not in repr(asserted(device))
