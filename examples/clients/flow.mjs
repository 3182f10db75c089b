// The whole flow of an MCP client by hand: discovery, registration, login, call, refresh, revocation.
//
//     node examples/clients/flow.mjs http://127.0.0.1:8000/mcp add '{"text": "milk"}'
//
// Needs Node 20 and no package. Whoever writes a client for others takes the official SDK.

import { createHash, randomBytes } from "node:crypto";
import { createServer } from "node:http";

const [endpoint, tool, given = "{}"] = process.argv.slice(2);
if (!tool) stop("node flow.mjs ENDPOINT TOOL [ARGUMENTS]");
const REVISION = "2026-07-28";

function stop(words) {
  console.error(words);
  process.exit(1);
}

async function read(response) {
  const text = await response.text();
  if (!response.ok) stop(`${new URL(response.url).pathname} is answered ${response.status}: ${text}`);
  if (!response.headers.get("content-type").startsWith("text/event-stream")) return JSON.parse(text);
  const events = text.split(/\r?\n/).filter((line) => line.startsWith("data: {")); // a call that took a while
  return JSON.parse(events.at(-1).slice(6));
}

// One MCP request, which stands for itself: no session, no handshake.
function ask(token, method, params) {
  const headers = {
    "Content-Type": "application/json",
    Accept: "application/json, text/event-stream",
    "MCP-Protocol-Version": REVISION,
    "Mcp-Method": method,
  };
  if (params.name) headers["Mcp-Name"] = params.name;
  if (token) headers.Authorization = `Bearer ${token}`;
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": REVISION,
    "io.modelcontextprotocol/clientInfo": { name: "flow.mjs", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { ...params, _meta } });
  return fetch(endpoint, { method: "POST", headers, body });
}

function post(url, form) {
  return fetch(url, { method: "POST", body: new URLSearchParams(form) });
}

// 1. Discovery: the challenge names the metadata of the endpoint, which names its authorization server (RFC 9728, RFC 8414).
const refused = await ask(null, "tools/list", {});
const [, metadataUrl] = refused.headers.get("www-authenticate").match(/resource_metadata="([^"]*)"/);
const resource = await read(await fetch(metadataUrl));
if (resource.resource !== endpoint) stop(`The metadata is of ${resource.resource}, not of ${endpoint}.`);
const issuer = new URL(resource.authorization_servers[0]);
const path = issuer.pathname.replace(/\/$/, "");
const server = await read(await fetch(`${issuer.origin}/.well-known/oauth-authorization-server${path}`));
if (server.issuer !== resource.authorization_servers[0]) stop(`The metadata is of ${server.issuer}.`);
console.log(`discovery: ${server.issuer}`);

// 2. Listen on this machine for the one request with which the browser comes back (RFC 8252 section 7.3).
let comeBack;
const back = new Promise((resolve) => (comeBack = resolve));
const callback = createServer((request, response) => {
  const url = new URL(request.url, "http://127.0.0.1");
  response.writeHead(url.pathname === "/callback" ? 200 : 404, { "Content-Type": "text/plain", Connection: "close" });
  response.end("Go back to the terminal.\n");
  if (url.pathname === "/callback") comeBack(Object.fromEntries(url.searchParams));
});
await new Promise((resolve) => callback.listen(0, "127.0.0.1", resolve));
const redirectUri = `http://127.0.0.1:${callback.address().port}/callback`;

// 3. Registration (RFC 7591).
const registered = await fetch(server.registration_endpoint, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({
    client_name: "flow.mjs",
    redirect_uris: [redirectUri],
    grant_types: ["authorization_code", "refresh_token"],
    token_endpoint_auth_method: "none",
  }),
});
const clientId = (await read(registered)).client_id;
console.log(`registration: ${clientId}`);

// 4. A person logs in and approves (RFC 6749 section 4.1, RFC 7636, RFC 8707, RFC 9207).
const verifier = randomBytes(36).toString("base64url");
const state = randomBytes(12).toString("base64url");
const query = new URLSearchParams({
  response_type: "code",
  client_id: clientId,
  redirect_uri: redirectUri,
  scope: resource.scopes_supported.join(" "),
  state,
  code_challenge: createHash("sha256").update(verifier).digest("base64url"),
  code_challenge_method: "S256",
  resource: endpoint,
});
console.log(`Open this in a browser:\n${server.authorization_endpoint}?${query}`);
const answer = await back;
callback.close();
if (answer.state !== state || answer.iss !== server.issuer) stop("The answer is not one to this request.");
if (!answer.code) stop(`Refused: ${answer.error}.`);

// 5. The code becomes tokens.
let tokens = await read(
  await post(server.token_endpoint, {
    grant_type: "authorization_code",
    code: answer.code,
    redirect_uri: redirectUri,
    code_verifier: verifier,
    client_id: clientId,
    resource: endpoint,
  }),
);
console.log(`tokens: ${tokens.scope}, for ${tokens.expires_in} seconds`);

// 6. A call.
const said = await read(await ask(tokens.access_token, "tools/call", { name: tool, arguments: JSON.parse(given) }));
if (said.error) stop(said.error.message);
console.log(`call: ${said.result.content.map((part) => part.text ?? part.type).join(" ")}`);

// 7. Refresh (RFC 6749 section 6) and revocation (RFC 7009).
tokens = await read(
  await post(server.token_endpoint, {
    grant_type: "refresh_token",
    refresh_token: tokens.refresh_token,
    client_id: clientId,
    resource: endpoint,
  }),
);
console.log("refresh: another access token, and another refresh token");
await post(server.revocation_endpoint, { token: tokens.refresh_token, client_id: clientId });
const gone = await ask(tokens.access_token, "tools/list", {});
console.log(`revocation: a call is answered ${gone.status} now`);
