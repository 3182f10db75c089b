"""`dataclass` as of the standard library, but that its methods are compiled when they are first used.

The standard library writes and compiles six methods for a frozen dataclass when its module is imported, of which most
are never called: that took a third of a start (record 0092). Here the class is made at once, with its fields and slots,
and `__init__`, `__repr__`, `__eq__` and `__hash__` are made by the standard library as well, each at its first use.

To everybody who looks, the outcome is the same. What is rare is left to the standard library at once: dataclasses that
inherit from others, `InitVar`, and options beside those of `_EVERYWHERE`.
"""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any, Final

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass  # to type checkers it is that one
else:

    def dataclass(cls: type | None = None, /, **options: bool) -> Any:
        """Make a dataclass of a class, or return what does with these options."""
        if cls is None:
            return lambda decorated: _made(decorated, options)
        return _made(cls, options)


_EVERYWHERE: Final = frozenset({"frozen", "eq", "repr", "slots", "kw_only"})


def _made(cls: type, options: dict[str, bool]) -> type:
    inherits = any(dataclasses.is_dataclass(base) for base in cls.__mro__[1:])
    if inherits or not options.keys() <= _EVERYWHERE or _has_init_variables(cls):
        return dataclasses.dataclass(**options)(cls)
    is_frozen, has_eq = options.get("frozen", False), options.get("eq", True)
    own = set(cls.__dict__)
    if "__eq__" in own and cls.__dict__.get("__hash__") is None:
        own.discard("__hash__")  # Python has put a None there
    shape = {name: options[name] for name in ("slots", "kw_only") if name in options}
    made: Any = dataclasses.dataclass(init=False, repr=False, eq=False, **shape)(cls)
    late = {"__init__", "__repr__" if options.get("repr", True) else "", "__eq__" if has_eq else ""}
    if is_frozen:
        _freeze(made, has_slots=options.get("slots", False))
    if has_eq and is_frozen:
        late.add("__hash__")
    elif has_eq and "__hash__" not in own:
        made.__hash__ = None
    for name in late - own - {""}:
        setattr(made, name, _LateMethod(made, name, options))
    return made  # type: ignore[no-any-return]  # the class


def _has_init_variables(cls: type) -> bool:
    return any("InitVar" in str(annotation) for annotation in inspect.get_annotations(cls).values())


class _LateMethod:
    """Stands where a method is to be, and puts it there when it is looked up."""

    __slots__ = ("_cls", "_name", "_options")

    def __init__(self, cls: type, name: str, options: dict[str, bool]) -> None:
        self._cls, self._name, self._options = cls, name, options

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        method = _compiled(self._cls, self._name, self._options)
        setattr(self._cls, self._name, method)
        return method.__get__(instance, owner)


def _compiled(cls: Any, name: str, options: dict[str, bool]) -> Any:
    """Return one method of a dataclass, which the standard library makes for a class with the same fields."""
    fields = dataclasses.fields(cls)
    namespace = {field.name: field for field in fields} | {
        "__annotations__": {field.name: field.type for field in fields},
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
    }
    if hasattr(cls, "__post_init__"):
        namespace["__post_init__"] = cls.__post_init__
    # Whether it is frozen shows in `__init__` and `__hash__`, and slots in `__init__`.
    wanted = {"init": name == "__init__", "repr": name == "__repr__", "eq": name in {"__eq__", "__hash__"}}
    shape = {each: options.get(each, False) for each in ("slots", "frozen")} if name in {"__init__", "__hash__"} else {}
    return getattr(dataclasses.dataclass(**wanted, **shape)(type(cls.__name__, (), namespace)), name)


def _freeze(cls: Any, *, has_slots: bool) -> None:
    """Have instances refuse changes, as the standard library does; a subclass may have attributes of its own."""
    names = frozenset(cls.__dataclass_fields__)

    def refuse_or_set(self: object, name: str, value: object) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def refuse_or_delete(self: object, name: str) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    cls.__setattr__, cls.__delattr__ = refuse_or_set, refuse_or_delete
    cls.__dataclass_params__.frozen = True  # which decides what may inherit from it
    if has_slots and "__getstate__" not in cls.__dict__:
        # To copy or unpickle it, its attributes have to be set past what refuses that.
        cls.__getstate__, cls.__setstate__ = _state, _set_state


def _state(self: Any) -> list[Any]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)
