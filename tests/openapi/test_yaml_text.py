"""YAML by the core schema of 1.2, bounded."""

from __future__ import annotations

from typing import Any

import pytest

from gatepost.openapi.yaml_text import InvalidYAML, load_yaml


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: no\nb: yes\nc: on", {"a": "no", "b": "yes", "c": "on"}),
        ("a: true\nb: False\nc: ~\nd:", {"a": True, "b": False, "c": None, "d": None}),
        ("a: 12:30\nb: 2020-01-01\nc: 0o17\nd: 010", {"a": "12:30", "b": "2020-01-01", "c": 15, "d": 10}),
        ("a: 1.5\nb: 1e3\nc: .inf\nd: .nan", {"a": 1.5, "b": 1000.0, "c": ".inf", "d": ".nan"}),
        ("200: ok\nnull: x\ntrue: y", {"200": "ok", "null": "x", "true": "y"}),
        ("a: '5'\nb: \"true\"\nc: |\n  x\n  y\n", {"a": "5", "b": "true", "c": "x\ny\n"}),
        ("- !!str 5\n- [1, {b: 2}]", ["5", [1, {"b": 2}]]),
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        ("a: " + "9" * 400, {"a": "9" * 400}),
        ("a: 9223372036854775807\nb: 9223372036854776000", {"a": 2**63 - 1, "b": 9223372036854776000.0}),
        ("", None),
    ],
)
def test_a_document_is_read_by_the_core_schema(text: str, expected: Any) -> None:
    assert load_yaml(text) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\na: 2", "line 2: a key stands twice"),
        ("a: !!python/object:os.system x", "line 1: there is a tag"),
        ("a: !x [1]", "there is a tag"),
        ("a: {<<: {b: 1}}", "there is a merge"),
        ("? [1]\n: 2", "a key is a collection"),
        ("a: &x [*x]", "stands inside of what it repeats"),
        ("a: *x", "stands inside of what it repeats, or before it"),
        ("a: 1\n---\nb: 2", "a second document"),
        ("a: [1", "line 2: did not find expected"),
        ("[" * 300, "nests more than 200 levels"),
        ("a: \x00", "there are characters that YAML does not have"),
    ],
)
def test_what_json_has_no_form_for_is_refused_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(InvalidYAML, match=problem.replace("*", r"\*")):
        load_yaml(text)


def test_aliases_that_repeat_without_end_are_refused_before_they_are_walked() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    with pytest.raises(InvalidYAML, match="too large where its aliases"):
        load_yaml("\n".join(lines))


def test_any_depth_is_an_error_and_no_crash() -> None:
    for text in ("[" * 200_000, "- " * 200_000, "{a: " * 200_000):
        with pytest.raises(InvalidYAML):
            load_yaml(text)
