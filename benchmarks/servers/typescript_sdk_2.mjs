// The TypeScript SDK, version 2, on Express: `createMcpHandler` with JSON answers behind its own `requireBearerAuth`.
// Modern era; what it offers for the handshake era keeps no sessions.

import { createMcpExpressApp, requireBearerAuth } from "@modelcontextprotocol/express";
import { toNodeHandler } from "@modelcontextprotocol/node";
import { createMcpHandler, McpServer, OAuthError, OAuthErrorCode } from "@modelcontextprotocol/server";
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
    if (known === undefined) throw new OAuthError(OAuthErrorCode.InvalidToken, "unknown token");
    return known;
  },
};

const numbers = z.object({ a: z.number().int(), b: z.number().int() });
const total = z.object({ result: z.number().int() });

async function add({ a, b }) {
  const result = a + b;
  return { content: [{ type: "text", text: String(result) }], structuredContent: { result } };
}

async function announce() {
  handler.notify.toolsChanged();
  return { content: [{ type: "text", text: "announced" }] };
}

function newServer() {
  const server = new McpServer({ name: "benchmark", version: "1.0.0" });
  const count = Number(process.env.BENCHMARK_TOOLS);
  const names = count > 0 ? Array.from({ length: count }, (_, index) => `add_${index}`) : ["add"];
  for (const name of names) {
    server.registerTool(name, { description: "Add two numbers.", inputSchema: numbers, outputSchema: total }, add);
  }
  if (count === 0) {
    server.registerTool("announce", { description: "Tell every listener that the tools have changed." }, announce);
  }
  return server;
}

const handler = createMcpHandler(newServer, { responseMode: "json", maxSubscriptions: 20_000, keepAliveMs: 0 });
const node = toNodeHandler(handler);
const app = createMcpExpressApp();

app.post("/mcp", requireBearerAuth({ verifier, requiredScopes: ["tools"] }), (request, response) =>
  node(request, response, request.body),
);

app.listen(Number(process.argv[2]), "127.0.0.1");
