"""What marks a parameter that the server fills in: `Annotated[T, Depends(f)]`, of Gatepost or of FastAPI."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin

from gatepost.late_dataclass import dataclass
from gatepost.server.errors import ToolDefinitionError


@dataclass(frozen=True, slots=True)
class Depends:
    """In an annotation, `Annotated[Database, Depends(database)]`: the parameter gets what a function returns or yields.

    It is no argument, and clients do not see it. The function may be async or not, take a `Context` and dependencies of
    its own, and yield once instead of returning: what follows the `yield` is done after the result was built, whatever
    has become of the call, and an exception of the call is raised there.
    """

    dependency: Callable[..., Any] | None = None
    """The function or class that is called; by default the annotated type."""
    use_cache: bool = True
    """Whether all who depend on this function in one call get the same value."""


def depends_in(annotation: Any, default: Any, where: str) -> Depends | None:
    """Return what a parameter depends on; None if on nothing. Errors name `where` it stands.

    Its annotation says it, or, as FastAPI has it, its default.
    """
    metadata = annotation.__metadata__ if get_origin(annotation) is Annotated else ()
    found = next((one for one in (*metadata, default) if _is_depends(one)), None)
    if found is None:
        return None
    if type(found).__name__ == "Security":
        raise ToolDefinitionError(f"{where}: write Depends(...), and the scopes as scopes=[...] of the tool")
    declared = get_args(annotation)[0] if metadata else annotation
    dependency = declared if found.dependency is None else found.dependency
    if not callable(dependency):
        raise ToolDefinitionError(f"{where}: what it depends on is a function or a class; write Depends(function)")
    return Depends(dependency, found.use_cache)


def _is_depends(marker: Any) -> bool:
    # Not imported, because most programs do not have it.
    return isinstance(marker, Depends) or type(marker).__module__ == "fastapi.params"
