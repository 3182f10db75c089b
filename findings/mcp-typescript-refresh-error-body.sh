#!/usr/bin/env bash
# Package:  @modelcontextprotocol/sdk and @modelcontextprotocol/client (npm), the official TypeScript SDK
# Version:  1.32.2 and 2.4.0
# Seen:     2026-11-30
# Guess:    the status decides what a refused refresh means: after a 503 with Retry-After the client waits, or the
#           call fails and the next one refreshes.
# Happens:  the status and Retry-After are not looked at, but the JSON body is. With {"error":
#           "temporarily_unavailable"} the call fails and the browser stays shut. With {"error": "server_error"}, as
#           with a proxy's page or an empty body, a new authorization begins at once, though the refresh token is
#           good.
# Matters:  a proxy in front whose authorization server is away sends all users to the login. An authorization
#           server that answers for itself spares them that by a code that RFC 6749 defines for another endpoint
#           (4.1.2.1, not 5.2).
set -u
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 2
cat >package.json <<'PACKAGE'
{"private": true, "dependencies": {"@modelcontextprotocol/sdk": "1.32.2", "@modelcontextprotocol/client": "2.4.0"}}
PACKAGE
timeout 300 npm install --ignore-scripts --no-audit --no-fund --loglevel=error || exit 2
cat >hashes.mjs <<'HASHES'
import { readFileSync } from "node:fs";
const { packages } = JSON.parse(readFileSync("node_modules/.package-lock.json"));
const expected = {
  sdk: "sha512-SWsVtH/0vULSQStoZ6xxH2K09Li8fXYTMC64ZeogCdpZ3XSi1eCPOByV1OpuJxuI3OcmHhosDWYyii07tpPsLw==",
  client: "sha512-LgrD2OphHuG12vfKFKz6SOnq7bKHQmhGJIAYdD+MZBn2npHEyry6uD8zvktodtl5CQM85MO0anUyD9JwmUmxww==",
};
const installed = (name) => packages[`node_modules/@modelcontextprotocol/${name}`].integrity;
process.exit(Object.keys(expected).every((name) => installed(name) === expected[name]) ? 0 : 1);
HASHES
node hashes.mjs || exit 2

cat >probe.mjs <<'PROBE'
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const MAJORS = { sdk: "@modelcontextprotocol/sdk/client/auth.js", client: "@modelcontextprotocol/client" };
const FAILS = "the call fails";
const LOGIN = "the browser opens the authorization endpoint";
const ANSWERS = [
  ["application/json", '{"error": "temporarily_unavailable"}', FAILS],
  ["application/json", '{"error": "server_error"}', LOGIN],
  ["text/html", "<h1>Service Unavailable</h1>", LOGIN],
  ["text/plain", "", LOGIN],
];

// An authorization server whose metadata is there and whose token endpoint is away.
function stub(type, body, refreshes) {
  return createServer((request, response) => {
    const base = `http://${request.headers.host}`;
    const answer = (status, fields, text) => response.writeHead(status, fields).end(text);
    const json = (content) => answer(200, { "Content-Type": "application/json" }, JSON.stringify(content));
    if (request.url.startsWith("/.well-known/oauth-protected-resource"))
      return json({ resource: `${base}/mcp`, authorization_servers: [base] });
    if (request.url === "/.well-known/oauth-authorization-server")
      return json({
        issuer: base,
        authorization_endpoint: `${base}/authorize`,
        token_endpoint: `${base}/token`,
        response_types_supported: ["code"],
        code_challenge_methods_supported: ["S256"],
      });
    if (request.url !== "/token") return answer(404, {}, "");
    let form = "";
    request.on("data", (part) => (form += part));
    request.on("end", () => {
      refreshes.push(new URLSearchParams(form).get("refresh_token"));
      answer(503, { "Content-Type": type, "Retry-After": "1" }, body);
    });
  });
}

async function refreshed(auth, type, body) {
  const refreshes = [];
  const server = stub(type, body, refreshes);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const redirectUri = "http://127.0.0.1:9/callback";
  let seen = FAILS;
  const provider = {
    redirectUrl: redirectUri,
    clientMetadata: { redirect_uris: [redirectUri] },
    clientInformation: () => ({ client_id: "client", issuer }),
    tokens: () => ({ access_token: "ended", token_type: "Bearer", refresh_token: "refresh", issuer }),
    saveTokens: () => {},
    saveCodeVerifier: () => {},
    codeVerifier: () => "",
    redirectToAuthorization: () => (seen = LOGIN),
  };
  // What the transport calls after a 401.
  const outcome = await auth(provider, { serverUrl: `${issuer}/mcp` }).catch(() => FAILS);
  server.closeAllConnections();
  server.close();
  return refreshes.join() === "refresh" && (seen === LOGIN || outcome === FAILS) ? seen : `otherwise: ${outcome}`;
}

console.warn = () => {};
let same = true;
for (const [name, module] of Object.entries(MAJORS)) {
  const { auth } = await import(module);
  const { version } = JSON.parse(readFileSync(`node_modules/@modelcontextprotocol/${name}/package.json`));
  for (const [type, body, expected] of ANSWERS) {
    const seen = await refreshed(auth, type, body);
    console.log(`@modelcontextprotocol/${name} ${version}: 503, ${type} ${body || "(empty)"}: ${seen}`);
    same &&= seen === expected;
  }
}
process.exit(same ? 0 : 1);
PROBE
timeout 60 node probe.mjs && exit 0 || exit 1
