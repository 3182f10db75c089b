"""Tokens of login providers for the calls of an installation: what `identity` keeps, in the words of `server`."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from gatepost.assembly.core import Core
from gatepost.assembly.imported_later import is_token_holder
from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent, Outcome
from gatepost.oauth.reasons import Reason
from gatepost.resource.principal import Principal

if TYPE_CHECKING:
    from gatepost.identity.provider import IdentityProvider
    from gatepost.identity.upstream_tokens import UpstreamTokens

LINK_PATH: Final = "/oauth/account/link/"
"""Where a logged-in person links an account; the provider's name follows."""
LOOKS: Final = 45
"""How often, once a second, it is looked whether somebody has linked their account. Clients give a call a minute."""
STORE_PAUSE: Final = 5
"""Seconds after which is tried again what the store did not answer."""


@dataclass(slots=True)
class UpstreamTokensOfCallers:
    """`Upstream` of an installation; it knows no provider before it is connected."""

    core: Core
    tokens: UpstreamTokens | None = field(default=None, init=False)

    def connect(self, provider: IdentityProvider) -> UpstreamTokens | None:
        """Take the login provider, and return what keeps the tokens of it or of those behind it, where any does."""
        every = provider.elsewhere or (provider,)
        holders = {each.name: each for each in every if is_token_holder(each) and each.keeps_tokens}
        if holders:
            from gatepost.identity.upstream_tokens import UpstreamTokens  # noqa: PLC0415 - most servers keep none

            core = self.core
            self.tokens = UpstreamTokens(
                providers=holders,
                store=core.store.upstream_tokens,
                key_ring=core.key_ring,
                note_end=self._note_end,
                now=core.now,
                random_bytes=core.random_bytes,
            )
        return self.tokens

    async def access_token(self, provider: str, principal: Principal, *, refused: str | None) -> str:
        """See `Upstream`."""
        from gatepost.identity import upstream_tokens as kept  # noqa: PLC0415 - most calls ask for none
        from gatepost.server.calls.upstream import NotLinked, UnknownUpstream, UpstreamUnavailable  # noqa: PLC0415 - few tools ask
        from gatepost.stores.contract.errors import StoreUnavailable  # noqa: PLC0415 - likewise

        tokens = self.tokens
        if tokens is None or provider not in tokens.providers:
            known = ", ".join(() if tokens is None else sorted(tokens.providers)) or "none does"
            raise UnknownUpstream(
                f"no login provider {provider!r} keeps tokens (keep_tokens=True); those that do: {known}"
            )
        label = tokens.providers[provider].label
        try:
            return await tokens.access_token(principal.subject, provider, refused=refused)
        except kept.LinkMissing:
            raise NotLinked(label, f"{principal.issuer}{LINK_PATH}{quote(provider)}") from None
        except kept.Unavailable as failure:
            raise UpstreamUnavailable(label, failure.retry_after) from None
        except StoreUnavailable:
            raise UpstreamUnavailable(label, STORE_PAUSE) from None

    async def once_linked(self, provider: str, principal: Principal, *, refused: str | None) -> str:
        """See `Upstream`."""
        from gatepost.server.calls.upstream import NotLinked  # noqa: PLC0415 - as above

        for _ in range(LOOKS):
            try:
                return await self.access_token(provider, principal, refused=refused)
            except NotLinked:
                if self.tokens is not None:
                    await self.tokens.sleep(1)
        return await self.access_token(provider, principal, refused=refused)

    async def settle(self) -> None:
        """Wait for what is under way with the providers: its outcome has to be kept."""
        if self.tokens is not None:
            await self.tokens.settle()

    def _note_end(self, subject: str) -> None:
        """Put in the audit trail that a provider ended a person's tokens."""
        self.core.audit_trail.note(
            AuditEvent.UPSTREAM_TOKENS_ENDED,
            Outcome.OK,
            address="server",
            network="server",
            reason=Reason.UPSTREAM_GRANT_ENDED,
            subject=subject,
        )
