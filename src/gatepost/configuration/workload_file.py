"""OAUTH_WORKLOADS_FILE: which workloads of which platforms get tokens, as rules in a TOML file.

The file holds no secret. `docs/workloads.md` describes the entries. What is wrong becomes sentences that name the entry
and repeat no value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from gatepost.configuration.settings import SettingsError
from gatepost.configuration.toml_file import read_toml
from gatepost.oauth.scopes import is_scope_token
from gatepost.oauth.workloads import WorkloadKeys, WorkloadRule
from gatepost.outbound.addresses import is_server_url
from gatepost.tokens.client_keys import ISSUER_ALGORITHMS

_MOST: Final = 1000
_CLIENT_ID: Final = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_SETTING: Final = "OAUTH_WORKLOADS_FILE"
_RESERVED: Final = ("user_", "client_")
"""What ids of people, and of clients that register themselves, begin with."""


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_url(value: object) -> bool:
    return isinstance(value, str) and is_server_url(value.partition("?")[0])


def _are_scopes(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(scope, str) and is_scope_token(scope) for scope in value)


def _are_claims(value: object) -> bool:
    return isinstance(value, dict) and bool(value) and all(_texts(each) for each in value.values())


def _texts(value: object) -> tuple[str, ...]:
    """Return one text, or those of a list; none where it is something else, or an empty one is among them."""
    listed: list[Any] = value if isinstance(value, list) else [value]
    return tuple(listed) if all(map(_is_text, listed)) else ()


def _are_algorithms(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(each in ISSUER_ALGORITHMS for each in value)


_TAKES: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "client": (
        lambda value: isinstance(value, str) and _CLIENT_ID.fullmatch(value) is not None,
        "1 to 128 letters, digits and - . _ ~",
    ),
    "name": (_is_text, "what pages call it"),
    "issuer": (lambda value: isinstance(value, str) and is_server_url(value), "an https URL, as `iss` says it"),
    "claims": (_are_claims, "a table with at least one claim, each a text or a list of texts"),
    "audience": (_is_text, "what `aud` of the platform's tokens is"),
    "scopes": (_are_scopes, "a list of scope names"),
    "reusable": (_is_flag, "true or false"),
    "dpop_bound_access_tokens": (_is_flag, "true or false"),
    "jwks_uri": (_is_url, "an https URL"),
    "public_key": (_is_text, "the path of a file with a public key"),
    "algorithms": (_are_algorithms, f"a list of {', '.join(ISSUER_ALGORITHMS)}"),
}
"""What each key of an entry takes: a test, and words."""
_NEEDED: Final = ("client", "issuer", "claims")


def read_workload_file(path: Path) -> tuple[WorkloadRule, ...]:
    """Return the rules of a TOML file; paths in it are relative to its directory.

    Raises:
        SettingsError: the file cannot be read, or entries are wrong; one sentence for each.
    """
    document = read_toml(path, setting=_SETTING)
    entries = document.get("workload", [])
    if document.keys() - {"workload"} or not isinstance(entries, list) or len(entries) > _MOST:
        raise SettingsError(
            f"{_SETTING}={path} takes at most {_MOST} entries, each under a line [[workload]], and nothing else."
        )
    rules: dict[str, WorkloadRule] = {}
    sentences = []
    for number, entry in enumerate(entries, start=1):
        named = f"{_SETTING}={path}: workload {number}"
        if problems := _problems(entry):
            sentences += [f"{named} {problem}" for problem in problems]
            continue
        rule = _rule(entry, directory=path.expanduser().parent)
        if rule.client_id in rules:
            sentences.append(f"{named} has the client of another entry; a claim may take a list of texts.")
        rules[rule.client_id] = rule
    if sentences:
        raise SettingsError(*sentences)
    return tuple(rules.values())


def _problems(entry: Any) -> list[str]:
    if not isinstance(entry, dict):
        return ["has to be a table, under a line [[workload]]."]
    found = []
    for key, value in entry.items():
        if key not in _TAKES:
            found.append(f"has a key that no entry has; there are {', '.join(_TAKES)}.")
        elif not _TAKES[key][0](value):
            found.append(f"is wrong: {key} takes {_TAKES[key][1]}.")
    found += [f"needs {key}: {_TAKES[key][1]}." for key in _NEEDED if key not in entry]
    if isinstance(entry.get("client"), str) and entry["client"].startswith(_RESERVED):
        # It is the subject of the tokens, and must not be that of a person (RFC 9068 section 5).
        found.append("has a client that begins as ids of people and registered clients do; choose another.")
    if "jwks_uri" in entry and "public_key" in entry:
        found.append("has jwks_uri and public_key, which both say where the keys are; leave one out.")
    return found


def _rule(entry: Mapping[str, Any], *, directory: Path) -> WorkloadRule:
    key = entry.get("public_key")
    return WorkloadRule(
        client_id=entry["client"],
        name=entry.get("name", entry["client"]),
        issuer=entry["issuer"],
        claims={name: _texts(value) for name, value in entry["claims"].items()},
        audience=entry.get("audience"),
        scopes=tuple(entry["scopes"]) if "scopes" in entry else None,
        is_reusable=entry.get("reusable", False),
        dpop_bound_access_tokens=entry.get("dpop_bound_access_tokens", False),
        keys=WorkloadKeys(
            jwks_uri=entry.get("jwks_uri"),
            public_key=None if key is None else str(directory / Path(key).expanduser()),
            algorithms=tuple(entry.get("algorithms", ())),
        ),
    )
