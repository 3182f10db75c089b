// The TypeScript SDK, version 1, on Express: sessions kept in a map as its examples do, JSON answers, its own
// `requireBearerAuth`. Handshake era only.

import { randomUUID } from "node:crypto";

import { InvalidTokenError } from "@modelcontextprotocol/sdk/server/auth/errors.js";
import { requireBearerAuth } from "@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js";
import { createMcpExpressApp } from "@modelcontextprotocol/sdk/server/express.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { isInitializeRequest } from "@modelcontextprotocol/sdk/types.js";
import * as z from "zod/v4";

const tokens = new Map([
  [
    process.env.BENCHMARK_TOKEN,
    {
      token: process.env.BENCHMARK_TOKEN,
      clientId: "benchmark",
      scopes: ["tools"],
      expiresAt: Math.floor(Date.now() / 1000) + 3600,
    },
  ],
]);

const verifier = {
  async verifyAccessToken(token) {
    const known = tokens.get(token);
    if (known === undefined) throw new InvalidTokenError("unknown token");
    return known;
  },
};

const add = {
  config: {
    description: "Add two numbers.",
    inputSchema: { a: z.number().int(), b: z.number().int() },
    outputSchema: { result: z.number().int() },
  },
  async run({ a, b }) {
    const result = a + b;
    return { content: [{ type: "text", text: String(result) }], structuredContent: { result } };
  },
};

function newServer() {
  const server = new McpServer({ name: "benchmark", version: "1.0.0" });
  const count = Number(process.env.BENCHMARK_TOOLS);
  const names = count > 0 ? Array.from({ length: count }, (_, index) => `add_${index}`) : ["add"];
  for (const name of names) server.registerTool(name, add.config, add.run);
  return server;
}

const transports = new Map();
const app = createMcpExpressApp();

app.post("/mcp", requireBearerAuth({ verifier, requiredScopes: ["tools"] }), async (request, response) => {
  let transport = transports.get(request.headers["mcp-session-id"]);
  if (transport === undefined) {
    if (!isInitializeRequest(request.body)) {
      response.status(404).json({ jsonrpc: "2.0", error: { code: -32001, message: "Session not found" }, id: null });
      return;
    }
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      enableJsonResponse: true,
      onsessioninitialized: (id) => transports.set(id, transport),
    });
    await newServer().connect(transport);
  }
  await transport.handleRequest(request, response, request.body);
});

app.listen(Number(process.argv[2]), "127.0.0.1");
