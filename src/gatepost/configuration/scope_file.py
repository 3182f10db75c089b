"""MCP_SCOPES_FILE: the scopes of what stands behind, in a TOML file.

`docs/other-servers.md` describes it. What is wrong becomes sentences that name the key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from gatepost.configuration.settings import SettingsError
from gatepost.configuration.toml_file import read_toml
from gatepost.resource.scope_map import Needs, ScopeMap
from gatepost.resource.scope_needs import any_of

_KINDS: Final = ("tools", "prompts", "resources", "methods")
_TEXTS: Final = {"scopes": "what the consent page says of a scope", "scope_groups": "the heading of a group of scopes"}
_LIST: Final = 'a list of scopes, such as ["notes:read"], or { any_of = ["one", "other"] }'


def read_scope_map(path: Path, *, setting: str = "MCP_SCOPES_FILE") -> ScopeMap:
    """Return the scopes that a TOML file names; `setting` is what named the file, for sentences about it.

    Raises:
        SettingsError: the file cannot be read, or says something that no such file does; one sentence for each.
    """
    document = read_toml(path, setting=setting)
    sentences: list[str] = []
    given = {key: _table(document, key, _needs, sentences) for key in _KINDS}
    texts = {key: _table(document, key, _text, sentences) for key in _TEXTS}
    implied = _table(document, "implied_scopes", _names, sentences)
    default: Needs | None = None
    if "default" in document:
        default = _entry("default", document["default"], _needs, sentences)
    known = ("default", *given, *texts, "implied_scopes")
    sentences += [
        f"{key} is no key of such a file; there are {', '.join(known)}." for key in sorted(document.keys() - {*known})
    ]
    if not sentences:
        try:
            return ScopeMap(
                **given,
                default=default,
                descriptions=texts["scopes"],
                implied_scopes=implied,
                scope_groups=texts["scope_groups"],
            )
        except (TypeError, ValueError) as error:
            sentences.append(str(error))
    raise SettingsError(*(f"{setting}={path}: {sentence}" for sentence in sentences))


def _table(document: Mapping[str, Any], key: str, read: Callable[[Any], Any], sentences: list[str]) -> dict[str, Any]:
    table = document.get(key, {})
    if not isinstance(table, dict):
        sentences.append(f"{key} is a table: write [{key}], and its entries below.")
        return {}
    return {name: _entry(f'{key}."{name}"', value, read, sentences) for name, value in table.items()}


def _entry(key: str, value: Any, read: Callable[[Any], Any], sentences: list[str]) -> Any:
    try:
        return read(value)
    except ValueError as error:
        sentences.append(f"{key} takes {error}.")
        return ()


def _needs(value: Any) -> Needs:
    """Return what an entry needs: a list, in which a table with `any_of` is one of several, or such a table alone."""
    if isinstance(value, dict):
        return _one_of(value)
    if not isinstance(value, list):
        raise ValueError(_LIST)  # noqa: TRY004 - a mistake in the file
    return [_one_of(each) if isinstance(each, dict) else _name(each) for each in value]


def _one_of(table: Mapping[str, Any]) -> frozenset[str]:
    names = table.get("any_of")
    if len(table) != 1 or not isinstance(names, list) or not names:
        raise ValueError(_LIST)
    return any_of(*map(_name, names))


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(_LIST)  # noqa: TRY004 - likewise
    return value


def _names(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError("a list of the scopes that it opens")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text for people")
    return value
