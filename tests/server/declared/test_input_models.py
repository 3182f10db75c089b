from __future__ import annotations

from typing import Any

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, RootModel

from gatepost.server.calls.context import Context
from gatepost.server.declared.inputs import InputType, input_type
from gatepost.server.declared.signature import read_signature
from gatepost.server.errors import InvalidArguments, ToolDefinitionError


def inputs(func: Any, model: Any = None) -> InputType:
    return input_type("tested", read_signature(func), model)


class Note(BaseModel):
    """A note."""

    text: str = Field(description="What to keep.", max_length=100)
    tags: list[str] = []


class Tree(BaseModel):
    name: str
    children: list[Tree] = []


def test_a_lone_model_gives_its_fields_as_the_arguments() -> None:
    def keep(note: Note, ctx: Context) -> None: ...

    tool = inputs(keep)
    assert tool.schema == {
        "type": "object",
        "title": "Note",
        "description": "A note.",
        "properties": {
            "text": {"type": "string", "description": "What to keep.", "maxLength": 100},
            "tags": {"type": "array", "items": {"type": "string"}, "default": []},
        },
        "required": ["text"],
        "additionalProperties": False,
    }
    assert tool.validate({"text": "a"}) == {"note": Note(text="a")}


def test_a_model_with_a_default_is_an_argument_like_any_other() -> None:
    def keep(note: Note = Note(text="a")) -> None: ...  # noqa: B008 (people write this)

    assert inputs(keep).schema["properties"].keys() == {"note"}


def test_a_recursive_model_is_an_object_at_its_root() -> None:
    def plant(tree: Tree) -> None: ...

    tool = inputs(plant)
    assert (tool.schema["type"], tool.schema["properties"].keys()) == ("object", {"name", "children"})
    assert tool.schema["properties"]["children"]["items"] == {"$ref": "#/$defs/Tree"}
    assert tool.validate({"name": "a"}) == {"tree": Tree(name="a")}


def test_unknown_arguments_of_a_model_are_refused_unless_it_says_otherwise() -> None:
    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")
        text: str

    def keep(note: Note) -> None: ...
    def keep_all(note: Open) -> None: ...

    with pytest.raises(InvalidArguments, match=r"tagz: is not an argument here\. It takes: text \(required\)"):
        inputs(keep).validate({"text": "a", "tagz": []})
    with pytest.raises(InvalidArguments) as raised:
        inputs(keep).validate({"text": 1, "tagz": []})
    assert [problem.location for problem in raised.value.problems] == ["tagz", "text"]
    assert inputs(keep_all).validate({"text": "a", "b": 1})["note"].model_extra == {"b": 1}


def test_every_name_that_a_model_takes_is_taken() -> None:
    class Many(BaseModel):
        model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)
        one: int = Field(0, alias="First")
        two: int = Field(0, validation_alias=AliasChoices("Second", AliasPath("pair", 1)))
        three: int = Field(0, validation_alias=AliasPath("third", 0))
        four: int = 0

    class ByAlias(BaseModel):
        one: int = Field(0, alias="First")

    def keep(many: Many) -> None: ...
    def keep_by_alias(many: ByAlias) -> None: ...

    tool = inputs(keep)
    assert set(tool.names or ()) == {"one", "First", "two", "Second", "pair", "three", "third", "four"}
    assert tool.validate({"First": 1, "pair": [0, 2], "third": [3], "four": 4}) == {
        "many": Many(First=1, two=2, three=3, four=4)
    }
    assert set(inputs(keep_by_alias).names or ()) == {"First"}


def test_inputs_declares_the_model_beside_the_function() -> None:
    def keep(note: Note, ctx: Context) -> None: ...
    def ping() -> None: ...
    def keep_any(note: BaseModel) -> None: ...

    assert inputs(keep, Note).validate({"text": "a"}) == {"note": Note(text="a")}
    assert inputs(keep_any, Note).validate({"text": "a"}) == {"note": Note(text="a")}
    assert inputs(ping, Note).validate({"text": "a"}) == {}
    with pytest.raises(InvalidArguments):
        inputs(ping, Note).validate({})


def test_inputs_that_do_not_suit_the_function_are_refused() -> None:
    def two(note: Note, more: int) -> None: ...
    def other(text: str) -> None: ...

    with pytest.raises(ToolDefinitionError, match="with inputs=Note it gets one Note, but it takes note, more"):
        inputs(two, Note)
    with pytest.raises(ToolDefinitionError, match="parameter 'text' gets a Note, as inputs says; annotate it so"):
        inputs(other, Note)
    with pytest.raises(ToolDefinitionError, match="inputs takes a Pydantic model, not <class 'dict'>"):
        inputs(other, dict)


def test_a_model_that_is_no_object_is_refused_and_one_that_is_is_not() -> None:
    class Numbers(RootModel[list[int]]):
        pass

    class Counts(RootModel[dict[str, int]]):
        pass

    def keep(numbers: Numbers) -> None: ...
    def count(counts: Counts) -> None: ...

    with pytest.raises(ToolDefinitionError, match="Numbers is not a JSON object"):
        inputs(keep)
    assert inputs(count).validate({"a": 1}) == {"counts": Counts({"a": 1})}


def test_a_model_without_a_schema_is_refused_naming_it() -> None:
    class Watch(BaseModel):
        callback: type

    def watch(how: Watch) -> None: ...

    with pytest.raises(ToolDefinitionError, match="watch: the model Watch cannot be described in JSON Schema"):
        inputs(watch)
