"""One operation as a tool."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, Unpack

import jsonschema_rs
from pydantic_core import SchemaSerializer, SchemaValidator, core_schema

from gatepost.late_dataclass import dataclass
from gatepost.openapi.bodies import Body, read_body
from gatepost.openapi.calling import API, OperationCall
from gatepost.openapi.description import Description, Found
from gatepost.openapi.errors import ForbiddenReference, UnresolvableReference, UnusableOperation, UnusableSchema
from gatepost.openapi.inputs import OperationInput
from gatepost.openapi.naming import unique
from gatepost.openapi.outputs import Outputs, accepted_types, read_outputs
from gatepost.openapi.parameters import Argument, read_parameters
from gatepost.openapi.reading import size_of
from gatepost.openapi.requests import RequestForm, sent_path
from gatepost.openapi.schemas import SchemaReader
from gatepost.openapi.selection import Scopes
from gatepost.openapi.servers import Servers
from gatepost.openapi.texts import LONGEST_DESCRIPTION, LONGEST_TITLE, bounded
from gatepost.server.declared.declaration import ToolAnnotations
from gatepost.server.declared.results import OutputType
from gatepost.server.declared.tools import Tool, ToolOptions

LARGEST_INPUT_SCHEMA: Final = 256 * 1024
"""Bytes. GitHub's largest has 60 kB."""
_ANY: Final = core_schema.any_schema()
_BODY: Final = "body"

_ANNOTATIONS: Final[Mapping[str, ToolAnnotations]] = {
    # RFC 9110 section 9.2: what is safe, and what is idempotent. Whether a POST destroys something, it does not say.
    "GET": {"readOnlyHint": True},
    "PUT": {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": True},
    "DELETE": {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": True},
    "PATCH": {"readOnlyHint": False, "destructiveHint": True},
    "POST": {"readOnlyHint": False},
}


class OperationTool(Tool):
    """A tool whose input and output are known from a description, and not from a function."""

    __slots__ = ("_described_input", "_described_output")

    def __init__(
        self, call: OperationCall, described: OperationInput, outputs: Outputs | None, **options: Unpack[ToolOptions]
    ) -> None:
        self._described_input = described
        self._described_output = outputs
        super().__init__(call, **options)

    def _read_input(self, options: ToolOptions) -> OperationInput:  # noqa: ARG002 - as the others
        return self._described_input

    def _read_output(self, options: ToolOptions) -> OutputType | None:  # noqa: ARG002 - likewise
        if self._described_output is None:
            return None
        # What is structured has been looked at already.
        schema = self._described_output.schema
        return OutputType(schema, SchemaValidator(_ANY), SchemaSerializer(_ANY), None)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ToolMaker:
    """What the tools of one description have in common."""

    description: Description
    servers: Servers
    api: API
    filled_in: Mapping[str, Collection[str]]
    """Names by location that the server sends itself."""
    lists_outputs: bool
    is_strict: bool
    sent: SchemaReader
    received: SchemaReader

    def tool_for(self, found: Found, name: str, scopes: Scopes) -> OperationTool:
        """Return the tool of this name for an operation, which needs these scopes; raises UnusableOperation."""
        operation = found.operation
        try:
            form, described, outputs = self._read(found, name)
        except (UnusableSchema, ForbiddenReference, UnresolvableReference) as error:
            raise UnusableOperation(operation.method, operation.path, str(error)) from None
        return OperationTool(
            OperationCall(self.api, form, outputs, name),
            described,
            outputs,
            name=name,
            title=operation.summary,
            description=_description(found),
            scopes=scopes,
            annotations=_ANNOTATIONS[operation.method],
            strict_arguments=self.is_strict,
        )

    def _read(self, found: Found, name: str) -> tuple[RequestForm, OperationInput, Outputs | None]:
        documents = self.description.documents
        path, query = sent_path(found.operation.path)
        arguments, refers_to = read_parameters(found, documents, self.sent, self.filled_in)
        body, further = read_body(found, documents, self.sent)
        body_name = unique(_BODY, {argument.name for argument in arguments})
        schema = _input_schema(arguments, body, body_name)
        if refers_to | further:
            schema["$defs"] = self.sent.definitions(refers_to | further)
        # Before anything is compiled: that follows each reference, too.
        deepest = self.sent.deepest(schema)
        _check(schema, "arguments")
        if size_of(schema) > LARGEST_INPUT_SCHEMA:
            raise UnusableSchema(f"the schema of its arguments has more than {LARGEST_INPUT_SCHEMA} bytes")
        outputs = read_outputs(found, documents, self.received) if self.lists_outputs else None
        if outputs is not None:
            _check(outputs.schema, "answer")
        form = RequestForm(
            method=found.operation.method,
            url=self.servers.url_for(found.servers),
            path=path,
            query=query,
            arguments=arguments,
            body=body,
            body_name=body_name,
            accept=accepted_types(found, documents),
        )
        return form, OperationInput(name, schema, form.check, deepest, self.is_strict), outputs


def _input_schema(arguments: Collection[Argument], body: Body | None, body_name: str) -> dict[str, Any]:
    properties = {argument.name: argument.schema for argument in arguments}
    required = [argument.name for argument in arguments if argument.is_required]
    if body is not None:
        properties[body_name] = body.schema
        required += [body_name] if body.is_required else []
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": required} if required else schema


def _check(schema: Mapping[str, Any], what: str) -> None:
    """Raise UnusableSchema if a schema is none of JSON Schema 2020-12."""
    try:
        jsonschema_rs.Draft202012Validator(dict(schema), offline=True).is_valid({})
    except jsonschema_rs.ValidationError as error:
        place = "/".join(map(str, error.instance_path))
        raise UnusableSchema(f"the schema of its {what} is not valid, at {place}: {error.message[:300]}") from None
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise UnusableSchema(f"the schema of its {what} is not valid: {str(error)[:300]}") from None


def _description(found: Found) -> str:
    """Return what a model is told: what the description says, or else method and path."""
    operation = found.operation
    summary = bounded(found.raw.get("summary"), LONGEST_TITLE)
    text = bounded(found.raw.get("description"), LONGEST_DESCRIPTION)
    parts = [one for one in (summary, text if text != summary else None) if one is not None] or [str(operation)]
    if operation.is_deprecated:
        parts.insert(0, "Deprecated.")
    return bounded("\n\n".join(parts), LONGEST_DESCRIPTION) or str(operation)
