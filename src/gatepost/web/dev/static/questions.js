// What a server asks during a call: a form for the user, a page to visit, the model, the folders that are open.

import { fieldFor } from "./form.js";
import { element, pretty, code, quiet } from "./show.js";

// Show a question in `place` and return a promise of the result; `signal` takes it away.
export function ask({ method, params }, place, signal) {
  const kinds = { "elicitation/create": elicitation, "sampling/createMessage": sampling, "roots/list": roots };
  const kind = kinds[method];
  if (!kind) return Promise.reject(Object.assign(new Error(`This page knows no ${method}.`), { code: -32601 }));
  return new Promise((resolve, reject) => {
    const { nodes, buttons, read } = kind(params ?? {});
    const problem = element("p", { className: "problem-line" });
    problem.setAttribute("role", "alert");
    const form = element("form", { className: "question" }, ...nodes, problem);
    const end = () => form.remove();
    const row = element("div", { className: "inline" });
    for (const [words, answer, isFirst] of buttons) {
      const button = element("button", {
        type: isFirst ? "submit" : "button", className: `button small ${isFirst ? "primary" : "plain"}`, textContent: words,
      });
      const act = () => {
        try {
          resolve(answer(read));
          end();
        } catch (error) {
          if (error.isRefusal) { reject(error); end(); } else problem.textContent = error.message;
        }
      };
      if (isFirst) form.addEventListener("submit", (event) => { event.preventDefault(); act(); });
      else button.addEventListener("click", act);
      row.append(button);
    }
    form.append(row);
    signal?.addEventListener("abort", () => { end(); reject(new Error("The call was cancelled.")); });
    place.append(form);
    form.querySelector("input, select, textarea, button")?.focus();
  });
}

function elicitation(params) {
  const head = element("h3", { textContent: "The server asks the user" });
  const said = element("p", { className: "said", textContent: params.message ?? "" });
  const others = [["Decline", () => ({ action: "decline" })], ["Cancel", () => ({ action: "cancel" })]];
  if (params.mode === "url") {
    const isWeb = /^https?:\/\//.test(params.url ?? "");
    const shown = isWeb
      ? element("a", { href: params.url, target: "_blank", rel: "noopener noreferrer", textContent: params.url })
      : element("code", { textContent: params.url ?? "" });
    return { nodes: [head, said, element("p", {}, shown)], buttons: [["Accept", () => ({ action: "accept" }), true], ...others], read: null };
  }
  const field = fieldFor(params.requestedSchema ?? { type: "object", properties: {} });
  const accept = ["Accept", (read) => ({ action: "accept", content: read() ?? {} }), true];
  return { nodes: [head, said, field.node], buttons: [accept, ...others], read: field.read };
}

function sampling(params) {
  const answer = fieldFor({ type: "string", maxLength: 10000, title: "Answer of the model" }, { name: "answer" });
  const decline = () => { throw Object.assign(new Error("User rejected sampling request"), { code: -1, isRefusal: true }); };
  const send = (read) => ({
    role: "assistant", content: { type: "text", text: read() }, model: "a person at the dev page", stopReason: "endTurn",
  });
  return {
    nodes: [
      element("h3", { textContent: "The server asks the model" }), code(pretty(params.messages ?? [])),
      params.systemPrompt ? quiet(`System prompt: ${params.systemPrompt}`) : "", answer.node,
    ],
    buttons: [["Send", send, true], ["Decline", decline]],
    read: answer.read,
  };
}

function roots() {
  const field = fieldFor({ type: "array", items: { type: "string", format: "uri" }, default: ["file:///project"] }, { name: "roots" });
  return {
    nodes: [element("h3", { textContent: "The server asks which folders are open" }), field.node],
    buttons: [["Send", (read) => ({ roots: (read() ?? []).map((uri) => ({ uri })) }), true]],
    read: field.read,
  };
}
