// oauth4webapi, which refuses what the specifications do not allow, against a running server; test_oauth4webapi.py plays
// its user, or the operator that adds it.
//
//     node strict.mjs user METHOD URL-of-the-resource       registers, logs in, refreshes
//     node strict.mjs machine METHOD URL-of-the-resource    gets a token for itself
//
// METHOD is how it authenticates: client_secret_basic or private_key_jwt. It prints the authorization URL (a machine: its
// public keys), reads from standard input where the browser was sent (a machine: who it is), and prints what it saw.

import { createInterface } from "node:readline/promises";
import * as oauth from "oauth4webapi";

const [who, method, resource] = process.argv.slice(2);
const plain = { [oauth.allowInsecureRequests]: true }; // the server is on loopback
const redirectUri = "http://127.0.0.1:3030/callback";

// RFC 9728: the resource says who its authorization server is.
const found = await oauth.resourceDiscoveryRequest(new URL(resource), plain);
const described = await oauth.processResourceDiscoveryResponse(new URL(resource), found);
const issuer = new URL(described.authorization_servers[0]);
const discovered = await oauth.discoveryRequest(issuer, { ...plain, algorithm: "oauth2" });
const server = await oauth.processDiscoveryResponse(issuer, discovered);

const hasKey = method === "private_key_jwt";
const pair = await oauth.generateKeyPair("ES256", { extractable: true });
const jwks = { keys: [{ ...(await crypto.subtle.exportKey("jwk", pair.publicKey)), kid: "one", alg: "ES256" }] };
const proofOf = ({ client_secret: secret }) =>
  hasKey ? oauth.PrivateKeyJwt({ key: pair.privateKey, kid: "one" }) : oauth.ClientSecretBasic(secret);

async function toldAfter(question) {
  console.log(question);
  return (await createInterface({ input: process.stdin })[Symbol.asyncIterator]().next()).value;
}

async function user() {
  const challenge = await oauth
    .protectedResourceRequest("gp_at_unknown", "POST", new URL(resource), undefined, undefined, plain)
    .then(() => null)
    .catch((error) => error.cause[0]);
  const asked = { client_name: "Strict", redirect_uris: [redirectUri], token_endpoint_auth_method: method };
  const metadata = hasKey ? { ...asked, jwks } : asked;
  const registered = await oauth.dynamicClientRegistrationRequest(server, metadata, plain);
  const client = await oauth.processDynamicClientRegistrationResponse(registered);
  const proof = proofOf(client);

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
  const sent = new URL(await toldAfter(String(target)));

  // Validates `state` and `iss` (RFC 9207).
  const answer = oauth.validateAuthResponse(server, client, sent, state);
  const redeemed = await oauth.authorizationCodeGrantRequest(server, client, proof, answer, redirectUri, verifier, plain);
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, redeemed);
  const renewed = await oauth.refreshTokenGrantRequest(server, client, proof, tokens.refresh_token, plain);
  const fresh = await oauth.processRefreshTokenResponse(server, client, renewed);
  return {
    iss: [server.authorization_response_iss_parameter_supported, sent.searchParams.get("iss")],
    challenge: [challenge.scheme, challenge.parameters.error, challenge.parameters.resource_metadata],
    rotated: fresh.refresh_token !== tokens.refresh_token,
    ...(await used(client, proof, fresh.access_token)),
  };
}

async function machine() {
  const client = JSON.parse(await toldAfter(JSON.stringify(jwks)));
  const proof = proofOf(client);
  const asked = new URLSearchParams({ resource });
  const given = await oauth.clientCredentialsGrantRequest(server, client, proof, asked, plain);
  const tokens = await oauth.processClientCredentialsResponse(server, client, given);
  return {
    scope: tokens.scope,
    refreshes: "refresh_token" in tokens,
    ...(await used(client, proof, tokens.access_token)),
  };
}

// What a token says, and whether it counts before and after its revocation.
async function used(client, proof, token) {
  const request = new Request(resource, { headers: { Authorization: `Bearer ${token}` } });
  const claims = await oauth.validateJwtAccessToken(server, request, resource, plain);
  const introspect = async () => {
    const told = await oauth.introspectionRequest(server, client, proof, token, plain);
    return (await oauth.processIntrospectionResponse(server, client, told)).active;
  };
  const before = await introspect();
  await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, proof, token, plain));
  return {
    resource: described.resource,
    issuers: [...described.authorization_servers, server.issuer, claims.iss],
    audience: claims.aud,
    own: [claims.client_id === client.client_id, claims.sub === client.client_id],
    active: [before, await introspect()],
  };
}

console.log(JSON.stringify(await (who === "machine" ? machine() : user())));
process.exit(0);
