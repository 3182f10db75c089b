// The official TypeScript clients of MCP getting in by OAuth; test_typescript_oauth.py plays their user.
//
//     node oauth.mjs v1|v2-legacy|v2-modern URL-of-the-server [URL-of-the-client's-document]
//
// It prints the authorization URL and reads from standard input where the browser was sent. Then it calls, loses
// its access token for one that the server refuses, calls again, and prints what it saw as one JSON object.

import { createInterface } from "node:readline/promises";

const [which, url, documentUrl] = process.argv.slice(2);
const REDIRECT_URI = "http://127.0.0.1:3030/callback";
const first = which === "v1";
const { Client } = await import(first ? "@modelcontextprotocol/sdk/client/index.js" : "@modelcontextprotocol/client");
const { StreamableHTTPClientTransport: Transport, UnauthorizedError } = first
  ? {
      ...(await import("@modelcontextprotocol/sdk/client/streamableHttp.js")),
      ...(await import("@modelcontextprotocol/sdk/client/auth.js")),
    }
  : await import("@modelcontextprotocol/client");

const kept = { visits: 0, grants: [] };
const provider = {
  redirectUrl: REDIRECT_URI,
  clientMetadataUrl: documentUrl,
  clientMetadata: {
    client_name: "TypeScript client",
    redirect_uris: [REDIRECT_URI],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
  },
  state: () => (kept.state = crypto.randomUUID()),
  clientInformation: () => kept.client,
  saveClientInformation: (client) => (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => (kept.tokens = tokens),
  saveCodeVerifier: (verifier) => (kept.verifier = verifier),
  codeVerifier: () => kept.verifier,
  saveDiscoveryState: (state) => (kept.discovery = state),
  discoveryState: () => kept.discovery,
  redirectToAuthorization: (target) => {
    kept.visits += 1;
    console.log(String(target));
  },
};

async function watchingFetch(target, init) {
  const grant = new URLSearchParams(String(init?.body ?? "")).get("grant_type");
  if (grant) kept.grants.push(grant);
  return fetch(target, init);
}

const opened = () => new Transport(new URL(url), { authProvider: provider, fetch: watchingFetch });
const options = which === "v2-modern" ? { versionNegotiation: { mode: { pin: "2026-07-28" } } } : {};
const client = () => new Client({ name: "interop", version: "1" }, options);

const refused = opened();
try {
  await client().connect(refused);
  throw new Error("it was let in without a token");
} catch (error) {
  if (!(error instanceof UnauthorizedError)) throw error;
}
const { value: line } = await createInterface({ input: process.stdin })[Symbol.asyncIterator]().next();
const answer = new URL(line).searchParams;
if (answer.get("state") !== kept.state) throw new Error("another state");
await (first ? refused.finishAuth(answer.get("code")) : refused.finishAuth(answer));

const patient = { timeout: 180_000 }; // milliseconds; a busy machine may need more than a minute
const connected = client();
await connected.connect(opened(), patient);
const add = async (text) => {
  const params = { name: "add", arguments: { text } };
  const result = await (first ? connected.callTool(params, undefined, patient) : connected.callTool(params, patient));
  return result.isError ?? false;
};
const failed = [await add("before")];
kept.tokens = { ...kept.tokens, access_token: "gp_at_gone" }; // the server answers 401, as after its end
failed.push(await add("after"));
const revision = first ? connected.transport.protocolVersion : connected.getNegotiatedProtocolVersion();
await connected.close();
const { visits, grants } = kept;
console.log(JSON.stringify({ revision, failed, visits, grants, client_id: kept.client.client_id }));
process.exit(0);
