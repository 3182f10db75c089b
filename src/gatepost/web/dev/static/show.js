// What results look like. All that comes from a server is text or data here, never markup.

// Return an element with properties and children.
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  Object.assign(made, properties);
  made.append(...children.filter((child) => child !== "" && child !== null));
  return made;
}

// Give an element a name for those who do not see where it stands.
export function label(node, words) {
  node.setAttribute("aria-label", words);
  return node;
}

export function fold(words, ...children) {
  return element("details", {}, element("summary", { textContent: words }), ...children);
}

export function code(text) {
  const node = element("pre", { textContent: text, tabIndex: 0 });
  return label(node, "Code");
}

export function pretty(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

// Return nodes for the result of a call; `read(uri)` reads a resource of the server.
export function resultNodes(method, result, read) {
  if (method === "tools/call") {
    const nodes = (result.content ?? []).map((block) => blockNode(block, read));
    if (result.structuredContent !== undefined) {
      nodes.push(fold("Structured content", code(pretty(result.structuredContent))));
    }
    return nodes.length ? nodes : [quiet("The result is empty.")];
  }
  if (method === "prompts/get") {
    return (result.messages ?? []).map((message) => element(
      "div", { className: "message" }, element("h3", { textContent: message.role }),
      ...[message.content].flat().map((block) => blockNode(block, read)),
    ));
  }
  return (result.contents ?? []).map((contents) => contentsNode(contents));
}

function blockNode(block, read) {
  switch (block.type) {
    case "text":
      return element("p", { className: "said", textContent: block.text });
    case "image":
    case "audio":
      return mediaNode(block.mimeType, block.data);
    case "resource_link": {
      const button = element("button", { type: "button", className: "button plain small", textContent: "Read" });
      label(button, `Read ${block.uri}`);
      button.addEventListener("click", () => read(block.uri));
      const words = element("span", { textContent: `${block.title ?? block.name ?? ""} ` });
      return element("p", { className: "linked" }, words, element("code", { textContent: block.uri }), " ", button);
    }
    case "resource":
      return contentsNode(block.resource ?? {});
    default:
      return code(pretty(block));
  }
}

function contentsNode(contents) {
  const head = element("p", { className: "hint" }, element("code", { textContent: contents.uri ?? "" }), ` ${contents.mimeType ?? ""}`);
  const body = contents.blob === undefined ? code(contents.text ?? "") : mediaNode(contents.mimeType, contents.blob);
  return element("div", {}, head, body);
}

function mediaNode(type, data) {
  const kind = /^(image|audio)\/[\w.+-]+$/.exec(type ?? "")?.[1];
  if (!kind) return quiet(`${type ?? "Data"}, ${Math.floor(((data ?? "").length * 3) / 4)} bytes in Base64`);
  const source = `data:${type};base64,${data}`;
  if (kind === "image") return element("img", { src: source, alt: `The result, ${type}` });
  return label(element("audio", { src: source, controls: true }), `The result, ${type}`);
}

export function quiet(text) {
  return element("p", { className: "hint", textContent: text });
}

// Return what went over the wire, and how to send the same from a terminal.
export function exchangeNodes(exchanges) {
  return exchanges.map((exchange) => {
    const lines = (headers) => Object.entries(headers).map(([name, value]) => `${name}: ${value}`).join("\n");
    const sent = { ...exchange.headers };
    if (sent.Authorization) sent.Authorization = "Bearer …";
    const answers = exchange.answers.map(pretty).join("\n\n");
    return element(
      "div", { className: "exchange" },
      element("h3", { textContent: `POST ${exchange.body.method ?? "an answer"} → ${exchange.status ?? "…"}` }),
      code(`POST ${exchange.url}\n${lines(sent)}\n\n${pretty(exchange.body)}`),
      code(`HTTP ${exchange.status ?? "…"}\n${lines(exchange.answerHeaders)}\n\n${answers}`),
    );
  });
}

// Return a command line for a POSIX shell. The token goes to curl by its standard input: the arguments of a process can
// be seen by every user of the machine, and printf is none, but a command of the shell itself.
export function curl(exchange, { withToken }) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const { Authorization: authorization, ...others } = exchange.headers;
  const headers = Object.entries(others).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`);
  const sent = withToken ? quoted(`Authorization: ${authorization}`) : '"Authorization: Bearer $TOKEN"';
  const piped = authorization ? `printf '%s\\n' ${sent} |\n` : "";
  const url = new URL(exchange.url, location.href).href;
  const words = [`curl -N ${quoted(url)}`, ...(piped ? ["-H @-"] : []), ...headers, `-d ${quoted(JSON.stringify(exchange.body))}`];
  return piped + words.join(" \\\n  ");
}
