// The dev page: what the server offers, a form for each, calls and what came of them.

import { Client, MODERN, Refused } from "./client.js";
import { fieldFor, json } from "./form.js";
import { ask } from "./questions.js";
import { code, curl, element, exchangeNodes, fold, label, pretty, quiet, resultNodes } from "./show.js";

const POLL_MS = 700;
const PROOF = "gatepost-dev-proof";
const MOST_CALLS = 50;
const at = (id) => document.getElementById(id);

let proof = "";
let server = null; // what /dev/state said last
let offers = []; // {kind, name, entry, isHidden}
let chosen = null; // the offer on the desk, with its form
let running = null;
let client = null;
let reloadedAt = "";
let newest = { process: 0, lists: 0 }; // which process has answered, and how often its lists were read
let isLocked = false; // until a link with the key of this start is opened
const tokens = new Map();
const calls = [];

// --- who calls

function caller() {
  const endpoint = server.endpoints.find(({ path }) => path === at("endpoint").value) ?? server.endpoints[0];
  const scopes = [...at("scope-boxes").querySelectorAll("input:checked")].map(({ value }) => value);
  return { endpoint, user: at("user").value.trim() || "dev", scopes, era: at("era").value };
}

async function ours(path, body) {
  const init = { headers: { "Gatepost-Dev": proof }, cache: "no-store" };
  if (body) {
    Object.assign(init, { method: "POST", body: JSON.stringify(body) });
    init.headers["Content-Type"] = "application/json";
  }
  const response = await fetch(path, init);
  const answer = await response.json();
  if (!response.ok) throw new Refused(answer.error_description ?? `HTTP ${response.status}`, { status: response.status });
  return answer;
}

async function tokenFor({ endpoint, user, scopes }) {
  if (!endpoint.needs_token) return "";
  const key = JSON.stringify([endpoint.path, user, scopes]);
  const known = tokens.get(key);
  if (known && known.until > Date.now()) return known.token;
  const made = await ours("/dev/token", { endpoint: endpoint.path, user, scopes });
  tokens.set(key, { token: made.access_token, until: Date.now() + (made.expires_in - 60) * 1000 });
  return made.access_token;
}

function clientFor(who) {
  return new Client({ url: who.endpoint.path, era: who.era, token: () => tokenFor(who) });
}

function showCaller() {
  const { endpoint, user, scopes, era } = caller();
  const all = Object.keys(endpoint.scopes).length;
  const token = endpoint.needs_token ? `${user}, ${scopes.length} of ${all} scopes, ` : "no token is needed, ";
  at("caller-summary").textContent = `Who calls: ${token}${era}`;
}

function fillCaller() {
  const { endpoints } = server;
  const before = at("endpoint").value;
  at("endpoint").replaceChildren(...endpoints.map(({ path, name }) => element("option", { value: path, textContent: `${name}, ${path}` })));
  if (endpoints.some(({ path }) => path === before)) at("endpoint").value = before;
  at("endpoint-field").hidden = endpoints.length < 2;
  const { endpoint } = caller();
  const left = new Set([...at("scope-boxes").querySelectorAll("input:not(:checked)")].map(({ value }) => value));
  at("scope-boxes").replaceChildren(...Object.entries(endpoint.scopes).map(([scope, words]) => {
    const input = element("input", { type: "checkbox", value: scope, checked: !left.has(scope), id: `scope-${scope}` });
    const name = element("label", { htmlFor: input.id }, element("code", { textContent: scope }), ` ${words}`);
    return element("div", { className: "field check" }, input, name);
  }));
  at("scopes").hidden = at("user-field").hidden = !endpoint.needs_token;
  showCaller();
}

// --- what there is

const KINDS = {
  tools: { words: "Tools", method: "tools/list", member: "tools", key: "name" },
  prompts: { words: "Prompts", method: "prompts/list", member: "prompts", key: "name" },
  resources: { words: "Resources", method: "resources/list", member: "resources", key: "uri" },
  templates: { words: "Resource templates", method: "resources/templates/list", member: "resourceTemplates", key: "uriTemplate", feature: "resources" },
};

async function listsOf(with_) {
  const features = await with_.features();
  const lists = {};
  for (const [kind, { method, member, feature = kind }] of Object.entries(KINDS)) {
    lists[kind] = features && !features[feature] ? [] : await with_.list(method, member);
  }
  return lists;
}

async function refresh() {
  const who = caller();
  client = clientFor(who);
  let all;
  let seen;
  try {
    const scopes = Object.keys(who.endpoint.scopes);
    const sees = who.endpoint.needs_token && scopes.length > who.scopes.length;
    seen = await listsOf(client);
    all = sees ? await listsOf(clientFor({ ...who, scopes })) : seen;
  } catch (error) {
    at("offers").replaceChildren(quiet(`The lists cannot be read: ${error.message}`));
    return false;
  }
  offers = Object.entries(KINDS).flatMap(([kind, { key }]) => {
    const names = new Set(seen[kind].map((entry) => entry[key]));
    return all[kind].map((entry) => ({ kind, name: entry[key], entry, isHidden: !names.has(entry[key]) }));
  });
  showOffers();
  if (chosen) {
    const now = offers.find(({ kind, name }) => kind === chosen.kind && name === chosen.name);
    if (now) open(now);
    else at("gone").textContent = `${chosen.name} is not there any more.`;
  }
  return true;
}

function badges({ kind, name, entry, isHidden }) {
  const hints = entry.annotations ?? {};
  const needs = caller().endpoint.needs[kind === "templates" ? "resources" : kind]?.[name] ?? [];
  const badge = (words, more = "") => element("li", { className: `badge ${more}`, textContent: words });
  return element("ul", { className: "badges" }, ...[
    isHidden && badge("hidden from this caller", "strong"),
    ...needs.map((group) => badge(group.join(" or "), "scope")),
    hints.readOnlyHint === true && badge("read-only"),
    hints.readOnlyHint !== true && hints.destructiveHint === true && badge("destructive", "strong"),
    hints.idempotentHint === true && badge("idempotent"),
    hints.openWorldHint === true && badge("open world"),
  ].filter(Boolean));
}

function showOffers() {
  const typed = at("filter").value.toLowerCase();
  const focused = document.activeElement?.dataset?.key;
  const groups = Object.entries(KINDS).map(([kind, { words }]) => {
    const found = offers.filter((offer) => offer.kind === kind);
    if (!found.length) return "";
    const shown = found.filter(({ name, entry }) => `${name} ${entry.title ?? ""} ${entry.description ?? ""}`.toLowerCase().includes(typed));
    const list = element("ul", {}, ...shown.map((offer) => {
      const { name, entry } = offer;
      const about = entry.title && entry.title !== name ? `${entry.title}. ` : "";
      const button = element(
        "button", { type: "button" }, element("strong", { textContent: name }),
        element("span", { className: "words", textContent: `${about}${entry.description ?? ""}` }),
      );
      button.dataset.key = `${kind} ${name}`;
      if (chosen?.kind === kind && chosen?.name === name) button.setAttribute("aria-current", "true");
      button.addEventListener("click", () => { open(offer); showOffers(); at("detail").scrollIntoView({ block: "nearest" }); });
      return element("li", {}, button, badges(offer));
    }));
    return element("section", {}, element("h2", { textContent: `${words} (${found.length})` }), list);
  });
  at("offers").replaceChildren(...groups.filter(Boolean));
  if (!offers.length) at("offers").append(quiet("The server offers nothing to this caller."));
  if (focused) [...at("offers").querySelectorAll("button")].find(({ dataset }) => dataset.key === focused)?.focus();
}

// --- one of them

function schemaOf({ kind, entry }) {
  if (kind === "tools") return entry.inputSchema ?? { type: "object", properties: {} };
  if (kind === "prompts") {
    const given = entry.arguments ?? [];
    return {
      type: "object", required: given.filter(({ required }) => required).map(({ name }) => name),
      properties: Object.fromEntries(given.map(({ name, title, description }) => [name, { type: "string", title: title ?? name, description }])),
    };
  }
  if (kind === "templates") {
    const names = [...entry.uriTemplate.matchAll(/\{\+?(\w+)\}/g)].map(([, name]) => name);
    if (names.length !== (entry.uriTemplate.match(/\{/g) ?? []).length) {
      return { type: "object", required: ["uri"], properties: { uri: { type: "string", default: entry.uriTemplate } } };
    }
    return { type: "object", required: names, properties: Object.fromEntries(names.map((name) => [name, { type: "string" }])) };
  }
  return { type: "object", properties: {} };
}

function requestOf({ kind, name, entry }, values) {
  if (kind === "tools") return ["tools/call", { name, arguments: values }];
  if (kind === "prompts") return ["prompts/get", { name, arguments: values }];
  if (kind === "resources") return ["resources/read", { uri: entry.uri }];
  const uri = values.uri ?? entry.uriTemplate.replaceAll(/\{(\+?)(\w+)\}/g, (_, plus, variable) => (
    plus ? encodeURI(values[variable]) : encodeURIComponent(values[variable])
  ));
  return ["resources/read", { uri }];
}

function open(offer, values = undefined) {
  const schema = schemaOf(offer);
  const isSame = chosen?.kind === offer.kind && chosen?.name === offer.name && JSON.stringify(chosen.schema) === JSON.stringify(schema);
  let kept = values;
  if (isSame && kept === undefined) {
    // The form stays as it is; what is said about it may be new.
    Object.assign(chosen, offer);
    at("about").replaceChildren(...about(offer));
    at("gone").textContent = "";
    return;
  }
  if (kept === undefined && chosen?.kind === offer.kind && chosen?.name === offer.name) {
    try { kept = chosen.read(); } catch { kept = undefined; }
  }
  const form = element("form", { id: "form", noValidate: true });
  const fields = fieldFor(schema);
  const raw = json({ description: "All arguments, as they are sent." }, { name: "arguments" });
  raw.node.hidden = true;
  const isRaw = element("input", { type: "checkbox", id: "raw" });
  isRaw.addEventListener("change", () => {
    try {
      if (isRaw.checked) raw.write(fields.read());
      else fields.write(raw.read());
    } catch { /* what cannot be read stays where it was typed */ }
    [fields.node.hidden, raw.node.hidden] = [isRaw.checked, !isRaw.checked];
  });
  const problem = element("p", { id: "problem", className: "problem-line" });
  problem.setAttribute("role", "alert");
  const words = { tools: "Call", prompts: "Get", resources: "Read", templates: "Read" }[offer.kind];
  const cancel = element("button", { type: "button", id: "cancel", className: "button plain small", textContent: "Cancel", disabled: running === null });
  cancel.addEventListener("click", () => running?.controller.abort());
  const send = element("button", { type: "submit", className: "button primary small", textContent: words });
  const hasFields = Object.keys(schema.properties ?? {}).length > 0;
  const mode = element("div", { className: "field check", hidden: offer.kind === "resources" }, isRaw, element("label", { htmlFor: "raw", textContent: "Write JSON" }));
  form.append(hasFields ? fields.node : quiet(offer.kind === "resources" ? "" : "It takes no arguments."), raw.node, mode, problem, element("div", { className: "inline" }, send, cancel));
  chosen = { ...offer, schema, read: () => (isRaw.checked ? raw.read() : fields.read()) ?? {} };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    problem.textContent = "";
    try {
      call(chosen, chosen.read());
    } catch (error) {
      problem.textContent = error.message;
    }
  });
  if (kept !== undefined) {
    fields.write(kept);
    raw.write(kept);
  }
  const gone = element("p", { id: "gone", className: "problem-line" });
  at("detail").replaceChildren(element("div", { id: "about" }, ...about(offer)), gone, form);
}

function about(offer) {
  const { entry, name } = offer;
  const parts = [element("h2", {}, element("code", { textContent: name })), badges(offer)];
  if (entry.title && entry.title !== name) parts.push(element("p", { className: "lead", textContent: entry.title }));
  if (entry.description) parts.push(element("p", { className: "described", textContent: entry.description }));
  parts.push(fold("As the list has it", code(pretty(entry))));
  return parts;
}

// --- calls

async function call(offer, values) {
  running?.controller.abort();
  const [method, params] = requestOf(offer, values);
  const exchanges = [];
  const run = { offer, values, controller: new AbortController(), started: performance.now(), state: "running" };
  running = run;
  at("cancel").disabled = false;
  const status = element("p", { textContent: "Waiting for the answer …" });
  status.setAttribute("role", "status");
  const progress = label(element("progress", { hidden: true }), "Progress");
  const said = quiet("");
  const log = element("ul", { className: "log" });
  log.setAttribute("aria-live", "polite");
  const questions = element("div");
  const result = element("div");
  const wire = fold("Request and answer");
  run.node = element("div", {}, element("h2", { textContent: `${offer.name}` }), status, progress, said, log, questions, result, wire);
  at("outcome").replaceChildren(run.node);
  const watch = {
    signal: run.controller.signal,
    onExchange(exchange) { if (!exchanges.includes(exchange)) exchanges.push(exchange); },
    onRequest: (asked) => ask(asked, questions, run.controller.signal),
    onNotification({ method: name, params: told }) {
      if (name === "notifications/progress") {
        progress.hidden = false;
        progress.value = told.progress;
        if (told.total) progress.max = told.total; else progress.removeAttribute("value");
        said.textContent = `${told.progress}${told.total ? ` of ${told.total}` : ""} ${told.message ?? ""}`;
      } else {
        const [level, words] = name === "notifications/message" ? [told.level, pretty(told.data)] : [name, ""];
        log.append(element("li", {}, element("code", { textContent: level }), words));
      }
    },
  };
  let isBad = false;
  let nodes = [];
  let words;
  try {
    const answer = await answered(method, params, watch, offer.entry.inputSchema);
    isBad = answer.isError === true;
    words = isBad ? "The tool reports an error" : "Done";
    nodes = resultNodes(method, answer, readResource);
  } catch (error) {
    isBad = true;
    const isCancelled = run.controller.signal.aborted;
    words = isCancelled ? "Cancelled" : `Refused${error.status ? `, HTTP ${error.status}` : ""}`;
    if (!isCancelled) nodes = refusalNodes(error);
  }
  status.textContent = `${words}, ${Math.round(performance.now() - run.started)} ms`;
  if (nodes.length) result.replaceChildren(element("div", { className: `result ${isBad ? "bad" : ""}` }, ...nodes));
  wire.append(...exchangeNodes(exchanges), ...curlNodes(exchanges, method));
  if (running === run) {
    running = null;
    if (at("cancel")) at("cancel").disabled = true;
  }
  remember(run, words);
}

async function answered(method, params, watch, schema) {
  try {
    return await client.request(method, params, watch, schema);
  } catch (error) {
    if (error.status !== 401 || tokens.size === 0) throw error;
    // The token may be over: a new one, once.
    tokens.clear();
    return await client.request(method, params, watch, schema);
  }
}

function refusalNodes(error) {
  const nodes = [element("p", { className: "said", textContent: error.message })];
  if (error.code !== undefined) nodes.push(quiet(`Error ${error.code}`));
  if (error.challenge) nodes.push(element("p", {}, element("code", { textContent: `WWW-Authenticate: ${error.challenge}` })));
  if (error.data !== undefined) nodes.push(fold("Data of the error", code(pretty(error.data))));
  return nodes;
}

function readResource(uri) {
  const offer = offers.find(({ kind, name }) => kind === "resources" && name === uri) ?? { kind: "resources", name: uri, entry: { uri } };
  open(offer);
  showOffers();
  call(offer, {});
}

function curlNodes(exchanges, method) {
  const exchange = exchanges.find(({ body }) => body.method === method);
  if (!exchange) return [];
  const shown = code(curl(exchange, { withToken: false }));
  const withToken = element("input", { type: "checkbox", id: `token-${calls.length}` });
  withToken.addEventListener("change", () => { shown.textContent = curl(exchange, { withToken: withToken.checked }); });
  const copy = element("button", { type: "button", className: "button plain small", textContent: "Copy" });
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(shown.textContent);
    copy.textContent = "Copied";
  });
  const words = element("label", { htmlFor: withToken.id, textContent: "with the token, which counts for ten minutes" });
  const choice = element("div", { className: "field check", hidden: !exchange.headers.Authorization }, withToken, words);
  return [element("h3", { textContent: "In a terminal" }), shown, choice, element("div", { className: "inline" }, copy)];
}

function remember(run, words) {
  calls.push(run);
  at("past").hidden = false;
  const what = element("span", {}, element("code", { textContent: run.offer.name }), ` ${words}, ${new Date().toLocaleTimeString()}`);
  const show = label(element("button", { type: "button", className: "button plain small", textContent: "Show" }), `Show ${run.offer.name}`);
  show.addEventListener("click", () => at("outcome").replaceChildren(run.node));
  const repeat = label(element("button", { type: "button", className: "button plain small", textContent: "Repeat" }), `Repeat ${run.offer.name}`);
  repeat.addEventListener("click", () => {
    const now = offers.find(({ kind, name }) => kind === run.offer.kind && name === run.offer.name) ?? run.offer;
    open(now, run.values);
    showOffers();
    call(now, run.values);
  });
  at("history").prepend(element("li", {}, what, element("span", { className: "inline" }, show, repeat)));
  while (at("history").children.length > MOST_CALLS) at("history").lastChild.remove();
}

// --- the server

function say(words) {
  if (at("status").textContent !== words) at("status").textContent = words;
}

async function look() {
  let now;
  try {
    now = await ours("/dev/state");
  } catch (error) {
    if (error.status === 403) lock();
    else say("The server does not answer.");
    return;
  }
  at("locked").hidden = true;
  // A process that is being replaced may answer still.
  if (now.process < newest.process) return;
  if (now.process > newest.process) {
    if (newest.process > 0 && now.status.generation > 1) reloadedAt = new Date().toLocaleTimeString();
    newest = { process: now.process, lists: 0 };
  }
  const before = server;
  server = now;
  const { state, changed, failure } = now.status;
  const isServed = now.endpoints.length > 0;
  at("failure").hidden = !failure;
  if (failure && JSON.stringify(before?.status.failure) !== JSON.stringify(failure)) {
    at("failure-summary").textContent = failure.summary;
    at("failure-traceback").textContent = failure.traceback;
    at("failure-traceback").hidden = !failure.traceback;
    at("failure-note").textContent = isServed ? "The code before is served meanwhile." : "Nothing is served meanwhile.";
  }
  // Twice: what went over a connection to the old process came from there.
  if (isServed && newest.lists < 2) {
    at("bench").hidden = false;
    at("name").textContent = now.name;
    document.title = `${now.name} · gatepost dev`;
    fillCaller();
    if (await refresh()) newest.lists += 1;
  }
  const loaded = reloadedAt ? `Reloaded at ${reloadedAt}` : "Serving";
  say({ loading: "Loading the code …", failed: "The newest code does not load", serving: loaded + (changed.length ? `: ${changed[0]}` : "") }[state] ?? "");
}

function lock() {
  isLocked = true;
  say("");
  at("locked").hidden = false;
  at("bench").hidden = at("failure").hidden = true;
  server = null;
  newest = { process: 0, lists: 0 };
}

// Exchange the key of the link, which leaves the address at once. A link to the page that is open loads nothing anew.
async function enter() {
  const key = /^#key=(.+)$/.exec(location.hash)?.[1];
  if (!key) return;
  history.replaceState(null, "", "/dev");
  try {
    ({ proof } = await ours("/dev/session", { key }));
    localStorage.setItem(PROOF, proof);
    isLocked = false;
  } catch { /* then the page says which link to open */ }
}

async function start() {
  proof = localStorage.getItem(PROOF) ?? "";
  await enter();
  window.addEventListener("hashchange", enter);
  at("filter").addEventListener("input", showOffers);
  for (const id of ["user", "era", "scope-boxes", "endpoint"]) {
    at(id).addEventListener("change", async () => {
      if (id === "endpoint") fillCaller();
      showCaller();
      await refresh();
    });
  }
  at("era").value = MODERN;
  for (;;) {
    if (!document.hidden && !isLocked) await look();
    await new Promise((resolve) => { setTimeout(resolve, POLL_MS); });
  }
}

start();
