// Big keys for numbers. The fields are real ones, so that a keyboard and a screen reader work too.

import { button, h, icon } from "./dom.js";

export function numberField(id, label, { value = "", secret = false, longest = 9, onchange = () => {} } = {}) {
  const input = h("input", {
    id,
    class: "number",
    type: secret ? "password" : "text",
    inputmode: "none", // the keys are ours; the phone's own keyboard would cover them
    autocomplete: "off",
    maxlength: longest,
    pattern: "[0-9]*",
    placeholder: secret ? "" : "0",
  });
  input.value = value;
  input.addEventListener("input", () => {
    const digits = input.value.normalize("NFKC").replace(/\D/g, "");
    if (digits !== input.value) input.value = digits;
    onchange();
  });
  return { input, element: h("label", { class: "number-field", for: id }, h("span", {}, label), input) };
}

export const valueOf = ({ input }) => Number(input.value || 0);

// Keys that write into the field which had the focus last, the first one to begin with.
export function pad(fields, { clear, erase, last = null }) {
  let current = fields[0].input;
  for (const { input } of fields) {
    input.addEventListener("focus", () => {
      current = input;
      for (const other of fields) other.element.classList.toggle("is-current", other.input === input);
    });
  }
  fields[0].element.classList.add("is-current");
  const alter = (change) => {
    const changed = change(current.value).slice(0, current.maxLength);
    current.value = changed;
    current.dispatchEvent(new Event("input", { bubbles: true }));
  };
  // The field keeps the focus, so that a keyboard goes on where the keys stopped.
  const keep = { onpointerdown: (event) => event.preventDefault() };
  const key = (digit) => h("button", { type: "button", class: "key", onclick: () => alter((text) => text + digit), ...keep }, digit);
  const rows = ["1", "2", "3", "4", "5", "6", "7", "8", "9"].map(key);
  const wipe = h("button", { type: "button", class: "key is-quiet", onclick: () => alter(() => ""), ...keep }, clear);
  const back = h("button", { type: "button", class: "key is-quiet", "aria-label": erase, onclick: () => alter((text) => text.slice(0, -1)), ...keep }, icon("erase"));
  return h("div", { class: "pad" }, rows, wipe, key("0"), back, last && button(last.words, last.onclick, { look: "is-primary is-wide", id: last.id }));
}
