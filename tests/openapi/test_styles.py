"""Style Values of OpenAPI 3.1.1: its own table of examples, and what it leaves to implementations."""

from __future__ import annotations

from typing import Any

import pytest

from gatepost.openapi.styles import cookies, header_value, path_part, query_parts, scalar

ARRAY = ["blue", "black", "brown"]
OBJECT = {"R": 100, "G": 200, "B": 150}


@pytest.mark.parametrize(
    ("style", "explode", "value", "expected"),
    [
        ("matrix", False, "blue", ";color=blue"),
        ("matrix", False, ARRAY, ";color=blue,black,brown"),
        ("matrix", False, OBJECT, ";color=R,100,G,200,B,150"),
        ("matrix", True, "blue", ";color=blue"),
        ("matrix", True, ARRAY, ";color=blue;color=black;color=brown"),
        ("matrix", True, OBJECT, ";R=100;G=200;B=150"),
        ("label", False, "blue", ".blue"),
        ("label", False, ARRAY, ".blue,black,brown"),
        ("label", False, OBJECT, ".R,100,G,200,B,150"),
        ("label", True, "blue", ".blue"),
        ("label", True, ARRAY, ".blue.black.brown"),
        ("label", True, OBJECT, ".R=100.G=200.B=150"),
        ("simple", False, "blue", "blue"),
        ("simple", False, ARRAY, "blue,black,brown"),
        ("simple", False, OBJECT, "R,100,G,200,B,150"),
        ("simple", True, "blue", "blue"),
        ("simple", True, ARRAY, "blue,black,brown"),
        ("simple", True, OBJECT, "R=100,G=200,B=150"),
    ],
)
def test_values_in_paths_are_as_in_the_table_of_the_specification(
    style: str, explode: bool, value: Any, expected: str
) -> None:
    assert path_part("color", value, style, explode=explode) == expected


@pytest.mark.parametrize(
    ("style", "explode", "value", "expected"),
    [
        ("form", False, "", "color="),
        ("form", False, "blue", "color=blue"),
        ("form", False, ARRAY, "color=blue,black,brown"),
        ("form", False, OBJECT, "color=R,100,G,200,B,150"),
        ("form", True, "", "color="),
        ("form", True, "blue", "color=blue"),
        ("form", True, ARRAY, "color=blue&color=black&color=brown"),
        ("form", True, OBJECT, "R=100&G=200&B=150"),
        ("spaceDelimited", False, ARRAY, "color=blue%20black%20brown"),
        ("spaceDelimited", False, OBJECT, "color=R%20100%20G%20200%20B%20150"),
        ("pipeDelimited", False, ARRAY, "color=blue%7Cblack%7Cbrown"),
        ("pipeDelimited", False, OBJECT, "color=R%7C100%7CG%7C200%7CB%7C150"),
        ("deepObject", True, OBJECT, "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150"),
        # What the table has as n/a: the exploded forms of the delimited styles are those of form.
        ("pipeDelimited", True, ARRAY, "color=blue&color=black&color=brown"),
        (
            "deepObject",
            False,
            {"a": {"b": [1, {"c": 2}]}},
            "color%5Ba%5D%5Bb%5D%5B0%5D=1&color%5Ba%5D%5Bb%5D%5B1%5D%5Bc%5D=2",
        ),
        ("deepObject", True, ["x", "y"], "color%5B0%5D=x&color%5B1%5D=y"),
        ("deepObject", True, "blue", "color=blue"),
    ],
)
def test_values_in_queries_are_as_in_the_table_of_the_specification(
    style: str, explode: bool, value: Any, expected: str
) -> None:
    assert "&".join(query_parts("color", value, style, explode=explode)) == expected


@pytest.mark.parametrize("style", ["form", "spaceDelimited", "pipeDelimited", "deepObject"])
@pytest.mark.parametrize("value", [None, [], {}, [None], {"a": None}])
def test_what_is_undefined_is_not_sent(style: str, value: Any) -> None:
    """RFC 6570 section 2.3."""
    assert query_parts("color", value, style, explode=False) == []
    assert query_parts("color", value, style, explode=True) == []


def test_the_example_of_appendix_c_is_written_as_there() -> None:
    formulas, words = {"a": "x+y", "b": "x/y", "c": "x^y"}, ["math", "is", "fun"]
    plain = query_parts("formulas", formulas, "form", explode=True)
    assert plain == ["a=x%2By", "b=x%2Fy", "c=x%5Ey"]
    reserved = query_parts("formulas", formulas, "form", explode=True, allow_reserved=True)
    assert reserved == ["a=x%2By", "b=x/y", "c=x%5Ey"]
    assert query_parts("words", words, "spaceDelimited", explode=False) == ["words=math%20is%20fun"]


def test_reserved_characters_that_would_end_a_part_are_encoded_and_triples_stay() -> None:
    (part,) = query_parts("q", "a=b&c#d[e]+%2F%zz", "form", explode=True, allow_reserved=True)
    assert part == "q=a%3Db%26c%23d%5Be%5D%2B%2F%25zz"


def test_names_are_encoded_as_values_are() -> None:
    assert query_parts("filter[a&b]", "x", "form", explode=True) == ["filter%5Ba%26b%5D=x"]
    assert query_parts("❤️", "love!", "form", explode=True) == ["%E2%9D%A4%EF%B8%8F=love%21"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, "true"), (None, "null"), (5, "5"), (5.0, "5"), (0.5, "0.5"), ("a", "a"), ([1], "[1]"), (1e300, "1e+300")],
)
def test_a_value_is_written_as_json_and_a_text_without_its_quotes(value: Any, expected: str) -> None:
    assert scalar(value) == expected


def test_headers_are_not_percent_encoded() -> None:
    assert header_value("a b/ü", explode=False) == "a b/ü"
    assert header_value(ARRAY, explode=False) == "blue,black,brown"
    assert header_value(OBJECT, explode=False) == "R,100,G,200,B,150"
    assert header_value(OBJECT, explode=True) == "R=100,G=200,B=150"


def test_a_cookie_cannot_become_two() -> None:
    assert cookies("c", "a; admin=1", explode=True) == ["c=a%3B%20admin=1"]
    assert cookies("c", ["a", "b"], explode=True) == ["c=a", "c=b"]
    assert cookies("c", ["a", "b"], explode=False) == ["c=a%2Cb"]
    assert cookies("c", {"R": 1, "G": None}, explode=True) == ["R=1"]
    assert cookies("c", None, explode=True) == []
