"""Signatures and docstrings: what a function takes and gives and what it says to a model, read when it is declared.

Of docstrings the Google convention (`Args:`) is understood and the NumPy one (`Parameters` over a dashed line). One in
any other shape is all description.
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
import types
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

from gatepost.server.calls.context import Context
from gatepost.server.errors import ToolDefinitionError

_WRAPPED: Final = "if this is a decorator's function, give it functools.wraps"
_REFUSED_KINDS: Final = {
    inspect.Parameter.VAR_POSITIONAL: "takes any number of values; a tool's arguments are named, so list them; "
    + _WRAPPED,
    inspect.Parameter.VAR_KEYWORD: "takes any name; clients need to know the arguments, so list them; " + _WRAPPED,
    inspect.Parameter.POSITIONAL_ONLY: "is positional-only; arguments are passed by name, so remove the '/'",
}


_PARAMETER_SECTIONS: Final = frozenset({"args", "arguments", "parameters"})
_SECTIONS: Final = _PARAMETER_SECTIONS | {"returns", "return", "yields", "yield", "raises"}
"""Where the description ends. What follows is for people who call the function in Python."""

_GOOGLE_ENTRY: Final = re.compile(r"\*{0,2}(?P<names>\w+)(?:\s*\([^)]*\))?:\s*(?P<text>.*)")
_NUMPY_ENTRY: Final = re.compile(r"(?P<names>\w+(?:\s*,\s*\w+)*)\s*(?::.*)?(?P<text>)")


@dataclass(frozen=True, slots=True)
class Signature:
    """A function as a tool sees it."""

    func: Callable[..., Any]
    function: str
    """The function's name for messages, with its module."""
    parameters: tuple[inspect.Parameter, ...]
    """All but the context, annotations resolved."""
    context_parameter: str | None
    """Which parameter gets the `Context`."""
    returns: Any
    """The resolved return annotation; `inspect.Signature.empty` when there is none."""
    is_async: bool


def read_signature(func: Callable[..., Any]) -> Signature:
    """Read what `func` takes and gives; raises ToolDefinitionError unless its arguments are named and typed."""
    label = describe_function(func)
    underlying = underlying_function(func)
    _check_kind(func, underlying, label)
    bound = _bound_keywords(func)
    hints = _resolve_hints(underlying, label)
    parameters: list[inspect.Parameter] = []
    context_parameters: list[str] = []
    for parameter in inspect.signature(func).parameters.values():
        if parameter.name in bound:
            # `partial(f, key=…)` shows `key` as a keyword with a default. It was decided; clients must not change it.
            continue
        if parameter.kind in _REFUSED_KINDS:
            raise ToolDefinitionError(f"{label}: parameter {parameter.name!r} {_REFUSED_KINDS[parameter.kind]}")
        if parameter.name not in hints and parameter.name == "self":
            raise ToolDefinitionError(f"{label}: it is a method; take it from an object, as in server.tool(notes.add)")
        if parameter.name not in hints:
            raise ToolDefinitionError(
                f"{label}: parameter {parameter.name!r} has no type; write {parameter.name}: str, or whatever it takes"
            )
        annotation = hints[parameter.name]
        if _is_context(annotation):
            context_parameters.append(parameter.name)
        else:
            parameters.append(parameter.replace(annotation=annotation))
    if len(context_parameters) > 1:
        raise ToolDefinitionError(f"{label}: {' and '.join(context_parameters)} are both a Context; one is enough")
    return Signature(
        func=func,
        function=label,
        parameters=tuple(parameters),
        context_parameter=context_parameters[0] if context_parameters else None,
        returns=_awaited(hints.get("return", inspect.Signature.empty)),
        is_async=inspect.iscoroutinefunction(underlying),
    )


def underlying_function(func: Callable[..., Any]) -> Callable[..., Any]:
    """Return what carries annotations and docstring: behind partials, and `__call__` of an object."""
    func = _without_partials(func)
    if inspect.isroutine(func) or inspect.isclass(func):
        return func
    call: Callable[..., Any] = type(func).__call__
    return call


def _without_partials(func: Callable[..., Any]) -> Callable[..., Any]:
    while isinstance(func, functools.partial):
        func = func.func
    return func


def own_name_of(func: Callable[..., Any]) -> str | None:
    """Return the name that a function has of its own, also behind a partial; None when it has none."""
    name: str | None = getattr(_without_partials(func), "__name__", None)
    return name


def describe_function(func: Callable[..., Any]) -> str:
    """Return how messages name `func`, such as `notes.add`."""
    func = _without_partials(func)
    if not hasattr(func, "__qualname__"):
        func = type(func)
    return f"{func.__module__}.{func.__qualname__}"


def _check_kind(func: Callable[..., Any], underlying: Callable[..., Any], label: str) -> None:
    if isinstance(func, str):
        raise ToolDefinitionError(f"{func!r} is no function; a name is given by name: name={func!r}")
    if not callable(func):
        raise ToolDefinitionError(f"{label}: a function is needed, not a value of this type")
    if inspect.isclass(underlying):
        raise ToolDefinitionError(f"{label}: a tool is made of a function; for a class, write one that builds it")
    if inspect.isgeneratorfunction(underlying) or inspect.isasyncgenfunction(underlying):
        raise ToolDefinitionError(f"{label}: a tool returns one result; this function yields")


def _bound_keywords(func: Callable[..., Any]) -> frozenset[str]:
    names: set[str] = set()
    while isinstance(func, functools.partial):
        names |= func.keywords.keys()
        func = func.func
    return frozenset(names)


def _resolve_hints(underlying: Callable[..., Any], label: str) -> dict[str, Any]:
    try:
        return get_type_hints(underlying, localns=_enclosing_names(underlying), include_extras=True)
    except NameError as error:
        users = [name for name, hint in underlying.__annotations__.items() if str(error.name) in str(hint)]
        where = " and ".join(repr(name) for name in users)
        raise ToolDefinitionError(
            f"{label}: the annotation of {where} names {error.name!r}, which is unknown when the program runs; "
            "import it outside of `if TYPE_CHECKING`"
        ) from error
    except (TypeError, SyntaxError, AttributeError) as error:
        raise ToolDefinitionError(f"{label}: its annotations are not types ({error})") from error


def _enclosing_names(func: Callable[..., Any]) -> dict[str, Any]:
    """Return the local names of the functions around `func`, outer ones first, as far as they are running.

    Under `from __future__ import annotations` a type declared beside a tool inside of a function is a name that only
    that function knows.
    """
    module = getattr(inspect.unwrap(func), "__globals__", None)
    names: dict[str, Any] = {}
    frame: types.FrameType | None = sys._getframe()  # noqa: SLF001 (nothing else shows where a tool is declared)
    while frame is not None:
        if frame.f_globals is module and func.__qualname__.startswith(f"{frame.f_code.co_qualname}.<locals>."):
            names = {**frame.f_locals, **names}
        frame = frame.f_back
    return names


def _is_context(annotation: Any) -> bool:
    """Say whether `annotation` is `Context`, alone, in `Annotated`, or as `Context | None`."""
    if get_origin(annotation) is Annotated:
        return _is_context(annotation.__origin__)
    if get_origin(annotation) in {Union, types.UnionType}:
        members = set(get_args(annotation)) - {types.NoneType}
        return bool(members) and all(map(_is_context, members))
    return annotation is Context


def _awaited(returns: Any) -> Any:
    """Return what is left after awaiting: the annotation of `def f() -> Awaitable[T]` speaks of `T`."""
    is_awaitable = get_origin(returns) in {Awaitable, Coroutine} and get_args(returns)
    return get_args(returns)[-1] if is_awaitable else returns


@dataclass(frozen=True, slots=True)
class Documentation:
    """A docstring, taken apart."""

    description: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    """Descriptions by parameter name, each in one line."""


def documentation_of(func: Callable[..., Any]) -> Documentation:
    """Return what the docstring says, of a function or of the class of an object that is called."""
    docstring = inspect.getdoc(underlying_function(func))
    if docstring is None and not inspect.isroutine(func) and not isinstance(func, functools.partial):
        docstring = inspect.getdoc(type(func))
    return read_docstring(docstring)


def read_docstring(docstring: str | None) -> Documentation:
    """Take a docstring apart; whatever is not understood stays out."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    description: list[str] = []
    parameters: dict[str, str] = {}
    section: str | None = None
    body: list[str] = []
    for index, line in enumerate(lines):
        header, dashed = _header(lines, index)
        if header is not None:
            parameters |= _entries(section, body)
            section, body = header, []
        elif section is None:
            description.append(line)
        elif not dashed:
            body.append(line)
    parameters |= _entries(section, body)
    return Documentation("\n".join(description).strip() or None, parameters)


def _header(lines: Sequence[str], index: int) -> tuple[str | None, bool]:
    """Return the section that begins on this line, and whether the line is the dashes under a NumPy header."""
    line = lines[index]
    following = lines[index + 1] if index + 1 < len(lines) else ""
    if _is_dashes(line) and index and lines[index - 1].lower() in _SECTIONS:
        return None, True
    name = line.lower()
    if name in _SECTIONS and _is_dashes(following):
        return name, False
    if name.endswith(":") and name[:-1] in _SECTIONS and following[:1].isspace():
        return name[:-1], False
    return None, False


def _is_dashes(line: str) -> bool:
    return len(line) >= 3 and set(line) == {"-"}  # noqa: PLR2004 (the shortest rule that anybody draws)


def _entries(section: str | None, body: Sequence[str]) -> dict[str, str]:
    if section not in _PARAMETER_SECTIONS:
        return {}
    first = next((line for line in body if line.strip()), "")
    indent = len(first) - len(first.lstrip())
    # Google indents the whole section; NumPy does not.
    entry = _GOOGLE_ENTRY if indent else _NUMPY_ENTRY
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in body:
        text = line.strip()
        if line[: indent + 1].strip() and (match := entry.fullmatch(text)):
            current = [match["text"]]
            found.update((name.strip(), current) for name in match["names"].split(","))
        else:
            current.append(text)
    return {name: text for name, words in found.items() if (text := _one_line(words))}


def _one_line(words: Iterable[str]) -> str:
    return " ".join(word for word in words if word)
