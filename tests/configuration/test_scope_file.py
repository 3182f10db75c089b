"""MCP_SCOPES_FILE: what its entries come to, and what is refused with a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatepost.configuration.scope_file import read_scope_map
from gatepost.configuration.settings import SettingsError
from gatepost.resource.scope_map import ScopeMap
from gatepost.resource.scope_needs import groups_of

WHOLE = """
default = ["notes:admin"]

[tools]
"list_*" = ["notes:read"]
delete = { any_of = ["notes:admin", "notes:owner"] }
move = ["notes:read", { any_of = ["notes:write", "notes:owner"] }]
ping = []

[prompts]
review = ["notes:read"]

[resources]
"notes://{id}" = ["notes:read"]

[methods]
"notes/merge" = ["notes:write"]

[scopes]
"notes:read" = "Read your notes"

[implied_scopes]
"notes:admin" = ["notes:write"]

[scope_groups]
notes = "Your notes"
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(text: str) -> ScopeMap:
    Path("scopes.toml").write_text(text, encoding="utf-8")
    return read_scope_map(Path("scopes.toml"))


def refused(text: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refusal:
        read(text)
    return refusal.value.sentences


def test_a_file_says_what_needs_which_scopes() -> None:
    scopes = read(WHOLE)

    assert scopes.needed("tools/call", {"name": "list_all"}) == {"notes:read"}
    assert groups_of(scopes.needed("tools/call", {"name": "delete"})) == (("notes:admin", "notes:owner"),)
    assert groups_of(scopes.needed("tools/call", {"name": "move"})) == (
        ("notes:read",),
        ("notes:write", "notes:owner"),
    )
    assert scopes.needed("tools/call", {"name": "ping"}) == set()
    assert scopes.needed("tools/call", {"name": "new"}) == {"notes:admin"}
    assert scopes.needed("prompts/get", {"name": "review"}) == {"notes:read"}
    assert scopes.needed("resources/read", {"uri": "notes://5"}) == {"notes:read"}
    assert scopes.needed("notes/merge", {}) == {"notes:write"}
    assert scopes.descriptions == {"notes:read": "Read your notes"}
    assert scopes.implied_scopes == {"notes:admin": {"notes:admin", "notes:write"}}
    assert scopes.scope_groups == {"notes": "Your notes"}


def test_an_empty_file_asks_for_nothing() -> None:
    assert not read("")


LIST = 'takes a list of scopes, such as ["notes:read"], or { any_of = ["one", "other"] }.'
KEYS = "default, tools, prompts, resources, methods, scopes, scope_groups, implied_scopes"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[tools]\n"a" = ]\n', " is not TOML: something is wrong at line 2, column 7."),
        ('[tools]\n"a" = "read"', f': tools."a" {LIST}'),
        ('[tools]\n"a" = [1]', f': tools."a" {LIST}'),
        ('[prompts]\n"a" = {any_of = []}', f': prompts."a" {LIST}'),
        ('[prompts]\n"a" = {all_of = ["x"]}', f': prompts."a" {LIST}'),
        ('[resources]\n"a" = {any_of = ["x"], more = 1}', f': resources."a" {LIST}'),
        ('[methods]\n"a" = [{any_of = "x"}]', f': methods."a" {LIST}'),
        ("default = 7", f": default {LIST}"),
        ("tools = []", ": tools is a table: write [tools], and its entries below."),
        ("[tool]\na = []", f": tool is no key of such a file; there are {KEYS}."),
        ("[scopes]\nread = 5", ': scopes."read" takes a text for people.'),
        ('[scope_groups]\nread = " "', ': scope_groups."read" takes a text for people.'),
        ('[implied_scopes]\na = "b"', ': implied_scopes."a" takes a list of the scopes that it opens.'),
        ('[tools]\na = ["two words"]', ": tools: 'a': 'two words' is no scope (RFC 6749 section 3.3)."),
        ('[tools]\n"" = ["x"]', ": tools: '' is no name and no pattern."),
    ],
)
def test_what_is_wrong_is_said_with_its_key_or_line(text: str, sentence: str) -> None:
    assert refused(text) == (f"MCP_SCOPES_FILE=scopes.toml{sentence}",)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    assert len(refused('default = 1\nmore = 2\n[tools]\na = 3\n"b" = "c"')) == 4


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(SettingsError) as refusal:
        read_scope_map(Path("none.toml"), setting="SCOPES")
    assert refusal.value.sentences == ("SCOPES=none.toml cannot be read (No such file or directory).",)
