"""The rules of passkeys (WebAuthn Level 3): what a browser is asked for, and whether its answer counts.

Built on py_webauthn, which is imported at the first ceremony. What the library leaves to the relying party is here:
user handles, frames of other sites, the length of credential ids, keys that cannot be used. The counter is judged by
the store, once everything else is right: until then it is a number that anybody can write.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.passkeys import Passkey
from gatepost.stores.contract.users import User

if TYPE_CHECKING:
    from webauthn.helpers.structs import AuthenticationCredential, PublicKeyCredentialDescriptor

CHALLENGE_BYTES: Final = 32
"""WebAuthn Level 3 section 13.4.3 asks for 16 at least."""
HANDLE_BYTES: Final = 64
"""Section 14.6.1: random, so that it tells nobody whose passkey it is."""
_TIMEOUT: Final = 5 * 60 * 1000
"""Milliseconds (section 15.1)."""
_LONGEST_CREDENTIAL_ID: Final = 1023
"""Bytes (section 7.1)."""


class PasskeyRefused(ValueError):
    """A browser's answer does not count. Which rule it breaks is nobody's business who sends one."""


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """For whom passkeys are made (section 4, relying party)."""

    rp_id: str
    origin: str
    name: str
    """For people, who see it in the browser's own dialogue."""


def relying_party_id(origin: str) -> str | None:
    """Return the RP ID of the pages at `origin`: its host name; None where browsers have no passkeys (section 4).

    These are addresses in place of a name, and names without https but `localhost`.
    """
    parts = urlsplit(origin)
    host = parts.hostname or ""
    try:
        ip_address(host)
    except ValueError:
        return host if host == "localhost" or (host and parts.scheme == "https") else None
    return None


def creation_options(
    party: RelyingParty, user: User, *, challenge: bytes, user_handle: bytes, known: Sequence[Passkey]
) -> dict[str, Any]:
    """Return what a browser is given to make a passkey (section 5.4, in its JSON form).

    It has to be found without a user name and to verify its user. Nothing is asked about the make of the authenticator:
    people bring their own. `known` are those of the person at this host, which are not to be made twice.
    """
    from webauthn import generate_registration_options  # noqa: PLC0415 - off the start-up path
    from webauthn.helpers import options_to_json_dict  # noqa: PLC0415 - likewise
    from webauthn.helpers.structs import (  # noqa: PLC0415 - likewise
        AuthenticatorSelectionCriteria,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    options = generate_registration_options(
        rp_id=party.rp_id,
        rp_name=party.name,
        user_id=user_handle,
        user_name=user.username or user.name,
        user_display_name=user.name,
        challenge=challenge,
        timeout=_TIMEOUT,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=_descriptors(known),
    )
    return options_to_json_dict(options)


def request_options(party: RelyingParty, *, challenge: bytes, allowed: Sequence[Passkey] = ()) -> dict[str, Any]:
    """Return what a browser is given to sign with a passkey that verifies its user (section 5.5, in its JSON form).

    Without `allowed` the browser offers those that it finds by itself, so nobody is told whose there are.
    """
    from webauthn import generate_authentication_options  # noqa: PLC0415 - off the start-up path
    from webauthn.helpers import options_to_json_dict  # noqa: PLC0415 - likewise
    from webauthn.helpers.structs import UserVerificationRequirement  # noqa: PLC0415 - likewise

    options = generate_authentication_options(
        rp_id=party.rp_id,
        challenge=challenge,
        timeout=_TIMEOUT,
        allow_credentials=_descriptors(allowed),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json_dict(options)


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """What an authenticator made."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: tuple[str, ...]


def check_creation(party: RelyingParty, sent: str, *, challenge: bytes) -> NewPasskey:
    """Return the passkey that a browser says was made (section 7.1).

    Raises:
        PasskeyRefused: it does not count.
    """
    from webauthn import verify_registration_response  # noqa: PLC0415 - off the start-up path
    from webauthn.helpers import (  # noqa: PLC0415 - likewise
        decode_credential_public_key,
        decoded_public_key_to_cryptography,
        parse_registration_credential_json,
    )

    try:
        credential = parse_registration_credential_json(sent)
        _check_frames(credential.response.client_data_json)
        made = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.rp_id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
        # A key that nothing can be verified with would fail at the first login, long after its person could mend it.
        decoded_public_key_to_cryptography(decode_credential_public_key(made.credential_public_key))
    except Exception as error:  # noqa: BLE001 - whatever the bytes of a stranger make a parser raise
        raise PasskeyRefused(type(error).__name__) from None
    if made.credential_id != credential.raw_id or len(made.credential_id) > _LONGEST_CREDENTIAL_ID:
        raise PasskeyRefused("credential id")
    transports = tuple(transport.value for transport in credential.response.transports or ())
    return NewPasskey(made.credential_id, made.credential_public_key, made.sign_count, transports)


@dataclass(frozen=True, slots=True)
class PasskeyAssertion:
    """What a browser says was signed; nothing of it is true yet."""

    credential_id: bytes
    user_handle: bytes | None
    credential: AuthenticationCredential = field(repr=False)


def read_assertion(sent: str) -> PasskeyAssertion:
    """Return what a browser sent, taken apart.

    Raises:
        PasskeyRefused: it is nothing of the kind.
    """
    from webauthn.helpers import parse_authentication_credential_json  # noqa: PLC0415 - off the start-up path

    try:
        credential = parse_authentication_credential_json(sent)
    except Exception as error:  # noqa: BLE001 - whatever the bytes of a stranger make a parser raise
        raise PasskeyRefused(type(error).__name__) from None
    return PasskeyAssertion(credential.raw_id, credential.response.user_handle, credential)


def check_assertion(
    party: RelyingParty, assertion: PasskeyAssertion, passkey: Passkey | None, *, challenge: bytes, needs_handle: bool
) -> int:
    """Return how often the passkey says that it has signed (section 7.2). The store says whether that can be.

    Args:
        party: for whom it has to be signed.
        assertion: what was sent.
        passkey: the one with its credential id. None is refused after as much work.
        challenge: what had to be signed.
        needs_handle: whether the authenticator has to say whose it is, since nobody was named before (step 6).

    Raises:
        PasskeyRefused: it does not count.
    """
    from webauthn import verify_authentication_response  # noqa: PLC0415 - off the start-up path

    handle = assertion.user_handle
    try:
        _check_frames(assertion.credential.response.client_data_json)
        verified = verify_authentication_response(
            credential=assertion.credential,
            expected_challenge=challenge,
            expected_rp_id=party.rp_id,
            expected_origin=party.origin,
            credential_public_key=_nobodys_key() if passkey is None else passkey.public_key,
            # The library compares counts before it verifies, and would believe a stranger.
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except Exception as error:  # noqa: BLE001 - whatever the bytes of a stranger make a parser raise
        raise PasskeyRefused(type(error).__name__) from None
    if passkey is None or passkey.rp_id != party.rp_id:
        raise PasskeyRefused("unknown")
    if handle != passkey.user_handle and (needs_handle or handle is not None):
        raise PasskeyRefused("user handle")
    return verified.new_sign_count


def _descriptors(passkeys: Sequence[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    from webauthn.helpers.structs import (  # noqa: PLC0415 - off the start-up path
        AuthenticatorTransport,
        PublicKeyCredentialDescriptor,
    )

    return [
        PublicKeyCredentialDescriptor(
            passkey.credential_id, transports=[AuthenticatorTransport(name) for name in passkey.transports]
        )
        for passkey in passkeys
    ]


def _check_frames(client_data: bytes) -> None:
    """Refuse what was made in a frame on somebody else's page, where ours are never shown."""
    said = json.loads(client_data)
    if said.get("crossOrigin") not in {None, False} or "topOrigin" in said:
        raise PasskeyRefused("frames")


@functools.cache
def _nobodys_key() -> bytes:
    """Return a public key, whose private key is forgotten, for the work of verifying what nobody has signed."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key  # noqa: PLC0415 - late
    from webauthn.helpers import encode_cbor  # noqa: PLC0415 - likewise
    from webauthn.helpers.cose import COSECRV, COSEKTY, COSEAlgorithmIdentifier, COSEKey  # noqa: PLC0415 - likewise

    point = generate_private_key(SECP256R1()).public_key().public_numbers()
    return encode_cbor(
        {
            int(COSEKey.KTY): int(COSEKTY.EC2),
            int(COSEKey.ALG): int(COSEAlgorithmIdentifier.ECDSA_SHA_256),
            int(COSEKey.CRV): int(COSECRV.P256),
            int(COSEKey.X): point.x.to_bytes(32, "big"),
            int(COSEKey.Y): point.y.to_bytes(32, "big"),
        }
    )
