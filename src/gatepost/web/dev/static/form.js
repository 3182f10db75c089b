// A form for a JSON schema: what it cannot show as fields is a field for JSON.

import { element, label } from "./show.js";

// A schema may hold itself. What lies deeper than this is JSON, and so is an object within one of its own kind unless a
// list is between them: a list grows by one item at a time.
const DEEPEST = 6;

let count = 0;

// Return {node, read(), write(value)}. `read` returns the value, undefined for what is left out, and throws an Error
// with a sentence for what cannot be read. `depth` is how many objects and lists the field lies in, `above` has the
// references that led to the objects.
export function fieldFor(schema, { name = "", required = true, root = schema, depth = 0, above = [] } = {}) {
  const references = [];
  const { part, isNullable } = withoutNull(resolved(schema, root, references));
  const choices = choicesOf(part);
  if (choices) return choice(part, choices, { name, required: required && !isNullable });
  const isTooDeep = depth > DEEPEST || references.some((reference) => above.includes(reference));
  const inside = { root, depth: depth + 1, above: [...above, ...references] };
  switch (isTooDeep ? null : typeOf(part)) {
    case "object":
      return part.properties ? group(part, { name, required, inside }) : json(part, { name, required });
    case "array":
      return list(part, { name, required, inside });
    case "boolean":
      return required || part.default !== undefined
        ? box(part, { name })
        : choice(part, [{ value: true, words: "true" }, { value: false, words: "false" }], { name, required: false });
    case "integer":
    case "number":
    case "string":
      return line(part, { name, required: required && !isNullable });
    default:
      return json(part, { name, required });
  }
}

// A field for JSON, for whatever there is.
export function json(part, { name, required = true }) {
  const area = element("textarea", { rows: 4, spellcheck: false, className: "code" });
  const write = (value) => { area.value = value === undefined ? "" : JSON.stringify(value, null, 2); };
  write(part?.default);
  return {
    node: labelled(area, name, part, required, "JSON"),
    write,
    read() {
      if (!area.value.trim()) {
        if (required) throw new Error(`${name || "The value"} is missing.`);
        return undefined;
      }
      try {
        return JSON.parse(area.value);
      } catch (error) {
        throw new Error(`${name || "The value"} is no JSON: ${error.message}`);
      }
    },
  };
}

// Return what a schema says, and whether it may be null; add the references that were followed to `references`.
function resolved(schema, root, references, depth = 0) {
  let part = schema === true || schema === undefined ? {} : schema;
  if (part.$ref?.startsWith("#/") && depth < 10) {
    const steps = part.$ref.slice(2).split("/").map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
    const target = steps.reduce((place, step) => place?.[step], root) ?? {};
    const { $ref, ...beside } = part;
    references.push($ref);
    return resolved({ ...target, ...beside }, root, references, depth + 1);
  }
  const variants = part.anyOf ?? part.oneOf;
  const others = variants?.filter((variant) => variant.type !== "null");
  if (variants && others.length === 1) {
    const { anyOf, oneOf, ...beside } = part;
    const inner = resolved({ ...others[0], ...beside }, root, references, depth + 1);
    return { part: inner.part, isNullable: inner.isNullable || others.length < variants.length };
  }
  if (Array.isArray(part.type)) {
    const types = part.type.filter((type) => type !== "null");
    if (types.length === 1) return { part: { ...part, type: types[0] }, isNullable: types.length < part.type.length };
  }
  return { part, isNullable: false };
}

// What may be null is left out instead; so is a default of null.
function withoutNull({ part, isNullable }) {
  const { default: given, ...others } = part;
  return { part: given === null ? others : part, isNullable };
}

function typeOf(part) {
  if (typeof part.type === "string") return part.type;
  return part.properties ? "object" : null;
}

function choicesOf(part) {
  if (part.const !== undefined) return [{ value: part.const, words: String(part.const) }];
  if (part.enum) return part.enum.map((value, number) => ({ value, words: part.enumNames?.[number] ?? String(value) }));
  const titled = part.oneOf ?? part.anyOf;
  if (titled?.length && titled.every((variant) => variant?.const !== undefined)) {
    return titled.map((variant) => ({ value: variant.const, words: variant.title ?? String(variant.const) }));
  }
  return null;
}

function choice(part, choices, { name, required }) {
  const select = element("select");
  const hasNone = !required || part.default === undefined;
  if (hasNone) select.append(element("option", { value: "", textContent: required ? "choose …" : "(left out)" }));
  choices.forEach(({ words }, number) => select.append(element("option", { value: String(number), textContent: words })));
  const write = (value) => {
    const number = choices.findIndex((each) => JSON.stringify(each.value) === JSON.stringify(value));
    select.value = number < 0 ? (hasNone ? "" : "0") : String(number);
  };
  write(part.default);
  return {
    node: labelled(select, name, part, required),
    write,
    read() {
      if (select.value !== "") return choices[Number(select.value)].value;
      if (required) throw new Error(`Choose ${name}.`);
      return undefined;
    },
  };
}

function box(part, { name }) {
  const input = element("input", { type: "checkbox" });
  input.checked = part.default === true;
  input.id = `field-${(count += 1)}`;
  const words = element("label", { htmlFor: input.id, textContent: part.title ?? name });
  const node = element("div", { className: "field check" }, input, words, hint(part, input));
  return { node, read: () => input.checked, write: (value) => { input.checked = value === true; } };
}

const INPUTS = { date: "date", "date-time": "datetime-local", time: "time", email: "email", uri: "url" };

function line(part, { name, required }) {
  const isNumber = part.type !== "string";
  const isLong = !isNumber && !part.format && ((part.maxLength ?? 0) > 300 || part.contentMediaType);
  const input = isLong ? element("textarea", { rows: 3 }) : element("input", { type: INPUTS[part.format] ?? "text" });
  if (isNumber) Object.assign(input, { inputMode: part.type === "integer" ? "numeric" : "decimal" });
  if (part.format === "date-time") input.step = "1";
  if (part.examples?.length) input.placeholder = String(part.examples[0]);
  const isMoment = part.format === "date-time";
  const write = (value) => {
    if (value === undefined || value === null) input.value = "";
    else input.value = isMoment ? localMoment(String(value)) : String(value);
  };
  write(part.default);
  return {
    node: labelled(input, name, part, required),
    write,
    read() {
      const text = input.value;
      if (text === "" && (!required || isNumber || part.format)) {
        if (required) throw new Error(`${name || "The value"} is missing.`);
        return undefined;
      }
      // What is no number goes as it is: the server says what it takes.
      if (isNumber) return Number.isFinite(Number(text)) ? Number(text) : text;
      return isMoment ? new Date(text).toISOString() : text;
    },
  };
}

function localMoment(text) {
  const moment = new Date(text);
  if (Number.isNaN(moment.getTime())) return "";
  return new Date(moment - moment.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
}

function group(part, { name, required, inside }) {
  const fields = Object.entries(part.properties).map(([key, inner]) => {
    const isRequired = part.required?.includes(key) ?? false;
    return [key, fieldFor(inner, { name: key, required: isRequired, ...inside })];
  });
  const nodes = fields.map(([, field]) => field.node);
  const node = name
    ? element("fieldset", {}, element("legend", { textContent: part.title ?? name }), hint(part), ...nodes)
    : element("div", { className: "fields" }, ...nodes);
  return {
    node,
    write(value) {
      for (const [key, field] of fields) field.write(value?.[key]);
    },
    read() {
      const read = fields.map(([key, field]) => [key, field.read()]).filter(([, value]) => value !== undefined);
      return !required && read.length === 0 ? undefined : Object.fromEntries(read);
    },
  };
}

function list(part, { name, required, inside }) {
  const rows = element("div", { className: "items" });
  const items = [];
  const add = (value, isNew = false) => {
    const item = fieldFor(part.items ?? {}, { name: `${name} ${items.length + 1}`, ...inside, above: [] });
    const remove = element("button", { type: "button", className: "button plain small", textContent: "Remove" });
    label(remove, `Remove from ${name}`);
    const row = element("div", { className: "item" }, item.node, remove);
    remove.addEventListener("click", () => {
      items.splice(items.findIndex((each) => each.row === row), 1);
      row.remove();
    });
    if (!isNew) item.write(value);
    items.push({ row, item });
    rows.append(row);
  };
  const more = element("button", { type: "button", className: "button plain small", textContent: `Add to ${name}` });
  more.addEventListener("click", () => add(undefined, true));
  const write = (value) => {
    items.splice(0);
    rows.replaceChildren();
    for (const each of Array.isArray(value) ? value : []) add(each);
  };
  write(part.default);
  const legend = element("legend", { textContent: part.title ?? name });
  return {
    node: element("fieldset", {}, legend, hint(part), rows, more),
    write,
    read: () => (items.length === 0 && !required ? undefined : items.map(({ item }) => item.read())),
  };
}

function hint(part, input = null) {
  if (!part?.description) return "";
  const node = element("p", { className: "hint", textContent: part.description });
  if (input) {
    node.id = `hint-${(count += 1)}`;
    input.setAttribute("aria-describedby", node.id);
  }
  return node;
}

function labelled(input, name, part, required, kind = "") {
  input.id = `field-${(count += 1)}`;
  const words = element("label", { htmlFor: input.id, textContent: part?.title ?? (name || kind) });
  const notes = [kind || part?.format || part?.type, required ? "" : "optional"].filter(Boolean).join(", ");
  if (notes && name) words.append(element("span", { className: "kind", textContent: ` ${notes}` }));
  if (required) {
    input.setAttribute("aria-required", "true");
    // Whoever hears the page is told by the attribute.
    const mark = element("span", { className: "required", textContent: " required" });
    mark.setAttribute("aria-hidden", "true");
    words.append(mark);
  }
  return element("div", { className: "field" }, words, hint(part, input), input);
}
