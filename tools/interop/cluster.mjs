// An official TypeScript client at a cluster of servers, which calls tools without a pause and asks again where something
// broke; tests/cluster reads what it did.
//
//     node cluster.mjs v1|v2-modern URL TOKEN
//
// It prints {"begins"}, {"done"} or {"failed"} as one line of JSON for each call, and ends with its standard input.

import { randomUUID } from "node:crypto";

const [which, url, token] = process.argv.slice(2);
const first = which === "v1";
const { Client } = await import(first ? "@modelcontextprotocol/sdk/client/index.js" : "@modelcontextprotocol/client");
const { StreamableHTTPClientTransport } = first
  ? await import("@modelcontextprotocol/sdk/client/streamableHttp.js")
  : await import("@modelcontextprotocol/client");
const elicit = first ? (await import("@modelcontextprotocol/sdk/types.js")).ElicitRequestSchema : "elicitation/create";

let over = false;
process.stdin.on("end", () => (over = true)).resume();
const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");

async function connected() {
  const options = { capabilities: { elicitation: {} } };
  if (!first) options.versionNegotiation = { mode: { pin: "2026-07-28" } };
  const client = new Client({ name: "cluster", version: "1" }, options);
  client.setRequestHandler(elicit, async () => ({ action: "accept", content: { colour: "red" } }));
  client.onerror = () => {}; // a stream that broke; calls say for themselves
  const headers = { Authorization: `Bearer ${token}` };
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  return client;
}

while (!over) {
  let client;
  try {
    say({ begins: "" });
    client = await connected();
    while (!over) {
      for (const name of ["count", "count", "steps", "choose"]) {
        const run = randomUUID();
        say({ begins: run });
        const options = { timeout: 30_000, onprogress: () => {} };
        const params = { name, arguments: { run } };
        const result = await (first ? client.callTool(params, undefined, options) : client.callTool(params, options));
        if (result.isError) throw new Error(JSON.stringify(result));
        say({ done: run });
      }
    }
  } catch (error) {
    say({ failed: String(error) });
    await new Promise((resolve) => setTimeout(resolve, 50)); // as a client does before it asks again
  }
  await client?.close().catch(() => {});
}
process.exit(0);
