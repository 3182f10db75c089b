from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Annotated, Any

import fastmcp
import mcp.server.mcpserver
import pytest

from gatepost.server.calls.context import Context
from gatepost.server.declared.signature import Signature, describe_function, read_signature
from gatepost.server.errors import ToolDefinitionError

if typing.TYPE_CHECKING:
    from decimal import Decimal


def names(signature: Signature) -> list[str]:
    return [parameter.name for parameter in signature.parameters]


def test_types_are_resolved_and_the_context_is_set_apart() -> None:
    async def keep(text: str, ctx: Context, *, count: int = 1) -> str:
        return text * count + ctx.user.subject

    signature = read_signature(keep)
    assert [(parameter.name, parameter.annotation, parameter.default) for parameter in signature.parameters] == [
        ("text", str, inspect.Parameter.empty),
        ("count", int, 1),
    ]
    assert (signature.context_parameter, signature.returns, signature.is_async) == ("ctx", str, True)
    assert signature.function.endswith("test_types_are_resolved_and_the_context_is_set_apart.<locals>.keep")


def test_the_context_is_found_however_it_is_written() -> None:
    def optional(a: int, call: Context | None = None) -> None: ...
    def first(call: Context, a: int) -> None: ...
    def old_style(a: int, call: typing.Optional[Context]) -> None: ...  # noqa: UP045 (the spelling is what is tested)
    def annotated(a: int, call: Annotated[Context, "the call"]) -> None: ...
    def keyword(a: int, *, call: "Context") -> None: ...  # noqa: UP037 (the spelling is what is tested)

    for func in (optional, first, old_style, annotated, keyword):
        signature = read_signature(func)
        assert (signature.context_parameter, names(signature)) == ("call", ["a"])


def test_two_contexts_are_refused() -> None:
    def keep(one: Context, two: Context) -> None: ...

    with pytest.raises(ToolDefinitionError, match="keep: one and two are both a Context; one is enough"):
        read_signature(keep)


def test_no_return_annotation_is_told_from_none() -> None:
    def nothing() -> None: ...

    def unknown():  # type: ignore[no-untyped-def] # noqa: ANN202 (that is what is tested)
        ...

    assert read_signature(nothing).returns is type(None)
    assert read_signature(unknown).returns is inspect.Signature.empty


def test_a_declared_awaitable_speaks_of_what_it_awaits() -> None:
    def one() -> Awaitable[int]: ...  # type: ignore[empty-body]  # only its signature counts
    def two() -> Coroutine[Any, Any, list[int]]: ...  # type: ignore[empty-body]  # likewise

    assert [read_signature(one).returns, read_signature(two).returns] == [int, list[int]]


def test_methods_partials_and_callable_objects_are_read_like_functions() -> None:
    class Notes:
        def keep(self, text: str) -> str:
            return text

        async def __call__(self, number: int) -> str:
            return str(number)

    def add(a: int, b: int) -> int:
        return a + b

    notes = Notes()
    assert [names(read_signature(func)) for func in (notes.keep, notes, functools.partial(add, 1))] == [
        ["text"],
        ["number"],
        ["b"],
    ]
    assert [read_signature(func).is_async for func in (notes.keep, notes)] == [False, True]


def test_what_a_partial_has_decided_is_not_for_clients_to_change() -> None:
    def send(text: str, api_key: str, retries: int = 1) -> None: ...

    bound = functools.partial(functools.partial(send, api_key="k"), retries=2)
    assert names(read_signature(bound)) == ["text"]


def test_a_decorated_function_is_read_through_its_decorator() -> None:
    def traced(func: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(func)
        def wrapper(*args: Any, **kwargs: Any) -> int:
            return func(*args, **kwargs)

        return wrapper

    @traced
    def add(a: int, b: int) -> int:
        return a + b

    assert names(read_signature(add)) == ["a", "b"]


def test_types_local_to_the_declaring_function_are_found() -> None:
    class Note:
        pass

    def keep(note: Note) -> list[Note]:
        return [note]

    signature = read_signature(keep)
    assert signature.parameters[0].annotation is Note
    assert signature.returns == list[Note]


def test_types_local_to_any_function_around_it_are_found() -> None:
    class Note:
        text = "outer"

    class Tag:
        pass

    def build() -> Signature:
        class Note:
            text = "inner"

        def keep(note: Note, tag: Tag) -> None: ...

        return read_signature(keep)

    note, tag = (parameter.annotation for parameter in build().parameters)
    assert (note.text, tag) == ("inner", Tag)
    assert note is not Note


def test_a_name_that_is_unknown_at_run_time_is_named_with_its_parameter() -> None:
    def pay(amount: Decimal, note: str) -> None: ...

    with pytest.raises(ToolDefinitionError) as raised:
        read_signature(pay)
    assert str(raised.value).endswith(
        "pay: the annotation of 'amount' names 'Decimal', which is unknown when the program runs; "
        "import it outside of `if TYPE_CHECKING`"
    )


@pytest.mark.parametrize("annotation", ["a number", "typing.Nothing", "list[int"])
def test_an_annotation_that_is_no_type_is_refused(annotation: str) -> None:
    def keep(text: str) -> None: ...

    keep.__annotations__["text"] = annotation
    with pytest.raises(ToolDefinitionError, match="keep: its annotations are not types"):
        read_signature(keep)


def refused_starred(*values: int) -> None: ...
def refused_keywords(**values: int) -> None: ...
def refused_positional(a: int, /) -> None: ...
def refused_untyped(a) -> None: ...  # type: ignore[no-untyped-def] # noqa: ANN001 (that is what is tested)
def refused_context(ctx) -> None: ...  # type: ignore[no-untyped-def] # noqa: ANN001 (likewise)
def refused_fastmcp(call: fastmcp.Context) -> None: ...
def refused_official(call: "Annotated[mcp.server.mcpserver.Context[Any, Any] | None, 'it']") -> None: ...  # noqa: UP037 (likewise)
def refused_generator() -> Iterator[int]:
    yield 1


async def refused_async_generator() -> AsyncIterator[int]:
    yield 1


class RefusedClass:
    def method(self, text: str) -> None: ...

    @classmethod
    def of_class(cls, text: str) -> None: ...


@pytest.mark.parametrize(
    ("func", "reason"),
    [
        (refused_starred, "parameter 'values' takes any number of values"),
        (refused_starred, "if this is a decorator's function, give it functools.wraps"),
        (refused_keywords, "parameter 'values' takes any name"),
        (refused_keywords, "if this is a decorator's function, give it functools.wraps"),
        (RefusedClass.method, "it is a method; take it from an object, as in server.tool(notes.add)"),
        (refused_positional, "parameter 'a' is positional-only"),
        (refused_untyped, "parameter 'a' has no type; write a: str, or whatever it takes"),
        (refused_context, "parameter 'ctx' has no type; write ctx: Context for"),
        (RefusedClass.__dict__["of_class"].__func__, "it is a method; take it from an object"),
        (
            RefusedClass.__dict__["of_class"],
            "it is a classmethod; take it from its class, as in server.tool(Notes.add)",
        ),
        (refused_fastmcp, "the Context of parameter 'call' is another library's; write from gatepost import Context"),
        (refused_official, "the Context of parameter 'call' is another library's"),
        (refused_generator, "a tool returns one result; this function yields"),
        (refused_async_generator, "a tool returns one result; this function yields"),
        (RefusedClass, "a tool is made of a function; for a class, write one that builds it"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_with_the_reason(func: Callable[..., Any], reason: str) -> None:
    with pytest.raises(ToolDefinitionError) as raised:
        read_signature(func)
    message = str(raised.value)
    assert message.startswith(f"{func.__module__}.{func.__qualname__}: ")
    assert reason in message


def test_what_cannot_be_called_is_refused() -> None:
    text: Any = "add"
    with pytest.raises(ToolDefinitionError, match=r"'add' is no function; a name is given by name: name='add'"):
        read_signature(text)
    number: Any = 1
    with pytest.raises(ToolDefinitionError, match=r"builtins\.int: a function is needed, not a value of this type"):
        read_signature(number)


def test_functions_are_described_by_module_and_name() -> None:
    class Notes:
        def __call__(self) -> None: ...

    assert describe_function(functools.partial(refused_starred, 1)).endswith("refused_starred")
    assert describe_function(Notes()).endswith("Notes")
