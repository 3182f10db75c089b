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


def scrub(text: str) -> str:
    """Return `text` without what looks like a secret or has the name of one, nor the values that Pydantic quotes."""
    text = _SECRET.sub(lambda match: (match[1] or match[2] + " ") + HIDDEN, text)
    text = _PARAMETER.sub(lambda match: match[1] + (match[2] or match[3]) + HIDDEN, _JWT.sub(HIDDEN, text))
    return _QUOTED.sub(rf"\1{HIDDEN}", text)


def scrub_traceback(text: str) -> str:
    """Return `text` as `scrub` does, also without secrets of which an exception quotes the beginning alone."""
    return _CUT.sub(rf"\1{HIDDEN}", scrub(text))
