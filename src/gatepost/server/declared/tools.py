"""Tools: what a user declares, and what the server calls."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final

from pydantic import BaseModel

from gatepost.protocol.mirrored_arguments import InvalidAnnotation, MirroredArgument, mirrored_arguments
from gatepost.server.calls.cancellation import is_cancellation
from gatepost.server.calls.channel import MissingRequiredClientCapability
from gatepost.server.calls.client_requests import InvalidAnswer
from gatepost.server.calls.context import Context
from gatepost.server.calls.worker_threads import run_in_thread
from gatepost.server.declared.declarations import describe_properties, documentation_of, own_name_of, scopes_of
from gatepost.server.declared.inputs import input_type
from gatepost.server.declared.metadata import Icon, ToolAnnotations, annotations_of, icons_of
from gatepost.server.declared.outputs import output_type
from gatepost.server.declared.results import error_result, to_result
from gatepost.server.declared.revisions import definition_in, result_in
from gatepost.server.declared.signature import describe_function, read_signature
from gatepost.server.errors import InvalidArguments, ToolDefinitionError, ToolError
from gatepost.tokens.opaque import RandomBytes

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")  # MCP 2025-11-25, server/tools, "Tool Names"
_INCIDENT_BYTES: Final = 8

_log: Final = logging.getLogger("gatepost.tools")


@dataclass(frozen=True, slots=True)
class Tool:
    """A function and how it is offered, for those who prefer an object to a decorator."""

    func: Callable[..., Any]
    _: KW_ONLY
    inputs: type[BaseModel] | None = None
    """A model whose fields are the arguments. The function takes one instance, or nothing; and maybe a `Context`."""
    output: Any = None
    """The type of the result, where the return annotation does not say it. `Any` for none."""
    name: str | None = None
    """The function's name when not given."""
    title: str | None = None
    """For people."""
    description: str | None = None
    """For models; the docstring up to its `Args:` when not given."""
    scopes: Iterable[str] = ()
    """All of them are needed to see and to call the tool."""
    annotations: ToolAnnotations | Mapping[str, Any] | BaseModel | None = None
    """Hints in the words of the wire (`readOnlyHint`), or `mcp_types.ToolAnnotations`."""
    icons: Sequence[Icon | Mapping[str, Any] | BaseModel] = ()


class RegisteredTool:
    """A tool, ready to be listed and called: everything that no call changes has been computed.

    Args:
        tool: What the user declared.
        random_bytes: Gives the incident ids their bytes.

    Raises:
        ToolDefinitionError: The function cannot become a tool; the message names it and what to change.
    """

    __slots__ = (
        "_context_parameter",
        "_func",
        "_input",
        "_is_async",
        "_output",
        "_random_bytes",
        "definition",
        "mirrored",
        "name",
        "scopes",
        "takes_context",
    )

    name: str
    scopes: frozenset[str]
    """All of them are needed to see and to call the tool."""
    mirrored: tuple[MirroredArgument, ...]
    """The arguments that clients repeat in headers, for what lies between to route by."""
    takes_context: bool
    """Whether the function has a parameter for a `Context`."""
    definition: dict[str, Any]
    """The tool as `tools/list` shows it in the newest revision. Shared: copy before you change it."""

    def __init__(self, tool: Tool, *, random_bytes: RandomBytes = secrets.token_bytes) -> None:
        signature = read_signature(tool.func)
        self.name = _name_of(tool)
        self.scopes = scopes_of(tool.scopes, signature.function)
        self._func = tool.func
        self._is_async = signature.is_async
        self._context_parameter = signature.context_parameter
        self.takes_context = signature.context_parameter is not None
        self._random_bytes = random_bytes
        documentation = documentation_of(tool.func)
        self._input = input_type(self.name, signature, tool.inputs)
        describe_properties(self._input.schema, documentation.parameters)
        self.mirrored = _mirrored_of(self._input.schema, signature.function)
        declared = signature.returns if tool.output is None else tool.output
        self._output = output_type(declared, signature.function)
        members = {
            "name": self.name,
            "title": tool.title,
            "description": documentation.description if tool.description is None else tool.description,
            "inputSchema": self._input.schema,
            "outputSchema": None if self._output is None else self._output.schema,
            "annotations": annotations_of(tool.annotations, signature.function),
            "icons": icons_of(tool.icons, signature.function) or None,
        }
        self.definition = {member: value for member, value in members.items() if value is not None}

    def definition_for(self, revision: str) -> dict[str, Any]:
        """Return the tool as `tools/list` shows it in `revision` (`2025-11-25`), without what that does not know.

        Shared: copy before you change it.
        """
        return definition_in(revision, self.definition)

    def result_for(self, revision: str, result: dict[str, Any]) -> dict[str, Any]:
        """Return `result`, which `call` gave, without what `revision` does not know; `result` itself when it fits."""
        return result_in(revision, result)

    async def call(self, arguments: dict[str, Any], context: Callable[[], Context]) -> dict[str, Any]:
        """Validate, call, convert.

        An async function runs here and a sync one in a worker thread, with the caller's context variables.

        Args:
            arguments: A JSON object, parsed.
            context: Builds the context; called only if the tool takes one, or to say in the log whose call failed.

        Returns:
            A `CallToolResult` of the newest revision as plain JSON values: `content`, `isError` and perhaps
            `structuredContent`. What the tool raised is in there too.

        Raises:
            InvalidArguments: Before any code of the tool ran.
            MissingRequiredClientCapability: The tool asked the client what it cannot answer.
            InvalidAnswer: The client answered something else than it was asked.
            Interrupted: The tool waits for answers that will come with another run.
        """
        # 1. Validate. A validator of the user's own may fail otherwise than by saying no.
        try:
            keywords = self._input.validate(arguments)
        except InvalidArguments:
            raise
        except Exception as error:  # noqa: BLE001 (whatever user code raises becomes a result)
            return self._failure(error, context)
        try:
            # 2. Call.
            if self._context_parameter is not None:
                keywords[self._context_parameter] = context()
            if self._is_async:
                value = await self._func(**keywords)
            else:
                value = await run_in_thread(
                    functools.partial(self._func, **keywords), functools.partial(self._late_failure, context)
                )
                if inspect.isawaitable(value):
                    # A sync function that hands out a coroutine, as decorators do.
                    value = await value
            # 3. Convert.
            return to_result(value, self._output)
        except (MissingRequiredClientCapability, InvalidAnswer):
            # The client's fault and not the tool's: a JSON-RPC error, by the specification.
            raise
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            # As above; and a tool's sys.exit() must not end the server.
            if is_cancellation(error):
                raise
            return self._failure(error, context)

    def _failure(self, error: BaseException, context: Callable[[], Context]) -> dict[str, Any]:
        """Return the result of a call that raised: the tool's own words, or an id under which the log says why.

        Neither holds the arguments.
        """
        if isinstance(error, ToolError):
            return error_result(str(error))
        incident = self._random_bytes(_INCIDENT_BYTES).hex()
        subject = context().user.subject
        _log.error(
            "tool %s failed for %s, incident %s",
            self.name,
            subject,
            incident,
            exc_info=error,
            extra={"incident": incident, "tool": self.name, "subject": subject},
        )
        return error_result(f"The tool failed. Incident {incident}.")

    def _late_failure(self, context: Callable[[], Context], error: BaseException) -> None:
        """Write down what a plain function raised when its call had been cancelled already: nobody else will know."""
        subject = context().user.subject
        # Its own words are an answer, and not a fault.
        level, trace = (logging.INFO, None) if isinstance(error, ToolError) else (logging.ERROR, error)
        _log.log(
            level,
            "tool %s failed for %s after the call was cancelled",
            self.name,
            subject,
            exc_info=trace,
            extra={"tool": self.name, "subject": subject},
        )


def _mirrored_of(schema: Mapping[str, Any], function: str) -> tuple[MirroredArgument, ...]:
    try:
        return mirrored_arguments(schema)
    except InvalidAnnotation as error:
        raise ToolDefinitionError(f"{function}: {error}") from None


def _name_of(tool: Tool) -> str:
    name = own_name_of(tool.func) if tool.name is None else tool.name
    label = describe_function(tool.func)
    if name is None:
        raise ToolDefinitionError(f"{label}: it has no name of its own; give it one with name=")
    if not _NAME.fullmatch(name):
        raise ToolDefinitionError(
            f"{label}: {name!r} is no name for a tool, which has 1 to 128 of the characters A-Z a-z 0-9 _ - .; "
            "give it one with name="
        )
    return name
