"""Functions whose one parameter is an `Arguments[Model]`, read as if they took the model and a `Context`."""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, get_args, get_origin

from gatepost.server.calls.arguments import Arguments
from gatepost.server.declared.inputs import bare
from gatepost.server.declared.signature import Signature
from gatepost.server.errors import ToolDefinitionError

_CONTEXT: Final = "the context"
"""The keyword of the context: a name that no parameter can have."""


def with_plain_inputs(signature: Signature) -> Signature:
    """Return the signature with the model in place of `Arguments[Model]`; itself if there is no such parameter.

    Raises ToolDefinitionError: there are other parameters beside, or `Arguments` does not say of what.
    """
    taken = [one for one in signature.parameters if _is_arguments(bare(one.annotation))]
    if not taken:
        return signature
    parameter = taken[0]
    if len(signature.parameters) > 1 or signature.context_parameter is not None:
        raise ToolDefinitionError(
            f"{signature.function}: parameter {parameter.name!r} is an Arguments, which holds everything; "
            "take nothing beside it, its context is args.context"
        )
    if not (declared := get_args(bare(parameter.annotation))):
        raise ToolDefinitionError(
            f"{signature.function}: parameter {parameter.name!r} has to say its inputs: Arguments[SomeModel], "
            "or Arguments[NoArguments]"
        )
    inputs = declared[0]
    parameters = () if inputs in {None, types.NoneType} else (parameter.replace(annotation=inputs),)
    func = _adapted(signature.func, parameter.name)
    return replace(signature, func=func, parameters=parameters, context_parameter=_CONTEXT)


def _is_arguments(annotation: Any) -> bool:
    return annotation is Arguments or get_origin(annotation) is Arguments


def _adapted(func: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return a function that takes inputs and context as keywords and gives `func` its `Arguments`."""

    def call(**keywords: Any) -> Any:
        context, inputs = keywords.pop(_CONTEXT), keywords.pop(name, None)
        # What is left are dependencies.
        return func(**keywords, **{name: Arguments(None, inputs, context=context)})

    return call
