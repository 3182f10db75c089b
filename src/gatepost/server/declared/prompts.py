"""Prompts: what a user declares, and what the server answers (MCP server/prompts)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from gatepost.server.calls.context import Context
from gatepost.server.declared.completion import Completer, RegisteredCompleter, completers_of
from gatepost.server.declared.declarations import documentation_of, own_name_of, scopes_of
from gatepost.server.declared.invocation import Invocation
from gatepost.server.declared.metadata import Icon, icons_of
from gatepost.server.declared.results import content_block, json_text
from gatepost.server.declared.revisions import entry_in, message_in
from gatepost.server.declared.signature import describe_function, read_signature
from gatepost.server.declared.text_arguments import text_arguments
from gatepost.server.errors import InvalidResult, ToolDefinitionError

_LONGEST_NAME: Final = 128


@dataclass(frozen=True, slots=True)
class Prompt:
    """A function that writes a prompt, and how it is offered."""

    func: Callable[..., Any]
    _: KW_ONLY
    name: str | None = None
    """The function's name when not given."""
    title: str | None = None
    """For people."""
    description: str | None = None
    """The docstring up to its `Args:` when not given."""
    scopes: Iterable[str] = ()
    """All of them are needed to see and to get it."""
    icons: Sequence[Icon | Mapping[str, Any] | BaseModel] = ()
    completions: Mapping[str, Completer] | None = None
    """What completes the arguments, by name."""


class RegisteredPrompt:
    """A prompt, ready to be listed and got.

    Args:
        prompt: What the user declared.

    Raises:
        ToolDefinitionError: The function cannot become one; the message names it and what to change.
    """

    __slots__ = ("_arguments", "_invocation", "completers", "definition", "name", "scopes")

    name: str
    scopes: frozenset[str]
    """All of them are needed to see and to get it."""
    definition: dict[str, Any]
    """It as the newest revision lists it. Shared: copy before you change it."""
    completers: Mapping[str, RegisteredCompleter]
    """What completes its arguments."""

    def __init__(self, prompt: Prompt) -> None:
        label = describe_function(prompt.func)
        signature = read_signature(prompt.func)
        self.name = own_name_of(prompt.func) or "" if prompt.name is None else prompt.name
        if not 0 < len(self.name) <= _LONGEST_NAME or not self.name.isprintable():
            raise ToolDefinitionError(f"{label}: {self.name!r} is no name for a prompt; give it one with name=")
        self.scopes = scopes_of(prompt.scopes, label)
        self._invocation = Invocation.of(prompt.func, signature)
        documentation = documentation_of(prompt.func)
        self._arguments = text_arguments(self.name, signature)
        self.completers = completers_of(prompt.completions or {}, self._arguments, label)
        arguments = []
        for name, argument in self._arguments.arguments.items():
            description = argument.schema.get("description", documentation.parameters.get(name))
            described = {} if description is None else {"description": description}
            arguments.append({"name": name, **described, "required": argument.required})
        members = {
            "name": self.name,
            "title": prompt.title,
            "description": documentation.description if prompt.description is None else prompt.description,
            "arguments": arguments or None,
            "icons": icons_of(prompt.icons, label) or None,
        }
        self.definition = {member: value for member, value in members.items() if value is not None}

    def takes(self, name: str) -> bool:
        """Say whether it has an argument of this name."""
        return name in self._arguments.arguments

    def definition_for(self, revision: str) -> dict[str, Any]:
        """Return it as `revision` lists it. Shared: copy before you change it."""
        return entry_in(revision, self.definition)

    async def get(self, texts: Mapping[str, str], revision: str, context: Callable[[], Context]) -> dict[str, Any]:
        """Write the prompt.

        Args:
            texts: The arguments.
            revision: What the answer is in.
            context: Builds the context, for a function that takes one.

        Returns:
            A `GetPromptResult` as plain JSON values.

        Raises:
            InvalidArguments: They do not fit; no code of the user ran.
            InvalidResult: The function returned what is no message.
            Exception: Whatever the function raised.
        """
        value = await self._invocation(self._arguments.parse(texts), context)
        result: dict[str, Any] = {}
        if (description := self.definition.get("description")) is not None:
            result["description"] = description
        if _is_wire_type(value, "GetPromptResult"):
            ready = value.model_dump(mode="json", by_alias=True, exclude_none=True)
            # The dispatcher says what kind of result it is, in the revisions that have kinds.
            ready.pop("resultType", None)
            json_text(ready)
            messages = ready.pop("messages")
            result |= ready
        else:
            values = value if isinstance(value, (list, tuple)) else [value]
            messages = [_message(one) for one in values]
        result["messages"] = [message_in(revision, message) for message in messages]
        return result


def _message(value: Any) -> dict[str, Any]:
    """Return a message: one of `mcp_types`, a mapping with role and content, or else what the user says."""
    if _is_wire_type(value, "PromptMessage"):
        message: dict[str, Any] = value.model_dump(mode="json", by_alias=True, exclude_none=True)
        json_text(message)
        return message
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
        message = PromptMessage.model_validate({"role": "user", "content": content})
    except ValidationError as error:
        raise InvalidResult(
            f"a message's content is no content block: {error.error_count()} members do not fit"
        ) from None
    block: dict[str, Any] = message.content.model_dump(mode="json", by_alias=True, exclude_none=True)
    json_text(block)
    return block


def _is_wire_type(value: Any, name: str) -> bool:
    """Say whether `value` is of a type of `mcp_types`, which need not be imported for that."""
    wire_type = getattr(sys.modules.get("mcp_types"), name, None)
    return wire_type is not None and isinstance(value, wire_type)
