// An OpenID provider on a loopback port with new keys at each start:
//   node provider.mjs PORT CLIENT_ID CLIENT_SECRET REDIRECT_URI
// For whoever names a resource (RFC 8707) its access tokens are JWTs for that one (RFC 9068), or opaque if TOKENS=opaque.
// Whoever types a name at its own login page is that person. SIGHUP makes it sign with a new key and withdraw the old
// one; SIGUSR2 makes its token endpoint fail, and the next one mends that. It says on a line what it did.

import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import Provider from "oidc-provider";

const [port, client_id, client_secret, redirect_uri] = process.argv.slice(2);

function provider() {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return new Provider(`http://127.0.0.1:${port}`, {
    clients: [
      {
        client_id,
        client_secret,
        redirect_uris: [redirect_uri],
        grant_types: ["authorization_code", "refresh_token", "client_credentials"],
      },
    ],
    features: {
      revocation: { enabled: true },
      introspection: { enabled: true },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, resource) => ({
          audience: resource,
          scope: "notes:read notes:write",
          accessTokenFormat: process.env.TOKENS ?? "jwt",
          jwt: { sign: { alg: "RS256" } },
        }),
      },
    },
    // Each refresh token is used once; a second use ends the whole grant.
    rotateRefreshToken: true,
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256" }] },
    cookies: { keys: ["of a test"] },
    claims: { openid: ["sub"], profile: ["name"], email: ["email", "email_verified"] },
    pkce: { required: () => true },
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({ sub: id, name: `${id} from elsewhere`, email: `${id}@example.com`, email_verified: true }),
    }),
  }).callback();
}

// Sessions and codes are in the memory of the process, whichever of its providers made them.
let answer = provider();
let fails = false;

process.on("SIGHUP", () => {
  answer = provider();
  console.log("rotated");
});
process.on("SIGUSR2", () => {
  fails = !fails;
  console.log(fails ? "failing" : "mended");
});

createServer((request, response) => {
  if (fails && request.url.startsWith("/token")) {
    response.writeHead(500, { "content-type": "text/plain" }).end("down");
  } else {
    answer(request, response);
  }
}).listen(Number(port), "127.0.0.1", () => console.log("listening"));
