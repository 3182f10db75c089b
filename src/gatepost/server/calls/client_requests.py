"""The requests that a tool can send to its client, and what it gets back, one class each.

    Elicit      a form for the user           Elicited          client/elicitation, form mode
    ElicitURL   a page for the user to visit  Elicited          client/elicitation, URL mode
    Sample      a model's words               Sampled           client/sampling
    ListRoots   the folders that are open     tuple[Root, ...]  client/roots

`Context.elicit` and its kin send one of them, `Context.request_all` several at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, Generic, Literal, Protocol, TypeVar
from urllib.parse import urlsplit

import orjson
from pydantic import BaseModel, ValidationError
from pydantic_core import to_jsonable_python

from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import InvalidParams
from gatepost.server.calls.elicitation_schema import check_form, form_of_model, problems

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Model = TypeVar("Model", bound=BaseModel)

Action = Literal["accept", "decline", "cancel"]

_ACTIONS: Final = frozenset({"accept", "decline", "cancel"})
# 2025-11-25 client/elicitation, "Safe URL Handling": https outside of development.
_ON_THIS_MACHINE: Final = frozenset({("http", "localhost"), ("http", "127.0.0.1"), ("http", "::1")})
# The characters of RFC 3986.
_URL: Final = re.compile(r"(?i:https?)://(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")


class InvalidAnswer(InvalidParams):
    """The client's answer is not what was asked for. The message names fields and never what they hold."""


class ClientRequest(Protocol[T_co]):
    """A request to the client, and how its result is read."""

    kind: ClassVar[str]
    """What keys are derived from: the second `elicit` of a request is `elicit-2`."""
    method: ClassVar[str]

    @property
    def capability(self) -> Mapping[str, Any]:
        """What the client has to have declared, shaped like `ClientCapabilities`."""
        ...

    def params(self) -> dict[str, Any]:
        """Return the request's `params` as plain JSON values.

        Raises:
            ValueError: the specification forbids such a request.
        """
        ...

    def read(self, result: Mapping[str, Any]) -> T_co:
        """Return the client's result as the tool gets it; raises InvalidAnswer: it is not what was asked for."""
        ...


@dataclass(frozen=True, slots=True)
class Elicited(Generic[T]):
    """What the user did with a form or a page."""

    action: Action
    """`accept`: sent it, or agreed to visit the page. `decline`: said no. `cancel`: closed it without a word."""
    data: T | None
    """What the user filled in; None unless the action is `accept`, and always for a page."""

    @property
    def accepted(self) -> bool:
        """Whether the user said yes."""
        return self.action == "accept"


@dataclass(frozen=True, slots=True)
class Elicit(Generic[Model]):
    """A form for the user: never for passwords, keys and the like, which clients get to see; see `ElicitURL`."""

    kind: ClassVar[str] = "elicit"
    method: ClassVar[str] = "elicitation/create"
    capability: ClassVar[Mapping[str, Any]] = {"elicitation": {"form": {}}}

    message: str
    """What the user is told."""
    form: type[Model] | Mapping[str, Any]
    """A model whose fields are the form's, or a schema."""

    def params(self) -> dict[str, Any]:
        # The mode is left out: older revisions know forms only.
        return {"message": self.message, "requestedSchema": self._schema()}

    def read(self, result: Mapping[str, Any]) -> Elicited[Any]:
        """Return what the user did, the content as an instance of the model, or as it came if a schema was given."""
        action = _action(result)
        if action != "accept":
            return Elicited(action, None)
        content = result.get("content")
        if type(content) is not dict:
            raise InvalidAnswer("The answer to an elicitation must have an object as its content.")
        if isinstance(self.form, type):
            return Elicited(action, _as_model(self.form, content))
        wrong = list(problems(self._schema(), content))
        if wrong:
            raise InvalidAnswer(f"The answer to an elicitation does not fit: {'; '.join(wrong)}.")
        return Elicited(action, content)

    def _schema(self) -> dict[str, Any]:
        return form_of_model(self.form) if isinstance(self.form, type) else check_form(self.form)


@dataclass(frozen=True, slots=True)
class ElicitURL:
    """A page for the user to visit, for what no client may see. `accept` says that they agreed, not that they did."""

    kind: ClassVar[str] = "elicit_url"
    method: ClassVar[str] = "elicitation/create"
    capability: ClassVar[Mapping[str, Any]] = {"elicitation": {"url": {}}}

    message: str
    """Why the user should go there."""
    url: str
    """An absolute `https` URL, or `http` on this machine. It must not log anybody in: the client reads it too."""

    def params(self) -> dict[str, Any]:
        # An absolute URL without a user name in it, and safe from those on the way.
        if not _is_page(self.url):
            raise ValueError(
                "elicit_url takes an absolute https URL, percent-encoded and without user name, or http with a "
                "loopback name while developing"
            )
        return {"mode": "url", "message": self.message, "url": self.url}

    def read(self, result: Mapping[str, Any]) -> Elicited[None]:
        return Elicited(_action(result), None)


@dataclass(frozen=True, slots=True)
class Sampled:
    """What a model said."""

    content: tuple[dict[str, Any], ...]
    """Content blocks in the shape of the wire."""
    model: str
    """Which model it was, in the client's words."""
    stop_reason: str | None
    role: str

    @property
    def text(self) -> str:
        """The text blocks, joined."""
        return "".join(block["text"] for block in self.content if block.get("type") == "text")


@dataclass(frozen=True, slots=True)
class Sample:
    """A request to the client's model, which the user may see and change."""

    kind: ClassVar[str] = "sample"
    method: ClassVar[str] = "sampling/createMessage"

    messages: str | Sequence[Any]
    """A text, or messages in the shape of the wire or as `mcp_types.SamplingMessage`."""
    max_tokens: int = 1000
    """How long the answer may get."""
    system_prompt: str | None = None
    """What the client may tell the model first."""
    temperature: float | None = None
    """How much chance is wanted."""
    stop_sequences: Sequence[str] = ()
    """Texts at which the answer ends."""
    model_preferences: Mapping[str, Any] | None = None
    """Which models are wanted, in the shape of the wire."""
    tools: Sequence[Any] = ()
    """Tools that the model may ask for, in the shape of the wire; the client has to have declared `sampling.tools`."""
    tool_choice: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None

    @property
    def capability(self) -> Mapping[str, Any]:
        return {"sampling": {"tools": {}} if self.tools or self.tool_choice else {}}

    def params(self) -> dict[str, Any]:
        messages = self.messages
        if isinstance(messages, str):
            messages = [{"role": "user", "content": {"type": "text", "text": messages}}]
        optional = {
            "systemPrompt": self.system_prompt,
            "temperature": self.temperature,
            "stopSequences": list(self.stop_sequences) or None,
            "modelPreferences": self.model_preferences,
            "tools": list(self.tools) or None,
            "toolChoice": self.tool_choice,
            "metadata": self.metadata,
        }
        given = {name: value for name, value in optional.items() if value is not None}
        wire = {"messages": list(messages), "maxTokens": self.max_tokens, **given}
        params: dict[str, Any] = to_jsonable_python(wire, by_alias=True, exclude_none=True)
        check_tool_results(params["messages"])
        return params

    def read(self, result: Mapping[str, Any]) -> Sampled:
        content, model, stop_reason = result.get("content"), result.get("model"), result.get("stopReason")
        blocks: list[Any] = content if type(content) is list else [content]
        if type(model) is not str or result.get("role") not in {"user", "assistant"} or not all(map(_is_block, blocks)):
            raise InvalidAnswer("The answer to a sampling request must have a role, a model and content blocks.")
        return Sampled(tuple(blocks), model, stop_reason if type(stop_reason) is str else None, result["role"])


@dataclass(frozen=True, slots=True)
class Root:
    """A folder or file that the user has opened in the client."""

    uri: str
    name: str | None


@dataclass(frozen=True, slots=True)
class ListRoots:
    """Which folders the user has opened in the client."""

    kind: ClassVar[str] = "roots"
    method: ClassVar[str] = "roots/list"
    capability: ClassVar[Mapping[str, Any]] = {"roots": {}}

    def params(self) -> dict[str, Any]:
        return {}

    def read(self, result: Mapping[str, Any]) -> tuple[Root, ...]:
        roots = result.get("roots")
        if type(roots) is not list or not all(type(root) is dict and type(root.get("uri")) is str for root in roots):
            raise InvalidAnswer("The answer to a request for roots must list them with their URIs.")
        return tuple(Root(root["uri"], root["name"] if type(root.get("name")) is str else None) for root in roots)


def is_declared(needed: Mapping[str, Any], declared: Mapping[str, Any]) -> bool:
    """Say whether a client's capabilities hold those that are needed.

    An empty `elicitation` stands for forms alone (client/elicitation, "Capabilities").
    """
    for name, parts in needed.items():
        found = declared.get(name)
        if type(found) is not dict:
            return False
        if name == "elicitation" and not found:
            found = {"form": {}}
        if not parts.keys() <= found.keys():
            return False
    return True


def _action(result: Mapping[str, Any]) -> Action:
    action: Any = result.get("action")
    if type(action) is not str or action not in _ACTIONS:
        raise InvalidAnswer('The answer to an elicitation must have an "action": accept, decline or cancel.')
    accepted: Action = action  # type: ignore[assignment] # one of the three, as was just seen
    return accepted


def _is_page(url: str) -> bool:
    """Say whether this is the absolute URL of a page that may be opened, without credentials in it (RFC 3986)."""
    if not _URL.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if not parts.hostname or "@" in parts.netloc or port == 0:
        return False
    return parts.scheme == "https" or (parts.scheme, parts.hostname) in _ON_THIS_MACHINE


def _as_model(model: type[Model], content: dict[str, Any]) -> Model:
    try:
        # From JSON, so that dates and enums are read as what they are.
        return model.model_validate_json(orjson.dumps(content))
    except (ValidationError, TypeError) as error:
        found = error.errors(include_url=False, include_input=False) if isinstance(error, ValidationError) else []
        # Names of the form's own fields only: the answer's are the client's words.
        fields = sorted({str(one["loc"][0]) for one in found if one["loc"] and one["loc"][0] in model.model_fields})
    raise InvalidAnswer(f"The answer to an elicitation does not fit: {', '.join(fields) or 'as a whole'}.")


def _is_block(block: Any) -> bool:
    return type(block) is dict and type(block.get("type")) is str and type(block.get("text", "")) is str


def check_tool_results(messages: Sequence[Any]) -> None:
    """Check that a conversation meets each tool use with its result (client/sampling, "Tool Use and Result Balance").

    Clients and the services behind them refuse other ones. Raises ValueError: a tool use is not met with its result in
    the next message, or a result answers none, or it stands beside something else.
    """
    asked: list[str] = []
    for message in messages:
        blocks = list(_blocks(message))
        results = [str(block.get("toolUseId")) for block in blocks if block.get("type") == "tool_result"]
        if results and (_role(message) != "user" or len(results) != len(blocks)):
            raise ValueError("a sampling message with tool results is the user's and holds nothing else")
        if sorted(results) != sorted(asked):
            raise ValueError("each tool use of a sampling message is met with its result in the next one")
        asked = [str(block.get("id")) for block in blocks if block.get("type") == "tool_use"]
    if asked:
        raise ValueError("each tool use of a sampling message is met with its result in the next one")


def _blocks(message: Any) -> Iterator[Mapping[str, Any]]:
    content = message.get("content") if isinstance(message, Mapping) else None
    for block in content if isinstance(content, list) else [content]:
        yield block if isinstance(block, Mapping) else {}


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, Mapping) else None
