"""Tools: what a user declares, and what the server calls."""

from __future__ import annotations

import functools
import inspect
import logging
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final

from anyio import to_thread
from pydantic import BaseModel

from gatepost.server.channel import MissingRequiredClientCapability
from gatepost.server.context import Context
from gatepost.server.docstrings import Documentation, read_docstring
from gatepost.server.errors import InvalidArguments, ToolDefinitionError, ToolError
from gatepost.server.inputs import input_type
from gatepost.server.metadata import Icon, ToolAnnotations, annotations_of, icons_of
from gatepost.server.outputs import output_type
from gatepost.server.questions import InvalidAnswer
from gatepost.server.results import error_result, to_result
from gatepost.server.revisions import definition_in, result_in
from gatepost.server.signature import describe_function, read_signature, underlying_function
from gatepost.tokens.opaque import RandomBytes

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")  # MCP 2025-11-25, server/tools, "Tool Names"
_SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")  # RFC 6749 section 3.3
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
        "name",
        "scopes",
    )

    name: str
    scopes: frozenset[str]
    """All of them are needed to see and to call the tool."""
    definition: dict[str, Any]
    """The tool as `tools/list` shows it in the newest revision. Shared: copy before you change it."""

    def __init__(self, tool: Tool, *, random_bytes: RandomBytes = secrets.token_bytes) -> None:
        signature = read_signature(tool.func)
        self.name = _name_of(tool)
        self.scopes = _scopes_of(tool)
        self._func = tool.func
        self._is_async = signature.is_async
        self._context_parameter = signature.context_parameter
        self._random_bytes = random_bytes
        documentation = _documentation_of(tool.func)
        self._input = input_type(self.name, signature, tool.inputs)
        _describe_properties(self._input.schema, documentation.parameters)
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
                value = await to_thread.run_sync(functools.partial(self._func, **keywords))
                if inspect.isawaitable(value):
                    # A sync function that hands out a coroutine, as decorators do.
                    value = await value
            # 3. Convert.
            return to_result(value, self._output)
        except (MissingRequiredClientCapability, InvalidAnswer):
            # The client's fault and not the tool's: a JSON-RPC error, by the specification.
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 (as above; a tool's sys.exit() must not end the server)
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


def _name_of(tool: Tool) -> str:
    name = getattr(tool.func, "__name__", None) if tool.name is None else tool.name
    if name is None and isinstance(tool.func, functools.partial):
        name = getattr(tool.func.func, "__name__", None)
    label = describe_function(tool.func)
    if name is None:
        raise ToolDefinitionError(f"{label}: it has no name of its own; give it one with name=")
    if not _NAME.fullmatch(name):
        raise ToolDefinitionError(
            f"{label}: {name!r} is no name for a tool, which has 1 to 128 of the characters A-Z a-z 0-9 _ - ."
        )
    return name


def _scopes_of(tool: Tool) -> frozenset[str]:
    label = describe_function(tool.func)
    if isinstance(tool.scopes, str):
        raise ToolDefinitionError(f"{label}: scopes takes a list; write scopes=[{tool.scopes!r}]")
    scopes = frozenset(tool.scopes)
    for scope in scopes:
        if not _SCOPE.fullmatch(scope):
            raise ToolDefinitionError(
                f"{label}: {scope!r} is no scope, which has printable ASCII characters but no space, quote or backslash"
            )
    return scopes


def _documentation_of(func: Callable[..., Any]) -> Documentation:
    underlying = underlying_function(func)
    docstring = inspect.getdoc(underlying)
    if docstring is None and not inspect.isroutine(func) and not isinstance(func, functools.partial):
        docstring = inspect.getdoc(type(func))
    return read_docstring(docstring)


def _describe_properties(schema: dict[str, Any], descriptions: Mapping[str, str]) -> None:
    """Add what the docstring says of parameters to those that have no description of their own."""
    properties = schema.get("properties", {})
    for name in properties.keys() & descriptions.keys():
        properties[name].setdefault("description", descriptions[name])
