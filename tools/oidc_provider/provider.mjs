// An OpenID provider on a loopback port with new keys at each start:
//   node provider.mjs PORT CLIENT_ID CLIENT_SECRET REDIRECT_URI
// Whoever types a name at its own login page is that person.

import { generateKeyPairSync } from "node:crypto";
import Provider from "oidc-provider";

const [port, client_id, client_secret, redirect_uri] = process.argv.slice(2);
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{ client_id, client_secret, redirect_uris: [redirect_uri] }],
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256" }] },
  cookies: { keys: ["of a test"] },
  claims: { openid: ["sub"], profile: ["name"], email: ["email", "email_verified"] },
  pkce: { required: () => true },
  findAccount: (_context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, name: `${id} from elsewhere`, email: `${id}@example.com`, email_verified: true }),
  }),
});

provider.listen(Number(port), "127.0.0.1", () => console.log("listening"));
