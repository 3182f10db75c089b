// The TypeScript SDK 2 with what it and its packages have of the extensions that the probe asks about.

import { createServer } from "node:http";
import { registerAppResource, registerAppTool } from "@modelcontextprotocol/ext-apps/server";
import { toNodeHandler } from "@modelcontextprotocol/node";
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import { loadSkills } from "@modelcontextprotocol/server/ext/skills/node";

const skills = await loadSkills(process.env.PEER_SKILLS);
const text = (said) => ({ content: [{ type: "text", text: said }] });

function newServer() {
  const server = new McpServer({ name: "peer", version: "1.0.0" });
  server.registerTool("trace", { description: "Say which trace the call belongs to." }, async (context) =>
    text(context?.mcpReq?._meta?.traceparent ?? "none"),
  );
  const meta = { ui: { csp: { connectDomains: ["https://api.example.com"] } } };
  registerAppResource(server, "page", "ui://page", { _meta: meta }, async () => ({
    contents: [{ uri: "ui://page", mimeType: "text/html;profile=mcp-app", text: "<!doctype html><p>page</p>", _meta: meta }],
  }));
  registerAppTool(server, "shown", { _meta: { ui: { resourceUri: "ui://page" } } }, async () => text("shown"));
  registerAppTool(
    server,
    "of_page",
    { _meta: { ui: { resourceUri: "ui://page", visibility: ["app"] } } },
    async () => text("of the page"),
  );
  skills.attach(server);
  return server;
}

const handler = toNodeHandler(createMcpHandler(newServer, { responseMode: "json" }));
createServer((request, response) => handler(request, response)).listen(Number(process.argv[2]), "127.0.0.1");
