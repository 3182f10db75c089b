# ruff: noqa: D417 (docstrings that describe some parameters are what is tested)
from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, Any, NotRequired, Optional

import annotated_doc
import pytest
import typing_extensions
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from gatepost.server.calls.context import Context
from gatepost.server.declared.resources import Resource
from gatepost.server.declared.tools import Tool


def properties(func: Any) -> dict[str, Any]:
    """What is said of each argument of a tool."""
    found: dict[str, Any] = Tool(func).definition["inputSchema"]["properties"]
    return {name: schema.get("description") for name, schema in found.items()}


def test_a_text_in_annotated_describes_the_parameter() -> None:
    def go(
        plain: Annotated[str, "Plain."],
        doc: Annotated[str, typing_extensions.Doc("Doc.")],
        other_doc: Annotated[str, annotated_doc.Doc("Other.")],
        field: Annotated[str, Field(description="Field.")],
        both: Annotated[int, "Plain.", Field(ge=1, description="Field.")],
        several: Annotated[int, Field(ge=1), "One.", "Two."] = 1,
        default: str = Field("x", description="Default."),
        docstring: int = 1,
        none: int = 1,
    ) -> None:
        """Go.

        Args:
            plain: Not this.
            default: Nor this.
            docstring: Docstring.
        """

    assert properties(go) == {
        "plain": "Plain.",
        "doc": "Doc.",
        "other_doc": "Other.",
        "field": "Field.",
        "both": "Field.",
        "several": "One. Two.",
        "default": "Default.",
        "docstring": "Docstring.",
        "none": None,
    }


def test_a_text_deep_inside_of_a_type_is_kept() -> None:
    def go(
        city: Annotated[str, "The city."] | None = None,
        tags: list[Annotated[str, "A tag."]] = [],  # noqa: B006 (people write this)
        ages: Optional[dict[str, Annotated[int, "An age."]]] = None,  # noqa: UP045 (likewise)
    ) -> None: ...

    found = Tool(go).definition["inputSchema"]["properties"]
    assert found["city"]["anyOf"][0] == {"type": "string", "description": "The city."}
    assert found["tags"]["items"] == {"type": "string", "description": "A tag."}
    assert found["ages"]["anyOf"][0]["additionalProperties"] == {"type": "integer", "description": "An age."}


class Place(BaseModel):
    city: Annotated[str, "The city."]
    street: Annotated[str, "The street."] = Field("", alias="road")
    number: int = Field(1, description="The number.")


@dataclass
class Stay:
    nights: Annotated[int, "How many."]


class Guest(TypedDict):
    name: NotRequired[Annotated[str, "Whose name."]]


def test_a_text_in_annotated_describes_a_field_of_a_class() -> None:
    def one(place: Annotated[Place, "Where."]) -> None: ...
    def several(place: Place, stay: Stay, guest: Guest) -> None: ...

    assert properties(one) == {"city": "The city.", "road": "The street.", "number": "The number."}
    definitions = Tool(several).definition["inputSchema"]["$defs"]
    assert definitions["Place"]["properties"]["city"]["description"] == "The city."
    assert definitions["Stay"]["properties"]["nights"]["description"] == "How many."
    assert definitions["Guest"]["properties"]["name"]["description"] == "Whose name."


def test_a_docstring_describes_parameters_with_an_alias_and_fields_of_the_only_model() -> None:
    def move(from_: Annotated[str, Field(alias="from")], ctx: Context) -> None:
        """Move.

        Args:
            from_: Where from.
            ctx: Of no interest to clients.
        """

    def settle(place: Place) -> None:
        """Settle.

        Args:
            place: Where to.
            city: Not this.
            road: Nor this.
        """

    assert properties(move) == {"from": "Where from."}
    assert properties(settle) == {"city": "The city.", "road": "The street.", "number": "The number."}
    assert Tool(settle).definition["inputSchema"]["description"] == "Where to."


def test_an_object_that_is_called_says_what_its_method_says_or_else_its_class() -> None:
    class Counter:
        """Count.

        Args:
            number: From the class.
        """

        def __call__(self, number: int) -> int:
            return number

    class Teller(Counter):
        def __call__(self, number: int) -> int:
            """Tell.

            Args:
                number: From the method.
            """
            return number

    for called, description, of in (
        (Counter(), "Count.", "class"),
        (Teller(), "Tell.", "method"),
        (functools.partial(Counter()), "Count.", "class"),
    ):
        tool = Tool(called, name="count")
        assert tool.definition["description"] == description
        assert tool.definition["inputSchema"]["properties"]["number"]["description"] == f"From the {of}."


def test_what_a_docstring_says_of_no_parameter_is_a_warning_at_the_function() -> None:
    def go(city: str) -> None:
        """Go.

        Args:
            citty: Where to.
        """

    with pytest.warns(UserWarning, match=r"go: its docstring describes 'citty', which it does not take") as warned:
        Tool(go)
    assert (warned[0].filename, warned[0].lineno) == (__file__, go.__code__.co_firstlineno)


def test_a_docstring_may_describe_what_a_partial_has_decided() -> None:
    def go(city: str, key: str) -> None:
        """Go.

        Args:
            city: Where to.
            key: Decided.
        """

    assert properties(functools.partial(go, key="x")) == {"city": "Where to."}


def test_a_resource_template_says_what_its_variables_are() -> None:
    def note(author: Annotated[str, "Whose."], number: int) -> str:
        """Read a note.

        Args:
            number: Which one.
        """
        return f"{author} {number}"

    resource = Resource(note, "notes://{author}/{number}")
    assert resource.definition["description"] == "Read a note.\n\nauthor: Whose.\nnumber: Which one."
    assert Resource(note, "notes://{author}/{number}", description="Own.").definition["description"] == "Own."
