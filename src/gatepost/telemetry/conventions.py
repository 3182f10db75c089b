"""Names of the OpenTelemetry conventions for MCP and GenAI, as far as they are used here.

They are of open-telemetry/semantic-conventions-genai, v0.1.0, the page "Model Context Protocol" (status: Development),
whose section stands at each. The package `opentelemetry-semantic-conventions` has constants with these names that are
deprecated, because the conventions have moved; and it is not installed where nothing is measured.
"""

from __future__ import annotations

from typing import Final

METHOD: Final = "mcp.method.name"  # Spans, "Server": required
TOOL: Final = "gen_ai.tool.name"  # Spans, "Server": where the operation is related to a tool
PROMPT: Final = "gen_ai.prompt.name"  # likewise, to a prompt
RESOURCE_URI: Final = "mcp.resource.uri"  # likewise, to a resource; in metrics it is opt-in
GENAI_OPERATION: Final = "gen_ai.operation.name"  # Spans, "Server", note 8: `execute_tool` for a tool call alone
EXECUTE_TOOL: Final = "execute_tool"
PROTOCOL_VERSION: Final = "mcp.protocol.version"  # Spans, "Server": recommended
SESSION_ID: Final = "mcp.session.id"  # Spans, "Server": within a session; here its fingerprint, never the id itself
REQUEST_ID: Final = "jsonrpc.request.id"  # Spans, "Server": of a request
STATUS_CODE: Final = "rpc.response.status_code"  # Spans, "Server": the code of a JSON-RPC error
ERROR_TYPE: Final = "error.type"  # Spans, "Server", note 1
TOOL_ERROR: Final = "tool_error"  # the value for a result with `isError`
OTHER: Final = "_OTHER"  # the value where there is no other one
NETWORK_PROTOCOL: Final = "network.protocol.name"  # Spans, "Server": recommended
NETWORK_TRANSPORT: Final = "network.transport"  # "Recording MCP transport": `tcp` for HTTP, `pipe` for stdio
ARGUMENTS: Final = "gen_ai.tool.call.arguments"  # Spans, "Server": opt-in
RESULT: Final = "gen_ai.tool.call.result"  # Spans, "Server": opt-in

OPERATION_DURATION: Final = "mcp.server.operation.duration"  # Metrics
SESSION_DURATION: Final = "mcp.server.session.duration"  # Metrics
DURATION_BUCKETS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
"""Seconds; what both metrics SHOULD be specified with (Metrics, `ExplicitBucketBoundaries`)."""

TRACE_KEYS: Final = frozenset({"traceparent", "tracestate", "baggage"})
"""Keys of `params._meta` without a prefix (MCP 2026-07-28 basic, "OpenTelemetry trace context"; SEP-414)."""
