"""Why a description cannot be served, one class per condition. Each message says where, and what to write instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_MOST_SHOWN: Final = 20


class UnusableDescription(ValueError):
    """An OpenAPI description cannot become a server."""


class UnreadableDescription(UnusableDescription):
    """The document, or one that it refers to, cannot be had, is too large, or is neither JSON nor YAML."""


class UnsupportedVersion(UnusableDescription):
    """It is of a version of the specification other than 3.0 and 3.1."""


class ForbiddenReference(UnusableDescription):
    """A `$ref` leads out of the folder or the origin that the description came from."""


class UnresolvableReference(UnusableDescription):
    """A `$ref` leads to nothing, or in a circle."""


class UnconfirmedServer(UnusableDescription):
    """The description names a server that whoever serves it has not named."""


class UnmatchedSelection(UnusableDescription):
    """An option that chooses operations chooses none: it would have no effect."""


class UnusableOperation(UnusableDescription):
    """An operation cannot become a tool."""

    def __init__(self, method: str, path: str, problem: str) -> None:
        super().__init__(
            f"{method} {path}: {problem}. Correct the description, or leave it out with exclude={_where(method, path)}"
        )
        self.method = method
        self.path = path
        self.problem = problem


class UnusableOperations(UnusableDescription):
    """Several operations cannot become tools."""

    def __init__(self, operations: Sequence[UnusableOperation]) -> None:
        shown = operations[:_MOST_SHOWN]
        more = f"\n  and {len(operations) - len(shown)} more" if len(shown) < len(operations) else ""
        problems = "".join(f"\n  {one.method} {one.path}: {one.problem}" for one in shown)
        wheres = ", ".join(_where(one.method, one.path) for one in operations)
        super().__init__(
            f"{len(operations)} operations cannot become tools:{problems}{more}\n"
            f"Correct the description, or leave them out with exclude=[{wheres}]"
        )
        self.operations = tuple(operations)


class UnusableSchema(Exception):
    """A schema cannot be published or checked; whoever knows the operation says of which it is."""


def _where(method: str, path: str) -> str:
    return f'{{"paths": ["{path}"], "methods": ["{method}"]}}'
