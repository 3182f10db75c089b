"""Prompts: what a user declares, and what the server answers (MCP server/prompts)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Unpack

from pydantic import BaseModel, ValidationError

from gatepost.server.calls.context import Context
from gatepost.server.calls.exchange import Exchange
from gatepost.server.declared.completion import CompletableDeclaration, CompletableOptions
from gatepost.server.declared.declaration import MakeContext, invoke
from gatepost.server.declared.results import content_block, wire_json, wire_types
from gatepost.server.declared.revisions import message_in
from gatepost.server.errors import InvalidResult, ToolDefinitionError

if TYPE_CHECKING:
    from gatepost.server.calls.around import Around

if TYPE_CHECKING:
    from mcp_types import PromptArgument

_LONGEST_NAME: Final = 128


class PromptOptions(CompletableOptions, total=False):
    """The options of `Server.prompt` and `Prompt`."""

    arguments_type: type[BaseModel | None] | None
    """A model whose fields are the arguments, as `inputs` of a tool."""


class Prompt(CompletableDeclaration):
    """A function, async or not, that writes a prompt, with its `PromptOptions`: ready to be listed and got.

    Raises ToolDefinitionError if it cannot become one; the message names the function and what to change.
    """

    __slots__ = ()

    kind = "prompt"
    option_names = PromptOptions.__optional_keys__

    def __init__(self, func: Callable[..., Any], **options: Unpack[PromptOptions]) -> None:
        super().__init__(func, options)
        if not 0 < len(self.name) <= _LONGEST_NAME or not self.name.isprintable():
            raise ToolDefinitionError(
                f"{self._signature.function}: {self.name!r} is no name for a prompt; give it one with name="
            )
        self._take_arguments(self.name, options, spreads=True, model=options.get("arguments_type"))
        arguments = []
        for name, argument in self._arguments.by_name.items():
            described = {key: text for key, text in argument.schema.items() if key == "description"}
            arguments.append({"name": name, **described, "required": argument.required})
        self._define(options, {"arguments": arguments or None})

    @property
    def arguments(self) -> tuple[PromptArgument, ...]:
        """The arguments as clients see them."""
        from mcp_types import PromptArgument  # noqa: PLC0415 - off the start-up path

        return tuple(PromptArgument.model_validate(one) for one in self.definition.get("arguments", ()))

    def take_name(self, name: str) -> None:
        """See `Declaration.take_name`."""
        super().take_name(name)
        self._arguments = self._arguments.owned_by(name)

    async def get(
        self,
        texts: Mapping[str, str],
        revision: str,
        exchange: Exchange,
        make_context: MakeContext = Context,
        around: Around | None = None,
    ) -> dict[str, Any]:
        """Write the prompt for these arguments: a `GetPromptResult` of `revision` as plain JSON values.

        Raises InvalidArguments before any code of the user runs, InvalidResult for what is no message, and whatever the
        function raises.
        """
        keywords, finish = self._arguments.parse(texts), partial(self._result, revision)
        return await invoke(self._signature, keywords, exchange, make_context, finish=finish, around=around)

    def _result(self, revision: str, value: Any) -> dict[str, Any]:
        description = self.definition.get("description")
        result: dict[str, Any] = {} if description is None else {"description": description}
        if isinstance(value, wire_types("GetPromptResult")):
            result |= wire_json(value)
            # The dispatcher says what kind of result it is, in the revisions that have kinds.
            result.pop("resultType", None)
            messages = result["messages"]
        else:
            messages = [_message(one) for one in (value if isinstance(value, (list, tuple)) else [value])]
        result["messages"] = [message_in(revision, message) for message in messages]
        return result


def _message(value: Any) -> dict[str, Any]:
    """Return a message: one of `mcp_types`, a mapping with role and content, or else what the user says."""
    if isinstance(value, wire_types("PromptMessage")):
        return wire_json(value)
    if not isinstance(value, Mapping):
        return {"role": "user", "content": _said(value)}
    if value.keys() != {"role", "content"} or value["role"] not in {"user", "assistant"}:
        raise InvalidResult('a message has a "role", "user" or "assistant", and "content"')
    content = value["content"]
    return {"role": value["role"], "content": _checked(content) if isinstance(content, Mapping) else _said(content)}


def _said(value: Any) -> dict[str, Any]:
    if value is None:
        raise InvalidResult("a prompt returns a text or messages, not nothing")
    return content_block(value)


def _checked(content: Mapping[str, Any]) -> dict[str, Any]:
    """Check a content block in the words of the wire."""
    from mcp_types import PromptMessage  # noqa: PLC0415 - off the start-up path

    try:
        return wire_json(PromptMessage.model_validate({"role": "user", "content": content}).content)
    except ValidationError as error:
        raise InvalidResult(
            f"a message's content is no content block: {error.error_count()} members do not fit"
        ) from None
