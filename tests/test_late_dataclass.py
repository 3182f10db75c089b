"""A dataclass whose methods are compiled late is one of the standard library to everybody who looks."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import KW_ONLY, FrozenInstanceError, InitVar, field
from typing import Any, ClassVar

import pytest

from gatepost import late_dataclass

OPTIONS: list[dict[str, bool]] = [
    {},
    {"slots": True},
    {"frozen": True},
    {"frozen": True, "slots": True},
    {"frozen": True, "slots": True, "kw_only": True},
    {"eq": False},
    {"slots": True, "eq": False, "repr": False},
    {"order": True},
]
Decorator = Callable[..., Any]


def declared(dataclass: Decorator, options: dict[str, bool]) -> Any:
    @dataclass(**options)
    class Point:
        """Somewhere."""

        count: ClassVar[int] = 0
        x: int
        y: int = 2
        _: KW_ONLY
        names: list[str] = field(default_factory=list)
        hidden: str = field(default="h", repr=False, compare=False)
        later: int = field(default=7, init=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "later", self.later + 1)

    return Point


def raised(call: Callable[[], object]) -> tuple[type, str]:
    try:
        call()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is to be the same
        return type(error), str(error)
    return type(None), ""


def observed(cls: Any, options: dict[str, bool]) -> list[Any]:
    """Return all that can be seen of a class with the fields of `declared`."""
    one, other = cls(x=1, y=3, names=["a"]), cls(x=1, y=3, names=["a"], hidden="other")
    seen: list[Any] = [
        repr(one) if cls.__repr__ is not object.__repr__ else "plain",
        one == other,
        one == (1, 3, ["a"], "h", 8),
        [getattr(one, each.name) for each in dataclasses.fields(one)],
        [(each.name, each.type, each.init, each.kw_only) for each in dataclasses.fields(cls)],
        str(inspect.signature(cls)),
        cls.__match_args__,
        dataclasses.asdict(dataclasses.replace(one, x=9)) if cls.__eq__ else None,
        raised(lambda: setattr(cls(x=1), "x", 5)),
        raised(lambda: delattr(cls(x=1), "y")),
        # With both, Python 3.11 says something about `super` (CPython issue 90562).
        None if options.keys() >= {"frozen", "slots"} else raised(lambda: setattr(cls(x=1), "unknown", 5)),
        raised(cls),
        raised(lambda: cls(1, 2, ["third"])),
        raised(lambda: hash(cls(x=1, names=()))) if cls.__hash__ is None or cls.__eq__ is not object.__eq__ else None,
        raised(lambda: one < other),
        copy.copy(one) == one if cls.__eq__ is not object.__eq__ else None,
        cls.__init__.__qualname__,
        cls.__doc__,
    ]
    return seen


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(options) or "plain")
def test_what_is_seen_is_what_the_standard_library_makes(options: dict[str, bool]) -> None:
    ours = declared(late_dataclass.dataclass, options)
    theirs = declared(dataclasses.dataclass, options)

    assert observed(ours, options) == observed(theirs, options)


@late_dataclass.dataclass(frozen=True, slots=True)
class Kept:
    """Of this module, so that it can be pickled."""

    name: str
    number: int = 0


def test_equal_ones_hash_alike_and_survive_pickling() -> None:
    kept = Kept("a", 1)

    assert pickle.loads(pickle.dumps(kept)) == kept  # noqa: S301 - our own
    assert hash(Kept("a", 1)) == hash(kept)
    assert {kept: 1}[Kept("a", 1)] == 1


def test_a_method_of_the_class_itself_is_left_alone() -> None:
    @late_dataclass.dataclass(frozen=True)
    class Own:
        x: int

        def __repr__(self) -> str:
            return "own"

        def __hash__(self) -> int:
            return 5

    assert (repr(Own(1)), hash(Own(1)), Own(1) == Own(1)) == ("own", 5, True)


def test_a_frozen_class_with_a_comparison_of_its_own_can_be_hashed() -> None:
    @late_dataclass.dataclass(frozen=True)
    class Alike:  # noqa: PLW1641 - that it is made is what is tested
        x: int

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Alike)

    assert hash(Alike(1)) == hash(Alike(1))


def test_a_subclass_may_have_attributes_beside_the_frozen_fields() -> None:
    @late_dataclass.dataclass(frozen=True)
    class Frozen:
        x: int

    class Wider(Frozen):
        def __init__(self) -> None:
            super().__init__(1)
            self.more = 2

    wider: Any = Wider()

    assert (wider.x, wider.more) == (1, 2)
    with pytest.raises(FrozenInstanceError):
        wider.x = 2


@pytest.mark.parametrize("dataclass", [late_dataclass.dataclass, dataclasses.dataclass])
def test_dataclasses_inherit_from_one_by_either_decorator(dataclass: Decorator) -> None:
    @late_dataclass.dataclass(frozen=True)
    class Base:
        x: int

    made: Any = dataclass(frozen=True)(type("Derived", (Base,), {"__annotations__": {"y": "int"}}))

    assert made(1, 2) == made(1, 2)
    assert repr(made(1, 2)) == "Derived(x=1, y=2)"


def test_variables_of_the_initialization_are_passed_on() -> None:
    @late_dataclass.dataclass
    class Summed:
        x: int
        more: InitVar[int]

        def __post_init__(self, more: int) -> None:
            self.x += more

    assert Summed(1, 2).x == 3


def test_no_method_is_compiled_before_it_is_used() -> None:
    program = (
        "import dataclasses\n"
        "from gatepost.late_dataclass import dataclass\n"
        "@dataclass(frozen=True, slots=True)\n"
        "class A:\n"
        "    x: int\n"
        "made = [type(vars(A)[n]).__name__ for n in ('__init__', '__eq__', '__repr__', '__hash__')]\n"
        "A(1)\n"
        "print(made, type(vars(A)['__init__']).__name__, type(vars(A)['__eq__']).__name__)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert ran.stdout == f"{['_LateMethod'] * 4} function _LateMethod\n"
