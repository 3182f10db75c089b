"""What hides secrets in text that a log will show: the one mechanism for log lines and for tracebacks."""

from __future__ import annotations

import re
from typing import Final

HIDDEN: Final = "…"
"""What stands in the place of a secret."""

# Ours, GitHub's, and what a header authorizes with.
_SECRET = re.compile(r"(gp_[a-z]{2}_|gh[oprsu]_)[A-Za-z0-9_-]{8,}|(?i:(bearer|basic|dpop)\s+)[A-Za-z0-9._~+/=-]{8,}")
# Signed or encrypted tokens (RFC 7515 and 7516, section 3.1). One begins where no other could, so each is read once.
_JWT: Final = re.compile(r"(?:(?<![A-Za-z0-9_-])|(?<=%[0-9A-Fa-f]{2}))eyJ[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){2,4}")
_NAMED: Final = (
    r"(?i)(pass_?(?:word|phrase|wd|code)|secret|token|assertion|api_?key|(?:private|sealing|signing|secret|access)_?keys?"
    r"|code_?verifier|(?:device|user|auth|authorization)_?code|(?<![\w-])code)"
)
_QUOTED_VALUE: Final = r"""\\*"(?:[^"\\\n]|\\.)*"?|\\*'(?:[^'\\\n]|\\.)*'?"""
# In a query, a form or a keyword argument; in JSON (perhaps in a string of JSON), or as Python shows a mapping.
_PARAMETER: Final = re.compile(
    rf"""{_NAMED}(?:(=)(?:{_QUOTED_VALUE}|[^\s&"'#;,()<>]+)|(s?\\*["']\s?:\s?)(?:{_QUOTED_VALUE}))"""
)
# What Pydantic quotes of a value that does not fit, to its end: it is the user's, and may be anything.
_QUOTED = re.compile(r"(input_value=)(?:.*(?=, input_type=)|.*)")
# What an exception quotes may be cut anywhere, so there is no shortest secret; prose about schemes is rare there.
_CUT: Final = re.compile(r"(gp_[a-z]{2}_|\bgh[oprsu]_|\b(?:Bearer|Basic|DPoP) +)\S+", re.IGNORECASE)

# What a text of ASCII has in lower case wherever a rule above finds something in it. Hardly any text has, and a rule
# that ignores case looks at each character in ten ways.
_SIGNS_OF_SECRET: Final = ("gp_", "gh", "bearer", "basic", "dpop")
_ENDS_OF_NAMES: Final = ("word", "phrase", "wd", "code", "secret", "token", "assertion", "key", "keys", "verifier")
_SIGNS_OF_PARAMETER: Final = tuple(f"{end}=" for end in _ENDS_OF_NAMES)
_SIGN_OF_JSON: Final = re.compile(r"""["']\s?:""")


def scrub(text: str) -> str:
    """Return `text` without what looks like a secret or has the name of one, nor the values that Pydantic quotes."""
    lowered = text.lower() if text.isascii() else None
    if lowered is None or _has_any(lowered, _SIGNS_OF_SECRET):
        text = _SECRET.sub(lambda match: (match[1] or match[2] + " ") + HIDDEN, text)
    if "eyJ" in text:
        text = _JWT.sub(HIDDEN, text)
    if lowered is None or _has_any(lowered, _SIGNS_OF_PARAMETER) or _SIGN_OF_JSON.search(lowered):
        text = _PARAMETER.sub(lambda match: match[1] + (match[2] or match[3]) + HIDDEN, text)
    return _QUOTED.sub(rf"\1{HIDDEN}", text) if "input_value=" in text else text


def _has_any(text: str, signs: tuple[str, ...]) -> bool:
    for sign in signs:  # noqa: SIM110 - `any` takes three times as long, for each field of each line
        if sign in text:
            return True
    return False


def scrub_traceback(text: str) -> str:
    """Return `text` as `scrub` does, also without secrets of which an exception quotes the beginning alone."""
    return _CUT.sub(rf"\1{HIDDEN}", scrub(text))
