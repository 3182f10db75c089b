"""What a login provider asserts of a person: checked before anything is kept or judged of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gatepost.identity.provider import IdentityProvider
from gatepost.identity.single_user import may_vouch
from gatepost.resource.profile import Profile
from gatepost.stores.contract.users import LOCAL

_LONGEST_SUBJECT: Final = 255
"""Characters (OpenID Connect Core section 2)."""


def checked_profile(identity: Any, issuer: Any, *, of: Sequence[IdentityProvider]) -> Profile:
    """Return what an identity says beside who it is; its types are the author's word.

    `of` are the providers of which one says so.

    Raises:
        TypeError: it cannot be anybody's.
        ValueError: likewise.
        RecursionError: likewise.
    """
    subject, email, groups = identity.subject, identity.email, identity.groups
    if not isinstance(subject, str) or not subject.isprintable() or not 0 < len(subject) <= _LONGEST_SUBJECT:
        raise ValueError(f"the subject has to be a text of 1 to {_LONGEST_SUBJECT} printable characters")
    if not isinstance(issuer, str) or issuer == LOCAL:
        raise ValueError("the issuer has to be a text, and for local accounts vouches nobody but their own provider")
    if not any(may_vouch(each, issuer) for each in of):
        raise ValueError(f"the issuer {issuer} is no login provider's")
    if not all(text is None or isinstance(text, str) for text in (identity.display_name, email)):
        raise TypeError("display name and e-mail have to be texts")
    if isinstance(groups, str) or not all(isinstance(group, str) for group in groups):
        raise TypeError("the groups have to be a list of texts")
    # An address that no person could read is none; and whatever is no plain yes, such as the text "false", is none.
    email = email if email and email.isprintable() else None
    is_verified = email is not None and identity.email_verified is True
    profile = Profile(email, is_verified, tuple(groups), dict(identity.claims))
    profile.to_text()  # raises for what JSON cannot say, and for too much
    return profile


def as_said(profile: Profile) -> dict[str, Any]:
    """Return the fields of an `Identity` that says this."""
    return {name: getattr(profile, name) for name in ("email", "email_verified", "groups", "claims")}
