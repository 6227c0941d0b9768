// A question over the page, with big buttons; and a field to type a code that cannot be scanned.

import { button, h } from "./dom.js";

function open(words, title, ...children) {
  const dialog = h("dialog", { class: "sheet", "aria-labelledby": "sheet-title" }, h("h2", { id: "sheet-title" }, title), words && h("p", {}, words), children);
  document.getElementById("over").append(dialog);
  dialog.showModal();
  return dialog;
}

// The value of the button that was pressed; "" for the way out. `choices` are [value, words], the way out last.
export function choose(title, words, choices) {
  return new Promise((resolve) => {
    const done = (value) => {
      dialog.remove();
      resolve(value);
    };
    const buttons = choices.map(([value, said], place) => button(said, () => done(value), { look: `is-wide ${place === 0 ? "is-primary" : ""}`, id: value ? `choose-${value}` : "choose-none" }));
    const dialog = open(words, title, h("div", { class: "sheet-buttons" }, buttons));
    dialog.addEventListener("cancel", () => done(""));
  });
}

// What was typed, or "".
export function askText(title, words, { ok, cancel, label }) {
  return new Promise((resolve) => {
    const input = h("input", { id: "typed", class: "text is-code", autocomplete: "off", autocapitalize: "characters", spellcheck: "false", "aria-label": label });
    const done = (value) => {
      dialog.remove();
      resolve(value.trim());
    };
    const form = h("form", { onsubmit: (event) => { event.preventDefault(); done(input.value); } },
      input,
      h("div", { class: "sheet-buttons" }, h("button", { class: "button is-primary is-wide" }, ok), button(cancel, () => done(""), { look: "is-wide" })),
    );
    const dialog = open(words, title, form);
    dialog.addEventListener("cancel", () => done(""));
    input.focus();
  });
}

// The way out of every question that is open.
export function closeSheets() {
  const over = document.getElementById("over");
  for (const dialog of over.querySelectorAll("dialog")) dialog.dispatchEvent(new Event("cancel"));
  over.replaceChildren();
}
