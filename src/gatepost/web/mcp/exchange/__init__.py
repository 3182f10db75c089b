"""One HTTP exchange with the MCP endpoint: headers in, an answer or an event stream out."""
