// What was typed on a page and not saved is no part of what a dialog over it does, and the page that follows forgets it:
// the dialog says so, and waits.

function isChanged(field) {
  if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
  if (field.tagName !== "SELECT") return field.value !== field.defaultValue;
  const options = [...field.options];
  if (!options.some((option) => option.defaultSelected) && field.selectedIndex <= 0 && !field.multiple) return false;
  return options.some((option) => option.selected !== option.defaultSelected);
}

function hasUnsaved() {
  const form = document.querySelector("form.warn-unsaved-form");
  if (!form) return false;
  return Boolean(form.querySelector("[data-unsaved]")) || [...form.querySelectorAll("input, select, textarea")].some(isChanged);
}

document.addEventListener("htmx:load", () => {
  const warning = document.querySelector("#dialog [data-unsaved-warning]");
  if (!warning || !warning.hidden || !hasUnsaved()) return;
  warning.hidden = false;
  document.querySelector("#dialog button[type=submit]")?.setAttribute("disabled", "");
});
