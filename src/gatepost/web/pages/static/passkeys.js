// Passkeys: hands the server's challenge to the browser and sends the browser's answer as a form.
// A page has one element with data-ceremony: "create" on a form, "get" on a button. Without this script it stays hidden.
"use strict";

(() => {
  const element = document.querySelector("[data-ceremony]");
  if (!element || !window.PublicKeyCredential || !navigator.credentials) return;
  const { ceremony, challenge, action, csrf, fillsFields } = element.dataset;
  const RENEWED_EVERY = 8 * 60 * 1000; // milliseconds; a challenge lasts ten minutes
  let waiting = null; // what ends a request that waits in the browser's list of suggestions

  // --- Bytes, which JSON has as base64url (RFC 4648 section 5) ---

  const bytes = (text) =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));

  const text = (buffer) => {
    if (!buffer) return null;
    const characters = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
    return btoa(characters).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  };

  const withBytes = (credentials) => (credentials || []).map((each) => ({ ...each, id: bytes(each.id) }));

  // --- What is said to the person ---

  const say = (name) => {
    for (const message of document.querySelectorAll("[data-message]")) {
      message.hidden = message.dataset.message !== name;
    }
  };

  // --- The ceremony ---

  const begin = async () => {
    const answer = await fetch(challenge, { method: "POST", redirect: "error" });
    return answer.ok ? answer.json() : null;
  };

  const options = (publicKey) => ({
    ...publicKey,
    challenge: bytes(publicKey.challenge),
    ...(publicKey.user && { user: { ...publicKey.user, id: bytes(publicKey.user.id) } }),
    ...(publicKey.allowCredentials && { allowCredentials: withBytes(publicKey.allowCredentials) }),
    ...(publicKey.excludeCredentials && { excludeCredentials: withBytes(publicKey.excludeCredentials) }),
  });

  const answerOf = (credential) => {
    const { response } = credential;
    const said = { clientDataJSON: text(response.clientDataJSON) };
    if (ceremony === "create") {
      said.attestationObject = text(response.attestationObject);
      said.transports = response.getTransports ? response.getTransports() : [];
    } else {
      said.authenticatorData = text(response.authenticatorData);
      said.signature = text(response.signature);
      said.userHandle = text(response.userHandle);
    }
    const id = text(credential.rawId);
    return JSON.stringify({ id, rawId: id, type: credential.type, response: said });
  };

  const send = (state, credential) => {
    const form = document.createElement("form");
    form.method = "post";
    form.action = action;
    const fields = { csrf_token: csrf, state, credential: answerOf(credential) };
    if (ceremony === "create") fields.name = element.elements.namedItem("name").value;
    for (const [name, value] of Object.entries(fields)) {
      const input = document.createElement("input");
      input.type = "hidden";
      input.name = name;
      input.value = value;
      form.append(input);
    }
    document.body.append(form);
    form.submit();
  };

  const run = async () => {
    if (waiting) waiting.abort();
    waiting = null;
    say(null);
    const button = element.querySelector("button") || element;
    button.disabled = true;
    try {
      const begun = await begin();
      // Whatever stands in the way, the page itself says it better.
      if (!begun) return location.reload();
      const asked = { publicKey: options(begun.publicKey) };
      const made = await (ceremony === "create"
        ? navigator.credentials.create(asked)
        : navigator.credentials.get(asked));
      send(begun.state, made);
    } catch (error) {
      button.disabled = false;
      say(error.name === "InvalidStateError" ? "known" : "failed");
      suggest();
    }
  };

  // --- Passkeys among the suggestions of the browser for the name, where it has that ---

  const suggest = async () => {
    const knows = fillsFields && PublicKeyCredential.isConditionalMediationAvailable;
    if (!knows || !(await PublicKeyCredential.isConditionalMediationAvailable())) return;
    const begun = await begin().catch(() => null);
    if (!begun) return;
    const controller = new AbortController();
    waiting = controller;
    const renewal = setTimeout(() => {
      controller.abort();
      if (waiting === controller) suggest();
    }, RENEWED_EVERY);
    try {
      const asked = { publicKey: options(begun.publicKey), mediation: "conditional", signal: controller.signal };
      send(begun.state, await navigator.credentials.get(asked));
    } catch {
      // Nobody has asked for it, so nobody has to hear that it came to nothing.
    } finally {
      clearTimeout(renewal);
    }
  };

  element.hidden = false;
  for (const instead of document.querySelectorAll("[data-without-passkeys]")) instead.hidden = true;
  element.addEventListener(ceremony === "create" ? "submit" : "click", (event) => {
    event.preventDefault();
    run();
  });
  suggest().catch(() => {});
  // A page that the browser had put aside as it was has a token and a challenge of then.
  window.addEventListener("pageshow", (event) => event.persisted && location.reload());
})();
