"""An authenticator and a browser in a few lines: they sign as WebAuthn Level 3 says, or wrongly as a test asks."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256

from gatepost.tokens.opaque import base64url

PRESENT, VERIFIED, BACKUP_ELIGIBLE, BACKED_UP, ATTESTED = 1, 4, 8, 16, 64


@dataclass
class Authenticator:
    """One passkey, in a browser whose page is at `origin`."""

    origin: str
    counts: bool = False
    """Whether its counter goes on; that of most passkeys stays 0."""
    is_eddsa: bool = False
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    user_handle: bytes | None = None
    signed: int = 0

    def __post_init__(self) -> None:
        """Make the key."""
        self._es256 = ec.generate_private_key(ec.SECP256R1())
        self._eddsa = ed25519.Ed25519PrivateKey.generate()

    @property
    def public_key(self) -> bytes:
        """Return its COSE_Key (RFC 9053 sections 2.1 and 7)."""
        if self.is_eddsa:
            return cbor2.dumps({1: 1, 3: -8, -1: 6, -2: self._eddsa.public_key().public_bytes_raw()})
        point = self._es256.public_key().public_numbers()
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")})

    def create(
        self,
        options: dict[str, Any],
        *,
        flags: int = PRESENT | VERIFIED,
        rp_id: str | None = None,
        public_key: bytes | None = None,
        fmt: str = "none",
        attestation: dict[str, Any] | None = None,
        **client: Any,
    ) -> str:
        """Answer `navigator.credentials.create()`; what is given replaces what would be right."""
        self.user_handle = _bytes(options["user"]["id"])
        client_data = self._client_data("webauthn.create", options["challenge"], client)
        attested = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id
        data = self._data(rp_id or options["rp"]["id"], flags | ATTESTED) + attested + (public_key or self.public_key)
        attestation_object = {"fmt": fmt, "attStmt": attestation or {}, "authData": data}
        response = {
            "clientDataJSON": base64url(client_data),
            "attestationObject": base64url(cbor2.dumps(attestation_object)),
            "transports": ["internal", "hybrid", "carrier-pigeon"],
        }
        return self._credential(response)

    def get(
        self,
        options: dict[str, Any],
        *,
        flags: int = PRESENT | VERIFIED,
        rp_id: str | None = None,
        handle: bytes | str | None = "own",
        break_signature: bool = False,
        **client: Any,
    ) -> str:
        """Answer `navigator.credentials.get()`; what is given replaces what would be right."""
        client_data = self._client_data("webauthn.get", options["challenge"], client)
        self.signed += self.counts
        data = self._data(rp_id or options["rpId"], flags)
        over = data + hashlib.sha256(client_data).digest()
        signature = self._eddsa.sign(over) if self.is_eddsa else self._es256.sign(over, ec.ECDSA(SHA256()))
        if break_signature:
            signature = signature[:-1] + bytes([signature[-1] ^ 1])
        told = self.user_handle if isinstance(handle, str) else handle
        response = {
            "clientDataJSON": base64url(client_data),
            "authenticatorData": base64url(data),
            "signature": base64url(signature),
            "userHandle": None if told is None else base64url(told),
        }
        return self._credential(response)

    def _credential(self, response: dict[str, Any]) -> str:
        name = base64url(self.credential_id)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})

    def _client_data(self, kind: str, challenge: str, changes: dict[str, Any]) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False, **changes}
        return json.dumps(said).encode()

    def _data(self, rp_id: str, flags: int) -> bytes:
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.signed.to_bytes(4, "big")


def _bytes(text: str) -> bytes:
    from webauthn import base64url_to_bytes  # noqa: PLC0415 - as late as the server does

    return base64url_to_bytes(text)
