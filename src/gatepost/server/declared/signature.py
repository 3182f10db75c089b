"""Signatures: what a function takes and gives, and what it says to a model of that, read when it is declared."""

from __future__ import annotations

import functools
import inspect
import sys
import types
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

from pydantic import Field

from gatepost.late_dataclass import dataclass
from gatepost.server.calls.context import Context
from gatepost.server.declared.depends import depends_in
from gatepost.server.declared.docstrings import Documentation, read_docstring
from gatepost.server.errors import ToolDefinitionError
from gatepost.server.json_schema import prepend_metadata, with_descriptions

_WRAPPED: Final = "if this is a decorator's function, give it functools.wraps"
_REFUSED_KINDS: Final = {
    inspect.Parameter.VAR_POSITIONAL: "takes any number of values; a tool's arguments are named, so list them; "
    + _WRAPPED,
    inspect.Parameter.VAR_KEYWORD: "takes any name; clients need to know the arguments, so list them; " + _WRAPPED,
    inspect.Parameter.POSITIONAL_ONLY: "is positional-only; arguments are passed by name, so remove the '/'",
}
_COLLECTING: Final = frozenset({inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD})
_OTHER_LIBRARIES: Final = frozenset({"fastmcp", "mcp"})
_CONTEXT_NAMES: Final = frozenset({"ctx", "context"})


@dataclass(frozen=True, slots=True)
class Signature:
    """A function as a tool sees it."""

    func: Callable[..., Any]
    function: str
    """The function's name for messages, with its module."""
    parameters: tuple[inspect.Parameter, ...]
    """All but the context, annotations resolved, with their descriptions in them as Pydantic has them."""
    context_parameter: str | None
    """Which parameter gets the `Context`."""
    dependencies: tuple[Dependency, ...]
    """What else the server fills in."""
    returns: Any
    """The resolved return annotation; `inspect.Signature.empty` when there is none."""
    is_async: bool
    yields: bool
    """Whether it yields its value and is closed afterwards, as a dependency may."""
    description: str | None
    """What the docstring says, without its parameters and results."""
    unplaced: Mapping[str, str]
    """What the docstring describes and is no parameter, by name: the fields of a model, perhaps."""

    def place_descriptions(self, schema: dict[str, Any]) -> None:
        """Put into an object's schema what the docstring says of its properties, and warn of what is left."""
        properties = schema.get("properties", {})
        for name, text in self.unplaced.items():
            if name in properties:
                properties[name].setdefault("description", text)
                continue
            words = f"{self.function}: its docstring describes {name!r}, which it does not take; nobody will see that"
            code = getattr(inspect.unwrap(underlying_function(self.func)), "__code__", None)
            where = ("<unknown>", 1) if code is None else (code.co_filename, code.co_firstlineno)
            warnings.warn_explicit(words, UserWarning, *where)


@dataclass(frozen=True, slots=True)
class Dependency:
    """A parameter that gets what another function gives."""

    parameter: str
    signature: Signature
    """That of the other function, which takes no arguments."""
    use_cache: bool


def read_signature(func: Callable[..., Any]) -> Signature:
    """Read what `func` takes and gives; raises ToolDefinitionError unless its arguments are named and typed."""
    label = describe_function(func)
    underlying = underlying_function(func)
    _check_kind(func, underlying, label)
    bound = _bound_keywords(func)
    hints = _resolve_hints(underlying, label)
    documentation = _documentation_of(func)
    known = inspect.signature(underlying).parameters.keys()
    parameters: list[inspect.Parameter] = []
    context_parameters: list[str] = []
    dependencies: list[Dependency] = []
    for parameter in inspect.signature(func).parameters.values():
        if parameter.name in bound:
            # `partial(f, key=…)` shows `key` as a keyword with a default. It was decided; clients must not change it.
            continue
        if parameter.kind in _REFUSED_KINDS:
            raise ToolDefinitionError(f"{label}: parameter {parameter.name!r} {_REFUSED_KINDS[parameter.kind]}")
        if (dependency := _dependency_of(parameter, hints, label, ())) is not None:
            dependencies.append(dependency)
            continue
        if parameter.name not in hints:
            raise _untyped(parameter.name, label)
        annotation = hints[parameter.name]
        if _is_context(annotation, _is_foreign_context):
            what = f"the Context of parameter {parameter.name!r} is another library's"
            raise ToolDefinitionError(f"{label}: {what}; write from gatepost import Context")
        if _is_context(annotation):
            context_parameters.append(parameter.name)
        else:
            described = _described(annotation, documentation.parameters.get(parameter.name))
            parameters.append(parameter.replace(annotation=described))
    if len(context_parameters) > 1:
        raise ToolDefinitionError(f"{label}: {' and '.join(context_parameters)} are both a Context; one is enough")
    return Signature(
        func=func,
        function=label,
        parameters=tuple(parameters),
        context_parameter=context_parameters[0] if context_parameters else None,
        dependencies=tuple(dependencies),
        returns=_awaited(hints.get("return", inspect.Signature.empty)),
        is_async=inspect.iscoroutinefunction(underlying),
        yields=False,
        description=documentation.description,
        unplaced={name: text for name, text in documentation.parameters.items() if name not in known},
    )


def _dependency_of(
    parameter: inspect.Parameter, hints: Mapping[str, Any], label: str, path: tuple[Callable[..., Any], ...]
) -> Dependency | None:
    """Return what a parameter depends on; None if it is an argument. `path` leads to whose parameter it is."""
    where = f"{label}: parameter {parameter.name!r}"
    depends = depends_in(hints.get(parameter.name), parameter.default, where)
    if depends is None or depends.dependency is None:
        return None
    if depends.dependency in path:
        raise ToolDefinitionError(f"{where} depends on itself, by way of {describe_function(depends.dependency)}")
    signature = _read_dependency(depends.dependency, (*path, depends.dependency))
    return Dependency(parameter.name, signature, depends.use_cache)


def _read_dependency(func: Callable[..., Any], path: tuple[Callable[..., Any], ...]) -> Signature:
    """Read a function or class that others depend on; raises ToolDefinitionError if it takes an argument."""
    label, underlying = describe_function(func), underlying_function(func)
    hints = _resolve_hints(underlying.__init__ if inspect.isclass(underlying) else underlying, label)
    context_parameter: str | None = None
    dependencies: list[Dependency] = []
    bound = _bound_keywords(func)
    for parameter in inspect.signature(func).parameters.values():
        if (dependency := _dependency_of(parameter, hints, label, path)) is not None:
            dependencies.append(dependency)
        elif parameter.name not in bound and _is_context(hints.get(parameter.name)):
            context_parameter = parameter.name
        elif parameter.default is parameter.empty and parameter.kind not in _COLLECTING:
            raise ToolDefinitionError(
                f"{label}: parameter {parameter.name!r} of a dependency is a Context or a dependency itself, or has a "
                "default; arguments are for the function that is called"
            )
    return Signature(
        func=func,
        function=label,
        parameters=(),
        context_parameter=context_parameter,
        dependencies=tuple(dependencies),
        returns=hints.get("return"),
        is_async=inspect.iscoroutinefunction(underlying) or inspect.isasyncgenfunction(underlying),
        yields=inspect.isgeneratorfunction(underlying) or inspect.isasyncgenfunction(underlying),
        description=None,
        unplaced={},
    )


def _untyped(name: str, label: str) -> ToolDefinitionError:
    """Return the error for a parameter without a type, with what its name suggests to write."""
    if name in {"self", "cls"}:
        return ToolDefinitionError(f"{label}: it is a method; take it from an object, as in server.tool(notes.add)")
    if name in _CONTEXT_NAMES:
        advice = f"{name}: Context for what gatepost.Context knows of the call, or {name}: str for an argument"
    else:
        advice = f"{name}: str, or whatever it takes"
    return ToolDefinitionError(f"{label}: parameter {name!r} has no type; write {advice}")


def _described(annotation: Any, text: str | None) -> Any:
    """Return an annotation with its own descriptions, or else with `text`, as Pydantic has them."""
    annotation = with_descriptions(annotation)
    return annotation if text is None else prepend_metadata(annotation, Field(description=text))


def _documentation_of(func: Callable[..., Any]) -> Documentation:
    """Return what the docstring says, of a function or of the class of an object that is called."""
    bare, underlying = _without_partials(func), underlying_function(func)
    if bare is underlying:
        return read_docstring(inspect.getdoc(bare))
    # Not what `__call__` inherits, which every object has.
    return read_docstring(underlying.__doc__ or inspect.getdoc(type(bare)))


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
    if isinstance(func, classmethod):
        raise ToolDefinitionError(f"{label}: it is a classmethod; take it from its class, as in server.tool(Notes.add)")
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


def _is_context(annotation: Any, is_meant: Callable[[Any], bool] = lambda found: found is Context) -> bool:
    """Say whether `annotation` is `Context`, or what else `is_meant`: alone, in `Annotated`, or with None."""
    if get_origin(annotation) is Annotated:
        return _is_context(annotation.__origin__, is_meant)
    if get_origin(annotation) in {Union, types.UnionType}:
        members = set(get_args(annotation)) - {types.NoneType}
        return bool(members) and all(_is_context(member, is_meant) for member in members)
    return is_meant(annotation)


def _is_foreign_context(annotation: Any) -> bool:
    """Say whether this is what FastMCP or the official SDK has for it; it would be taken for an argument."""
    declared = get_origin(annotation) or annotation
    package = getattr(declared, "__module__", "").partition(".")[0]
    return package in _OTHER_LIBRARIES and getattr(declared, "__name__", "").startswith("Context")


def _awaited(returns: Any) -> Any:
    """Return what is left after awaiting: the annotation of `def f() -> Awaitable[T]` speaks of `T`."""
    is_awaitable = get_origin(returns) in {Awaitable, Coroutine} and get_args(returns)
    return get_args(returns)[-1] if is_awaitable else returns
