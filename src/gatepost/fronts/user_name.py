"""The name of a user in a file name or an argument: `{user}`."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from gatepost.fronts.backend import SessionUser

USER: Final = "{user}"
"""What stands for the user in the arguments and the environment of a command."""
NOBODY: Final = "nobody"
"""What it stands for where nobody has to log in, and while a server is tried at the start."""
_UNSAFE: Final = re.compile(r"[^a-z0-9]+")
_LONGEST_WORD: Final = 24
_HASH_CHARACTERS: Final = 16


def name_of(user: SessionUser | None) -> str:
    """Return a name that is the same for one user always, no other user's, and harmless in paths and arguments.

    It begins with what can be read of the subject, which may be anything at an issuer elsewhere.
    """
    if user is None:
        return NOBODY
    word = _UNSAFE.sub("-", user.subject.lower()).strip("-")[:_LONGEST_WORD]
    whole = f"{len(user.issuer)} {user.issuer} {user.subject}"
    digest = hashlib.sha256(whole.encode(errors="surrogatepass")).hexdigest()[:_HASH_CHARACTERS]
    return f"{word or 'user'}-{digest}"
