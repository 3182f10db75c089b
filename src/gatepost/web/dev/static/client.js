// An MCP client for one endpoint, in either era, that keeps every HTTP exchange for people to read.
// 2026-07-28 basic/transports/streamable-http; 2025-11-25 basic/transports and basic/lifecycle.

export const MODERN = "2026-07-28";
export const HANDSHAKE = "2025-11-25";
const CLIENT_INFO = { name: "gatepost-dev", version: "1" };
const CAPABILITIES = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };
const NAMED_BY = { "tools/call": "name", "prompts/get": "name", "resources/read": "uri" };
const MOST_ROUNDS = 20;

// What the server says instead of a result: a JSON-RPC error, or an HTTP error without one.
export class Refused extends Error {
  constructor(message, details) {
    super(message);
    Object.assign(this, details);
  }
}

export class Client {
  // `token` returns a promise of the access token, "" where none is needed.
  constructor({ url, era, token }) {
    Object.assign(this, { url, era, token, session: "", beginning: null, capabilities: null, number: 0 });
  }

  // Send a request and return its result. `watch` may have onExchange(exchange), onNotification(message) and
  // onRequest({method, params}), which returns a promise of the result of a server's request; `signal` cancels.
  async request(method, params, watch = {}, schema = null) {
    if (this.era !== MODERN) {
      await this.#begin(watch);
      return await this.#send(method, params, watch, schema);
    }
    let given = {};
    for (let round = 0; round < MOST_ROUNDS; round += 1) {
      const result = await this.#send(method, { ...params, ...given }, watch, schema);
      if (result.resultType !== "input_required") return result;
      const answers = {};
      for (const [key, asked] of Object.entries(result.inputRequests ?? {})) {
        answers[key] = await watch.onRequest(asked);
      }
      given = { inputResponses: answers };
      if (result.requestState !== undefined) given.requestState = result.requestState;
    }
    throw new Refused(`The server asked more than ${MOST_ROUNDS} times in one call.`, {});
  }

  // Return all pages of a list; an empty one where the server has no such method.
  async list(method, member, watch = {}) {
    const found = [];
    let cursor;
    do {
      let page;
      try {
        page = await this.request(method, cursor === undefined ? {} : { cursor }, watch);
      } catch (error) {
        if (error.code === -32601) return found;
        throw error;
      }
      found.push(...(page[member] ?? []));
      cursor = page.nextCursor;
    } while (cursor !== undefined && cursor !== null);
    return found;
  }

  // Return which features the server says it has; null where it does not say.
  async features() {
    try {
      if (this.era === MODERN) return (await this.request("server/discover", {})).capabilities ?? null;
      await this.#begin({});
      return this.capabilities;
    } catch (error) {
      if (error.code === -32601) return null;
      throw error;
    }
  }

  // Begin the session, or wait until it has begun: whoever asks meanwhile would have a call without a session.
  async #begin(watch) {
    const beginning = (this.beginning ??= this.#initialize({ ...watch, signal: undefined }));
    try {
      await beginning;
    } catch (error) {
      if (this.beginning === beginning) this.beginning = null;
      throw error;
    }
  }

  async #initialize(watch) {
    this.session = "";
    const params = { protocolVersion: HANDSHAKE, capabilities: CAPABILITIES, clientInfo: CLIENT_INFO };
    const answer = await this.#send("initialize", params, { ...watch, onHeaders: (headers) => {
      this.session = headers["mcp-session-id"] ?? "";
    } });
    await this.#post({ jsonrpc: "2.0", method: "notifications/initialized" }, watch);
    this.capabilities = answer.capabilities ?? null;
    if (answer.capabilities?.logging) await this.#send("logging/setLevel", { level: "debug" }, watch);
  }

  async #send(method, params, watch, schema) {
    this.number += 1;
    const id = this.number;
    const message = { jsonrpc: "2.0", id, method, params: this.#withMeta(method, params, id) };
    const onAbort = () => {
      if (this.era === MODERN) return; // closing the response cancels
      this.#post({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: id } }, watch).catch(() => {});
    };
    watch.signal?.addEventListener("abort", onAbort);
    try {
      const { session } = this;
      let response = await this.#post(message, watch, schema);
      if (response.status === 404 && session) {
        // The session is over: a new one, once (basic/transports, "Session Management"), unless another call has it.
        if (this.session === session) this.beginning = null;
        await this.#begin(watch);
        response = await this.#post(message, watch, schema);
      }
      if (response.final === undefined) {
        throw new Refused(described(response), { status: response.status, challenge: response.headers["www-authenticate"] });
      }
      if (response.final.error) {
        const { code, message: text, data } = response.final.error;
        throw new Refused(text, { code, data, status: response.status, challenge: response.headers["www-authenticate"] });
      }
      watch.onHeaders?.(response.headers);
      return response.final.result;
    } finally {
      watch.signal?.removeEventListener("abort", onAbort);
    }
  }

  #withMeta(method, params, id) {
    const isWatched = method in NAMED_BY;
    const meta = { ...(params._meta ?? {}), ...(isWatched ? { progressToken: id } : {}) };
    if (this.era === MODERN) {
      meta["io.modelcontextprotocol/protocolVersion"] = MODERN;
      meta["io.modelcontextprotocol/clientInfo"] = CLIENT_INFO;
      meta["io.modelcontextprotocol/clientCapabilities"] = CAPABILITIES;
      if (isWatched) meta["io.modelcontextprotocol/logLevel"] = "debug";
    }
    return Object.keys(meta).length ? { ...params, _meta: meta } : params;
  }

  async #headers(message, schema) {
    const headers = { "Content-Type": "application/json", Accept: "application/json, text/event-stream" };
    const token = await this.token();
    if (token) headers.Authorization = `Bearer ${token}`;
    if (this.era === MODERN) {
      headers["MCP-Protocol-Version"] = MODERN;
      headers["Mcp-Method"] = message.method;
      const name = message.params?.[NAMED_BY[message.method]];
      if (name !== undefined) headers["Mcp-Name"] = headerValue(name);
      if (message.method === "tools/call") mirror(schema, message.params.arguments ?? {}, headers);
    } else if (message.method !== "initialize") {
      headers["MCP-Protocol-Version"] = HANDSHAKE;
      if (this.session) headers["Mcp-Session-Id"] = this.session;
    }
    return headers;
  }

  async #post(message, watch, schema = null) {
    const headers = await this.#headers(message, schema);
    const exchange = { url: this.url, headers, body: message, status: null, answerHeaders: {}, answers: [] };
    watch.onExchange?.(exchange);
    // Where a cancellation ends the response, what cancels has to get through all the same.
    const signal = message.method?.startsWith("notifications/") ? undefined : watch.signal;
    const response = await fetch(this.url, {
      method: "POST", headers, body: JSON.stringify(message), signal, credentials: "omit", cache: "no-store",
    });
    exchange.status = response.status;
    exchange.answerHeaders = Object.fromEntries(response.headers);
    let final;
    const take = (received) => {
      exchange.answers.push(received);
      watch.onExchange?.(exchange);
      if (received.id === message.id && !("method" in received)) final = received;
      else if ("method" in received && "id" in received) this.#answer(received, watch);
      else if ("method" in received) watch.onNotification?.(received);
    };
    if (response.headers.get("content-type")?.startsWith("text/event-stream")) {
      for await (const data of events(response.body)) take(JSON.parse(data));
    } else {
      const text = await response.text();
      const parsed = text && response.headers.get("content-type")?.startsWith("application/json") ? JSON.parse(text) : null;
      if (parsed?.jsonrpc) take(parsed);
      else if (text) exchange.answers.push(parsed ?? text);
      // An error may have no id (basic, "Responses").
      if (final === undefined && parsed?.error?.code !== undefined) final = parsed;
    }
    watch.onExchange?.(exchange);
    return { status: response.status, headers: exchange.answerHeaders, final, answers: exchange.answers };
  }

  // Answer a request that the server has sent within a response (handshake era).
  async #answer({ id, method, params }, watch) {
    let reply;
    try {
      reply = { result: method === "ping" ? {} : await watch.onRequest({ method, params }) };
    } catch (error) {
      reply = { error: { code: error.code ?? -32601, message: error.message } };
    }
    await this.#post({ jsonrpc: "2.0", id, ...reply }, { ...watch, signal: undefined }).catch(() => {});
  }
}

// Yield the data of each event of a stream (HTML Standard, "Server-sent events").
async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    rest += value ?? "";
    const blocks = rest.split(/\r\n\r\n|\n\n|\r\r/);
    rest = blocks.pop();
    for (const block of blocks) {
      const data = block.split(/\r\n|\n|\r/).filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).replace(/^ /, "")).join("\n");
      if (data) yield data;
    }
    if (done) return;
  }
}

// Return how a text stands in a header: as it is if headers can hold it, else in Base64 ("Value Encoding").
function headerValue(text) {
  const isPlain = /^[\t\x20-\x7e]*$/.test(text) && text === text.trim() && !/^=\?base64\?.*\?=$/.test(text);
  if (isPlain) return text;
  return `=?base64?${btoa(String.fromCodePoint(...new TextEncoder().encode(text)))}?=`;
}

// Add the headers that mirror arguments ("Custom Headers from Tool Parameters").
function mirror(schema, values, headers) {
  for (const [name, part] of Object.entries(schema?.properties ?? {})) {
    const value = values?.[name];
    if (value === undefined || value === null) continue;
    const header = part?.["x-mcp-header"];
    if (header && typeof value !== "object") headers[`Mcp-Param-${header}`] = headerValue(String(value));
    else if (typeof value === "object" && !Array.isArray(value)) mirror(part, value, headers);
  }
}

function described({ status, answers }) {
  const said = answers.find((answer) => answer?.error_description)?.error_description;
  if (said) return `HTTP ${status}: ${said}`;
  return status < 300 ? "The answer ended without a result: the server may have been replaced. Call again." : `HTTP ${status}`;
}
