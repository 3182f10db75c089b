// The official TypeScript clients of MCP against two running servers; test_typescript_clients.py reads what they saw.
//
//     node client.mjs v1|v2-legacy|v2-modern|v2-auto URL-of-everything URL-of-interop
//
// It prints what it saw as one JSON object; the test says what that has to be. Whoever runs it limits its time.

const [which, everything, interop] = process.argv.slice(2);
const modern = ["v2-modern", "v2-auto"].includes(which);
const CAPABILITIES = { elicitation: {}, sampling: {}, roots: {} };

// The two majors differ in where things are and in how a handler or a call is written.
const sdk = which === "v1" ? await firstMajor() : await secondMajor();

async function firstMajor() {
  const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
  const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
  const types = await import("@modelcontextprotocol/sdk/types.js");
  return {
    Transport: StreamableHTTPClientTransport,
    client: () => new Client({ name: "interop", version: "1" }, { capabilities: CAPABILITIES }),
    answer: (client, name, handler) => client.setRequestHandler(types[`${name}RequestSchema`], handler),
    hear: (client, name, handler) => client.setNotificationHandler(types[`${name}NotificationSchema`], handler),
    call: (client, params, options) => client.callTool(params, undefined, options),
    revision: (client) => client.transport.protocolVersion,
  };
}

async function secondMajor() {
  const { Client, StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
  const modes = { "v2-legacy": "legacy", "v2-modern": { pin: "2026-07-28" }, "v2-auto": "auto" };
  const versionNegotiation = { mode: modes[which] };
  const methods = {
    Elicit: "elicitation/create",
    CreateMessage: "sampling/createMessage",
    ListRoots: "roots/list",
    ResourceUpdated: "notifications/resources/updated",
    ToolListChanged: "notifications/tools/list_changed",
    LoggingMessage: "notifications/message",
  };
  return {
    Transport: StreamableHTTPClientTransport,
    client: () =>
      new Client({ name: "interop", version: "1" }, { capabilities: CAPABILITIES, versionNegotiation }),
    answer: (client, name, handler) => client.setRequestHandler(methods[name], handler),
    hear: (client, name, handler) => client.setNotificationHandler(methods[name], handler),
    call: (client, params, options) => client.callTool(params, options),
    revision: (client) => client.getNegotiatedProtocolVersion(),
  };
}

const asked = [];

async function connected(url, work, fetch) {
  const client = sdk.client();
  sdk.answer(client, "Elicit", async (request) => {
    asked.push(request.params.message);
    return { action: "accept", content: { username: "ada", email: "ada@example.org" } };
  });
  sdk.answer(client, "CreateMessage", async (request) => {
    asked.push([request.params.messages].flat()[0].content.text);
    return { role: "assistant", model: "none", content: { type: "text", text: "an answer" } };
  });
  sdk.answer(client, "ListRoots", async () => ({ roots: [{ uri: "file:///projects/ada" }] }));
  await client.connect(new sdk.Transport(new URL(url), fetch ? { fetch } : {}));
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

const textOf = (result) => result.content[0].text;
const call = async (client, name, args = {}, options = {}) =>
  textOf(await sdk.call(client, { name, arguments: args }, { timeout: 180_000, ...options })); // a busy machine may need it

// Listing, calling, being asked, resources and prompts.
async function basics(client) {
  return {
    revision: sdk.revision(client),
    lists: (await client.listTools()).tools.some((tool) => tool.name === "test_simple_text"),
    text: await call(client, "test_simple_text"),
    failed: (await sdk.call(client, { name: "test_error_handling", arguments: {} }, {})).isError,
    elicited: await call(client, "test_elicitation", { message: "Who are you?" }),
    sampled: await call(client, "test_sampling", { prompt: "What now?" }),
    roots: await call(client, "test_input_required_result_list_roots"),
    resource: (await client.readResource({ uri: "test://static-text" })).contents[0].text,
    prompt: (await client.getPrompt({ name: "test_simple_prompt" })).messages[0].content.text,
    asked,
  };
}

async function streamed(client) {
  const told = [];
  const onprogress = ({ progress, total, message }) => told.push([progress, total, message]);
  return { text: await call(client, "steps", { count: 3 }, { onprogress }), told };
}

// A session says once from which level on it wants to hear; in the modern era every call says so.
async function logged(client) {
  const heard = [];
  sdk.hear(client, "LoggingMessage", ({ params }) => heard.push([params.level, params.data]));
  for (const level of ["info", "error"]) {
    if (!modern) await client.setLoggingLevel(level);
    const _meta = modern ? { "io.modelcontextprotocol/logLevel": level } : {};
    await sdk.call(client, { name: "steps", arguments: { count: 2 }, _meta }, {});
  }
  return heard;
}

async function subscribed(client) {
  const heard = [];
  let wake = () => {};
  const note = (what) => {
    heard.push(what);
    wake();
  };
  const until = async (count) => {
    while (heard.length < count) await new Promise((resolve) => (wake = resolve));
  };
  sdk.hear(client, "ResourceUpdated", (notification) => note(notification.params.uri));
  sdk.hear(client, "ToolListChanged", () => note("tools"));
  const uri = "watched://one";
  const subscription = modern
    ? await client.listen({ toolsListChanged: true, resourceSubscriptions: [uri] })
    : await client.subscribeResource({ uri });
  await call(client, "touch");
  await until(1);
  await call(client, "grow", { name: `grown_${which.replace("-", "_")}` });
  await until(2);
  await (modern ? subscription.close() : client.unsubscribeResource({ uri }));
  return heard;
}

async function cancelled(client) {
  const stop = new AbortController();
  let outcome = "answered";
  try {
    await call(client, "hold", { name: which }, { signal: stop.signal, onprogress: () => stop.abort("enough") });
  } catch {
    outcome = "given up";
  }
  return [outcome, await call(client, "was_cancelled", { name: which })];
}

// A network that breaks the answer to a call off after its first report of progress.
function cuttingFetch(resumed) {
  let cut = false;
  return async (url, init) => {
    const last = new Headers(init?.headers).get("last-event-id");
    if (last) resumed.push(last);
    const response = await fetch(url, init);
    if (cut || !String(init?.body ?? "").includes('"tools/call"')) return response;
    cut = true;
    let seen = "";
    const breaking = new TransformStream({
      transform(chunk, controller) {
        seen += new TextDecoder().decode(chunk);
        const at = seen.indexOf('"notifications/progress"');
        const end = at < 0 ? -1 : seen.indexOf("\n\n", at);
        if (end < 0) return;
        controller.enqueue(new TextEncoder().encode(seen.slice(0, end + 2)));
        controller.terminate();
      },
    });
    return new Response(response.body.pipeThrough(breaking), { status: response.status, headers: response.headers });
  };
}

async function resumes() {
  const resumed = [];
  const seen = await connected(interop, streamed, cuttingFetch(resumed));
  return { ...seen, resumptions: resumed.length };
}

const seen = {
  basics: await connected(everything, basics),
  streamed: await connected(interop, streamed),
  logged: await connected(interop, logged),
  subscribed: await connected(interop, subscribed),
  cancelled: await connected(interop, cancelled),
  resumed: modern ? null : await resumes(), // the modern era has no resumption: its client asks again
};
console.log(JSON.stringify(seen));
