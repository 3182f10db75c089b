"""DPoP proofs at the authorization server: whose key tokens and codes are bound to (RFC 9449 sections 5 and 10.1)."""

from __future__ import annotations

from starlette.requests import Request

from gatepost.late_dataclass import dataclass
from gatepost.oauth.dpop import check_proof_given
from gatepost.oauth.errors import InvalidDpopProof, UseDpopNonce
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client
from gatepost.tokens.dpop import ProofInvalid
from gatepost.web.resource.proofs import NonceNeeded, ProofJudge, ProofReplayed


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenProofs:
    """Judges the proofs of requests to one endpoint."""

    judge: ProofJudge
    url: str
    """The endpoint's, as `normal_url` writes it."""
    is_required: bool = False
    """Whether every token is bound to a key."""

    def are_due(self, request: Request, client: Client) -> bool:
        """Say whether there is a proof to judge, or one that is missing."""
        is_given = any(name == b"dpop" for name, _ in request.scope["headers"])
        return is_given or self.is_required or client.dpop_bound_access_tokens

    def check_nonce(self, request: Request) -> None:
        """Ask for a nonce before the client authenticates: it may do so by an assertion, and that counts once, too.

        Raises:
            UseDpopNonce: a proof is there, and would do with the nonce that this brings along.
        """
        try:
            self.judge.check_nonce(request.headers.getlist("dpop"))
        except NonceNeeded as error:
            raise UseDpopNonce(error.nonce) from None

    async def key_of(self, request: Request, client: Client) -> str | None:
        """Return the thumbprint of the key that a token request proves to hold; None where it need not.

        Raises:
            InvalidDpopProof: it has to and does not, or as `key_given`.
            UseDpopNonce: as `key_given`.
            StoreUnavailable: likewise.
        """
        is_given = "dpop" in request.headers
        check_proof_given(client, is_given=is_given, is_required=self.is_required)
        return await self.key_given(request)

    async def key_given(self, request: Request) -> str | None:
        """Return the thumbprint of the key that a request proves to hold, whose client has authenticated, if any.

        Raises:
            InvalidDpopProof: its proof proves nothing.
            UseDpopNonce: it would do with the nonce that this brings along.
            StoreUnavailable: it cannot be known whether the proof was used before.
        """
        headers = request.headers.getlist("dpop")
        if not headers:
            return None
        try:
            return await self.judge.judge(headers, method=request.method, url=self.url)
        except ProofInvalid as error:
            raise InvalidDpopProof(Reason.DPOP_PROOF_INVALID, str(error)) from None
        except ProofReplayed:
            raise InvalidDpopProof(
                Reason.DPOP_PROOF_REPLAYED, "This DPoP proof was used before; sign a new one for every request."
            ) from None
        except NonceNeeded as error:
            raise UseDpopNonce(error.nonce) from None
