// oauth4webapi, which refuses what the specifications do not allow, against a running server; test_oauth4webapi.py plays
// its user.
//
//     node strict.mjs ISSUER URL-of-the-resource
//
// It prints the authorization URL, reads from standard input where the browser was sent, and prints what it saw.

import { createInterface } from "node:readline/promises";
import * as oauth from "oauth4webapi";

const [origin, resource] = process.argv.slice(2);
const issuer = new URL(origin);
const plain = { [oauth.allowInsecureRequests]: true }; // the server is on loopback
const redirectUri = "http://127.0.0.1:3030/callback";

const discovered = await oauth.discoveryRequest(issuer, { ...plain, algorithm: "oauth2" });
const server = await oauth.processDiscoveryResponse(issuer, discovered);

const challenge = await oauth
  .protectedResourceRequest("gp_at_unknown", "POST", new URL(resource), undefined, undefined, plain)
  .then(() => null)
  .catch((error) => error.cause[0]);

const metadata = { client_name: "Strict", redirect_uris: [redirectUri], token_endpoint_auth_method: "client_secret_basic" };
const registered = await oauth.dynamicClientRegistrationRequest(server, metadata, plain);
const client = await oauth.processDynamicClientRegistrationResponse(registered);
const proof = oauth.ClientSecretBasic(client.client_secret);

const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const target = new URL(server.authorization_endpoint);
target.search = new URLSearchParams({
  client_id: client.client_id,
  redirect_uri: redirectUri,
  response_type: "code",
  state,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  resource,
});
console.log(String(target));
const { value: line } = await createInterface({ input: process.stdin })[Symbol.asyncIterator]().next();

// Validates `state` and `iss` (RFC 9207).
const answer = oauth.validateAuthResponse(server, client, new URL(line), state);
const redeemed = await oauth.authorizationCodeGrantRequest(server, client, proof, answer, redirectUri, verifier, plain);
const tokens = await oauth.processAuthorizationCodeResponse(server, client, redeemed);
const renewed = await oauth.refreshTokenGrantRequest(server, client, proof, tokens.refresh_token, plain);
const fresh = await oauth.processRefreshTokenResponse(server, client, renewed);

const request = new Request(resource, { headers: { Authorization: `Bearer ${fresh.access_token}` } });
const claims = await oauth.validateJwtAccessToken(server, request, resource, plain);

const introspect = async () => {
  const told = await oauth.introspectionRequest(server, client, proof, fresh.access_token, plain);
  return (await oauth.processIntrospectionResponse(server, client, told)).active;
};
const before = await introspect();
await oauth.processRevocationResponse(
  await oauth.revocationRequest(server, client, proof, fresh.access_token, plain),
);
console.log(
  JSON.stringify({
    iss: server.authorization_response_iss_parameter_supported,
    challenge: [challenge.scheme, challenge.parameters.error],
    rotated: fresh.refresh_token !== tokens.refresh_token,
    claims: [claims.iss, claims.aud, claims.client_id === client.client_id],
    active: [before, await introspect()],
  }),
);
process.exit(0);
