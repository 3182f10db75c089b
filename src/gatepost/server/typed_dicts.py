"""`typing.TypedDict` before Python 3.12, where Pydantic takes only the one of `typing_extensions`.

The two differ there in what Pydantic needs for validators that a class inherits, which a TypedDict hardly ever has. So
each class of the former kind gets a twin of the latter, and is told to have its schema made from that.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import types
from dataclasses import is_dataclass
from typing import Any, Generic, get_args, get_origin, get_type_hints

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema
from typing_extensions import TypedDict, is_typeddict

_HOOK = "__get_pydantic_core_schema__"


def admit_typed_dicts(declared: Any) -> None:
    """Have Pydantic describe every `typing.TypedDict` in a type, also in the fields of those and of dataclasses.

    Of a function, its parameters are meant.
    """
    if sys.version_info < (3, 12):
        _admit(declared, set())


def _admit(declared: Any, seen: set[int]) -> None:
    if id(declared) in seen:
        return
    seen.add(id(declared))
    for member in (get_origin(declared), *get_args(declared)):
        _admit(member, seen)
    is_dict = is_typeddict(declared)
    if is_dict and type(declared).__module__ == "typing" and _HOOK not in declared.__dict__:
        setattr(declared, _HOOK, _schema_of(_twin_of(declared)))
    if is_dict or inspect.isfunction(declared) or (isinstance(declared, type) and is_dataclass(declared)):
        # A name that is not known is Pydantic's to complain of.
        with contextlib.suppress(NameError, TypeError):
            for hint in get_type_hints(declared, include_extras=True).values():
                _admit(hint, seen)


def _twin_of(declared: Any) -> Any:
    variables = getattr(declared, "__parameters__", ())
    bases = (TypedDict, Generic.__class_getitem__(variables)) if variables else (TypedDict,)
    fields = {"__annotations__": dict(declared.__annotations__)}
    twin: Any = types.new_class(declared.__name__, bases, exec_body=lambda namespace: namespace.update(fields))
    for name in ("__module__", "__qualname__", "__doc__", "__total__", "__required_keys__", "__optional_keys__"):
        setattr(twin, name, getattr(declared, name))
    with contextlib.suppress(AttributeError):
        twin.__pydantic_config__ = declared.__pydantic_config__
    return twin


def _schema_of(twin: Any) -> Any:
    def schema(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        values = get_args(source)
        return handler.generate_schema(twin[values] if values else twin)

    return schema
