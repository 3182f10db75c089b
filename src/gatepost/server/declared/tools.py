"""Tools: what a user declares, and what the server calls (MCP server/tools)."""

from __future__ import annotations

import asyncio
import functools
import inspect
import re
import secrets
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Unpack

from pydantic import BaseModel

from gatepost.protocol.errors import MissingRequiredClientCapability
from gatepost.protocol.header_values import InvalidAnnotation, MirroredArgument, mirrored_arguments
from gatepost.server.calls.cancellation import is_cancellation
from gatepost.server.calls.client_requests import InvalidAnswer
from gatepost.server.calls.context import Context
from gatepost.server.calls.exchange import Exchange
from gatepost.server.calls.worker_threads import run_in_thread
from gatepost.server.declared.declaration import (
    Declaration,
    MakeContext,
    Options,
    ToolAnnotations,
    annotations_of,
    failure_text,
    invoke,
    log_late_failure,
)
from gatepost.server.declared.extension_options import TaskOptions, given_in
from gatepost.server.declared.inputs import Input, input_type
from gatepost.server.declared.results import OutputType, error_result, output_type, to_result
from gatepost.server.errors import InsufficientScope, InvalidArguments, ToolDefinitionError
from gatepost.tokens.opaque import RandomBytes

if TYPE_CHECKING:
    # Imported where a tool has conditions or hooks, which few do.
    from gatepost.server.calls.around import Around
    from gatepost.server.calls.rates import CallLimits
    from gatepost.server.declared.conditions import Authorize, Conditions

_CONDITIONS: Final = frozenset({"authorize", "timeout", "rate"})
PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")  # MCP 2025-11-25, server/tools, "Tool Names"


class ToolOptions(Options, total=False):
    """The options of `Server.tool` and `Tool`."""

    inputs: type[BaseModel | None] | None
    """A model whose fields are the arguments. The function takes one instance, or an `Arguments` of it, or nothing; and
    maybe a `Context`. `type(None)` says that there are none."""
    return_error_message: bool
    """Whether what went wrong is structured content, too: `{"error_message": ...}`, which the output schema then has
    beside the result."""
    strict_arguments: bool
    """Whether arguments have to be as the schema says to the letter. Otherwise a number, boolean, array or object that
    was sent as text is read as what it is, and `null` as nothing, where the schema leaves no other choice."""
    authorize: Authorize | None
    """Says whether the caller may make this very call, given a `Context` and the checked arguments, before the function
    runs. It may raise `InsufficientScope` or `ToolError` in place of saying no."""
    timeout: float | None
    """How many seconds a call may take; what takes longer is stopped and becomes a tool error that says so."""
    rate: str | None
    """How often one person may call it, such as `10/minute`; a call too many becomes a tool error that says when."""
    output: Any
    """The type of the result, where the return annotation does not say it. `Any` for none."""
    ui: str | Mapping[str, Any] | None
    """The page that shows its results, by its URI (docs/apps.md); or, in the words of the wire, also who may call it:
    `{"resourceUri": ..., "visibility": ["app"]}` for a tool that only the page calls."""
    task: bool | TaskOptions
    """Whether a call is a task for clients that know tasks: it is answered at once and goes on when they have left."""
    annotations: ToolAnnotations | Mapping[str, Any] | BaseModel | None
    """Hints in the words of the wire (`readOnlyHint`), or `mcp_types.ToolAnnotations`."""


class Tool(Declaration):
    """A function, async or not, that is offered as a tool, with its `ToolOptions`; for those who prefer an object.

    It is ready to be listed and called: everything that no call changes has been computed. Raises ToolDefinitionError
    if the function cannot become a tool; the message names it and what to change.
    """

    __slots__ = (
        "_called",
        "_conditions",
        "_context_parameter",
        "_input",
        "_is_async",
        "_output",
        "_returns_error_message",
        "is_destructive",
        "is_plain",
        "mirrored",
        "of_extensions",
    )

    kind = "tool"
    option_names = ToolOptions.__optional_keys__

    mirrored: tuple[MirroredArgument, ...]
    """The arguments that clients repeat in headers, for what lies between to route by."""
    is_plain: bool
    """Whether a call needs nothing but its arguments: no `Context`, and nobody who counts it."""
    is_destructive: bool
    """Whether its annotations say that it may delete or overwrite something."""
    of_extensions: dict[str, Any]
    """What extensions keep of it, by the names of their options."""

    def __init__(self, func: Callable[..., Any], **options: Unpack[ToolOptions]) -> None:
        super().__init__(func, options)
        self.of_extensions = given_in(options)
        signature = self._signature
        label = signature.function
        if not PLAIN_NAME.fullmatch(self.name):
            raise ToolDefinitionError(
                f"{label}: {self.name!r} is no name for a tool, which has 1 to 128 of the characters A-Z a-z 0-9 _ - .;"
                " give it one with name="
            )
        # What every call reads is kept in the tool itself.
        self._called = signature.func
        self._is_async = signature.is_async
        self._context_parameter = signature.context_parameter
        self._conditions: Conditions | None = None
        if signature.dependencies or not _CONDITIONS.isdisjoint(options):
            from gatepost.server.declared.conditions import conditions_of  # noqa: PLC0415 - most tools have none

            self._conditions = conditions_of(
                self.name,
                label,
                authorize=options.get("authorize"),
                timeout=options.get("timeout"),
                rate=options.get("rate"),
                has_dependencies=bool(signature.dependencies),
            )
        self.is_plain = signature.context_parameter is None and self._conditions is None
        self._input = self._read_input(options)
        schema = self._input.schema
        try:
            self.mirrored = mirrored_arguments(schema)
        except InvalidAnnotation as error:
            raise ToolDefinitionError(f"{label}: {error}") from None
        self._returns_error_message = options.get("return_error_message", False)
        self._output = self._read_output(options)
        annotations = annotations_of(ToolAnnotations, options.get("annotations"), label)
        self.is_destructive = annotations is not None and annotations.get("destructiveHint", False)
        own_members = {
            "inputSchema": schema,
            "outputSchema": None if self._output is None else self._output.schema,
            "annotations": annotations,
        }
        self._define(options, own_members)

    def _read_input(self, options: ToolOptions) -> Input:
        """Return what the function takes. Tools that know it from elsewhere have one of their own."""
        strict = options.get("strict_arguments", False)
        return input_type(self.name, self._signature, options.get("inputs"), strict=strict)

    def _read_output(self, options: ToolOptions) -> OutputType | None:
        """Return what the function gives; as `_read_input`."""
        output = self._signature.returns if (given := options.get("output")) is None else given
        return output_type(output, self._signature.function, or_error=self._returns_error_message)

    def take_name(self, name: str) -> None:
        """See `Declaration.take_name`."""
        super().take_name(name)
        self._input = self._input.named(name)
        self._conditions = None if self._conditions is None else replace(self._conditions, tool=name)

    async def call(
        self,
        arguments: dict[str, Any],
        exchange: Exchange,
        make_context: MakeContext = Context,
        random_bytes: RandomBytes = secrets.token_bytes,
        *,
        limits: CallLimits | None = None,
        around: Around | None = None,
    ) -> dict[str, Any]:
        """Validate, call, convert; an async function runs here and a sync one in a worker thread, as in `invoke`.

        Args:
            arguments: A JSON object, parsed.
            exchange: That of the request.
            make_context: Builds the context of it; called only if the tool takes one.
            random_bytes: Gives an incident id its bytes.
            limits: Counts calls of tools that have a rate; None counts none.
            around: The hooks around it.

        Returns:
            A `CallToolResult` of the newest revision as plain JSON values: `content`, `isError` and perhaps
            `structuredContent`. What the tool raised is in there too.

        Raises:
            InvalidArguments: Before any code of the tool ran.
            MissingRequiredClientCapability: The tool asked the client what it cannot answer.
            InsufficientScope: The tool, or its `authorize`, wants a scope that the caller lacks.
            InvalidAnswer: The client answered something else than it was asked.
            InputRequired: The tool waits for responses that will come with another run.
            StoreUnavailable: The call cannot be counted.
        """
        # 1. Validate. A validator of the user's own may fail otherwise than by saying no.
        try:
            keywords = self._input.validate(arguments)
        except InvalidArguments:
            raise
        except Exception as error:  # noqa: BLE001 (whatever user code raises becomes a result)
            return self._failed(error, exchange, random_bytes)
        if self._conditions is not None or around is not None:
            run = functools.partial(self._run, keywords, exchange, make_context, around)
            return await self._call_under(run, exchange, random_bytes, limits)
        try:
            # 2. Call. In one piece, because each function more is a frame more on every call.
            if self._context_parameter is not None:
                keywords[self._context_parameter] = make_context(exchange)
            if self._is_async:
                value = await self._called(**keywords)
            else:
                late_failure = functools.partial(log_late_failure, f"tool {self.name}", exchange, tool=self.name)
                value = await run_in_thread(functools.partial(self._called, **keywords), late_failure)
                if inspect.isawaitable(value):
                    # A sync function that hands out a coroutine, as decorators do.
                    value = await value
            # 3. Convert.
            return to_result(value, self._output)
        except BaseException as error:  # noqa: BLE001 - what is no answer is raised again there
            return self._failed(error, exchange, random_bytes)

    async def _call_under(
        self,
        run: Callable[[Conditions], Coroutine[Any, Any, dict[str, Any]]],
        exchange: Exchange,
        random_bytes: RandomBytes,
        limits: CallLimits | None,
    ) -> dict[str, Any]:
        """Call and convert, under conditions; raises as `call` does."""
        from gatepost.server.calls.rates import TooManyCalls  # noqa: PLC0415 - as in `__init__`
        from gatepost.server.declared.conditions import Conditions  # noqa: PLC0415 - likewise

        conditions = self._conditions or Conditions(self.name)
        if limits is not None:
            try:
                await conditions.count(exchange, limits)
            except TooManyCalls as error:
                return _too_many_calls(self.name, error.retry_after)
        try:
            return await conditions.run(run(conditions), exchange)
        except BaseException as error:  # noqa: BLE001 - as above
            return self._failed(error, exchange, random_bytes)

    async def _run(
        self,
        keywords: dict[str, Any],
        exchange: Exchange,
        make_context: MakeContext,
        around: Around | None,
        conditions: Conditions,
    ) -> dict[str, Any]:
        """Call and convert, under conditions."""
        await conditions.check(exchange, functools.partial(make_context, exchange), dict(keywords))
        return await invoke(
            self._signature,
            keywords,
            exchange,
            make_context,
            finish=functools.partial(to_result, output=self._output),
            on_late_failure=functools.partial(log_late_failure, f"tool {self.name}", exchange, tool=self.name),
            around=around,
        )

    def _failed(self, error: BaseException, exchange: Exchange, random_bytes: RandomBytes) -> dict[str, Any]:
        """Return the result of a call that raised; it does not hold the arguments. What is none is raised again."""
        if isinstance(error, InsufficientScope):
            raise error.beside(self.scopes) from None
        # A client that asks or answers wrongly hears a JSON-RPC error, by the specification.
        is_not_ours = isinstance(error, MissingRequiredClientCapability | InvalidAnswer) or is_cancellation(error)
        # A tool's sys.exit() must not end the server.
        if is_not_ours or not isinstance(error, Exception | SystemExit | asyncio.CancelledError):
            raise error
        text = failure_text(f"tool {self.name}", error, exchange, random_bytes, tool=self.name)
        return error_result(text, structured=self._returns_error_message)

    def check_arguments(self, arguments: dict[str, Any]) -> None:
        """Raise InvalidArguments if they do not fit; `arguments` is a JSON object, parsed."""
        self._input.validate(arguments)

    @property
    def input_schema(self) -> Mapping[str, Any]:
        """JSON Schema of the arguments."""
        return self._input.schema

    @property
    def output_schema(self) -> Mapping[str, Any] | None:
        """JSON Schema of the structured result; None where there is none."""
        return None if self._output is None else self._output.schema


def _too_many_calls(name: str, seconds: int) -> dict[str, Any]:
    """Return the result of a call too many: something that a model can wait for, and so no JSON-RPC error."""
    result = error_result(f"{name} was called too often; try again in {seconds} seconds.")
    return {**result, "_meta": {"retryAfter": seconds}}
