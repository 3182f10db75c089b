"""Which scopes things need that stand behind, by name or pattern."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.resource.scope_map import LISTS, ScopeMap
from gatepost.resource.scope_needs import any_of, groups_of

NOTES = ScopeMap(
    tools={"list_notes": ["read"], "list_*": ["list"], "*_note": any_of("write", "owner"), "ping": []},
    prompts={"review": ["read"], "review-*": ["read", "write"]},
    resources={"notes://{id}": ["read"], "notes://{id}/history": ["audit"], "file:///data/*": ["files"]},
    methods={"notes/*": ["write"]},
    default=["rest"],
)


def call(name: Any, scopes: ScopeMap = NOTES) -> frozenset[str]:
    return scopes.needed("tools/call", {"name": name})


def read(uri: Any, scopes: ScopeMap = NOTES) -> frozenset[str]:
    return scopes.needed("resources/read", {"uri": uri})


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("list_notes", (("list",), ("read",))),
        ("list_tags", (("list",),)),
        ("delete_note", (("write", "owner"),)),
        ("list_note", (("list",), ("write", "owner"))),
        ("ping", ()),
        ("pin", (("rest",),)),
        ("LIST_NOTES", (("rest",),)),
        ("", (("rest",),)),
        (None, (("rest",),)),
        (7, (("rest",),)),
    ],
)
def test_a_tool_needs_what_every_rule_says_that_matches_and_else_the_default(name: Any, groups: Any) -> None:
    assert groups_of(call(name)) == groups


def test_prompts_have_rules_of_their_own() -> None:
    assert NOTES.needed("prompts/get", {"name": "review"}) == {"read"}
    assert NOTES.needed("prompts/get", {"name": "review-all"}) == {"read", "write"}
    assert NOTES.needed("prompts/get", {"name": "list_notes"}) == {"rest"}
    assert NOTES.needed("prompts/get", {}) == {"rest"}


@pytest.mark.parametrize(
    ("uri", "needed"),
    [
        ("notes://5", {"read"}),
        ("notes://{id}", {"read"}),
        ("notes://5/history", {"audit"}),
        # A variable of a template stands for no slash.
        ("notes://5/6", {"rest"}),
        ("file:///data/a/b", {"files"}),
        ("file:///data", {"rest"}),
        ("mail://5", {"rest"}),
        # The case of a scheme or a host says nothing to some servers: the rule counts, and so does the default.
        ("NOTES://5", {"read", "rest"}),
        ("FILE:///DATA/a", {"files", "rest"}),
    ],
)
def test_a_resource_needs_what_its_uri_does(uri: str, needed: set[str]) -> None:
    assert read(uri) == needed


EVERYTHING = {"read", "audit", "files", "rest"}


@pytest.mark.parametrize("suffix", ["?", "#", "?x=1", "#x", "#a?b", "?a#b", "?a/b", "%3Fx", "%23", "%3f"])
def test_a_uri_with_query_or_fragment_needs_what_it_does_without(suffix: str) -> None:
    scopes = ScopeMap(
        resources={"notes://{id}": ["read"], "notes://secret": ["admin"], "notes://a?b": ["ab"], "open://*": []},
        default=["rest"],
    )

    assert {"read", "admin"} <= read(f"notes://secret{suffix}", scopes) <= {"read", "admin", "rest"}
    assert {"read", "admin"} <= read(f"NOTES://Secret{suffix}", scopes) <= {"read", "admin", "rest"}
    assert "ab" in read("notes://a?b#c", scopes)
    assert read(f"open://any{suffix}", scopes) == set()


@pytest.mark.parametrize(
    "uri",
    [
        "notes://5/../6",
        "notes://5/..",
        "notes://5/./history",
        "file:///data/../secret",
        "file:///data//secret",
        "file:////data",
        "notes:..",
        "notes:../5",
        "notes://5/%2e%2e/6",
        "notes://%35",
        "notes://5%2Fhistory",
        "notes://5%5chistory",
        "notes://5\\history",
        "notes://5/his\ntory",
        " notes://5",
        "notes://5\x00",
        "http://notes.example",
        "http:notes.example/5",
        "http://notes.example:80/5",
        "https://notes.example:443/5",
        "https://somebody@notes.example/5",
        "x" * 8193,
        None,
        5,
    ],
)
def test_a_uri_that_readers_understand_differently_needs_what_any_resource_does(uri: Any) -> None:
    assert read(uri) == EVERYTHING


@pytest.mark.parametrize(
    "uri",
    [
        "notes://5.6",
        "notes://..5/...",
        "notes://a%20b",
        "notes://%C3%A4",
        "notes://5?from=../6",
        "notes://5#a//b",
        "http://notes.example:8080/5?q=a",
        "https://notes.example/5",
        "urn:isbn:1",
        "note:5",
    ],
)
def test_an_ordinary_uri_is_looked_up(uri: str) -> None:
    # Before a query or a fragment is what a rule may name.
    assert read(uri) in ({"rest"}, {"read"}, {"read", "rest"})


@pytest.mark.parametrize("method", ["resources/read", "resources/subscribe", "resources/unsubscribe"])
def test_a_subscription_to_a_resource_needs_what_reading_it_does(method: str) -> None:
    assert NOTES.needed(method, {"uri": "notes://5"}) == {"read"}


@pytest.mark.parametrize(
    ("notifications", "needed"),
    [
        ({"toolsListChanged": True}, set()),
        ({"resourceSubscriptions": ["notes://5"]}, {"read"}),
        ({"resourceSubscriptions": ["notes://5", "file:///data/a", "mail://6"]}, {"read", "files", "rest"}),
        ({"resourceSubscriptions": "notes://5"}, EVERYTHING),
        ({"resourceSubscriptions": [7]}, EVERYTHING),
        (None, set()),
    ],
)
def test_a_stream_of_changes_needs_what_each_resource_of_it_does(notifications: Any, needed: set[str]) -> None:
    assert NOTES.needed("subscriptions/listen", {"notifications": notifications}) == needed


@pytest.mark.parametrize(
    ("reference", "needed"),
    [
        ({"type": "ref/prompt", "name": "review"}, {"read"}),
        ({"type": "ref/resource", "uri": "notes://{id}/history"}, {"audit"}),
        ({"type": "ref/tool", "name": "ping"}, {"rest"}),
        (None, {"rest"}),
    ],
)
def test_completion_needs_what_it_completes_for(reference: Any, needed: set[str]) -> None:
    assert NOTES.needed("completion/complete", {"ref": reference}) == needed


@pytest.mark.parametrize(
    ("method", "params", "needed"),
    [
        ("tools/call", {"name": "ping", "Name": "delete_note"}, "list"),
        ("tools/call", {"NAME": "delete_note"}, "list"),
        ("prompts/get", {"name": "review", "nAme": "other"}, "write"),
        ("resources/read", {"uri": "notes://1", "URI": "file:///data/1"}, "files"),
        ("resources/unsubscribe", {"uri": "notes://1", "Uri": "file:///data/1"}, "files"),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "review"}, "Ref": {}}, "files"),
        ("completion/complete", {"ref": {"type": "ref/prompt", "Type": "ref/resource", "name": "review"}}, "files"),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "review", "Name": "other"}}, "write"),
        ("completion/complete", {"ref": {"type": "ref/resource", "uri": "notes://1", "Uri": "file:///"}}, "files"),
        ("subscriptions/listen", {"notifications": {}, "Notifications": {}}, "files"),
        ("subscriptions/listen", {"notifications": {"re\u017fourceSubscriptions": ["notes://1"]}}, "files"),
    ],
)
def test_where_readers_may_take_two_members_for_one_all_of_their_kind_is_needed(
    method: str, params: dict[str, Any], needed: str
) -> None:
    everything = {"read", "list", "write", "audit", "files", "rest"}

    assert NOTES.needed(method, params) <= everything
    assert not NOTES.needed(method, params) <= everything - {needed}


@pytest.mark.parametrize(
    "method",
    ["initialize", "ping", "server/discover", "logging/setLevel", "tasks/get", "notifications/cancelled", *LISTS],
)
def test_what_names_nothing_needs_nothing(method: str) -> None:
    assert NOTES.needed(method, {"name": "delete_note"}) == set()


def test_a_method_that_the_specification_does_not_have_is_looked_up_by_its_own_name() -> None:
    assert NOTES.needed("notes/merge", {}) == {"write"}
    assert NOTES.needed("mail/send", {"name": "ping"}) == {"rest"}


def test_the_list_of_tasks_is_no_list_for_everybody() -> None:
    assert NOTES.needed("tasks/list", {}) == {"rest"}
    assert ScopeMap(tools={"a": ["read"]}, methods={"tasks/list": []}).needed("tasks/list", {}) == set()


@pytest.mark.parametrize(
    ("member", "entry", "granted", "is_shown"),
    [
        ("tools", {"name": "list_tags"}, {"list"}, True),
        ("tools", {"name": "list_tags"}, {"read"}, False),
        ("tools", {"name": "delete_note"}, {"owner"}, True),
        ("tools", {"name": "ping"}, set(), True),
        ("tools", {"title": "without a name"}, {"list", "read", "write"}, False),
        ("tools", "no object", {"list", "read", "write"}, False),
        ("prompts", {"name": "review"}, {"read"}, True),
        ("prompts", {"name": "list_tags"}, {"list"}, False),
        ("resources", {"uri": "notes://5"}, {"read"}, True),
        ("resources", {"uri": "notes://5/history"}, {"read"}, False),
        ("resourceTemplates", {"uriTemplate": "notes://{id}/history"}, {"audit"}, True),
        ("resourceTemplates", {"uriTemplate": "notes://{id}"}, {"audit"}, False),
    ],
)
def test_a_list_shows_what_the_caller_may_use(member: str, entry: Any, granted: set[str], is_shown: bool) -> None:
    assert NOTES.shows(member, entry, frozenset(granted)) is is_shown
    assert NOTES.shows(member, entry, None)


def test_without_a_default_the_rest_needs_every_scope_that_a_rule_names() -> None:
    scopes = ScopeMap(tools={"a": ["x"], "b*": any_of("y", "z")}, prompts={"c": ["w"]}, descriptions={"v": "Words"})

    assert call("new", scopes) == {"x", "y", "z", "w"}
    assert scopes.scopes == ("v", "x", "y", "z", "w")
    assert call("new", ScopeMap(default=[])) == set()


def test_a_map_that_asks_for_nothing_is_false() -> None:
    assert not ScopeMap()
    assert not ScopeMap(tools={"a": []})
    assert ScopeMap(default=["x"])
    assert ScopeMap(tools={"a": ["x"]})


def test_scopes_with_words_come_first_and_implied_ones_are_among_them() -> None:
    scopes = ScopeMap(
        tools={"a": ["read"]},
        default=["rest"],
        descriptions={"write": "Change notes", "read": "Read notes"},
        implied_scopes={"admin": ["write"], "write": ["read"]},
        scope_groups={"notes": "Your notes"},
    )

    assert scopes.scopes == ("write", "read", "admin", "rest")
    assert scopes.implied_scopes["admin"] == {"admin", "write", "read"}
    assert scopes.scope_groups == {"notes": "Your notes"}


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: ScopeMap(tools={"a": "read"}), TypeError, "tools: 'a' takes a list; write ['read']."),
        (lambda: ScopeMap(default="read"), TypeError, "default takes a list; write ['read']."),
        (lambda: ScopeMap(tools={"a": 7}), TypeError, "tools: 'a' takes a list of scopes, or any_of(...)."),  # type: ignore[dict-item] # what is refused
        (lambda: ScopeMap(prompts={"": ["x"]}), ValueError, "prompts: '' is no name and no pattern."),
        (lambda: ScopeMap(tools={"a\n": ["x"]}), ValueError, r"tools: 'a\n' is no name and no pattern."),
        (
            lambda: ScopeMap(resources={"a:b": ["two words"]}),
            ValueError,
            "resources: 'a:b': 'two words' is no scope (RFC 6749 section 3.3).",
        ),
        (
            lambda: ScopeMap(implied_scopes={"x": ['"']}),
            ValueError,
            "scopes: '\"' is no scope (RFC 6749 section 3.3).",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    make: Callable[[], ScopeMap], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error) as refusal:
        make()
    assert str(refusal.value) == sentence


LETTERS = st.text("ab", max_size=8)


@given(st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=6), LETTERS)
def test_a_star_is_any_text(parts: list[str], name: str) -> None:
    pattern = "".join(parts)
    expression = "".join(".*" if part == "*" else part for part in parts)
    matches = re.fullmatch(expression, name) is not None

    assert (call(name, ScopeMap(tools={pattern: ["x"]}, default=["rest"])) == {"x"}) is matches


SEGMENTS = st.text("ab/", max_size=6).map(lambda text: "x:" + re.sub("/+", "/", text))


@given(st.lists(st.sampled_from(["a", "b", "/", "{v}"]), max_size=6), SEGMENTS)
def test_a_variable_is_any_text_without_a_slash(parts: list[str], uri: str) -> None:
    pattern = "x:" + "".join(parts)
    expression = "x:" + "".join("[^/]*" if part == "{v}" else part for part in parts)
    matches = re.fullmatch(expression, uri) is not None

    assert (read(uri, ScopeMap(resources={pattern: ["x"]}, default=["rest"])) == {"x"}) is matches


def test_names_that_strangers_ask_about_are_kept_in_bounds_and_answered_alike() -> None:
    scopes = ScopeMap(tools={"a*": ["x"]}, default=["rest"])
    names = [f"{letter}{number}" for number in range(800) for letter in "ab"]

    for _ in range(2):
        assert [call(name, scopes) for name in names] == [{"x"}, {"rest"}] * 800
    assert call("a" * 10_000, scopes) == {"x"}


def test_a_long_name_costs_no_more_than_its_length() -> None:
    scopes = ScopeMap(tools={"*a*a*a*a*a*b": ["x"]}, default=["rest"])

    assert call("a" * 200_000, scopes) == {"rest"}
