"""What the issuer said about a person at the last login, beside who they are (OpenID Connect Core section 5.1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

from gatepost.late_dataclass import dataclass

LONGEST_PROFILE: Final = 16 * 1024
"""Bytes of the text that is kept. A directory names some two hundred groups at most, which are half of this."""


@dataclass(frozen=True, slots=True)
class Profile:
    """E-mail, groups and claims. None of them is a key: people are known by issuer and subject."""

    email: str | None = None
    email_verified: bool = False
    """Whether the issuer says that the address is theirs."""
    groups: tuple[str, ...] = ()
    claims: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """JSON, of the issuer's own names and values."""

    def to_text(self) -> str | None:
        """Return it as a text to be kept, and None when nothing was said; equal profiles give equal texts.

        Raises:
            TypeError: JSON has no form for the claims.
            ValueError: likewise, or the text is longer than `LONGEST_PROFILE`.
            RecursionError: likewise.
        """
        if self == NO_PROFILE:
            return None
        said = [self.email, self.email_verified, self.groups, self.claims]
        text = json.dumps(said, separators=(",", ":"), sort_keys=True, allow_nan=False)
        if len(text) > LONGEST_PROFILE:
            raise ValueError(f"groups and claims of one person take more than {LONGEST_PROFILE} bytes")
        return text

    @classmethod
    def from_text(cls, text: str | None) -> Profile:
        """Return the profile that `to_text` made this of; a new one each time, which its reader may change."""
        if text is None:
            return cls()
        email, email_verified, groups, claims = json.loads(text)
        return cls(email, email_verified, tuple(groups), claims)


NO_PROFILE: Final = Profile()
"""Of a person of whom nothing was said; everybody shares it, so nobody changes it."""
