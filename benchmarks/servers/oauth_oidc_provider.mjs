// npm's oidc-provider, filled with codes that wait to be redeemed. In memory, without the bound of 1,000 entries that
// its own memory adapter has. No `openid` scope, so that it signs no ID tokens: the others issue none either.

import Provider from "oidc-provider";

const plan = JSON.parse(process.env.BENCHMARK_CODES);
const port = Number(process.argv[2]);

class Memory {
  static #rows = new Map();
  static #members = new Map();

  constructor(model) {
    this.model = model;
  }

  #key(id) {
    return `${this.model}:${id}`;
  }

  async upsert(id, payload) {
    const key = this.#key(id);
    Memory.#rows.set(key, payload);
    if (payload.grantId !== undefined) {
      const members = Memory.#members.get(payload.grantId) ?? [];
      members.push(key);
      Memory.#members.set(payload.grantId, members);
    }
  }

  async find(id) {
    return Memory.#rows.get(this.#key(id));
  }

  async findByUid() {}

  async findByUserCode() {}

  async consume(id) {
    Memory.#rows.get(this.#key(id)).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    Memory.#rows.delete(this.#key(id));
  }

  async revokeByGrantId(grantId) {
    for (const key of Memory.#members.get(grantId) ?? []) Memory.#rows.delete(key);
    Memory.#members.delete(grantId);
  }
}

const provider = new Provider(`http://127.0.0.1:${port}`, {
  adapter: Memory,
  clients: [
    {
      client_id: plan.client_id,
      token_endpoint_auth_method: "none",
      application_type: "native",
      redirect_uris: [plan.redirect_uri],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
    },
  ],
  cookies: { keys: ["benchmark"] },
  features: { devInteractions: { enabled: false } },
  findAccount: async (_context, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
  issueRefreshToken: async () => true,
  rotateRefreshToken: true,
  scopes: ["tools"],
  ttl: { AccessToken: 3600, AuthorizationCode: 600, Grant: 86_400, RefreshToken: 86_400 },
});

const client = await provider.Client.find(plan.client_id);
for (let index = 0; index < plan.count; index += 1) {
  const accountId = `user_${index % 64}`;
  const grant = new provider.Grant({ accountId, clientId: plan.client_id });
  grant.addOIDCScope("tools");
  const grantId = await grant.save(86_400);
  const code = new provider.AuthorizationCode({
    jti: `code-${String(index).padStart(36, "0")}`,
    accountId,
    client,
    grantId,
    scope: "tools",
    redirectUri: plan.redirect_uri,
    codeChallenge: plan.challenge,
    codeChallengeMethod: "S256",
    gty: "authorization_code",
  });
  await code.save();
}

provider.listen(port, "127.0.0.1");
