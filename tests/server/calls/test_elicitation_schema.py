from __future__ import annotations

from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, RootModel, SecretBytes, SecretStr, create_model

from gatepost.server.calls.elicitation_schema import UnsupportedForm, check_form, form_of_model, problems


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


class Order(BaseModel):
    name: Annotated[str, Field(min_length=2, max_length=9, description="Whose it is", pattern="^[a-z]+$")]
    count: Annotated[int, Field(ge=1, le=5)] = 1
    weight: float | None = None
    gift: bool = False
    size: Size = Size.SMALL
    colour: Literal["red", "blue"]
    fixed: Literal["only"] = "only"
    extras: list[Literal["bow", "card"]] = ["bow"]
    sizes: Annotated[list[Size], Field(min_length=1)]
    day: date | None = Field(default=None, title="Day")
    shade: Annotated[str, Field(json_schema_extra={"format": "color"})] = ""


def test_a_model_becomes_a_flat_form_with_defaults_and_choices() -> None:
    assert form_of_model(Order) == {
        "type": "object",
        "properties": {
            "name": {
                "type": "string",
                "title": "Name",
                "description": "Whose it is",
                "minLength": 2,
                "maxLength": 9,
            },
            "count": {"type": "integer", "title": "Count", "default": 1, "minimum": 1, "maximum": 5},
            "weight": {"type": "number", "title": "Weight"},
            "gift": {"type": "boolean", "title": "Gift", "default": False},
            "size": {"type": "string", "title": "Size", "enum": ["s", "l"], "default": "s"},
            "colour": {"type": "string", "title": "Colour", "enum": ["red", "blue"]},
            "fixed": {"type": "string", "title": "Fixed", "enum": ["only"], "default": "only"},
            "extras": {
                "type": "array",
                "title": "Extras",
                "items": {"type": "string", "enum": ["bow", "card"]},
                "default": ["bow"],
            },
            "sizes": {
                "type": "array",
                "title": "Sizes",
                "items": {"type": "string", "enum": ["s", "l"]},
                "minItems": 1,
            },
            "day": {"type": "string", "title": "Day", "format": "date"},
            "shade": {"type": "string", "title": "Shade", "default": ""},
        },
        "required": ["name", "colour", "sizes"],
    }


class Inner(BaseModel):
    value: int


class Nested(BaseModel):
    inner: Inner


class Listed(BaseModel):
    values: list[str]


class Either(BaseModel):
    value: int | str


class Number(RootModel[int]):
    pass


@pytest.mark.parametrize("model", [Nested, Listed, Either, Number])
def test_a_model_that_no_form_can_show_is_refused(model: type[BaseModel]) -> None:
    with pytest.raises(UnsupportedForm):
        form_of_model(model)


def test_a_model_without_fields_is_a_form_that_only_asks_yes_or_no() -> None:
    class Nothing(BaseModel):
        pass

    assert form_of_model(Nothing) == {"type": "object", "properties": {}}


TITLED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "colour": {"type": "string", "oneOf": [{"const": "r", "title": "Red"}, {"const": "b", "title": "Blue"}]},
        "many": {"type": "array", "items": {"anyOf": [{"const": "x", "title": "X"}]}, "maxItems": 1},
        "old": {"type": "string", "enum": ["a"], "enumNames": ["A"]},
        "text": {"type": "string", "minLength": 1, "maxLength": 2},
        "whole": {"type": "integer", "minimum": 0},
        "real": {"type": "number", "maximum": 1},
        "yes": {"type": "boolean"},
    },
    "required": ["colour"],
}


def test_a_schema_within_the_restricted_language_is_taken_as_it_is() -> None:
    assert check_form(TITLED) == TITLED


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "string"},
        {"type": "object"},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": {"type": "object"}}},
        {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}},
        {"type": "object", "properties": {"a": {"type": "array", "items": True}}},
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}},
        {"type": "object", "properties": {"a": {"type": "string", "format": "password"}}},
    ],
)
def test_a_schema_beyond_it_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedForm):
        check_form(schema)


@pytest.mark.parametrize(
    "content",
    [
        {"colour": "r"},
        {"colour": "b", "many": ["x"], "old": "a", "text": "ab", "whole": 3.0, "real": 0.5, "yes": True},
        {"colour": "r", "many": [], "unknown": {"deep": 1}},
    ],
)
def test_an_answer_that_fits_has_no_problems(content: dict[str, Any]) -> None:
    assert list(problems(TITLED, content)) == []


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"colour": "green"}, "colour"),
        ({"colour": ["r"]}, "colour"),
        ({"colour": "r", "many": "x"}, "many"),
        ({"colour": "r", "many": ["y"]}, "many"),
        ({"colour": "r", "many": ["x", "x"]}, "many"),
        ({"colour": "r", "old": "b"}, "old"),
        ({"colour": "r", "text": ""}, "text"),
        ({"colour": "r", "text": "abc"}, "text"),
        ({"colour": "r", "whole": 1.5}, "whole"),
        ({"colour": "r", "whole": float("inf")}, "whole"),
        ({"colour": "r", "whole": -1}, "whole"),
        ({"colour": "r", "whole": True}, "whole"),
        ({"colour": "r", "real": 2}, "real"),
        ({"colour": "r", "real": "1"}, "real"),
        ({"colour": "r", "yes": 1}, "yes"),
    ],
)
def test_an_answer_that_does_not_fit_is_told_by_field_and_not_by_value(content: dict[str, Any], field: str) -> None:
    assert list(problems(TITLED, content)) == [f"{field}: is not what the form asks for"]


def test_a_missing_field_is_named() -> None:
    assert list(problems(TITLED, {})) == ["colour: is required"]


@pytest.mark.parametrize("kind", [SecretStr, SecretBytes, SecretStr | None])
def test_a_form_that_asks_for_a_secret_is_refused(kind: Any) -> None:
    model = create_model("Login", password=(kind, ...))

    with pytest.raises(UnsupportedForm, match="elicit_url"):
        form_of_model(model)
    with pytest.raises(UnsupportedForm, match="elicit_url"):
        check_form({"type": "object", "properties": {"password": {"type": "string", "format": "password"}}})


DIALECT = "https://json-schema.org/draft/2020-12/schema"
FLAG = {"type": "object", "properties": {"flag": {"type": "boolean"}}}


@pytest.mark.parametrize("dialect", [DIALECT, DIALECT + "#"])
def test_a_schema_may_say_that_it_is_of_2020_12(dialect: str) -> None:
    assert check_form({"$schema": dialect, **FLAG}) == {"$schema": dialect, **FLAG}


@pytest.mark.parametrize("dialect", ["http://json-schema.org/draft-07/schema#", "", 5, None])
def test_a_schema_of_another_dialect_is_refused_by_name(dialect: Any) -> None:
    with pytest.raises(UnsupportedForm, match="2020-12"):
        check_form({"$schema": dialect, **FLAG})


@pytest.mark.parametrize("field", [{"$ref": "https://example.com/flag"}, {"type": "boolean", "$ref": "#/x"}])
def test_a_form_refers_to_nothing(field: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedForm):
        check_form({"type": "object", "properties": {"flag": field}})
