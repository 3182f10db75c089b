// Calls tools of a running server with given arguments, by an official TypeScript client; test_sent_arguments.py reads
// what came of them.
//
//     node calls.mjs v1|v2 URL < a JSON list of [tool, arguments]
//
// It prints a JSON list: for each call its text, or null if it was refused.

const [which, url] = process.argv.slice(2);
const calls = JSON.parse(await new Response(process.stdin).text());

const { Client } = await import(which === "v1" ? "@modelcontextprotocol/sdk/client/index.js" : "@modelcontextprotocol/client");
const { StreamableHTTPClientTransport } =
  which === "v1" ? await import("@modelcontextprotocol/sdk/client/streamableHttp.js") : await import("@modelcontextprotocol/client");

const client = new Client({ name: "calls", version: "1" }, { versionNegotiation: { mode: "auto" } });
await client.connect(new StreamableHTTPClientTransport(new URL(url)));
const results = [];
for (const [name, given] of calls) {
  const result = await client.callTool({ name, arguments: given });
  results.push(result.isError ? null : result.content[0].text);
}
await client.close();
process.stdout.write(JSON.stringify(results));
